/* The object that `cancelwatch run --json` writes at the end. */
#ifndef CANCELWATCH_RUN_REPORT_H
#define CANCELWATCH_RUN_REPORT_H

#include "run_options.h"
#include "verdict.h"

#include <cancel/task.h>

#include <stdint.h>
#include <sys/resource.h>

struct run_report {
	const struct run_options *options;
	const struct verdict *verdict;
	const struct cancel_why *why;
	const struct rusage *usage;
	unsigned tries;
	int64_t started_at_us; /* wall clock */
	int64_t ended_at_us;
	int64_t took_ns;
};

/* Where it goes: a file that is made now, or standard output. Returns the descriptor, or a negative errno. */
int run_report_open(const struct run_options *options);

/* The object and a newline, to be freed with free(); NULL where memory has run out. */
char *run_report_text(const struct run_report *report);

#endif
