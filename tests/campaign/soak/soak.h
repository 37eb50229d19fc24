/* What the parts of this campaign share: the scene, the journal in which everybody notes what he did, and the
 * slots in which workers say what they run. */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include "spool_dir.h"

#include <cancel/cancel.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
	NAME_LENGTH_MAX = 63, /* of the names that are used here, and of a slot */
	SLOT_SIZE = NAME_LENGTH_MAX + 1,
	SLOTS = 8,
	EXPIRE_S = 3, /* so that what nobody runs does not heap up */
	KEEP_S = 1,
	SWEEP_EVERY_S = 1,
	DEADLINE_MS = 30000,
};

/* Decided last, for the observer. */
#define LAST_NAME "soak-end"

struct scene {
	struct spool_dir dir;
	char journal_path[64], slots_path[64], config_path[64];
	const char *cancelreq, *cancelwatch;
};
extern struct scene scene;

/* --- the journal (journal.c) -------------------------------------------------------------------------------
 */

enum journal_kind {
	JOURNAL_TRIED = 'T', /* somebody is about to publish a request under this name */
	JOURNAL_ACCEPTED =
		'A', /* he was told that it stands, or has left a drop of a name that nobody else has */
	JOURNAL_DROPPED = 'd',  /* he has left a drop, which may go into a request that stands */
	JOURNAL_MERGED = 'M',   /* he was told that one stood already */
	JOURNAL_REMOVING = 'r', /* he is about to remove his drop */
	JOURNAL_REMOVED = 'R',  /* and did */
	JOURNAL_MEMBER = 'g',   /* a run of this name is about to end because of a group's request */
	JOURNAL_DECIDED = 'D',  /* a processed record was put in its place */
	JOURNAL_OVERFLOW = 'O', /* the kernel has lost some of those */
	JOURNAL_VIOLATION = 'V',
};

void journal_open(void);
/* One write each: whoever is killed has noted all of it, or nothing. */
void journal_note(enum journal_kind kind, const char *name);
void journal_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Judge it all, with what is pending still as extra requests; how many requests were accepted. */
long journal_judge(void);

/* --- slots (slots.c) ---------------------------------------------------------------------------------------
 */

void slots_open(void);
void slot_set(int slot, const char *name); /* "": nothing is run */
/* How many descriptors whoever has that slot holds, at a moment at which he runs nothing. */
void slot_set_descriptors(int slot, long count);
long slot_descriptors(int slot);
/* A name that somebody runs now, or ran a moment ago; false when nobody does. */
bool slot_pick(char name[SLOT_SIZE]);
/* A name that nobody had. */
void name_fresh(char name[SLOT_SIZE], const char *prefix);
/* The group that all workers listen to now. */
void group_now(char name[SLOT_SIZE]);
void group_next(void);

/* --- parts that are played, each in a process of its own
 * --------------------------------------------------------- */

void play_worker_with_thread(int slot);
void play_worker_without_thread(int slot);
void play_requester(int slot);
void play_programs(int slot);
void play_runner(int slot);
void play_python(int slot);
void play_shell(int slot);
void play_daemon(int slot);
void play_observer(int slot);

/* A spool with the terms that hold here. Ends the process when that fails. */
struct cancel_spool *soak_spool_open(void);
void soak_spool_options(struct cancel_spool_options *options);
void soak_pause_ms(unsigned longest_ms);

/* --- measuring (measure.c) ---------------------------------------------------------------------------------
 */

struct measured {
	const char *what;
	pid_t pid;
	int slot; /* in which it says how many descriptors it has when it runs nothing; -1: /proc tells */
	long memory_max_kb; /* by how much it may grow, however long it runs */
};

/* Look at each now. */
void measure(const struct measured *measured, int count);
/* Were there enough looks? */
bool measure_suffices(void);

/* Judge growth from the first third of the looks to the last; the figures. */
struct growth {
	long memory_kb, descriptors;
};
struct growth measure_judge(const struct measured *measured, int count);

long descriptors_of(pid_t pid);

#endif
