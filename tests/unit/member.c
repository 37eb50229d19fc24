/* Groups: one request for many tasks, which none of them decides, and what each leaves behind that stopped
 * for it. */
#include "clock.h"
#include "process.h"
#include "tasking.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(member, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 60);

static char group_id[CANCEL_REQUEST_ID_LENGTH + 1];

static void ask_group(void)
{
	struct cancel_request request;

	cancel_request_init(&request);
	request.task_id = "tenant";
	request.reason = "left";
	request.requester.name = "alice";
	EXPECT(CANCEL_REQUESTED, cancel_spool_request(spool, &request, NULL, &error));
	(void)strcpy(group_id, request.request_id);
	cancel_request_clear(&request);
}

static void expect_group_pending(void)
{
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("tenant", NULL));
	cr_assert_str_eq(found.request_id, group_id);
}

/* What the run `task_id`, `run` left as its latest decided record. */
static void expect_member(const char *task_id, const char *run, enum cancel_outcome outcome)
{
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup(task_id, run));
	cr_assert_str_eq(found.task_id, task_id);
	cr_assert_not_null(found.group);
	cr_assert_str_eq(found.group, "tenant");
	cr_assert_str_eq(found.request_id, group_id);
	cr_assert_str_eq(found.reason, "left");
	cr_assert_str_eq(found.requester.name, "alice");
	cr_assert_eq(found.outcome, outcome, "%s", cancel_outcome_text(found.outcome));
	cr_assert_eq(found.status, CANCEL_STATUS_PROCESSED);
}

static void begin_and_notice(const struct tasking_way *way)
{
	EXPECT(0, tasking_begin_also("a", "tenant"));
	ask_group();
	EXPECT_NOTICED(way, task);
}

/* DESIGN.md, invariant 39 */
TASKING_TEST(member, its_end_decides_nothing_and_leaves_a_record)
{
	tasking_open(way);
	begin_and_notice(way);
	EXPECT(0, cancel_task_end(task, CANCEL_OUTCOME_STOPPED, "half done", &error));
	expect_group_pending();
	expect_member("a", NULL, CANCEL_OUTCOME_STOPPED);
	cr_assert_str_eq(found.detail, "half done");
	cr_assert_eq(found.worker.pid, getpid());
	cr_assert_gt(found.processed_at_us, 0);
	cr_assert_str_eq(found.last_cancel_id, "");
	cr_assert_eq(count_in("runs") + count_in("tmp"), 0);
}

TASKING_TEST(member, each_outcome_is_kept_and_none_decides)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_FINISHED,
						       CANCEL_OUTCOME_FAILED, CANCEL_OUTCOME_REFUSED};

	tasking_open(way);
	ask_group();
	for (int i = 0; i < 4; i++) {
		EXPECT(1, tasking_begin_also("a", "tenant"));
		EXPECT(0, tasking_end(outcomes[i]));
		expect_member("a", NULL, outcomes[i]);
		expect_group_pending();
	}
	EXPECT(1, tasking_begin_also("a", "tenant"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_NONE));
	expect_member("a", NULL, CANCEL_OUTCOME_FAILED);
}

TASKING_TEST(member, a_run_leaves_it_under_its_own_name)
{
	tasking_open(way);
	terms.run = "r";
	EXPECT(0, tasking_begin_also("a", "tenant"));
	ask_group();
	EXPECT_NOTICED(way, task);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_member("a", "r", CANCEL_OUTCOME_STOPPED);
	cr_assert_str_eq(found.worker.run, "r");
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
}

TASKING_TEST(member, now_and_later_they_are_stopped_until_it_is_withdrawn)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "b", NULL, "tenant");
	begin_and_notice(way);
	cr_assert_eq(tasking_worker_wait(&worker), 1);
	cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_STOPPED), 0);
	expect_member("b", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(1, tasking_begin_also("a", "tenant"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(1, tasking_begin_also("new", "tenant"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_DECIDED, decide("tenant", NULL, group_id, CANCEL_OUTCOME_WITHDRAWN));
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(member, once_an_operator_acknowledged_it_the_next_run_goes_on)
{
	tasking_open(way);
	begin_and_notice(way);
	EXPECT(CANCEL_DECIDED, decide("tenant", NULL, group_id, CANCEL_OUTCOME_STOPPED));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_member("a", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT_UNTOUCHED(way, task);
}

/* What a member left is about that run, and cancels no other. */
TASKING_TEST(member, its_record_reaches_no_other_run_of_the_task)
{
	struct cancel_task *listener;

	tasking_open(way);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	listener = task;
	EXPECT(0, tasking_begin("a"));
	ask_group();
	EXPECT_NOTICED(way, listener);
	cr_assert_eq(cancel_task_end(listener, CANCEL_OUTCOME_STOPPED, NULL, &error), 0);
	expect_member("a", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT_UNTOUCHED(way, task);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(member, the_cancel_before_it_still_reaches_who_was_going)
{
	struct cancel_task *early;
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	tasking_open(way);
	terms.no_lease = true;
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(0, tasking_begin("a"));
	early = task;
	ask_group();
	EXPECT(1, tasking_begin_also("a", "tenant"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_member("a", NULL, CANCEL_OUTCOME_STOPPED);
	cr_assert_str_eq(found.last_cancel_id, id, "handed on");
	EXPECT_UNTOUCHED(way, early);
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT_NOTICED(way, early);
}

/* Some programs write one id into all that they ask for with one click. */
static void ask_with_the_groups_id(void)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "{\"task_id\": \"a\", \"request_id\": \"%s\"}", group_id);
	put("draft", text);
	cr_assert_eq(rename(at("draft"), at("pending/a.json")), 0);
}

static void leave_a_record(const struct tasking_way *way)
{
	begin_and_notice(way);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_member("a", NULL, CANCEL_OUTCOME_STOPPED);
}

TASKING_TEST(member, its_record_decides_no_request_with_the_same_id)
{
	tasking_open(way);
	leave_a_record(way);
	ask_with_the_groups_id();
	EXPECT(1, tasking_begin("a"));
	cr_assert(there("pending/a.json"));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_null(found.group);
	cr_assert_str_eq(found.request_id, group_id);
	EXPECT(0, tasking_begin("a"));
	EXPECT_UNTOUCHED(way, task);
}

TASKING_TEST(member, a_request_with_the_same_id_reaches_who_was_going)
{
	tasking_open(way);
	leave_a_record(way);
	EXPECT(0, tasking_begin("a"));
	ask_with_the_groups_id();
	EXPECT_NOTICED(way, task);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, group_id, CANCEL_OUTCOME_STOPPED));
	cr_assert(!there("pending/a.json"));
	EXPECT(CANCEL_ALREADY_DECIDED, decide("a", NULL, group_id, CANCEL_OUTCOME_STOPPED));
}

/* Nor is it what is meant where what is pending cannot be read. */
TASKING_TEST(member, its_record_is_not_what_is_decided_by_id)
{
	tasking_open(way);
	leave_a_record(way);
	EXPECT(-ENOENT, decide("a", NULL, group_id, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(-EBADMSG, decide("a", NULL, group_id, CANCEL_OUTCOME_STOPPED));
}

/* Of two runs one decides a request before its time, which cancels the other then. */
static int64_t decide_before_its_time(int64_t at_us)
{
	struct cancel_task *sibling;

	EXPECT(0, tasking_begin("a"));
	sibling = task;
	EXPECT(0, tasking_begin("a"));
	tasking_ask_at("a", at_us);
	cr_assert_eq(cancel_task_end(sibling, CANCEL_OUTCOME_FAILED, NULL, &error), 1);
	return at_us;
}

/* What comes over that record is no cancel of this name, and hands the time on. */
static void cover_with_a_member(void)
{
	struct cancel_task *going = task;

	ask_group();
	EXPECT(1, tasking_begin_also("a", "tenant"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	expect_member("a", NULL, CANCEL_OUTCOME_STOPPED);
	task = going;
}

static void cover_with_a_withdrawn_one(void)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 7200 * US_PER_S));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_WITHDRAWN));
}

static void cover_with_an_expired_one(void)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 0, clock_realtime_us() + 7200 * US_PER_S));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_EXPIRED));
}

static void cover_three_times(void)
{
	cover_with_a_withdrawn_one();
	cover_with_a_member();
	cover_with_an_expired_one();
}

static void (*const covers[])(void) = {cover_with_a_member, cover_with_a_withdrawn_one,
				       cover_with_an_expired_one, cover_three_times};

enum {
	COVERS = sizeof(covers) / sizeof(covers[0]),
	SOON_MS = 700,
};

static void forget_all(enum cancel_outcome outcome)
{
	EXPECT(0, tasking_end(outcome));
	cr_assert_geq(cancel_spool_reset(spool, "a", NULL, &error), 0);
	cr_assert_geq(cancel_spool_reset(spool, "tenant", NULL, &error), 0);
}

TASKING_TEST(member, what_was_decided_before_its_time_does_not_take_effect_sooner)
{
	tasking_open(way);
	for (int i = 0; i < COVERS; i++) {
		int64_t at_us = decide_before_its_time(clock_realtime_us() + 3600 * US_PER_S);

		covers[i]();
		EXPECT_UNTOUCHED(way, task);
		EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
		cr_assert_eq(found.last_cancel_at_us, at_us, "cover %d", i);
		cr_assert_str_neq(found.last_cancel_id, found.request_id);
		forget_all(CANCEL_OUTCOME_FINISHED);
	}
}

TASKING_TEST(member, what_was_decided_before_its_time_takes_effect_then)
{
	tasking_open(way);
	for (int i = 0; i < COVERS; i++) {
		int64_t at_us = decide_before_its_time(clock_realtime_us() + SOON_MS * US_PER_MS);

		covers[i]();
		EXPECT_NOTICED(way, task);
		cr_assert_geq(clock_realtime_us(), at_us, "cover %d: too soon %s", i, tasking_way_text(way));
		forget_all(CANCEL_OUTCOME_STOPPED);
	}
}

TASKING_TEST(member, what_was_pending_for_its_own_name_is_decided_instead)
{
	tasking_open(way);
	begin_and_notice(way);
	tasking_ask("a");
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_null(found.group);
	cr_assert_str_eq(found.reason, "why");
	expect_group_pending();
}

TASKING_TEST(member, what_was_pending_for_its_run_is_decided_instead)
{
	tasking_open(way);
	terms.run = "r";
	EXPECT(0, tasking_begin_also("a", "tenant"));
	ask_group();
	EXPECT_NOTICED(way, task);
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", "r"));
	cr_assert_null(found.group);
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	expect_group_pending();
}

TASKING_TEST(member, one_that_was_cancelled_by_something_else_leaves_none)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	ask_group();
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	expect_group_pending();
}

TASKING_TEST(member, one_that_did_not_notice_it_leaves_none)
{
	if (way->thread)
		return;
	tasking_open(way);
	EXPECT(0, tasking_begin_also("a", "tenant"));
	ask_group();
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	expect_group_pending();
}

TASKING_TEST(member, the_managers_close_leaves_one_too)
{
	tasking_open(way);
	begin_and_notice(way);
	cr_assert_eq(tasking_close(), 0);
	expect_member("a", NULL, CANCEL_OUTCOME_FAILED);
	expect_group_pending();
}

TASKING_TEST(member, its_record_is_swept_as_others_are)
{
	struct cancel_sweep_options keep_none;

	cancel_sweep_options_init(&keep_none);
	keep_none.keep_for_s = 0;
	tasking_open(way);
	begin_and_notice(way);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(sweep(&keep_none).removed, 1);
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	expect_group_pending();
}

/* --- who watches ---------------------------------------------------------------------------------------- */

struct seen {
	int requested, decided;
	char group[32], task_id[32];
	enum cancel_outcome outcome;
};

static void note_event(void *arg, const struct cancel_event *event)
{
	struct seen *seen = arg;

	seen->requested += event->type == CANCEL_EVENT_REQUESTED;
	if (event->type != CANCEL_EVENT_DECIDED)
		return;
	seen->decided++;
	seen->outcome = event->request->outcome;
	(void)snprintf(seen->task_id, sizeof(seen->task_id), "%s", event->request->task_id);
	(void)snprintf(seen->group, sizeof(seen->group), "%s",
		       event->request->group ? event->request->group : "(none)");
}

struct watching {
	struct cancel_watch *watch;
	struct seen seen;
};

static bool saw_a_decision(void *arg)
{
	struct watching *watching = arg;

	cr_assert_geq(cancel_watch_dispatch(watching->watch, note_event, &watching->seen, &error), 0);
	return watching->seen.decided > 0;
}

TASKING_TEST(member, a_watch_reports_each_member_that_stopped)
{
	struct watching watching = {.watch = NULL};
	struct cancel_watch_options watch_options;

	cancel_watch_options_init(&watch_options);
	watch_options.mode = way->notice == CANCEL_NOTICE_POLL ? CANCEL_WATCH_POLL : CANCEL_WATCH_AUTO;
	watch_options.poll_interval_ms = TASKING_POLL_MS;
	EXPECT(0, cancel_watch_open(&watching.watch, spool, &watch_options, &error));
	tasking_open(way);
	begin_and_notice(way);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	cr_assert(wait_until(saw_a_decision, &watching, PROCESS_TIMEOUT_MS), "nobody told of it");
	cr_assert_eq(watching.seen.decided, 1);
	cr_assert_eq(watching.seen.requested, 1, "the group's, once");
	cr_assert_str_eq(watching.seen.task_id, "a");
	cr_assert_str_eq(watching.seen.group, "tenant");
	cr_assert_eq(watching.seen.outcome, CANCEL_OUTCOME_STOPPED);
	memset(&watching.seen, 0, sizeof(watching.seen));
	EXPECT(1, tasking_begin_also("b", "tenant"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	cr_assert(wait_until(saw_a_decision, &watching, PROCESS_TIMEOUT_MS), "nobody told of the second");
	cr_assert_str_eq(watching.seen.task_id, "b");
	cr_assert_eq(watching.seen.outcome, CANCEL_OUTCOME_FINISHED);
	cancel_watch_close(watching.watch);
}

/* The same member again: each of its runs that stopped is told. */
TASKING_TEST(member, a_watch_reports_each_run_that_stopped)
{
	struct watching watching = {.watch = NULL};

	EXPECT(0, cancel_watch_open(&watching.watch, spool, NULL, &error));
	tasking_open(way);
	ask_group();
	for (int i = 0; i < 3; i++) {
		EXPECT(1, tasking_begin_also("a", "tenant"));
		EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
		memset(&watching.seen, 0, sizeof(watching.seen));
		cr_assert(wait_until(saw_a_decision, &watching, PROCESS_TIMEOUT_MS), "run %d was not told of",
			  i);
		cr_assert_str_eq(watching.seen.group, "tenant");
	}
	cancel_watch_close(watching.watch);
}

/* --- the record as text --------------------------------------------------------------------------------- */

Test(member, the_record_names_the_group)
{
	char *text, *again;

	tasking_open(NULL);
	ask_group();
	EXPECT(1, tasking_begin_also("a", "tenant"));
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	text = get("processed/a.json");
	cr_assert_not_null(strstr(text, "\"group\": \"tenant\""), "%s", text);
	EXPECT(0, cancel_request_parse(&found, text, strlen(text), &error));
	cr_assert_str_eq(found.group, "tenant");
	again = cancel_request_json(&found);
	cr_assert_not_null(strstr(again, "\"group\": \"tenant\""), "%s", again);
	free(again);
	free(text);
}

Test(member, a_record_without_one_names_none)
{
	char *text;

	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	text = get("processed/a.json");
	cr_assert_null(strstr(text, "tenant"));
	EXPECT(0, cancel_request_parse(&found, text, strlen(text), &error));
	cr_assert_null(found.group);
	free(text);
}
