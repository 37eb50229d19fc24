/* The same three things in Python, the way they are often written: seed_peer.py. */
#include "seed.h"

#include "bare.h"
#include "fixture.h"
#include "harness.h"
#include "process.h"

#define PEER SOURCE_DIR "/tests/bench/seed_peer.py"

static long seed_count(void)
{
	return bench_count(10000, 500);
}

static double us_each(int64_t start_ns)
{
	return (double)(bench_now_ns() - start_ns) / 1e3 / (double)seed_count();
}

double seed_python_us(const struct place *place, const char *operation)
{
	char path[160], count[24];
	FILE *output;
	double us;
	pid_t pid;

	(void)snprintf(path, sizeof path, "%s/peer", place->dir);
	(void)snprintf(count, sizeof count, "%ld", seed_count());
	pid = process_start(PROCESS_ARGUMENTS("python3", PEER, path, operation, count), &output);
	if (fscanf(output, "%lf", &us) != 1)
		bench_fail("'%s' gave no figure for '%s'", PEER, operation);
	(void)fclose(output);
	process_end(pid);
	return us;
}

/* --- request ------------------------------------------------------------------------------------------ */

static double request_ours(const struct place *place)
{
	struct cancel_spool *spool = fixture_open(place, "spool");
	struct cancel_request request;
	struct cancel_error error;
	int64_t start = bench_now_ns();
	char task[32];
	double us;

	for (long i = 0; i < seed_count(); i++) {
		fixture_request(&request, task, i);
		if (cancel_spool_request(spool, &request, NULL, &error) != CANCEL_REQUESTED)
			bench_fail("%s", error.text);
	}
	us = us_each(start);
	cancel_spool_close(spool);
	return us;
}

static double request_python(const struct place *place)
{
	return seed_python_us(place, "request");
}

/* --- check -------------------------------------------------------------------------------------------- */

static double check(struct cancel_spool *spool, int expected)
{
	struct cancel_request request;
	struct cancel_error error;
	int64_t start = bench_now_ns();
	char task[32];

	for (long i = 0; i < seed_count(); i++) {
		bare_task(task, i);
		cancel_request_init(&request);
		if (cancel_spool_check(spool, task, NULL, NULL, &request, &error) != expected)
			bench_fail("task '%s' is not as expected", task);
		cancel_request_clear(&request);
	}
	return us_each(start);
}

static double none_ours(const struct place *place)
{
	struct cancel_spool *spool = fixture_open(place, "spool");
	double us = check(spool, 0);

	cancel_spool_close(spool);
	return us;
}

static double none_python(const struct place *place)
{
	return seed_python_us(place, "check-none");
}

static double pending_ours(const struct place *place)
{
	struct cancel_spool *spool = fixture_open(place, "spool");
	double us;

	fixture_ask(spool, 0, seed_count(), CANCEL_EXPIRES_DEFAULT);
	us = check(spool, 1);
	cancel_spool_close(spool);
	return us;
}

static double pending_python(const struct place *place)
{
	return seed_python_us(place, "check-pending");
}

/* --- clean-up ----------------------------------------------------------------------------------------- */

static double clean_ours(const struct place *place)
{
	struct cancel_sweep_result result;
	struct cancel_spool *spool;
	int64_t start;
	double us;

	fixture_processed(place, "spool", seed_count());
	spool = fixture_open(place, "spool");
	start = bench_now_ns();
	fixture_sweep(spool, 0, &result);
	us = us_each(start);
	cancel_spool_close(spool);
	if (result.removed != seed_count())
		bench_fail("swept %lld of %ld", (long long)result.removed, seed_count());
	return us;
}

static double clean_python(const struct place *place)
{
	return seed_python_us(place, "clean-up");
}

#define ROW(row_name, row_ours, row_theirs)                                                          \
	{                                                                                            \
		.name = row_name, .unit = "us", .peer = "JSON file from Python", .needs = "python3", \
		.renew = true, .ours = row_ours, .theirs = row_theirs                                \
	}

static const struct bench rows[] = {
	ROW("Python: request", request_ours, request_python),
	ROW("Python: check, none pending", none_ours, none_python),
	ROW("Python: check, pending", pending_ours, pending_python),
	ROW("Python: clean-up, each", clean_ours, clean_python),
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .on_files = true};
BENCH_GROUP(group)
