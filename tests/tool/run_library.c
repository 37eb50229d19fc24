/* `cancelwatch run` around a program that is a worker itself: both hold the task, and the program's word
 * counts. */
#include "run_case.h"

#include <stdio.h>
#include <sys/stat.h>

#define WORKER BUILD_DIR "/tests/demo/hash_files"

TestSuite(run_library, .init = run_set_up, .fini = run_tear_down);

/* Wait until both are alive: the supervisor's lease, and the worker's beside it. */
static bool are_both_alive(void *arg)
{
	(void)arg;
	return tool_count("runs") == 2;
}

static void start_worker(const char *output)
{
	char line[512];

	(void)mkdir(tool_path("data"), 0700);
	tool_write(tool_path("data/one"), "one", 3);
	(void)snprintf(line, sizeof line, "HASH_FOREVER=1 exec %s \"$CANCEL_TASK_ID\" %s %s", WORKER,
		       tool_path("data"), output);
	RUN_START(LATER, "--cooperative", "60s", "task", "--", "sh", "-c", line);
	cr_assert(wait_until(are_both_alive, NULL, PROCESS_TIMEOUT_MS));
}

Test(run_library, a_worker_sees_its_token_and_decides_the_request_itself)
{
	start_worker(tool_path("out"));
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	tool_expect_in(tool.err, "hash_files: cancelled by ");
	cr_assert_eq(tool_count("processed"), 1);
	cr_assert_eq(tool_count("runs"), 0);
	tool_run(WORDS("cat", tool_path("spool/processed/task.json")), NULL);
	tool_expect_in(tool.out, "\"outcome\": \"stopped\"");
	tool_expect_in(tool.out, " files, partial output removed");
}
