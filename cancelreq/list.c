/* List requests, as they are met: nothing is sorted, so nothing is kept. */
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/list.h>
#include <cancel/request.h>

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>

struct listing {
	const struct options *options;
	int64_t refused;
};

static const char *state_of(const struct cancel_request *request)
{
	if (request->status == CANCEL_STATUS_PROCESSED)
		return cancel_outcome_text(request->outcome);
	return cancel_request_in_effect(request) ? "pending" : "scheduled";
}

/* State, age, task, by, reason; two blanks between columns, since widths are only known at the end. */
static void say_request(const struct cancel_request *request)
{
	output("%-9s  ", state_of(request));
	output_age(request_age_us(request));
	output("  ");
	output_task(request->task_id, request->run);
	output("  ");
	output_requester(request);
	output("  ");
	output_reason(request);
	output_group(request);
	output("\n");
}

static bool is_wanted(const struct options *options, const struct cancel_request *request)
{
	return !options->pattern || fnmatch(options->pattern, request->task_id, 0) == 0;
}

static void visit_refused(struct listing *listing, const struct cancel_list_entry *entry)
{
	listing->refused++;
	(void)fprintf(stderr, "cancelreq: %s\n", entry->refusal->text);
}

/* Ends the listing when nobody takes its lines any more. */
static int visit(void *arg, const struct cancel_list_entry *entry)
{
	struct listing *listing = arg;

	if (!entry->request)
		visit_refused(listing, entry);
	else if (!is_wanted(listing->options, entry->request))
		return 0;
	else if (listing->options->json)
		output_json(entry->request);
	else
		say_request(entry->request);
	return output_failed() ? 1 : 0;
}

int list_run(const struct verb_context *context)
{
	struct listing listing = {.options = context->options};
	struct cancel_error error;
	int result;

	if (context->options->running)
		return running_list(context);
	result = cancel_spool_list(context->spool, context->options->state, visit, &listing, &error);
	if (listing.refused > 0) {
		output_flush();
		(void)fprintf(stderr, "cancelreq: %" PRId64 " %s refused; see cancelwatch doctor\n",
			      listing.refused, listing.refused == 1 ? "entry" : "entries");
	}
	return result < 0 ? failure(&error) : EXIT_DONE;
}
