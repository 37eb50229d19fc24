/* Looking up, and the worker's question: the whole rule "a run is cancelled when ...". */
#include "clock.h"
#include "shifted_clock.h"
#include "spool_case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(lookup, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

static char id[CANCEL_REQUEST_ID_LENGTH + 1];
static struct cancel_mark mark;

static int take_mark(const char *task_id, const char *run)
{
	return cancel_spool_mark(spool, task_id, run, &mark, &error);
}

/* DESIGN.md, invariant 13 */
Test(lookup, each_state_is_told_with_its_record)
{
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	cr_assert_null(found.task_id);
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 3600 * US_PER_S));
	EXPECT(CANCEL_LOOKUP_SCHEDULED, lookup("a", NULL));
	cr_assert_gt(found.cancel_at_us, clock_realtime_us());
	time_passes(3601);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_STOPPED);
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", "r"));
	EXPECT(CANCEL_LOOKUP_PROCESSED, cancel_spool_lookup(spool, "a", NULL, NULL, &error));
}

/* Bytes between the members are nobody's. */
static bool is_empty(const struct cancel_request *request)
{
	return !request->task_id && !request->reason && !request->request_id[0] && !request->requested_at_us &&
	       request->requester.pid == -1 && !request->json && !request->storage;
}

Test(lookup, none_and_failures_leave_the_request_alone)
{
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	cr_assert(is_empty(&found));
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	cr_assert(is_empty(&found));
	EXPECT(-EBADMSG, check("a", NULL, NULL));
	cr_assert(is_empty(&found));
}

Test(lookup, a_failure_leaves_the_mark_alone)
{
	struct cancel_mark before;

	memset(&mark, 'x', sizeof(mark));
	before = mark;
	EXPECT(-EINVAL, take_mark("", NULL));
	EXPECT(-EINVAL, take_mark("a", ""));
	cr_assert_eq(memcmp(&before, &mark, sizeof(mark)), 0);
}

/* DESIGN.md, invariant 6 */
Test(lookup, litter_never_stands)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	copy("processed/a.json", "pending/a.json");
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	EXPECT(0, check("a", NULL, NULL));
	EXPECT(0, take_mark("a", NULL));
	EXPECT(0, check("a", NULL, &mark));
}

/* --- a run is cancelled when ... -------------------------------------------------------------------------- */

/* DESIGN.md, invariant 10 */
Test(lookup, a_request_made_before_the_start_stops_the_run_at_its_start)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", id));
	EXPECT(0, take_mark("a", NULL));
	EXPECT(1, check("a", NULL, &mark));
	cr_assert_str_eq(found.request_id, id);
	cr_assert_str_eq(found.reason, "why");
}

Test(lookup, a_request_made_meanwhile_stops_the_run)
{
	EXPECT(0, take_mark("a", NULL));
	EXPECT(0, check("a", NULL, &mark));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(1, check("a", NULL, &mark));
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(1, cancel_spool_check(spool, "a", NULL, &mark, NULL, &error));
}

/* Repair: a run remembers the last cancel id before it first looks.
 * Mutation: decided_since() does not compare with the remembered id. */
/* DESIGN.md, invariant 10 */
Test(lookup, repair_what_was_decided_before_the_start_never_hits_the_next_run)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(0, take_mark("a", NULL));
	cr_assert_str_eq(mark.task_cancel_id, id);
	EXPECT(0, check("a", NULL, &mark));
	EXPECT(0, check("a", NULL, NULL));
}

/* Repair: a pending file counts only if its id is not the remembered one. The kill left litter, and its processed record
 * is gone: removed by hand, or between the two looks.
 * Mutation: counts() is standing->pending alone. */
Test(lookup, repair_a_pending_file_with_the_remembered_id_cancels_nobody)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(0, take_mark("a", NULL));
	copy("processed/a.json", "pending/a.json");
	cr_assert_eq(unlink(at("processed/a.json")), 0);
	EXPECT(0, check("a", NULL, &mark));
}

/* Repair: a sibling's decision reaches a run that was going.
 * Mutation: decided_since() returns false. */
/* DESIGN.md, invariant 10 */
Test(lookup, repair_a_siblings_decision_reaches_a_run_that_was_going)
{
	EXPECT(0, take_mark("a", NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(1, check("a", NULL, &mark));
	cr_assert_eq(found.status, CANCEL_STATUS_PROCESSED);
	cr_assert_str_eq(found.request_id, id);
	EXPECT(0, check("a", NULL, NULL));
}

Test(lookup, a_siblings_decision_of_any_real_outcome_counts)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_FINISHED,
						       CANCEL_OUTCOME_FAILED, CANCEL_OUTCOME_REFUSED};

	for (int i = 0; i < 4; i++) {
		EXPECT(0, take_mark("a", NULL));
		EXPECT(0, check("a", NULL, &mark));
		EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
		EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, outcomes[i]));
		EXPECT(1, check("a", NULL, &mark));
	}
}

/* DESIGN.md, invariant 10 */
Test(lookup, a_withdrawn_or_expired_request_does_not_stop_a_run_that_was_going)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(0, take_mark("a", NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
	EXPECT(0, check("a", NULL, &mark));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_EXPIRED));
	EXPECT(0, check("a", NULL, &mark));
}

/* Repair: last_cancel_id. The real cancel is no longer the latest decision, and still reaches the run.
 * Mutation: fill_decision() sets last_cancel_id to "" for withdrawn and expired. */
Test(lookup, repair_a_cancel_that_was_followed_by_a_withdrawn_one_still_reaches_the_run)
{
	EXPECT(0, take_mark("a", NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_EXPIRED));
	EXPECT(1, check("a", NULL, &mark));
}

Test(lookup, a_runs_request_only_hits_that_run)
{
	struct cancel_mark one, other;

	EXPECT(0, cancel_spool_mark(spool, "a", "1", &one, &error));
	EXPECT(0, cancel_spool_mark(spool, "a", "2", &other, &error));
	EXPECT(CANCEL_REQUESTED, ask("a", "1", NULL, NULL));
	EXPECT(1, check("a", "1", &one));
	cr_assert_str_eq(found.run, "1");
	EXPECT(0, check("a", "2", &other));
	EXPECT(0, check("a", NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", "1", NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(1, check("a", "1", &one));
	EXPECT(0, check("a", "2", &other));
	EXPECT(0, cancel_spool_mark(spool, "a", "1", &one, &error));
	EXPECT(0, check("a", "1", &one));
}

Test(lookup, a_tasks_request_hits_all_its_runs)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(1, check("a", "1", NULL));
	EXPECT(1, check("a", "2", NULL));
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(0, check("b", "1", NULL));
}

/* --- cancel times ----------------------------------------------------------------------------------------- */

Test(lookup, a_cancel_time_in_the_future_is_told_as_later_and_takes_effect_then)
{
	time_stops(NULL);
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 3600 * US_PER_S));
	EXPECT(2, check("a", NULL, NULL));
	cr_assert_gt(found.cancel_at_us, 0);
	time_passes(3599);
	EXPECT(2, check("a", NULL, NULL));
	time_passes(1);
	EXPECT(1, check("a", NULL, NULL));
}

Test(lookup, what_takes_effect_now_wins_over_what_takes_effect_later)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 3600 * US_PER_S));
	EXPECT(2, check("a", "r", NULL));
	cr_assert_null(found.run);
	EXPECT(CANCEL_REQUESTED, ask("a", "r", "now", NULL));
	EXPECT(1, check("a", "r", NULL));
	cr_assert_str_eq(found.reason, "now");
	EXPECT(2, check("a", "other", NULL));
}

Test(lookup, a_decision_since_the_start_wins_over_a_request_that_takes_effect_later)
{
	EXPECT(0, take_mark("a", NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 3600 * US_PER_S));
	EXPECT(1, check("a", NULL, &mark));
	cr_assert_str_eq(found.request_id, id);
}

/* --- drops, without a watcher about ------------------------------------------------------------------------- */

Test(lookup, a_drop_is_taken_in_by_who_looks_for_it)
{
	put("a.json", "{\"reason\": \"dropped\"}");
	EXPECT(1, check("a", NULL, NULL));
	cr_assert_str_eq(found.reason, "dropped");
	cr_assert(!there("a.json"));
	put("b@r.json", "{}");
	EXPECT(CANCEL_LOOKUP_NONE, lookup("b", NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("b", "r"));
}

Test(lookup, a_drop_beside_a_request_that_takes_effect_later_is_not_overlooked)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 3600 * US_PER_S));
	put("a.json", "{}");
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(CANCEL_REQUESTED, ask_terms("b", 0, clock_realtime_us() + 3600 * US_PER_S));
	put("b.json", "{}");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("b", NULL));
}

Test(lookup, a_drop_beside_litter_is_not_overlooked)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	copy("processed/a.json", "pending/a.json");
	put("a.json", "{\"reason\": \"again\"}");
	EXPECT(0, take_mark("a", NULL));
	EXPECT(1, check("a", NULL, &mark));
	cr_assert_str_eq(found.reason, "again");
}

Test(lookup, a_refused_drop_is_no_failure_of_who_looks)
{
	put("a.json", "{\"task_id\": \"b\"}");
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	EXPECT(0, check("a", NULL, NULL));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("b", NULL));
	EXPECT(-ENOENT, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert(there("a.json"));
}

/* --- a failure never means "no" ------------------------------------------------------------------------------- */

static int look_as_somebody(void *arg)
{
	int looked = cancel_spool_lookup(spool, "a", NULL, NULL, &error);
	int checked = cancel_spool_check(spool, "a", NULL, NULL, NULL, &error);

	(void)arg;
	return looked < 0 && checked < 0 ? 1 : 0;
}

/* DESIGN.md, invariant 11 */
Test(lookup, what_cannot_be_read_is_a_failure_and_not_no)
{
	need_root();
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	/* The descriptors are there already; the path and the file are shut. */
	cr_assert_eq(chmod(place_root, 0711), 0);
	cr_assert_eq(chmod(place_path, 0711), 0);
	cr_assert_eq(chmod(at("pending"), 0711), 0);
	cr_assert_eq(chmod(at("processed"), 0711), 0);
	cr_assert_eq(in_child_as(SOMEBODY, look_as_somebody, NULL), 1);
}

/* DESIGN.md, invariant 11 */
Test(lookup, a_spool_that_is_gone_is_a_failure_and_not_no)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	EXPECT(0, spool_case_reopen(&options)); /* without `create` */
	cr_assert_eq(rename(place_path, beside("away")), 0);
	EXPECT(-ENOENT, lookup("a", NULL));
	EXPECT(-ENOENT, check("a", NULL, NULL));
	EXPECT(-ENOENT, take_mark("a", NULL));
}

static int exhaust_and_look(void *arg)
{
	int looked;

	(void)arg;
	while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		;
	looked = cancel_spool_lookup(spool, "a", NULL, NULL, &error);
	return looked == -EMFILE && error.text[0] ? 1 : 0;
}

Test(lookup, having_no_descriptor_left_is_a_failure_and_not_no)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	cr_assert_eq(in_child_as(0, exhaust_and_look, NULL), 1);
}

static void ask_the_run_for_later(int64_t delay_us)
{
	struct cancel_request request;

	cancel_request_init(&request);
	request.task_id = "a";
	request.run = "r";
	request.cancel_at_us = clock_realtime_us() + delay_us;
	EXPECT(CANCEL_REQUESTED, cancel_spool_request(spool, &request, NULL, &error));
}

Test(lookup, what_one_run_is_to_do_later_is_told_where_its_task_has_nothing)
{
	ask_the_run_for_later(3600 * US_PER_S);
	EXPECT(2, check("a", "r", NULL));
	cr_assert_str_eq(found.run, "r");
	EXPECT(2, cancel_spool_check(spool, "a", "r", NULL, NULL, &error));
	EXPECT(0, check("a", NULL, NULL));
}

Test(lookup, of_two_that_take_effect_later_the_tasks_own_is_told)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 7200 * US_PER_S));
	ask_the_run_for_later(3600 * US_PER_S);
	EXPECT(2, check("a", "r", NULL));
	cr_assert_null(found.run);
}

/* DESIGN.md, invariant 11 */
Test(lookup, what_cannot_be_read_of_a_run_is_a_failure_though_its_task_has_nothing)
{
	cr_assert_eq(mkfifo(at("pending/a@r.json"), 0600), 0);
	EXPECT(-EBADMSG, check("a", "r", NULL));
	cr_assert_eq(cancel_spool_check(spool, "a", "r", NULL, NULL, NULL), -EBADMSG);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(1, check("a", "r", NULL));
}
