/* Ask that one task be cancelled. */
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/request.h>
#include <cancel/spool.h>
#include <cancel/text.h>

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The file first: the system's own way of asking, through its name service, takes longer than the request. */
static const struct passwd *user_of(uid_t uid)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *user = NULL;

	while (file && (user = fgetpwent(file)) && user->pw_uid != uid)
		;
	if (file)
		(void)fclose(file);
	return user ? user : getpwuid(uid);
}

/* The login name of the effective user, or the user's number where the system has no name for it. */
static const char *own_name(void)
{
	static char number[24];
	const struct passwd *user = user_of(geteuid());

	if (user && user->pw_name && *user->pw_name)
		return user->pw_name;
	(void)snprintf(number, sizeof(number), "%ju", (uintmax_t)geteuid());
	return number;
}

void request_fill(struct cancel_request *request, const struct options *options)
{
	cancel_request_init(request);
	request->task_id = options->task_id;
	request->run = options->run;
	request->reason = options->reason;
	request->expires_in_s = options->expires_in_s;
	if (options->after_ms > 0)
		request->cancel_at_us = now_us() + options->after_ms * 1000;
	request->requester.name = options->by ? options->by : own_name();
}

static void say_when(const struct cancel_request *request)
{
	char time[CANCEL_TIME_SIZE];

	if (!cancel_request_in_effect(request))
		output(", takes effect at %s", cancel_time_format(time, request->cancel_at_us));
}

static void say_requested(const struct cancel_request *request)
{
	output("requested ");
	output_task(request->task_id, request->run);
	output(" (request %s)", request->request_id);
	say_when(request);
	output("\n");
}

static void say_already_pending(const struct cancel_request *standing)
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
	say_when(standing);
	output("\n");
}

static void say(const struct options *options, int result, const struct cancel_request *stands)
{
	if (options->quiet)
		return;
	if (options->json)
		output_json(stands);
	else if (result == CANCEL_ALREADY_PENDING)
		say_already_pending(stands);
	else
		say_requested(stands);
}

int request_run(const struct verb_context *context)
{
	struct cancel_request request;
	struct cancel_request standing;
	const struct cancel_request *stands;
	struct cancel_error error;
	int exit_code = EXIT_DONE;
	int result;

	request_fill(&request, context->options);
	cancel_request_init(&standing);
	result = cancel_spool_request(context->spool, &request, &standing, &error);
	if (result < 0)
		return failure_of_words(&error);

	stands = result == CANCEL_ALREADY_PENDING ? &standing : &request;
	say(context->options, result, stands);
	if (context->options->wait)
		exit_code = wait_run(context, stands);
	cancel_request_clear(&standing);
	cancel_request_clear(&request);
	return exit_code;
}
