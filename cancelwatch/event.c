#include "event.h"

#include <cancel/request.h>
#include <cancel/text.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static void add_party(struct printer *out, const struct cancel_party *party)
{
	if (party->name != NULL) {
		print_add(out, ", by ");
		print_text(out, party->name);
	}
	if (party->uid >= 0)
		print_add(out, ", uid %" PRId64, party->uid);
	if (party->pid >= 0)
		print_add(out, ", pid %" PRId64, party->pid);
	if (party->host != NULL) {
		print_add(out, " on ");
		print_text(out, party->host);
	}
}

static void add_times(struct printer *out, const struct cancel_request *request)
{
	char time[CANCEL_TIME_SIZE];
	char duration[CANCEL_DURATION_SIZE];

	if (!cancel_request_in_effect(request))
		print_add(out, ", takes effect %s", cancel_time_format(time, request->cancel_at_us));
	if (request->expires_in_s > 0)
		print_add(out, ", for %s", cancel_duration_format(duration, request->expires_in_s * 1000));
}

static void add_requested(struct printer *out, const struct cancel_event *event)
{
	const struct cancel_request *request = event->request;

	print_add(out, " (request %s", request->request_id);
	add_party(out, &request->requester);
	add_times(out, request);
	if (request->malformed)
		print_add(out, ", malformed");
	print_add(out, ")");
	if (request->reason != NULL) {
		print_add(out, ": ");
		print_text(out, request->reason);
	}
}

static void add_decided(struct printer *out, const struct cancel_event *event)
{
	const struct cancel_request *request = event->request;

	print_add(out, " %s", cancel_outcome_text(request->outcome));
	if (request->group != NULL) {
		print_add(out, " for ");
		print_word(out, request->group);
	}
	print_add(out, " (request %s", request->request_id);
	add_party(out, &request->worker);
	print_add(out, ")");
	if (request->detail != NULL) {
		print_add(out, ": ");
		print_text(out, request->detail);
	}
}

static void add_dropped(struct printer *out, const struct cancel_event *event)
{
	print_add(out, " (file ");
	print_text(out, event->file);
	print_add(out, event->request->malformed ? ", malformed)" : ")");
	if (event->text != NULL)
		print_add(out, ": %s", event->text);
}

/* What an event tells when it is not about a request. */
static void add_finding(struct printer *out, const struct cancel_event *event)
{
	if (event->file != NULL) {
		print_add(out, " ");
		print_word(out, event->file);
	}
	if (event->text != NULL)
		print_add(out, ": %s", event->text);
}

static void add_subject(struct printer *out, const struct cancel_request *request)
{
	print_word(out, request->task_id);
	if (request->run != NULL) {
		print_add(out, " run ");
		print_word(out, request->run);
	}
}

void event_print_text(struct printer *out, const struct cancel_event *event)
{
	char time[CANCEL_TIME_SIZE];

	print_add(out, "%s %s ", cancel_time_format(time, event->time_us), cancel_event_text(event->type));
	if (event->request == NULL) {
		print_add(out, "-");
		add_finding(out, event);
	} else {
		add_subject(out, event->request);
		if (event->type == CANCEL_EVENT_DECIDED)
			add_decided(out, event);
		else if (event->type == CANCEL_EVENT_DROPPED)
			add_dropped(out, event);
		else
			add_requested(out, event);
	}
	print_end(out);
}

static void add_record(struct printer *out, const struct cancel_request *request)
{
	char *json = cancel_request_json(request);

	if (json == NULL) {
		out->error = ENOMEM;
		return;
	}
	print_add(out, ", \"request\": ");
	print_json(out, json);
	if (request->malformed)
		print_add(out, ", \"malformed\": true");
	free(json);
}

static void add_field(struct printer *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	print_add(out, ", \"%s\": ", name);
	print_string(out, text);
}

void event_print_json(struct printer *out, const struct cancel_event *event)
{
	print_add(out, "{\"event\": \"%s\", \"time\": ", cancel_event_text(event->type));
	print_time(out, event->time_us);
	if (event->request != NULL)
		add_record(out, event->request);
	add_field(out, "file", event->file);
	add_field(out, "text", event->text);
	print_add(out, "}");
	print_end(out);
}
