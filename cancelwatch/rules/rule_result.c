#include "rule_result.h"

#include "run/command.h"
#include "run/signal_name.h"

#include <cancel/text.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TENTH_NS         INT64_C(100000000)
#define SIGNAL_TEXT_SIZE (SIGNAL_NAME_SIZE + 3)

/* As a shell has it: a command that exits like that by itself cannot be told from one that died of the
 * signal. */
static const char *signal_text(char text[SIGNAL_TEXT_SIZE], int exit_code)
{
	char name[SIGNAL_NAME_SIZE];
	int number = exit_code - COMMAND_BY_SIGNAL;

	if (number <= 0 || number >= SIGRTMIN)
		return "";
	(void)snprintf(text, SIGNAL_TEXT_SIZE, " (%s)", signal_name(name, number));
	return text;
}

static int print_end(char *text, size_t size, const struct rule_command *command, const char *name)
{
	char timeout[CANCEL_DURATION_SIZE], by_signal[SIGNAL_TEXT_SIZE];
	int64_t tenths = command->took_ns / TENTH_NS;

	if (rule_command_timed_out(command))
		return snprintf(text, size, "%s was ended, its time of %s was over", name,
				cancel_duration_format(timeout, command->timeout_ms));
	return snprintf(text, size, "%s exited with %d%s after %" PRId64 ".%d s", name, command->exit_code,
			signal_text(by_signal, command->exit_code), tenths / 10, (int)(tenths % 10));
}

const char *rule_result_text(char text[RULE_RESULT_SIZE], const struct rule_command *command,
			     const char *name)
{
	size_t used = (size_t)print_end(text, RULE_RESULT_SIZE, command, name);
	const char *last = command->output.last;

	if (*last == '\0' || used + 2 >= RULE_RESULT_SIZE)
		return text;
	(void)strcpy(text + used, ": ");
	cancel_text_escape(text + used + 2, RULE_RESULT_SIZE - used - 2, last, strlen(last));
	return text;
}

enum rule_result rule_result(const struct rule_command *command, enum cancel_rule_decide decide,
			     enum cancel_outcome *outcome)
{
	static const struct {
		int exit_code;
		enum cancel_outcome outcome;
	} outcomes[] = {
		{0, CANCEL_OUTCOME_STOPPED},
		{CANCEL_RULE_EXIT_FINISHED, CANCEL_OUTCOME_FINISHED},
		{CANCEL_RULE_EXIT_REFUSED, CANCEL_OUTCOME_REFUSED},
	};
	/* The other ways know one good exit. */
	size_t count = decide == CANCEL_RULE_BY_EXIT_STATUS ? sizeof outcomes / sizeof outcomes[0] : 1;

	for (size_t i = 0; i < count; i++) {
		if (outcomes[i].exit_code == command->exit_code) {
			*outcome = outcomes[i].outcome;
			return decide == CANCEL_RULE_NO ? RULE_RESULT_DONE : RULE_RESULT_DECIDE;
		}
	}
	return RULE_RESULT_FAILED;
}
