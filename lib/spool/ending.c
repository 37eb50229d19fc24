/*
 * What is pending for a run's names is decided, and then its lease ends, under the lock of its task's name.
 * So of two that finish together, each of whom would leave the request to the other, the second finds no
 * lease; and who waits for a request that stood then never sees the lease gone and the request not decided. One that is
 * published meanwhile, which takes no lock, is seen so: it stops the next run.
 */
#include "ending.h"

#include "entry.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>

/* With the spool entered and the name locked: whether the request is left to another run. One for this run
 * alone never is. */
static int is_left_to_another(const struct cancel_spool *spool, const struct ending *ending,
			      const struct entry *entry, struct cancel_error *error)
{
	if (ending->outcome != CANCEL_OUTCOME_FINISHED || entry->wanted.run)
		return 0;
	return lease_held_by_another(spool, ending->task_id, ending->lease, error);
}

static bool nothing_stands(const struct cancel_spool *spool, const struct entry *entry)
{
	struct stat stat;

	return fstatat(spool->fds[SPOOL_PENDING], entry->file, &stat, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

/* 1 when something was pending for the name and is decided, 0, or a failure. */
static int decide_locked(const struct cancel_spool *spool, const struct ending *ending,
			 const struct entry *entry, struct cancel_request *decided,
			 struct cancel_error *error)
{
	struct decision decision = {NULL, ending->outcome, ending->detail, ending->run};
	struct cancel_error problem;
	int code;

	if (nothing_stands(spool, entry))
		return 0; /* the usual end */
	code = is_left_to_another(spool, ending, entry, &problem);
	if (code == 1)
		return 0;
	if (code == 0)
		code = entry_decide(spool, entry, &decision, decided, &problem);
	if (code >= 0)
		return 1;
	/* Litter; or what is no request, which keeps no task from ending. */
	if (code == -ENOENT || (code == -EBADMSG && ending->lease))
		return 0;
	if (error)
		*error = problem;
	return code;
}

static int decide(struct cancel_spool *spool, const struct ending *ending, const struct entry *entry,
		  struct lease *lease, struct cancel_request *decided, struct cancel_error *error)
{
	struct name_lock lock;
	int code = entry_begin(spool, entry, &lock, error);

	if (code < 0)
		return code;
	code = decide_locked(spool, ending, entry, decided, error);
	if (code >= 0 && lease)
		lease_drop_entered(spool, lease);
	entry_end(spool, &lock);
	return code;
}

/* Without a lease nobody relies on the lock where nothing is pending. */
static int decide_if_any(struct cancel_spool *spool, const struct ending *ending, const struct entry *entry,
			 struct cancel_request *decided, struct cancel_error *error)
{
	bool idle;
	int code = spool_enter(spool, error);

	if (code < 0)
		return code;
	/* What is asked from here on is for the next run. */
	idle = entry_is_idle(spool, entry);
	spool_leave(spool);
	return idle ? 0 : decide(spool, ending, entry, NULL, decided, error);
}

static int decide_own(struct cancel_spool *spool, const struct ending *ending, const struct entry *own,
		      struct cancel_request *decided, struct cancel_error *error)
{
	return ending->run ? decide_if_any(spool, ending, own, decided, error) : 0;
}

/* Last, because the lease ends with it. What is wrong with the run's own name (`own_failed`) does not keep it
 * waiting, but then the lease is kept. */
static int decide_task(struct cancel_spool *spool, const struct ending *ending, const struct entry *task,
		       bool own_failed, struct cancel_request *decided, struct cancel_error *error)
{
	if (own_failed || !ending->lease || ending->lease->fd < 0)
		return decide_if_any(spool, ending, task, decided, error);
	return decide(spool, ending, task, ending->lease, decided, error);
}

static int decide_both(struct cancel_spool *spool, const struct ending *ending, const struct entry *task,
		       const struct entry *own, struct cancel_request decided[2], struct cancel_error *error)
{
	struct cancel_request own_decided;
	int of_own, of_task;

	cancel_request_init(&own_decided);
	of_own = decide_own(spool, ending, own, decided ? &own_decided : NULL, error);
	of_task = decide_task(spool, ending, task, of_own < 0, decided, of_own < 0 ? NULL : error);
	if (decided && of_own > 0)
		request_move(&decided[of_task > 0], &own_decided);
	if (of_own < 0)
		return of_own;
	return of_task < 0 ? of_task : of_own + of_task;
}

static int tell_member(struct cancel_spool *spool, const struct ending *ending, const struct entry *entry,
		       struct cancel_error *error)
{
	struct decision decision = {NULL, ending->outcome, ending->detail, ending->run};
	struct name_lock lock;
	int code = entry_begin(spool, entry, &lock, error);

	if (code < 0)
		return code;
	code = entry_note_member(spool, entry, &decision, ending->group, error);
	entry_end(spool, &lock);
	return code;
}

int ending_tell(struct cancel_spool *spool, const struct ending *ending, struct cancel_request decided[2],
		struct cancel_error *error)
{
	struct decision decision = {.outcome = ending->outcome, .detail = ending->detail};
	struct entry task, own;
	int count, code = entry_init(&task, ending->task_id, NULL, error);

	if (code == 0 && ending->run)
		code = entry_init(&own, ending->task_id, ending->run, error);
	if (code == 0)
		code = decision_check(&decision, error);
	if (code < 0)
		return code;
	if (ending->outcome == CANCEL_OUTCOME_FINISHED)
		(void)spool_keep_runs(spool, NULL); /* others may have their leases in a new one */
	count = decide_both(spool, ending, &task, &own, decided, error);
	if (count == 0 && ending->group)
		code = tell_member(spool, ending, ending->run ? &own : &task, error);
	return code < 0 ? code : count;
}

int cancel_spool_acknowledge(struct cancel_spool *spool, const char *task_id, const char *run,
			     enum cancel_outcome outcome, const char *detail,
			     struct cancel_request decided[2], struct cancel_error *error)
{
	struct ending ending = {.task_id = task_id, .run = run, .outcome = outcome, .detail = detail};

	return ending_tell(spool, &ending, decided, error);
}
