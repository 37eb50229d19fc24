/* Trying until it is done: how often, and with what pauses. */
#include "command.h"
#include "supervision.h"

/* Whatever happened, also while it was being stopped for another reason. */
static bool may_go_on(const struct supervision *supervision)
{
	return !supervision->custody.is_orphaned && supervision->custody.told_to_end == 0 &&
	       !supervision_is_cancelled(supervision);
}

/* Also where it was cancelled meanwhile: then that is why there is none. */
static bool wants_another_try(const struct supervision *supervision)
{
	const struct verdict *verdict = &supervision->verdict;
	bool has_failed = verdict->kind == VERDICT_TIMED_OUT ||
			  (verdict->kind == VERDICT_ENDED && verdict->exit_code != 0);

	return has_failed && supervision->tries <= supervision->options->tries.retries &&
	       !supervision->custody.is_orphaned && supervision->custody.told_to_end == 0;
}

static void say_pause(const struct supervision *supervision, int64_t pause_ns)
{
	char pause[CANCEL_DURATION_SIZE];

	say(supervision, "try %u %s; next try in %s", supervision->tries, supervision->verdict.detail,
	    cancel_duration_format(pause, pause_ns / CANCEL_MILLISECOND));
}

/* Until the pause is over, or there shall be no other try. */
static void sleep_between(struct supervision *supervision, int64_t pause_ns)
{
	int64_t until_ns = supervision_after(pause_ns);

	while (may_go_on(supervision) && attempt_wait(supervision, until_ns) != CUSTODY_TIME)
		;
}

/* Returns whether there shall be another try. */
static bool judge_pause(struct supervision *supervision)
{
	struct custody *custody = &supervision->custody;

	if (supervision_is_cancelled(supervision))
		stop_nothing(supervision, "stopped between two tries");
	else if (custody->is_orphaned)
		stop_orphaned(supervision);
	else if (custody->told_to_end != 0)
		supervision->verdict.exit_code = COMMAND_BY_SIGNAL + custody->told_to_end;
	else
		return true;
	return false;
}

/* Returns whether there shall be another try. */
static bool wait_for_next_try(struct supervision *supervision)
{
	int64_t pause_ns = cancel_tries_pause_ns(&supervision->options->tries, supervision->tries);

	if (!supervision_is_cancelled(supervision))
		say_pause(supervision, pause_ns);
	/* What the last try left in the background must not meet the next one. */
	if (!stop_leftovers(supervision))
		return false;
	attempt_listen(supervision);
	sleep_between(supervision, pause_ns);
	return judge_pause(supervision);
}

void attempts_make(struct supervision *supervision)
{
	if (supervision_is_cancelled(supervision)) {
		supervision->custody.stop_fd = -1;
		stop_nothing(supervision, "never started");
		return;
	}
	do {
		supervision->tries++;
		attempt_make(supervision);
	} while (wants_another_try(supervision) && wait_for_next_try(supervision));
}
