/* `cancelwatch run` and time: the limit of a try, further tries, and the pauses between them. No test
 * measures a time. */
#include "run_case.h"

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(run_tries, .init = run_set_up, .fini = run_tear_down, .timeout = 120);

/* A command that notes each of its tries, and how many it has noted. */
static const char *noting(const char *end)
{
	static char line[256];

	(void)snprintf(line, sizeof(line), "echo try >> %s; %s", tool_path("tries"), end);
	return line;
}

static int noted(void)
{
	char line[160];

	(void)snprintf(line, sizeof(line), "cat %s 2>/dev/null | wc -l", tool_path("tries"));
	tool_shell(line);
	return (int)strtol(tool.out, NULL, 10);
}

#define FAST "--retry-interval", "1ms"
#define SLOW "--retry-interval", "1h"

/* --- the limit of a try ---------------------------------------------------------------------------- */

Test(run_tries, a_command_that_takes_too_long_is_stopped)
{
	RUN("--timeout", "200ms", "task", "--", "sleep", "1000");
	tool_expect(RUN_TIMED_OUT, "", "cancelwatch: task: timed out after 200ms; sending SIGTERM\n");
	run_expect_none("task");
	run_expect_all_gone();
}

Test(run_tries, a_bare_number_is_seconds)
{
	RUN("-t", "1", "task", "--", "sleep", "1000");
	tool_expect(RUN_TIMED_OUT, "", "cancelwatch: task: timed out after 1s; sending SIGTERM\n");
}

Test(run_tries, a_timeout_of_nothing_is_no_limit)
{
	RUN("-t", "0", "task", "--", "sh", "-c", "exit 3");
	tool_expect(3, "", "");
	RUN("-t", "0s", "task", "--", "sh", "-c", "exit 3");
	tool_expect(3, "", "");
}

Test(run_tries, a_timeout_of_ten_years_is_a_long_one)
{
	RUN("-t", "3650d", "-k", "3650d", "task", "--", "sh", "-c", "exit 3");
	tool_expect(3, "", "");
}

Test(run_tries, a_command_that_ignores_the_signal_of_its_timeout_is_killed)
{
	RUN(SOON, "--timeout", "200ms", "task", "--", HOSTILE, "child", "session");
	tool_expect(RUN_TIMED_OUT, "ready\n",
		    "cancelwatch: task: timed out after 200ms; sending SIGTERM\n"
		    "cancelwatch: task: still there 200ms after SIGTERM; sending SIGKILL\n");
	run_expect_all_gone();
}

Test(run_tries, the_signal_of_a_timeout_can_be_chosen)
{
	RUN("-s", "KILL", "-q", "--timeout", "200ms", "task", "--", HOSTILE);
	tool_expect(RUN_TIMED_OUT, "ready\n", "");
}

/* As with timeout(1): a status of its own is not the answer when its time was over. */
Test(run_tries, what_exits_after_the_signal_of_its_timeout_has_timed_out)
{
	RUN("--timeout", "200ms", "-q", "task", "--", "sh", "-c",
	    "exec 2>/dev/null; trap 'exit 0' TERM; while :; do sleep 0.02; done");
	tool_expect(RUN_TIMED_OUT, "", "");
}

Test(run_tries, a_stopped_command_times_out)
{
	RUN("--timeout", "200ms", "-q", "task", "--", "sh", "-c", "kill -STOP $$; exit 3");
	tool_expect(RUN_TIMED_OUT, "", "");
}

Test(run_tries, the_timeout_comes_from_the_environment)
{
	tool_shell("SCHEDULER_TASK_TIMEOUT=1 exec " RUN_BINARY " run task -- sleep 1000");
	tool_expect(RUN_TIMED_OUT, "", "cancelwatch: task: timed out after 1s; sending SIGTERM\n");
	tool_shell("SCHEDULER_TASK_TIMEOUT=1 exec " RUN_BINARY " run -t 200ms task -- sleep 1000");
	tool_expect(RUN_TIMED_OUT, "", "cancelwatch: task: timed out after 200ms; sending SIGTERM\n");
}

/* It ignores the signal of its timeout, so that there is time to ask. */
/* DESIGN.md, invariant 47 */
Test(run_tries, a_request_while_a_timeout_stops_it_cancels_it)
{
	RUN_START("--grace", "1s", "--timeout", "200ms", "--retries", "3", SLOW, "task", "--", HOSTILE);
	run_await_err("timed out after 200ms; sending SIGTERM\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	run_expect_all_gone();
}

Test(run_tries, a_request_before_the_timeout_is_the_one_that_counts)
{
	RUN_START(LATER, "--timeout", "1s", "task", "--", "sh", "-c",
		  "trap 'sleep 1.5; exit 3' TERM; echo ready; while :; do sleep 0.02; done");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "exited with 3 after SIGTERM, after AGE");
}

/* --- further tries --------------------------------------------------------------------------------- */

Test(run_tries, without_retries_it_is_tried_once)
{
	RUN("task", "--", "sh", "-c", noting("exit 3"));
	tool_expect(3, "", "");
	cr_assert_eq(noted(), 1);
}

Test(run_tries, a_command_that_fails_is_tried_again_and_gives_its_last_status)
{
	RUN("--retries", "2", FAST, "task", "--", "sh", "-c", noting("exit 3"));
	tool_expect(3, "",
		    "cancelwatch: task: try 1 exited with 3; next try in 1ms\n"
		    "cancelwatch: task: try 2 exited with 3; next try in 1ms\n");
	cr_assert_eq(noted(), 3);
}

Test(run_tries, a_try_that_dies_of_a_signal_has_failed)
{
	RUN("--retries", "1", FAST, "task", "--", "sh", "-c", noting("kill -KILL $$"));
	tool_expect(RUN_SIGNAL_BASE + SIGKILL, "",
		    "cancelwatch: task: try 1 died of SIGKILL; next try in 1ms\n");
	cr_assert_eq(noted(), 2);
}

Test(run_tries, a_try_that_succeeds_is_the_last)
{
	char end[128];

	(void)snprintf(end, sizeof(end), "[ $(wc -l < %s) = 2 ]", tool_path("tries"));
	RUN("-q", "--retries", "5", FAST, "task", "--", "sh", "-c", noting(end));
	tool_expect(0, "", "");
	cr_assert_eq(noted(), 2);
}

Test(run_tries, a_try_that_times_out_is_followed_by_another)
{
	RUN("--timeout", "200ms", "--retries", "1", FAST, "task", "--", "sleep", "1000");
	tool_expect(RUN_TIMED_OUT, "",
		    "cancelwatch: task: timed out after 200ms; sending SIGTERM\n"
		    "cancelwatch: task: try 1 timed out after 200ms; next try in 1ms\n"
		    "cancelwatch: task: timed out after 200ms; sending SIGTERM\n");
	run_expect_all_gone();
}

Test(run_tries, what_a_try_left_behind_is_ended_before_the_next)
{
	RUN(SOON, "-q", "--retries", "2", FAST, "task", "--", "sh", "-c",
	    HOSTILE " session >&- 2>&- & sleep 1000 >&- 2>&- & exit 3");
	tool_expect(3, "", "");
	/* Of the last try only: the command's two in the background, and what one of them started. */
	cr_assert(tree_wait(NULL, 3), "%s", tree_text());
	(void)run_await_sleep();
}

Test(run_tries, pauses_grow_when_it_backs_off)
{
	RUN("--backoff", "--retries", "3", FAST, "task", "--", "false");
	tool_expect(1, "",
		    "cancelwatch: task: try 1 exited with 1; next try in 1ms\n"
		    "cancelwatch: task: try 2 exited with 1; next try in 2ms\n"
		    "cancelwatch: task: try 3 exited with 1; next try in 4ms\n");
}

Test(run_tries, retries_and_pauses_come_from_the_environment)
{
	tool_shell("SCHEDULER_MAX_RETRIES=2 SCHEDULER_RETRY_INTERVAL=1ms exec " RUN_BINARY
		   " run task -- false");
	tool_expect(1, "",
		    "cancelwatch: task: try 1 exited with 1; next try in 1ms\n"
		    "cancelwatch: task: try 2 exited with 1; next try in 1ms\n");
	tool_shell("SCHEDULER_MAX_RETRIES=2 SCHEDULER_RETRY_INTERVAL=1h exec " RUN_BINARY
		   " run --retries 1 --retry-interval 2ms task -- false");
	tool_expect(1, "", "cancelwatch: task: try 1 exited with 1; next try in 2ms\n");
}

Test(run_tries, the_pause_is_a_minute_if_nobody_says_otherwise)
{
	RUN_START("--retries", "1", "task", "--", "false");
	run_await_err("cancelwatch: task: try 1 exited with 1; next try in 1m\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
}

/* --- a request between and during tries ------------------------------------------------------------ */

Test(run_tries, a_request_during_the_pause_ends_it_at_once)
{
	RUN_START("--retries", "5", SLOW, "task", "--", "sh", "-c", noting("exit 3"));
	run_await_err("try 1 exited with 3; next try in 1h\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "stopped between two tries");
	cr_assert_eq(noted(), 1);
	run_expect_all_gone();
}

/* DESIGN.md, invariant 46 */
Test(run_tries, a_cancelled_try_is_never_followed_by_another)
{
	RUN_START(LATER, "--retries", "5", FAST, "task", "--", "sh", "-c",
		  noting("echo ready; exec sleep 1000"));
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	cr_assert_eq(noted(), 1);
	run_expect_all_gone();
}

Test(run_tries, a_second_try_can_be_cancelled_as_the_first)
{
	char end[192];

	(void)snprintf(end, sizeof(end), "[ $(wc -l < %s) = 1 ] && exit 3; echo ready; exec sleep 1000",
		       tool_path("tries"));
	RUN_START(LATER, "-q", "--retries", "5", FAST, "task", "--", "sh", "-c", noting(end));
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	cr_assert_eq(noted(), 2);
}

/* A signal to us, while there is nobody to pass it on to. */
static void end_in_pause_by(int number)
{
	RUN_START("--retries", "5", SLOW, "task", "--", "sh", "-c", noting("exit 3"));
	run_await_err("try 1 exited with 3; next try in 1h\n");
	cr_assert_eq(kill(run_process.pid, number), 0);
	run_finish();
	cr_assert_eq(noted(), 1);
	run_expect_all_gone();
}

Test(run_tries, sigterm_ends_the_pause)
{
	end_in_pause_by(SIGTERM);
}

Test(run_tries, sigint_ends_the_pause)
{
	end_in_pause_by(SIGINT);
}

Test(run_tries, sigterm_to_us_during_a_try_means_no_other)
{
	RUN_START(LATER, "--retries", "5", FAST, "task", "--", "sh", "-c",
		  noting("echo ready; exec sleep 1000"));
	run_await("ready\n");
	cr_assert_eq(kill(run_process.pid, SIGTERM), 0);
	run_expect_end(RUN_SIGNAL_BASE + SIGTERM);
	cr_assert_eq(noted(), 1);
	run_expect_none("task");
	run_expect_all_gone();
}
