/* The object that `cancelwatch run --json` writes at its end. */
#include "run_case.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(run_report, .init = run_set_up, .fini = run_tear_down, .timeout = 120);

/* What does not differ from run to run, but for the request. */
#define FIXED                                                                                         \
	"[.task_id, .run, .outcome, .detail, .exit_code, .status, .signal, .tries, .request.reason, " \
	".request.requester, .request.id]"

static void expect_fixed(const char *expected)
{
	cr_assert_str_eq(tool_plain(tool_field(FIXED)), expected);
}

Test(run_report, it_has_every_key_and_no_other)
{
	RUN("--json", "task", "--", "true");
	tool_expect_exit(0);
	tool_expect_field(
		"keys_unsorted",
		"[\"task_id\",\"run\",\"outcome\",\"detail\",\"exit_code\",\"status\",\"signal\",\"tries\","
		"\"started_at\",\"ended_at\",\"duration_s\",\"user_s\",\"system_s\",\"max_rss_kb\","
		"\"request\"]");
	tool_expect_field(
		"map_values(type) | del(.task_id, .outcome, .detail)",
		"{\"run\":\"null\",\"exit_code\":\"number\",\"status\":\"number\",\"signal\":\"null\","
		"\"tries\":\"number\",\"started_at\":\"string\",\"ended_at\":\"string\","
		"\"duration_s\":\"number\",\"user_s\":\"number\",\"system_s\":\"number\","
		"\"max_rss_kb\":\"number\",\"request\":\"null\"}");
	cr_assert_eq(strcspn(tool.out, "\n") + 1, strlen(tool.out), "one line: %s", tool.out);
}

Test(run_report, it_tells_a_success_and_a_failure)
{
	RUN("--json", "task", "--", "true");
	tool_expect_exit(0);
	expect_fixed("[\"task\",null,\"succeeded\",\"exited with 0\",0,0,null,1,null,null,null]");
	RUN("--json", "--run", "r1", "task", "--", "sh", "-c", "exit 3");
	tool_expect_exit(3);
	expect_fixed("[\"task\",\"r1\",\"failed\",\"exited with 3\",3,3,null,1,null,null,null]");
	RUN("--json", "task", "--", "sh", "-c", "kill -SEGV $$");
	tool_expect_exit(139);
	expect_fixed("[\"task\",null,\"failed\",\"died of SIGSEGV\",139,null,\"SIGSEGV\",1,null,null,null]");
}

Test(run_report, it_tells_a_timeout_and_counts_the_tries)
{
	RUN("--json", "-q", "-t", "100ms", "--retries", "2", "--retry-interval", "0s", "task", "--", "sleep",
	    "1000");
	tool_expect_exit(RUN_TIMED_OUT);
	expect_fixed("[\"task\",null,\"timed-out\",\"timed out after "
		     "100ms\",124,null,\"SIGTERM\",3,null,null,null]");
}

Test(run_report, it_tells_what_could_not_be_started)
{
	RUN("--json", "task", "--", "/no/such");
	tool_expect_exit(RUN_NOT_FOUND);
	tool_expect_field("[.outcome, .exit_code, .status, .signal, .tries]",
			  "[\"not-started\",127,null,null,1]");
	tool_expect_in(tool_field(".detail"), "No such file or directory");
}

Test(run_report, it_tells_a_cancelled_run_and_by_whom)
{
	RUN_START("--json", LATER, "task", "--", "sleep", "1000");
	(void)run_command();
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	expect_fixed("[\"task\",null,\"cancelled\",\"terminated by SIGTERM after "
		     "AGE\",123,null,\"SIGTERM\",1,\"why\",\"alice\",\"task\"]");
	tool_expect_field(".request | keys_unsorted", "[\"request_id\",\"reason\",\"requester\",\"id\"]");
	tool_expect_field(".request.request_id | length", "32");
}

Test(run_report, it_tells_which_id_was_asked_for)
{
	RUN_START("--json", LATER, "--also", "tenant", "task", "--", "sleep", "1000");
	(void)run_command();
	run_ask("tenant");
	run_expect_end(RUN_CANCELLED);
	tool_expect_field("[.outcome, .request.id]", "[\"cancelled\",\"tenant\"]");
}

Test(run_report, it_tells_a_run_that_never_started)
{
	run_ask("task");
	RUN("--json", "task", "--", "true");
	tool_expect_exit(RUN_CANCELLED);
	expect_fixed("[\"task\",null,\"cancelled\",\"never "
		     "started\",123,null,null,0,\"why\",\"alice\",\"task\"]");
}

Test(run_report, times_and_resources_are_those_of_the_command)
{
	RUN("--json", "task", "--", "perl", "-e",
	    "my $x = 'x' x 50e6; my $until = (times)[0] + 0.3; 1 while (times)[0] < $until");
	tool_expect_exit(0);
	tool_expect_field("[.user_s >= 0.3, .user_s < 30, .duration_s >= .user_s, .max_rss_kb > 48000, "
			  ".max_rss_kb < 400000]",
			  "[true,true,true,true,true]");
	tool_expect_field(
		"(.ended_at | sub(\"\\\\.[0-9]+\"; \"\") | fromdate) - (.started_at | sub(\"\\\\.[0-9]+\"; "
		"\"\") | fromdate) | . >= 0 and . < 60",
		"true");
}

/* A task's text is somebody's. */
Test(run_report, text_is_written_so_that_it_can_be_read)
{
	RUN("--json", "a\"b\\c\n\x01", "--", "true");
	tool_expect_exit(0);
	tool_expect_field(".task_id", "\"a\\\"b\\\\c\\n\\u0001\"");
}

Test(run_report, it_may_go_into_a_file)
{
	RUN("--report", tool_path("report"), "task", "--", "echo", "out");
	tool_expect(0, "out\n", "");
	tool_shell("cat $TASK_CANCELLATION_DIR/../report");
	tool_expect_field(".outcome", "\"succeeded\"");
	tool_write(tool_path("report"), "something longer than an object, and older\n", 43);
	RUN("--report", tool_path("report"), "task", "--", "false");
	tool_shell("cat $TASK_CANCELLATION_DIR/../report");
	tool_expect_field(".outcome", "\"failed\"");
}

/* Before it is begun: a report that was asked for and cannot be had is no surprise for the end. */
Test(run_report, a_file_that_cannot_be_written_is_our_failure)
{
	RUN("--report", "/no/such/report", "task", "--", "true");
	tool_expect_exit(RUN_FAILED);
	tool_expect_in(tool.err, "/no/such/report");
	tool_expect_in(tool.err, "No such file or directory");
}

Test(run_report, the_command_s_output_comes_before_it)
{
	RUN("--json", "task", "--", "echo", "out");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "out\n{\"task_id\":");
}
