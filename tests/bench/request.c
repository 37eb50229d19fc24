/* Asking: once, and a hundred thousand times. */
#include "bare.h"
#include "fixture.h"
#include "harness.h"

static long request_count(void)
{
	return bench_count(10000, 500);
}

static long batch_count(void)
{
	return bench_count(100000, 2000);
}

static double us_each(int64_t start_ns, long count)
{
	return (double)(bench_now_ns() - start_ns) / 1e3 / (double)count;
}

static double request_ours(const struct place *place)
{
	struct cancel_spool *spool = fixture_open(place, "spool");
	struct cancel_request request;
	struct cancel_error error;
	char task[32];
	int64_t start = bench_now_ns();
	double us;

	for (long i = 0; i < request_count(); i++) {
		fixture_request(&request, task, i);
		if (cancel_spool_request(spool, &request, NULL, &error) != CANCEL_REQUESTED)
			bench_fail("%s", error.text);
	}
	us = us_each(start, request_count());
	cancel_spool_close(spool);
	return us;
}

static double bare_loop(const struct place *place, long count)
{
	struct fixture_text record;
	struct bare bare;
	int64_t start;
	double us;

	fixture_record(&record, place, false);
	bare_open(&bare, place, "bare");
	start = bench_now_ns();
	for (long i = 0; i < count; i++)
		bare_publish(&bare, i, record.text, record.size);
	us = us_each(start, count);
	bare_close(&bare);
	return us;
}

static double request_bare(const struct place *place)
{
	return bare_loop(place, request_count());
}

static double batch_ours(const struct place *place)
{
	struct cancel_spool *spool = fixture_open(place, "spool");
	int64_t start = bench_now_ns();
	double us;

	fixture_ask(spool, 0, batch_count(), CANCEL_EXPIRES_DEFAULT);
	us = us_each(start, batch_count());
	cancel_spool_close(spool);
	return us;
}

static double batch_bare(const struct place *place)
{
	return bare_loop(place, batch_count());
}

static const struct bench rows[] = {
	{.name = "request, durability none",
	 .unit = "us",
	 .peer = "create, write, close, rename",
	 .budget = {RATIO(1.35), RATIO(1.25)},
	 .repetitions = 11,
	 .renew = true,
	 .ours = request_ours,
	 .theirs = request_bare},
	{.name = "batch of 100,000, each",
	 .unit = "us",
	 .peer = "create, write, close, rename",
	 .budget = {RATIO(1.2), RATIO(1.0)},
	 .renew = true,
	 .ours = batch_ours,
	 .theirs = batch_bare},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .on_files = true};
BENCH_GROUP(group)
