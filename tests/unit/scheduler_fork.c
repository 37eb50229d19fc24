/* fork: a child may close the scheduler that it inherited, and nothing else; its parent's goes on. */
#include "in_child.h"
#include "scheduling.h"

#include "token_thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FORKS = 100,
	TASKS = 300,
};

TestSuite(scheduler_fork, .init = scheduling_set_up, .fini = scheduling_tear_down, .timeout = 90);

static struct chore chores[TASKS];

static int all_is_refused(void)
{
	struct cancel_scheduler_statistics counted = {.total = 4711};
	struct cancel_scheduler *opened = NULL;
	struct cancel_scheduled state;
	struct cancel_error why;

	CHECK(cancel_scheduler_submit(scheduler, "b", chore_run, &chores[1], NULL, &why) == -EPERM);
	CHECK(why.code == -EPERM && strstr(why.text, "fork"));
	CHECK(cancel_scheduler_cancel(scheduler, "a", NULL, NULL) == -EPERM);
	CHECK(cancel_scheduler_status(scheduler, "a", &state) == -EPERM);
	CHECK(cancel_scheduler_wait(scheduler, "a", CANCEL_FOREVER, &state) == -EPERM);
	CHECK(cancel_scheduler_drain(scheduler, CANCEL_FOREVER) == -EPERM);
	CHECK(cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER) == -EPERM);
	CHECK(cancel_scheduler_open(&opened, manager, NULL, NULL) == -EPERM && !opened);
	cancel_scheduler_count(scheduler, &counted);
	CHECK(counted.total == 0 && counted.running == 0);
	return 0;
}

/* DESIGN.md, invariant 40 */
Test(scheduler_fork, a_child_may_not_use_what_it_inherited)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	expect_in_child(all_is_refused);
	cr_assert(!scheduling_state("a").is_cancelled);
	scheduling_unblock();
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
}

static int closes(void)
{
	scheduling_close();
	CHECK(cancel_manager_close(manager) == 0);
	CHECK(atomic_load(&chores[0].calls) == 0 && atomic_load(&chores[0].ends) == 0);
	CHECK(token_count_threads() == 1);
	return 0;
}

Test(scheduler_fork, a_child_may_close_it_and_nothing_is_called_or_decided)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	expect_in_child(closes);
	cr_assert_eq(scheduling_count().queued, 1);
	cr_assert_eq(scheduling_count().running, 2);
	cr_assert_eq(tasking_count_runs("blocker-0"), 1);
}

static int opens_its_own(void)
{
	struct cancel_manager_options options = manager_options;
	struct cancel_scheduler *own = NULL;
	struct cancel_manager *managed = NULL;
	static struct chore chore;

	scheduling_close();
	CHECK(cancel_manager_close(manager) == 0);
	CHECK(cancel_manager_open(&managed, &options, NULL) == 0);
	CHECK(cancel_scheduler_open(&own, managed, NULL, NULL) == 0);
	CHECK(cancel_scheduler_submit(own, "own", chore_run, &chore, NULL, NULL) == 0);
	CHECK(cancel_scheduler_drain(own, CANCEL_FOREVER) == 0);
	CHECK(atomic_load(&chore.calls) == 1);
	cancel_scheduler_close(own);
	CHECK(cancel_manager_close(managed) == 0);
	return 0;
}

Test(scheduler_fork, a_child_opens_one_of_its_own)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	expect_in_child(opens_its_own);
}

/* At any moment of the scheduler's: its tables are whole in the child. One that is refused for its id is in
 * them for a moment, and nothing else takes time. */
static atomic_bool is_over;

static int change_tables(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&is_over); i++) {
		struct cancel_scheduled state;
		char task_id[16];

		(void)snprintf(task_id, sizeof(task_id), "%u\xff", i % TASKS);
		(void)cancel_scheduler_submit(scheduler, task_id, chore_run, NULL, NULL, NULL);
		(void)cancel_scheduler_status(scheduler, task_id, &state);
	}
	return 0;
}

static int submit_and_cancel(void *arg)
{
	char task_id[16];

	(void)arg;
	for (unsigned i = 0; !atomic_load(&is_over); i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%u", i % TASKS);
		(void)cancel_scheduler_submit(scheduler, task_id, chore_run, &chores[i % TASKS], NULL, NULL);
		if (i % 5 == 0)
			(void)cancel_scheduler_cancel(scheduler, task_id, NULL, NULL);
	}
	return 0;
}

static int closes_in_the_middle(void)
{
	scheduling_close();
	CHECK(cancel_manager_close(manager) == 0);
	return 0;
}

Test(scheduler_fork, a_child_may_be_forked_at_any_moment)
{
	struct token_thread threads[3];

#if defined(__SANITIZE_ADDRESS__)
	cr_skip_test("the checker's allocator holds locks over a fork");
#endif
	scheduling_open();
	token_thread_start(&threads[0], submit_and_cancel, NULL);
	for (int i = 1; i < 3; i++)
		token_thread_start(&threads[i], change_tables, NULL);
	for (int i = 0; i < FORKS; i++)
		expect_in_child(closes_in_the_middle);
	atomic_store(&is_over, true);
	for (int i = 0; i < 3; i++)
		(void)token_thread_join(&threads[i]);
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
}

static void fork_and_wait(struct chore *chore, const struct cancel_try *now)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(cancel_token_requested(now->token) ? 1 : 0);
	chore->failure = waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Test(scheduler_fork, a_function_may_fork)
{
	scheduling_open();
	chores[0].does = fork_and_wait;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(chores[0].failure, 1);
}
