/* Does a cancel stand? Never "no" because something failed. */
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/request.h>
#include <cancel/spool.h>
#include <cancel/text.h>

static void say_in_effect(const struct cancel_request *request)
{
	output_reason(request);
	output("\n");
}

static void say_scheduled(const struct cancel_request *request)
{
	char time[CANCEL_TIME_SIZE];

	output("takes effect at %s: ", cancel_time_format(time, request->cancel_at_us));
	output_reason(request);
	output("\n");
}

static void say(const struct options *options, int answer, const struct cancel_request *request)
{
	if (options->quiet || answer == 0)
		return;
	if (options->json)
		output_json(request);
	else if (answer == 1)
		say_in_effect(request);
	else
		say_scheduled(request);
}

int check_run(const struct verb_context *context)
{
	const struct options *options = context->options;
	struct cancel_request request;
	struct cancel_error error;
	int answer;

	cancel_request_init(&request);
	answer = cancel_spool_check(context->spool, options->task_id, options->run, NULL, &request, &error);
	if (answer < 0)
		return failure_of_words(&error);
	say(options, answer, &request);
	cancel_request_clear(&request);
	return answer == 1 ? EXIT_DONE : EXIT_NO;
}
