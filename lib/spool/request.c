#include <cancel/request.h>

#include "clock.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void cancel_request_init(struct cancel_request *request)
{
	static const struct cancel_party nobody = {.uid = -1, .gid = -1, .pid = -1};

	*request = (struct cancel_request){.requester = nobody, .worker = nobody};
}

void cancel_request_clear(struct cancel_request *request)
{
	if (!request)
		return;
	json_decref(request->json);
	free(request->storage);
	cancel_request_init(request);
}

/* Words of the record and of the programs' options. */
static const char *const status_texts[] = {
	[CANCEL_STATUS_PENDING] = "pending",
	[CANCEL_STATUS_PROCESSED] = "processed",
};
static const char *const outcome_texts[] = {
	[CANCEL_OUTCOME_NONE] = "none",		  [CANCEL_OUTCOME_STOPPED] = "stopped",
	[CANCEL_OUTCOME_FINISHED] = "finished",	  [CANCEL_OUTCOME_FAILED] = "failed",
	[CANCEL_OUTCOME_REFUSED] = "refused",	  [CANCEL_OUTCOME_WITHDRAWN] = "withdrawn",
	[CANCEL_OUTCOME_EXPIRED] = "expired",
};

#define OUTCOME_COUNT (sizeof outcome_texts / sizeof outcome_texts[0])

const char *cancel_status_text(enum cancel_status status)
{
	size_t index = (size_t)status;

	return index < sizeof status_texts / sizeof status_texts[0] ? status_texts[index] : "unknown";
}

const char *cancel_outcome_text(enum cancel_outcome outcome)
{
	size_t index = (size_t)outcome;

	return index < OUTCOME_COUNT ? outcome_texts[index] : "unknown";
}

int cancel_outcome_parse(const char *text)
{
	for (size_t i = CANCEL_OUTCOME_NONE + 1; i < OUTCOME_COUNT; i++)
		if (!strcmp(text, outcome_texts[i]))
			return (int)i;
	return -EINVAL;
}

bool cancel_request_expired(const struct cancel_request *request)
{
	int64_t age_us;

	if (request->expires_in_s <= 0)
		return false;
	/* The wall clock may be stepped; CLOCK_BOOTTIME may not, but means nothing in another boot. */
	if (request->boot_id[0] && !strcmp(request->boot_id, clock_boot_id()))
		age_us = (clock_boottime_ns() - request->boottime_ns) / NS_PER_US;
	else
		age_us = clock_realtime_us() - request->requested_at_us;
	return age_us / US_PER_S >= request->expires_in_s;
}

bool cancel_request_in_effect(const struct cancel_request *request)
{
	return request->cancel_at_us <= clock_realtime_us();
}
