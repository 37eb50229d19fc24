/* Spools to measure in. Every failure ends the benchmark. */
#ifndef BENCH_FIXTURE_H
#define BENCH_FIXTURE_H

#include "place.h"

#include <cancel/manager.h>
#include <cancel/spool.h>
#include <cancel/sweep.h>
#include <cancel/task.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Open the spool `name` in a place, making it when it is missing. */
struct cancel_spool *fixture_open(const struct place *place, const char *name);

/* Open a manager of the spool `name`, making that when it is missing. A polling interval of 0: the usual
 * one. */
struct cancel_manager *fixture_manager(const struct place *place, const char *name, bool thread,
				       enum cancel_notice notice, int64_t poll_interval_ms);

/* Begin the task of that number, which nobody has asked for; and end it. */
struct cancel_task *fixture_begin(struct cancel_manager *manager, long number, bool lease);
void fixture_end(struct cancel_task *task, enum cancel_outcome outcome);

/* Fill in what everybody asks for here: the task of that number, a reason of an ordinary length. */
void fixture_request(struct cancel_request *request, char task[32], long number);

/* Ask for the tasks from `first` on, in a batch. */
void fixture_ask(struct cancel_spool *spool, long first, long count, int64_t expires_in_s);

/* One pass. */
void fixture_sweep(struct cancel_spool *spool, int64_t keep_for_s, struct cancel_sweep_result *result);

/* Make the spool `name` with so many requests that were decided a moment ago. */
void fixture_processed(const struct place *place, const char *name, long count);

/* A record as the library writes it for such a request, pending or decided. */
struct fixture_text {
	char text[2048];
	size_t size;
};

void fixture_record(struct fixture_text *record, const struct place *place, bool decided);

#endif
