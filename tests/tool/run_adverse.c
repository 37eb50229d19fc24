/* `cancelwatch run` where things are against it: readers who do not read, limits, a second run beside it that
 * has the same process ids, requests that come when it is busy, and hooks and commands that leave something
 * behind.
 *
 * Mutations that this catches: a line or an object that is written as if writing never waited; a cgroup that
 * is found by a name which others have too; a hook whose leftovers nobody ends, or that is left out where the
 * command is being stopped already; a limit that is met only when something is to be stopped. */
#include "run_case.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TERMINATED = RUN_SIGNAL_BASE + SIGTERM,
	KILLED = RUN_SIGNAL_BASE + SIGKILL,
};

static struct process other; /* a second run */

static void tear_down(void)
{
	process_free(&other);
	run_tear_down();
}

TestSuite(run_adverse, .init = run_set_up, .fini = tear_down, .timeout = 120);

static void skip_unless_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("only root can do that");
}

static void send_to_run(int number)
{
	cr_assert_eq(kill(run_process.pid, number), 0);
}

/* --- readers who do not read ----------------------------------------------------------------------- */

/* A pipe that has a reader, who does not read, and no room left. It is full until the test has ended. */
static void make_full_pipe(void)
{
	const char *path = tool_path("full");
	int fd;

	cr_assert_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	while (write(fd, "x", 1) == 1)
		continue;
	cr_assert_eq(errno, EAGAIN);
}

#define WITH_FULL(stream, ...)                                                                               \
	do {                                                                                                 \
		make_full_pipe();                                                                            \
		RUN_START_BY("sh", "-c", "exec \"$@\" " stream "> \"$TASK_CANCELLATION_DIR/../full\"", "sh", \
			     RUN_BINARY, "run", __VA_ARGS__);                                                \
	} while (0)

Test(run_adverse, a_full_standard_error_holds_up_no_request)
{
	WITH_FULL("2", SOON, "task", "--", HOSTILE, "child", "session");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	run_expect_all_gone();
}

Test(run_adverse, a_full_standard_error_holds_up_no_timeout)
{
	WITH_FULL("2", SOON, "-t", "100ms", "task", "--", HOSTILE, "child", "session");
	run_expect_end(RUN_TIMED_OUT);
	run_expect_all_gone();
}

Test(run_adverse, a_full_standard_error_holds_up_no_sigterm)
{
	WITH_FULL("2", SOON, "task", "--", HOSTILE, "child", "session");
	run_await("ready\n");
	send_to_run(SIGTERM);
	run_expect_end(KILLED);
	run_expect_all_gone();
}

/* DESIGN.md, invariant 45 */
Test(run_adverse, a_full_standard_error_saves_nobody_from_the_death_of_the_face)
{
	WITH_FULL("2", LATER, "task", "--", "perl", "-e",
		  "$| = 1; $SIG{TERM} = sub { print \"got\\n\" }; print \"ready\\n\"; sleep 1 while 1");
	run_await("ready\n");
	run_ask("task");
	/* By then the line has been said, or dropped. */
	run_await("got\n");
	send_to_run(SIGKILL);
	run_expect_end(KILLED);
	cr_assert(tree_wait(NULL, 0), "left alive: %s", tree_text());
}

static bool is_decided(void *arg)
{
	(void)arg;
	return tool_count("processed") == 1;
}

/* It is decided, and the object is still to be written. */
static void stop_without_reader(void)
{
	WITH_FULL("", "--json", "task", "--", "sh", "-c", "echo ready >&2; exec sleep 1000");
	run_await_err("ready\n");
	run_ask("task");
	cr_assert(wait_until(is_decided, NULL, PROCESS_TIMEOUT_MS), "%s", tree_text());
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
}

Test(run_adverse, a_full_standard_output_holds_up_no_decision)
{
	stop_without_reader();
	send_to_run(SIGTERM);
	run_expect_end(RUN_CANCELLED);
	tool_expect_in(tool.err, "cancelwatch: cannot write to standard output: ");
	run_expect_all_gone();
}

Test(run_adverse, a_full_standard_output_keeps_no_supervisor_when_the_face_dies)
{
	stop_without_reader();
	send_to_run(SIGKILL);
	run_expect_end(KILLED);
	cr_assert(tree_wait(NULL, 0), "left alive: %s", tree_text());
}

/* It would have to wait for one, and listen to nothing else. */
Test(run_adverse, a_report_into_a_pipe_that_nobody_reads_is_refused)
{
	cr_assert_eq(mkfifo(tool_path("pipe"), 0600), 0);
	RUN("--report", tool_path("pipe"), "task", "--", "touch", tool_path("begun"));
	tool_expect_exit(RUN_FAILED);
	tool_expect_in(tool.err, "cancelwatch: cannot write '");
	tool_expect_in(tool.err, "/pipe': No such device or address\n");
	cr_assert_neq(access(tool_path("begun"), F_OK), 0);
}

Test(run_adverse, a_report_into_a_pipe_reaches_its_reader)
{
	char text[4096] = "";
	int fd;

	cr_assert_eq(mkfifo(tool_path("pipe"), 0600), 0);
	fd = open(tool_path("pipe"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	RUN("--report", tool_path("pipe"), "task", "--", "true");
	tool_expect(0, "", "");
	cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
	tool_expect_in(text, "\"outcome\": \"succeeded\"");
}

/* --- requests that come when it is busy ------------------------------------------------------------ */

/* DESIGN.md, invariant 46 */
Test(run_adverse, a_request_while_a_timeout_is_enforced_is_announced_and_runs_the_hook)
{
	RUN_START("--grace", "2s", "-t", "100ms", "--on-cancel", "echo \"hook $CANCEL_REASON\"", "task", "--",
		  DEAF);
	run_await_err("timed out after 100ms");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	tool_expect_in(tool.err, "cancelwatch: task: cancelled by alice: why; ");
	tool_expect_in(tool.out, "hook why\n");
	run_expect_all_gone();
}

Test(run_adverse, a_request_after_sigterm_is_announced_and_runs_the_hook)
{
	RUN_START("--grace", "2s", "--on-cancel", "echo \"hook $CANCEL_REASON\"", "task", "--", "sh", "-c",
		  "trap 'echo got' TERM; sleep 0.1; echo ready; while :; do sleep 0.02; done");
	run_await("ready\n");
	send_to_run(SIGTERM);
	run_await("got\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	tool_expect_in(tool.err, "cancelwatch: task: cancelled by alice: why; ");
	tool_expect_in(tool.out, "hook why\n");
	run_expect_all_gone();
}

/* --- what a hook leaves ---------------------------------------------------------------------------- */

static void expect_hook_gone(const char *detail)
{
	tool_expect_exit(RUN_CANCELLED);
	tool_expect_in(tool.out, "hook\n");
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, detail);
	run_expect_all_gone();
}

Test(run_adverse, what_a_hook_leaves_is_gone_where_the_command_never_started)
{
	run_ask("task");
	RUN(LATER, "--on-cancel", "echo hook; sleep 1000 & setsid sleep 1000 & exit 0", "task", "--", "true");
	expect_hook_gone("never started");
}

Test(run_adverse, what_a_hook_leaves_that_took_too_long_is_gone)
{
	run_ask("task");
	RUN(SOON, "--on-cancel", "echo hook; sleep 1000; exit 0", "task", "--", "true");
	expect_hook_gone("never started");
}

Test(run_adverse, what_a_hook_leaves_is_gone_between_two_tries)
{
	RUN_START(LATER, "-s", "KILL", "--on-cancel", "echo hook; " HOSTILE " session & sleep 1000 & exit 0", "--retries",
		  "5", "--retry-interval", "1h", "task", "--", "false");
	run_await_err("next try in 1h\n");
	run_ask("task");
	run_finish();
	expect_hook_gone("stopped between two tries");
}

/* --- signals from within --------------------------------------------------------------------------- */

/* As for timeout(1): an order to end is one, whoever gives it. */
Test(run_adverse, sigterm_of_a_descendant_ends_the_run)
{
	RUN(LATER, "--retries", "5", "--retry-interval", "0s", "task", "--", "sh", "-c",
	    "kill -TERM $(cut -d ' ' -f 4 /proc/$PPID/stat); exec sleep 1000");
	tool_expect(TERMINATED, "", "");
	run_expect_all_gone();
}

/* Often, because one that comes back at once may be taken for the first. */
Test(run_adverse, other_signals_of_the_command_to_its_group_do_not_come_back)
{
	RUN_START(LATER, "task", "--", "perl", "-e",
		  "$| = 1; my @all = qw(INT QUIT USR1); $SIG{$_} = sub { $n{$_[0]}++ } for @all; "
		  "$SIG{USR2} = sub { print \"@n{@all}\\n\"; exit 5 }; "
		  "for (1 .. 50) { kill $_ => 0 for @all } print \"ready\\n\"; sleep 1 while 1");
	run_await("ready\n");
	send_to_run(SIGUSR2);
	run_finish();
	tool_expect(5, "ready\n50 50 50\n", "");
}

/* --- limits ---------------------------------------------------------------------------------------- */

/* Its lease and what it decides are files, and too long ones then. */
Test(run_adverse, a_limit_of_file_sizes_is_the_command_s_and_kills_none_of_us)
{
	RUN_START_BY("prlimit", "--fsize=0", RUN_BINARY, "run", "task", "--", "sh", "-c", "exit 3");
	run_expect_end(3);
	RUN_START_BY("prlimit", "--fsize=0", RUN_BINARY, "run", "task", "--", "sh", "-c",
		     "echo x > $TASK_CANCELLATION_DIR/../file; exit 3");
	run_expect_end(RUN_SIGNAL_BASE + SIGXFSZ);
}

/* What a program writes into its standard error would be too long as well, but for a pipe. */
Test(run_adverse, a_limit_of_file_sizes_is_told_by_cancelreq)
{
	tool_shell("prlimit --fsize=0 " CANCELREQ " task why 2>&1 | cat; exit ${PIPESTATUS[0]}");
	tool_expect_exit(3);
	tool_expect_in(tool.out, "cancelreq: ");
	tool_expect_in(tool.out, "File too large");
	run_expect_none("task");
}

#define FEW "16" /* enough for a shell, too few for a spool and a tree */

Test(run_adverse, too_few_descriptors_are_told_before_anything_runs)
{
	RUN_START_BY("prlimit", "--nofile=" FEW ":" FEW, RUN_BINARY, "run", "task", "--", "touch",
		     tool_path("begun"));
	run_expect_end(RUN_FAILED);
	tool_expect_in(tool.err, "cancelwatch: cannot begin: there are too few descriptors");
	cr_assert_neq(access(tool_path("begun"), F_OK), 0);
	run_expect_none("task");
	run_expect_all_gone();
}

/* Nor does it take any number of them that is too low to do what it is for. */
Test(run_adverse, with_any_number_of_descriptors_it_stops_the_tree_or_does_not_begin)
{
	int refused = 0;

	for (int count = 12; count < 34; count += 3) {
		char limit[48];

		(void)snprintf(limit, sizeof(limit), "--nofile=%d:%d", count, count);
		RUN_START_BY("prlimit", limit, RUN_BINARY, "run", SOON, "-t", "100ms", "task", "--", HOSTILE,
			     "session");
		run_finish();
		refused += tool.exit_code == RUN_FAILED;
		cr_assert(tool.exit_code == RUN_FAILED || tool.exit_code == RUN_TIMED_OUT,
			  "%d: exit code %d, %s", count, tool.exit_code, tool.err);
		cr_assert_eq(tool.exit_code == RUN_FAILED, strstr(tool.out, "ready") == NULL, "%d: out: %s",
			     count, tool.out);
		run_expect_all_gone();
	}
	cr_assert(refused > 0 && refused < 8, "refused %d times", refused);
}

/* DESIGN.md, invariant 48 */
Test(run_adverse, a_soft_limit_of_descriptors_is_raised_for_us_and_not_for_the_command)
{
	struct rlimit limit;
	char line[96];

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 64)
		cr_skip_test("the hard limit is low here");
	RUN_START_BY("prlimit", "--nofile=" FEW ":", RUN_BINARY, "run", SOON, "task", "--", "sh", "-c",
		     "ulimit -Sn; ulimit -Hn; exec " HOSTILE " child session");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	(void)snprintf(line, sizeof(line), FEW "\n%llu\nready\n", (unsigned long long)limit.rlim_max);
	cr_assert_str_eq(tool.out, line);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	run_expect_all_gone();
}

/* Face, supervisor and command; there is no place for a thread. */
#define THREE "3"

static struct {
	char user[32], group[32], spool[96];
} somebody; /* who runs nothing else */

#define AS_SOMEBODY "setpriv", somebody.user, somebody.group, "--clear-groups"

static void invite_somebody(void)
{
	char line[512];
	long id = 1000000 + (long)getpid();

	skip_unless_root();
	(void)snprintf(somebody.user, sizeof(somebody.user), "--reuid=%ld", id);
	(void)snprintf(somebody.group, sizeof(somebody.group), "--regid=%ld", id);
	(void)snprintf(somebody.spool, sizeof(somebody.spool), "%s/somebody/spool", tool_dir.root);
	(void)snprintf(line, sizeof(line),
		       "chmod 0755 %s && chmod 0644 %s && install -d -m 0700 -o %ld %s && setpriv %s test "
		       "-x " RUN_BINARY,
		       tool_dir.root, tool_path("cancel.yaml"), id, tool_path("somebody"), somebody.user);
	tool_shell(line);
	if (tool.exit_code != 0)
		cr_skip_test("no other user can run things here: %s", tool.err);
}

/* Counted per user, and not for root. (The leak checker of some variants would want a thread too.) */
Test(run_adverse, where_no_thread_can_be_had_the_command_runs_and_requests_are_looked_for)
{
	invite_somebody();
	RUN_START_BY("env", "LSAN_OPTIONS=detect_leaks=0", "prlimit", "--nproc=" THREE, AS_SOMEBODY,
		     RUN_BINARY, "run", "--spool", somebody.spool, LATER, "task", "--", WAITING);
	run_await("ready\n");
	run_await_err("no thread can be had to wait for a request");
	tool_run(WORDS(AS_SOMEBODY, CANCELREQ, "-q", "--spool", somebody.spool, "task"), NULL);
	tool_expect_exit(0);
	run_expect_end(RUN_CANCELLED);
	tool_run(WORDS(AS_SOMEBODY, CANCELREQ, "--spool", somebody.spool, "--status", "--json", "task"),
		 NULL);
	cr_assert_str_eq(tool_plain(tool_field("[.outcome, .detail]")),
			 "[\"stopped\",\"terminated by SIGTERM after AGE\"]");
	run_expect_all_gone();
}

/* --- control groups -------------------------------------------------------------------------------- */

/* Below wherever we are, in either of the two places. Returns how many there are of that face. */
static int count_groups(pid_t face)
{
	char line[160];

	(void)snprintf(line, sizeof(line),
		       "find /sys/fs/cgroup -name 'cancelwatch-%ld' -o -name 'cancelwatch-%ld-*' | wc -l",
		       (long)face, (long)face);
	tool_shell(line);
	return atoi(tool.out);
}

/* One that lives on would keep it, and nobody would remove it later. */
Test(run_adverse, what_is_left_in_the_background_lives_on_and_keeps_no_control_group)
{
	pid_t face;

	RUN_START(LATER, "task", "--", "sh", "-c",
		  "sleep 1000 & setsid sleep 1000 & echo ready; "
		  "until [ -e $TASK_CANCELLATION_DIR/../go ]; do sleep 0.02; done; exit 3");
	run_await("ready\n");
	face = run_process.pid;
	if (count_groups(face) == 0)
		cr_skip_test("no control group can be made here");
	tool_write(tool_path("go"), "", 0);
	run_expect_end(3);
	cr_assert_eq(count_groups(face), 0, "%s", tool.out);
	cr_assert(tree_wait(NULL, 2), "%s", tree_text());
}

/* In each namespace the face is process 1, and the supervisor 2. */
#define IN_NAMESPACE "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", RUN_BINARY, "run", LATER

static pid_t command_in_namespace(const struct process *process)
{
	return tree_child(tree_child(tree_child(process->pid, NULL), NULL), NULL);
}

/* DESIGN.md, invariant 43 */
Test(run_adverse, the_control_group_of_a_run_with_the_same_process_ids_is_not_killed)
{
	run_skip_unless_mounts();
	RUN_START_BY(IN_NAMESPACE, "one", "--", WAITING);
	run_await("ready\n");
	tool_shell("find /sys/fs/cgroup -name 'cancelwatch-*' | grep -q .");
	if (tool.exit_code != 0)
		cr_skip_test("no control group can be made here");
	tool_start(&other, WORDS(IN_NAMESPACE, "other", "--", WAITING));
	cr_assert(process_wait_out(&other, "ready\n", PROCESS_TIMEOUT_MS));
	cr_assert_neq(command_in_namespace(&other), 0);
	cr_assert_eq(kill(tree_child(tree_child(other.pid, NULL), NULL), SIGKILL), 0);
	cr_assert(process_wait(&other, PROCESS_TIMEOUT_MS), "%s", tree_text());
	cr_assert_eq(other.exit_code, RUN_FAILED, "exit code %d: %s", other.exit_code, other.err);
	run_ask("one");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("one", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	run_expect_all_gone();
}
