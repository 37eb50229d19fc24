#include "look.h"

#include "check.h"
#include "clock.h"
#include "hints.h"
#include "reason.h"

#include <errno.h>
#include <string.h>

/* --- finding ------------------------------------------------------------------------------------------ */

static int ask(struct task *task, size_t index, bool drops, struct cancel_request *request,
	       struct cancel_error *error)
{
	const struct listener *listener = &task->listeners[index];

	return spool_check_run(task_spool(task), listener->id, index == 0 ? task->run : NULL, &listener->mark,
			       drops, request, error);
}

static void keep_sooner(int64_t *sooner_us, int64_t time_us)
{
	if (time_us && (!*sooner_us || time_us < *sooner_us))
		*sooner_us = time_us;
}

/* A time that is still to come stays, even if nothing was found that takes effect then: another look may have
 * begun after this one and ended before it. One that has come is forgotten: what was to take effect has, or
 * it was withdrawn. */
static void keep_time(struct task *task, int64_t found_us)
{
	int64_t known_us = atomic_load(&task->effect_at_us);

	if (known_us > clock_realtime_us())
		keep_sooner(&found_us, known_us);
	atomic_store(&task->effect_at_us, found_us);
}

void look_find(struct task *task, bool drops, struct finding *finding)
{
	int64_t effect_at_us = 0;

	finding->index = 0;
	finding->answer = 0;
	finding->problem = (struct cancel_error){0, ""};
	cancel_request_init(&finding->request);
	for (size_t i = 0; i < task->count; i++) {
		struct cancel_error problem;
		int answer = ask(task, i, drops, &finding->request, &problem);

		if (answer == 1) {
			finding->answer = 1;
			finding->index = i;
			break;
		}
		if (answer < 0 && finding->answer == 0) {
			finding->answer = answer;
			finding->problem = problem;
		}
		if (answer == 2)
			keep_sooner(&effect_at_us, finding->request.cancel_at_us);
		cancel_request_clear(&finding->request);
	}
	keep_time(task, effect_at_us);
}

void look_keep_up(struct cancel_manager *manager)
{
	hints_renew(manager);
	trouble_tell_replaced(manager);
}

void look_keep_lease(struct task *task)
{
	struct cancel_error problem;

	if (task_keep_lease(task, &problem) < 0)
		trouble_note(task, TROUBLE_LEASE, &problem);
	else
		trouble_end(task, TROUBLE_LEASE);
}

/* --- acting ------------------------------------------------------------------------------------------- */

/* From publishing to now, where both are times of one clock and the run was going; -1: it says nothing. */
static int64_t latency_ns(const struct task *task, const struct cancel_request *request)
{
	if (request->cancel_at_us || !request->boot_id[0] || strcmp(request->boot_id, clock_boot_id()) ||
	    request->boottime_ns < task->started_boottime_ns)
		return -1;
	return clock_boottime_ns() - request->boottime_ns;
}

static void count_notice(struct cancel_spool *spool, int64_t latency)
{
	spool_enter_unchecked(spool);
	bell_count(spool, CANCEL_COUNT_NOTICED);
	if (latency >= 0)
		bell_count_notice(spool, latency);
	spool_leave(spool);
}

static const struct cancel_cause *cause_of(struct task *task, struct finding *finding)
{
	const struct cancel_cause *cause = reason_new(&finding->request, task->listeners[finding->index].id);

	return cause ? cause : &reason_unknown;
}

int look_act(struct task *task, struct finding *finding)
{
	int64_t latency = latency_ns(task, &finding->request);
	struct cancel_manager *manager = task->manager;
	const struct cancel_cause *cause;

	if (finding->answer < 0)
		trouble_note(task, TROUBLE_LOOK, &finding->problem);
	else
		trouble_end(task, TROUBLE_LOOK);
	if (finding->answer != 1)
		return finding->answer;
	cause = cause_of(task, finding);
	if (cancel_source_cancel(&task->face.source, cause) == 1)
		count_notice(manager->spool, latency);
	cancel_cause_drop(cause);
	return 1;
}

static bool cancel_deferred(struct task *task, struct finding *finding)
{
	int64_t latency = latency_ns(task, &finding->request);
	const struct cancel_cause *cause = cause_of(task, finding);
	int cancelled = cancel_source_cancel_deferred(&task->face.source, cause);
	struct cancel_error problem;

	if (cancelled == 1)
		count_notice(task_spool(task), latency);
	cancel_cause_drop(cause);
	if (cancelled >= 0)
		return true;
	(void)error_system(&problem, cancelled,
			   "cannot cancel task '%s': no thread can be had for its callbacks",
			   QUOTE(task->listeners[0].id));
	trouble_note(task, TROUBLE_LOOK, &problem);
	return false;
}

bool look_act_deferred(struct task *task, struct finding *finding)
{
	if (finding->answer == 1)
		return cancel_deferred(task, finding);
	if (finding->answer < 0)
		trouble_note(task, TROUBLE_LOOK, &finding->problem);
	else
		trouble_end(task, TROUBLE_LOOK);
	return finding->answer == 0;
}
