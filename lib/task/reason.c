#include "reason.h"

#include "entry.h"

#include <cancel/task.h>

#include <stdlib.h>
#include <string.h>

struct reason {
	struct cancel_cause cause;
	struct cancel_request request;
	char id[];
};

const struct cancel_cause reason_unknown =
	CANCEL_CAUSE_INIT(CANCEL_KIND_REQUESTED, "cancelled by a request; there was no memory to say more");

static void reason_release(struct cancel_cause *cause)
{
	struct reason *reason = (struct reason *)cause;

	cancel_request_clear(&reason->request);
	free(reason);
}

static const struct reason *reason_of(const struct cancel_cause *cause)
{
	return cause && cause->release == reason_release ? (const struct reason *)cause : NULL;
}

const struct cancel_cause *reason_new(struct cancel_request *request, const char *id)
{
	size_t size = strlen(id) + 1;
	struct reason *reason = malloc(sizeof *reason + size);

	if (!reason) {
		cancel_request_clear(request);
		return NULL;
	}
	memcpy(reason->id, id, size);
	request_move(&reason->request, request);
	reason->cause = (struct cancel_cause)CANCEL_CAUSE_INIT(
		CANCEL_KIND_REQUESTED, reason->request.reason ? reason->request.reason : "");
	reason->cause.detail = &reason->request;
	reason->cause.release = reason_release;
	return &reason->cause;
}

const char *reason_id(const struct cancel_cause *cause)
{
	const struct reason *reason = reason_of(cause);

	return reason ? reason->id : NULL;
}

const struct cancel_request *cancel_cause_request(const struct cancel_cause *cause)
{
	const struct reason *reason = reason_of(cause);

	return reason ? &reason->request : NULL;
}
