/* A rule for a task that a run is alive of: the run decides its request, whatever the rule's command said. */
#include "asking.h"
#include "run_case.h"
#include "watching.h"

#include <signal.h>
#include <stdio.h>

TestSuite(cancelwatch_rule_runs, .init = watching_set_up, .fini = watching_tear_down, .timeout = 120);

static struct process run;

static void start_both(void)
{
	watching_configure("rules: [{match: '*', exec: ['true']}]\n");
	watching_start(WORDS(CANCELWATCH));
	tool_start(&run, WORDS(RUN_BINARY, "run", "--grace", "60s", "task", "--", "sh", "-c",
			       "trap 'echo asked; while :; do sleep 0.02; done' TERM; "
			       "echo ready; while :; do sleep 0.02; done"));
	cr_assert(process_wait_out(&run, "ready\n", PROCESS_TIMEOUT_MS));
}

/* The command has ended with 0, and the run has not stopped yet. */
static void ask_and_await_rule(void)
{
	asking_request(tool_dir.path, "task", NULL, CANCEL_EXPIRES_DEFAULT);
	cr_assert(process_wait_err(&watching, "not decided as stopped yet: a run of it is alive",
				   PROCESS_TIMEOUT_MS));
	cr_assert(process_wait_out(&run, "asked\n", PROCESS_TIMEOUT_MS));
	cr_assert_eq(asking_lookup(tool_dir.path, "task"), CANCEL_LOOKUP_PENDING);
}

/* DESIGN.md, invariants 44 and 51 */
Test(cancelwatch_rule_runs, a_run_that_is_alive_decides_itself)
{
	start_both();
	ask_and_await_rule();
	cr_assert_eq(kill(run.pid, SIGKILL), 0);
	watching_await(" decided task stopped (");
	watching_stop(SIGTERM);
	tool_expect_in(watching.out, ": killed by SIGKILL after ");
	process_free(&run);
}

Test(cancelwatch_rule_runs, where_the_run_dies_without_a_word_the_rule_decides)
{
	char line[64];

	start_both();
	ask_and_await_rule();
	(void)snprintf(line, sizeof line, "kill -KILL $(cat /proc/%d/task/%d/children)", (int)run.pid,
		       (int)run.pid);
	tool_shell(line);
	tool_expect_exit(0);
	watching_await(" decided task stopped (");
	watching_stop(SIGTERM);
	tool_expect_in(watching.out, "true exited with 0 after ");
	process_free(&run);
}
