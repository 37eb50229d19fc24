#include "verdict.h"

#include "command.h"
#include "signal_name.h"

#include <cancel/clock.h>

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TENTH_NS (CANCEL_SECOND / 10)

static const struct {
	const char *word;
	enum cancel_outcome outcome;
} kinds[] = {
	[VERDICT_ENDED] = {NULL, CANCEL_OUTCOME_FINISHED},
	[VERDICT_CANCELLED] = {"cancelled", CANCEL_OUTCOME_STOPPED},
	[VERDICT_TIMED_OUT] = {"timed-out", CANCEL_OUTCOME_FAILED},
	[VERDICT_NOT_STARTED] = {"not-started", CANCEL_OUTCOME_FAILED},
	[VERDICT_NOT_STOPPED] = {"not-stopped", CANCEL_OUTCOME_FAILED},
	[VERDICT_ORPHANED] = {"failed", CANCEL_OUTCOME_FAILED},
};

bool status_is_success(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int status_exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : COMMAND_BY_SIGNAL + WTERMSIG(status);
}

const char *status_text(char text[STATUS_TEXT_SIZE], int status)
{
	char name[SIGNAL_NAME_SIZE];

	if (WIFEXITED(status))
		(void)snprintf(text, STATUS_TEXT_SIZE, "exited with %d", WEXITSTATUS(status));
	else
		(void)snprintf(text, STATUS_TEXT_SIZE, "died of %s", signal_name(name, WTERMSIG(status)));
	return text;
}

void verdict_ended(struct verdict *verdict, int status)
{
	*verdict = (struct verdict){.kind = VERDICT_ENDED,
				    .has_status = true,
				    .status = status,
				    .exit_code = status_exit_code(status)};
	(void)status_text(verdict->detail, status);
}

/* "terminated by SIGTERM", "killed by SIGKILL", "exited with 3 after SIGTERM,", "exited with 3". */
static void say_how(char *text, size_t size, int status, int sent)
{
	char name[SIGNAL_NAME_SIZE];

	if (WIFSIGNALED(status))
		(void)snprintf(text, size, "%s by %s", WTERMSIG(status) == SIGKILL ? "killed" : "terminated",
			       signal_name(name, WTERMSIG(status)));
	else if (sent != 0)
		(void)snprintf(text, size, "exited with %d after %s,", WEXITSTATUS(status),
			       signal_name(name, sent));
	else
		(void)snprintf(text, size, "exited with %d", WEXITSTATUS(status));
}

void verdict_stopped(struct verdict *verdict, int status, int sent, bool was_killed, int64_t took_ns)
{
	bool only_rest = was_killed && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	char how[STATUS_TEXT_SIZE + SIGNAL_NAME_SIZE];

	*verdict = (struct verdict){.kind = VERDICT_CANCELLED,
				    .has_status = true,
				    .status = status,
				    .exit_code = VERDICT_EXIT_CANCELLED};
	say_how(how, sizeof how, status, sent);
	(void)snprintf(verdict->detail, sizeof verdict->detail, "%s after %" PRId64 ".%" PRId64 " s%s", how,
		       took_ns / CANCEL_SECOND, took_ns % CANCEL_SECOND / TENTH_NS,
		       only_rest ? "; what it had started was killed by SIGKILL" : "");
}

void verdict_set(struct verdict *verdict, enum verdict_kind kind, int exit_code, const char *format, ...)
{
	va_list arguments;

	verdict->kind = kind;
	verdict->exit_code = exit_code;
	va_start(arguments, format);
	(void)vsnprintf(verdict->detail, sizeof verdict->detail, format, arguments);
	va_end(arguments);
}

const char *verdict_word(const struct verdict *verdict)
{
	if (verdict->kind == VERDICT_ENDED)
		return verdict->exit_code == 0 ? "succeeded" : "failed";
	return kinds[verdict->kind].word;
}

enum cancel_outcome verdict_outcome(const struct verdict *verdict)
{
	return kinds[verdict->kind].outcome;
}
