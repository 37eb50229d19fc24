/**
 * The spool: the directory in which requests stand. `ls pending` is the truth.
 *
 * A caller opens the spool once, asks, looks up and decides, and closes it:
 *
 *     struct cancel_spool_options options;
 *     struct cancel_spool *spool;
 *
 *     cancel_spool_options_init(&options);
 *     options.create = true;
 *     if (cancel_spool_open(&spool, &options, &error) < 0)
 *             ...
 *     cancel_spool_request(spool, &request, NULL, &error);
 *     cancel_spool_close(spool);
 *
 * Every operation is safe against SIGKILL at any point and against any number of processes and threads
 * doing the same. The first publish of a name takes no lock because it can only create. Every other change
 * of a name's files happens under that name's byte-range lock; a call that needs it waits at most
 * CANCEL_LOCK_WAIT_MS and then fails with -EBUSY.
 *
 * If the directory, or pending/, processed/ or tmp/ in it, is removed, moved or replaced while it is open, the
 * next call notices, opens what stands at the path now and works there. If that is unsafe, or nothing and
 * `create` was not set, the call fails, with the error that cancel_spool_open would give. runs/ is looked after by what
 * needs it: beginning a task, ending one as finished, listing runs, sweeping.
 *
 * After fork, a child may go on using a spool that no thread was using during the fork, and close it.
 * No call here may be made in a signal handler.
 */
#ifndef CANCEL_SPOOL_H
#define CANCEL_SPOOL_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/limits.h>
#include <cancel/request.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

CANCEL_BEGIN_DECLS

#define CANCEL_SPOOL_DEFAULT "/tmp/task_cancellations"
#define CANCEL_SPOOL_VARIABLE "TASK_CANCELLATION_DIR"

/* What an accepted request survives. */
enum cancel_durability {
	CANCEL_DURABILITY_NONE, /* SIGKILL of any process; a power cut may lose or tear it */
	CANCEL_DURABILITY_FILE, /* and it is whole or absent after a power cut */
	CANCEL_DURABILITY_FULL, /* and it is there after a power cut */
};

struct cancel_spool_options {
	/* The directory, absolute. NULL: $TASK_CANCELLATION_DIR when that is set, not empty and the
	 * process is not setuid; else CANCEL_SPOOL_DEFAULT. */
	const char *path;
	bool create;  /* make the directory, its parents not, when it is missing */
	mode_t mode;  /* of a spool that is made: 0700, or 0750, 0770 or 2770 for a group; nothing for others */
	gid_t group;  /* of a spool that is made, and the only group that may share one; (gid_t)-1: any */
	uid_t owner;  /* besides root and me, who may own it, and who shall own what is made; (uid_t)-1: nobody */
	enum cancel_durability durability;
	int64_t expire_after_s;  /* for requests that do not say; CANCEL_EXPIRES_NEVER is allowed */
	size_t max_reason_bytes; /* at most CANCEL_REASON_MAX */
	/* Whose files are honoured besides root's, mine and the spool owner's. None: those of anybody whom
	 * the directory's mode lets in. */
	uid_t trusted_users[CANCEL_TRUSTED_USERS_MAX];
	size_t trusted_count;
};

/**
 * Set the defaults: path NULL, no creation, mode 0700, any group, no other owner, durability none,
 * expiry after 24 hours, reasons up to 4096 bytes, no trusted users.
 *
 * Any thread, any signal handler.
 */
CANCEL_API void cancel_spool_options_init(struct cancel_spool_options *options);

struct cancel_spool;

/**
 * Open a spool, safely, making it when asked to and it is missing.
 *
 * No symbolic link is followed on the way, but one that root owns in a directory that only root can write.
 * Every ancestor belongs to root, to me or to `options->owner`, and is not writable by group or others
 * unless it is sticky. The spool belongs to me, root or `options->owner`, is not writable by others, and
 * is writable by a group only in the forms named at `mode`. Anything else is refused; another directory
 * is never used instead, because then the two sides would not meet.
 *
 * @param spool    Set to the open spool on success; left alone on failure.
 * @param options  Borrowed for the call. NULL: the defaults.
 * @param error    Where to describe a failure, or NULL.
 *
 * @return 0, or
 *         -EINVAL    an option out of range, or a path that is not absolute;
 *         -ENOENT    it does not exist and `create` is not set, or its parent does not exist;
 *         -ENOTEMPTY it is no spool, and holds what a spool does not hold;
 *         -EXDEV     something is mounted on one of its directories;
 *         -EPERM     unsafe: the sentence names the component, its owner and mode, and what to do;
 *         -ELOOP     a symbolic link that is not to be followed;
 *         -ENOTSUP   a layout of a later version, a filesystem that cannot do what the spool needs, or
 *                    durability full on one that does not survive a power cut;
 *         -EACCES, -EMFILE, -ENOSPC, -EROFS, -ENOMEM, ...  as the system says.
 *
 * Blocks on the filesystem. Any thread.
 */
CANCEL_API int cancel_spool_open(struct cancel_spool **spool, const struct cancel_spool_options *options,
				 struct cancel_error *error);

/**
 * Close a spool and free it. NULL is fine. No other thread may be using it. Does not block.
 */
CANCEL_API void cancel_spool_close(struct cancel_spool *spool);

/* What a spool is; for people and for programs that compare two sides. */
struct cancel_spool_info {
	const char *path;       /* as opened; lives as long as the spool */
	const char *filesystem; /* "ext4", "tmpfs", ...; "unknown"; static */
	char uuid[37];          /* the same for everybody who opened the same spool */
	int layout_version;
	bool is_volatile;       /* the filesystem does not survive a reboot */
	bool sees_remote;       /* others may write here without the kernel telling: inotify is blind */
	uint64_t device, inode;
	uid_t owner;
	gid_t group;
	mode_t mode;            /* permission bits */
	int64_t swept_at_us;    /* when a sweep last ended; 0: never */
	const char *bell;       /* why sleepers cannot be woken by the bell; NULL: they can. Static */
	bool is_watched;        /* a watcher is about that rings for programs that know no bell */
};

/**
 * Describe an open spool as it is on disk now.
 *
 * @param info  Set on success. Owned by the caller.
 *
 * @return 0, or a negative errno of stat(2) or statfs(2).
 *
 * Blocks on the filesystem. Any thread.
 */
CANCEL_API int cancel_spool_info(struct cancel_spool *spool, struct cancel_spool_info *info,
				 struct cancel_error *error);

/* What cancel_spool_request did. */
enum cancel_requested {
	CANCEL_REQUESTED = 0,       /* a new request stands */
	CANCEL_ALREADY_PENDING = 1, /* one stood already; stronger terms were merged into it */
};

/**
 * Ask that a task be cancelled.
 *
 * When this returns 0 or more a request for exactly this task (and run, if given) is pending, whole, under
 * its final name; no process ever sees a part of it. When it fails, nothing was published, but for one case:
 * with durability full, when the directory could not be synced, the request stands, and the sentence says so.
 *
 * If a request stood already, it stays, with its id, requester and reason; only its terms grow: it takes
 * effect at the sooner and expires at the later of both.
 *
 * Whatever else stands in the name's place (a link, a FIFO, a directory, an oversized file, another
 * task's record, the file of somebody who is not trusted) is moved to refused/, never deleted.
 *
 * @param request   What to ask for. `request_id`, `requested_at_us` and the other fields marked "set by
 *                  the library" are filled in when the result is CANCEL_REQUESTED.
 * @param standing  Set to the request that stands when the result is CANCEL_ALREADY_PENDING, to be cleared
 *                  by the caller; otherwise left alone. Must be empty or cleared before. May be NULL.
 * @param error     Where to describe a failure, or NULL.
 *
 * @return CANCEL_REQUESTED, CANCEL_ALREADY_PENDING, or
 *         -EINVAL        an empty id, a field out of its range, or a life that ends before `cancel_at_us`;
 *         -EILSEQ        a text that is not UTF-8;
 *         -ENAMETOOLONG  an id over its limit;
 *         -EMSGSIZE      a reason over the spool's limit, or a record over CANCEL_RECORD_MAX;
 *         -EBUSY         the name is locked by somebody who does not finish;
 *         -ENOSPC, -EDQUOT, -EIO, -EACCES, -EROFS, -EMFILE, ...  as the system says.
 *
 * Blocks on the filesystem, for the sync that the durability asks for, and for a lock if the name is
 * taken. Any thread.
 */
CANCEL_API int cancel_spool_request(struct cancel_spool *spool, struct cancel_request *request,
				    struct cancel_request *standing, struct cancel_error *error);

/* Where a name stands. */
enum cancel_lookup {
	CANCEL_LOOKUP_NONE = 0,      /* nothing pending, nothing decided that is still kept */
	CANCEL_LOOKUP_PENDING = 1,   /* a request stands and has taken effect */
	CANCEL_LOOKUP_SCHEDULED = 2, /* a request stands; it takes effect at its cancel time */
	CANCEL_LOOKUP_PROCESSED = 3, /* the latest request was decided, and none stands */
};

/**
 * Look up one exact name: a task, or one run of a task. A drop of that name is taken in first; only then
 * does the call wait for the name's lock, and may fail with -EBUSY.
 *
 * A pending file that is unparsable and younger than CANCEL_SETTLE_MS is still being written and does not
 * count yet. One that was decided already, left by a process that was killed, never counts.
 *
 * @param run      A run id, or NULL for the task's own name.
 * @param request  Set to the record for every result but CANCEL_LOOKUP_NONE, to be cleared by the
 *                 caller; otherwise left alone. Must be empty or cleared before. May be NULL.
 *
 * @return One of enum cancel_lookup, or
 *         -EINVAL, -EILSEQ, -ENAMETOOLONG  the id, as for cancel_spool_request;
 *         -EBADMSG  what stands there is not a request of that name; the sentence says why;
 *         others    as the system says. A failure never means "no".
 *
 * Blocks on the filesystem. Any thread.
 */
CANCEL_API int cancel_spool_lookup(struct cancel_spool *spool, const char *task_id, const char *run,
				   struct cancel_request *request, struct cancel_error *error);

/* What a run remembers from its start: the latest cancels that were decided before it. */
struct cancel_mark {
	char task_cancel_id[CANCEL_REQUEST_ID_LENGTH + 1];
	char run_cancel_id[CANCEL_REQUEST_ID_LENGTH + 1];
};

/**
 * Remember, when a run begins and before it first checks, which cancels were decided before it.
 *
 * @param run   The run's id, or NULL if it has none.
 * @param mark  Set on success. Owned by the caller.
 *
 * @return 0, or a negative errno as for cancel_spool_lookup.
 *
 * Blocks on the filesystem. Any thread.
 */
CANCEL_API int cancel_spool_mark(struct cancel_spool *spool, const char *task_id, const char *run,
				 struct cancel_mark *mark, struct cancel_error *error);

/**
 * The worker's question: is this run cancelled?
 *
 * It is when its task, or this run of it, has a request that stands and has taken effect, or a decided one
 * whose cancel id differs from the one in `mark`. So a request made before the start stops the run at its
 * start, another worker's decision reaches a run that was going, and a request that was decided before the
 * start never hits it. No clock is compared. The answer is not remembered: a run that was once cancelled
 * stays cancelled, and its worker must not ask again to find out.
 *
 * What cannot be read under one of the two names is a failure only if the other does not say yes.
 *
 * @param run      The run's id, or NULL.
 * @param mark     From cancel_spool_mark at the run's start. NULL: only requests that stand count.
 * @param request  Set to the record when the answer is 1 or 2, to be cleared by the caller; otherwise
 *                 left alone. Must be empty or cleared before. May be NULL. Where a request was decided and
 *                 then another one withdrawn, the record is that of the latter, and its `last_cancel_id` names
 *                 the one that cancelled.
 *
 * @return 1 when it is cancelled, 2 when a request takes effect later, 0 when there is none, or a negative
 *         errno as for cancel_spool_lookup. A failure never means "no".
 *
 * Blocks as cancel_spool_lookup. Any thread.
 */
CANCEL_API int cancel_spool_check(struct cancel_spool *spool, const char *task_id, const char *run,
				  const struct cancel_mark *mark, struct cancel_request *request,
				  struct cancel_error *error);

/* What cancel_spool_decide did. */
enum cancel_decided {
	CANCEL_DECIDED = 0,         /* this call decided it */
	CANCEL_ALREADY_DECIDED = 1, /* somebody else had */
};

/**
 * Decide a request: acknowledge it, refuse it, withdraw it. Of any number of callers exactly one wins.
 *
 * When this returns CANCEL_DECIDED the processed record stands and the request is out of pending. A kill
 * between the two leaves litter that never counts and that the next operation on the name removes.
 *
 * A request that withdrew or expired is no cancel: runs that are going do not stop because of it.
 *
 * @param run         The exact name: the task's own (NULL) or one run's.
 * @param request_id  The request that is meant. NULL: whatever is pending now.
 * @param outcome     Any but CANCEL_OUTCOME_NONE.
 * @param detail      UTF-8 text up to CANCEL_DETAIL_MAX bytes for people, or NULL.
 * @param decided     Set to the processed record for both results, to be cleared by the caller; left alone
 *                    on failure. Must be empty or cleared before. May be NULL.
 *
 * @return CANCEL_DECIDED, CANCEL_ALREADY_DECIDED (only with a `request_id`), or
 *         -ENOENT   nothing is pending, or not the request that is meant;
 *         -EINVAL, -EILSEQ, -ENAMETOOLONG, -EMSGSIZE  an argument;
 *         -EBADMSG  what stands there is not a request of that name;
 *         -EBUSY    the name is locked by somebody who does not finish;
 *         others    as the system says; the request is still pending, or decided if the sentence says so.
 *
 * Blocks on the filesystem, for the name's lock and for the sync that the durability asks for. Any thread.
 */
CANCEL_API int cancel_spool_decide(struct cancel_spool *spool, const char *task_id, const char *run,
				   const char *request_id, enum cancel_outcome outcome,
				   const char *detail, struct cancel_request *decided,
				   struct cancel_error *error);

/**
 * The end of a run: decide what is pending for its own names, its task's and, if it has an id, its own, whether
 * the run noticed it or not. Each record's worker is this process and the run.
 *
 * Requests for other ids that the run listened to are not decided: they are meant for others too. Neither is, with
 * CANCEL_OUTCOME_FINISHED, the task's as long as a run of the task holds a lease (cancel/run.h): it is meant for that one. A
 * run that holds one itself ends it first, or is a cancel_task.
 *
 * @param run      The run's id, or NULL.
 * @param outcome  How the run ended: stopped, finished, failed or refused.
 * @param detail   As for cancel_spool_decide.
 * @param decided  Set to as many processed records as the result says, the task's first, to be cleared by the
 *                 caller. Both must be empty or cleared before. May be NULL.
 *
 * @return How many requests were decided, 0 to 2, or a negative errno as for cancel_spool_decide, but for
 *         -ENOENT; with a failure, the first may have been decided and set: clear both all the same.
 *
 * Blocks as cancel_spool_decide. Any thread.
 */
CANCEL_API int cancel_spool_acknowledge(struct cancel_spool *spool, const char *task_id, const char *run,
					enum cancel_outcome outcome, const char *detail,
					struct cancel_request decided[2], struct cancel_error *error);

/**
 * Make a name fresh again: a pending request is withdrawn, then the processed record removed.
 *
 * @param run  The exact name: the task's own (NULL) or one run's.
 *
 * @return 1 when there was something to remove, 0 when the name was fresh, or a negative errno as for
 *         cancel_spool_decide.
 *
 * Blocks as cancel_spool_decide. Any thread.
 */
CANCEL_API int cancel_spool_reset(struct cancel_spool *spool, const char *task_id, const char *run,
				  struct cancel_error *error);

CANCEL_END_DECLS

#endif
