#include "ending.h"

#include "entry.h"
#include "error.h"

#include <errno.h>

/* With the spool entered and the name locked: whether the request is left to another run. One for this run alone never is. */
static int is_left_to_another(const struct cancel_spool *spool, const struct ending *ending,
			      const struct entry *entry, struct cancel_error *error)
{
	if (ending->outcome != CANCEL_OUTCOME_FINISHED || entry->wanted.run)
		return 0;
	return lease_held_by_another(spool, ending->task_id, ending->lease, error);
}

static int decide_locked(struct cancel_spool *spool, const struct ending *ending, const struct entry *entry,
			 struct cancel_request *decided, struct cancel_error *error)
{
	struct decision decision = {NULL, ending->outcome, ending->detail, ending->run};
	struct cancel_error problem;
	int code = is_left_to_another(spool, ending, entry, &problem);

	if (code == 0) {
		code = entry_decide(spool, entry, &decision, decided, &problem);
		if (code == -ENOENT)
			return 0; /* nothing is pending */
		if (code >= 0)
			return 1;
	}
	if (code < 0 && error)
		*error = problem;
	return code < 0 ? code : 0;
}

/* 1 when something was pending for the name and is decided, 0, or a failure. */
static int decide(struct cancel_spool *spool, const struct ending *ending, const struct entry *entry,
		  struct cancel_request *decided, struct cancel_error *error)
{
	struct name_lock lock;
	bool idle;
	int code = spool_enter(spool, error);

	if (code < 0)
		return code;
	/* The usual end. What is asked from here on is for the next run. */
	idle = entry_is_idle(spool, entry);
	spool_leave(spool);
	if (idle)
		return 0;
	code = entry_begin(spool, entry, &lock, error);
	if (code < 0)
		return code;
	code = decide_locked(spool, ending, entry, decided, error);
	entry_end(spool, &lock);
	return code;
}

static int decide_both(struct cancel_spool *spool, const struct ending *ending, const struct entry *task,
		       const struct entry *own, struct cancel_request decided[2], struct cancel_error *error)
{
	int count = decide(spool, ending, task, decided, error), more;

	if (!ending->run)
		return count;
	/* What is wrong with one name does not keep the other waiting. */
	more = decide(spool, ending, own, decided ? &decided[count > 0] : NULL, count < 0 ? NULL : error);
	if (count < 0)
		return count;
	return more < 0 ? more : count + more;
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
		(void)spool_keep_runs(spool, NULL); /* others may have theirs in a new one */
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
