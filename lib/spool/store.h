/* What every file of lib/spool, and lib/watch, knows of an open spool. */
#ifndef SPOOL_STORE_H
#define SPOOL_STORE_H

#include "filesystem.h"
#include "name.h"

#include <cancel/spool.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define LAYOUT_VERSION 1

#define DIR_PENDING "pending"
#define DIR_PROCESSED "processed"
#define DIR_TMP "tmp"
#define DIR_REFUSED "refused"
#define DIR_RUNS "runs"
#define FILE_LOCK "lock"
#define FILE_VERSION "version"
#define FILE_SWEPT "swept"
#define FILE_BELL "bell"

/* The directories, in the order in which they are made and opened. */
enum spool_dir {
	SPOOL_ROOT,
	SPOOL_TMP,
	SPOOL_PENDING,
	SPOOL_PROCESSED,
	SPOOL_REFUSED,
	SPOOL_RUNS,
	SPOOL_DIR_COUNT,
};

/* Ways to publish, from the best; the first that works on this filesystem stays. */
enum publish_way {
	PUBLISH_TMPFILE,      /* O_TMPFILE, linkat by descriptor */
	PUBLISH_TMPFILE_PROC, /* O_TMPFILE, linkat by /proc: kernels before 6.10 without privilege */
	PUBLISH_NOREPLACE,    /* a named draft, renameat2 */
	PUBLISH_LOCKED,       /* a named draft, plain rename under the name's lock */
};

struct bell_place;

struct cancel_spool {
	struct cancel_spool_options options; /* path is NULL here: it is below */
	char *path;
	char *pending_path;
	struct filesystem filesystem;
	uid_t owner;
	gid_t group;
	mode_t file_mode; /* of what we create in it */
	mode_t lock_mode; /* of the file `lock`, which must be writable to be locked */
	bool group_differs; /* what the group shares does not get the directory's group by itself */
	char uuid[37];
	int layout_version;
	const char *host; /* this machine's name; outlives the spool, as requests that name it do */
	_Atomic int way; /* enum publish_way */
	struct bell_place *bell;
	_Atomic unsigned replacements; /* how often the directories were replaced */

	/* Held for reading while the descriptors are used, for writing while they are replaced because the
	 * directory was. */
	pthread_rwlock_t replacing;
	int fds[SPOOL_DIR_COUNT];
	dev_t device;
	ino_t inodes[SPOOL_DIR_COUNT];
};

/* Begin to use the descriptors: makes sure first that they are what stands at the path. Every 0 is answered
 * by spool_leave; after a failure nothing is held. */
int spool_enter(struct cancel_spool *spool, struct cancel_error *error);
/* The same, but what stands beside pending/ is not looked at: for who needs no more. */
int spool_enter_pending(struct cancel_spool *spool, struct cancel_error *error);
/* The same without looking at all: for who asks spool_was_replaced afterwards anyway. */
void spool_enter_unchecked(struct cancel_spool *spool);
void spool_leave(struct cancel_spool *spool);

/* Say, between the two, whether the directory was replaced meanwhile: what was published went nowhere. */
bool spool_was_replaced(const struct cancel_spool *spool);

/* Make sure that runs/ is what stands there, which the two do not look at: open it again, making it if the options say so.
 * Not between them. */
int spool_keep_runs(struct cancel_spool *spool, struct cancel_error *error);

/* Whether a directory in it was removed or replaced. */
bool spool_is_incomplete(const struct cancel_spool *spool);

/* "spool '/x'": how every sentence names it. */
#define SPOOL_QUOTE(spool) QUOTE((spool)->path)

/* Whose file counts at all, and whose text may name another requester. */
bool spool_trusts(const struct cancel_spool *spool, uid_t uid);
bool spool_speaks_for_others(const struct cancel_spool *spool, uid_t uid);

/* Give a file that we made the owner and mode that the spool's other users need. */
int spool_adopt(const struct cancel_spool *spool, int fd, mode_t mode);

/* layout.c: make what is missing (if `create`), open it, judge it. `root_fd` is O_PATH. */
int layout_open(struct cancel_spool *spool, int root_fd, bool create, int fds[SPOOL_DIR_COUNT],
		struct cancel_error *error);

/* Say whether a name in the spool's directory is part of a spool: its own files and directories, and drops. */
bool layout_belongs(const char *name);

/* Make a file whole, unless it is there: 0 in both cases. */
int layout_make_file(const struct cancel_spool *spool, int root_fd, const char *name, const void *content, size_t size,
		     mode_t mode, struct cancel_error *error);

/* Read the spool's small files: at most `size` - 1 bytes, NUL-terminated; length or negative errno. */
ssize_t store_read_small(int dir_fd, const char *name, char *text, size_t size);

#endif
