/* fork: what a child may do with managers and tasks that it has copies of, and what becomes of its parent's
 * runs. */
#include "in_child.h"
#include "process.h"
#include "tasking.h"
#include "token_gate.h"
#include "token_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FORKS = 40,
};

TestSuite(task_fork, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 90);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

/* --- inherited handles ---------------------------------------------------------------------------------- */

static int all_else_is_refused(void)
{
	struct cancel_task *begun = NULL;

	CHECK(cancel_task_check(task, NULL) == -EPERM);
	CHECK(cancel_task_wait(task, 0) == -EPERM);
	CHECK(cancel_task_wait(task, CANCEL_FOREVER) == -EPERM);
	CHECK(cancel_task_wait_any(&task, 1, CANCEL_FOREVER) == -EPERM);
	CHECK(cancel_task_cancel(task, &quota) == -EPERM);
	CHECK(cancel_task_cancel(task, NULL) == -EPERM);
	CHECK(!cancel_task_checkpoint(task));
	CHECK(cancel_task_begin(&begun, manager, "b", NULL, NULL) == -EPERM);
	CHECK(cancel_manager_get(manager, "a", &begun, NULL) == -EPERM);
	CHECK(cancel_manager_get(manager, "b", &begun, NULL) == -EPERM);
	CHECK(cancel_manager_cancel(manager, "b", NULL, NULL) == -EPERM);
	CHECK(cancel_manager_is_cancelled(manager, "a", NULL) == -EPERM);
	CHECK(cancel_manager_delete(manager, "a", NULL) == -EPERM);
	CHECK(begun == NULL);
	return 0;
}

/* DESIGN.md, invariant 40 */
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
	CHECK(cancel_task_cancel(task, &quota) == -EPERM);
	CHECK(ends_and_closes() == 0);
	CHECK(atomic_load(&called) == 0);
	return 0;
}

TASKING_TEST(task_fork, neither_cancelling_nor_ending_in_the_child_calls_a_callback)
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

#if defined(__SANITIZE_ADDRESS__)
	cr_skip_test("the checker's allocator holds locks over a fork");
#endif
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

/* --- a fork in a callback ----------------------------------------------------------------------------- */

enum {
	BLOCKS = 8,
	UNTOUCHED = 0xa5,
};

static void (*in_callback)(void); /* what the child does there */
static pid_t forked;
static unsigned char *blocks[BLOCKS];
static size_t block_size;

static void fork_there(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
	forked = fork();
	if (forked != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)alarm(CHILD_TIMEOUT_S);
	if (in_callback)
		in_callback();
}

/* Whoever writes to the task after this writes to one of the blocks. */
static void end_and_take_its_memory(void)
{
	block_size = malloc_usable_size(task);
	if (cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, NULL) < 0)
		_exit(1);
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(block_size);
		memset(blocks[i], UNTOUCHED, block_size);
	}
}

static bool blocks_are_untouched(void)
{
	for (int i = 0; i < BLOCKS && blocks[i]; i++)
		for (size_t byte = 0; byte < block_size; byte++)
			if (blocks[i][byte] != UNTOUCHED)
				return false;
	return true;
}

static int close_in_child(void)
{
	CHECK(blocks_are_untouched());
	CHECK(cancel_manager_close(manager) == 0);
	CHECK(blocks_are_untouched());
	return 0;
}

static void close_there(void)
{
	_exit(close_in_child());
}

static int cancel_by_key(void)
{
	return cancel_manager_cancel(manager, "a", NULL, &error) == CANCEL_REQUESTED;
}

static int ask_by_key(void)
{
	tasking_ask("a");
	return cancel_manager_is_cancelled(manager, "a", &error);
}

static int cancel_it(void)
{
	return cancel_task_cancel(task, &quota);
}

static int ask_and_check(void)
{
	tasking_ask("a");
	return cancel_task_check(task, &error);
}

static int ask_and_wait(void)
{
	tasking_ask("a");
	return cancel_task_wait(task, CANCEL_FOREVER);
}

static int (*const cancels[])(void) = {cancel_by_key, ask_by_key, cancel_it, ask_and_check, ask_and_wait};

/* The child comes back from the call that the callback was made by, or does what it does in the callback. */
static void expect_forked_child_is_well(size_t index, void (*act)(void))
{
	struct cancel_registration registration;
	int code, status;

	in_callback = act;
	forked = -1;
	EXPECT(0, tasking_begin("a"));
	(void)cancel_registration_add(&registration, cancel_task_token(task), fork_there, NULL);
	code = cancels[index]();
	if (forked == 0)
		_exit(close_in_child());
	cr_assert_eq(code, 1);
	cr_assert_gt(forked, 0);
	cr_assert_eq(waitpid(forked, &status, 0), forked);
	cr_assert(!WIFSIGNALED(status), "cancel %zu: the child was ended by signal %d", index,
		  WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "cancel %zu", index);
	cr_assert_geq(tasking_end(CANCEL_OUTCOME_STOPPED), 0);
}

static void expect_forked_children_are_well(void (*act)(void))
{
	tasking_open(NULL);
	for (size_t i = 0; i < sizeof(cancels) / sizeof(cancels[0]); i++)
		expect_forked_child_is_well(i, act);
}

/* Without a thread callbacks are called where it is seen. */
Test(task_fork, a_child_of_a_callback_may_return_from_it_and_close)
{
	expect_forked_children_are_well(NULL);
}

Test(task_fork, a_child_of_a_callback_may_close_in_it)
{
	expect_forked_children_are_well(close_there);
}

Test(task_fork, a_child_of_a_callback_may_end_the_task_in_it)
{
	expect_forked_children_are_well(end_and_take_its_memory);
}

/* --- descriptors -------------------------------------------------------------------------------------- */

static int wait_for_it(void *arg)
{
	return cancel_task_wait(arg, CANCEL_FOREVER);
}

/* Nothing that a descriptor or a mapping is of lies in this test's directory. */
static bool holds_no_file(void)
{
	char link[64], target[256], *line = NULL;
	size_t room = 0;
	bool holds = false;
	FILE *maps;

	for (int fd = 0; fd < 1024 && !holds; fd++) {
		ssize_t length;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		length = readlink(link, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		holds = strstr(target, place_root) != NULL;
	}
	maps = fopen("/proc/self/maps", "re");
	while (maps && !holds && getline(&line, &room, maps) > 0)
		holds = strstr(line, place_root) != NULL;
	if (maps)
		(void)fclose(maps);
	free(line);
	return maps && !holds;
}

static int closes_all(void)
{
	CHECK(!holds_no_file());
	CHECK(cancel_manager_close(manager) == 0);
	cancel_spool_close(spool);
	CHECK(holds_no_file());
	return 0;
}

/* Whoever slept on the bell in the parent is not there in the child. */
TASKING_TEST(task_fork, a_child_that_closes_has_nothing_open_any_more)
{
	struct token_thread waiters[2];

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 2; i++) {
		token_thread_start(&waiters[i], wait_for_it, task);
		cr_assert(token_thread_falls_asleep(&waiters[i]));
	}
	for (int i = 0; i < FORKS / 4; i++)
		expect_in_child(closes_all);
	tasking_ask("a");
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&waiters[i]), 1);
}

/* --- leases --------------------------------------------------------------------------------------------- */

enum parting {
	FORKS_A_CHILD,
	SPAWNS_A_PROGRAM,
	FORKS_A_GRANDCHILD,
	FORKS_WHILE_IT_ENDS,
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

static void stop_at_gate(void *gate, struct cancel_token token)
{
	(void)token;
	token_gate_pass(gate);
}

static int cancel_that(void *arg)
{
	return cancel_task_cancel(arg, NULL);
}

static int end_that(void *arg)
{
	return cancel_task_end(arg, CANCEL_OUTCOME_STOPPED, NULL, NULL);
}

/* Another thread is in cancel_task_end, which waits for a callback, as long as this process lives. */
static void let_it_be_ending(struct cancel_task *begun)
{
	static struct token_gate gate = TOKEN_GATE_INIT;
	static struct token_thread canceller, ender;
	static struct cancel_registration registration;

	(void)cancel_registration_add(&registration, cancel_task_token(begun), stop_at_gate, &gate);
	token_thread_start(&canceller, cancel_that, begun);
	token_gate_await(&gate, 1);
	token_thread_start(&ender, end_that, begun);
	if (!token_thread_falls_asleep(&ender))
		_exit(1);
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
	if (parting == FORKS_WHILE_IT_ENDS)
		let_it_be_ending(begun);
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

/* DESIGN.md, invariant 38 */
TASKING_TEST(task_fork, the_lease_dies_with_the_parent_though_a_child_lives)
{
	expect_lease_dies_with(way, FORKS_A_CHILD);
	expect_lease_dies_with(way, FORKS_A_GRANDCHILD);
}

TASKING_TEST(task_fork, the_lease_dies_with_the_parent_that_forked_while_it_was_ending)
{
	expect_lease_dies_with(way, FORKS_WHILE_IT_ENDS);
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
