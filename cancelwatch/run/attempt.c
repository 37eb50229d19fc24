/* One try: the command is started, and something ends it. */
#include "command.h"
#include "supervision.h"

#include <signal.h>
#include <string.h>

#define ASK_EVERY_NS (100 * CANCEL_MILLISECOND)
#define LISTEN_AFTER_NS \
	(5 * CANCEL_MILLISECOND) /* what ends sooner needs nobody who listens, nor the thread's time */

static void judge_not_started(struct supervision *supervision, int error, int exit_code)
{
	const char *program = supervision->options->command[0];
	char name[CANCEL_ERROR_TEXT_MAX / 2];

	(void)cancel_text_escape(name, sizeof name, program, strlen(program));
	verdict_set(&supervision->verdict, VERDICT_NOT_STARTED, exit_code, "cannot run '%s': %s", name,
		    strerror(-error));
	say_always("%s", supervision->verdict.detail);
}

/* One that asks by itself may have seen the request before we did, and ended because of it. */
static bool has_obeyed(struct supervision *supervision)
{
	return supervision->options->cooperative_ns > 0 && !status_is_success(supervision->custody.status) &&
	       cancel_task_check(supervision->task, NULL) == 1;
}

static void judge_end(struct supervision *supervision)
{
	int error = command_error();

	if (error < 0)
		judge_not_started(supervision, error, command_error_code(error));
	else if (has_obeyed(supervision))
		stop_for_request(supervision);
	else
		verdict_ended(&supervision->verdict, supervision->custody.status);
}

/* Returns whether the try is over. */
static bool handle_signal(struct supervision *supervision)
{
	if (supervision->custody.signal == SIGTERM) {
		stop_for_signal(supervision);
		return true;
	}
	custody_pass_signal(&supervision->custody);
	return false;
}

/* Returns whether the try is over. */
static bool handle(struct supervision *supervision, enum custody_event event)
{
	switch (event) {
	case CUSTODY_CHILD:
		if (supervision->custody.command != 0)
			return false;
		judge_end(supervision);
		return true;
	case CUSTODY_SIGNAL:
		return handle_signal(supervision);
	case CUSTODY_STOP:
		stop_for_request(supervision);
		return true;
	case CUSTODY_TIME:
		stop_for_time(supervision);
		return true;
	default:
		stop_orphaned(supervision);
		return true;
	}
}

void attempt_listen(struct supervision *supervision)
{
	int error = listener_start(&supervision->listener, supervision->task);

	if (error == 0 || supervision->asks)
		return;
	supervision->asks = true;
	say(supervision, "no thread can be had to wait for a request (%s): looking for one every 100 ms",
	    strerror(-error));
}

/* Without the listener: look, every now and then. */
static enum custody_event wait_and_ask(struct supervision *supervision, int64_t until_ns)
{
	for (;;) {
		int64_t ask_at_ns = supervision_after(ASK_EVERY_NS);
		enum custody_event event =
			custody_wait(&supervision->custody, ask_at_ns < until_ns ? ask_at_ns : until_ns);

		if (event != CUSTODY_TIME || ask_at_ns >= until_ns)
			return event;
		(void)cancel_task_check(supervision->task, NULL);
	}
}

enum custody_event attempt_wait(struct supervision *supervision, int64_t until_ns)
{
	return supervision->asks ? wait_and_ask(supervision, until_ns)
				 : custody_wait(&supervision->custody, until_ns);
}

/* What was asked for meanwhile the listener finds when it begins. Returns whether the try is over. */
static bool is_short(struct supervision *supervision, int64_t until_ns)
{
	int64_t listen_at_ns = supervision_after(LISTEN_AFTER_NS);

	if (listen_at_ns < until_ns)
		until_ns = listen_at_ns;
	for (;;) {
		enum custody_event event = custody_wait(&supervision->custody, until_ns);

		if (event == CUSTODY_TIME)
			return false;
		if (handle(supervision, event))
			return true;
	}
}

void attempt_make(struct supervision *supervision)
{
	int64_t until_ns = supervision_after(supervision->options->tries.timeout_ns);
	int error;

	supervision->verdict = (struct verdict){0};
	error = custody_start(&supervision->custody, supervision->options->command);
	if (error < 0) {
		judge_not_started(supervision, error, COMMAND_NOT_OURS);
		return;
	}
	if (is_short(supervision, until_ns))
		return;
	attempt_listen(supervision);
	while (!handle(supervision, attempt_wait(supervision, until_ns)))
		;
}
