#include "decide.h"

#include "options.h"
#include "output.h"

#include <cancel/spool.h>

void say_decided(const struct options *options, const struct cancel_request *decided)
{
	if (options->quiet)
		return;
	if (options->json) {
		output_json(decided);
		return;
	}
	output("%s ", cancel_outcome_text(decided->outcome));
	output_task(decided->task_id, decided->run);
	output(" (request %s, by ", decided->request_id);
	output_requester(decided);
	output(", ");
	output_age(request_age_us(decided));
	output(" ago: ");
	output_reason(decided);
	output(")\n");
}

static void say_latest(const struct cancel_request *latest)
{
	output("; the latest request: %s", cancel_outcome_text(latest->outcome));
	output_group(latest);
	output_worker(&latest->worker);
	output(" ");
	output_age(now_us() > latest->processed_at_us ? now_us() - latest->processed_at_us : 0);
	output(" ago");
	if (latest->detail && *latest->detail) {
		output(": ");
		output_escaped(latest->detail);
	}
}

/* A run that finished leaves the request to another that is alive. */
static void say_left(const struct cancel_request *standing)
{
	output("left pending for another run that is alive: ");
	output_task(standing->task_id, standing->run);
	output(" (request %s); see cancelreq --list --running", standing->request_id);
}

int nothing_pending(const struct verb_context *context, const char *run)
{
	const struct options *options = context->options;
	struct cancel_request latest;
	struct cancel_error error;
	int found;

	if (options->quiet || options->json)
		return EXIT_NO;
	cancel_request_init(&latest);
	found = cancel_spool_lookup(context->spool, options->task_id, run, &latest, &error);
	if (found < 0)
		return failure_of_words(&error);
	if (found == CANCEL_LOOKUP_PENDING || found == CANCEL_LOOKUP_SCHEDULED) {
		say_left(&latest);
	} else {
		output("nothing pending for ");
		output_task(options->task_id, run);
	}
	if (found == CANCEL_LOOKUP_PROCESSED)
		say_latest(&latest);
	output("\n");
	cancel_request_clear(&latest);
	return EXIT_NO;
}
