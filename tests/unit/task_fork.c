/* fork: what a child may do with managers and tasks that it has copies of, and what becomes of its parent's
 * runs. */
#include "process.h"
#include "tasking.h"
#include "token_gate.h"
#include "token_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CHILD_TIMEOUT_S = 30,
	FORKS = 40,
};

TestSuite(task_fork, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 90);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

/* In the child, where an assertion of Criterion's would be lost. */
#define CHECK(condition)                                                                                 \
	do {                                                                                             \
		if (!(condition)) {                                                                      \
			(void)fprintf(stderr, "%s:%d: in the child: not true: %s\n", __FILE__, __LINE__, \
				      #condition);                                                       \
			return 1;                                                                        \
		}                                                                                        \
	} while (0)

static void expect_in_child(int (*job)(void))
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)alarm(CHILD_TIMEOUT_S);
		_exit(job());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(!WIFSIGNALED(status), "the child was ended by signal %d", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}

/* --- inherited handles ---------------------------------------------------------------------------------- */

static int all_else_is_refused(void)
{
	struct cancel_task *begun = NULL;

	CHECK(cancel_task_check(task, NULL) == -EPERM);
	CHECK(cancel_task_wait(task, 0) == -EPERM);
	CHECK(cancel_task_wait(task, CANCEL_FOREVER) == -EPERM);
	CHECK(cancel_task_wait_any(&task, 1, CANCEL_FOREVER) == -EPERM);
	CHECK(cancel_task_begin(&begun, manager, "b", NULL, NULL) == -EPERM);
	CHECK(cancel_manager_get(manager, "a", &begun, NULL) == -EPERM);
	CHECK(cancel_manager_get(manager, "b", &begun, NULL) == -EPERM);
	CHECK(cancel_manager_cancel(manager, "b", NULL, NULL) == -EPERM);
	CHECK(cancel_manager_is_cancelled(manager, "a", NULL) == -EPERM);
	CHECK(cancel_manager_delete(manager, "a", NULL) == -EPERM);
	CHECK(begun == NULL);
	return 0;
}

TASKING_TEST(task_fork, a_child_may_not_use_what_it_inherited)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	expect_in_child(all_else_is_refused);
	EXPECT_UNTOUCHED(way, task);
	cr_assert_eq(count_in("pending"), 0);
}

static int the_sentence_says_why(void)
{
	struct cancel_task *begun;
	struct cancel_error why = {0};

	CHECK(cancel_task_begin(&begun, manager, "b", NULL, &why) == -EPERM);
	CHECK(why.code == -EPERM && strstr(why.text, "fork"));
	return 0;
}

TASKING_MODES_TEST(task_fork, the_refusal_says_that_it_is_because_of_the_fork)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	expect_in_child(the_sentence_says_why);
}

static int knows_nothing(void)
{
	CHECK(ask("a", NULL, NULL, NULL) == CANCEL_REQUESTED);
	for (int i = 0; i < 100000; i++)
		CHECK(!cancel_task_checkpoint(task));
	return 0;
}

static int knows_it(void)
{
	struct cancel_why why;

	CHECK(cancel_task_checkpoint(task));
	CHECK(cancel_token_requested(cancel_task_token(task)));
	cancel_task_why(task, &why);
	CHECK(why.kind == CANCEL_WHY_REQUEST && !strcmp(why.text, "why"));
	CHECK(cancel_cause_request(why.cause) == why.request);
	return 0;
}

TASKING_TEST(task_fork, a_checkpoint_answers_what_was_known_at_the_fork)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	expect_in_child(knows_nothing);
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	expect_in_child(knows_it);
}

static int closes_with_tasks(void)
{
	CHECK(cancel_manager_close(manager) == 0);
	return 0;
}

static int ends_and_closes(void)
{
	CHECK(cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, NULL) == 0);
	CHECK(cancel_manager_close(manager) == 0);
	return 0;
}

/* The parent's run is alive, holds its lease, and is still reached. */
static void expect_parent_unharmed(const struct tasking_way *way)
{
	cr_assert_eq(tasking_count_runs("a"), 1);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(tasking_count_runs("a"), 0);
}

TASKING_TEST(task_fork, a_child_that_closes_leaves_its_parents_runs_alone)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	expect_in_child(closes_with_tasks);
	expect_parent_unharmed(way);
}

TASKING_TEST(task_fork, a_child_that_ends_decides_nothing)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	expect_in_child(ends_and_closes);
	expect_parent_unharmed(way);
}

/* With what hangs on a task: a deadline, a parent, callbacks that are not to be called in the child. */
static struct cancel_source parent;
static atomic_int called;

static void count_call(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
	(void)atomic_fetch_add(&called, 1);
}

static int calls_nothing(void)
{
	CHECK(ends_and_closes() == 0);
	CHECK(atomic_load(&called) == 0);
	return 0;
}

TASKING_TEST(task_fork, ending_in_the_child_calls_no_callback)
{
	struct cancel_registration registration;

	tasking_open(way);
	terms.parent = cancel_source_token(&parent);
	terms.timeout_ns = 3600 * CANCEL_SECOND;
	EXPECT(0, tasking_begin("a"));
	(void)cancel_registration_add(&registration, cancel_task_token(task), count_call, NULL);
	expect_in_child(calls_nothing);
	cr_assert_eq(cancel_source_cancel(&parent, &quota), 1);
	cr_assert_eq(atomic_load(&called), 1);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
}

/* --- a worker of its own -------------------------------------------------------------------------------- */

static bool own_thread;

static int works(void)
{
	struct cancel_manager *own = NULL;
	struct cancel_task *begun = NULL;

	manager_options.thread = own_thread;
	CHECK(cancel_manager_open(&own, &manager_options, NULL) == 0);
	CHECK(cancel_task_begin(&begun, own, "own", NULL, NULL) == 0);
	CHECK(ask("own", NULL, NULL, NULL) == CANCEL_REQUESTED);
	CHECK(cancel_task_wait(begun, CHILD_TIMEOUT_S * CANCEL_SECOND) == 1);
	CHECK(there("runs/own"));
	CHECK(cancel_task_end(begun, CANCEL_OUTCOME_STOPPED, NULL, NULL) == 1);
	CHECK(cancel_manager_close(own) == 0);
	return 0;
}

static int closes_and_works(void)
{
	CHECK(cancel_manager_close(manager) == 0);
	return works();
}

TASKING_TEST(task_fork, a_child_opens_a_manager_of_its_own)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	own_thread = way->thread;
	expect_in_child(works);
	expect_in_child(closes_and_works);
	own_thread = !way->thread;
	if (manager_options.notice == CANCEL_NOTICE_INOTIFY)
		manager_options.notice = CANCEL_NOTICE_AUTO;
	expect_in_child(closes_and_works);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
}

/* Threads begin, end and look while another forks: no child finds a lock that nobody will ever let go. */
static atomic_bool is_over;

static int keep_busy(void *arg)
{
	struct cancel_task *busy;

	token_gate_touch(arg);
	while (!atomic_load(&is_over)) {
		if (cancel_task_begin(&busy, manager, "busy", NULL, NULL) < 0)
			return 1;
		(void)cancel_task_check(busy, NULL);
		if (cancel_task_end(busy, CANCEL_OUTCOME_FINISHED, NULL, NULL) < 0)
			return 1;
	}
	return 0;
}

static int uses_all(void)
{
	CHECK(all_else_is_refused() == 0);
	return closes_and_works();
}

TASKING_TEST(task_fork, a_fork_in_the_middle_of_everything_leaves_no_lock_held)
{
	struct token_gate began = TOKEN_GATE_INIT;
	struct token_thread busy[2];

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	own_thread = way->thread;
	for (int i = 0; i < 2; i++)
		token_thread_start(&busy[i], keep_busy, &began);
	token_gate_await(&began, 2);
	for (int i = 0; i < FORKS; i++)
		expect_in_child(uses_all);
	atomic_store(&is_over, true);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&busy[i]), 0);
}

/* --- leases --------------------------------------------------------------------------------------------- */

enum parting {
	FORKS_A_CHILD,
	SPAWNS_A_PROGRAM,
	FORKS_A_GRANDCHILD,
};

static pid_t linger(enum parting parting)
{
	static char name[] = "sleep", time[] = "60";
	char *const arguments[] = {name, time, NULL};
	pid_t pid = -1;

	if (parting == SPAWNS_A_PROGRAM)
		return posix_spawnp(&pid, name, NULL, NULL, arguments, environ) ? -1 : pid;
	pid = fork();
	if (pid == 0) {
		if (parting == FORKS_A_GRANDCHILD && fork() != 0)
			_exit(0);
		(void)alarm(2 * CHILD_TIMEOUT_S);
		for (;;)
			(void)pause();
	}
	return pid;
}

/* In a process of its own: begin, leave a child behind, and wait to be killed. What it tells are the child's
 * group. */
static void begin_and_leave(const struct tasking_way *way, enum parting parting, int told_fd)
{
	struct cancel_manager *own;
	struct cancel_task *begun;
	pid_t left;

	(void)setpgid(0, 0);
	manager_options.thread = way->thread;
	manager_options.notice = way->notice;
	if (cancel_manager_open(&own, &manager_options, NULL) < 0 ||
	    cancel_task_begin(&begun, own, "a", NULL, NULL) < 0)
		_exit(1);
	left = linger(parting);
	if (write(told_fd, &left, sizeof(left)) != sizeof(left))
		_exit(1);
	for (;;)
		(void)pause();
}

static bool nobody_runs(void *arg)
{
	(void)arg;
	return tasking_count_runs("a") == 0;
}

static void expect_lease_dies_with(const struct tasking_way *way, enum parting parting)
{
	int told[2], status;
	pid_t left, pid;

	cr_assert_eq(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		begin_and_leave(way, parting, told[1]);
	(void)close(told[1]);
	cr_assert_eq(read(told[0], &left, sizeof(left)), sizeof(left));
	cr_assert_gt(left, 0);
	cr_assert_eq(tasking_count_runs("a"), 1);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(wait_until(nobody_runs, NULL, PROCESS_TIMEOUT_MS), "who was left behind holds the lease");
	cr_assert_eq(kill(-pid, 0), 0, "nobody was left behind");
	(void)kill(-pid, SIGKILL);
	(void)close(told[0]);
}

TASKING_TEST(task_fork, the_lease_dies_with_the_parent_though_a_child_lives)
{
	expect_lease_dies_with(way, FORKS_A_CHILD);
	expect_lease_dies_with(way, FORKS_A_GRANDCHILD);
}

TASKING_TEST(task_fork, the_lease_dies_with_the_parent_though_a_program_that_it_started_lives)
{
	expect_lease_dies_with(way, SPAWNS_A_PROGRAM);
}

/* The other way round: the child's end takes nothing from the parent. */
static int ends_at_once(void)
{
	return 0;
}

TASKING_TEST(task_fork, the_lease_lives_on_when_a_child_has_ended)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT(0, tasking_begin("a"));
	expect_in_child(ends_at_once);
	cr_assert_eq(tasking_count_runs("a"), 2);
}

/* A descriptor of the child's own that has the number of a lease is not closed by what closes the lease. */
static int spares_own_descriptors(void)
{
	int descriptors[64];

	for (int i = 0; i < 64; i++)
		CHECK((descriptors[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	CHECK(cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, NULL) == 0);
	CHECK(cancel_manager_close(manager) == 0);
	for (int i = 0; i < 64; i++)
		CHECK(fcntl(descriptors[i], F_GETFD) >= 0);
	return 0;
}

TASKING_TEST(task_fork, a_childs_own_descriptors_are_spared)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT(0, tasking_begin("b"));
	expect_in_child(spares_own_descriptors);
}
