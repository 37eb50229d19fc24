/* cancel-spool(5) is enough: a worker and a requester in Python's standard library, written from that page,
 * meet cancelreq, the library and each other. */
#include "tool.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANCELREQ    BUILD_DIR "/bin/cancelreq"
#define CANCELWATCH  BUILD_DIR "/bin/cancelwatch"
#define PYTHON       "python3", "-B" /* writes nothing beside the sources */
#define WORKER       PYTHON, SOURCE_DIR "/tests/tool/python_worker.py", tool_dir.path
#define REQUESTER    PYTHON, SOURCE_DIR "/tests/tool/python_requester.py"
#define RUN(...)     tool_run(WORDS(CANCELREQ, __VA_ARGS__), NULL)
#define REQUEST(...) tool_run(WORDS(REQUESTER, __VA_ARGS__), NULL)

static struct process worker, waiter;
static pid_t child;

static void set_up(void)
{
	tool_set_up();
	tool_run(WORDS(CANCELWATCH, "init"), NULL);
	tool_expect_exit(0);
}

static void tear_down(void)
{
	process_free(&worker);
	process_free(&waiter);
	if (child > 0)
		(void)kill(child, SIGKILL);
	tool_tear_down();
}

TestSuite(python, .init = set_up, .fini = tear_down, .timeout = 120);

/* --- a worker in Python ----------------------------------------------------------------------------- */

static void start_worker(const char *const *arguments)
{
	tool_start(&worker, arguments);
	cr_assert(process_wait_out(&worker, "running\n", PROCESS_TIMEOUT_MS), "it does not begin");
}

static void expect_ended(struct process *process, const char *out)
{
	cr_assert(process_wait(process, PROCESS_TIMEOUT_MS), "it still runs");
	cr_assert_eq(process->exit_code, 0, "exit code %d; out: %s err: %s", process->exit_code, process->out,
		     process->err);
	cr_assert_str_eq(process->out, out, "%s%s", process->out, process->err);
	process_free(process);
}

/* "<task> <pid>" as a line, of a process that runs. */
static const char *run_line(const char *task_id, pid_t pid)
{
	static char line[128];

	(void)snprintf(line, sizeof line, "%s %d\n", task_id, pid);
	return line;
}

/* What cancelreq knows of runs, and what Python does, are the same: this one, or none. */
static void expect_running(const char *task_id, pid_t pid)
{
	char want[32];

	REQUEST("running", tool_dir.path);
	tool_expect_exit(0);
	cr_assert_str_eq(tool.out, pid ? run_line(task_id, pid) : "");
	RUN("--list", "--running", "--json");
	tool_expect_exit(0);
	if (!pid) {
		cr_assert_str_eq(tool.out, "");
		return;
	}
	(void)snprintf(want, sizeof want, "%d", pid);
	tool_expect_field(".pid", want);
	tool_expect_field(".program", "\"python_worker\"");
	RUN("--list", "--running");
	tool_expect_in(tool.out, task_id);
	tool_expect_in(tool.out, want);
}

Test(python, worker_stops_and_tells_who_waits)
{
	start_worker(WORDS(WORKER, "task"));
	expect_running("task", worker.pid);
	RUN("--wait=60s", "--by", "alice", "task", "why");
	tool_expect_exit(0);
	tool_expect_in(tool_plain(tool.out),
		       "stopped task by pid PID on HOST AGE after the request: stopped in Python\n");
	expect_ended(&worker, "running\ncancelled for task: why\ndecided 1\n");
	expect_running("task", 0);
	cr_assert_eq(tool_count("runs"), 0);
	cr_assert_eq(tool_count("tmp"), 0);
	RUN("--status", "--json", "task");
	tool_expect_field(".requester.name", "\"alice\"");
	tool_expect_field("[.outcome, .group, .last_cancel_id == .request_id]", "[\"stopped\",null,true]");
}

Test(python, worker_listens_to_its_run)
{
	start_worker(WORDS(WORKER, "/odd@%.", "--run", "1"));
	RUN("-q", "--run", "2", "/odd@%.", "not this one");
	RUN("--wait=60s", "--run", "1", "/odd@%.", "this one");
	tool_expect_exit(0);
	expect_ended(&worker, "running\ncancelled for /odd@%.: this one\ndecided 1\n");
	RUN("--check", "--run", "2", "/odd@%.");
	tool_expect(0, "not this one\n", "");
}

Test(python, worker_finds_names_that_are_cut)
{
	char id[CANCEL_TASK_ID_MAX + 1];

	memset(id, '%', CANCEL_TASK_ID_MAX);
	id[CANCEL_TASK_ID_MAX] = '\0';
	start_worker(WORDS(WORKER, id));
	RUN("-q", "--wait=60s", id);
	tool_expect_exit(0);
	process_free(&worker);
}

static void kill_worker(void)
{
	cr_assert(worker.pid > 0 && kill(worker.pid, SIGKILL) == 0);
	cr_assert(process_wait(&worker, PROCESS_TIMEOUT_MS));
	process_free(&worker);
}

Test(python, killed_worker_leaves_a_lease_that_is_dead)
{
	start_worker(WORDS(WORKER, "task"));
	expect_running("task", worker.pid);
	kill_worker();
	cr_assert_eq(tool_count("runs"), 1, "its file is there");
	expect_running("task", 0);
}

/* The name is taken, so it takes the longer one. */
Test(python, worker_begins_beside_another_and_after_a_dead_one)
{
	struct process other;

	start_worker(WORDS(WORKER, "task"));
	kill_worker();
	start_worker(WORDS(WORKER, "task"));
	tool_start(&other, WORDS(WORKER, "task"));
	cr_assert(process_wait_out(&other, "running\n", PROCESS_TIMEOUT_MS));
	cr_assert_eq(tool_count("runs"), 3);
	tool_shell(CANCELREQ " --list --running --json | jq -s length");
	tool_expect(0, "2\n", "");
	RUN("-q", "task");
	cr_assert(process_wait(&other, PROCESS_TIMEOUT_MS) && process_wait(&worker, PROCESS_TIMEOUT_MS));
	cr_assert(other.exit_code == 0 && worker.exit_code == 0, "%s%s", other.err, worker.err);
	process_free(&other);
}

/* DESIGN.md, invariant 10 */
Test(python, worker_is_not_hit_by_what_was_decided_before_it_began)
{
	RUN("-q", "task", "for an earlier run");
	RUN("-q", "--ack", "task");
	start_worker(WORDS(WORKER, "task", "--looks", "20"));
	expect_ended(&worker, "running\ndecided 0\n");
}

/* DESIGN.md, invariant 10 */
Test(python, worker_is_stopped_at_its_start)
{
	RUN("-q", "task", "before it began");
	start_worker(WORDS(WORKER, "task", "--looks", "1"));
	expect_ended(&worker, "running\ncancelled for task: before it began\ndecided 1\n");
}

/* It has remembered its mark, and looks when the gate opens. */
static void start_gated(const char *const *arguments)
{
	cr_assert(access(tool_path("gate"), F_OK) < 0);
	start_worker(arguments);
}

static void open_gate(void)
{
	tool_write(tool_path("gate"), "", 0);
}

/* DESIGN.md, invariant 10 */
Test(python, worker_is_stopped_by_what_a_sibling_decided)
{
	start_gated(WORDS(WORKER, "task", "--gate", tool_path("gate"), "--looks", "1"));
	RUN("-q", "task", "for both");
	RUN("-q", "--ack", "task", "--detail", "the sibling");
	open_gate();
	expect_ended(&worker, "running\ncancelled for task: for both\ndecided 0\n");
	RUN("--status", "--json", "task");
	tool_expect_field(".detail", "\"the sibling\"");
}

/* DESIGN.md, invariant 10 */
Test(python, worker_is_not_stopped_by_what_was_withdrawn)
{
	start_gated(WORDS(WORKER, "task", "--gate", tool_path("gate"), "--looks", "20"));
	RUN("-q", "task");
	RUN("-q", "--withdraw", "task");
	open_gate();
	expect_ended(&worker, "running\ndecided 0\n");
}

Test(python, worker_waits_for_the_time_of_a_request)
{
	RUN("-q", "--after", "1h", "task");
	start_worker(WORDS(WORKER, "task", "--looks", "20"));
	/* What is pending at its end it decides: it has finished before that time. */
	expect_ended(&worker, "running\ndecided 1\n");
	RUN("--status", "--json", "task");
	tool_expect_field(".outcome", "\"finished\"");
}

Test(python, worker_that_finishes_leaves_a_request_to_another_run)
{
	start_gated(WORDS(WORKER, "task", "--run", "1", "--gate", tool_path("gate"), "--looks", "0"));
	tool_start(&waiter, WORDS(WORKER, "task", "--run", "2", "--gate", tool_path("later")));
	cr_assert(process_wait_out(&waiter, "running\n", PROCESS_TIMEOUT_MS));
	RUN("-q", "task", "for both");
	RUN("-q", "--run", "1", "task", "for the first");
	open_gate();
	expect_ended(&worker, "running\ndecided 1\n");
	RUN("--check", "task");
	tool_expect(0, "for both\n", "");
	tool_write(tool_path("later"), "", 0);
	expect_ended(&waiter, "running\ncancelled for task: for both\ndecided 1\n");
}

Test(python, worker_stops_for_a_group_and_does_not_decide_it)
{
	start_worker(WORDS(WORKER, "task", "--also", "tenant_acme", "--also", "all"));
	RUN("--list", "--running", "--json");
	tool_expect_field(".also", "[\"tenant_acme\",\"all\"]");
	RUN("-q", "--by", "alice", "tenant_acme", "closed");
	expect_ended(&worker, "running\ncancelled for tenant_acme: closed\ndecided 0\n");
	RUN("--check", "tenant_acme");
	tool_expect(0, "closed\n", "");
	RUN("--status", "--json", "task");
	tool_expect_exit(0);
	tool_expect_field("[.task_id, .group, .outcome, .requester.name, .last_cancel_id]",
			  "[\"task\",\"tenant_acme\",\"stopped\",\"alice\",null]");
	/* It is no cancel of the task itself. */
	RUN("--check", "task");
	tool_expect(1, "", "");
}

/* DESIGN.md, invariant 4; and 6: what is left counts for nothing. */
Test(python, worker_killed_in_the_middle_of_its_decision_leaves_litter)
{
	start_worker(WORDS(WORKER, "task", "--die-decided"));
	RUN("-q", "--wait=60s", "task");
	tool_expect_exit(0);
	cr_assert(process_wait(&worker, PROCESS_TIMEOUT_MS));
	cr_assert_eq(worker.exit_code, 128 + SIGKILL, "%s", worker.err);
	process_free(&worker);
	cr_assert_eq(tool_count("pending"), 1);
	RUN("--check", "task");
	tool_expect(1, "", "");
	start_worker(WORDS(WORKER, "task", "--looks", "20"));
	expect_ended(&worker, "running\ndecided 0\n");
	cr_assert_eq(tool_count("pending"), 0, "it has removed the litter");
}

/* As a kill between the two steps of the decision would leave it. */
static void leave_litter(const char *verb)
{
	RUN("-q", "task");
	tool_shell("cp \"$TASK_CANCELLATION_DIR\"/pending/task.json \"$TASK_CANCELLATION_DIR\"/..");
	RUN("-q", verb, "task");
	tool_shell("cp \"$TASK_CANCELLATION_DIR\"/../task.json \"$TASK_CANCELLATION_DIR\"/pending");
	tool_expect_exit(0);
}

/* DESIGN.md, invariant 6 */
Test(python, worker_is_not_stopped_by_litter)
{
	leave_litter("--withdraw");
	start_worker(WORDS(WORKER, "task", "--looks", "20"));
	expect_ended(&worker, "running\ndecided 0\n");
	cr_assert_eq(tool_count("pending"), 0);
}

/* Nobody looks but when the bell rings, so without the right word this would never end. */
Test(python, worker_hears_the_bell)
{
	RUN("-q", "other");
	start_worker(WORDS(WORKER, "task", "--also", "tenant_acme", "--bell"));
	RUN("-q", "--run", "5", "task", "another run");
	RUN("-q", "tenant_acme", "closed");
	expect_ended(&worker, "running\ncancelled for tenant_acme: closed\ndecided 0\n");
}

/* --- locks ------------------------------------------------------------------------------------------ */

/* It pauses between two attempts; or it has ended, which is for the caller to find out. */
static bool is_pausing(void *arg)
{
	const struct process *process = arg;
	char path[64], line[128] = "";
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/syscall", process->pid);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof line, file))
		line[0] = '\0';
	if (file)
		(void)fclose(file);
	return line[0] == '\0' || atol(line) == SYS_clock_nanosleep;
}

/* DESIGN.md, invariant 3 */
Test(python, lock_of_a_name_is_the_library_s)
{
	struct process holder;

	RUN("-q", "a@b");
	tool_start(&holder, WORDS(REQUESTER, "hold", tool_dir.path, "a@b", tool_path("gate")));
	cr_assert(process_wait_out(&holder, "held\n", PROCESS_TIMEOUT_MS), "%s", holder.err);
	RUN("-q", "b");
	RUN("-q", "--ack", "b");
	tool_expect(0, "", "");
	tool_start(&waiter, WORDS(CANCELREQ, "-q", "--ack", "a@b"));
	cr_assert(wait_until(is_pausing, &waiter, PROCESS_TIMEOUT_MS));
	cr_assert(!process_wait(&waiter, 0), "it did not wait for the lock");
	RUN("--check", "a@b");
	tool_expect(0, "(none given)\n", "");
	open_gate();
	expect_ended(&holder, "held\n");
	expect_ended(&waiter, "");
	RUN("--check", "a@b");
	tool_expect(1, "", "");
}

/* --- a worker of the library ------------------------------------------------------------------------ */

static int run_task(const char *task_id)
{
	struct cancel_manager_options options;
	struct cancel_manager *manager;
	struct cancel_task *task;
	int decided;

	cancel_manager_options_init(&options);
	if (cancel_manager_open(&manager, &options, NULL) < 0 ||
	    cancel_task_begin(&task, manager, task_id, NULL, NULL) < 0)
		return 100;
	if (cancel_task_wait(task, CANCEL_FOREVER) != 1)
		return 101;
	decided = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, "stopped in C", NULL);
	if (cancel_manager_close(manager) < 0)
		return 102;
	return decided;
}

static bool has_begun(void *arg)
{
	(void)arg;
	return tool_count("runs") == 1;
}

static void start_c_worker(const char *task_id)
{
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)setenv("TASK_CANCELLATION_DIR", tool_dir.path, 1);
		_exit(run_task(task_id));
	}
	cr_assert_gt(child, 0);
	cr_assert(wait_until(has_begun, NULL, PROCESS_TIMEOUT_MS), "the child does not begin");
}

static bool has_ended(void *status)
{
	return waitpid(child, status, WNOHANG) == child;
}

static void expect_c_worker(int decided)
{
	int status;

	cr_assert(wait_until(has_ended, &status, PROCESS_TIMEOUT_MS), "the child does not stop");
	child = 0;
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == decided, "status %#x", status);
}

Test(python, requester_stops_a_task_of_the_library)
{
	start_c_worker("task");
	REQUEST("running", tool_dir.path);
	tool_expect_exit(0);
	cr_assert_str_eq(tool.out, run_line("task", child));
	REQUEST("publish", tool_dir.path, "task", "why");
	tool_expect(0, "requested\n", "");
	REQUEST("result", tool_dir.path, "task");
	tool_expect_exit(0);
	expect_c_worker(1);
	tool_expect_field("[.outcome, .detail, .reason, .requester.name]",
			  "[\"stopped\",\"stopped in C\",\"why\",\"snake\"]");
	REQUEST("running", tool_dir.path);
	tool_expect(0, "", "");
}

Test(python, drop_stops_a_task_of_the_library)
{
	start_c_worker("task");
	REQUEST("drop", tool_dir.path, "task", "dropped by a snake");
	tool_expect(0, "dropped\n", "");
	REQUEST("result", tool_dir.path, "task");
	tool_expect_exit(0);
	expect_c_worker(1);
	tool_expect_field("[.outcome, .detail, .reason]",
			  "[\"stopped\",\"stopped in C\",\"dropped by a snake\"]");
}

Test(python, killed_task_of_the_library_leaves_a_lease_that_is_dead)
{
	start_c_worker("task");
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, NULL, 0), child);
	child = 0;
	cr_assert_eq(tool_count("runs"), 1);
	REQUEST("running", tool_dir.path);
	tool_expect(0, "", "");
}

/* --- a requester in Python -------------------------------------------------------------------------- */

/* DESIGN.md, invariant 2 */
Test(python, requester_publishes_only_if_nothing_stands)
{
	REQUEST("publish", tool_dir.path, "task", "first");
	tool_expect(0, "requested\n", "");
	REQUEST("publish", tool_dir.path, "task", "second");
	tool_expect(0, "already pending\n", "");
	RUN("--check", "task");
	tool_expect(0, "first\n", "");
	cr_assert_eq(tool_count("tmp"), 0);
	RUN("-q", "--ack", "task");
	tool_expect_exit(0);
	REQUEST("publish", tool_dir.path, "task", "third");
	tool_expect(0, "requested\n", "");
}

/* DESIGN.md, invariant 8 */
Test(python, requester_clears_litter_away)
{
	leave_litter("--ack");
	REQUEST("publish", tool_dir.path, "task", "anew");
	tool_expect(0, "requested\n", "");
	RUN("--check", "task");
	tool_expect(0, "anew\n", "");
}

Test(python, both_sides_in_python_meet)
{
	start_worker(WORDS(WORKER, "task"));
	REQUEST("publish", tool_dir.path, "task", "why");
	tool_expect(0, "requested\n", "");
	REQUEST("result", tool_dir.path, "task");
	tool_expect_exit(0);
	tool_expect_field("[.outcome, .detail]", "[\"stopped\",\"stopped in Python\"]");
	expect_ended(&worker, "running\ncancelled for task: why\ndecided 1\n");
}

Test(python, requester_knows_whether_somebody_rings_for_it)
{
	RUN("-q", "task");
	REQUEST("watched", tool_dir.path);
	tool_expect(0, "no\n", "");
	tool_start(&waiter, WORDS(CANCELWATCH));
	cr_assert(process_wait_out(&waiter, "task", PROCESS_TIMEOUT_MS), "it does not watch");
	REQUEST("watched", tool_dir.path);
	tool_expect(0, "yes\n", "");
}

/* The worker looks only when the bell rings, and Python's requester rings none. */
Test(python, watch_rings_for_a_requester_that_does_not)
{
	RUN("-q", "other");
	tool_start(&waiter, WORDS(CANCELWATCH));
	cr_assert(process_wait_out(&waiter, "other", PROCESS_TIMEOUT_MS), "it does not watch");
	start_worker(WORDS(WORKER, "task", "--bell"));
	REQUEST("publish", tool_dir.path, "task", "why");
	expect_ended(&worker, "running\ncancelled for task: why\ndecided 1\n");
}
