/*
 * A service's request: it stops when its client goes away, has 30 s in all, and its database query 10 s of
 * them. The cause says which it was, whoever asks.
 *
 * Time is a plugged clock that the work itself moves on, so that minutes pass at once.
 *
 *     request
 */
#include <cancel/cause.h>
#include <cancel/clock.h>
#include <cancel/deadline.h>
#include <cancel/link.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <stdio.h>
#include <stdlib.h>

#define SERVICE_LIMIT  (30 * CANCEL_SECOND)
#define DATABASE_LIMIT (10 * CANCEL_SECOND)

static const struct cancel_cause client_gone = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the client went away");
static const struct cancel_cause too_slow = CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "service timeout");
static const struct cancel_cause database_too_slow =
	CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "database timeout");

/* --- time ------------------------------------------------------------------------------------------- */

static int64_t time_ns;

static int64_t now_ns(void *arg)
{
	return *(const int64_t *)arg;
}

/* Work for so long, with a checkpoint every second. */
static int work(int seconds, struct cancel_token token)
{
	while (seconds-- > 0) {
		if (cancel_token_requested(token))
			return cancel_token_error(token);
		time_ns += CANCEL_SECOND;
		cancel_clock_advanced();
	}
	return cancel_token_error(token);
}

/* --- a part of the work ----------------------------------------------------------------------------- */

/* It stops with what is around it, or when its own time is up. */
struct scope {
	struct cancel_source source;
	struct cancel_link link;
	struct cancel_deadline deadline;
};

static void scope_end(struct scope *scope)
{
	cancel_deadline_stop(&scope->deadline);
	cancel_linked_fini(&scope->source, &scope->link, 1);
}

static int scope_begin(struct scope *scope, struct cancel_token around, int64_t limit_ns,
		       const struct cancel_cause *cause)
{
	int result = cancel_linked_init(&scope->source, NULL, &scope->link, &around, 1);

	if (result < 0)
		return result;
	scope->deadline = (struct cancel_deadline)CANCEL_DEADLINE_INIT;
	result = cancel_deadline_set(&scope->deadline, &scope->source, limit_ns, cause);
	if (result < 0)
		scope_end(scope);
	return result;
}

/* --- the service ------------------------------------------------------------------------------------ */

struct request {
	const char *name;
	int validating_s, querying_s, processing_s; /* how long each step takes */
	int patience_s;                             /* of its client */
};

static int query(const struct request *request, struct cancel_token around)
{
	struct scope scope;
	int result = scope_begin(&scope, around, DATABASE_LIMIT, &database_too_slow);

	if (result < 0)
		return result;
	result = work(request->querying_s, cancel_source_token(&scope.source));
	if (result < 0)
		printf("  the query was stopped: %s\n",
		       cancel_token_cause(cancel_source_token(&scope.source))->text);
	scope_end(&scope);
	return result;
}

static int handle(const struct request *request, struct cancel_token client)
{
	struct scope scope;
	struct cancel_token token = cancel_source_token(&scope.source);
	int result = scope_begin(&scope, client, SERVICE_LIMIT, &too_slow);

	if (result < 0)
		return result;
	result = work(request->validating_s, token);
	if (result == 0)
		result = query(request, token);
	if (result == 0)
		result = work(request->processing_s, token);
	if (cancel_token_requested(token))
		printf("  the request was stopped: %s\n", cancel_token_cause(token)->text);
	scope_end(&scope);
	return result;
}

/* A client is a source too, cancelled when he has waited long enough. */
static int serve(const struct request *request)
{
	struct cancel_source client = CANCEL_SOURCE_INIT;
	struct cancel_deadline patience = CANCEL_DEADLINE_INIT;
	int64_t began_ns = time_ns;
	int result;

	printf("%s\n", request->name);
	if (cancel_deadline_set(&patience, &client, request->patience_s * CANCEL_SECOND, &client_gone) < 0)
		return -1;
	result = handle(request, cancel_source_token(&client));
	printf("  %s after %d s\n", result == 0 ? "answered" : "given up",
	       (int)((time_ns - began_ns) / CANCEL_SECOND));
	cancel_deadline_stop(&patience);
	cancel_source_fini(&client);
	return 0;
}

int main(void)
{
	static const struct request requests[] = {
		{"a request like most", 1, 2, 3, 60},
		{"an impatient client", 1, 5, 3, 4},
		{"a query that takes too long", 1, 25, 3, 60},
		{"much to process", 1, 9, 100, 60},
	};
	struct cancel_clock clock = {now_ns, &time_ns};

	if (cancel_clock_plug(&clock) < 0)
		return EXIT_FAILURE;
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
		if (serve(&requests[i]) < 0)
			return EXIT_FAILURE;
	cancel_clock_plug(NULL);
	return EXIT_SUCCESS;
}
