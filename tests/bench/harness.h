/*
 * The benchmark's harness. Each row sets something of ours beside somebody else's way of doing the same,
 * measured in turns in one run, and says whether the budget holds. All figures are medians, the ratio that of
 * the turns' ratios: a machine that changes its pace between turns changes the two figures, and not the
 * ratio.
 *
 * To add rows, add a file with a table of them and register it; nothing else needs to know:
 *
 *     static const struct bench rows[] = {
 *             {.name = "poll", .unit = "ns", .peer = "an atomic load", .budget = {RATIO(2)},
 *              .ours = poll_token, .theirs = load_word},
 *     };
 *     static struct bench_group group = {.rows = rows, .count = COUNT(rows)};
 *     BENCH_GROUP(group)
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "place.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What a row may cost. */
struct bench_budget {
	enum { BUDGET_NONE, BUDGET_RATIO, BUDGET_VALUE } kind;
	double limit;
};
/* clang-format off */
#define RATIO(times) {BUDGET_RATIO, times} /* at most so many times the peer's */
#define VALUE(units) {BUDGET_VALUE, units} /* at most so many of the row's units */
/* clang-format on */

/* Measure once and return the figure in the row's unit. What leads up to it is done here too, untimed. */
typedef double bench_measure(const struct place *place);

struct bench {
	const char *name;
	const char *unit;
	const char *peer;                        /* what stands on the other side, if anything does */
	struct bench_budget budget[PLACE_COUNT]; /* by place; of a group without places, the first */
	const char *needs;                       /* a program without which the row is left out, or NULL */
	const char *(*lacks)(void);              /* or: names what is missing for the row, if anything is */
	int repetitions;                         /* of both sides in turns; 0: the usual number */
	bool renew;                   /* each measurement finds the place empty and its filesystem fresh */
	bench_measure *ours, *theirs; /* no peer: `theirs` is NULL */
};

/* Rows that share a place and what `set_up` leaves there. */
struct bench_group {
	const struct bench *rows;
	size_t count;
	bool on_files;                             /* run once in each place, on a fresh filesystem */
	void (*set_up)(const struct place *place); /* or NULL */
	void (*tear_down)(void);                   /* or NULL */
	struct bench_group *next;
};

void bench_register(struct bench_group *group);
#define BENCH_GROUP(group)                                              \
	__attribute__((constructor)) static void register_##group(void) \
	{                                                               \
		bench_register(&group);                                 \
	}

/* How many: enough for a steady figure, or few, when the run shall only show that the benchmark works.
 * Figures of the second kind are not held against the budgets. */
long bench_count(long full, long brief);

/* Run the rows whose name, with its place as in "request (ext4)", matches `only`; NULL: all. */
void bench_run(const char *only, bool brief);

/* End the program with a sentence: a figure that could not be measured is none. */
__attribute__((format(printf, 1, 2), noreturn)) void bench_fail(const char *format, ...);

/* Nanoseconds of CLOCK_MONOTONIC, which all processes share. */
int64_t bench_now_ns(void);

/* Stay on one processor, so that both sides run on the same; or on another one, to wait for what the first
 * does. */
void bench_pin(bool other);

/* Go wherever the system likes, as threads do that somebody else starts. */
void bench_unpin(void);

/* Put the calling thread on one processor, by turns: of two, threads 0 and 2 share one, and 1 and 3. */
void bench_spread(unsigned thread);

/* Sort, and take the value below which `percent` of them lie. */
double bench_percentile(double *values, size_t count, double percent);

#endif
