#include "stress_target.h"

#include "stress_run.h"

void stress_target_begin(struct stress_target *target)
{
	int code;

	cancel_source_init(&target->source, NULL);
	cancel_source_init(&target->parent, NULL);
	target->deadline = (struct cancel_deadline)CANCEL_DEADLINE_INIT;
	code = cancel_link_add(&target->link, &target->source, cancel_source_token(&target->parent));
	stress_expect(code == 0, "linking what is new says %d", code);
}

void stress_target_end(struct stress_target *target)
{
	int code;

	(void)cancel_deadline_stop(&target->deadline);
	code = cancel_linked_fini(&target->source, &target->link, 1);
	stress_expect(code == 0, "cancel_linked_fini says %d", code);
	code = cancel_source_fini(&target->parent);
	stress_expect(code == 0, "cancel_source_fini says %d", code);
}

/* --- ways to cancel ----------------------------------------------------------------------------------- */

static int cancel_here(struct stress_target *target, const struct cancel_cause *cause)
{
	return cancel_source_cancel(&target->source, cause);
}

static int cancel_deferred(struct stress_target *target, const struct cancel_cause *cause)
{
	return cancel_source_cancel_deferred(&target->source, cause);
}

static int cancel_as_from_signal(struct stress_target *target, const struct cancel_cause *cause)
{
	return cancel_source_cancel_from_signal(&target->source, cause);
}

static int cancel_parent(struct stress_target *target, const struct cancel_cause *cause)
{
	return cancel_source_cancel(&target->parent, cause);
}

static int set_overdue(struct stress_target *target, const struct cancel_cause *cause)
{
	return cancel_deadline_set(&target->deadline, &target->source, 0, cause);
}

static bool won_itself(const struct stress_target *target, int code, const struct cancel_cause *cause)
{
	(void)target;
	(void)cause;
	return code == 1;
}

static bool won_by_parent(const struct stress_target *target, int code, const struct cancel_cause *cause)
{
	(void)cause;
	stress_expect(code == 1, "cancelling the parent says %d", code);
	return cancel_link_fired(&target->link);
}

/* The call does not say it. */
static bool won_by_deadline(const struct stress_target *target, int code, const struct cancel_cause *cause)
{
	stress_expect(code == 0, "cancel_deadline_set says %d", code);
	return cancel_token_cause(cancel_source_token(&target->source)) == cause;
}

static const struct {
	const char *name;
	int (*cancel)(struct stress_target *target, const struct cancel_cause *cause);
	bool (*won)(const struct stress_target *target, int code, const struct cancel_cause *cause);
} ways[STRESS_WAYS] = {
	[STRESS_WAY_HERE] = {"cancel", cancel_here, won_itself},
	[STRESS_WAY_DEFERRED] = {"cancel_deferred", cancel_deferred, won_itself},
	[STRESS_WAY_FROM_SIGNAL] = {"cancel_from_signal", cancel_as_from_signal, won_itself},
	[STRESS_WAY_PARENT] = {"cancel the parent", cancel_parent, won_by_parent},
	[STRESS_WAY_OVERDUE] = {"deadline", set_overdue, won_by_deadline},
};

const char *stress_way_name(unsigned way)
{
	return ways[way].name;
}

int stress_cancel(struct stress_target *target, unsigned way, const struct cancel_cause *cause)
{
	return ways[way].cancel(target, cause);
}

bool stress_won(const struct stress_target *target, unsigned way, int code, const struct cancel_cause *cause)
{
	return ways[way].won(target, code, cause);
}
