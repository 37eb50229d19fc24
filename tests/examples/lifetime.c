/*
 * Events that happen once in a program's life: started, stopping, stopped. Whoever cares registers on them or
 * waits for them; "stopped" comes when everybody has done what he does at "stopping". SIGTERM is one way to
 * get there, and this program sends it to itself.
 *
 *     lifetime
 */
#include <cancel/cause.h>
#include <cancel/dispatcher.h>
#include <cancel/registration.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cancel_cause terminated = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "SIGTERM");

/* Static, because the handler needs it and it lasts as long as the program. */
static struct lifetime {
	struct cancel_source started, stopping, stopped;
} lifetime;

static void on_sigterm(int number)
{
	(void)number;
	cancel_source_cancel_from_signal(&lifetime.stopping, &terminated);
}

/* The dispatcher first: it calls the callbacks, which nobody may call in a handler. */
static int catch_sigterm(void)
{
	struct sigaction action = {.sa_handler = on_sigterm};
	int result = cancel_dispatcher_start();

	return result < 0 ? result : sigaction(SIGTERM, &action, NULL);
}

/* What is done at an event. At each the last to register is the first to be called: what began last ends
 * first. */
static struct service {
	struct cancel_source *event;
	const char *does;
	struct cancel_registration registration;
} services[] = {
	{.event = &lifetime.started, .does = "the service says that it is ready"},
	{.event = &lifetime.stopping, .does = "the log is written out"},
	{.event = &lifetime.stopping, .does = "the connections are closed"},
	{.event = &lifetime.stopping, .does = "no more work is accepted"},
	{.event = &lifetime.stopped, .does = "the lock file is removed"},
};

static void announce(void *arg, struct cancel_token token)
{
	const struct service *service = arg;

	(void)token;
	printf("  %s\n", service->does);
}

static void register_services(void)
{
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		cancel_registration_add(&services[i].registration, cancel_source_token(services[i].event),
					announce, &services[i]);
}

/* Until `stopping`, and until all who registered on it are done. */
static void run(void)
{
	printf("starting\n");
	cancel_source_cancel(&lifetime.started, NULL);
	printf("running\n");
	raise(SIGTERM);
	cancel_token_wait(cancel_source_token(&lifetime.stopping), CANCEL_FOREVER);
	cancel_source_quiesce(&lifetime.stopping, CANCEL_FOREVER);
	printf("stopped by %s\n", cancel_token_cause(cancel_source_token(&lifetime.stopping))->text);
	cancel_source_cancel(&lifetime.stopped, NULL);
}

int main(void)
{
	register_services();
	if (catch_sigterm() < 0) {
		fprintf(stderr, "lifetime: cannot catch SIGTERM\n");
		return EXIT_FAILURE;
	}
	run();
	return cancel_dispatcher_stop() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
