/* What a checkpoint costs in system calls, with a thread and without, and how often a sleeper looks. */
#include "clock.h"
#include "process.h"
#include "tasking.h"
#include "token_thread.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	TICKS = 50,
	TICK_MAX_MS = 10, /* of the coarse clock, at its coarsest */
	EACH_TICK = 2,    /* system calls: the bell is asked for two words */
	READS_EACH_LOOK = 4,
	EACH_LOOK = 60, /* the spool is looked at, for two names */
	CALLS_MAX = 512,
	SLEEP_MS = 600,
	ATTEMPTS = 10,
	LONG_ROUND_SLACK_S = 15,
	NO_SECCOMP = 77,
	NO_SYSTEM_CALL = -1,
};

TestSuite(task_cost, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 120);

/* --- with a thread -------------------------------------------------------------------------------------- */

static int report_fd;

/* A sanitizer has an _exit of its own, which looks for leaks. */
static void leave(int status)
{
	(void)syscall(SYS_exit_group, status);
}

static void report_call(int number, siginfo_t *info, void *context)
{
	int call = info->si_syscall;
	ssize_t written = write(report_fd, &call, sizeof(call));

	(void)number;
	(void)context;
	leave(written != sizeof(call));
}

/* For this thread only: the manager's own goes on. */
static bool forbid_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	struct sigaction action = {.sa_sigaction = report_call, .sa_flags = SA_SIGINFO};

	return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int64_t coarse_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* In a process of its own: for as long as one without a thread would look once. */
static void check_without_system_calls(struct tasking_way *way, void (*before)(void))
{
	int64_t began_ns;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	tasking_open(way);
	if (tasking_begin_also("a", "tenant") < 0)
		leave(1);
	before();
	if (!forbid_system_calls())
		leave(NO_SECCOMP);
	began_ns = coarse_ns();
	while (coarse_ns() < began_ns + 2 * CANCEL_CHECKPOINT_LOOK_MS * NS_PER_MS)
		(void)cancel_task_checkpoint(task);
	(void)cancel_token_requested(cancel_task_token(task));
	leave(0);
}

/* The number of the first system call, or NO_SYSTEM_CALL. */
static int first_system_call(struct tasking_way *way, void (*before)(void))
{
	int ends[2], call = NO_SYSTEM_CALL, status;
	pid_t pid;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		report_fd = ends[1];
		check_without_system_calls(way, before);
	}
	(void)close(ends[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (read(ends[0], &call, sizeof(call)) != sizeof(call))
		call = NO_SYSTEM_CALL;
	(void)close(ends[0]);
	cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == NO_SECCOMP)
		cr_skip_test("no seccomp here");
	cr_assert_eq(WEXITSTATUS(status), 0);
	return call;
}

static void do_nothing(void)
{
}

static void cancel_it(void)
{
	(void)cancel_task_cancel(task, NULL);
}

/* DESIGN.md, invariant 41 */
TASKING_TEST(task_cost, a_checkpoint_with_a_thread_makes_no_system_call)
{
	int call = first_system_call(way, do_nothing);

	if (way->thread)
		cr_assert_eq(call, NO_SYSTEM_CALL, "system call %d", call);
	else
		cr_assert_neq(call, NO_SYSTEM_CALL, "this test sees nothing");
}

TASKING_TEST(task_cost, a_checkpoint_of_what_is_cancelled_makes_no_system_call)
{
	int call = first_system_call(way, cancel_it);

	cr_assert_eq(call, NO_SYSTEM_CALL, "system call %d", call);
}

/* --- without, counted ----------------------------------------------------------------------------------- */

/* What the one that is counted leaves behind. */
struct counted {
	long ticks, checkpoints;
	int64_t elapsed_ns;
};

static struct counted *counted;

static void check_for_some_ticks(void)
{
	int64_t began_ns = clock_monotonic_ns(), last_ns = coarse_ns();

	while (counted->ticks < TICKS) {
		int64_t now_ns = coarse_ns();

		counted->ticks += now_ns != last_ns;
		last_ns = now_ns;
		(void)cancel_task_checkpoint(task);
		counted->checkpoints++;
	}
	counted->elapsed_ns = clock_monotonic_ns() - began_ns;
}

static void wait_for_a_while(void)
{
	int64_t began_ns = clock_monotonic_ns();

	(void)cancel_task_wait(task, SLEEP_MS * CANCEL_MILLISECOND);
	counted->elapsed_ns = clock_monotonic_ns() - began_ns;
}

/* In a process of its own: what is between two calls of getppid is counted. */
static void be_counted(struct tasking_way *way, void (*act)(void))
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	tasking_open(way);
	if (tasking_begin_also("a", "tenant") != 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(NO_SECCOMP);
	(void)raise(SIGSTOP);
	(void)syscall(SYS_getppid);
	act();
	(void)syscall(SYS_getppid);
	_exit(0);
}

/* Run on to the next system call's beginning; false when it has ended. */
static bool next_call(pid_t pid, long *number)
{
	struct __ptrace_syscall_info info;
	int status;

	do {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) != pid ||
		    !WIFSTOPPED(status))
			return false;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
			return false;
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY);
	*number = (long)info.entry.nr;
	return true;
}

/* How often each system call was made. */
static void count_calls(struct tasking_way *way, void (*act)(void), long calls[CALLS_MAX])
{
	int status, marks = 0;
	long number;
	pid_t pid;

	if (getenv("CANCEL_TEST_SLOW"))
		cr_skip_test("nothing is traced under a checker");
	counted = mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(counted, MAP_FAILED);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		be_counted(way, act);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD) < 0)
		cr_skip_test("nothing can be traced here");
	memset(calls, 0, CALLS_MAX * sizeof(calls[0]));
	while (marks < 2 && next_call(pid, &number)) {
		if (number == SYS_getppid)
			marks++;
		else if (marks == 1 && number >= 0 && number < CALLS_MAX)
			calls[number]++;
	}
	cr_assert_eq(marks, 2);
	(void)kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
}

static long sum(const long calls[CALLS_MAX])
{
	long total = 0;

	for (int i = 0; i < CALLS_MAX; i++)
		total += i == SYS_clock_gettime ? 0 : calls[i];
	return total;
}

/* DESIGN.md, invariant 41 */
TASKING_TEST(task_cost, a_checkpoint_without_a_thread_makes_a_few_at_each_tick)
{
	long calls[CALLS_MAX], looks;

	if (way->thread || way->waits)
		return;
	count_calls(way, check_for_some_ticks, calls);
	looks = counted->elapsed_ns / (CANCEL_CHECKPOINT_LOOK_MS * NS_PER_MS) + 2;
	cr_assert_gt(sum(calls), 0, "this test sees nothing");
	cr_assert_leq(sum(calls), EACH_TICK * (counted->ticks + 2) + EACH_LOOK * looks,
		      "%ld system calls in %ld ticks, %ld looks and %ld checkpoints", sum(calls),
		      counted->ticks, looks, counted->checkpoints);
	cr_assert_eq(calls[SYS_futex], 0, "nobody sleeps here");
}

TASKING_TEST(task_cost, a_checkpoint_asks_the_bell_once_at_each_tick)
{
	long calls[CALLS_MAX], looks;

	if (way->thread || way->waits || way->notice != CANCEL_NOTICE_BELL)
		return;
	count_calls(way, check_for_some_ticks, calls);
	looks = counted->elapsed_ns / (CANCEL_CHECKPOINT_LOOK_MS * NS_PER_MS) + 2;
	cr_assert_geq(calls[SYS_pread64], counted->ticks / 2, "it is not asked");
	cr_assert_leq(calls[SYS_pread64], EACH_TICK * (counted->ticks + 2) + READS_EACH_LOOK * looks,
		      "%ld times in %ld ticks and %ld looks", calls[SYS_pread64], counted->ticks, looks);
}

/* --- CANCEL_CHECKPOINT_LOOK_MS -------------------------------------------------------------------------- */

static bool has_passed(void *until)
{
	return coarse_ns() >= *(int64_t *)until;
}

/* What nobody rang for is seen by the first checkpoint after so long. */
TASKING_TEST(task_cost, CANCEL_CHECKPOINT_LOOK_MS_later_a_checkpoint_looks)
{
	int64_t until_ns;

	if (way->thread || way->waits)
		return;
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 3; i++) {
		put("draft", "{\"task_id\": \"a\"}");
		cr_assert_eq(rename(at("draft"), at("pending/a.json")), 0);
		until_ns = coarse_ns() + (CANCEL_CHECKPOINT_LOOK_MS + TICK_MAX_MS) * NS_PER_MS;
		cr_assert(wait_until(has_passed, &until_ns, PROCESS_TIMEOUT_MS));
		cr_assert(cancel_task_checkpoint(task), "turn %d", i);
		EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
		EXPECT(0, tasking_begin("a"));
		(void)cancel_task_checkpoint(task);
	}
}

/* --- CANCEL_ROUND_MIN_MS and CANCEL_ROUND_MAX_MS -------------------------------------------------------- */

TASKING_TEST(task_cost, CANCEL_ROUND_MIN_MS_is_the_shortest_pause_of_a_sleeper)
{
	long calls[CALLS_MAX], sleeps = 0;

	if (way->thread || !way->waits)
		return;
	manager_options.poll_interval_ms = CANCEL_ROUND_MIN_MS;
	/* Who did not get to run slept once. */
	for (int i = 0; i < ATTEMPTS && sleeps < 2; i++) {
		count_calls(way, wait_for_a_while, calls);
		sleeps = calls[SYS_futex] + calls[SYS_futex_waitv];
		cr_assert_leq(sleeps, counted->elapsed_ns / (CANCEL_ROUND_MIN_MS * NS_PER_MS) + 2);
	}
	cr_assert_geq(sleeps, 2, "this test sees nothing");
}

TASKING_TEST(task_cost, CANCEL_ROUND_MIN_MS_is_the_shortest_that_can_be_asked_for)
{
	manager_options.thread = way->thread;
	manager_options.notice = way->notice;
	manager_options.poll_interval_ms = CANCEL_ROUND_MIN_MS - 1;
	EXPECT(-EINVAL, cancel_manager_open(&manager, &manager_options, &error));
	manager_options.poll_interval_ms = CANCEL_ROUND_MIN_MS;
	EXPECT(0, cancel_manager_open(&manager, &manager_options, &error));
}

static int wait_for_long_round(void *arg)
{
	return cancel_task_wait(arg, CANCEL_ROUND_MAX_MS * CANCEL_MILLISECOND +
					     LONG_ROUND_SLACK_S * CANCEL_SECOND);
}

/* Somebody says that he rings for all, and does not: a test of half a minute, made once. */
Test(task_cost, CANCEL_ROUND_MAX_MS_is_the_longest_pause_whoever_rings)
{
	static const struct tasking_way threaded = {
		.thread = true, .waits = true, .notice = CANCEL_NOTICE_BELL};
	struct cancel_watch_options watch_options;
	struct cancel_watch *liar = NULL;
	struct cancel_manager *other = NULL;
	struct cancel_task *others_task = NULL;
	struct token_thread waiters[2];

	cancel_watch_options_init(&watch_options);
	watch_options.rings = true;
	EXPECT(0, cancel_watch_open(&liar, spool, &watch_options, &error));
	manager_options.poll_interval_ms = 3600000;
	EXPECT(0, cancel_manager_open(&other, &manager_options, &error));
	EXPECT(0, cancel_task_begin(&others_task, other, "a", NULL, &error));
	tasking_open(&threaded);
	EXPECT(0, tasking_begin("a"));
	token_thread_start(&waiters[0], wait_for_long_round, task);
	token_thread_start(&waiters[1], wait_for_long_round, others_task);
	for (int i = 0; i < 2; i++)
		cr_assert(token_thread_falls_asleep(&waiters[i]));
	put("draft", "{\"task_id\": \"a\"}");
	cr_assert_eq(rename(at("draft"), at("pending/a.json")), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&waiters[i]), 1, "sleeper %d", i);
	cancel_watch_close(liar);
	cr_assert_eq(cancel_manager_close(other), 0);
}
