/* Processes stopped at each of their system calls. */
#include "tracer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TIMEOUT_S = 60,
	GO_MS = 30000,
	NOBODY = 4711,
	KILLED = 128 + SIGKILL,
	CHILD_CODE = 7,
};

static void set_up(void)
{
	if (!tracer_works())
		cr_skip_test("processes cannot be traced here");
}

TestSuite(tracer, .init = set_up, .timeout = TIMEOUT_S);

/* --- one order ---------------------------------------------------------------------------------------- */

/* What to do with each call of that number, and what it came to. */
struct plan {
	long number;
	struct tracer_order order;
	int met;
	int64_t result;
	char text[64];
	pid_t processes[8];
};

static struct tracer_order follow_plan(void *arg, const struct tracer_call *call)
{
	struct plan *plan = arg;

	if (call->number != plan->number)
		return (struct tracer_order){.what = TRACER_PROCEED};
	plan->processes[plan->met % 8] = call->process;
	plan->met++;
	if (call->number == SYS_openat)
		cr_assert(tracer_text(call, call->arguments[1], plan->text, sizeof(plan->text)));
	return plan->order;
}

static void note_result(void *arg, const struct tracer_call *call)
{
	struct plan *plan = arg;

	if (call->number == plan->number)
		plan->result = call->result;
}

static struct tracer *trace(struct plan *plan, int (*body)(void *arg))
{
	const struct tracer_options options = {.entering = follow_plan, .returned = note_result, .arg = plan};

	return tracer_fork(&options, body, NULL, -1);
}

/* Its exit code. */
static int play(struct plan *plan, int (*body)(void *arg))
{
	struct tracer *tracer = trace(plan, body);
	int status;

	cr_assert_eq(tracer_go(tracer, GO_MS), TRACER_ENDED);
	status = tracer_status(tracer);
	tracer_end(tracer);
	return status;
}

static int open_nothing(void *arg)
{
	(void)arg;
	return open("/nowhere/at/all", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

Test(tracer, a_call_fails_as_it_was_told_and_is_not_made)
{
	struct plan plan = {.number = SYS_openat, .order = {TRACER_FAIL, EDQUOT}};

	cr_assert_eq(play(&plan, open_nothing), EDQUOT);
	cr_assert_eq(plan.met, 1);
	cr_assert_eq(plan.result, -EDQUOT);
	cr_assert_str_eq(plan.text, "/nowhere/at/all");
}

Test(tracer, a_call_that_proceeds_has_its_own_result)
{
	struct plan plan = {.number = SYS_openat, .order = {TRACER_PROCEED, 0}};

	cr_assert_eq(play(&plan, open_nothing), ENOENT);
	cr_assert_eq(plan.result, -ENOENT);
}

static int has_no_parent(void *arg)
{
	(void)arg;
	return getppid() == NOBODY;
}

static int close_twice(void *arg)
{
	int fd = memfd_create("closed", MFD_CLOEXEC);

	(void)arg;
	if (close(fd) == 0 || errno != EIO)
		return 1;
	return close(fd) < 0 && errno == EIO && fcntl(fd, F_GETFD) < 0 ? 0 : 2;
}

Test(tracer, a_call_is_made_and_fails_all_the_same)
{
	struct plan plan = {.number = SYS_close, .order = {TRACER_SPOIL, EIO}};

	cr_assert_eq(play(&plan, close_twice), 0);
	cr_assert_eq(plan.met, 2);
}

Test(tracer, a_call_is_answered)
{
	struct plan plan = {.number = SYS_getppid, .order = {TRACER_ANSWER, NOBODY}};

	cr_assert_eq(play(&plan, has_no_parent), 1);
}

/* How many bytes are there: what a write said must be so. The argument itself is as before. */
static int write_ten(void *arg)
{
	int fd = memfd_create("ten", MFD_CLOEXEC);
	ssize_t written = write(fd, "0123456789", 10);

	(void)arg;
	return lseek(fd, 0, SEEK_END) == written ? (int)written : -1;
}

Test(tracer, a_write_is_shortened)
{
	struct plan plan = {.number = SYS_write, .order = {TRACER_SHORTEN, 3}};

	cr_assert_eq(play(&plan, write_ten), 3);
	cr_assert_eq(plan.result, 3);
	plan.order.value = 20;
	cr_assert_eq(play(&plan, write_ten), 10);
}

static int write_after(void *arg)
{
	int *shared = arg;

	(void)getppid();
	*shared = 1;
	return 0;
}

Test(tracer, a_call_kills_and_is_not_made)
{
	int *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct plan plan = {.number = SYS_getppid, .order = {TRACER_KILL, 0}};
	const struct tracer_options options = {.entering = follow_plan, .arg = &plan};
	struct tracer *tracer = tracer_fork(&options, write_after, shared, -1);

	cr_assert_eq(tracer_go(tracer, GO_MS), TRACER_ENDED);
	cr_assert_eq(tracer_status(tracer), KILLED);
	cr_assert_eq(*shared, 0);
	tracer_end(tracer);
	(void)munmap(shared, sizeof(*shared));
}

/* --- held --------------------------------------------------------------------------------------------- */

Test(tracer, a_held_call_is_made_when_it_goes_on)
{
	int *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct plan plan = {.number = SYS_getppid, .order = {TRACER_HOLD, 0}};
	const struct tracer_options options = {
		.entering = follow_plan, .returned = note_result, .arg = &plan};
	struct tracer *tracer = tracer_fork(&options, write_after, shared, -1);

	cr_assert_eq(tracer_go(tracer, GO_MS), TRACER_HELD);
	cr_assert_eq(*shared, 0);
	cr_assert_eq(plan.result, 0);
	cr_assert_eq(tracer_go(tracer, GO_MS), TRACER_ENDED);
	cr_assert_eq(*shared, 1);
	cr_assert_eq(plan.result, getpid());
	tracer_end(tracer);
	(void)munmap(shared, sizeof(*shared));
}

Test(tracer, who_is_held_can_be_killed_or_given_up)
{
	struct plan plan = {.number = SYS_getppid, .order = {TRACER_HOLD, 0}};
	struct tracer *one = trace(&plan, has_no_parent), *other = trace(&plan, has_no_parent);

	cr_assert_eq(tracer_go(one, GO_MS), TRACER_HELD);
	cr_assert_eq(tracer_go(other, GO_MS), TRACER_HELD);
	tracer_signal(one, SIGKILL);
	cr_assert_eq(tracer_go(one, GO_MS), TRACER_ENDED);
	cr_assert_eq(tracer_status(one), KILLED);
	tracer_end(one);
	tracer_end(other);
}

static int sleep_long(void *arg)
{
	(void)arg;
	(void)pause();
	return 0;
}

Test(tracer, who_does_not_end_is_late_and_can_be_ended)
{
	struct plan plan = {.number = SYS_getppid};
	struct tracer *tracer = trace(&plan, sleep_long);

	cr_assert_eq(tracer_go(tracer, 20), TRACER_LATE);
	cr_assert_geq(tracer_count(tracer), 0);
	tracer_end(tracer);
}

/* --- threads, children, programs, signals --------------------------------------------------------------- */

static void *call_as_thread(void *arg)
{
	(void)getppid();
	return arg;
}

static int call_as_four(void *arg)
{
	pthread_t thread;
	pid_t child;
	int status = 0;

	(void)arg;
	(void)getppid();
	if (pthread_create(&thread, NULL, call_as_thread, NULL) != 0 || pthread_join(thread, NULL) != 0)
		return 1;
	child = fork();
	if (child == 0) {
		(void)getppid();
		_exit(CHILD_CODE);
	}
	if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != CHILD_CODE)
		return 2;
	(void)getppid();
	return 0;
}

Test(tracer, threads_and_children_are_followed)
{
	struct plan plan = {.number = SYS_getppid};

	cr_assert_eq(play(&plan, call_as_four), 0);
	cr_assert_eq(plan.met, 4);
	cr_assert_eq(plan.processes[1], plan.processes[0], "a thread is of its process");
	cr_assert_neq(plan.processes[2], plan.processes[0], "a child is a process");
	cr_assert_eq(plan.processes[3], plan.processes[0]);
}

Test(tracer, the_first_call_of_a_program_comes_after_its_execve)
{
	struct plan plan = {.number = SYS_execve};
	const struct tracer_options options = {.entering = follow_plan, .arg = &plan};
	const char *const words[] = {"/bin/sh", "-c", "/bin/sh -c 'exit 3'; exit $(($? + $ADD))", NULL};
	const char *const environment[] = {"ADD=2", NULL};
	struct tracer *tracer = tracer_exec(&options, words, environment, -1);

	cr_assert_eq(tracer_go(tracer, GO_MS), TRACER_ENDED);
	cr_assert_eq(tracer_status(tracer), 5);
	cr_assert_leq(plan.met, 1);
	cr_assert_gt(tracer_count(tracer), 10);
	tracer_end(tracer);
}

Test(tracer, a_program_that_is_not_there_ends_with_127)
{
	const char *const words[] = {"/nowhere/at/all", NULL};
	int output = memfd_create("output", MFD_CLOEXEC);
	struct tracer *tracer = tracer_exec(NULL, words, NULL, output);

	cr_assert_eq(tracer_go(tracer, GO_MS), TRACER_ENDED);
	cr_assert_eq(tracer_status(tracer), 127);
	cr_assert_gt(lseek(output, 0, SEEK_END), 0);
	tracer_end(tracer);
	(void)close(output);
}

static volatile sig_atomic_t signalled;

static void note_signal(int signal)
{
	signalled = signal;
}

/* A child is stopped and continued, and its parent is told of both. It ends when the parent has been: who has ended is
 * no longer told as continued. */
static int stop_and_continue(void *arg)
{
	int status, told[2];
	char byte = 0;
	pid_t child;

	(void)arg;
	(void)signal(SIGUSR1, note_signal);
	(void)raise(SIGUSR1);
	if (signalled != SIGUSR1)
		return 1;
	if (pipe2(told, O_CLOEXEC) < 0)
		return 5;
	child = fork();
	if (child == 0) {
		(void)raise(SIGSTOP);
		_exit(read(told[0], &byte, 1) == 1 ? CHILD_CODE : 1);
	}
	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status))
		return 2;
	(void)kill(child, SIGCONT);
	if (waitpid(child, &status, WCONTINUED) != child || !WIFCONTINUED(status))
		return 3;
	if (write(told[1], &byte, 1) != 1 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != CHILD_CODE)
		return 4;
	return 0;
}

Test(tracer, signals_go_on_to_whom_they_are_for)
{
	struct plan plan = {.number = SYS_getppid};

	cr_assert_eq(play(&plan, stop_and_continue), 0);
}

/* --- what is left --------------------------------------------------------------------------------------- */

/* A child of a process that is killed belongs to the trace until it ends. */
static int leave_a_child(void *arg)
{
	int *shared = arg;

	if (fork() == 0) {
		while (__atomic_load_n(&shared[0], __ATOMIC_ACQUIRE) == 0)
			(void)sched_yield();
		shared[1] = 1;
		_exit(0);
	}
	(void)getppid();
	return 0;
}

Test(tracer, the_trace_ends_with_its_last_process)
{
	int *shared = mmap(NULL, 2 * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct plan plan = {.number = SYS_getppid, .order = {TRACER_KILL, 0}};
	const struct tracer_options options = {.entering = follow_plan, .arg = &plan};
	struct tracer *tracer = tracer_fork(&options, leave_a_child, shared, -1);

	cr_assert_eq(tracer_go(tracer, 20), TRACER_LATE);
	__atomic_store_n(&shared[0], 1, __ATOMIC_RELEASE);
	cr_assert_eq(tracer_go(tracer, GO_MS), TRACER_ENDED);
	cr_assert_eq(tracer_status(tracer), KILLED);
	cr_assert_eq(shared[1], 1);
	tracer_end(tracer);
	(void)munmap(shared, 2 * sizeof(int));
}

Test(tracer, names_are_those_of_the_manual)
{
	cr_assert_str_eq(tracer_call_name(SYS_openat), "openat");
	cr_assert_str_eq(tracer_call_name(SYS_futex), "futex");
	cr_assert_str_eq(tracer_call_name(100000), "call 100000");
}
