/* A built program, run in a spool of its own, and what it must say. Nothing of this machine's configuration
 * takes part. */
#ifndef SUPPORT_TOOL_H
#define SUPPORT_TOOL_H

#include "process.h"
#include "spool_dir.h"

#include <criterion/criterion.h>

#include <stddef.h>
#include <string.h>

extern struct spool_dir tool_dir; /* of this test; TASK_CANCELLATION_DIR of what is run is its path */
extern struct process tool;       /* the latest that was run, and what it said */

/* For a suite's .init and .fini. */
void tool_set_up(void);
void tool_tear_down(void);

/* Run a program, or a line of bash, to its end; `input` may be NULL. What it said is in `tool`. */
void tool_run(const char *const *arguments, const char *input);
void tool_shell(const char *line);

/* Start a program beside it. */
void tool_start(struct process *process, const char *const *arguments);
/* The environment of what is run, for a program that is traced. */
const char *const *tool_environment(void);

/* "<root>/<name>": a path in the test's private directory. Valid until three more were asked for. */
const char *tool_path(const char *name);

void tool_write(const char *path, const char *text, size_t length);

/* How many files there are in a folder of the spool. */
int tool_count(const char *folder);

/* `text` with what differs from run to run replaced: DIR, TIME, ID, "pid PID", AGE (as in "0.1 s"), " on
 * HOST". Valid until three more were asked for. */
const char *tool_plain(const char *text);

/* It ended so, and said exactly this, as tool_plain shows it. */
#define tool_expect(code, expected_out, expected_err)                                               \
	do {                                                                                        \
		cr_assert_eq(tool.exit_code, code, "exit code %d; out: %s err: %s", tool.exit_code, \
			     tool.out, tool.err);                                                   \
		cr_assert_str_eq(tool_plain(tool.out), expected_out);                               \
		cr_assert_str_eq(tool_plain(tool.err), expected_err);                               \
	} while (0)

/* It ended so; what it said is looked at elsewhere. */
#define tool_expect_exit(code)                                                                        \
	cr_assert_eq(tool.exit_code, code, "exit code %d; out: %s err: %s", tool.exit_code, tool.out, \
		     tool.err)

/* `part` is in `text`. */
#define tool_expect_in(text, part) cr_assert_not_null(strstr(text, part), "'%s' is not in: %s", part, text)

/* One value of the JSON that it wrote, as jq prints it. */
const char *tool_field(const char *filter);
#define tool_expect_field(filter, value) cr_assert_str_eq(tool_field(filter), value)

#endif
