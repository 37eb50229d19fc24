/*
 * The bell: words in a file that every process of the spool maps. Who publishes adds to the task's word and
 * wakes who sleeps on it. It is never truth: a ring that is lost costs latency.
 *
 * The mapping is an address for futex(2) and nothing else. It is never loaded from or stored to, because the
 * file may be truncated by anybody who may write it, and that would be a SIGBUS; the kernel says EFAULT
 * instead. Words are added to by FUTEX_WAKE_OP and read by pread(2).
 */
#ifndef SPOOL_BELL_H
#define SPOOL_BELL_H

#include "store.h"

#include <cancel/statistics.h>

/* The layout of the file. Not a part of what is on disk between two boots: it may be deleted at any time. */
#define BELL_MAGIC     "CANCBEL1"
#define BELL_COUNTS_AT 64
#define BELL_NOTICE_AT 128
#define BELL_STOP_AT   (BELL_NOTICE_AT + CANCEL_HISTOGRAM_BUCKETS * 4)
#define BELL_WORDS_AT  4096
#define BELL_WORDS     16384 /* 10,000 sleepers share 10,000 of them: a ring wakes hardly anybody else */
#define BELL_SIZE      (BELL_WORDS_AT + BELL_WORDS * 4)

/* What a spool keeps of it. */
struct bell_place;
struct bell_place *bell_place_new(void);
void bell_place_free(struct bell_place *place);
/* The spool's directory is another one now. */
void bell_place_forget(struct bell_place *place);

/* One bell, mapped, for as long as it is held. */
struct bell {
	dev_t device;
	ino_t inode;
	int fd;         /* -1 until somebody listens: who only rings keeps no descriptor */
	uint32_t *page; /* for futex(2) only */
	_Atomic int holders;
};

/* Make its file, unless it is there: only root and the spool's owner can. `root_fd` is the spool's directory.
 */
int bell_make(const struct cancel_spool *spool, int root_fd);

/* Between spool_enter and spool_leave: the bell that stands now, or NULL and one sentence, static, that says
 * why not. It is made if it is missing and so wanted, and lengthened if it is short. */
enum bell_use {
	BELL_RING,   /* make it */
	BELL_LISTEN, /* make it, and let it be read */
	BELL_READ,   /* do not make it, and let it be read */
};
struct bell *bell_hold(const struct cancel_spool *spool, enum bell_use use, const char **why);
void bell_drop(struct bell *bell);

/* Between spool_enter and spool_leave: false when it was removed, moved away or made too short, so that
 * whoever rings may ring another one. */
bool bell_stands(const struct cancel_spool *spool, const struct bell *bell);

/* Between spool_enter and spool_leave, after what it tells of: wake who sleeps for that task, and count. */
void bell_ring(const struct cancel_spool *spool, const char *task_id, enum cancel_count count);

/* The same for what another program has published, who knows no bell: nothing is counted. */
void bell_ring_for_others(const struct cancel_spool *spool, const char *task_id);

/* Count without waking anybody. */
void bell_count(const struct cancel_spool *spool, enum cancel_count count);
void bell_count_notice(const struct cancel_spool *spool, int64_t latency_ns);
void bell_count_stop(const struct cancel_spool *spool, int64_t latency_ns);

/* The words of a task and of a counter: addresses to sleep on, and where they are in the file. */
size_t bell_word_at(const char *task_id);
size_t bell_count_at(enum cancel_count count);
/* A word after the counters. Every ring adds to one of them, so who sleeps for more tasks than futex_waitv(2)
 * takes sleeps on them all. */
#define BELL_RUNG_FOR_OTHERS CANCEL_COUNTS
#define BELL_EVERY_COUNT     (CANCEL_COUNTS + 1)
uint32_t *bell_address(const struct bell *bell, size_t at);

/* For who listens: read `count` words from `at`. False: it could not, and nothing is known. */
bool bell_read(const struct bell *bell, size_t at, uint32_t *words, size_t count);

/* Somebody rings for programs that know no bell. */
bool bell_has_ringer(const struct bell *bell);
/* Be that somebody, as long as the descriptor is open: it, or a negative errno. Between spool_enter and
 * spool_leave. */
int bell_take_ringing(const struct cancel_spool *spool);

#endif
