/* Statistics: each thing that happens is counted once, by whichever process it happens in. */
#include "clock.h"
#include "process.h"
#include "shifted_clock.h"
#include "tasking.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	COUNTS_AT = 64, /* where the counters are in the page */
	ASKERS = 4,
	EACH = 25,
};

TestSuite(statistics, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 60);

static struct cancel_statistics now, before;

static void read_them(void)
{
	EXPECT(0, cancel_spool_statistics(spool, &now, &error));
}

/* What differs from the last time, "requested 1, stopped 1". */
static const char *changes(void)
{
	static char text[400];
	char *end = text;

	before = now;
	read_them();
	*end = '\0';
	for (int i = 0; i < CANCEL_COUNTS; i++)
		if (now.counts[i] != before.counts[i])
			end += sprintf(end, "%s%s %u", end > text ? ", " : "",
				       cancel_count_text((enum cancel_count)i),
				       now.counts[i] - before.counts[i]);
	return text;
}

#define EXPECT_CHANGES(expected) cr_assert_str_eq(changes(), expected)

/* --- words ---------------------------------------------------------------------------------------------- */

Test(statistics, words_are_those_of_the_programs)
{
	static const char *const words[] = {"requested", "merged",  "noticed",   "stopped", "finished",
					    "failed",    "refused", "withdrawn", "expired"};

	for (int i = 0; i < CANCEL_COUNTS; i++)
		cr_assert_str_eq(cancel_count_text((enum cancel_count)i), words[i]);
	cr_assert_str_eq(cancel_count_text(CANCEL_COUNTS), "unknown");
	cr_assert_str_eq(cancel_count_text((enum cancel_count) - 1), "unknown");
}

/* --- counters ------------------------------------------------------------------------------------------- */

Test(statistics, at_first_all_are_zero)
{
	static const struct cancel_statistics zero;

	memset(&now, 0xff, sizeof(now));
	read_them();
	cr_assert_eq(memcmp(&now, &zero, sizeof(now)), 0);
}

Test(statistics, requests_and_merges_are_counted_once)
{
	read_them();
	tasking_ask("a");
	EXPECT_CHANGES("requested 1");
	EXPECT(CANCEL_ALREADY_PENDING, ask("a", NULL, NULL, NULL));
	EXPECT_CHANGES("");
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", 10 * 86400, 0));
	EXPECT_CHANGES("merged 1");
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", 10 * 86400 - 100, 0));
	EXPECT_CHANGES("");
	EXPECT(-EINVAL, ask("", NULL, NULL, NULL));
	EXPECT_CHANGES("");
}

Test(statistics, each_decision_is_counted_by_its_outcome)
{
	static const char *const expected[] = {"requested 1, stopped 1", "requested 1, finished 1",
					       "requested 1, failed 1", "requested 1, refused 1",
					       "requested 1, withdrawn 1"};

	read_them();
	for (int i = 0; i < 5; i++) {
		tasking_decide("a", NULL, (enum cancel_outcome)(CANCEL_OUTCOME_STOPPED + i));
		EXPECT_CHANGES(expected[i]);
	}
	EXPECT(-ENOENT, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT_CHANGES("");
}

Test(statistics, one_that_was_decided_already_is_not_counted_again)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	read_them();
	EXPECT(CANCEL_ALREADY_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	copy("processed/a.json", "pending/a.json");
	EXPECT(CANCEL_ALREADY_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_FAILED));
	EXPECT_CHANGES("");
}

Test(statistics, a_reset_counts_what_it_withdrew)
{
	tasking_ask("a");
	read_them();
	EXPECT(1, cancel_spool_reset(spool, "a", NULL, &error));
	EXPECT_CHANGES("withdrawn 1");
}

Test(statistics, what_a_sweep_expired_is_counted)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 1, 0));
	EXPECT(CANCEL_REQUESTED, ask_terms("b", 1, 0));
	read_them();
	time_passes(2);
	cr_assert_eq(sweep(NULL).expired, 2);
	EXPECT_CHANGES("expired 2");
}

Test(statistics, what_a_new_request_expired_is_counted)
{
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 1, 0));
	time_passes(2);
	read_them();
	tasking_ask("a");
	EXPECT_CHANGES("requested 1, expired 1");
}

Test(statistics, drops_that_are_taken_in_are_requests)
{
	read_them();
	put("a.json", "{}");
	put("b.json", "");
	put("c.json", "{\"task_id\": \"other\"}");
	cr_assert_eq(cancel_spool_intake(spool, NULL, NULL, &error), 1);
	EXPECT_CHANGES("requested 1");
	put("a.json", "{}");
	cr_assert_eq(cancel_spool_intake(spool, NULL, NULL, &error), 1);
	EXPECT_CHANGES("");
	time_passes(6);
	cr_assert_eq(cancel_spool_intake(spool, NULL, NULL, &error), 0);
	EXPECT_CHANGES("requested 1");
}

/* A thread counts what it noticed a moment after the token reads cancelled. */
static bool has_latencies(void *count)
{
	struct cancel_statistics read;

	EXPECT(0, cancel_spool_statistics(spool, &read, &error));
	return cancel_histogram_count(&read.notice) >= *(uint64_t *)count;
}

static void await_latencies(uint64_t count)
{
	cr_assert(wait_until(has_latencies, &count, PROCESS_TIMEOUT_MS));
}

TASKING_TEST(statistics, each_run_that_noticed_is_counted_once)
{
	struct cancel_task *first;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	first = task;
	EXPECT(0, tasking_begin_also("b", "a"));
	read_them();
	tasking_ask("a");
	EXPECT_NOTICED(way, first);
	EXPECT_NOTICED(way, task);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(cancel_task_check(task, NULL), 1);
	await_latencies(2);
	EXPECT_CHANGES("requested 1, noticed 2");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT_CHANGES("");
	cr_assert_eq(cancel_task_end(first, CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
	EXPECT_CHANGES("stopped 1");
	cr_assert_eq(cancel_histogram_count(&now.notice), 2);
	cr_assert_eq(cancel_histogram_count(&now.stop), 1);
}

static bool is_noticed(void *arg)
{
	struct cancel_statistics since = now;

	(void)arg;
	read_them();
	return now.counts[CANCEL_COUNT_NOTICED] > since.counts[CANCEL_COUNT_NOTICED];
}

TASKING_TEST(statistics, a_run_that_is_stopped_at_its_start_has_noticed)
{
	tasking_open(way);
	tasking_ask("a");
	read_them();
	EXPECT(1, tasking_begin("a"));
	/* It may be the thread that sees it first, and counts a moment later. */
	cr_assert(wait_until(is_noticed, NULL, PROCESS_TIMEOUT_MS), "nobody noticed");
	cr_assert_eq(cancel_histogram_count(&now.notice), 0, "nobody was there to notice it sooner");
}

TASKING_TEST(statistics, what_is_no_request_is_not_noticed)
{
	tasking_open(way);
	terms.timeout_ns = CANCEL_MILLISECOND;
	cr_assert_geq(tasking_begin("a"), 0);
	EXPECT_NOTICED(way, task);
	terms.timeout_ns = CANCEL_FOREVER;
	EXPECT(0, tasking_begin("b"));
	cr_assert_eq(cancel_task_cancel(task, NULL), 1);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_STOPPED));
	read_them();
	cr_assert_eq(now.counts[CANCEL_COUNT_NOTICED], 0);
	cr_assert_eq(now.counts[CANCEL_COUNT_STOPPED], 0);
}

static int ask_and_decide_many(void *arg)
{
	char id[64];

	(void)arg;
	for (int i = 0; i < EACH; i++) {
		(void)snprintf(id, sizeof(id), "task_%d_%d", getpid(), i);
		if (ask(id, NULL, NULL, NULL) != CANCEL_REQUESTED ||
		    decide(id, NULL, NULL, CANCEL_OUTCOME_STOPPED) != CANCEL_DECIDED)
			return 1;
	}
	return 0;
}

Test(statistics, all_processes_count_in_one_place)
{
	int results[ASKERS];

	in_children(ASKERS, ask_and_decide_many, NULL, results);
	read_them();
	for (int i = 0; i < ASKERS; i++)
		cr_assert_eq(results[i], 0);
	cr_assert_eq(now.counts[CANCEL_COUNT_REQUESTED], ASKERS * EACH);
	cr_assert_eq(now.counts[CANCEL_COUNT_STOPPED], ASKERS * EACH);
	cr_assert_eq(cancel_histogram_count(&now.stop), ASKERS * EACH);
}

Test(statistics, workers_of_other_processes_count)
{
	struct tasking_worker worker;

	tasking_worker_start(&worker, "a", NULL, NULL);
	read_them();
	tasking_ask("a");
	cr_assert_eq(tasking_worker_wait(&worker), 1);
	cr_assert_eq(tasking_worker_end(&worker, CANCEL_OUTCOME_FINISHED), 1);
	EXPECT_CHANGES("requested 1, noticed 1, finished 1");
	cr_assert_eq(cancel_histogram_count(&now.notice), 1);
	cr_assert_eq(cancel_histogram_count(&now.stop), 0, "it did not stop because of it");
}

static void set_count(int index, uint32_t value)
{
	int fd = open(at("bell"), O_WRONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && pwrite(fd, &value, sizeof(value), COUNTS_AT + 4 * index) == sizeof(value));
	(void)close(fd);
}

Test(statistics, a_counter_wraps)
{
	tasking_ask("a");
	set_count(CANCEL_COUNT_REQUESTED, UINT32_MAX);
	read_them();
	cr_assert_eq(now.counts[CANCEL_COUNT_REQUESTED], UINT32_MAX);
	tasking_ask("b");
	read_them();
	cr_assert_eq(now.counts[CANCEL_COUNT_REQUESTED], 0);
}

static bool there_is_another(void *arg)
{
	(void)arg;
	tasking_decide("b", NULL, CANCEL_OUTCOME_STOPPED);
	return there("bell");
}

Test(statistics, they_begin_anew_with_a_new_page)
{
	tasking_ask("a");
	set_count(CANCEL_COUNT_REQUESTED, 1000000);
	cr_assert_eq(unlink(at("bell")), 0);
	cr_assert(wait_until(there_is_another, NULL, PROCESS_TIMEOUT_MS));
	tasking_decide("b", NULL, CANCEL_OUTCOME_STOPPED);
	read_them();
	cr_assert_geq(now.counts[CANCEL_COUNT_REQUESTED], 1);
	cr_assert_lt(now.counts[CANCEL_COUNT_REQUESTED], 1000000);
}

Test(statistics, without_a_page_there_are_none_and_nothing_else_suffers)
{
	memset(&now, 'x', sizeof(now));
	before = now;
	cr_assert(unlink(at("bell")) == 0 || errno == ENOENT);
	cr_assert_eq(mkdir(at("bell"), 0700), 0);
	EXPECT(-ENOTSUP, cancel_spool_statistics(spool, &now, &error));
	cr_assert_eq(memcmp(&now, &before, sizeof(now)), 0, "set on success only");
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	EXPECT(-ENOTSUP, cancel_spool_statistics(spool, &now, &error));
}

/* --- latencies ------------------------------------------------------------------------------------------ */

/* Nothing is slower than this test, and nothing is faster than light. */
TASKING_TEST(statistics, latencies_are_between_nothing_and_all)
{
	int64_t began_ns = clock_boottime_ns(), passed_ns;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	await_latencies(1);
	passed_ns = clock_boottime_ns() - began_ns;
	read_them();
	cr_assert_gt(cancel_histogram_percentile_ns(&now.notice, 500), 0);
	cr_assert_leq(cancel_histogram_percentile_ns(&now.notice, 500), 2 * passed_ns);
	cr_assert_leq(cancel_histogram_percentile_ns(&now.stop, 500), 2 * passed_ns);
	cr_assert_geq(cancel_histogram_percentile_ns(&now.stop, 500),
		      cancel_histogram_percentile_ns(&now.notice, 500));
}

Test(statistics, a_latency_is_in_the_bucket_of_its_size)
{
	tasking_open(NULL);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	time_passes(100);
	EXPECT(1, cancel_task_check(task, &error));
	read_them();
	/* 2^36 ns are 68.7 s. */
	cr_assert_eq(now.notice.buckets[36], 1);
	time_passes(100);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	read_them();
	cr_assert_eq(now.stop.buckets[37], 1);
}

Test(statistics, a_request_of_an_earlier_boot_has_no_latency)
{
	tasking_open(NULL);
	put("pending/a.json", "{\"task_id\": \"a\", \"request_id\": \"0123456789abcdef0123456789abcdef\", "
			      "\"boot_id\": \"00000000-1111-2222-3333-444444444444\", \"boottime_ns\": 5}");
	EXPECT(1, tasking_begin("a"));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	read_them();
	cr_assert_eq(now.counts[CANCEL_COUNT_NOTICED], 1);
	cr_assert_eq(now.counts[CANCEL_COUNT_STOPPED], 1);
	cr_assert_eq(cancel_histogram_count(&now.notice), 0);
	cr_assert_eq(cancel_histogram_count(&now.stop), 0);
}

Test(statistics, a_cancel_time_is_waited_for_and_told_as_it_is)
{
	tasking_open(NULL);
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(0, tasking_begin("a"));
	read_them();
	cr_assert_eq(now.counts[CANCEL_COUNT_NOTICED], 0, "it was not cancelled by it");
	time_passes(3601);
	EXPECT(1, cancel_task_check(task, &error));
	read_them();
	cr_assert_eq(now.counts[CANCEL_COUNT_NOTICED], 1);
}

/* --- percentiles ---------------------------------------------------------------------------------------- */

static struct cancel_histogram histogram;

static int64_t percentile(unsigned per_mille)
{
	return cancel_histogram_percentile_ns(&histogram, per_mille);
}

/* An upper bound of bucket `index`: its last value, or the first of the next. */
static bool bounds(int64_t value, int index)
{
	return value == INT64_C(1) << (index + 1) || value == (INT64_C(1) << (index + 1)) - 1;
}

Test(statistics, of_nothing_every_percentile_is_zero)
{
	static const unsigned asked[] = {0, 1, 500, 1000, 1001, (unsigned)-1};

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		cr_assert_eq(percentile(asked[i]), 0);
	cr_assert_eq(cancel_histogram_count(&histogram), 0);
}

Test(statistics, of_one_every_percentile_is_its_bound)
{
	for (int bucket = 0; bucket < 62; bucket++) {
		memset(&histogram, 0, sizeof(histogram));
		histogram.buckets[bucket] = 1;
		cr_assert(bounds(percentile(0), bucket));
		cr_assert(bounds(percentile(500), bucket), "bucket %d: %lld", bucket,
			  (long long)percentile(500));
		cr_assert(bounds(percentile(1000), bucket));
		cr_assert(bounds(percentile(1001), bucket));
		cr_assert_eq(cancel_histogram_count(&histogram), 1);
	}
}

Test(statistics, the_last_buckets_have_no_negative_bound)
{
	for (int bucket = 62; bucket < CANCEL_HISTOGRAM_BUCKETS; bucket++) {
		memset(&histogram, 0, sizeof(histogram));
		histogram.buckets[bucket] = 1;
		cr_assert_eq(percentile(500), INT64_MAX, "bucket %d", bucket);
	}
}

/* 990 fast ones, 9 slow ones, a very slow one. */
Test(statistics, a_percentile_is_where_so_many_are_no_slower)
{
	histogram.buckets[10] = 990;
	histogram.buckets[20] = 9;
	histogram.buckets[30] = 1;
	cr_assert(bounds(percentile(0), 10));
	cr_assert(bounds(percentile(500), 10));
	cr_assert(bounds(percentile(990), 10));
	cr_assert(bounds(percentile(991), 20));
	cr_assert(bounds(percentile(999), 20));
	cr_assert(bounds(percentile(1000), 30));
	cr_assert(bounds(percentile(5000), 30), "over 1000 is taken as 1000");
	cr_assert_eq(cancel_histogram_count(&histogram), 1000);
}

Test(statistics, as_many_as_there_can_be_are_counted)
{
	memset(&histogram, 0xff, sizeof(histogram));
	cr_assert_eq(cancel_histogram_count(&histogram), (uint64_t)UINT32_MAX * CANCEL_HISTOGRAM_BUCKETS);
	cr_assert_eq(percentile(1000), INT64_MAX);
	cr_assert(bounds(percentile(500), 31));
}
