/*
 * A `cancelwatch run` whose own processes are killed: the face that the user started, and the supervisor
 * behind it. Whatever it ran is gone, nobody else is touched, and the request is decided as it was or still
 * pending.
 *
 * Mutations that this catches: a supervisor that does not look at its pipe (or looks at it between two waits
 * only); a face that is no subreaper, or kills all of its children; a tree that is left when its command has
 * died; an end that is tried so many times, however long each takes.
 */
#include "holder.h"
#include "run_case.h"

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(run_kill, .init = run_set_up, .fini = run_tear_down, .timeout = 300);

enum {
	KILLED = RUN_SIGNAL_BASE + SIGKILL,
};

/* Of the monitor, as the request tells it. */
#define ORPHANED "its monitor was killed, and the command with it"

/* What it runs, with the monitor's processes: hard to end, and everywhere. */
#define TREE "child", "orphan", "session", "group", "reaper", "stopped", "leaderless"

static void kill_face(void)
{
	cr_assert_eq(kill(run_process.pid, SIGKILL), 0);
	run_expect_end(KILLED);
	/* The supervisor has still to end what it runs. */
	cr_assert(tree_wait(NULL, 0), "left alive: %s", tree_text());
}

static void kill_supervisor(void)
{
	cr_assert_eq(kill(run_supervisor(), SIGKILL), 0);
	run_expect_end(RUN_FAILED);
	tool_expect_in(tool.err, "cancelwatch: task: the supervisor died of SIGKILL; the command was killed; a request for it stays "
				"pending\n");
	run_expect_all_gone();
}

/* --- while it runs --------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 45 */
Test(run_kill, the_command_dies_with_the_face)
{
	RUN_START(LATER, "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	kill_face();
	run_expect_none("task");
	cr_assert_eq(tool_count("runs"), 0, "a lease was left");
}

/* DESIGN.md, invariant 45 */
Test(run_kill, the_command_dies_with_the_supervisor)
{
	RUN_START(LATER, "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	kill_supervisor();
	run_expect_none("task");
}

Test(run_kill, the_command_dies_when_it_kills_the_supervisor_itself)
{
	RUN_START(LATER, "task", "--", "sh", "-c",
		  HOSTILE " session & sleep 0.3; kill -KILL $PPID; exec sleep 1000");
	run_expect_end(RUN_FAILED);
	run_expect_all_gone();
}

Test(run_kill, a_face_that_is_stopped_loses_nobody)
{
	RUN_START(SOON, "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	cr_assert_eq(kill(run_process.pid, SIGSTOP), 0);
	run_ask("task");
	cr_assert(tree_wait("CANCEL_TASK_ID=task", 0), "%s", tree_text());
	cr_assert_eq(kill(run_process.pid, SIGCONT), 0);
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	run_expect_all_gone();
}

static void kill_face_with_children(const char *line)
{
	struct canary before = {0};

	RUN_START_BY("sh", "-c", line);
	run_await("ready\n");
	before.pid = run_await_sleep();
	cr_assert_eq(kill(run_supervisor(), SIGKILL), 0);
	run_expect_end(RUN_FAILED);
	cr_assert(canary_is_untouched(&before), "state %c", tree_state(before.pid));
}

/* They come to the face as children of the program that became it. */
Test(run_kill, children_that_were_there_before_us_survive_the_supervisor)
{
	if (!run_has_groups())
		cr_skip_test("no control group can be made here, so orphans are told from children by nothing");
	kill_face_with_children("env --block-signal sleep 1000 & exec " RUN_BINARY " run task -- " HOSTILE
				" child");
	cr_assert(tree_wait("CANCEL_TASK_ID=task", 0), "%s", tree_text());
}

/* --- and a request is there ------------------------------------------------------------------------ */

/* The supervisor is held up until the face is dead and the request is there. */
Test(run_kill, a_request_that_was_pending_when_the_face_died_is_told_what_became_of_the_run)
{
	pid_t supervisor;

	RUN_START(LATER, "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	supervisor = run_supervisor();
	cr_assert_eq(kill(supervisor, SIGSTOP), 0);
	cr_assert_eq(kill(run_process.pid, SIGKILL), 0);
	run_expect_end(KILLED);
	run_ask("task");
	cr_assert_eq(kill(supervisor, SIGCONT), 0);
	cr_assert(tree_wait(NULL, 0), "left alive: %s", tree_text());
	/* Whether it was noticed before that is not for us to say. */
	tool_run(WORDS(CANCELREQ, "--status", "--json", "task"), NULL);
	tool_expect_field("[.outcome == \"stopped\" or .outcome == \"failed\", .detail]",
			  "[true,\"" ORPHANED "\"]");
}

Test(run_kill, the_face_is_killed_in_the_grace)
{
	RUN_START(LATER, "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	run_ask("task");
	run_await_err("sending SIGTERM\n");
	kill_face();
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
}

Test(run_kill, the_supervisor_is_killed_in_the_grace)
{
	RUN_START(LATER, "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	run_ask("task");
	run_await_err("sending SIGTERM\n");
	kill_supervisor();
	run_expect_pending("task");
}

Test(run_kill, the_face_is_killed_in_the_cooperative_time)
{
	RUN_START(LATER, "--cooperative", "60s", "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	run_ask("task");
	run_await_err("to stop by itself\n");
	kill_face();
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
}

Test(run_kill, the_face_is_killed_during_the_hook)
{
	RUN_START(LATER, "--on-cancel", "echo hook; exec " HOSTILE " session", "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	run_ask("task");
	run_await("hook\n");
	kill_face();
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
}

Test(run_kill, the_supervisor_is_killed_during_the_hook)
{
	RUN_START(LATER, "--on-cancel", "echo hook; exec " HOSTILE " session", "task", "--", HOSTILE, TREE);
	run_await("ready\n");
	run_ask("task");
	run_await("hook\n");
	kill_supervisor();
	run_expect_pending("task");
}

/* There is no command that would be killed, and the hook's own children with it. */
Test(run_kill, the_face_is_killed_during_the_hook_of_a_run_that_never_started)
{
	run_ask("task");
	RUN_START(LATER, "--on-cancel", HOSTILE " session & echo hook; exec " HOSTILE " child", "task", "--",
		  "true");
	run_await("hook\n");
	kill_face();
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "never started");
}

#define PAUSING "--retries", "5", "--retry-interval", "1h", "task", "--", "false"

Test(run_kill, the_face_is_killed_between_two_tries)
{
	RUN_START(PAUSING);
	run_await_err("next try in 1h\n");
	kill_face();
	run_expect_none("task");
}

Test(run_kill, the_supervisor_is_killed_between_two_tries)
{
	RUN_START(PAUSING);
	run_await_err("next try in 1h\n");
	kill_supervisor();
}

Test(run_kill, the_face_is_killed_while_a_try_that_timed_out_is_ended)
{
	RUN_START(LATER, "--timeout", "100ms", "--retries", "5", "--retry-interval", "0s", "task", "--",
		  HOSTILE, TREE);
	run_await_err("sending SIGTERM\n");
	kill_face();
}

/* Nothing is told of it: it is the kernel that ends the command. */
Test(run_kill, the_command_dies_when_both_are_killed_at_once)
{
	pid_t supervisor;

	RUN_START(LATER, "task", "--", WAITING);
	run_await("ready\n");
	supervisor = run_supervisor();
	cr_assert_eq(kill(run_process.pid, SIGSTOP), 0);
	cr_assert_eq(kill(supervisor, SIGKILL), 0);
	cr_assert_eq(kill(run_process.pid, SIGKILL), 0);
	run_expect_end(KILLED);
	cr_assert(tree_wait(NULL, 0), "left alive: %s", tree_text());
}

/* What its command forked before survives both, and the next run of the task is not hindered by what is left.
 */
Test(run_kill, the_next_run_begins_whatever_the_last_left)
{
	RUN_START(LATER, "task", "--", HOSTILE);
	run_await("ready\n");
	run_ask("task");
	run_await_err("sending SIGTERM\n");
	kill_supervisor();
	run_expect_pending("task");
	RUN("task", "--", "touch", tool_path("begun"));
	tool_expect_exit(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "never started");
	RUN("task", "--", "sh", "-c", "exit 5");
	tool_expect(5, "", "");
}

/* --- and somebody holds the spool up ---------------------------------------------------------------- */

static void open_spool(struct cancel_spool **spool)
{
	struct cancel_spool_options options;
	struct cancel_error error = {0};

	cancel_spool_options_init(&options);
	options.path = tool_dir.path;
	cr_assert_eq(cancel_spool_open(spool, &options, &error), 0, "%s", error.text);
}

/* Who holds all names' locks, and is stopped, is waited for as long as one wait for a lock takes, and not as
 * often as that can be tried. */
Test(run_kill, a_lock_that_nobody_gives_back_does_not_hold_up_the_end_for_long)
{
	struct cancel_spool *spool = NULL;

	open_spool(&spool);
	RUN_START("task", "--", "sh", "-c",
		  "echo ready; until [ -e $TASK_CANCELLATION_DIR/../go ]; do sleep 0.02; done; exit 3");
	run_await("ready\n");
	cr_assert_eq(holder_take_all(spool), 0);
	tool_write(tool_path("go"), "", 0);
	run_expect_end(3);
	tool_expect_in(tool.err, "another process has held its lock");
	holder_drop();
	cancel_spool_close(spool);
	run_expect_all_gone();
}
