/* pthread_cancel(3): no call of the library is a cancellation point, so that a thread that is asked to end
 * does not leave registrations on a stack that is gone. */
#include "token_calls.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdlib.h>

TestSuite(token_pthread, .timeout = 60);

static struct token_calls calls;
static struct cancel_source source, child;

static void use_waits(void)
{
	struct cancel_token tokens[2] = {cancel_source_token(&source), cancel_source_token(&child)};
	struct pollfd none = {.fd = -1};

	(void)cancel_token_wait(tokens[0], CANCEL_MILLISECOND);
	(void)cancel_token_wait_any(tokens, 2, CANCEL_MILLISECOND);
	(void)cancel_token_poll(tokens[0], &none, 1, CANCEL_MILLISECOND);
	(void)cancel_token_poll(CANCEL_TOKEN_NONE, &none, 1, CANCEL_MILLISECOND);
}

static void use_descriptors(void)
{
	struct cancel_fd fds[2];

	for (int i = 0; i < 2; i++)
		if (cancel_fd_open(&fds[i], cancel_source_token(&source)))
			return;
	cancel_fd_close(&fds[0]);
	(void)cancel_source_cancel(&source, NULL);
	cancel_fd_close(&fds[1]);
}

static void use_sources(void)
{
	struct token_callee callees[10];
	struct cancel_link link;

	(void)cancel_link_add(&link, &child, cancel_source_token(&source));
	token_callees_add(callees, 10, cancel_source_token(&child), &calls);
	(void)cancel_registration_remove(&callees[0].registration);
	(void)cancel_source_cancel(&source, NULL);
	(void)cancel_source_quiesce(&source, CANCEL_FOREVER);
	(void)cancel_linked_fini(&child, &link, 1);
	(void)cancel_source_fini(&source);
}

static void use_dispatcher(void)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;

	(void)cancel_dispatcher_start();
	(void)cancel_deadline_set(&deadline, &source, CANCEL_MILLISECOND, NULL);
	(void)cancel_token_wait(cancel_source_token(&source), CANCEL_FOREVER);
	if (cancel_source_cancel_deferred(&child, NULL) > 0)
		(void)cancel_source_fini(&child);
	(void)cancel_source_fini(&source);
	(void)cancel_dispatcher_stop();
}

struct use {
	const char *name;
	void (*act)(void);
};

static const struct use uses[] = {
	{"waits", use_waits},
	{"descriptors", use_descriptors},
	{"sources", use_sources},
	{"the dispatcher", use_dispatcher},
};

/* Asked to end before the first call. */
static void *use_while_asked_to_end(void *arg)
{
	const struct use *use = arg;

	(void)pthread_cancel(pthread_self());
	use->act();
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	return arg;
}

Test(token_pthread, no_call_is_a_cancellation_point)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		pthread_t thread;
		void *result;

		cancel_source_init(&source, NULL);
		cancel_source_init(&child, NULL);
		cr_assert_eq(pthread_create(&thread, NULL, use_while_asked_to_end, (void *)&uses[i]), 0);
		cr_assert_eq(pthread_join(thread, &result), 0);
		cr_assert_neq(result, PTHREAD_CANCELED, "the thread was ended in a call: %s", uses[i].name);
	}
}
