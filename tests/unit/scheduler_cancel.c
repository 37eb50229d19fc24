/* Cancelling a scheduler's tasks: before they run, while they run, between two tries; what is decided, and
 * what is said. */
#include "scheduling.h"

#include "token_thread.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum {
	FOREVER_S = 1000,
};

TestSuite(scheduler_cancel, .init = scheduling_set_up, .fini = scheduling_tear_down, .timeout = 60);

static struct chore chores[8];

static void expect_decided(const char *task_id, enum cancel_outcome outcome)
{
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup(task_id, NULL));
	cr_assert_eq(found.outcome, outcome, "%s: %s", task_id, cancel_outcome_text(found.outcome));
}

/* --- before it runs ----------------------------------------------------------------------------------- */

static void expect_never_ran(struct chore *chore, const char *task_id)
{
	struct cancel_scheduled state = scheduling_wait(task_id);

	cr_assert_eq(state.status, CANCEL_SCHEDULED_CANCELLED);
	cr_assert(state.is_cancelled);
	cr_assert_eq(state.tries, 0);
	cr_assert_eq(state.started_at_us, 0);
	cr_assert_neq(state.ended_at_us, 0);
	cr_assert_eq(atomic_load(&chore->calls), 0);
	cr_assert_eq(atomic_load(&chore->ends), 1);
	cr_assert_eq(chore->end.status, CANCEL_SCHEDULED_CANCELLED);
}

/* DESIGN.md, invariant 46 */
Test(scheduler_cancel, a_queued_task_ends_at_once_and_never_runs)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "a", "not needed", &error));
	expect_never_ran(&chores[0], "a");
	expect_decided("a", CANCEL_OUTCOME_STOPPED);
	cr_assert_str_eq(found.reason, "not needed");
	cr_assert_str_eq(found.detail, "it had not begun to run");
	cr_assert_eq(scheduling_state("blocker-0").status, CANCEL_SCHEDULED_RUNNING);
}

/* By another program: it asks the spool, and rings. */
Test(scheduler_cancel, a_request_by_anybody_ends_a_queued_task)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	tasking_ask("a");
	expect_never_ran(&chores[0], "a");
	expect_decided("a", CANCEL_OUTCOME_STOPPED);
}

Test(scheduler_cancel, a_request_for_its_run_or_a_further_id_counts_too)
{
	static const char *const also[] = {"group", "all"};

	scheduling_open();
	scheduling_block();
	submission.run = "r1";
	EXPECT(0, scheduling_submit("a", &chores[0]));
	submission.run = NULL;
	submission.also = also;
	submission.also_count = 2;
	EXPECT(0, scheduling_submit("b", &chores[1]));
	EXPECT(CANCEL_REQUESTED, ask("a", "r2", "not this one", NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", "r1", "this one", NULL));
	expect_never_ran(&chores[0], "a");
	tasking_ask("all");
	expect_never_ran(&chores[1], "b");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("all", NULL));
}

Test(scheduler_cancel, a_request_that_stands_already_cancels_it_as_it_is_submitted)
{
	scheduling_open();
	tasking_ask("a");
	EXPECT(0, scheduling_submit("a", &chores[0]));
	expect_never_ran(&chores[0], "a");
	expect_decided("a", CANCEL_OUTCOME_STOPPED);
	EXPECT(0, scheduling_submit("a", &chores[1])); /* it is decided, and stops nobody again */
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
}

/* `ended` is called by the scheduler's own threads, however many there are to be ended. */
Test(scheduler_cancel, all_of_a_queue_end_while_every_thread_is_busy)
{
	enum { COUNT = 200 };
	static const char *const also[] = {"all"};
	static struct chore many[COUNT];
	char task_id[16];

	scheduling_open();
	scheduling_block();
	submission.also = also;
	submission.also_count = 1;
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		EXPECT(0, scheduling_submit(task_id, &many[i]));
	}
	tasking_ask("all");
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		expect_never_ran(&many[i], task_id);
	}
	cr_assert_eq(scheduling_count().cancelled, COUNT);
	cr_assert_eq(scheduling_count().queued, 0);
	cr_assert_eq(scheduling_count().running, 2);
}

/* --- while it runs ------------------------------------------------------------------------------------ */

Test(scheduler_cancel, a_running_task_reads_cancelled_when_the_call_returns)
{
	static struct token_gate gate = TOKEN_GATE_INIT;
	struct cancel_scheduled state;

	scheduling_open();
	chores[0].gate = &gate;
	chores[0].fails = 1;
	chores[0].failure = -ECANCELED;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	cr_assert(!scheduling_state("a").is_cancelled);
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "a", "stop", &error));
	state = scheduling_state("a");
	cr_assert(state.is_cancelled);
	cr_assert_eq(state.status, CANCEL_SCHEDULED_RUNNING); /* it is at it still */
	token_gate_open(&gate);
	state = scheduling_wait("a");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_CANCELLED);
	cr_assert_eq(state.result, -ECANCELED);
	cr_assert_eq(state.tries, 1);
	cr_assert_eq(chores[0].kind, CANCEL_KIND_REQUESTED);
	cr_assert_eq(chores[0].token_error, -ECANCELED);
	expect_decided("a", CANCEL_OUTCOME_STOPPED);
	cr_assert_str_eq(found.detail, "in 1 try");
}

/* A cancelled task is never tried again, and is not failed or timed out, whatever it returned. */
/* DESIGN.md, invariant 46 */
Test(scheduler_cancel, a_cancelled_task_is_not_tried_again)
{
	scheduling_open();
	submission.tries.retries = 5;
	submission.tries.timeout_ns = FOREVER_S * CANCEL_SECOND;
	chores[0].heeds = true;
	chores[0].fails = UINT32_MAX;
	chores[0].failure = -EIO;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	tasking_ask("a");
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
	cr_assert_eq(atomic_load(&chores[0].calls), 1);
	cr_assert_eq(scheduling_count().retried, 0);
	cr_assert_eq(scheduling_count().failed, 0);
}

static void await_token(struct chore *chore, const struct cancel_try *now)
{
	(void)chore;
	(void)cancel_token_wait(now->token, CANCEL_FOREVER);
}

/* Its time was over, then it was cancelled, before it returned. */
/* DESIGN.md, invariant 47 */
Test(scheduler_cancel, a_task_that_is_cancelled_after_its_time_is_cancelled)
{
	static struct token_gate gate = TOKEN_GATE_INIT;

	scheduling_open();
	submission.tries.timeout_ns = CANCEL_MILLISECOND;
	submission.tries.retries = 1;
	chores[0].does = await_token;
	chores[0].gate = &gate;
	chores[0].fails = UINT32_MAX;
	chores[0].failure = -ETIMEDOUT;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	token_gate_await(&gate, 1);
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	token_gate_open(&gate);
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
}

Test(scheduler_cancel, who_had_done_all_before_noticing_is_cancelled_and_the_request_finished)
{
	scheduling_open();
	chores[0].heeds = true;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
	expect_decided("a", CANCEL_OUTCOME_FINISHED);
	cr_assert_eq(scheduling_count().succeeded, 0);
}

static void ask_and_return(struct chore *chore, const struct cancel_try *now)
{
	(void)now;
	chore->failure = cancel_scheduler_cancel(scheduler, "a", "by itself", NULL);
}

Test(scheduler_cancel, a_task_may_cancel_itself)
{
	scheduling_open();
	chores[0].does = ask_and_return;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
	cr_assert_eq(chores[0].failure, CANCEL_REQUESTED);
}

static void note_why(struct chore *chore, const struct cancel_try *now)
{
	struct cancel_why why;

	(void)cancel_token_wait(now->token, CANCEL_FOREVER);
	cancel_task_why(now->task, &why);
	chore->failure = why.kind == CANCEL_WHY_REQUEST && !strcmp(why.text, "too late") && why.request &&
			 cancel_cause_request(cancel_token_cause(now->token)) == why.request;
}

Test(scheduler_cancel, a_function_learns_why)
{
	scheduling_open();
	chores[0].does = note_why;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "too late", NULL));
	(void)scheduling_wait("a");
	cr_assert_eq(chores[0].failure, 1);
}

/* --- between two tries -------------------------------------------------------------------------------- */

Test(scheduler_cancel, a_request_ends_the_pause_between_two_tries)
{
	struct cancel_scheduled state;

	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, FOREVER_S * CANCEL_SECOND, false};
	chores[0].fails = 1;
	chores[0].failure = -EIO;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT_BECOMES(CANCEL_SCHEDULED_QUEUED, "a");
	tasking_ask("a");
	state = scheduling_wait("a");
	cr_assert_eq(state.status, CANCEL_SCHEDULED_CANCELLED);
	cr_assert_eq(state.tries, 1);
	cr_assert_eq(state.result, -EIO);
	cr_assert_eq(atomic_load(&chores[0].calls), 1);
	expect_decided("a", CANCEL_OUTCOME_STOPPED);
}

/* One thread, which is idle: neither it nor who keeps the time is held up. */
Test(scheduler_cancel, an_end_that_takes_long_keeps_no_other_from_its_next_try)
{
	static struct token_gate gate = TOKEN_GATE_INIT;

	scheduler_options.threads = 1;
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, FOREVER_S * CANCEL_SECOND, false};
	chores[0].fails = chores[1].fails = 1;
	chores[0].failure = chores[1].failure = -EIO;
	chores[0].end_gate = &gate;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT_BECOMES(CANCEL_SCHEDULED_QUEUED, "a");
	tasking_ask("a");
	token_gate_await(&gate, 1);
	submission.tries.retry_interval_ns = CANCEL_MILLISECOND;
	EXPECT(0, scheduling_submit("b", &chores[1]));
	cr_assert_eq(scheduling_wait("b").status, CANCEL_SCHEDULED_SUCCEEDED);
	token_gate_open(&gate);
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
}

/* It is cancelled when it has returned, and before it waits: the line about the failed try comes in between.
 */
static void cancel_at_the_line(void *arg, enum cancel_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (!strstr(line, "failed"))
		return;
	(void)ask("a", NULL, NULL, NULL);
	(void)cancel_token_wait(cancel_task_token(chores[0].token_task), CANCEL_FOREVER);
}

Test(scheduler_cancel, a_request_before_the_pause_is_not_lost)
{
	scheduler_options.log = cancel_at_the_line;
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, FOREVER_S * CANCEL_SECOND, false};
	chores[0].fails = 1;
	chores[0].failure = -EIO;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_CANCELLED);
	cr_assert_eq(atomic_load(&chores[0].calls), 1);
}

/* --- who is not there --------------------------------------------------------------------------------- */

Test(scheduler_cancel, nothing_is_asked_for_a_task_that_is_not_queued_and_does_not_run)
{
	scheduling_open();
	EXPECT(-ENOENT, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	EXPECT(-ENOENT, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	EXPECT_WORDS("'a'");
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
}

Test(scheduler_cancel, who_has_ended_stays_as_it_ended)
{
	scheduling_open();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	tasking_ask("a");
	cr_assert_eq(scheduling_state("a").status, CANCEL_SCHEDULED_SUCCEEDED);
	cr_assert(!scheduling_state("a").is_cancelled);
}

Test(scheduler_cancel, a_wrong_reason_is_refused_and_cancels_nobody)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(-EILSEQ, cancel_scheduler_cancel(scheduler, "a", "\xff", &error));
	cr_assert(!scheduling_state("a").is_cancelled);
	scheduling_unblock();
	cr_assert_eq(scheduling_wait("a").status, CANCEL_SCHEDULED_SUCCEEDED);
}

/* It returns while somebody is about to cancel it: the call counts, and its request is decided by this run.
 */
struct canceller {
	struct token_thread thread;
	int code;
};

static struct token_gate together = TOKEN_GATE_INIT;

static int cancel_a(void *arg)
{
	token_gate_pass(&together);
	((struct canceller *)arg)->code = cancel_scheduler_cancel(scheduler, "a", NULL, NULL);
	return 0;
}

Test(scheduler_cancel, a_cancel_that_was_accepted_is_never_lost_to_a_task_that_returns)
{
	scheduling_open();
	for (int round = 0; round < 200; round++) {
		struct canceller canceller;
		struct cancel_scheduled state;

		chores[0] = (struct chore){.gate = &together};
		together = (struct token_gate)TOKEN_GATE_INIT;
		EXPECT(0, scheduling_submit("a", &chores[0]));
		token_thread_start(&canceller.thread, cancel_a, &canceller);
		token_gate_await(&together, 2);
		token_gate_open(&together);
		(void)token_thread_join(&canceller.thread);
		state = scheduling_wait("a");
		cr_assert(canceller.code == -ENOENT || canceller.code == CANCEL_REQUESTED);
		cr_assert_eq(state.status == CANCEL_SCHEDULED_CANCELLED, canceller.code == CANCEL_REQUESTED,
			     "round %d: %d, and it is %s", round, canceller.code,
			     cancel_scheduled_text(state.status));
		EXPECT(canceller.code == -ENOENT ? CANCEL_LOOKUP_NONE : CANCEL_LOOKUP_PROCESSED,
		       lookup("a", NULL));
		(void)cancel_spool_reset(spool, "a", NULL, NULL);
	}
}

/* --- what is said ------------------------------------------------------------------------------------- */

static void expect_line(int index, enum cancel_log_level expected, const char *text)
{
	enum cancel_log_level level;

	cr_assert_str_eq(scheduling_line_at(index, &level), text);
	cr_assert_eq(level, expected, "%s", text);
}

Test(scheduler_cancel, a_task_that_runs_has_three_lines)
{
	scheduling_open();
	chores[0].heeds = true;
	chores[0].fails = 1;
	chores[0].failure = -ECANCELED; /* which is no failure */
	EXPECT(0, scheduling_submit("task_123", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	EXPECT(CANCEL_REQUESTED,
	       cancel_scheduler_cancel(scheduler, "task_123", "deleted by its user", &error));
	(void)scheduling_wait("task_123");
	cr_assert_eq(scheduling_line_count(), 3);
	expect_line(0, CANCEL_LOG_INFO,
		    "task task_123: cancel request received, processing stops: deleted by its user");
	expect_line(1, CANCEL_LOG_INFO, "task task_123: cancel signal sent");
	expect_line(2, CANCEL_LOG_INFO, "task task_123: cancel signal received, execution stopped");
}

/* The first two come while it runs: nobody waits for it to stop. */
Test(scheduler_cancel, the_first_two_lines_come_while_it_runs)
{
	static struct token_gate gate = TOKEN_GATE_INIT;

	scheduling_open();
	chores[0].gate = &gate;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	scheduling_await_calls(&chores[0], 1);
	tasking_ask("a");
	cr_assert_eq(scheduling_await_line(0, "cancel signal sent"), 1);
	cr_assert_eq(scheduling_line_count(), 2);
	token_gate_open(&gate);
	(void)scheduling_wait("a");
	cr_assert_eq(scheduling_line_count(), 3);
}

Test(scheduler_cancel, a_task_that_does_not_run_has_the_first_and_the_last)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a", &chores[0]));
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "a", NULL, &error));
	(void)scheduling_wait("a");
	cr_assert_eq(scheduling_line_count(), 2);
	expect_line(0, CANCEL_LOG_INFO, "task a: cancel request received, processing stops: (none given)");
	expect_line(1, CANCEL_LOG_INFO, "task a: cancel signal received, execution stopped");
}

Test(scheduler_cancel, what_came_from_outside_is_escaped)
{
	scheduling_open();
	scheduling_block();
	EXPECT(0, scheduling_submit("a\nb", &chores[0]));
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "a\nb", "x\033y", &error));
	(void)scheduling_wait("a\nb");
	expect_line(0, CANCEL_LOG_INFO, "task a\\nb: cancel request received, processing stops: x\\x1By");
}

Test(scheduler_cancel, failures_and_timeouts_are_told_as_warnings)
{
	scheduling_open();
	submission.tries = (struct cancel_tries){CANCEL_FOREVER, 1, 2 * CANCEL_MILLISECOND, false};
	chores[0].fails = 2;
	chores[0].failure = -EIO;
	EXPECT(0, scheduling_submit("a", &chores[0]));
	(void)scheduling_wait("a");
	expect_line(0, CANCEL_LOG_WARNING,
		    "task a: try 1 of 2 failed (-5: Input/output error), the next one comes in 2ms");
	expect_line(1, CANCEL_LOG_WARNING,
		    "task a: try 2 of 2 failed (-5: Input/output error), and there is no other");
	submission.tries = (struct cancel_tries){5 * CANCEL_MILLISECOND, 0, 0, false};
	chores[1].heeds = true;
	chores[1].fails = 1;
	chores[1].failure = 3;
	EXPECT(0, scheduling_submit("b", &chores[1]));
	(void)scheduling_wait("b");
	expect_line(2, CANCEL_LOG_WARNING, "task b: try 1 of 1 timed out after 5ms, and there is no other");
	chores[2].fails = 1;
	chores[2].failure = INT32_MIN;
	submission.tries.timeout_ns = CANCEL_FOREVER;
	EXPECT(0, scheduling_submit("c", &chores[2]));
	(void)scheduling_wait("c");
	expect_line(3, CANCEL_LOG_WARNING, "task c: try 1 of 1 failed (-2147483648), and there is no other");
	EXPECT(0, scheduling_submit("d", &chores[3]));
	(void)scheduling_wait("d");
	cr_assert_eq(scheduling_line_count(), 4); /* of success there is nothing to tell */
}

static atomic_int lines_inside;
static atomic_bool lines_meet;

static void dawdle(void *arg, enum cancel_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
	if (atomic_fetch_add(&lines_inside, 1) > 0)
		atomic_store(&lines_meet, true);
	for (int i = 0; i < 50; i++)
		(void)sched_yield();
	(void)atomic_fetch_sub(&lines_inside, 1);
}

Test(scheduler_cancel, lines_are_told_one_at_a_time)
{
	scheduler_options.log = dawdle;
	scheduler_options.threads = 4;
	scheduling_open();
	submission.tries.retries = 100;
	for (int i = 0; i < 4; i++) {
		char task_id[16];

		(void)snprintf(task_id, sizeof(task_id), "t%d", i);
		chores[i].fails = UINT32_MAX;
		chores[i].failure = -EIO;
		EXPECT(0, scheduling_submit(task_id, &chores[i]));
	}
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
	cr_assert(!atomic_load(&lines_meet));
}
