/* What became of a command that was run as a task: in a word, a sentence, an exit code, and an outcome for
 * the request. */
#ifndef CANCELWATCH_VERDICT_H
#define CANCELWATCH_VERDICT_H

#include <cancel/limits.h>
#include <cancel/request.h>

#include <stdbool.h>
#include <stdint.h>

/* Exit codes of our own; command.h has the rest. */
enum {
	VERDICT_EXIT_CANCELLED = 123,
	VERDICT_EXIT_TIMED_OUT = 124,
};

enum verdict_kind {
	VERDICT_ENDED, /* by itself: succeeded, or failed */
	VERDICT_CANCELLED,
	VERDICT_TIMED_OUT,
	VERDICT_NOT_STARTED, /* it could not be */
	VERDICT_NOT_STOPPED, /* it should have been, and lives */
	VERDICT_ORPHANED,    /* the process that the user started was killed */
};

struct verdict {
	enum verdict_kind kind;
	bool has_status; /* the command ran, and has ended: */
	int status;      /* so, as of wait(2) */
	int exit_code;   /* ours */
	char detail[CANCEL_DETAIL_MAX + 1];
};

/* The command has ended by itself. */
void verdict_ended(struct verdict *verdict, int status);

/* It was ended. `sent`: the signal that was sent first, 0: none; `took_ns`: from when that was decided until
 * nothing of it was left; `was_killed`: SIGKILL was needed. */
void verdict_stopped(struct verdict *verdict, int status, int sent, bool was_killed, int64_t took_ns);

/* Anything else: the sentence says it. */
void verdict_set(struct verdict *verdict, enum verdict_kind kind, int exit_code, const char *format, ...)
	CANCEL_PRINTF(4, 5);

/* succeeded, failed, cancelled, timed-out, not-started, not-stopped. */
const char *verdict_word(const struct verdict *verdict);
/* How the request is decided, if there is one. */
enum cancel_outcome verdict_outcome(const struct verdict *verdict);

/* "exited with 3", "died of SIGSEGV". */
#define STATUS_TEXT_SIZE 64
const char *status_text(char text[STATUS_TEXT_SIZE], int status);
int status_exit_code(int status);
bool status_is_success(int status);

#endif
