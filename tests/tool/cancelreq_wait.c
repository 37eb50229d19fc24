/* Waiting for a decision: the other side is a process of its own. */
#include "tool.h"

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM     BUILD_DIR "/bin/cancelreq"
#define RUN(...)    tool_run(WORDS(PROGRAM, __VA_ARGS__), NULL)
#define NOBODY      "; nobody is running it now; it will stop the next run that begins"
#define NO_SUCH_RUN "; nobody is running it now; it will stop that run when it begins"

TestSuite(cancelreq_wait, .init = tool_set_up, .fini = tool_tear_down, .timeout = 120);

static struct process waiter;

static void start_waiter(const char *const *arguments)
{
	tool_start(&waiter, arguments);
	cr_assert(process_wait_out(&waiter, "task", PROCESS_TIMEOUT_MS), "%s", waiter.err);
}

static void expect_waiter(int exit_code, const char *out)
{
	cr_assert(process_wait(&waiter, PROCESS_TIMEOUT_MS), "it still waits");
	cr_assert_eq(waiter.exit_code, exit_code, "out: %s err: %s", waiter.out, waiter.err);
	cr_assert_str_eq(tool_plain(waiter.out), out);
	process_free(&waiter);
}

static const struct {
	const char *outcome;
	int exit_code;
} waits[] = {{"stopped", 0}, {"finished", 5}, {"failed", 6}, {"refused", 6}};

Test(cancelreq_wait, wait_tells_how_it_was_acknowledged)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		char out[256];

		start_waiter(WORDS(PROGRAM, "--wait", "task", "why"));
		RUN("--ack", "task", "--outcome", waits[i].outcome, "--detail", "half\n");
		tool_expect_exit(0);
		(void)snprintf(out, sizeof(out),
			       "requested task (request ID)" NOBODY
			       "\n%s task by pid PID on HOST AGE after the "
			       "request: half\\n\n",
			       waits[i].outcome);
		expect_waiter(waits[i].exit_code, out);
	}
}

Test(cancelreq_wait, wait_tells_a_withdrawal)
{
	start_waiter(WORDS(PROGRAM, "--wait=1h", "task"));
	RUN("-q", "--withdraw", "task");
	expect_waiter(8, "requested task (request ID)" NOBODY
			 "\nwithdrawn task by pid PID on HOST AGE after the request\n");
}

/* It has looked, and sleeps until the watch wakes it. */
static bool is_asleep(void *arg)
{
	char line[128];

	(void)arg;
	(void)snprintf(line, sizeof(line),
		       "ls -l /proc/%d/fd | grep -q inotify && grep -q '^State:.S' /proc/%d/status",
		       waiter.pid, waiter.pid);
	tool_shell(line);
	return tool.exit_code == 0;
}

/* Hold it there, so that several things happen before it looks again. */
static void hold_waiter(void)
{
	cr_assert(wait_until(is_asleep, NULL, PROCESS_TIMEOUT_MS));
	cr_assert_eq(kill(waiter.pid, SIGSTOP), 0);
}

static void release_waiter(void)
{
	cr_assert_eq(kill(waiter.pid, SIGCONT), 0);
}

static bool is_over(void *arg)
{
	(void)arg;
	RUN("--status", "task");
	return strstr(tool.out, "that time is over") != NULL;
}

Test(cancelreq_wait, wait_tells_expiry_even_when_a_new_request_stands)
{
	start_waiter(WORDS(PROGRAM, "--wait", "--expires", "1s", "task"));
	cr_assert(wait_until(is_over, NULL, PROCESS_TIMEOUT_MS));
	hold_waiter();
	RUN("task");
	tool_expect(0, "requested task (request ID)" NOBODY "\n", "");
	release_waiter();
	expect_waiter(8, "requested task (request ID)" NOBODY
			 "\nexpired task by pid PID on HOST AGE after the request\n");
}

Test(cancelreq_wait, wait_on_what_is_pending_waits_for_that)
{
	RUN("-q", "--by", "alice", "task", "why");
	start_waiter(WORDS(PROGRAM, "--wait", "task"));
	RUN("-q", "--ack", "task");
	expect_waiter(0, "already pending task (request ID, by alice, AGE ago: why)" NOBODY "\n"
			 "stopped task by pid PID on HOST AGE after the request\n");
}

Test(cancelreq_wait, wait_for_one_run_is_not_ended_by_another)
{
	start_waiter(WORDS(PROGRAM, "--wait", "task", "--run", "1"));
	RUN("-q", "task", "--run", "2");
	RUN("-q", "--ack", "task", "--run", "2");
	cr_assert(!process_wait(&waiter, 0));
	RUN("-q", "--ack", "task", "--run", "1");
	expect_waiter(0, "requested task@1 (request ID)" NO_SUCH_RUN
			 "\nstopped task@1 by run 1, pid PID on HOST AGE after "
			 "the request\n");
}

Test(cancelreq_wait, wait_ends_when_its_time_has_run_out)
{
	RUN("--wait=50ms", "task");
	tool_expect(4, "requested task (request ID)" NOBODY "\nstill pending task (request ID) after 50ms\n",
		    "");
	RUN("--wait=0s", "-q", "task");
	tool_expect(4, "", "");
	RUN("--check", "task");
	tool_expect(0, "(none given)\n", "");
}

static void expect_nobody_knows(const char *why)
{
	cr_assert(process_wait(&waiter, PROCESS_TIMEOUT_MS), "it still waits");
	cr_assert_eq(waiter.exit_code, 3, "out: %s err: %s", waiter.out, waiter.err);
	cr_assert_str_eq(tool_plain(waiter.err), why);
	process_free(&waiter);
}

Test(cancelreq_wait, wait_says_that_nobody_can_know_after_a_reset)
{
	start_waiter(WORDS(PROGRAM, "--wait", "task"));
	hold_waiter();
	RUN("-q", "--reset", "task");
	release_waiter();
	expect_nobody_knows(
		"cancelreq: cannot tell how request ID of 'task' ended: its record was removed\n");
}

Test(cancelreq_wait, wait_says_that_nobody_can_know_after_a_later_request)
{
	start_waiter(WORDS(PROGRAM, "--wait", "task"));
	hold_waiter();
	RUN("-q", "--ack", "task");
	RUN("-q", "task");
	RUN("-q", "--ack", "task", "--outcome", "failed");
	release_waiter();
	expect_nobody_knows(
		"cancelreq: cannot tell how request ID of 'task' ended: a later request was decided since\n");
}

Test(cancelreq_wait, wait_prints_the_records_as_json)
{
	start_waiter(WORDS(PROGRAM, "--wait", "--json", "task"));
	RUN("-q", "--ack", "task");
	cr_assert(process_wait(&waiter, PROCESS_TIMEOUT_MS));
	cr_assert_eq(waiter.exit_code, 0);
	tool_run(WORDS("jq", "-r", ".status"), waiter.out);
	tool_expect(0, "pending\nprocessed\n", "");
	process_free(&waiter);
}

Test(cancelreq_wait, wait_ends_by_a_signal_and_the_request_stays)
{
	start_waiter(WORDS(PROGRAM, "--wait", "task", "why"));
	cr_assert(waiter.pid > 0 && kill(waiter.pid, SIGINT) == 0);
	expect_waiter(128 + SIGINT, "requested task (request ID)" NOBODY "\n");
	RUN("--check", "task");
	tool_expect(0, "why\n", "");
}

Test(cancelreq_wait, wait_fails_when_the_spool_is_gone)
{
	start_waiter(WORDS(PROGRAM, "--wait", "task"));
	cr_assert(rename(tool_dir.path, tool_path("moved")) == 0);
	cr_assert(process_wait(&waiter, PROCESS_TIMEOUT_MS), "it still waits");
	cr_assert_eq(waiter.exit_code, 3, "out: %s err: %s", waiter.out, waiter.err);
	process_free(&waiter);
}
