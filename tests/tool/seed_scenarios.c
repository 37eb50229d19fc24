/* What a task manager does with cancellations, played with the programs: create requests, check them, mark
 * them processed, clean up, and all of that for many at once. */
#include "run_case.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BATCH = 6,
};

static struct process batch[BATCH];

static void tear_down(void)
{
	for (int i = 0; i < BATCH; i++)
		process_free(&batch[i]);
	run_tear_down();
}

TestSuite(seed_scenarios_programs, .init = run_set_up, .fini = tear_down, .timeout = 120);

#define REQ(...) tool_run(WORDS(CANCELREQ, __VA_ARGS__), NULL)

Test(seed_scenarios_programs, a_request_is_created)
{
	RUN_START(LATER, "task_123", "--", WAITING);
	run_await("ready\n");
	REQ("--json", "--by", "alice", "task_123", "deleted", "by", "its", "owner");
	tool_expect_exit(0);
	tool_expect_field("[.task_id, .reason, .requester.name, .status]",
			  "[\"task_123\",\"deleted by its owner\",\"alice\",\"pending\"]");
	run_finish();
	tool_expect(RUN_CANCELLED, "ready\n",
		    "cancelwatch: task_123: cancelled by alice: deleted by its owner; sending SIGTERM\n");
	run_expect_all_gone();
}

/* The running script asks, and so does somebody else while it has not stopped yet. */
Test(seed_scenarios_programs, a_request_is_checked)
{
	RUN_START(LATER, "--cooperative", "30s", "task_123", "--", "sh", "-c",
		  "echo ready; until " CANCELREQ
		  " --check -- $CANCEL_TASK_ID; do sleep 0.02; done; echo seen; until "
		  "[ -e $TASK_CANCELLATION_DIR/../go ]; do sleep 0.02; done; exit 3");
	run_await("ready\n");
	REQ("--check", "task_123");
	tool_expect(1, "", "");
	REQ("-q", "task_123", "no", "longer", "needed");
	run_await("no longer needed\nseen\n");
	REQ("--check", "task_123");
	tool_expect(0, "no longer needed\n", "");
	REQ("--status", "--json", "task_123");
	tool_expect_field(".status", "\"pending\"");
	tool_write(tool_path("go"), "", 0);
	run_expect_end(RUN_CANCELLED);
	REQ("--check", "task_123");
	tool_expect(1, "", "");
}

Test(seed_scenarios_programs, a_request_is_marked_processed)
{
	RUN_START(LATER, "task_123", "--", WAITING);
	run_await("ready\n");
	REQ("--wait=30s", "task_123");
	tool_expect_exit(0);
	tool_expect_in(tool_plain(tool.out), "stopped task_123 by pid PID on HOST AGE after the request: "
					     "terminated by SIGTERM after AGE\n");
	REQ("--status", "--json", "task_123");
	tool_expect_field("[.status, .outcome]", "[\"processed\",\"stopped\"]");
	run_expect_end(RUN_CANCELLED);
	cr_assert_eq(tool_count("pending"), 0);
	cr_assert_eq(tool_count("processed"), 1);
	/* What was processed stops nobody. */
	RUN("task_123", "--", "sh", "-c", "exit 5");
	tool_expect(5, "", "");
}

static bool is_swept(void *arg)
{
	(void)arg;
	tool_run(WORDS(RUN_BINARY, "sweep"), NULL);
	tool_expect_exit(0);
	return tool_count("processed") == 0;
}

Test(seed_scenarios_programs, processed_requests_are_cleaned_up)
{
	static const char yaml[] = "processed:\n  keep_for: 1s\n";

	RUN_START(LATER, "task_123", "--", WAITING);
	run_await("ready\n");
	run_ask("task_123");
	run_ask("task_124");
	run_expect_end(RUN_CANCELLED);
	tool_run(WORDS(RUN_BINARY, "sweep"), NULL);
	tool_expect_exit(0);
	cr_assert_eq(tool_count("processed"), 1, "it is kept for a while");
	tool_write(tool_path("cancel.yaml"), yaml, strlen(yaml));
	cr_assert(wait_until(is_swept, NULL, PROCESS_TIMEOUT_MS), "%s", tool.err);
	run_expect_none("task_123");
	run_expect_pending("task_124");
	cr_assert_eq(tool_count("runs"), 0);
}

static void expect_batch_stopped(const char *const ids[BATCH], int first, int end)
{
	for (int i = first; i < end; i++) {
		cr_assert(process_wait(&batch[i], PROCESS_TIMEOUT_MS), "%s", ids[i]);
		cr_assert_eq(batch[i].exit_code, RUN_CANCELLED, "%s: %d", ids[i], batch[i].exit_code);
		run_expect_record(ids[i], CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	}
}

Test(seed_scenarios_programs, many_requests_are_processed_at_once)
{
	static const char *const ids[BATCH] = {"task_0", "task_1", "task_2", "task_3", "task_4", "other"};

	for (int i = 0; i < BATCH; i++)
		tool_start(&batch[i], WORDS(RUN_BINARY, "run", LATER, ids[i], "--", WAITING));
	for (int i = 0; i < BATCH; i++)
		cr_assert(process_wait_out(&batch[i], "ready\n", PROCESS_TIMEOUT_MS), "%s", ids[i]);
	tool_run(WORDS(CANCELREQ, "-q", "--batch", "-"), "task_0\ttoo old\ntask_1\ntask_2\n");
	tool_expect_exit(0);
	expect_batch_stopped(ids, 0, 3);
	REQ("-q", "--match", "task_*", "the", "rest");
	tool_expect_exit(0);
	expect_batch_stopped(ids, 3, BATCH - 1);
	cr_assert_not(process_wait(&batch[BATCH - 1], 0), "nobody asked for it");
	cr_assert_eq(tool_count("processed"), BATCH - 1);
}
