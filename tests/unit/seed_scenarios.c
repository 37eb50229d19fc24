/* The five scenarios that a user of task cancellation tests first, on tasks that a scheduler runs: create a
 * request, check it, mark it processed, clean up, many at once. */
#include "scheduling.h"

#include "shifted_clock.h"

#include <errno.h>
#include <stdio.h>

TestSuite(seed_scenarios, .init = scheduling_set_up, .fini = scheduling_tear_down, .timeout = 60);

enum {
	BATCH = 50,
};

static struct chore chores[BATCH];
static struct token_gate gate = TOKEN_GATE_INIT;

/* A task that runs, and returns -ECANCELED once it may and its token is cancelled. */
static void run_task(const char *task_id, struct chore *chore)
{
	chore->gate = &gate;
	chore->heeds = true;
	chore->fails = 1;
	chore->failure = -ECANCELED;
	EXPECT(0, scheduling_submit(task_id, chore));
	scheduling_await_calls(chore, 1);
}

Test(seed_scenarios, create_a_cancel_request_for_a_task_that_runs)
{
	scheduling_open();
	run_task("task_123", &chores[0]);
	EXPECT(CANCEL_REQUESTED, ask("task_123", NULL, "deleted by its user", NULL));
	cr_assert(there("pending/task_123.json"));
	cr_assert_geq(scheduling_await_line(0, "cancel signal sent"), 0);
	cr_assert(scheduling_state("task_123").is_cancelled);
	token_gate_open(&gate);
	cr_assert_eq(scheduling_wait("task_123").status, CANCEL_SCHEDULED_CANCELLED);
}

Test(seed_scenarios, check_the_request)
{
	scheduling_open();
	run_task("task_123", &chores[0]);
	EXPECT(0, check("task_123", NULL, NULL));
	EXPECT(CANCEL_REQUESTED, ask("task_123", NULL, "deleted by its user", NULL));
	EXPECT(1, check("task_123", NULL, NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("task_123", NULL));
	cr_assert_str_eq(found.task_id, "task_123");
	cr_assert_str_eq(found.reason, "deleted by its user");
	EXPECT(0, check("task_456", NULL, NULL));
	token_gate_open(&gate);
}

Test(seed_scenarios, the_request_is_marked_processed_by_the_end_of_the_task)
{
	scheduling_open();
	run_task("task_123", &chores[0]);
	EXPECT(CANCEL_REQUESTED,
	       cancel_scheduler_cancel(scheduler, "task_123", "deleted by its user", &error));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("task_123", NULL));
	token_gate_open(&gate);
	(void)scheduling_wait("task_123");
	cr_assert(!there("pending/task_123.json"));
	cr_assert(there("processed/task_123.json"));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("task_123", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_STOPPED);
	cr_assert_str_eq(found.reason, "deleted by its user");
}

Test(seed_scenarios, clean_up_what_was_processed)
{
	struct cancel_sweep_options options;

	scheduling_open();
	run_task("task_123", &chores[0]);
	EXPECT(CANCEL_REQUESTED, cancel_scheduler_cancel(scheduler, "task_123", NULL, &error));
	cancel_sweep_options_init(&options);
	(void)sweep(&options);
	cr_assert(there("pending/task_123.json")); /* what is not decided stays */
	token_gate_open(&gate);
	(void)scheduling_wait("task_123");
	(void)sweep(&options);
	cr_assert(there("processed/task_123.json"));
	time_passes(options.keep_for_s + 1);
	(void)sweep(&options);
	cr_assert(!there("processed/task_123.json"));
	cr_assert_eq(scheduling_state("task_123").status, CANCEL_SCHEDULED_CANCELLED);
}

Test(seed_scenarios, many_requests_at_once)
{
	char task_id[32];

	scheduler_options.threads = 8;
	scheduling_open();
	for (int i = 0; i < BATCH; i++) {
		(void)snprintf(task_id, sizeof(task_id), "task_%d", i);
		chores[i].heeds = i % 2 == 0;
		chores[i].fails = 1;
		chores[i].failure = -ECANCELED;
		chores[i].gate = &gate;
		EXPECT(0, scheduling_submit(task_id, &chores[i]));
	}
	for (int i = 0; i < BATCH; i += 2) {
		(void)snprintf(task_id, sizeof(task_id), "task_%d", i);
		EXPECT(CANCEL_REQUESTED, ask(task_id, NULL, "batch", NULL));
	}
	token_gate_open(&gate);
	EXPECT(0, cancel_scheduler_drain(scheduler, CANCEL_FOREVER));
	for (int i = 0; i < BATCH; i++) {
		(void)snprintf(task_id, sizeof(task_id), "task_%d", i);
		cr_assert_eq(scheduling_state(task_id).status,
			     i % 2 == 0 ? CANCEL_SCHEDULED_CANCELLED : CANCEL_SCHEDULED_FAILED, "%s",
			     task_id);
		EXPECT(i % 2 == 0 ? CANCEL_LOOKUP_PROCESSED : CANCEL_LOOKUP_NONE, lookup(task_id, NULL));
	}
	cr_assert_eq(scheduling_count().cancelled, BATCH / 2);
	cr_assert_eq(count_in("pending"), 0);
}
