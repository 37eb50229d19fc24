#include "harness.h"

#include "process.h"
#include "report.h"

#include <fnmatch.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_SYSTEM       3
#define REPETITIONS       7
#define BRIEF_REPETITIONS 3
#define REPETITIONS_MAX   1000
#define ROW_NAME_SIZE     128

static struct bench_group *groups;
static bool is_brief;

void bench_register(struct bench_group *group)
{
	struct bench_group **end = &groups;

	while (*end)
		end = &(*end)->next;
	*end = group;
}

long bench_count(long full, long brief)
{
	return is_brief ? brief : full;
}

void bench_fail(const char *format, ...)
{
	va_list arguments;

	(void)fflush(stdout);
	(void)fputs("bench: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	exit(EXIT_SYSTEM);
}

int64_t bench_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The processors that were ours at the start: pinning must not narrow the choice of the next pinning. */
static const cpu_set_t *allowed(void)
{
	static cpu_set_t set;

	if (!CPU_COUNT(&set) && sched_getaffinity(0, sizeof set, &set) < 0)
		CPU_SET(0, &set);
	return &set;
}

void bench_spread(unsigned thread)
{
	cpu_set_t one;
	int wanted = 1 + (int)(thread % (unsigned)CPU_COUNT(allowed()));

	/* From the last, because interrupts tend to gather on the first. */
	for (size_t cpu = CPU_SETSIZE; cpu-- > 0;) {
		if (!CPU_ISSET(cpu, allowed()) || --wanted)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		(void)sched_setaffinity(0, sizeof one, &one);
	}
}

void bench_pin(bool other)
{
	bench_spread(other ? 1 : 0);
}

void bench_unpin(void)
{
	(void)sched_setaffinity(0, sizeof *allowed(), allowed());
}

static int compare(const void *one, const void *other)
{
	double first = *(const double *)one, second = *(const double *)other;

	return (first > second) - (first < second);
}

double bench_percentile(double *values, size_t count, double percent)
{
	size_t index = (size_t)((double)count * percent / 100);

	qsort(values, count, sizeof *values, compare);
	return values[index < count ? index : count - 1];
}

/* --- rows --------------------------------------------------------------------------------------------- */

static double measure(const struct bench *row, bench_measure *side, struct place *place)
{
	if (!side)
		return 0;
	if (row->renew)
		place_renew(place);
	return side(place);
}

/* In turns, and each turn begins with the other side, so that whatever slows the machine slows both. */
static void repeat(const struct bench *row, struct place *place, struct report_row *result)
{
	static double our_values[REPETITIONS_MAX], their_values[REPETITIONS_MAX], ratios[REPETITIONS_MAX];
	long usual = row->repetitions ? row->repetitions : REPETITIONS;
	long count = bench_count(usual, usual < BRIEF_REPETITIONS ? usual : BRIEF_REPETITIONS);

	for (long i = 0; i < count; i++) {
		if (i % 2)
			their_values[i] = measure(row, row->theirs, place);
		our_values[i] = measure(row, row->ours, place);
		if (i % 2 == 0)
			their_values[i] = measure(row, row->theirs, place);
		ratios[i] = row->theirs ? our_values[i] / their_values[i] : 0;
	}
	result->ours = bench_percentile(our_values, (size_t)count, 50);
	result->theirs = bench_percentile(their_values, (size_t)count, 50);
	result->ratio = bench_percentile(ratios, (size_t)count, 50);
}

static bool is_met(const struct report_row *row)
{
	return (row->budget->kind == BUDGET_VALUE ? row->ours : row->ratio) <= row->budget->limit;
}

static void run_row(const struct bench *row, struct place *place, const char *name)
{
	static const struct bench_budget none = {BUDGET_NONE, 0};
	const struct bench_budget *budget = is_brief ? &none : &row->budget[place ? place->kind : 0];
	struct report_row result = {.unit = row->unit, .peer = row->peer, .budget = budget};

	(void)fprintf(stderr, "bench: %s ...\n", name);
	(void)snprintf(result.name, sizeof result.name, "%s", name);
	repeat(row, place, &result);
	result.met = is_met(&result);
	(void)fprintf(stderr, "bench: %s: %.4g %s", name, result.ours, row->unit);
	(void)fprintf(stderr, row->theirs ? ", peer %.4g\n" : "\n", result.theirs);
	report_add(&result);
}

/* --- groups ------------------------------------------------------------------------------------------- */

static void name_row(char name[ROW_NAME_SIZE], const struct bench *row, const struct place *place)
{
	if (place)
		(void)snprintf(name, ROW_NAME_SIZE, "%s (%s)", row->name, place->filesystem);
	else
		(void)snprintf(name, ROW_NAME_SIZE, "%s", row->name);
}

static bool is_wanted(const char *name, const char *only)
{
	return !only || fnmatch(only, name, 0) == 0;
}

static bool any_wanted(const struct bench_group *group, const struct place *place, const char *only)
{
	char name[ROW_NAME_SIZE];

	for (size_t i = 0; i < group->count; i++) {
		name_row(name, &group->rows[i], place);
		if (is_wanted(name, only))
			return true;
	}
	return false;
}

static void run_if_possible(const struct bench *row, struct place *place, const char *name)
{
	char path[PROCESS_PATH_SIZE];

	const char *missing = row->lacks ? row->lacks() : NULL;

	if (row->needs && !process_find(path, row->needs))
		missing = row->needs;
	if (missing)
		(void)fprintf(stderr, "bench: %s is left out: there is no %s\n", name, missing);
	else
		run_row(row, place, name);
}

static void run_group(const struct bench_group *group, struct place *place, const char *only)
{
	char name[ROW_NAME_SIZE];

	if (!any_wanted(group, place, only))
		return;
	if (place)
		place_renew(place);
	if (group->set_up)
		group->set_up(place);
	for (size_t i = 0; i < group->count; i++) {
		name_row(name, &group->rows[i], place);
		if (is_wanted(name, only))
			run_if_possible(&group->rows[i], place, name);
	}
	if (group->tear_down)
		group->tear_down();
}

void bench_run(const char *only, bool brief)
{
	is_brief = brief;
	bench_pin(false);
	for (const struct bench_group *group = groups; group; group = group->next)
		for (int kind = 0; kind < (group->on_files ? PLACE_COUNT : 1); kind++)
			run_group(group, group->on_files ? place_of((enum place_kind)kind) : NULL, only);
}
