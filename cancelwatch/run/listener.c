#include "listener.h"

#include <cancel/cause.h>
#include <cancel/clock.h>

#include <signal.h>

#define STACK_SIZE (128 * 1024)

static const struct cancel_cause over = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the command has ended");

static void *listen(void *arg)
{
	struct listener *listener = arg;

	(void)cancel_task_wait(listener->task, CANCEL_FOREVER);
	return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct listener *listener)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int error;

	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&listener->thread, &attributes, listen, listener);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return -error;
}

int listener_start(struct listener *listener, struct cancel_task *task)
{
	int error;

	if (listener->runs)
		return 0;
	listener->task = task;
	error = start_thread(listener);
	listener->runs = error == 0;
	return error;
}

void listener_stop(struct listener *listener)
{
	if (!listener->runs)
		return;
	(void)cancel_task_cancel(listener->task, &over);
	(void)pthread_join(listener->thread, NULL);
	listener->runs = false;
}
