/* What cancels a task and what does not: each half of the rule, in both modes, with each way of noticing. */
#include "clock.h"
#include "shifted_clock.h"
#include "tasking.h"
#include "token_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	RACES = 300,
	SOON_MS = 150,
};

TestSuite(task_rule, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 90);

static const enum cancel_outcome real_outcomes[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_FINISHED,
						    CANCEL_OUTCOME_FAILED, CANCEL_OUTCOME_REFUSED};
static const enum cancel_outcome no_cancels[] = {CANCEL_OUTCOME_WITHDRAWN, CANCEL_OUTCOME_EXPIRED};

enum {
	REAL_OUTCOMES = sizeof(real_outcomes) / sizeof(real_outcomes[0]),
	NO_CANCELS = sizeof(no_cancels) / sizeof(no_cancels[0]),
};

static void expect_why(const char *id, const char *reason)
{
	struct cancel_why why;

	cancel_task_why(task, &why);
	cr_assert_eq(why.kind, CANCEL_WHY_REQUEST);
	cr_assert_str_eq(why.id, id);
	cr_assert_str_eq(why.text, reason);
}

static char own_id[] = "a", further_id[] = "tenant";

static int ask_elsewhere(void *task_id)
{
	return ask(task_id, NULL, "why", NULL) == CANCEL_REQUESTED ? 0 : 1;
}

static int decide_elsewhere(void *task_id)
{
	return ask(task_id, NULL, "why", NULL) == CANCEL_REQUESTED &&
			       decide(task_id, NULL, NULL, CANCEL_OUTCOME_STOPPED) == CANCEL_DECIDED
		       ? 0
		       : 1;
}

/* --- a request that is pending ------------------------------------------------------------------------- */

/* DESIGN.md, invariant 10 */
TASKING_TEST(task_rule, a_request_made_before_the_start_stops_the_task_at_its_start)
{
	tasking_open(way);
	tasking_ask("a");
	EXPECT(1, tasking_begin("a"));
	cr_assert(cancel_token_requested(cancel_task_token(task)), "cancelled already");
	cr_assert(cancel_task_checkpoint(task));
	expect_why("a", "why");
}

/* DESIGN.md, invariant 10 */
TASKING_TEST(task_rule, a_request_made_meanwhile_reaches_it)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	expect_why("a", "why");
}

TASKING_TEST(task_rule, a_request_by_another_process_reaches_it)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(in_child_as(0, ask_elsewhere, own_id), 0);
	EXPECT_NOTICED(way, task);
}

TASKING_TEST(task_rule, a_request_for_another_task_does_not)
{
	static const char *const others[] = {"b", "ab", "A", "a ", "a@r", "a%"};

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		tasking_ask(others[i]);
	EXPECT_UNTOUCHED(way, task);
}

/* Their words of the bell are the same, if they share one; they do not in the spool. */
TASKING_TEST(task_rule, many_tasks_are_told_apart)
{
	enum { MANY = 40 };
	struct cancel_task *tasks[MANY];
	char id[32];

	tasking_open(way);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(id, sizeof(id), "many_%d", i);
		EXPECT(0, tasking_begin(id));
		tasks[i] = task;
	}
	for (int i = 0; i < MANY; i += 4) {
		(void)snprintf(id, sizeof(id), "many_%d", i);
		tasking_ask(id);
	}
	for (int i = 0; i < MANY; i += 4)
		EXPECT_NOTICED(way, tasks[i]);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(cancel_task_check(tasks[i], NULL), i % 4 == 0, "task %d", i);
}

TASKING_TEST(task_rule, two_runs_of_one_task_are_both_reached)
{
	struct cancel_task *first;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	first = task;
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT_NOTICED(way, first);
}

/* DESIGN.md, invariant 35 */
TASKING_TEST(task_rule, once_cancelled_it_stays_cancelled)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
	EXPECT(1, cancel_task_check(task, &error));
	EXPECT(1, cancel_spool_reset(spool, "a", NULL, &error));
	EXPECT(1, cancel_task_check(task, &error));
	cr_assert(cancel_task_checkpoint(task));
	cr_assert_eq(cancel_task_wait(task, 0), 1);
	expect_why("a", "why");
}

TASKING_TEST(task_rule, a_pending_file_by_a_program_that_rings_no_bell_reaches_it)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
	put("draft", "{\"task_id\": \"a\", \"reason\": \"by hand\"}");
	cr_assert_eq(rename(at("draft"), at("pending/a.json")), 0);
	EXPECT_NOTICED(way, task);
	expect_why("a", "by hand");
}

TASKING_TEST(task_rule, a_drop_reaches_it_without_a_watcher)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	put("a.json", "{\"reason\": \"dropped\"}");
	EXPECT_NOTICED(way, task);
	expect_why("a", "dropped");
	cr_assert(!there("a.json"));
}

TASKING_TEST(task_rule, a_drop_left_before_the_start_stops_it_at_its_start)
{
	tasking_open(way);
	put("a.json", "{}");
	EXPECT(1, tasking_begin("a"));
	expect_why("a", "(none given)");
}

/* --- a request that was decided ------------------------------------------------------------------------ */

/* DESIGN.md, invariant 10 */
TASKING_TEST(task_rule, a_request_decided_before_the_start_never_hits_the_next_run)
{
	tasking_open(way);
	for (int i = 0; i < REAL_OUTCOMES; i++) {
		tasking_decide("a", NULL, real_outcomes[i]);
		EXPECT(0, tasking_begin("a"));
		EXPECT_UNTOUCHED(way, task);
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	}
}

TASKING_TEST(task_rule, what_the_task_itself_decided_does_not_hit_its_next_run)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 3; i++) {
		tasking_ask("a");
		EXPECT_NOTICED(way, task);
		EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
		EXPECT(0, tasking_begin("a"));
		EXPECT_UNTOUCHED(way, task);
	}
}

/* DESIGN.md, invariant 10. The decided record alone: nobody ever saw the request pending. */
TASKING_TEST(task_rule, a_decision_of_any_real_outcome_reaches_a_task_that_was_going)
{
	tasking_open(way);
	for (int i = 0; i < REAL_OUTCOMES; i++) {
		tasking_prepare_decision("a", NULL, real_outcomes[i]);
		EXPECT(0, tasking_begin("a"));
		EXPECT_UNTOUCHED(way, task);
		tasking_put_decision("processed/a.json");
		EXPECT_NOTICED(way, task);
		expect_why("a", "why");
		EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
		EXPECT(1, cancel_spool_reset(spool, "a", NULL, &error));
	}
}

TASKING_TEST(task_rule, a_decision_by_another_spool_handle_reaches_it)
{
	struct cancel_why why;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT_NOTICED(way, task);
	expect_why("a", "why");
	cancel_task_why(task, &why);
	if (!way->thread)
		cr_assert_eq(why.request->outcome, CANCEL_OUTCOME_STOPPED, "as it was found");
}

/* DESIGN.md, invariant 10 */
TASKING_TEST(task_rule, a_decision_by_another_process_reaches_it)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(in_child_as(0, decide_elsewhere, own_id), 0);
	EXPECT_NOTICED(way, task);
}

TASKING_TEST(task_rule, the_end_of_another_process_that_stopped_for_it_reaches_it)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "a", NULL, NULL);
	cr_assert_eq(worker.begun, 0);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	cr_assert_eq(tasking_worker_wait(&worker), 1);
	cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_STOPPED), 1);
	EXPECT_NOTICED(way, task);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
}

/* DESIGN.md, invariant 10 */
TASKING_TEST(task_rule, a_withdrawal_or_expiry_does_not_reach_it)
{
	tasking_open(way);
	for (int i = 0; i < NO_CANCELS; i++) {
		tasking_prepare_decision("a", NULL, no_cancels[i]);
		EXPECT(0, tasking_begin("a"));
		tasking_put_decision("processed/a.json");
		EXPECT_UNTOUCHED(way, task);
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
		EXPECT(1, cancel_spool_reset(spool, "a", NULL, &error));
	}
}

/* Where nobody looks between the two calls. A manager with a thread may see the request while it stands. */
TASKING_TEST(task_rule, what_was_withdrawn_or_expired_before_it_looked_does_not_reach_it)
{
	if (way->thread)
		return;
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < NO_CANCELS; i++) {
		tasking_decide("a", NULL, no_cancels[i]);
		EXPECT_UNTOUCHED(way, task);
	}
}

TASKING_TEST(task_rule, a_withdrawal_after_a_real_cancel_that_was_decided_before_the_start_does_not_reach_it)
{
	tasking_open(way);
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT(0, tasking_begin("a"));
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
	EXPECT_UNTOUCHED(way, task);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_EXPIRED));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_cancel_that_was_followed_by_a_withdrawn_one_still_reaches_it)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	tasking_decide("a", NULL, CANCEL_OUTCOME_WITHDRAWN);
	EXPECT_NOTICED(way, task);
}

/* DESIGN.md, invariant 6 */
TASKING_TEST(task_rule, litter_does_not_reach_it)
{
	tasking_open(way);
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	copy("processed/a.json", "kept");
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(rename(at("kept"), at("pending/a.json")), 0);
	EXPECT_UNTOUCHED(way, task);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, litter_does_not_stop_it_at_its_start)
{
	tasking_open(way);
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	copy("processed/a.json", "pending/a.json");
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
}

/* --- further ids ---------------------------------------------------------------------------------------- */

TASKING_TEST(task_rule, a_request_for_a_further_id_stops_it_at_its_start)
{
	tasking_open(way);
	tasking_ask("tenant");
	EXPECT(1, tasking_begin_also("a", "tenant"));
	expect_why("tenant", "why");
}

/* DESIGN.md, invariant 35 */
TASKING_TEST(task_rule, a_request_for_a_further_id_reaches_it)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT_UNTOUCHED(way, task);
	cr_assert_eq(in_child_as(0, ask_elsewhere, further_id), 0);
	EXPECT_NOTICED(way, task);
	expect_why("tenant", "why");
}

TASKING_TEST(task_rule, each_of_the_further_ids_counts)
{
	static const char *const ids[CANCEL_TASK_ALSO_MAX] = {"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"};

	tasking_open(way);
	terms.also = ids;
	terms.also_count = CANCEL_TASK_ALSO_MAX;
	for (int i = 0; i < CANCEL_TASK_ALSO_MAX; i++) {
		EXPECT(0, tasking_begin("a"));
		tasking_ask(ids[i]);
		EXPECT_NOTICED(way, task);
		expect_why(ids[i], "why");
		EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
		EXPECT(CANCEL_DECIDED, decide(ids[i], NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
	}
}

/* DESIGN.md, invariant 35 */
TASKING_TEST(task_rule, a_request_for_a_further_id_that_was_decided_before_the_start_does_not)
{
	tasking_open(way);
	tasking_decide("tenant", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_decision_for_a_further_id_reaches_it)
{
	tasking_open(way);
	tasking_prepare_decision("tenant", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT_UNTOUCHED(way, task);
	tasking_put_decision("processed/tenant.json");
	EXPECT_NOTICED(way, task);
	expect_why("tenant", "why");
}

TASKING_TEST(task_rule, a_withdrawal_for_a_further_id_does_not)
{
	tasking_open(way);
	for (int i = 0; i < NO_CANCELS; i++) {
		tasking_prepare_decision("tenant", NULL, no_cancels[i]);
		EXPECT(0, tasking_begin_also("a", "tenant"));
		tasking_put_decision("processed/tenant.json");
		EXPECT_UNTOUCHED(way, task);
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
		EXPECT(1, cancel_spool_reset(spool, "tenant", NULL, &error));
	}
}

TASKING_TEST(task_rule, litter_of_a_further_id_does_not)
{
	tasking_open(way);
	tasking_decide("tenant", NULL, CANCEL_OUTCOME_STOPPED);
	copy("processed/tenant.json", "kept");
	EXPECT(0, tasking_begin_also("a", "tenant"));
	cr_assert_eq(rename(at("kept"), at("pending/tenant.json")), 0);
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_request_for_a_run_of_a_further_id_does_not)
{
	tasking_open(way);
	terms.run = "r";
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT(CANCEL_REQUESTED, ask("tenant", "r", NULL, NULL));
	EXPECT_UNTOUCHED(way, task);
}

/* --- runs ----------------------------------------------------------------------------------------------- */

TASKING_TEST(task_rule, a_request_for_a_run_reaches_that_run_only)
{
	struct cancel_task *first, *second;
	struct cancel_why why;

	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "1"));
	first = task;
	EXPECT(0, tasking_begin_run("a", "2"));
	second = task;
	EXPECT(0, tasking_begin("a"));
	EXPECT(CANCEL_REQUESTED, ask("a", "1", "why", NULL));
	EXPECT_NOTICED(way, first);
	EXPECT_UNTOUCHED(way, second);
	EXPECT_UNTOUCHED(way, task);
	cancel_task_why(first, &why);
	cr_assert_eq(why.kind, CANCEL_WHY_REQUEST);
	cr_assert_str_eq(why.id, "a");
	cr_assert_str_eq(why.request->run, "1");
}

TASKING_TEST(task_rule, a_request_for_a_run_stops_it_at_its_start_and_no_other)
{
	tasking_open(way);
	EXPECT(CANCEL_REQUESTED, ask("a", "1", "why", NULL));
	EXPECT(1, tasking_begin_run("a", "1"));
	EXPECT(0, tasking_begin_run("a", "2"));
	EXPECT_UNTOUCHED(way, task);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_decided_request_for_a_run_does_not_hit_a_later_one_of_that_name)
{
	tasking_open(way);
	tasking_decide("a", "1", CANCEL_OUTCOME_STOPPED);
	EXPECT(0, tasking_begin_run("a", "1"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_decision_for_a_run_reaches_that_run_only)
{
	struct cancel_task *first;

	tasking_open(way);
	tasking_prepare_decision("a", "1", CANCEL_OUTCOME_STOPPED);
	EXPECT(0, tasking_begin_run("a", "1"));
	first = task;
	EXPECT(0, tasking_begin_run("a", "2"));
	tasking_put_decision("processed/a@1.json");
	EXPECT_NOTICED(way, first);
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_withdrawal_for_a_run_does_not)
{
	tasking_open(way);
	tasking_prepare_decision("a", "1", CANCEL_OUTCOME_WITHDRAWN);
	EXPECT(0, tasking_begin_run("a", "1"));
	tasking_put_decision("processed/a@1.json");
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_request_for_the_task_reaches_all_its_runs)
{
	struct cancel_task *first, *second;

	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "1"));
	first = task;
	EXPECT(0, tasking_begin_run("a", "2"));
	second = task;
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, first);
	EXPECT_NOTICED(way, second);
	EXPECT_NOTICED(way, task);
}

/* --- cancel times ----------------------------------------------------------------------------------------
 */

static int64_t soon_us(void)
{
	return clock_realtime_us() + SOON_MS * US_PER_MS;
}

TASKING_TEST(task_rule, a_cancel_time_takes_effect_then_and_not_before)
{
	int64_t at_us;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	at_us = soon_us();
	tasking_ask_at("a", at_us);
	EXPECT_NOTICED(way, task);
	cr_assert_geq(clock_realtime_us(), at_us, "too soon %s", tasking_way_text(way));
}

TASKING_TEST(task_rule, a_cancel_time_that_was_set_before_the_start_takes_effect_then)
{
	int64_t at_us = soon_us();

	tasking_open(way);
	tasking_ask_at("a", at_us);
	if (tasking_begin("a") == 1)
		cr_assert_geq(clock_realtime_us(), at_us);
	EXPECT_NOTICED(way, task);
	cr_assert_geq(clock_realtime_us(), at_us);
}

TASKING_TEST(task_rule, a_cancel_time_far_off_does_not_stop_it_at_its_start)
{
	tasking_open(way);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, a_cancel_time_of_a_further_id_takes_effect_then)
{
	int64_t at_us;

	tasking_open(way);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	at_us = soon_us();
	tasking_ask_at("tenant", at_us);
	EXPECT_NOTICED(way, task);
	cr_assert_geq(clock_realtime_us(), at_us);
	expect_why("tenant", "(none given)");
}

TASKING_TEST(task_rule, one_withdrawn_before_its_time_does_nothing)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT_UNTOUCHED(way, task);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
	clock_steps_ms(3601 * 1000); /* alone: by the other clocks sleepers sleep, and the kernel knows nothing */
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(task_rule, one_merged_to_sooner_takes_effect_sooner)
{
	int64_t at_us;

	tasking_open(way);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
	at_us = soon_us();
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", 0, at_us));
	EXPECT_NOTICED(way, task);
	cr_assert_geq(clock_realtime_us(), at_us);
}

TASKING_TEST(task_rule, one_merged_with_a_request_without_a_time_takes_effect_at_once)
{
	tasking_open(way);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(0, tasking_begin("a"));
	EXPECT(CANCEL_ALREADY_PENDING, ask("a", NULL, NULL, NULL));
	EXPECT_NOTICED(way, task);
}

TASKING_TEST(task_rule, the_sooner_of_two_cancel_times_counts)
{
	int64_t at_us;

	tasking_open(way);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT_UNTOUCHED(way, task);
	at_us = soon_us();
	tasking_ask_at("tenant", at_us);
	EXPECT_NOTICED(way, task);
	cr_assert_geq(clock_realtime_us(), at_us);
	expect_why("tenant", "(none given)");
}

TASKING_TEST(task_rule, a_request_for_the_run_does_not_wait_for_a_cancel_time_of_the_task)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "r"));
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT_UNTOUCHED(way, task);
	EXPECT(CANCEL_REQUESTED, ask("a", "r", "now", NULL));
	EXPECT_NOTICED(way, task);
	expect_why("a", "now");
}

/* --- what stands in a request's place and is none --------------------------------------------------------
 */

static void expect_told_of(const char *word)
{
	struct cancel_error report = tasking_report_at(0);

	cr_assert_eq(report.code, -EBADMSG, "%d: %s", report.code, report.text);
	cr_assert_not_null(strstr(report.text, word), "%s", report.text);
}

TASKING_TEST(task_rule, what_is_no_request_cancels_nobody_and_is_told)
{
	tasking_open(way);
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(tasking_report_count(), 1, "told when it begins");
	expect_told_of("a.json");
	EXPECT(-EBADMSG, cancel_task_check(task, &error));
	cr_assert(!cancel_task_checkpoint(task));
}

TASKING_TEST(task_rule, a_request_takes_the_place_of_what_was_none)
{
	tasking_open(way);
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	cr_assert_eq(count_in("refused"), 1);
	EXPECT_NOTICED(way, task);
}

TASKING_TEST(task_rule, what_is_no_request_in_a_further_ids_place_hides_no_other)
{
	tasking_open(way);
	cr_assert_eq(mkfifo(at("pending/tenant.json"), 0600), 0);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	expect_told_of("tenant.json");
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	expect_why("a", "why");
}

TASKING_TEST(task_rule, what_is_no_request_beside_one_that_is_does_not_save_the_task)
{
	tasking_open(way);
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	tasking_ask("tenant");
	EXPECT(1, tasking_begin_also("a", "tenant"));
}

TASKING_TEST(task_rule, a_record_of_another_task_cancels_nobody)
{
	tasking_open(way);
	put("pending/a.json", "{\"task_id\": \"b\"}");
	EXPECT(0, tasking_begin("a"));
	expect_told_of("a.json");
	EXPECT(0, tasking_begin("b"));
	EXPECT_UNTOUCHED(way, task);
}

/* --- the start -------------------------------------------------------------------------------------------
 */

struct race {
	pthread_barrier_t barrier;
	struct cancel_spool *asker;
	unsigned delay;
};

static void ask_with(struct cancel_spool *asker)
{
	struct cancel_request request;

	cancel_request_init(&request);
	request.task_id = "a";
	if (cancel_spool_request(asker, &request, NULL, NULL) < 0)
		abort();
	cancel_request_clear(&request);
}

static int ask_at_random(void *arg)
{
	struct race *race = arg;

	for (int i = 0; i < RACES; i++) {
		(void)pthread_barrier_wait(&race->barrier);
		for (volatile unsigned spin = 0; spin < race->delay; spin++)
			;
		ask_with(race->asker);
		(void)pthread_barrier_wait(&race->barrier);
	}
	return 0;
}

/* DESIGN.md, invariants 7 and 34 */
TASKING_TEST(task_rule, a_request_made_during_the_start_is_not_lost)
{
	struct race race = {.asker = spool};
	struct token_thread asker;
	unsigned seed = 1;

	tasking_open(way);
	cr_assert_eq(pthread_barrier_init(&race.barrier, NULL, 2), 0);
	token_thread_start(&asker, ask_at_random, &race);
	for (int i = 0; i < RACES; i++) {
		race.delay = (unsigned)rand_r(&seed) % 100000;
		(void)pthread_barrier_wait(&race.barrier);
		cr_assert_geq(tasking_begin("a"), 0);
		EXPECT_NOTICED(way, task);
		(void)pthread_barrier_wait(&race.barrier);
		EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	}
	cr_assert_eq(token_thread_join(&asker), 0);
	(void)pthread_barrier_destroy(&race.barrier);
}
