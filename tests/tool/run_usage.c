/* What `cancelwatch run` takes for wrong usage, and what keeps it from beginning: 125 and one sentence each.
 */
#include "run_case.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(run_usage, .init = run_set_up, .fini = run_tear_down, .timeout = 120);

#define LONG_ID                                                                                              \
	"01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"89"
#define TOO_LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID LONG_ID

static const struct {
	const char *const arguments[24];
	const char *message;
} wrong_usages[] = {
	{{NULL}, "a task id is missing"},
	{{"--"}, "a task id is missing"},
	{{"-q"}, "a task id is missing"},
	{{"task"}, "a command is missing"},
	{{"task", "--"}, "a command is missing"},
	{{"--", "task"}, "a command is missing"},
	{{"--no-such", "task", "true"}, "option not understood: '--no-such'"},
	{{"-x", "task", "true"}, "option not understood: '-x'"},
	{{"--json=yes", "task", "true"}, "option not understood: '--json=yes'"},
	{{"--timeout"}, "a value is missing after '--timeout'"},
	{{"-k"}, "a value is missing after '-k'"},
	{{"-t", "soon", "task", "true"},
	 "--timeout expects a duration up to 3660d like 30s, 10m or seconds, found 'soon'"},
	{{"-t", "-1", "task", "true"}, "--timeout expects a duration up to 3660d like 30s, 10m or seconds, found '-1'"},
	{{"-t", "1.5", "task", "true"}, "--timeout expects a duration up to 3660d like 30s, 10m or seconds, found '1.5'"},
	{{"-t", "", "task", "true"}, "--timeout expects a duration up to 3660d like 30s, 10m or seconds, found ''"},
	{{"-t", "99999999999", "task", "true"},
	 "--timeout expects a duration up to 3660d like 30s, 10m or seconds, found '99999999999'"},
	{{"-k", "x\n", "task", "true"}, "--grace (--kill-after) expects a duration up to 3660d like 30s, 10m or seconds, found 'x\\n'"},
	{{"--kill-after", "x", "task", "true"},
	 "--grace (--kill-after) expects a duration up to 3660d like 30s, 10m or seconds, found 'x'"},
	{{"--cooperative", "x", "task", "true"},
	 "--cooperative expects a duration up to 3660d like 30s, 10m or seconds, found 'x'"},
	{{"--retry-interval", "x", "task", "true"},
	 "--retry-interval expects a duration up to 3660d like 30s, 10m or seconds, found 'x'"},
	{{"--retries", "-1", "task", "true"}, "--retries expects a number up to 1000000, found '-1'"},
	{{"--retries", "1000001", "task", "true"},
	 "--retries expects a number up to 1000000, found '1000001'"},
	{{"--retries", "two", "task", "true"}, "--retries expects a number up to 1000000, found 'two'"},
	{{"-s", "NOSUCH", "task", "true"}, "--signal expects a signal like TERM, INT or 15, found 'NOSUCH'"},
	{{"-s", "0", "task", "true"}, "--signal expects a signal like TERM, INT or 15, found '0'"},
	{{"-s", "65", "task", "true"}, "--signal expects a signal like TERM, INT or 15, found '65'"},
	{{"-s", "", "task", "true"}, "--signal expects a signal like TERM, INT or 15, found ''"},
	{{"--spool", "tmp", "task", "true"}, "--spool expects an absolute path, found 'tmp'"},
	{{"--also", "1", "--also", "2", "--also", "3", "--also", "4", "--also", "5",
	  "--also", "6", "--also", "7", "--also", "8", "--also", "9", "task",   "true"},
	 "--also is allowed 8 times, one too many is '9'"},
};

Test(run_usage, wrong_usage_is_one_line_that_names_the_option)
{
	for (size_t i = 0; i < sizeof(wrong_usages) / sizeof(wrong_usages[0]); i++) {
		const char *words[28] = {RUN_BINARY, "run"};
		char expected[256];

		(void)memcpy(words + 2, wrong_usages[i].arguments, sizeof(wrong_usages[i].arguments));
		tool_run(words, NULL);
		(void)snprintf(expected, sizeof(expected), "cancelwatch: %s; see 'cancelwatch run --help'\n",
			       wrong_usages[i].message);
		tool_expect(RUN_FAILED, "", expected);
	}
}

/* What the library says, after the words that were found. */
static const struct {
	const char *const arguments[8];
	const char *part;
} refused_ids[] = {
	{{"", "true"}, "task id"},
	{{TOO_LONG_ID, "true"}, "1024"},
	{{"\xff", "true"}, "UTF-8"},
	{{"--run", "", "task", "true"}, "run id"},
	{{"--also", "", "task", "true"}, "id"},
};

Test(run_usage, an_id_that_is_none_is_our_failure_and_nothing_is_started)
{
	for (size_t i = 0; i < sizeof(refused_ids) / sizeof(refused_ids[0]); i++) {
		const char *words[12] = {RUN_BINARY, "run"};

		(void)memcpy(words + 2, refused_ids[i].arguments, sizeof(refused_ids[i].arguments));
		tool_run(words, NULL);
		tool_expect_exit(RUN_FAILED);
		tool_expect_in(tool.err, refused_ids[i].part);
		cr_assert_eq(strcspn(tool.err, "\n") + 1, strlen(tool.err), "one line: %s", tool.err);
	}
}

Test(run_usage, the_environment_is_read_as_strictly)
{
	static const char *const variables[] = {"SCHEDULER_TASK_TIMEOUT=soon", "SCHEDULER_MAX_RETRIES=-1",
						"SCHEDULER_RETRY_INTERVAL=x"};

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		char name[32];

		tool_run(WORDS("env", variables[i], RUN_BINARY, "run", "task", "--", "true"), NULL);
		tool_expect_exit(RUN_FAILED);
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(variables[i], "="), variables[i]);
		tool_expect_in(tool.err, name);
	}
}

Test(run_usage, help_and_version_are_answers)
{
	RUN("--help");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "usage: cancelwatch run [OPTIONS] TASK_ID [--] COMMAND [ARG...]\n");
	for (char *line = strtok(tool.out, "\n"); line; line = strtok(NULL, "\n"))
		cr_assert_leq(strlen(line), 80, "%s", line);
	RUN("-h");
	tool_expect_exit(0);
	RUN("--version");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "cancelwatch 0.1.0 (libcancel 0.1.0)\n");
	tool_run(WORDS(RUN_BINARY, "--help"), NULL);
	tool_expect_in(tool.out, "cancelwatch run ");
}

/* --- the spool ------------------------------------------------------------------------------------- */

static void expect_no_spool(const char *spool, const char *part)
{
	RUN("--spool", spool, "task", "--", "touch", tool_path("begun"));
	tool_expect_exit(RUN_FAILED);
	tool_expect_in(tool.err, "cancelwatch: ");
	tool_expect_in(tool.err, part);
	cr_assert_eq(strcspn(tool.err, "\n") + 1, strlen(tool.err), "one line: %s", tool.err);
	cr_assert_neq(access(tool_path("begun"), F_OK), 0, "it was started");
	run_expect_all_gone();
}

Test(run_usage, a_spool_that_is_none_is_our_failure_and_nothing_is_started)
{
	tool_write(tool_path("file"), "", 0);
	expect_no_spool(tool_path("file"), "file");
	expect_no_spool("/proc/no/spool", "/proc/no");
}

#define NOBODY    "65534"
#define AS_NOBODY "setpriv", "--reuid=" NOBODY, "--regid=" NOBODY, "--clear-groups"

Test(run_usage, a_spool_of_somebody_else_is_our_failure_and_nothing_is_started)
{
	if (geteuid() != 0)
		cr_skip_test("only root can be somebody else");
	cr_assert_eq(chmod(tool_dir.root, 0755), 0);
	cr_assert_eq(chmod(tool_path("cancel.yaml"), 0644), 0);
	tool_run(WORDS(AS_NOBODY, RUN_BINARY, "run", "task", "--", "echo", "begun"), NULL);
	tool_expect_exit(RUN_FAILED);
	cr_assert_str_eq(tool.out, "");
	tool_expect_in(tool.err, "owned by uid 0");
}

Test(run_usage, a_configuration_that_is_not_understood_is_our_failure)
{
	tool_write(tool_path("bad.yaml"), "spool: [\n", 9);
	RUN("--config", tool_path("bad.yaml"), "task", "--", "echo", "begun");
	tool_expect_exit(RUN_FAILED);
	cr_assert_str_eq(tool.out, "");
	tool_expect_in(tool.err, "bad.yaml");
}

Test(run_usage, the_spool_is_that_of_the_configuration)
{
	char yaml[128];

	(void)snprintf(yaml, sizeof(yaml), "spool:\n  path: %s\n", tool_path("configured"));
	tool_write(tool_path("cancel.yaml"), yaml, strlen(yaml));
	tool_shell("unset TASK_CANCELLATION_DIR; exec " RUN_BINARY
		   " run task -- sh -c 'echo $TASK_CANCELLATION_DIR'");
	tool_expect(0, "DIR/configured\n", "");
}

/* A filesystem of its own, in a mount namespace of its own. */
static void mount_small(void)
{
	const char *place = tool_path("small");

	if (geteuid() != 0)
		cr_skip_test("only root can mount");
	if (mkdir(place, 0700) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("small", place, "tmpfs", 0, "size=256k,nr_inodes=64") < 0)
		cr_skip_test("cannot mount here");
}

/* The command is stopped all the same, and what cannot be decided stays pending. */
/* DESIGN.md, invariant 7 */
Test(run_usage, on_a_full_disk_the_command_is_stopped_and_the_request_stays_pending)
{
	char spool[128];
	pid_t supervisor;

	mount_small();
	(void)snprintf(spool, sizeof(spool), "%s/spool", tool_path("small"));
	(void)strcpy(tool_dir.path, spool);
	RUN_START(LATER, "--spool", spool, "task", "--", WAITING);
	run_await("ready\n");
	supervisor = run_supervisor();
	cr_assert_eq(kill(supervisor, SIGSTOP), 0);
	run_await_state(supervisor, 'T');
	run_ask("task");
	tool_run(WORDS("sh", "-c",
		       "exec 2>/dev/null; cd $1; cat /dev/zero > ballast; i=0; while : > $i; do i=$((i+1)); "
		       "done",
		       "sh", tool_path("small")),
		 NULL);
	cr_assert_eq(kill(supervisor, SIGCONT), 0);
	run_expect_end(RUN_CANCELLED);
	tool_expect_in(tool.err, "No space left on device");
	run_expect_pending("task");
	run_expect_all_gone();
}
