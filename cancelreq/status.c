/* Everything that is known of one name. */
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/request.h>
#include <cancel/spool.h>
#include <cancel/text.h>

#include <inttypes.h>

static void say_label(const char *label)
{
	output("%-10s", label);
}

static void say_text(const char *label, const char *text)
{
	if (!text)
		return;
	say_label(label);
	output_escaped(text);
	output("\n");
}

static void say_time(const char *label, int64_t time_us)
{
	char time[CANCEL_TIME_SIZE];
	int64_t age_us = now_us() - time_us;

	say_label(label);
	output("%s (", cancel_time_format(time, time_us));
	output("%s", age_us < 0 ? "in " : "");
	output_age(age_us < 0 ? -age_us : age_us);
	output("%s)\n", age_us < 0 ? "" : " ago");
}

static void say_party(const char *label, const struct cancel_party *party)
{
	const char *gap = "";

	say_label(label);
	if (party->name) {
		output_escaped(party->name);
		gap = ", ";
	}
	if (party->program) {
		output("%sprogram ", gap);
		output_escaped(party->program);
		gap = ", ";
	}
	if (party->uid >= 0) {
		output("%suid %" PRId64, gap, party->uid);
		gap = ", ";
	}
	if (party->pid >= 0) {
		output("%spid %" PRId64, gap, party->pid);
		gap = ", ";
	}
	if (party->run) {
		output("%srun ", gap);
		output_escaped(party->run);
		gap = ", ";
	}
	if (party->host) {
		output("%shost ", gap);
		output_escaped(party->host);
		gap = ", ";
	}
	output("%s\n", *gap ? "" : "unknown");
}

static void say_expiry(const struct cancel_request *request)
{
	char duration[CANCEL_DURATION_SIZE];

	if (request->expires_in_s <= 0) {
		say_text("expires", "never");
		return;
	}
	say_label("expires");
	output("%s after it was asked%s\n", cancel_duration_format(duration, request->expires_in_s * 1000),
	       cancel_request_expired(request) ? "; that time is over, and the next sweep decides it" : "");
}

static void say_pending(const struct cancel_request *request)
{
	if (request->cancel_at_us != 0)
		say_time("effective", request->cancel_at_us);
	say_expiry(request);
}

static void say_decision(const struct cancel_request *request)
{
	say_text("outcome", cancel_outcome_text(request->outcome));
	say_text("group", request->group);
	say_time("decided", request->processed_at_us);
	say_party("worker", &request->worker);
	say_text("detail", request->detail);
}

static void say_record(int found, const struct cancel_request *request)
{
	say_text("task", request->task_id);
	say_text("run", request->run);
	say_text("status", cancel_status_text(request->status));
	say_text("request", request->request_id);
	say_label("reason");
	output_reason(request);
	output("\n");
	say_time("asked", request->requested_at_us);
	say_party("by", &request->requester);
	if (request->malformed)
		say_text("note", "the file's text could not be used; its name says what to cancel");
	if (found == CANCEL_LOOKUP_PROCESSED)
		say_decision(request);
	else
		say_pending(request);
}

static void say_none(const struct options *options)
{
	output("nothing known of ");
	output_task(options->task_id, options->run);
	output("\n");
}

static void say(const struct options *options, int found, const struct cancel_request *request)
{
	if (options->quiet)
		return;
	if (found == CANCEL_LOOKUP_NONE && options->json)
		return;
	if (found == CANCEL_LOOKUP_NONE)
		say_none(options);
	else if (options->json)
		output_json(request);
	else
		say_record(found, request);
}

int status_run(const struct verb_context *context)
{
	const struct options *options = context->options;
	struct cancel_request request;
	struct cancel_error error;
	int found;

	cancel_request_init(&request);
	found = cancel_spool_lookup(context->spool, options->task_id, options->run, &request, &error);
	if (found < 0)
		return failure_of_words(&error);
	say(options, found, &request);
	cancel_request_clear(&request);
	return found == CANCEL_LOOKUP_NONE ? EXIT_NO : EXIT_DONE;
}
