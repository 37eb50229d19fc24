/* Wait until a request is decided, woken by the watch; or until nobody is left to decide it, which no event
 * tells, so the leases are looked at now and then.
 *
 * The watch is opened before the first look, so that no decision falls between. What is known of the request
 * comes from two sides: looking it up, and the watch's report of its decision, which may still show what a
 * later request of the same name has replaced by the time of the next look.
 *
 * A worker decides before it lets go of its lease. So when no lease is left, and the request is found pending
 * after that, nobody is going to answer it. Only the task's own runs count: the end of one that listens to a
 * group's id never decides the group's request. */
#include "options.h"
#include "output.h"
#include "running.h"
#include "verbs.h"

#include <cancel/request.h>
#include <cancel/spool.h>
#include <cancel/text.h>
#include <cancel/watch.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	GO_ON = -1, /* no exit code: nothing is known yet */
	LEASES_EVERY_MS = 200,
	/* Where there are very many leases, looking takes no more than one part in this of a processor's time. */
	LEASES_SHARE = 50,
};

struct wait {
	const struct verb_context *context;
	const struct cancel_request *standing;
	struct cancel_watch *watch;
	struct sighting *runs; /* who was seen running it last */
	int64_t deadline_ms;   /* or WAIT_FOREVER */
	int64_t leases_due_ms; /* when to look at the leases again */
	bool by_group;         /* runs of other tasks listen to it */
	int exit_code;
};

static const int exit_codes[] = {
	[CANCEL_OUTCOME_NONE] = EXIT_REFUSED,
	[CANCEL_OUTCOME_STOPPED] = EXIT_DONE,
	[CANCEL_OUTCOME_FINISHED] = EXIT_FINISHED_FIRST,
	[CANCEL_OUTCOME_FAILED] = EXIT_NOT_STOPPED,
	[CANCEL_OUTCOME_REFUSED] = EXIT_NOT_STOPPED,
	[CANCEL_OUTCOME_WITHDRAWN] = EXIT_TAKEN_BACK,
	[CANCEL_OUTCOME_EXPIRED] = EXIT_TAKEN_BACK,
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

static bool is_due(int64_t time_ms)
{
	return time_ms != WAIT_FOREVER && time_ms <= monotonic_ms();
}

/* For poll: until its time has run out, or the leases are due. */
static int sleep_ms(const struct wait *wait)
{
	int64_t until_ms = wait->leases_due_ms;
	int64_t left_ms;

	if (wait->deadline_ms != WAIT_FOREVER && wait->deadline_ms < until_ms)
		until_ms = wait->deadline_ms;
	left_ms = until_ms - monotonic_ms();
	if (left_ms <= 0)
		return 0;
	return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void say_decided(const struct cancel_request *decided)
{
	output("%s ", cancel_outcome_text(decided->outcome));
	output_task(decided->task_id, decided->run);
	output_worker(&decided->worker);
	output(" ");
	output_age(decision_age_us(decided));
	output(" after the request");
	if (decided->detail && *decided->detail) {
		output(": ");
		output_escaped(decided->detail);
	}
	output("\n");
}

static void settle(struct wait *wait, const struct cancel_request *decided)
{
	if (wait->exit_code != GO_ON)
		return;
	wait->exit_code = exit_codes[decided->outcome];
	if (wait->context->options->json)
		output_json(decided);
	else if (!wait->context->options->quiet)
		say_decided(decided);
}

/* The request is neither pending nor the latest that was decided: no record tells any more. */
static void lose(struct wait *wait, const char *what_happened)
{
	(void)fprintf(stderr, "cancelreq: cannot tell how request %s of '%s' ended: %s\n",
		      wait->standing->request_id, escaped(wait->standing->task_id), what_happened);
	wait->exit_code = EXIT_REFUSED;
}

static bool is_ours(const struct wait *wait, const struct cancel_request *request)
{
	/* A run that stopped for a group leaves a record with the id of the group's request, which stands. */
	return !request->group && strcmp(request->request_id, wait->standing->request_id) == 0;
}

static void judge(struct wait *wait, int found, const struct cancel_request *request)
{
	if (found == CANCEL_LOOKUP_NONE)
		lose(wait, "its record was removed");
	else if (found == CANCEL_LOOKUP_PROCESSED && is_ours(wait, request))
		settle(wait, request);
	else if (found == CANCEL_LOOKUP_PROCESSED)
		lose(wait, "a later request was decided since");
	else if (!is_ours(wait, request))
		lose(wait, "a later request stands now");
}

static void look(struct wait *wait)
{
	struct cancel_request request;
	struct cancel_error error;
	int found;

	cancel_request_init(&request);
	found = cancel_spool_lookup(wait->context->spool, wait->standing->task_id, wait->standing->run,
				    &request, &error);
	if (found < 0)
		wait->exit_code = failure(&error);
	else
		judge(wait, found, &request);
	cancel_request_clear(&request);
}

static void on_event(void *arg, const struct cancel_event *event)
{
	struct wait *wait = arg;

	if (event->type == CANCEL_EVENT_DECIDED && event->request && is_ours(wait, event->request))
		settle(wait, event->request);
}

static void look_at_events(struct wait *wait)
{
	struct cancel_error error;

	if (cancel_watch_dispatch(wait->watch, on_event, wait, &error) < 0)
		wait->exit_code = failure(&error);
	if (wait->exit_code == GO_ON)
		look(wait);
}

/* Nobody is left, and the request stands. */
static void give_up_on_run(struct wait *wait)
{
	const struct runner *last = &wait->runs->first;

	wait->exit_code = EXIT_DIED;
	if (wait->context->options->quiet || wait->context->options->json)
		return;
	output("the run is gone without an answer: ");
	output_task(last->task_id, last->run);
	output(" (");
	output_process(last->pid, last->host);
	output_others(wait->runs->count);
	output("); the request stays pending");
	if (cancel_request_in_effect(wait->standing))
		output(" and will stop %s",
		       wait->standing->run ? "that run if it begins again" : "the next run that begins");
	output("\n");
}

/* The request can be waited for all the same. */
static void leave_leases(struct wait *wait, const struct cancel_error *error)
{
	if (!wait->runs->failed)
		(void)failure(error);
	wait->runs->failed = true;
}

/* Take over who is seen now. Returns true when somebody was seen before and nobody is now. */
static bool see(struct wait *wait, struct sighting *now)
{
	bool was_running = wait->runs->count > 0;

	if (now->count == 0)
		return was_running;
	sighting_clear(wait->runs);
	*wait->runs = *now;
	wait->by_group |= now->by_group;
	return false;
}

static void look_at_leases(struct wait *wait)
{
	int64_t begun_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID); /* what others take of the machine is no cost of ours */
	struct sighting now = {0};
	struct cancel_error error;
	bool died = false;
	int64_t taken_ms;

	if (sighting_look(&now, wait->context->spool, wait->standing->task_id, wait->standing->run, &error) <
	    0)
		leave_leases(wait, &error);
	else
		died = see(wait, &now) && !wait->by_group;
	if (died)
		look_at_events(wait);
	if (died && wait->exit_code == GO_ON)
		give_up_on_run(wait);
	taken_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID) - begun_ms;
	wait->leases_due_ms =
		monotonic_ms() +
		(taken_ms * LEASES_SHARE > LEASES_EVERY_MS ? taken_ms * LEASES_SHARE : LEASES_EVERY_MS);
}

static void run_out(struct wait *wait)
{
	char duration[CANCEL_DURATION_SIZE];

	wait->exit_code = EXIT_STILL_PENDING;
	if (wait->context->options->quiet || wait->context->options->json)
		return;
	output("still pending ");
	output_task(wait->standing->task_id, wait->standing->run);
	output(" (request %s) after %s\n", wait->standing->request_id,
	       cancel_duration_format(duration, wait->context->options->wait_ms));
}

/* One sleep, and what woke it. */
static void turn(struct wait *wait)
{
	struct pollfd item = {.fd = cancel_watch_fd(wait->watch), .events = POLLIN};
	int ready = poll(&item, 1, sleep_ms(wait));

	if (ready < 0 && errno != EINTR) {
		(void)fprintf(stderr, "cancelreq: cannot wait: %s\n", strerror(errno));
		wait->exit_code = EXIT_REFUSED;
	} else if (ready > 0) {
		look_at_events(wait);
	}
	if (wait->exit_code == GO_ON && is_due(wait->deadline_ms))
		run_out(wait);
	if (wait->exit_code == GO_ON && is_due(wait->leases_due_ms))
		look_at_leases(wait);
}

int wait_run(const struct verb_context *context, const struct cancel_request *standing, struct sighting *runs)
{
	struct wait wait = {
		.context = context,
		.standing = standing,
		.runs = runs,
		.deadline_ms = WAIT_FOREVER,
		.by_group = runs->by_group,
		.exit_code = GO_ON,
	};
	struct cancel_watch_options options = context->config->watch;
	struct cancel_error error;

	output_flush(); /* whoever reads may want to know the request before its end */
	if (context->options->wait_ms != WAIT_FOREVER)
		wait.deadline_ms = monotonic_ms() + context->options->wait_ms;
	options.take_drops = false;
	options.skip_standing = true;
	if (cancel_watch_open(&wait.watch, context->spool, &options, &error) < 0)
		return failure(&error);
	look(&wait);
	if (wait.exit_code == GO_ON)
		look_at_leases(&wait);
	while (wait.exit_code == GO_ON)
		turn(&wait);
	cancel_watch_close(wait.watch);
	return wait.exit_code;
}
