/* How `cancelwatch run` stops what it runs: signals, grace, and the tree of processes wherever its members
 * went. Every test ends with a look at a process that has nothing to do with it (run_case.h). */
#include "run_case.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FREEZER_DIR "/sys/fs/cgroup/freezer"

static char frozen[64]; /* a control group of the test's own; "" where there is none */

static void put(const char *file, const char *text)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", frozen, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		cr_skip_test("cannot write %s", path);
	(void)close(fd);
}

static bool remove_group(void *arg)
{
	(void)arg;
	return rmdir(frozen) == 0 || access(frozen, F_OK) != 0;
}

/* Frozen processes would outlive the test. */
static void thaw(void)
{
	char line[320];

	(void)snprintf(line, sizeof(line),
		       "cd %s && { echo THAWED > freezer.state; echo 0 > cgroup.freeze; "
		       "kill -KILL $(cat cgroup.procs); } 2>/dev/null",
		       frozen);
	if (*frozen)
		tool_shell(line);
}

static void tear_down(void)
{
	thaw();
	run_tear_down();
	if (*frozen)
		(void)wait_until(remove_group, NULL, PROCESS_TIMEOUT_MS);
}

TestSuite(run_stop, .init = run_set_up, .fini = tear_down, .timeout = 120);

static void expect_stopped(const char *detail)
{
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, detail);
	run_expect_all_gone();
}

static void stop(const char *detail)
{
	run_await("ready\n");
	run_ask("task");
	expect_stopped(detail);
}

/* --- trees ----------------------------------------------------------------------------------------- */

/* In a mount namespace where no control group can be made. */
#define WITHOUT_GROUPS               \
	"unshare", "-m", "sh", "-c", \
		"[ ! -d /sys/fs/cgroup ] || mount -t tmpfs none /sys/fs/cgroup && exec \"$@\"", "sh"

static void skip_unless_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("only root can do that");
}

#define TREE_TEST(name, ...)                                                                               \
	Test(run_stop, name)                                                                               \
	{                                                                                                  \
		RUN_START(SOON, "task", "--", HOSTILE, __VA_ARGS__);                                       \
		stop("killed by SIGKILL after AGE");                                                       \
	}                                                                                                  \
	Test(run_stop, name##_without_a_control_group)                                                     \
	{                                                                                                  \
		run_skip_unless_mounts();                                                                  \
		RUN_START_BY(WITHOUT_GROUPS, RUN_BINARY, "run", SOON, "task", "--", HOSTILE, __VA_ARGS__); \
		stop("killed by SIGKILL after AGE");                                                       \
	}

TREE_TEST(children_that_ignore_sigterm_are_gone, "child", "child")
TREE_TEST(what_forked_away_twice_is_gone, "orphan")
TREE_TEST(what_began_a_session_is_gone, "session")
TREE_TEST(what_made_a_group_of_its_own_is_gone, "group")
TREE_TEST(what_is_left_to_another_subreaper_is_gone, "reaper")
TREE_TEST(what_is_stopped_is_gone, "stopped")
TREE_TEST(what_closed_its_streams_is_gone, "silent")
TREE_TEST(what_lives_without_its_first_thread_is_gone, "leaderless")
TREE_TEST(what_comes_again_is_gone, "respawning")
TREE_TEST(what_keeps_forking_is_gone, "storm")
TREE_TEST(what_is_another_process_at_each_look_is_gone, "hopping")
TREE_TEST(all_of_them_together_are_gone, "child", "orphan", "session", "group", "reaper", "stopped", "silent",
	  "leaderless", "respawning", "storm", "hopping")

Test(run_stop, the_command_ends_at_the_signal_and_what_ignores_it_is_killed)
{
	RUN_START(SOON, "task", "--", "sh", "-c", HOSTILE " session & exec sleep 1000");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_all_gone();
}

Test(run_stop, every_process_of_the_tree_gets_the_signal)
{
	RUN_START(LATER, "task", "--", "sh", "-c",
		  "trap 'sleep 0.1; echo one; exit 0' TERM; "
		  "setsid sh -c 'trap \"echo two; exit 0\" TERM; echo ready; while :; do sleep 0.02; done' & "
		  "while :; do sleep 0.02; done");
	stop("exited with 0 after SIGTERM, after AGE");
	tool_expect_in(tool.out, "one\n");
	tool_expect_in(tool.out, "two\n");
}

Test(run_stop, what_is_started_after_the_signal_is_ended_too)
{
	RUN_START(SOON, "task", "--", "sh", "-c",
		  "trap 'setsid " HOSTILE " & exit 3' TERM; echo ready; while :; do sleep 0.02; done");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_all_gone();
}

static bool has_no_zombies(void *arg)
{
	return tree_zombies(*(pid_t *)arg) == 0;
}

Test(run_stop, orphans_are_reaped_while_the_command_runs)
{
	pid_t supervisor;

	RUN_START(LATER, "task", "--", "sh", "-c",
		  "for i in 1 2 3 4 5 6 7 8; do (sh -c 'exit 0' &) ; done; echo ready; exec sleep 1000");
	run_await("ready\n");
	supervisor = run_supervisor();
	/* What remains is the face, the supervisor and the command. */
	cr_assert(tree_wait(NULL, 3), "%s", tree_text());
	cr_assert(wait_until(has_no_zombies, &supervisor, PROCESS_TIMEOUT_MS));
	run_ask("task");
	expect_stopped("terminated by SIGTERM after AGE");
}

/* --- strangers ------------------------------------------------------------------------------------- */

/* They are our children, and no part of the task. */
/* DESIGN.md, invariant 43 */
Test(run_stop, children_that_were_there_before_us_are_not_touched)
{
	struct canary before = {0};

	RUN_START_BY("sh", "-c",
		     "env --block-signal sleep 1000 & exec " RUN_BINARY " run --grace 200ms task -- " HOSTILE
		     " child orphan");
	run_await("ready\n");
	before.pid = run_await_sleep();
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	cr_assert(canary_is_untouched(&before), "state %c", tree_state(before.pid));
	cr_assert_eq(tree_count(NULL), 1, "%s", tree_text());
}

Test(run_stop, those_with_the_same_task_id_in_their_environment_are_not_touched)
{
	struct canary same = {0};
	struct process stranger = {0};

	tool_start(&stranger, WORDS("env", "--block-signal", "CANCEL_TASK_ID=task", "sh", "-c",
				    "echo up; exec sleep 1000"));
	cr_assert(process_wait_out(&stranger, "up\n", PROCESS_TIMEOUT_MS));
	same.pid = stranger.pid;
	RUN_START(SOON, "task", "--", HOSTILE, "child", "session");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	cr_assert(canary_is_untouched(&same), "state %c", tree_state(same.pid));
	process_free(&stranger);
	run_expect_all_gone();
}

/* A run inside a run: the inner one is a task of its own, and part of the outer one. */
Test(run_stop, a_run_within_a_run_is_stopped_alone_and_with_the_outer_one)
{
	RUN_START(LATER, "outer", "--", "sh", "-c",
		  RUN_BINARY
		  " run -q inner -- sh -c 'echo one; exec sleep 1000'; echo \"inner $?\"; " RUN_BINARY
		  " run -q inner -- sh -c 'echo two; exec sleep 1000'");
	run_await("one\n");
	run_ask("inner");
	run_await("inner 123\n");
	run_await("two\n");
	run_ask("outer");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("inner", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	run_expect_all_gone();
}

/* --- stopped, frozen, out of reach ----------------------------------------------------------------- */

static void suspend_command(void)
{
	pid_t pid = run_command();

	cr_assert_eq(kill(pid, SIGSTOP), 0);
	run_await_state(pid, 'T');
}

Test(run_stop, a_stopped_command_is_continued_so_that_it_can_end)
{
	RUN_START(LATER, "task", "--", "sh", "-c",
		  "trap 'echo cleaned; exit 3' TERM; echo ready; while :; do sleep 0.02; done");
	run_await("ready\n");
	suspend_command();
	run_ask("task");
	expect_stopped("exited with 3 after SIGTERM, after AGE");
	tool_expect_in(tool.out, "cleaned\n");
}

Test(run_stop, a_stopped_command_is_no_ended_one)
{
	RUN_START(LATER, "task", "--", WAITING);
	run_await("ready\n");
	suspend_command();
	cr_assert_not(process_wait(&run_process, 50));
	cr_assert_eq(kill(run_command(), SIGCONT), 0);
	run_ask("task");
	expect_stopped("terminated by SIGTERM after AGE");
}

Test(run_stop, closed_streams_are_no_end)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "echo ready; exec <&- >&- 2>&-; touch %s; exec sleep 1000",
		       tool_path("closed"));
	RUN_START(LATER, "task", "--", "sh", "-c", line);
	run_await_file("closed");
	stop("terminated by SIGTERM after AGE");
}

/* Where control groups of version 2 are mounted: alone, or beside those of version 1. */
static const char *groups_dir(void)
{
	struct statfs about;

	if (statfs("/sys/fs/cgroup", &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC)
		return "/sys/fs/cgroup";
	return "/sys/fs/cgroup/unified";
}

static void make_group(const char *where)
{
	skip_unless_root();
	(void)snprintf(frozen, sizeof(frozen), "%s/cancel-test-%ld", where, (long)getpid());
	if (mkdir(frozen, 0755) < 0) {
		*frozen = '\0';
		cr_skip_test("no control group can be made in %s", where);
	}
}

static void move_command(void)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%ld", (long)run_command());
	put("cgroup.procs", text);
}

static bool is_frozen(void *arg)
{
	char line[128];

	(void)snprintf(line, sizeof(line), "grep -q '%s' %s", (const char *)arg, frozen);
	tool_shell(line);
	return tool.exit_code == 0;
}

static void await_frozen(const char *file, const char *line)
{
	size_t length = strlen(frozen);

	(void)snprintf(frozen + length, sizeof(frozen) - length, "/%s", file);
	cr_assert(wait_until(is_frozen, (void *)(uintptr_t)line, PROCESS_TIMEOUT_MS));
	frozen[length] = '\0';
}

Test(run_stop, a_command_in_a_frozen_control_group_is_killed)
{
	make_group(groups_dir());
	RUN_START(SOON, "task", "--", "sh", "-c",
		  "trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done");
	run_await("ready\n");
	move_command();
	put("cgroup.freeze", "1");
	await_frozen("cgroup.events", "^frozen 1");
	run_ask("task");
	expect_stopped("killed by SIGKILL after AGE");
}

/* SIGKILL reaches it when it is thawed, and so it stands for uninterruptible sleep. */
/* DESIGN.md, invariant 44 */
Test(run_stop, what_survives_sigkill_is_named_and_is_not_called_stopped)
{
	make_group(FREEZER_DIR);
	RUN_START(SOON, "--json", "task", "--", WAITING);
	run_await("ready\n");
	move_command();
	put("freezer.state", "FROZEN");
	await_frozen("freezer.state", "^FROZEN");
	run_ask("task");
	run_expect_end(RUN_FAILED);
	run_expect_record("task", CANCEL_OUTCOME_FAILED,
			  "not stopped: pid PID (sleep) survives SIGKILL, state D");
	tool_expect_in(tool_plain(tool.err), "not stopped: pid PID (sleep) survives SIGKILL, state D\n");
}

/* With names that take more room than there is, of characters that must not be cut. */
#define CROWD      "60"
#define CROWD_NAME "\xf0\x9f\x90\xa2\xf0\x9f\x90\xa2\xf0\x9f\x90\xa2"

/* DESIGN.md, invariant 44 */
Test(run_stop, as_many_survivors_are_named_as_there_is_room_for)
{
	char join[128];

	make_group(FREEZER_DIR);
	(void)snprintf(join, sizeof(join), "echo $$ > %s/cgroup.procs; exec \"$@\"", frozen);
	RUN_START("--grace", "0s", "task", "--", "sh", "-c", join, "sh", "perl", "-e",
		  "$| = 1; $0 = \"" CROWD_NAME "\"; pipe my $one, my $other; "
		  "for (1 .. " CROWD ") { if (!fork) { close $one; $0 = \"" CROWD_NAME
		  "\"; close $other; sleep 1000 } } "
		  "close $other; read $one, my $byte, 1; print \"ready\\n\"; sleep 1000");
	run_await("ready\n");
	put("freezer.state", "FROZEN");
	await_frozen("freezer.state", "^FROZEN");
	run_ask("task");
	run_expect_end(RUN_FAILED);
	tool_expect_in(tool_plain(tool.err),
		       "not stopped: pid PID (" CROWD_NAME ") survives SIGKILL, state D, ");
	tool_run(WORDS(CANCELREQ, "--status", "--json", "task"), NULL);
	tool_expect_field(
		"[.outcome, (.detail | test(\"^not stopped: pid [0-9]+ .*, state D,? and [0-9]+ more$\"))]",
		"[\"failed\",true]");
}

/* --- other users ----------------------------------------------------------------------------------- */

#define NOBODY    "65534"
#define AS_NOBODY "setpriv", "--reuid=" NOBODY, "--regid=" NOBODY, "--clear-groups"

/* A place where nobody has a spool, and a command that becomes root's. */
static void invite_nobody(void)
{
	char line[512];

	skip_unless_root();
	(void)snprintf(line, sizeof(line),
		       "chmod 0755 %s && chmod 0644 %s && install -d -m 0700 -o " NOBODY " %s && "
		       "install -m 4755 " HOSTILE " %s && setpriv --reuid=" NOBODY " test -x " HOSTILE
		       " && setpriv --reuid=" NOBODY
		       " --clear-groups %s/hostile no-such 2>&1 | grep -q unknown",
		       tool_dir.root, tool_path("cancel.yaml"), tool_path("nobody"), tool_path("hostile"),
		       tool_dir.root);
	tool_shell(line);
	if (tool.exit_code != 0)
		cr_skip_test("no other user can run things here: %s", tool.err);
}

Test(run_stop, a_descendant_of_another_user_is_not_called_stopped)
{
	char spool[64];

	invite_nobody();
	(void)snprintf(spool, sizeof(spool), "%s/nobody/spool", tool_dir.root);
	RUN_START_BY(AS_NOBODY, RUN_BINARY, "run", "--spool", spool, SOON, "task", "--", tool_path("hostile"),
		     "owner");
	run_await("ready\n");
	tool_run(WORDS(AS_NOBODY, CANCELREQ, "-q", "--spool", spool, "task"), NULL);
	tool_expect_exit(0);
	run_expect_end(RUN_FAILED);
	tool_expect_in(tool_plain(tool.err), "not stopped: pid PID (hostile) ");
	tool_run(WORDS(AS_NOBODY, CANCELREQ, "--spool", spool, "--status", "--json", "task"), NULL);
	tool_expect_field("[.outcome, (.detail | test(\"^not stopped: pid [0-9]+ .hostile. \"))]",
			  "[\"failed\",true]");
	cr_assert_eq(tree_count(NULL), 1, "%s", tree_text());
}

Test(run_stop, everything_is_stopped_without_privilege_too)
{
	char spool[64];

	invite_nobody();
	(void)snprintf(spool, sizeof(spool), "%s/nobody/spool", tool_dir.root);
	RUN_START_BY(AS_NOBODY, RUN_BINARY, "run", "--spool", spool, SOON, "task", "--", HOSTILE, "child",
		     "session", "reaper", "storm");
	run_await("ready\n");
	tool_run(WORDS(AS_NOBODY, CANCELREQ, "-q", "--spool", spool, "task"), NULL);
	tool_expect_exit(0);
	run_expect_end(RUN_CANCELLED);
	run_expect_all_gone();
}
