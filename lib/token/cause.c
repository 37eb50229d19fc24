#include <cancel/cause.h>

static const struct cancel_cause requested = CANCEL_CAUSE_INIT(CANCEL_KIND_REQUESTED, "cancelled");
static const struct cancel_cause deadline = CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "deadline passed");

const struct cancel_cause *cancel_cause_requested(void)
{
	return &requested;
}

const struct cancel_cause *cancel_cause_deadline(void)
{
	return &deadline;
}

void cancel_cause_hold(const struct cancel_cause *cause)
{
	if (cause->release)
		(void)__atomic_fetch_add(&((struct cancel_cause *)cause)->holders, 1, __ATOMIC_RELAXED);
}

void cancel_cause_drop(const struct cancel_cause *cause)
{
	struct cancel_cause *counted = (struct cancel_cause *)cause;

	if (cause->release && __atomic_sub_fetch(&counted->holders, 1, __ATOMIC_ACQ_REL) == 0)
		cause->release(counted);
}
