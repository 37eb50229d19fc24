/* A rule for a task that a run is alive of: the run decides its request, whatever the rule's command said. */
#include "asking.h"
#include "run_case.h"
#include "watching.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

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

/* --- who fires, and what it says ---------------------------------------------------------------------- */

Test(cancelwatch_rule_runs, who_only_looks_fires_nothing)
{
	asking_request(tool_dir.path, "task", NULL, CANCEL_EXPIRES_DEFAULT);
	watching_configure("rules: [{match: '*', exec: ['true']}]\n");
	watching_start(WORDS(CANCELWATCH, "watch", "--no-rules"));
	watching_await(" requested task ");
	/* Not after a reload, either, which looks at all there is. */
	cr_assert_eq(kill(watching.pid, SIGHUP), 0);
	watching_message("RELOADING=1");
	watching_message("READY=1");
	asking_request(tool_dir.path, "other", NULL, CANCEL_EXPIRES_DEFAULT);
	watching_await(" requested other ");
	watching_stop(SIGTERM);
	cr_assert_eq(asking_lookup(tool_dir.path, "task"), CANCEL_LOOKUP_PENDING);
	cr_assert_eq(asking_lookup(tool_dir.path, "other"), CANCEL_LOOKUP_PENDING);
	cr_assert_null(strstr(watching.err, "rule"), "%s", watching.err);
}

Test(cancelwatch_rule_runs, what_looks_but_may_not_run_is_checked_all_the_same)
{
	watching_configure("rules: [{match: '*'}]\n");
	tool_run(WORDS(CANCELWATCH, "watch", "--no-rules"), NULL);
	tool_expect_exit(3);
	tool_run(WORDS(CANCELWATCH, "sweep", "--no-rules"), NULL);
	tool_expect(2, "", "cancelwatch: --no-rules is no option of 'sweep'; see 'cancelwatch --help'\n");
}

Test(cancelwatch_rule_runs, an_id_is_one_word_of_a_line)
{
	watching_configure("rules: [{match: '*', exec: ['true']}]\n");
	watching_start(WORDS(CANCELWATCH));
	asking_request(tool_dir.path, "a b: true exited with 0", NULL, CANCEL_EXPIRES_DEFAULT);
	cr_assert(process_wait_err(&watching,
				   "rule 1 (*) for a\\x20b:\\x20true\\x20exited\\x20with\\x200: true exited",
				   PROCESS_TIMEOUT_MS));
	watching_stop(SIGTERM);
}

/* The request is withdrawn while its command runs, and another one made: there are never two at once. */
Test(cancelwatch_rule_runs, a_task_has_one_command_at_a_time)
{
	watching_configure("rules: [{match: '*', exec: [sh, -c, 'mkdir $TASK_CANCELLATION_DIR.one || exit 0; "
			   "until [ -e $TASK_CANCELLATION_DIR.go ]; do sleep 0.02; done; rmdir "
			   "$TASK_CANCELLATION_DIR.one; exit 10'], retry: 0}]\n");
	watching_start(WORDS(CANCELWATCH));
	asking_request(tool_dir.path, "task", NULL, CANCEL_EXPIRES_DEFAULT);
	tool_shell("until [ -d $TASK_CANCELLATION_DIR.one ]; do sleep 0.02; done");
	asking_decide(tool_dir.path, "task", CANCEL_OUTCOME_WITHDRAWN, NULL);
	asking_request(tool_dir.path, "task", NULL, CANCEL_EXPIRES_DEFAULT);
	asking_request(tool_dir.path, "later", NULL, CANCEL_EXPIRES_DEFAULT);
	watching_await(" decided later stopped (");
	tool_shell(": > $TASK_CANCELLATION_DIR.go");
	watching_await(" decided task finished (");
	watching_stop(SIGTERM);
	cr_assert_null(strstr(watching.out, "decided task stopped"), "%s", watching.out);
}
