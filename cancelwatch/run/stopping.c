/* Stopping a command: because of a request, its time, a signal, or because nobody is left who wants it. */
#include "command.h"
#include "hook.h"
#include "signal_name.h"
#include "supervision.h"
#include "survivors.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void say_kill(void *arg)
{
	const struct supervision *supervision = arg;
	char grace[CANCEL_DURATION_SIZE], name[SIGNAL_NAME_SIZE];

	say(supervision, "still there %s after %s; sending SIGKILL",
	    cancel_duration_format(grace, supervision->options->grace_ns / CANCEL_MILLISECOND),
	    signal_name(name, supervision->custody.sent));
}

static bool end_all(struct supervision *supervision, int number)
{
	const struct custody_steps steps = {
		.signal = number,
		.grace_ns = supervision->options->grace_ns,
		.on_kill = say_kill,
		.arg = supervision,
	};

	return custody_end(&supervision->custody, &steps);
}

/* It lives, although it was killed. */
static void judge_survivors(struct supervision *supervision)
{
	char survivors[CANCEL_DETAIL_MAX / 2];

	survivors_name(survivors, sizeof survivors);
	verdict_set(&supervision->verdict, VERDICT_NOT_STOPPED, COMMAND_NOT_OURS, "not stopped: %s",
		    survivors);
	say_failure(supervision, "%s", supervision->verdict.detail);
}

bool stop_leftovers(struct supervision *supervision)
{
	bool is_gone = end_all(supervision, supervision->options->signal);

	if (!is_gone)
		judge_survivors(supervision);
	return is_gone;
}

static void say_cancelled(const struct supervision *supervision, const struct cancel_why *why)
{
	const struct run_options *options = supervision->options;
	char by[CANCEL_ESCAPED_SIZE(CANCEL_PARTY_TEXT_MAX)] = "", reason[CANCEL_ERROR_TEXT_MAX / 2] = "";
	char next[CANCEL_DURATION_SIZE + 32], number[SIGNAL_NAME_SIZE], time[CANCEL_DURATION_SIZE];

	if (why->request != NULL && why->request->requester.name != NULL)
		(void)cancel_text_escape(by, sizeof by, why->request->requester.name,
					 strlen(why->request->requester.name));
	(void)cancel_text_escape(reason, sizeof reason, why->text, strlen(why->text));
	if (supervision->custody.command == 0)
		(void)snprintf(next, sizeof next, "it does not run");
	else if (options->cooperative_ns > 0)
		(void)snprintf(next, sizeof next, "it has %s to stop by itself",
			       cancel_duration_format(time, options->cooperative_ns / CANCEL_MILLISECOND));
	else
		(void)snprintf(next, sizeof next, "sending %s", signal_name(number, options->signal));
	say(supervision, "cancelled%s%s%s%s; %s", by[0] == '\0' ? "" : " by ", by,
	    reason[0] == '\0' ? "" : ": ", reason, next);
}

/* The request was noticed: what comes before the first signal. */
static void announce(struct supervision *supervision)
{
	const struct run_options *options = supervision->options;
	struct cancel_why why;

	cancel_task_why(supervision->task, &why);
	say_cancelled(supervision, &why);
	hook_set_environment(&why);
	if (options->on_cancel != NULL)
		hook_run(&supervision->custody, options->on_cancel,
			 cancel_clock_now_ns() + options->grace_ns);
}

/* Let it see by itself that it shall stop. */
static void cooperate(struct supervision *supervision)
{
	struct custody *custody = &supervision->custody;
	int64_t until_ns = cancel_clock_now_ns() + supervision->options->cooperative_ns;

	while (custody->command != 0 && !custody->is_orphaned) {
		enum custody_event event = custody_wait(custody, until_ns);

		if (event == CUSTODY_SIGNAL)
			custody_pass_signal(custody);
		if (event == CUSTODY_TIME || (event == CUSTODY_SIGNAL && custody->signal == SIGTERM))
			return;
	}
}

void stop_for_request(struct supervision *supervision)
{
	struct custody *custody = &supervision->custody;
	int64_t noticed_ns = cancel_clock_now_ns();
	bool was_alone, is_gone;

	announce(supervision);
	cooperate(supervision);
	was_alone = custody->command == 0;
	is_gone = end_all(supervision, supervision->options->signal);
	if (!is_gone)
		judge_survivors(supervision);
	else if (was_alone && status_is_success(custody->status))
		verdict_ended(&supervision->verdict, custody->status);
	else
		verdict_stopped(&supervision->verdict, custody->status, was_alone ? 0 : custody->sent,
				custody->was_killed && !was_alone, cancel_clock_now_ns() - noticed_ns);
}

/* A request came while it was being stopped for another reason: then it was cancelled. */
static void judge_late_request(struct supervision *supervision)
{
	struct custody *custody = &supervision->custody;
	int64_t now_ns = cancel_clock_now_ns();
	int64_t noticed_ns = custody->stop_at_ns > 0 ? custody->stop_at_ns : now_ns;
	int sent = custody->sent;
	bool was_killed = custody->was_killed;

	announce(supervision);
	if (stop_leftovers(supervision))
		verdict_stopped(&supervision->verdict, custody->status, sent, was_killed,
				now_ns - noticed_ns);
}

static void judge_time(struct supervision *supervision, const char *time)
{
	verdict_set(&supervision->verdict, VERDICT_TIMED_OUT, VERDICT_EXIT_TIMED_OUT, "timed out after %s",
		    time);
	supervision->verdict.has_status = true;
	supervision->verdict.status = supervision->custody.status;
}

void stop_for_time(struct supervision *supervision)
{
	char time[CANCEL_DURATION_SIZE], number[SIGNAL_NAME_SIZE];
	const struct run_options *options = supervision->options;

	cancel_duration_format(time, options->tries.timeout_ns / CANCEL_MILLISECOND);
	say(supervision, "timed out after %s; sending %s", time, signal_name(number, options->signal));
	if (!end_all(supervision, options->signal))
		judge_survivors(supervision);
	else if (supervision_is_cancelled(supervision))
		judge_late_request(supervision);
	else
		judge_time(supervision, time);
}

/* SIGTERM to us: it gets it, and what does not end by that is killed. */
void stop_for_signal(struct supervision *supervision)
{
	if (!end_all(supervision, SIGTERM))
		judge_survivors(supervision);
	else if (supervision_is_cancelled(supervision))
		judge_late_request(supervision);
	else
		verdict_ended(&supervision->verdict, supervision->custody.status);
}

void stop_orphaned(struct supervision *supervision)
{
	if (!custody_kill(&supervision->custody))
		judge_survivors(supervision);
	else
		verdict_set(&supervision->verdict, VERDICT_ORPHANED, COMMAND_NOT_OURS,
			    "its monitor was killed, and the command with it");
}

void stop_nothing(struct supervision *supervision, const char *detail)
{
	announce(supervision);
	if (stop_leftovers(supervision))
		verdict_set(&supervision->verdict, VERDICT_CANCELLED, VERDICT_EXIT_CANCELLED, "%s", detail);
}
