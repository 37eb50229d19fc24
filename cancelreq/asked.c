#include "asked.h"

#include "output.h"
#include "running.h"

#include <cancel/spool.h>
#include <cancel/text.h>

#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)

/* --- terms -------------------------------------------------------------------------------------------- */

/* The time it takes effect is that which was asked for now, to the microsecond. A request that took effect
 * later and does so at once now cannot be told from one that always did. */
static bool is_sooner(const struct cancel_request *standing, const struct cancel_request *asked)
{
	return asked->cancel_at_us != 0 && standing->cancel_at_us == asked->cancel_at_us;
}

/* It expires when what was asked for now would, and that is not how it began: its age, in whole seconds, was
 * added. */
static bool lives_longer(const struct cancel_request *standing, const struct cancel_request *asked)
{
	int64_t age_s = request_age_us(standing) / SECOND_US;

	return asked->expires_in_s > 0 && age_s > 0 &&
	       llabs(standing->expires_in_s - age_s - asked->expires_in_s) <= 1;
}

static void say_when(const struct cancel_request *stands, const char *now)
{
	char time[CANCEL_TIME_SIZE];

	if (!cancel_request_in_effect(stands))
		output(", %stakes effect at %s", now, cancel_time_format(time, stands->cancel_at_us));
}

static void say_merged_life(const struct cancel_request *standing)
{
	char time[CANCEL_TIME_SIZE];

	output(", now expires at %s",
	       cancel_time_format(time, standing->requested_at_us + standing->expires_in_s * SECOND_US));
}

/* --- runs --------------------------------------------------------------------------------------------- */

/* The run goes without a name where that is exactly what was asked for. */
static bool has_other_name(const struct runner *runner, const struct cancel_request *stands)
{
	return strcmp(runner->task_id, stands->task_id) != 0 || (runner->run && !stands->run);
}

static void say_running(const struct sighting *runs, const struct cancel_request *stands)
{
	output("; running: ");
	if (has_other_name(&runs->first, stands)) {
		output_task(runs->first.task_id, runs->first.run);
		output(", ");
	}
	output_process(runs->first.pid, runs->first.host);
	output_since(runs->first.started_at_us);
	output_others(runs->count);
}

/* Which run one that takes effect later will stop, nobody knows. */
static void say_nobody(const struct cancel_request *stands)
{
	output("; nobody is running it now");
	if (cancel_request_in_effect(stands))
		output("; it will stop %s",
		       stands->run ? "that run when it begins" : "the next run that begins");
}

static void say_rule(const struct asked *asked)
{
	output("; no run of it is known; rule %zu (", asked->rule_number);
	output_escaped(asked->rule->match);
	output(") of cancelwatch is for it");
}

static void say_decided(const struct cancel_request *decided)
{
	output("; %s already", cancel_outcome_text(decided->outcome));
	output_worker(&decided->worker);
}

static void say_runs(const struct asked *asked)
{
	if (asked->decided)
		say_decided(asked->decided);
	else if (asked->runs && asked->runs->count > 0)
		say_running(asked->runs, asked->stands);
	else if (asked->rule)
		say_rule(asked);
	else if (asked->runs)
		say_nobody(asked->stands);
}

/* ------------------------------------------------------------------------------------------------------ */

static void say_requested(const struct cancel_request *request)
{
	output("requested ");
	output_task(request->task_id, request->run);
	output(" (request %s)", request->request_id);
	say_when(request, "");
}

static void say_already_pending(const struct cancel_request *standing, const struct cancel_request *request)
{
	output("already pending ");
	output_task(standing->task_id, standing->run);
	output(" (request %s, by ", standing->request_id);
	output_requester(standing);
	output(", ");
	output_age(request_age_us(standing));
	output(" ago: ");
	output_reason(standing);
	output(")");
	say_when(standing, is_sooner(standing, request) ? "now " : "");
	if (lives_longer(standing, request))
		say_merged_life(standing);
}

void say_asked(const struct asked *asked)
{
	if (asked->result == CANCEL_ALREADY_PENDING)
		say_already_pending(asked->stands, asked->request);
	else
		say_requested(asked->stands);
	say_runs(asked);
	output("\n");
}
