/*
 * One source for many requests, one after the other: it serves again as long as nobody cancelled it and
 * nothing is left on it. One that was cancelled is made anew, so that the next request is not hit by it.
 *
 *     pool
 */
#include <cancel/cause.h>
#include <cancel/deadline.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT (30 * CANCEL_SECOND)

static const struct cancel_cause hung_up = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the client hung up");

struct request {
	const char *name;
	bool hangs_up;
};

/* What the pool keeps. */
struct slot {
	struct cancel_source source;
	struct cancel_deadline deadline;
};

static int slot_take(struct slot *slot)
{
	return cancel_deadline_set(&slot->deadline, &slot->source, LIMIT, NULL);
}

static int slot_give_back(struct slot *slot)
{
	int result = cancel_source_try_reset(&slot->source, &slot->deadline);

	if (result < 0)
		return result; /* whoever served forgot to remove what he registered */
	if (result == 1) {
		printf("  the source is as new\n");
		return 0;
	}
	printf("  the source was cancelled, and is made anew\n");
	result = cancel_source_fini(&slot->source);
	cancel_source_init(&slot->source, NULL);
	return result;
}

static void serve(const struct request *request, struct slot *slot)
{
	struct cancel_token token = cancel_source_token(&slot->source);

	if (request->hangs_up)
		cancel_source_cancel(&slot->source, &hung_up);
	if (cancel_token_requested(token))
		printf("  stopped: %s\n", cancel_token_cause(token)->text);
	else
		printf("  answered\n");
}

int main(void)
{
	static const struct request requests[] = {{"first", false}, {"second", true}, {"third", false}};
	struct slot slot = {.source = CANCEL_SOURCE_INIT, .deadline = CANCEL_DEADLINE_INIT};

	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		printf("the %s request\n", requests[i].name);
		if (slot_take(&slot) < 0)
			return EXIT_FAILURE;
		serve(&requests[i], &slot);
		if (slot_give_back(&slot) < 0)
			return EXIT_FAILURE;
	}
	cancel_source_fini(&slot.source);
	return EXIT_SUCCESS;
}
