/* Wait until a request is decided, woken by the watch and by nothing else.
 *
 * The watch is opened before the first look, so that no decision falls between. What is known of the request
 * comes from two sides: looking it up, and the watch's report of its decision, which may still show what a
 * later request of the same name has replaced by the time of the next look. */
#include "options.h"
#include "output.h"
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
};

struct wait {
	const struct verb_context *context;
	const struct cancel_request *standing;
	int64_t deadline_ms; /* or WAIT_FOREVER */
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

static int64_t monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* For poll: -1 is for ever, and a very long wait is taken in turns. */
static int time_left_ms(const struct wait *wait)
{
	int64_t left_ms;

	if (wait->deadline_ms == WAIT_FOREVER)
		return -1;
	left_ms = wait->deadline_ms - monotonic_ms();
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
	return strcmp(request->request_id, wait->standing->request_id) == 0;
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
static void turn(struct wait *wait, struct cancel_watch *watch)
{
	struct pollfd item = {.fd = cancel_watch_fd(watch), .events = POLLIN};
	struct cancel_error error;
	int ready = poll(&item, 1, time_left_ms(wait));

	if (ready == 0 && time_left_ms(wait) == 0) {
		run_out(wait);
		return;
	}
	if (ready < 0 && errno != EINTR) {
		(void)fprintf(stderr, "cancelreq: cannot wait: %s\n", strerror(errno));
		wait->exit_code = EXIT_REFUSED;
		return;
	}
	if (cancel_watch_dispatch(watch, on_event, wait, &error) < 0)
		wait->exit_code = failure(&error);
	if (wait->exit_code == GO_ON)
		look(wait);
}

int wait_run(const struct verb_context *context, const struct cancel_request *standing)
{
	struct wait wait = {
		.context = context, .standing = standing, .deadline_ms = WAIT_FOREVER, .exit_code = GO_ON};
	struct cancel_watch_options options = context->config->watch;
	struct cancel_watch *watch;
	struct cancel_error error;

	output_flush(); /* whoever reads may want to know the request before its end */
	if (context->options->wait_ms != WAIT_FOREVER)
		wait.deadline_ms = monotonic_ms() + context->options->wait_ms;
	options.take_drops = false;
	options.skip_standing = true;
	if (cancel_watch_open(&watch, context->spool, &options, &error) < 0)
		return failure(&error);
	look(&wait);
	while (wait.exit_code == GO_ON)
		turn(&wait, watch);
	cancel_watch_close(watch);
	return wait.exit_code;
}
