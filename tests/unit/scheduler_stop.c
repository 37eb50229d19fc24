/* Waiting for a scheduler's tasks, draining it, shutting it down, closing it. */
#include "scheduling.h"

#include "process.h"
#include "token_thread.h"

#include <errno.h>
#include <stdio.h>

enum {
	FOREVER_S = 1000,
};

TestSuite(scheduler_stop, .init = scheduling_set_up, .fini = scheduling_tear_down, .timeout = 60);

static struct chore chores[64];
static struct token_gate gate = TOKEN_GATE_INIT;

/* One that runs until the gate is open, and does not heed its token. */
static void run_a(void)
{
	chores[0].gate = &gate;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
}

/* One that waits for another try. */
static void pause_b(void)
{
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, FOREVER_S * CANCEL_SECOND, false};
	chores[1].fails = 1;
	chores[1].failure = -1;
	EXPECT(0, scheduling_submit("b", &chores[1]));
	scheduling_await_calls(&chores[1], 1);
	EXPECT_BECOMES(CANCEL_SCHEDULED_QUEUED, "b");
	submission.tries = scheduler_options.tries;
}

/* --- waiting for one ---------------------------------------------------------------------------------- */

Test(scheduler_stop, a_wait_ends_when_its_time_is_over)
{
	struct cancel_scheduled state = {.tries = 4711};

	scheduling_open();
	run_a();
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", 0, &state), -ETIMEDOUT);
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", -1, &state), -ETIMEDOUT);
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", CANCEL_MILLISECOND, &state), -ETIMEDOUT);
	cr_assert_eq(state.tries, 4711);
	token_gate_open(&gate);
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", CANCEL_FOREVER, NULL), 0);
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", 0, &state), 0);
	cr_assert_eq(state.status, CANCEL_SCHEDULED_SUCCEEDED);
}

Test(scheduler_stop, a_wait_lasts_until_ended_has_returned)
{
	static struct token_gate end_gate = TOKEN_GATE_INIT;

	scheduling_open();
	chores[0].end_gate = &end_gate;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	token_gate_await(&end_gate, 1);
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_SUCCEEDED); /* as `ended` was told */
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", 20 * CANCEL_MILLISECOND, NULL), -ETIMEDOUT);
	cr_assert_eq(cancel_scheduler_drain(scheduler, 0), -ETIMEDOUT);
	token_gate_open(&end_gate);
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", CANCEL_FOREVER, NULL), 0);
	cr_assert_eq(atomic_load(&chores[0].ends), 1);
}

/* --- draining ----------------------------------------------------------------------------------------- */

Test(scheduler_stop, a_drain_accepts_no_more_and_waits_for_all)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("b", &chores[1]));
	EXPECT(0, scheduling_submit("c", &chores[2]));
	cr_assert_eq(cancel_scheduler_drain(scheduler, 0), -ETIMEDOUT);
	cr_assert_eq(cancel_scheduler_drain(scheduler, CANCEL_MILLISECOND), -ETIMEDOUT);
	EXPECT(-ESHUTDOWN, scheduling_submit("d", &chores[3]));
	scheduling_unblock();
	cr_assert_eq(cancel_scheduler_drain(scheduler, CANCEL_FOREVER), 0);
	cr_assert_eq(scheduling_count().succeeded, 4);
	cr_assert_eq(atomic_load(&chores[3].calls), 0);
	cr_assert_eq(atomic_load(&chores[3].ends), 0);
	EXPECT(-ESHUTDOWN, scheduling_submit("d", &chores[3]));
}

Test(scheduler_stop, a_drain_waits_for_those_that_wait_for_another_try)
{
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 2, 5 * CANCEL_MILLISECOND, false};
	chores[0].fails = 2;
	chores[0].failure = -1;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(cancel_scheduler_drain(scheduler, CANCEL_FOREVER), 0);
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(scheduling_state("a").tries, 3);
}

Test(scheduler_stop, a_drain_of_nothing_is_over_at_once)
{
	scheduling_open();
	cr_assert_eq(cancel_scheduler_drain(scheduler, 0), 0);
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, 0), 0);
}

Test(scheduler_stop, what_waits_can_still_be_cancelled_while_it_drains)
{
	scheduling_open();
	pause_b();
	cr_assert_eq(cancel_scheduler_drain(scheduler, 0), -ETIMEDOUT);
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "b", NULL, &error));
	cr_assert_eq(cancel_scheduler_drain(scheduler, CANCEL_FOREVER), 0);
	cr_assert_eq(scheduling_state("b").status, CANCEL_SCHEDULED_CANCELLED);
}

/* --- shutting down ------------------------------------------------------------------------------------ */

Test(scheduler_stop, a_shutdown_cancels_all_that_wait_or_run)
{
	struct cancel_scheduled state;

	scheduling_open();
	pause_b();
	chores[2].heeds = true;
	chores[2].fails = 1;
	chores[2].failure = -ECANCELED;
	EXPECT(0, scheduling_submit("c", &chores[2]));
	chores[3].heeds = true;
	EXPECT(0, scheduling_submit("d", &chores[3]));
	scheduling_await_calls(&chores[2], 1);
	scheduling_await_calls(&chores[3], 1);
	EXPECT(0, scheduling_submit("e", &chores[4]));
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER), 0);
	cr_assert_eq(scheduling_count().cancelled, 4);
	cr_assert_eq(chores[2].kind, CANCEL_KIND_SHUTDOWN);
	state = scheduling_state("e");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_CANCELLED);
	cr_assert_eq(state.tries, 0);
	cr_assert_eq(scheduling_state("b").tries, 1);
	EXPECT(-ESHUTDOWN, scheduling_submit("f", &chores[5]));
	for (int i = 1; i < 5; i++)
		cr_assert_eq(atomic_load(&chores[i].ends), 1, "%d", i);
}

Test(scheduler_stop, a_shutdown_asks_nothing_in_the_spool)
{
	scheduling_open();
	chores[0].heeds = true;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER), 0);
	cr_assert_eq(count_in("pending"), 0);
	cr_assert_eq(count_in("processed"), 0);
}

Test(scheduler_stop, a_request_that_is_pending_is_decided_by_the_end)
{
	scheduling_open();
	run_a();
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, 0), -ETIMEDOUT);
	tasking_ask("a");
	token_gate_open(&gate);
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER), 0);
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_FINISHED);
	tasking_ask("a");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

Test(scheduler_stop, after_its_time_functions_that_do_not_ask_are_still_at_it)
{
	scheduling_open();
	run_a();
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, CANCEL_MILLISECOND), -ETIMEDOUT);
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_RUNNING);
	cr_assert(scheduling_state("a").is_cancelled);
	token_gate_open(&gate);
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER), 0);
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_CANCELLED);
}

Test(scheduler_stop, a_shutdown_is_told_like_a_request)
{
	scheduling_open();
	chores[0].heeds = true;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER), 0);
	cr_assert_str_eq(scheduling_line_at(0, NULL),
			 "task a: cancel request received, processing stops: the scheduler shuts down");
	cr_assert_eq(scheduling_line_count(), 3);
}

/* Some are being submitted while it shuts down: each is refused, or ends. */

static int submit_on(void *arg)
{
	int number = *(int *)arg, accepted = 0, code = 0;
	struct cancel_submission own;
	char task_id[32];

	cancel_submission_init(&own, scheduler);
	own.ended = chore_end;
	for (int i = 0; code != -ESHUTDOWN; i++) {
		(void)snprintf(task_id, sizeof(task_id), "s%d-%d", number, i);
		code = cancel_scheduler_submit(scheduler, task_id, chore_run, &chores[number], &own, NULL);
		accepted += code == 0;
	}
	return accepted;
}

static bool some_are_accepted(void *arg)
{
	(void)arg;
	return scheduling_count().total >= 10;
}

Test(scheduler_stop, who_is_submitted_meanwhile_ends_too)
{
	struct token_thread threads[4];
	static int numbers[] = {0, 1, 2, 3};
	unsigned accepted = 0, ends = 0;

	scheduling_open();
	for (int i = 0; i < 4; i++) {
		chores[i].heeds = true;
		token_thread_start(&threads[i], submit_on, &numbers[i]);
	}
	cr_assert(wait_until(some_are_accepted, NULL, SCHEDULING_PATIENCE_MS));
	cr_assert_eq(cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER), 0);
	for (int i = 0; i < 4; i++)
		accepted += (unsigned)token_thread_join(&threads[i]);
	cr_assert_eq(cancel_scheduler_drain(scheduler, CANCEL_FOREVER), 0);
	for (int i = 0; i < 4; i++)
		ends += atomic_load(&chores[i].ends);
	cr_assert_eq(ends, accepted);
	cr_assert_eq(scheduling_count().cancelled, accepted);
	cr_assert_eq(scheduling_count().total, accepted);
}

/* A callback of the first one's token holds the shutdown up; those that it has not come to end meanwhile. */
static struct token_gate in_callback = TOKEN_GATE_INIT;

static void hold_up(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
	token_gate_pass(&in_callback);
}

static void register_and_wait(struct chore *chore, const struct cancel_try *now)
{
	struct cancel_registration registration;

	(void)chore;
	(void)cancel_registration_add(&registration, now->token, hold_up, NULL);
	(void)cancel_token_wait(now->token, CANCEL_FOREVER);
	(void)cancel_registration_remove(&registration);
}

static int shut_down(void *arg)
{
	(void)arg;
	return cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER);
}

Test(scheduler_stop, tasks_may_end_while_a_shutdown_is_held_up)
{
	struct token_thread thread;

	scheduler_options.threads = 3;
	scheduling_open();
	chores[1].does = register_and_wait;
	EXPECT(0, scheduling_submit("b", &chores[1]));
	scheduling_await_calls(&chores[1], 1);
	run_a();
	chores[2].gate = &gate;
	EXPECT(0, scheduling_submit("c", &chores[2]));
	scheduling_await_calls(&chores[2], 1);
	token_thread_start(&thread, shut_down, NULL);
	token_gate_await(&in_callback, 1);
	token_gate_open(&gate);
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(scheduling_wait("c").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert_eq(cancel_scheduler_wait(scheduler, "b", 0, NULL), -ETIMEDOUT);
	token_gate_open(&in_callback);
	cr_assert_eq(token_thread_join(&thread), 0);
	cr_assert_eq(scheduling_state("b").status, CANCEL_SCHEDULED_CANCELLED);
}

/* --- closing ------------------------------------------------------------------------------------------ */

Test(scheduler_stop, closing_nothing_is_fine)
{
	cancel_scheduler_close(NULL);
}

Test(scheduler_stop, a_close_ends_everything_and_all_threads)
{
	int before;

	scheduling_open();
	scheduling_close();
	before = token_count_threads();
	scheduling_open();
	pause_b();
	chores[2].heeds = true;
	for (int i = 2; i < 40; i++) {
		char task_id[16];

		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		chores[i].heeds = true;
		EXPECT(0, scheduling_submit(task_id, &chores[i]));
	}
	scheduling_close();
	cr_assert(token_threads_become(before));
	for (int i = 1; i < 40; i++)
		cr_assert_eq(atomic_load(&chores[i].ends), 1, "%d", i);
	cr_assert_eq(tasking_count_runs(NULL), 0);
	EXPECT(0, tasking_close());
}

static int close_it(void *arg)
{
	(void)arg;
	scheduling_close();
	return 0;
}

Test(scheduler_stop, a_close_waits_for_functions_that_do_not_ask)
{
	struct token_thread thread;

	scheduling_open();
	run_a();
	token_thread_start(&thread, close_it, NULL);
	cr_assert(token_thread_falls_asleep(&thread));
	token_gate_open(&gate);
	(void)token_thread_join(&thread);
	cr_assert_eq(atomic_load(&chores[0].ends), 1);
}

Test(scheduler_stop, another_can_be_opened_after_it_and_beside_it)
{
	struct cancel_scheduler *other = NULL;

	scheduling_open();
	EXPECT(0, cancel_scheduler_open(&other, manager, NULL, &error));
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(0, cancel_scheduler_submit(other, "a", chore_run, &chores[1], NULL, &error));
	cr_assert_eq(cancel_scheduler_drain(other, CANCEL_FOREVER), 0);
	cancel_scheduler_close(other);
	(void)scheduling_wait("a");
	scheduling_close();
	scheduling_open();
	EXPECT(0, scheduling_submit("a", &chores[2]));
	(void)scheduling_wait("a");
}

/* --- calls from within -------------------------------------------------------------------------------- */

static void submit_another(struct chore *chore)
{
	struct cancel_submission own;

	cancel_submission_init(&own, scheduler);
	own.ended = chore_end;
	chore->failure = cancel_scheduler_submit(scheduler, "another", chore_run, &chores[1], &own, NULL);
	chore->number = (unsigned)-cancel_scheduler_submit(scheduler, "a", chore_run, &chores[1], &own, NULL);
}

Test(scheduler_stop, ended_may_submit)
{
	scheduling_open();
	chores[0].ending = submit_another;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(cancel_scheduler_wait(scheduler, "a", CANCEL_FOREVER, NULL), 0);
	cr_assert_eq(chores[0].failure, 0);
	cr_assert_eq(chores[0].number, EEXIST); /* its own id is its own until it returns */
	(void)scheduling_wait("another");
	cr_assert_eq(atomic_load(&chores[1].ends), 1);
}

static void use_all(struct chore *chore)
{
	struct cancel_scheduler_statistics counted;
	struct cancel_scheduled state;

	cancel_scheduler_count(scheduler, &counted);
	chore->failure = cancel_scheduler_status(scheduler, chore->ended_id, &state) == 0 &&
			 state.status == CANCEL_SCHEDULED_CANCELLED && counted.cancelled == 1 &&
			 cancel_scheduler_cancel(scheduler, "blocker-0", NULL, NULL) == CANCEL_REQUESTED;
}

Test(scheduler_stop, ended_may_ask_and_cancel)
{
	scheduling_open();
	scheduling_block();
	chores[0].ending = use_all;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	(void)scheduling_wait("a");
	cr_assert_eq(chores[0].failure, 1);
	cr_assert(scheduling_state("blocker-0").is_cancelled);
}

static void submit_within(struct chore *chore, const struct cancel_try *now)
{
	struct cancel_submission own;

	(void)now;
	cancel_submission_init(&own, scheduler);
	chore->failure = cancel_scheduler_submit(scheduler, "another", chore_run, &chores[1], &own, NULL);
}

Test(scheduler_stop, a_function_may_submit)
{
	scheduling_open();
	chores[0].does = submit_within;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	cr_assert_eq(chores[0].failure, 0);
	(void)scheduling_wait("another");
}
