/* The table at the end, and the same for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "harness.h"

struct report_row {
	char name[128];
	const char *unit;
	const char *peer; /* NULL: none, and no `theirs` */
	const struct bench_budget *budget;
	double ours, theirs, ratio;
	bool met;
};

void report_add(const struct report_row *row);

/* Machine, kernel, processors, filesystems. */
void report_machine(void);

void report_table(void);

/* An array of objects: name, unit, libcancel, peer, peer_value, ratio, budget, met. Where there is no budget,
 * the last two are null; where there is no peer, the three in the middle. */
void report_json(const char *path);

#endif
