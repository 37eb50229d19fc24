#include "reason.h"
#include "task.h"

#include <errno.h>

const struct cancel_cause task_deadline_cause =
	CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "the task's time is over");

int cancel_task_cancel(struct cancel_task *face, const struct cancel_cause *cause)
{
	if (task_of(face)->manager->is_inherited)
		return -EPERM;
	return cancel_source_cancel(&face->source, cause);
}

static enum cancel_why_kind kind_of(const struct task *task, const struct cancel_cause *cause)
{
	if (task->has_parent && cancel_link_fired(&task->parent))
		return CANCEL_WHY_PARENT;
	if (cause == &task_deadline_cause)
		return CANCEL_WHY_DEADLINE;
	return reason_id(cause) || cause == &reason_unknown ? CANCEL_WHY_REQUEST : CANCEL_WHY_PROGRAM;
}

void cancel_task_why(const struct cancel_task *face, struct cancel_why *why)
{
	const struct task *task = (const struct task *)face;
	const struct cancel_cause *cause = cancel_token_cause(cancel_task_token(face));

	*why = (struct cancel_why){.kind = CANCEL_WHY_NOT, .text = ""};
	if (!cause)
		return;
	why->kind = kind_of(task, cause);
	why->text = cause->text;
	why->cause = cause;
	if (why->kind != CANCEL_WHY_REQUEST)
		return;
	why->request = cancel_cause_request(cause);
	why->id = reason_id(cause);
}
