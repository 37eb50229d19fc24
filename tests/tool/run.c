/* How a `cancelwatch run` ends: its exit code, what it says, and how the request is decided. Each row of its
 * table is a test here, in run_stop.c or in run_tries.c. */
#include "asking.h"
#include "run_case.h"

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(run, .init = run_set_up, .fini = run_tear_down, .timeout = 120);

#define CANCELLED_BY "cancelwatch: task: cancelled by alice: why; "
#define SENDING_TERM CANCELLED_BY "sending SIGTERM\n"

/* Write a file that may be executed. */
static const char *script(const char *name, const char *text, mode_t mode)
{
	const char *path = tool_path(name);

	tool_write(path, text, strlen(text));
	cr_assert_eq(chmod(path, mode), 0);
	return path;
}

/* --- the command ends by itself -------------------------------------------------------------------- */

Test(run, a_command_that_ends_by_itself_gives_its_own_status)
{
	static const struct {
		const char *line;
		int exit_code;
	} commands[] = {
		{"exit 0", 0},
		{"exit 3", 3},
		{"exit 123", 123},
		{"exit 255", 255},
		{"kill -TERM $$", RUN_SIGNAL_BASE + SIGTERM},
		{"kill -KILL $$", RUN_SIGNAL_BASE + SIGKILL},
		{"kill -SEGV $$", RUN_SIGNAL_BASE + SIGSEGV},
		{"kill -USR1 $$", RUN_SIGNAL_BASE + SIGUSR1},
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		RUN("task", "--", "sh", "-c", commands[i].line);
		tool_expect(commands[i].exit_code, "", "");
		run_expect_none("task");
	}
	run_expect_all_gone();
}

Test(run, what_the_command_reads_and_writes_goes_where_it_goes_without_us)
{
	tool_run(WORDS(RUN_BINARY, "run", "task", "sh", "-c", "cat; echo wrong >&2"), "a line\n");
	tool_expect(0, "a line\n", "wrong\n");
}

Test(run, two_dashes_before_the_command_may_be_left_out_and_its_options_are_its_own)
{
	RUN("task", "echo", "-n", "--", "-q", "--json");
	tool_expect(0, "-- -q --json", "");
	RUN("--", "-rf", "echo", "-n", "x");
	tool_expect(0, "x", "");
	RUN("task", "--", "--", "x");
	tool_expect(RUN_NOT_FOUND, "", "cancelwatch: cannot run '--': No such file or directory\n");
}

/* No end of a child may be missed, however early it comes. */
Test(run, a_hundred_commands_that_end_at_once)
{
	for (int i = 0; i < 10; i++) {
		tool_shell("for i in $(seq 10); do " RUN_BINARY " run task -- true || exit; done");
		tool_expect(0, "", "");
	}
	cr_assert_eq(tool_count("runs"), 0, "a lease was left");
}

Test(run, what_a_command_left_in_the_background_is_left_alone)
{
	RUN(SOON, "task", "--", "sh", "-c", "sleep 1000 >&- 2>&- & sleep 1000 >&- 2>&- & exit 4");
	tool_expect(4, "", "");
	cr_assert(tree_wait(NULL, 2), "%s", tree_text());
}

Test(run, no_control_group_is_left)
{
	pid_t pid;
	char line[128];

	RUN_START(SOON, "task", "--", DEAF);
	run_await("ready\n");
	pid = run_supervisor();
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	(void)snprintf(line, sizeof(line), "find /sys/fs/cgroup -type d -name '*cancelwatch-%ld' 2>/dev/null",
		       (long)pid);
	tool_shell(line);
	cr_assert_str_eq(tool.out, "");
}

/* --- it cannot be started -------------------------------------------------------------------------- */

static void expect_cannot_run(const char *command, int exit_code, const char *why)
{
	char message[256];

	RUN("-q", "--retries", "3", "--retry-interval", "60s", "task", "--", command);
	(void)snprintf(message, sizeof(message), "cancelwatch: cannot run '%s': %s\n", tool_plain(command),
		       why);
	tool_expect(exit_code, "", message);
	run_expect_all_gone();
}

Test(run, a_command_that_is_not_there_is_127_and_is_not_tried_again)
{
	expect_cannot_run("no-such-command", RUN_NOT_FOUND, "No such file or directory");
	expect_cannot_run("/no/such/command", RUN_NOT_FOUND, "No such file or directory");
	expect_cannot_run("", RUN_NOT_FOUND, "No such file or directory");
}

Test(run, a_command_without_its_interpreter_is_127)
{
	expect_cannot_run(script("orphan", "#!/no/such/interpreter\n", 0755), RUN_NOT_FOUND,
			  "No such file or directory");
}

Test(run, a_command_that_may_not_be_executed_is_126)
{
	expect_cannot_run(script("text", "echo no\n", 0644), RUN_NOT_EXECUTABLE, "Permission denied");
}

Test(run, a_directory_is_126)
{
	expect_cannot_run(tool_dir.root, RUN_NOT_EXECUTABLE, "Permission denied");
}

Test(run, a_path_through_a_file_is_126)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/x", script("text", "", 0644));
	expect_cannot_run(path, RUN_NOT_EXECUTABLE, "Not a directory");
}

/* As execvp(3) does, and with it timeout(1), env(1) and nohup(1). */
Test(run, a_script_without_a_first_line_is_run_by_the_shell)
{
	RUN("task", "--", script("script", "echo \"$1\"; exit 4\n", 0755), "word");
	tool_expect(4, "word\n", "");
}

/* --- a request ------------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 46 */
Test(run, a_request_before_the_start_means_that_it_never_starts)
{
	run_ask("task");
	RUN("task", "--", "touch", tool_path("begun"));
	tool_expect_exit(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "never started");
	cr_assert_neq(access(tool_path("begun"), F_OK), 0, "it was started");
	run_expect_all_gone();
}

Test(run, a_request_that_was_decided_before_the_start_stops_nothing)
{
	run_ask("task");
	asking_decide(tool_dir.path, "task", CANCEL_OUTCOME_STOPPED, "before");
	RUN("task", "--", "sh", "-c", "exit 5");
	tool_expect(5, "", "");
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "before");
}

Test(run, a_request_sends_sigterm)
{
	RUN_START(LATER, "task", "--", WAITING);
	run_await("ready\n");
	run_ask("task");
	run_finish();
	tool_expect(RUN_CANCELLED, "ready\n", SENDING_TERM);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	run_expect_all_gone();
}

#define HANDLING(status) "sh", "-c", "trap 'exit " status "' TERM; echo ready; while :; do sleep 0.02; done"

Test(run, what_exits_after_sigterm_was_stopped_whatever_its_status)
{
	RUN_START(LATER, "task_3", "--", HANDLING("3"));
	run_await("ready\n");
	run_ask("task_3");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task_3", CANCEL_OUTCOME_STOPPED, "exited with 3 after SIGTERM, after AGE");
	RUN_START(LATER, "task_0", "--", HANDLING("0"));
	run_await("ready\n");
	run_ask("task_0");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task_0", CANCEL_OUTCOME_STOPPED, "exited with 0 after SIGTERM, after AGE");
	run_expect_all_gone();
}

Test(run, what_does_not_end_in_the_grace_is_killed)
{
	RUN_START("--grace", "250ms", "task", "--", DEAF);
	run_await("ready\n");
	run_ask("task");
	run_finish();
	tool_expect(RUN_CANCELLED, "ready\n",
		    SENDING_TERM "cancelwatch: task: still there 250ms after SIGTERM; sending SIGKILL\n");
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	run_expect_all_gone();
}

Test(run, a_grace_of_nothing_kills_at_once)
{
	RUN_START("-k", "0s", "task", "--", DEAF);
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	run_expect_all_gone();
}

Test(run, the_signal_can_be_chosen_by_name_or_number)
{
	static const struct {
		const char *option;
		const char *said;
		const char *detail;
	} signals[] = {
		{"INT", CANCELLED_BY "sending SIGINT\n", "terminated by SIGINT after AGE"},
		{"SIGUSR1", CANCELLED_BY "sending SIGUSR1\n", "terminated by SIGUSR1 after AGE"},
		{"1", CANCELLED_BY "sending SIGHUP\n", "terminated by SIGHUP after AGE"},
		{"9", CANCELLED_BY "sending SIGKILL\n", "killed by SIGKILL after AGE"},
	};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		RUN_START(LATER, "-s", signals[i].option, "task", "--", WAITING);
		run_await("ready\n");
		run_ask("task");
		run_finish();
		tool_expect(RUN_CANCELLED, "ready\n", signals[i].said);
		run_expect_record("task", CANCEL_OUTCOME_STOPPED, signals[i].detail);
	}
}

Test(run, quiet_says_nothing_of_it)
{
	RUN_START(SOON, "-q", "task", "--", DEAF);
	run_await("ready\n");
	run_ask("task");
	run_finish();
	tool_expect(RUN_CANCELLED, "ready\n", "");
}

/* The supervisor is stopped until the command has ended and the request is there. */
Test(run, a_request_that_comes_after_the_end_finds_it_finished)
{
	static const struct {
		const char *line;
		const char *detail;
		int exit_code;
	} ends[] = {
		{"exit 5", "exited with 5", 5},
		{"exit 0", "exited with 0", 0},
		{"kill -SEGV $$", "died of SIGSEGV", RUN_SIGNAL_BASE + SIGSEGV},
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char line[256];
		pid_t command, supervisor;

		(void)snprintf(line, sizeof(line), "until [ -e %s ]; do sleep 0.01; done; %s",
			       tool_path("go"), ends[i].line);
		RUN_START(SOON, "task", "--", "sh", "-c", line);
		command = run_command();
		supervisor = run_supervisor();
		cr_assert_eq(kill(supervisor, SIGSTOP), 0);
		tool_write(tool_path("go"), "", 0);
		run_await_state(command, 'Z');
		run_ask("task");
		cr_assert_eq(kill(supervisor, SIGCONT), 0);
		run_expect_end(ends[i].exit_code);
		run_expect_record("task", CANCEL_OUTCOME_FINISHED, ends[i].detail);
		(void)unlink(tool_path("go"));
	}
}

Test(run, a_request_for_another_task_stops_nobody)
{
	RUN_START(SOON, "task", "--", WAITING);
	run_await("ready\n");
	run_ask("task_2");
	run_ask("tas");
	cr_assert_eq(kill(run_command(), SIGKILL), 0);
	run_expect_end(RUN_SIGNAL_BASE + SIGKILL);
	run_expect_pending("task_2");
	run_expect_pending("tas");
}

/* Somebody else's decision, made while it runs: that is how a foreign requester may stop it. */
Test(run, a_request_that_is_withdrawn_in_time_stops_nobody)
{
	tool_shell("exec " CANCELREQ " -q --after 1h task");
	RUN_START(SOON, "task", "--", WAITING);
	run_await("ready\n");
	tool_shell("exec " CANCELREQ " -q --withdraw task");
	tool_expect_exit(0);
	cr_assert_eq(kill(run_command(), SIGKILL), 0);
	run_expect_end(RUN_SIGNAL_BASE + SIGKILL);
	run_expect_record("task", CANCEL_OUTCOME_WITHDRAWN, NULL);
}

/* --- time of its own ------------------------------------------------------------------------------- */

/* Ends with `status` as soon as it is asked to. */
#define ASKING(status)                                                                                     \
	"sh", "-c",                                                                                        \
		"echo ready; until " CANCELREQ " --check -q -- \"$CANCEL_TASK_ID\"; do sleep 0.02; done; " \
		"exit " status

Test(run, a_cooperative_command_ends_by_itself_and_was_stopped)
{
	RUN_START(LATER, "--cooperative", "30s", "task", "--", ASKING("3"));
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "exited with 3 after AGE");
}

Test(run, a_cooperative_command_that_succeeds_has_finished)
{
	RUN_START(LATER, "--cooperative", "30s", "task", "--", ASKING("0"));
	run_await("ready\n");
	run_ask("task");
	run_expect_end(0);
	run_expect_record("task", CANCEL_OUTCOME_FINISHED, "exited with 0");
}

/* It has seen the request and ended before the supervisor goes on. */
Test(run, a_cooperative_command_that_is_faster_than_us_was_stopped_too)
{
	pid_t command, supervisor;

	RUN_START(LATER, "--cooperative", "30s", "--retries", "1", "--retry-interval", "1h", "task", "--",
		  ASKING("3"));
	run_await("ready\n");
	command = run_command();
	supervisor = run_supervisor();
	cr_assert_eq(kill(supervisor, SIGSTOP), 0);
	run_ask("task");
	run_await_state(command, 'Z');
	cr_assert_eq(kill(supervisor, SIGCONT), 0);
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "exited with 3 after AGE");
}

Test(run, a_command_that_does_not_use_its_cooperative_time_gets_the_signal)
{
	RUN_START(LATER, "--cooperative", "100ms", "task", "--", WAITING);
	run_await("ready\n");
	run_ask("task");
	run_finish();
	tool_expect(RUN_CANCELLED, "ready\n", CANCELLED_BY "it has 100ms to stop by itself\n");
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
}

Test(run, a_command_may_acknowledge_the_request_itself)
{
	RUN_START(LATER, "--cooperative", "30s", "task", "--", "sh", "-c",
		  "echo ready; until " CANCELREQ " --check -q task; do sleep 0.02; done; " CANCELREQ
		  " --ack -q --detail 'half of it' task; exit 3");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "half of it");
}

/* --- the hook -------------------------------------------------------------------------------------- */

Test(run, the_hook_knows_the_reason_the_requester_and_the_request)
{
	RUN_START(LATER, "--on-cancel",
		  "echo \"$CANCEL_TASK_ID $CANCEL_REASON $CANCEL_REQUESTER $CANCEL_REQUEST_ID "
		  "$TASK_CANCELLATION_DIR\"",
		  "task", "--", WAITING);
	run_await("ready\n");
	run_ask("task");
	run_finish();
	tool_expect(RUN_CANCELLED, "ready\ntask why alice ID DIR/spool\n", SENDING_TERM);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
}

/* A reason is somebody else's text. */
Test(run, the_hook_is_not_written_by_who_asks)
{
	static const char reason[] = "$(touch /dev/shm/cancel-injected); `x`; 'q' \"q\"";

	RUN_START(LATER, "--on-cancel", "printf '%s\\n' \"$CANCEL_REASON\"", "task", "--", WAITING);
	run_await("ready\n");
	asking_request(tool_dir.path, "task", reason, CANCEL_EXPIRES_DEFAULT);
	run_expect_end(RUN_CANCELLED);
	tool_expect_in(tool.out, reason);
	cr_assert_neq(access("/dev/shm/cancel-injected", F_OK), 0);
}

Test(run, the_hook_comes_before_the_signal)
{
	RUN_START(LATER, "--on-cancel", "echo hook", "task", "--", "sh", "-c",
		  "trap 'echo signal; exit 3' TERM; echo ready; while :; do sleep 0.02; done");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	cr_assert_str_eq(tool.out, "ready\nhook\nsignal\n");
}

Test(run, a_hook_that_hangs_is_killed_with_all_that_it_started)
{
	RUN_START("--grace", "200ms", "--on-cancel", HOSTILE " child orphan session", "task", "--", WAITING);
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED,
			  "terminated by SIGTERM after AGE; what it had started was killed by SIGKILL");
	run_expect_all_gone();
}

Test(run, a_hook_that_fails_changes_nothing)
{
	RUN_START(LATER, "--on-cancel", "exit 9", "task", "--", WAITING);
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
}

/* The command ends well while the hook still runs, so no signal of ours had any part in it. */
Test(run, a_command_that_succeeds_before_the_first_signal_has_finished)
{
	char command[256], hook[512];

	(void)snprintf(command, sizeof(command),
		       "echo $$ > %s; echo ready; until [ -e %s ]; do sleep 0.01; done; exit 0",
		       tool_path("pid"), tool_path("go"));
	(void)snprintf(
		hook, sizeof(hook),
		"touch %s; while grep -qv '^[0-9]* (.*) Z' /proc/$(cat %s)/stat 2>/dev/null; do :; done",
		tool_path("go"), tool_path("pid"));
	RUN_START(LATER, "--on-cancel", hook, "task", "--", "sh", "-c", command);
	run_await("ready\n");
	run_ask("task");
	run_expect_end(0);
	run_expect_record("task", CANCEL_OUTCOME_FINISHED, "exited with 0");
}

Test(run, there_is_no_hook_without_a_request)
{
	RUN("--on-cancel", "echo hook", "--timeout", "100ms", "task", "--", "sleep", "1000");
	tool_expect_exit(RUN_TIMED_OUT);
	cr_assert_str_eq(tool.out, "");
}

/* --- which requests -------------------------------------------------------------------------------- */

Test(run, a_request_for_this_run_stops_it)
{
	RUN_START(LATER, "--run", "r1", "task", "--", WAITING);
	run_await("ready\n");
	tool_shell("exec " CANCELREQ " -q --run r2 task");
	tool_shell("exec " CANCELREQ " -q --run r1 task");
	run_expect_end(RUN_CANCELLED);
	tool_shell("exec " CANCELREQ " --status --json --run r1 task");
	tool_expect_field("[.outcome, .detail[:13]]", "[\"stopped\",\"terminated by\"]");
	tool_shell("exec " CANCELREQ " --status --json --run r2 task");
	tool_expect_field(".status", "\"pending\"");
}

Test(run, a_request_for_a_group_stops_its_members_and_stays)
{
	RUN_START(LATER, "--also", "tenant", "--also", "all", "task", "--", WAITING);
	run_await("ready\n");
	run_ask("all");
	run_expect_end(RUN_CANCELLED);
	run_expect_pending("all");
	run_expect_none("tenant");
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	RUN("--also", "all", "task_2", "--", "touch", tool_path("begun"));
	tool_expect_exit(RUN_CANCELLED);
	run_expect_record("task_2", CANCEL_OUTCOME_STOPPED, "never started");
	cr_assert_neq(access(tool_path("begun"), F_OK), 0, "it was started");
}

Test(run, others_see_who_runs_it)
{
	char expected[64];

	RUN_START(LATER, "--run", "r1", "--also", "tenant", "task", "--", WAITING);
	run_await("ready\n");
	tool_shell("exec " CANCELREQ " --list --running --json");
	tool_expect_field("[.task_id, .run, .also]", "[\"task\",\"r1\",[\"tenant\"]]");
	(void)snprintf(expected, sizeof(expected), "%ld", (long)run_supervisor());
	tool_expect_field(".pid", expected);
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	cr_assert_eq(tool_count("runs"), 0, "a lease was left");
}

/* Two runs of one task: a request is for both. */
Test(run, a_request_stops_all_runs_of_the_task)
{
	struct process other = {0};

	RUN_START(LATER, "task", "--", WAITING);
	tool_start(&other, WORDS(RUN_BINARY, "run", LATER, "task", "--", WAITING));
	run_await("ready\n");
	cr_assert(process_wait_out(&other, "ready\n", PROCESS_TIMEOUT_MS));
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	cr_assert(process_wait(&other, PROCESS_TIMEOUT_MS));
	cr_assert_eq(other.exit_code, RUN_CANCELLED, "%s", other.err);
	process_free(&other);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
}

/* --- the command's environment --------------------------------------------------------------------- */

#define SHOW "env | grep -E '^(CANCEL_(TASK|RUN|RE)|TASK_CANC)' | sort"

Test(run, the_command_finds_its_task_and_the_spool_in_its_environment)
{
	RUN("--run", "r1", "task", "--", "sh", "-c", SHOW);
	tool_expect(0, "CANCEL_RUN_ID=r1\nCANCEL_TASK_ID=task\nTASK_CANCELLATION_DIR=DIR/spool\n", "");
	tool_shell("CANCEL_RUN_ID=stale CANCEL_TASK_ID=stale " RUN_BINARY " run task -- sh -c \"" SHOW "\"");
	tool_expect(0, "CANCEL_TASK_ID=task\nTASK_CANCELLATION_DIR=DIR/spool\n", "");
	RUN("--spool", tool_path("other"), "task", "--", "sh", "-c", SHOW);
	tool_expect(0, "CANCEL_TASK_ID=task\nTASK_CANCELLATION_DIR=DIR/other\n", "");
}
