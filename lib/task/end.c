/* Ending: fall silent, tell, and let go of the lease. */
#include "ending.h"
#include "error.h"
#include "look.h"
#include "reason.h"

#include <errno.h>
#include <string.h>

static int check_outcome(enum cancel_outcome outcome, struct cancel_error *error)
{
	switch (outcome) {
	case CANCEL_OUTCOME_NONE:
	case CANCEL_OUTCOME_STOPPED:
	case CANCEL_OUTCOME_FINISHED:
	case CANCEL_OUTCOME_FAILED:
	case CANCEL_OUTCOME_REFUSED:
		return 0;
	default:
		return error_set(error, -EINVAL, "a task does not end as '%s'", cancel_outcome_text(outcome));
	}
}

/* What a task was before it fell silent, so that it can be put back. */
struct silence {
	const struct cancel_cause *cause; /* held; NULL: it was not cancelled */
	bool by_parent;
	int64_t deadline_at_ns;
};

/* Everything that cancels it again. */
static int follow_again(struct task *task, const struct silence *before)
{
	if (task->has_parent)
		(void)cancel_link_add(&task->parent, &task->face.source, task->parent_token);
	return before->deadline_at_ns == CANCEL_FOREVER
		       ? 0
		       : cancel_deadline_set_at(&task->deadline, &task->face.source, before->deadline_at_ns,
						&task_deadline_cause);
}

static void forget_silence(const struct silence *before)
{
	if (before->cause)
		cancel_cause_drop(before->cause);
}

/* From here on nothing cancels it, and nothing is called for it. After a failure it is as it was. */
static int fall_silent(struct task *task, struct silence *before, struct cancel_error *error)
{
	int code;

	before->cause = cancel_token_cause(cancel_task_token(&task->face));
	before->by_parent = task->has_parent && cancel_link_fired(&task->parent);
	before->deadline_at_ns = cancel_deadline_at_ns(&task->deadline);
	if (before->cause)
		cancel_cause_hold(before->cause);
	if (!cancel_deadline_stop(&task->deadline))
		before->deadline_at_ns = CANCEL_FOREVER;
	if (task->has_parent)
		(void)cancel_link_remove(&task->parent);
	code = cancel_source_fini(&task->face.source);
	if (code == 0)
		return 0;
	(void)follow_again(task, before);
	forget_silence(before);
	return error_set(error, code, "task '%s' cannot end here: a callback waits for this one",
			 QUOTE(task->listeners[0].id));
}

static void break_silence(struct task *task, const struct silence *before)
{
	cancel_source_init(&task->face.source, NULL);
	if (before->cause && !before->by_parent)
		(void)cancel_source_cancel(&task->face.source, before->cause);
	(void)follow_again(task, before);
}

/* The request that cancelled it, if that was for one of its further ids. */
static const struct cancel_request *group_of(const struct task *task, const struct cancel_cause *cause)
{
	const char *id = reason_id(cause);

	return id && strcmp(id, task->listeners[0].id) ? cancel_cause_request(cause) : NULL;
}

static int tell(struct task *task, enum cancel_outcome outcome, const char *detail,
		const struct silence *silence, struct cancel_error *error)
{
	struct ending ending = {
		.task_id = task->listeners[0].id,
		.run = task->run,
		.outcome = outcome == CANCEL_OUTCOME_NONE ? CANCEL_OUTCOME_FAILED : outcome,
		.detail = detail,
		.lease = &task->lease,
		.group = silence->by_parent ? NULL : group_of(task, silence->cause),
	};

	return ending_tell(task_spool(task), &ending, NULL, error);
}

static void task_close(struct task *task)
{
	lease_drop(task_spool(task), &task->lease);
	task_vanish(task);
	task_forget_uses_here(task);
	task_free(task);
}

void task_abandon(struct task *task)
{
	struct silence silence;

	if (fall_silent(task, &silence, NULL) == 0)
		forget_silence(&silence);
	task_close(task);
}

/* In the child of a fork. The parent token's source may have a copy of the link, and a callback of the task
 * may be what forked: then its memory stays where it is. */
static int free_inherited(struct task *task)
{
	bool is_held = task->has_parent || task_is_cancelled(task);

	task_leave(task);
	task_vanish(task);
	task_forget_uses_here(task);
	if (!is_held)
		task_free(task);
	return 0;
}

static int end(struct task *task, enum cancel_outcome outcome, const char *detail, struct cancel_error *error)
{
	struct silence silence;
	int code = fall_silent(task, &silence, error);

	if (code < 0)
		return code;
	code = tell(task, outcome, detail, &silence, error);
	if (code < 0)
		break_silence(task, &silence);
	forget_silence(&silence);
	return code;
}

int cancel_task_end(struct cancel_task *face, enum cancel_outcome outcome, const char *detail,
		    struct cancel_error *error)
{
	struct task *task = task_of(face);
	int code;

	if (task->manager->is_inherited)
		return free_inherited(task);
	code = check_outcome(outcome, error);
	if (code < 0)
		return code;
	task_leave(task);
	code = end(task, outcome, detail, error);
	if (code < 0)
		task_come_back(task);
	else
		task_close(task);
	return code;
}
