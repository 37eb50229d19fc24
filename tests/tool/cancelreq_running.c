/* What cancelreq makes of leases: who is running a task, who died without an answer, and asking for all that
 * run. Runs are processes of their own, which hold a lease until they end or are killed. */
#include "held.h"
#include "lease_holder.h"
#include "tool.h"

#include <cancel/manager.h>
#include <cancel/spool.h>
#include <cancel/task.h>

#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM  BUILD_DIR "/bin/cancelreq"
#define RUN(...) tool_run(WORDS(PROGRAM, __VA_ARGS__), NULL)
/* Leaks cannot be looked for in what is being traced. */
#define STRACE "strace", "-E", "LSAN_OPTIONS=detect_leaks=0"
#define NOBODY "; nobody is running it now; it will stop the next run that begins"

enum {
	HOUR_S = 3600,
	RUNS_MAX = 8,
	HELD_OUTPUT_SIZE = 4096,
	SECOND_LOOK = 3, /* a directory is read in two calls */
};

/* 2025-03-04 11:11:00 UTC */
#define LONG_AGO_S INT64_C(1741086660)

static struct lease_holder holders[RUNS_MAX];
static int holder_count;
static int west_of_utc_h;
static struct process waiter;
static struct held held;

/* In a time zone where it is noon, no test meets midnight. */
static void move_to_noon(void)
{
	char zone[16];

	west_of_utc_h = (int)(time(NULL) / HOUR_S % 24) - 12;
	(void)snprintf(zone, sizeof(zone), "NOON%d", west_of_utc_h);
	(void)setenv("TZ", zone, 1);
}

/* 11:11 today, where we are now. */
static int64_t this_morning_s(void)
{
	int64_t now_s = time(NULL);
	int64_t local_hour = (now_s / HOUR_S - west_of_utc_h) % 24;

	return (now_s / HOUR_S - local_hour + 11) * HOUR_S + 11 * 60;
}

static void set_up(void)
{
	tool_set_up();
	move_to_noon();
}

static void tear_down(void)
{
	process_free(&waiter);
	held_kill(&held);
	for (int i = 0; i < holder_count; i++)
		lease_holder_kill(&holders[i]);
	tool_tear_down();
}

TestSuite(cancelreq_running, .init = set_up, .fini = tear_down, .timeout = 120);

static struct lease_holder *hold(const struct held_lease *lease)
{
	cr_assert(holder_count < RUNS_MAX);
	lease_holder_start(&holders[holder_count], tool_dir.path, lease);
	return &holders[holder_count++];
}

/* A run of `task_id` that began this morning. */
static struct lease_holder *run_task(const char *task_id)
{
	return hold(&(struct held_lease){.task_id = task_id, .started_at_s = this_morning_s()});
}

/* A task of the library that stops when it is asked to. It is killed with the others if it does not. */
static _Noreturn void be_task(int ready_fd, const char *also)
{
	struct cancel_task_options terms;
	struct cancel_spool_options spool;
	struct cancel_manager_options options;
	struct cancel_manager *manager;
	struct cancel_task *task;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	cancel_spool_options_init(&spool);
	spool.path = tool_dir.path;
	spool.create = true;
	cancel_manager_options_init(&options);
	options.spool = &spool;
	cancel_task_options_init(&terms);
	terms.also = &also;
	terms.also_count = also ? 1 : 0;
	if (cancel_manager_open(&manager, &options, NULL) < 0 ||
	    cancel_task_begin(&task, manager, "task", &terms, NULL) < 0 || write(ready_fd, "", 1) != 1)
		_exit(1);
	(void)cancel_task_wait(task, CANCEL_FOREVER);
	_exit(cancel_task_end(task, CANCEL_OUTCOME_STOPPED, "half", NULL) == (also ? 0 : 1) ? 0 : 1);
}

static void start_task(const char *also)
{
	int ready[2];
	char byte;

	cr_assert(pipe2(ready, O_CLOEXEC) == 0);
	holders[holder_count].pid = fork();
	cr_assert(holders[holder_count].pid >= 0);
	if (holders[holder_count].pid == 0)
		be_task(ready[1], also);
	holder_count++;
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the task has not begun");
	(void)close(ready[0]);
}

/* A program beside the test. */

/* What strace writes down of the waiter's system calls, so that a test can wait until it has made one. */
static void start_traced(const char *expression, const char *const *words)
{
	const char *arguments[24] = {STRACE, "-o",      tool_path("trace"), "-P", tool_path("spool/runs"),
				     "-e",   expression};
	size_t count = 9;

	(void)unlink(tool_path("trace"));
	for (; *words; words++)
		arguments[count++] = *words;
	arguments[count] = NULL;
	tool_start(&waiter, arguments);
}

static void start_waiter(const char *const *words)
{
	start_traced("trace=openat,getdents64", words);
}

struct call {
	const char *pattern;
	int count;
};

static int calls_made(const char *pattern)
{
	char line[160];

	(void)snprintf(line, sizeof(line), "grep -c '%s' %s", pattern, tool_path("trace"));
	tool_shell(line);
	return (int)strtol(tool.out, NULL, 10);
}

static bool was_made(void *arg)
{
	const struct call *call = arg;

	return calls_made(call->pattern) >= call->count;
}

static void expect_call(const char *pattern, int count)
{
	struct call call = {pattern, count};

	cr_assert(wait_until(was_made, &call, PROCESS_TIMEOUT_MS), "no %s; out: %s err: %s", pattern,
		  waiter.out, waiter.err);
}

/* The second look begins when the first has seen that somebody holds it. */
static void expect_look_at(const char *lease)
{
	char pattern[64];

	(void)snprintf(pattern, sizeof(pattern), "openat(.*, \"%s\",", lease);
	expect_call(pattern, 2);
}

static void expect_waiter_exit(int exit_code)
{
	cr_assert(process_wait(&waiter, PROCESS_TIMEOUT_MS), "it still waits");
	cr_assert_eq(waiter.exit_code, exit_code, "%d out: %s err: %s", waiter.exit_code, waiter.out,
		     waiter.err);
}

static void expect_waiter(int exit_code, const char *out)
{
	expect_waiter_exit(exit_code);
	cr_assert_str_eq(tool_plain(waiter.out), out);
	process_free(&waiter);
}

/* Each look reads the directory twice, to its end. */
static void expect_waiting_goes_on(const char *task_id)
{
	expect_call("getdents64(", calls_made("getdents64(") + 4);
	cr_assert_not(process_wait(&waiter, 0), "exit code %d, out: %s", waiter.exit_code, waiter.out);
	RUN("-q", "--ack", task_id);
	expect_waiter(0, "");
}

/* Held where it begins to read the directory of leases for the `at`th time. */
static void hold_at_look(int at, const char *const *words)
{
	static char path[128];

	if (!tracer_works())
		cr_skip_test("nothing can be traced here");
	(void)snprintf(path, sizeof(path), "%s", tool_path("spool/runs"));
	held = (struct held){.number = SYS_getdents64, .path = path, .at = at};
	cr_assert(held_start(&held, words, tool_environment()), "it has ended");
}

static void expect_held(int exit_code, char output[HELD_OUTPUT_SIZE])
{
	int code = held_finish(&held, output, HELD_OUTPUT_SIZE);

	cr_assert_eq(code, exit_code, "%d: %s", code, output);
}

static void expect_held_says(const char *text)
{
	char output[HELD_OUTPUT_SIZE];

	expect_held(0, output);
	cr_assert_str_eq(tool_plain(output), text);
}

/* Asking. */

Test(cancelreq_running, asking_names_who_runs_it_since_when)
{
	struct lease_holder *run = run_task("task_7");
	char expected[64];

	RUN("task_7", "why");
	tool_expect(0, "requested task_7 (request ID); running: pid PID on HOST since 11:11\n", "");
	(void)snprintf(expected, sizeof(expected), "; running: pid %d on ", (int)run->pid);
	tool_expect_in(tool.out, expected);
}

Test(cancelreq_running, a_run_that_began_on_another_day_is_told_with_the_date)
{
	(void)hold(&(struct held_lease){.task_id = "task",
					.started_at_s = LONG_AGO_S + west_of_utc_h * (int64_t)HOUR_S});
	RUN("task");
	tool_expect(0, "requested task (request ID); running: pid PID on HOST since 2025-03-04 11:11\n", "");
}

Test(cancelreq_running, of_several_runs_the_one_that_began_first_is_named)
{
	struct lease_holder *first;
	char expected[64];

	(void)hold(
		&(struct held_lease){.task_id = "task", .run = "1", .started_at_s = this_morning_s() + 60});
	first = hold(&(struct held_lease){.task_id = "task", .run = "2", .started_at_s = this_morning_s()});
	(void)hold(&(struct held_lease){.task_id = "task", .run = "3"});
	(void)run_task("other");
	RUN("task");
	tool_expect(0,
		    "requested task (request ID); running: task@2, pid PID on HOST since 11:11 and 2 more\n",
		    "");
	(void)snprintf(expected, sizeof(expected), "task@2, pid %d on ", (int)first->pid);
	tool_expect_in(tool.out, expected);
}

Test(cancelreq_running, asking_for_one_run_looks_for_that_run)
{
	(void)hold(&(struct held_lease){.task_id = "task", .run = "1", .started_at_s = this_morning_s()});
	RUN("task", "--run", "1");
	tool_expect(0, "requested task@1 (request ID); running: pid PID on HOST since 11:11\n", "");
	RUN("task", "--run", "2");
	tool_expect(0,
		    "requested task@2 (request ID); nobody is running it now; it will stop that run when it "
		    "begins\n",
		    "");
}

Test(cancelreq_running, asking_for_a_group_names_a_member)
{
	(void)hold(&(struct held_lease){
		.task_id = "task", .also = {"tenant_x", "tenant_acme"}, .started_at_s = this_morning_s()});
	RUN("tenant_acme", "why");
	tool_expect(0, "requested tenant_acme (request ID); running: task, pid PID on HOST since 11:11\n",
		    "");
	/* A group has no runs. */
	RUN("tenant_x", "--run", "1", "-q");
	RUN("tenant_x", "--run", "1");
	tool_expect_in(tool.out, "; nobody is running it now; ");
}

Test(cancelreq_running, a_run_that_was_killed_is_not_running)
{
	lease_holder_kill(run_task("task"));
	cr_assert_eq(tool_count("runs"), 1, "its lease is still there");
	RUN("task");
	tool_expect(0, "requested task (request ID)" NOBODY "\n", "");
	RUN("--list", "--running");
	tool_expect(0, "", "");
}

Test(cancelreq_running, already_pending_says_who_runs_it)
{
	RUN("-q", "--by", "alice", "task", "why");
	(void)run_task("task");
	RUN("task");
	tool_expect(
		0,
		"already pending task (request ID, by alice, AGE ago: why); running: pid PID on HOST since "
		"11:11\n",
		"");
}

Test(cancelreq_running, what_takes_effect_later_says_who_runs_it_too)
{
	(void)run_task("task");
	RUN("--after", "2h", "task");
	tool_expect(
		0,
		"requested task (request ID), takes effect at TIME; running: pid PID on HOST since 11:11\n",
		"");
}

Test(cancelreq_running, what_a_lease_does_not_say_is_left_out)
{
	(void)hold(&(struct held_lease){.task_id = "task", .text = "being written"});
	RUN("task");
	tool_expect(0, "requested task (request ID); running: somebody\n", "");
	RUN("--list", "--running");
	tool_expect(0, "task  somebody  unknown program\n", "");
	RUN("--list", "--running", "--json");
	tool_expect_field("del(.uid)", "{\"task_id\":\"task\",\"run\":null,\"also\":[],\"pid\":null,"
				       "\"host\":null,\"program\":null,\"started_at\":null}");
}

Test(cancelreq_running, json_and_quiet_say_nothing_of_it)
{
	(void)run_task("task");
	RUN("--json", "task");
	tool_expect_exit(0);
	tool_expect_field("[.task_id, .status] | join(\" \")", "\"task pending\"");
	cr_assert_eq(strcspn(tool.out, "\n") + 1, strlen(tool.out), "one line: %s", tool.out);
	RUN("-q", "task");
	tool_expect(0, "", "");
}

/* Once the request stands, what cannot be looked at is no failure of it. What stands in the place of runs/ is
 * found before; only what opens, and then cannot be read, comes as late as this. */
Test(cancelreq_running, a_look_that_fails_is_no_failure_of_the_request)
{
	RUN("-q", "task_1");
	tool_run(WORDS(STRACE, "-o", "/dev/null", "-P", tool_path("spool/runs"), "-e",
		       "inject=getdents64:error=EIO", PROGRAM, "task_2"),
		 NULL);
	tool_expect_exit(0);
	cr_assert_str_eq(tool_plain(tool.out), "requested task_2 (request ID)\n");
	tool_expect_in(tool.err, "cancelreq: cannot list the runs of spool");
	cr_assert(access(tool_path("spool/pending/task_2.json"), F_OK) == 0);
}

/* As if no run had begun or ended for long. */
static void make_runs_old(void)
{
	const struct timespec times[2] = {{.tv_sec = LONG_AGO_S}, {.tv_sec = LONG_AGO_S}};

	cr_assert(utimensat(AT_FDCWD, tool_path("spool/runs"), times, 0) == 0);
}

/* Held where it begins to look who runs it. */
/* DESIGN.md, invariant 39 */
Test(cancelreq_running, a_run_that_finished_leaves_the_request_to_one_that_is_alive)
{
	(void)run_task("task");
	RUN("--quiet", "task", "why");
	RUN("--ack", "--outcome", "finished", "task");
	tool_expect(1,
		    "left pending for another run that is alive: task (request ID); see cancelreq --list --running\n",
		    "");
	RUN("--check", "--quiet", "task");
	tool_expect(0, "", "");
	RUN("--ack", "--outcome", "stopped", "task");
	tool_expect_exit(0);
}

Test(cancelreq_running, what_was_decided_before_anybody_is_looked_for_is_told_as_decided)
{
	struct lease_holder *run = run_task("task");

	make_runs_old();
	hold_at_look(1, WORDS(PROGRAM, "task"));
	RUN("-q", "--ack", "task");
	lease_holder_end(run);
	expect_held_says("requested task (request ID); stopped already by pid PID on HOST\n");
}

Test(cancelreq_running, nothing_is_told_of_runs_when_another_request_stands_by_then)
{
	hold_at_look(1, WORDS(PROGRAM, "task"));
	lease_holder_end(run_task("other")); /* or nothing seems to have ended since, and it does not look again */
	RUN("-q", "--reset", "task");
	RUN("-q", "task");
	expect_held_says("requested task (request ID)\n");
}

Test(cancelreq_running, where_no_run_has_ended_the_request_is_not_looked_up)
{
	RUN("-q", "task_1");
	make_runs_old();
	tool_run(WORDS(STRACE, "-o", tool_path("trace"), "-e", "trace=openat", PROGRAM, "task_2"), NULL);
	tool_expect(0, "requested task_2 (request ID)" NOBODY "\n", "");
	tool_run(WORDS("grep", "-c", "\"task_2.json\"", tool_path("trace")), NULL);
	tool_expect(1, "0\n", "");
}

/* Terms. */

static bool is_a_second_old(void *arg)
{
	(void)arg;
	RUN("--status", "task");
	return strstr(tool_plain(tool.out), "(AGE ago)") && !strstr(tool.out, "(0.");
}

Test(cancelreq_running, already_pending_says_that_it_takes_effect_sooner)
{
	RUN("-q", "--by", "alice", "--after", "3h", "task", "why");
	RUN("--after", "2h", "task");
	tool_expect(
		0,
		"already pending task (request ID, by alice, AGE ago: why), now takes effect at TIME; nobody "
		"is running it now\n",
		"");
	RUN("--after", "4h", "task");
	tool_expect(
		0,
		"already pending task (request ID, by alice, AGE ago: why), takes effect at TIME; nobody is "
		"running it now\n",
		"");
}

Test(cancelreq_running, already_pending_says_that_it_expires_later)
{
	RUN("-q", "--by", "alice", "--expires", "1h", "task", "why");
	cr_assert(wait_until(is_a_second_old, NULL, PROCESS_TIMEOUT_MS));
	RUN("--expires", "2h", "task");
	tool_expect(0,
		    "already pending task (request ID, by alice, AGE ago: why), now expires at TIME" NOBODY
		    "\n",
		    "");
	RUN("--expires", "1h", "task");
	tool_expect(0, "already pending task (request ID, by alice, AGE ago: why)" NOBODY "\n", "");
}

/* Waiting. */

/* A task may have stopped before it is looked for. */
static const char *or_since(const char *text)
{
	return strstr(text, "requested task (request ID); stopped already by pid PID on HOST\n")
		       ? "requested task (request ID); stopped already by pid PID on HOST\n"
		       : "requested task (request ID); running: pid PID on HOST since ";
}

Test(cancelreq_running, wait_is_answered_by_a_task_of_the_library)
{
	int status;

	start_task(NULL);
	RUN("--wait", "task", "why");
	tool_expect_exit(0);
	tool_expect_in(tool_plain(tool.out), or_since(tool_plain(tool.out)));
	tool_expect_in(tool_plain(tool.out),
		       "\nstopped task by pid PID on HOST AGE after the request: half\n");
	/* It has decided before it lets go of its lease. */
	cr_assert_eq(waitpid(holders[0].pid, &status, 0), holders[0].pid);
	holders[0].pid = 0;
	cr_assert_eq(status, 0);
	RUN("--list", "--running");
	tool_expect(0, "", "");
}

Test(cancelreq_running, wait_ends_when_a_task_of_the_library_is_killed)
{
	struct lease_holder *run = &holders[holder_count];

	start_task(NULL);
	start_waiter(WORDS(PROGRAM, "--wait", "--after", "1h", "task"));
	expect_look_at("task");
	lease_holder_kill(run);
	expect_waiter_exit(7);
	tool_expect_in(tool_plain(waiter.out),
		       "\nthe run is gone without an answer: task (pid PID on HOST); the "
		       "request stays pending\n");
}

Test(cancelreq_running, wait_ends_when_the_run_dies_without_an_answer)
{
	struct lease_holder *run = run_task("task");

	start_waiter(WORDS(PROGRAM, "--wait", "task"));
	expect_look_at("task");
	lease_holder_kill(run);
	expect_waiter(7, "requested task (request ID); running: pid PID on HOST since 11:11\n"
			 "the run is gone without an answer: task (pid PID on HOST); the request stays pending "
			 "and will stop the next run that begins\n");
	RUN("--check", "task");
	tool_expect(0, "(none given)\n", "");
}

Test(cancelreq_running, wait_ends_when_the_run_lets_go_of_its_lease_without_an_answer)
{
	struct lease_holder *run = hold(&(struct held_lease){.task_id = "task", .run = "1"});

	start_waiter(WORDS(PROGRAM, "--wait", "--run", "1", "task"));
	expect_look_at("task@1");
	lease_holder_end(run);
	expect_waiter(7,
		      "requested task@1 (request ID); running: pid PID on HOST\n"
		      "the run is gone without an answer: task@1 (pid PID on HOST); the request stays pending "
		      "and will stop that run if it begins again\n");
}

Test(cancelreq_running, wait_sees_a_run_that_begins_meanwhile_die)
{
	struct lease_holder *run;

	start_waiter(WORDS(PROGRAM, "--wait", "task"));
	cr_assert(process_wait_out(&waiter, "nobody", PROCESS_TIMEOUT_MS), "%s", waiter.err);
	run = run_task("task");
	expect_look_at("task");
	lease_holder_kill(run);
	expect_waiter(7, "requested task (request ID)" NOBODY "\n"
			 "the run is gone without an answer: task (pid PID on HOST); the request stays pending "
			 "and will stop the next run that begins\n");
}

static int count_lines(const char *text)
{
	int lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

/* With --json only the wait looks. */
static const char *const looks[] = {"--json", "--wait"};

Test(cancelreq_running, wait_goes_on_when_the_leases_cannot_be_looked_at)
{
	RUN("-q", "other");
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		start_traced("inject=getdents64:error=EIO", WORDS(PROGRAM, "--wait", looks[i], "task"));
		expect_call("getdents64(", 3);
		RUN("-q", "--ack", "task");
		expect_waiter_exit(0);
		tool_expect_in(waiter.err, "cannot list the runs of spool");
		cr_assert_eq(count_lines(waiter.err), 1, "told once: %s", waiter.err);
		process_free(&waiter);
	}
}

static const char *const silent[] = {"-q", "--json"};

Test(cancelreq_running, wait_tells_a_death_by_its_exit_code_alone)
{
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		struct lease_holder *run = run_task("task");

		start_waiter(WORDS(PROGRAM, "--wait", silent[i], "task"));
		expect_look_at("task");
		lease_holder_kill(run);
		expect_waiter_exit(7);
		cr_assert_null(strstr(waiter.out, "died"));
		cr_assert_str_eq(waiter.err, "");
		process_free(&waiter);
	}
}

/* Held where it begins to look at the leases for the second time, it finds the lease gone before any event
 * tells what came between. A worker decides before it lets go of its lease, so there is an answer to be
 * found. */
Test(cancelreq_running, wait_tells_the_answer_of_a_run_that_has_gone_since)
{
	struct lease_holder *run = run_task("task");
	char output[HELD_OUTPUT_SIZE];

	hold_at_look(SECOND_LOOK, WORDS(PROGRAM, "--wait", "--json", "task"));
	RUN("-q", "--ack", "task");
	lease_holder_end(run);
	expect_held(0, output);
	tool_expect_in(output, "\"stopped\"");
}

Test(cancelreq_running, wait_knows_of_a_run_that_died_just_after_asking)
{
	struct lease_holder *run = run_task("task");
	char output[HELD_OUTPUT_SIZE];

	hold_at_look(SECOND_LOOK, WORDS(PROGRAM, "--wait", "task"));
	lease_holder_kill(run);
	expect_held(7, output);
}

Test(cancelreq_running, wait_knows_of_a_groups_member_that_died_just_after_asking)
{
	struct lease_holder *run = hold(&(struct held_lease){.task_id = "task", .also = {"tenant"}});
	char output[HELD_OUTPUT_SIZE];

	hold_at_look(SECOND_LOOK, WORDS(PROGRAM, "--wait=3s", "tenant"));
	lease_holder_kill(run);
	expect_held(4, output);
}

Test(cancelreq_running, wait_goes_on_while_another_run_is_alive)
{
	struct lease_holder *run = run_task("task");

	(void)hold(&(struct held_lease){.task_id = "task", .run = "1"});
	RUN("-q", "task");
	start_waiter(WORDS(PROGRAM, "--wait", "-q", "task"));
	expect_look_at("task");
	lease_holder_kill(run);
	expect_waiting_goes_on("task");
}

Test(cancelreq_running, the_end_of_a_groups_member_does_not_end_the_wait_for_the_group)
{
	struct lease_holder *run = hold(&(struct held_lease){.task_id = "task", .also = {"tenant"}});

	start_waiter(WORDS(PROGRAM, "--wait", "-q", "tenant"));
	expect_look_at("task");
	lease_holder_kill(run);
	expect_waiting_goes_on("tenant");
}

static bool is_told(void *arg)
{
	return access(arg, F_OK) == 0;
}

Test(cancelreq_running, a_member_that_stopped_does_not_answer_for_the_group)
{
	start_task("tenant");
	/* Stopped, until the waiter waits. */
	cr_assert_eq(kill(holders[0].pid, SIGSTOP), 0);
	start_waiter(WORDS(PROGRAM, "--wait", "tenant", "why"));
	expect_call("openat(.*, \"task\",", 2);
	cr_assert_eq(kill(holders[0].pid, SIGCONT), 0);
	cr_assert(wait_until(is_told, (void *)tool_path("spool/processed/task.json"), PROCESS_TIMEOUT_MS));
	RUN("--check", "--quiet", "tenant");
	tool_expect(0, "", "");
	RUN("--ack", "--quiet", "tenant");
	tool_expect(0, "", "");
	expect_waiter_exit(0);
	cr_assert_null(strstr(waiter.out, "stopped task"), "%s", waiter.out);
	tool_expect_in(waiter.out, "stopped tenant");
	process_free(&waiter);
}

Test(cancelreq_running, wait_goes_on_when_nobody_runs_it)
{
	(void)run_task("other");
	RUN("--wait=1s", "-q", "task");
	tool_expect(4, "", "");
}

/* Listing. */

Test(cancelreq_running, list_shows_who_runs_what)
{
	(void)hold(&(struct held_lease){.task_id = "task_7",
					.run = "run_2",
					.also = {"tenant_acme", "all"},
					.program = "nightly job",
					.started_at_s = this_morning_s()});
	RUN("--list", "--running");
	tool_expect(0, "task_7@run_2  pid PID on HOST  since 11:11  nightly job  also tenant_acme, all\n",
		    "");
	RUN("--list");
	tool_expect(0, "", "");
}

Test(cancelreq_running, list_picks_runs_by_pattern)
{
	(void)run_task("nightly-1");
	(void)run_task("hourly");
	RUN("--list", "--running", "n*");
	tool_expect(0, "nightly-1  pid PID on HOST  since 11:11  unknown program\n", "");
	RUN("--list", "--running", "n");
	tool_expect(0, "", "");
}

Test(cancelreq_running, list_shows_each_of_several_runs)
{
	(void)run_task("task");
	(void)hold(&(struct held_lease){.task_id = "task", .mark = "0123abcd"});
	RUN("--list", "--running");
	tool_expect_exit(0);
	tool_run(WORDS("sort", "-r"), strdupa(tool_plain(tool.out)));
	tool_expect(0,
		    "task  pid PID on HOST  unknown program\n"
		    "task  pid PID on HOST  since 11:11  unknown program\n",
		    "");
}

Test(cancelreq_running, list_writes_runs_as_json)
{
	struct lease_holder *run = hold(&(struct held_lease){.task_id = "task",
							     .run = "1",
							     .also = {"a\"\\\n\x01", "\xc3\xa9"},
							     .program = "p",
							     .started_at_s = LONG_AGO_S});
	char expected[256];

	RUN("--list", "--running", "--json", "t*");
	(void)snprintf(expected, sizeof(expected),
		       "[\"task\",\"1\",[\"a\\\"\\\\\\n\\u0001\",\"\xc3\xa9\"],%d,%d,\"p\","
		       "\"2025-03-04T11:11:00.000000Z\"]",
		       (int)run->pid, (int)geteuid());
	tool_expect_exit(0);
	tool_expect_field("[.task_id, .run, .also, .pid, .uid, .program, .started_at]", expected);
	tool_expect_field("keys | length", "8");
	tool_run(WORDS("jq", "-r", ".host"), strdupa(tool.out));
	tool_run(WORDS("bash", "-c", "test \"$(cat)\" = \"$(hostname)\""), strdupa(tool.out));
	tool_expect(0, "", "");
}

Test(cancelreq_running, list_of_runs_fails_where_there_is_no_spool)
{
	RUN("--list", "--running");
	tool_expect_exit(3);
	cr_assert(access(tool_dir.path, F_OK) < 0);
}

/* Asking for all. */

static void run_three_tasks(void)
{
	(void)hold(&(struct held_lease){.task_id = "nightly-2", .run = "b", .also = {"nightly-9"}});
	(void)hold(
		&(struct held_lease){.task_id = "nightly-2", .run = "a", .started_at_s = this_morning_s()});
	(void)hold(&(struct held_lease){
		.task_id = "nightly-2", .run = "c", .started_at_s = this_morning_s() + 60});
	(void)run_task("nightly-1");
	(void)run_task("hourly");
}

Test(cancelreq_running, match_asks_once_for_each_task_that_runs)
{
	run_three_tasks();
	RUN("--match", "nightly-*", "tenant", "closed");
	tool_expect(
		0,
		"requested nightly-1 (request ID); running: pid PID on HOST since 11:11\n"
		"requested nightly-2 (request ID); running: nightly-2@a, pid PID on HOST since 11:11 and 2 "
		"more\n"
		"requested 2, already pending 0\n",
		"");
	cr_assert_eq(tool_count("pending"), 2);
	RUN("--check", "nightly-2");
	tool_expect(0, "tenant closed\n", "");
}

Test(cancelreq_running, match_counts_what_is_pending_already)
{
	run_three_tasks();
	RUN("-q", "--by", "alice", "hourly", "why");
	RUN("--match", "*");
	tool_expect_exit(0);
	tool_expect_in(tool_plain(tool.out),
		       "already pending hourly (request ID, by alice, AGE ago: why); running: "
		       "pid PID on HOST since 11:11\n");
	tool_expect_in(tool.out, "requested 2, already pending 1\n");
}

Test(cancelreq_running, match_takes_what_the_command_line_says_of_a_request)
{
	(void)run_task("task");
	RUN("--match", "task", "--by", "bob", "--expires", "2h", "--after", "1h", "--json", "why");
	tool_expect_exit(0);
	tool_expect_field("[.task_id, .run, .reason, .requester.name, .expires_in_s, (.cancel_at | type)]",
			  "[\"task\",null,\"why\",\"bob\",7200,\"string\"]");
	cr_assert_str_eq(tool.err, "requested 1, already pending 0\n");
	RUN("--match", "task", "-q");
	tool_expect(0, "", "");
}

Test(cancelreq_running, match_only_says_what_it_would_do_when_it_is_dry)
{
	run_three_tasks();
	RUN("--match", "nightly-*", "--dry-run", "why");
	tool_expect(0,
		    "would request nightly-1: pid PID on HOST\n"
		    "would request nightly-2: pid PID on HOST and 2 more\n"
		    "would request 2\n",
		    "");
	RUN("--match", "nightly-*", "--dry-run", "-q");
	tool_expect(0, "", "");
	cr_assert_eq(tool_count("pending"), 0);
}

/* Neither a dead run, nor an id that a run only listens to, is a task that runs. */
Test(cancelreq_running, match_of_nothing_is_no)
{
	run_three_tasks();
	lease_holder_kill(run_task("weekly"));
	RUN("--match", "weekly", "why");
	tool_expect(1, "no task that is running matches weekly\n", "");
	RUN("--match", "nightly-9", "--dry-run");
	tool_expect(1, "no task that is running matches nightly-9\n", "");
	RUN("--match", "x\n", "-q");
	tool_expect(1, "", "");
	RUN("--match", "x\n", "--json");
	tool_expect(1, "", "");
	cr_assert_eq(tool_count("pending"), 0);
}

Test(cancelreq_running, match_goes_on_when_one_request_fails)
{
	run_three_tasks();
	tool_run(WORDS(STRACE, "-o", "/dev/null", "-e", "inject=linkat,renameat2:error=ENOSPC:when=1",
		       PROGRAM, "--match", "*"),
		 NULL);
	tool_expect_exit(3);
	tool_expect_in(tool.err, "cancelreq: task 'hourly': cannot publish 'pending/hourly.json'");
	tool_expect_in(tool.out, "requested nightly-2 (request ");
	tool_expect_in(tool.out, "requested 2, already pending 0, refused 1\n");
	cr_assert_eq(tool_count("pending"), 2);
}
