/* A scheduler of one test's manager, which has a thread (tasking.h), and what its tasks do. */
#ifndef SUPPORT_SCHEDULING_H
#define SUPPORT_SCHEDULING_H

#include "tasking.h"
#include "token_gate.h"

#include <cancel/cancel.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	SCHEDULING_LINES_MAX = 256,
	SCHEDULING_PATIENCE_MS = TASKING_PATIENCE_S * 1000,
};

extern struct cancel_scheduler *scheduler;
extern struct cancel_scheduler_options scheduler_options; /* what `scheduling_open` goes by */
extern struct cancel_submission submission;               /* what scheduling_submit hands in with */

/* For a suite's .init and .fini. Two threads, no retries, no time limit, lines are noted. */
void scheduling_set_up(void);
void scheduling_tear_down(void);

/* Open manager and scheduler; close the scheduler alone. */
void scheduling_open(void);
void scheduling_close(void);

/* What a task does, and what was seen of it. A zeroed one returns 0 at once. */
struct chore {
	/* What it does: stops at the gate first, then waits until its token is cancelled, then returns. */
	struct token_gate *gate;
	bool heeds;
	unsigned fails; /* so many tries return `failure` */
	int failure;
	void (*does)(struct chore *chore, const struct cancel_try *now); /* before all that */

	/* What was seen. */
	atomic_uint calls, returns, ends;
	unsigned number; /* of the latest try */
	char task_id[64], run[64], ended_id[64];
	int token_error;             /* of the latest try, at its end */
	uint32_t kind;               /* of its cause */
	const void *token_task;      /* cancel_try.task */
	unsigned order;              /* how many chores had begun before its first try */
	struct cancel_scheduled end; /* as `ended` was told */
	struct token_gate *end_gate; /* where `ended` stops */
	void (*ending)(struct chore *chore);
};

int chore_run(void *chore, const struct cancel_try *now);
void chore_end(void *chore, const char *task_id, const struct cancel_scheduled *state);

/* Hand in a chore as `submission` says, with chore_end; the result of cancel_scheduler_submit. */
int scheduling_submit(const char *task_id, struct chore *chore);
/* Fill all threads with chores that stop at a gate; and let them go on. */
void scheduling_block(void);
void scheduling_unblock(void);

/* Wait for it; fails the test when it does not come. */
void scheduling_await_calls(struct chore *chore, unsigned calls);
#define EXPECT_BECOMES(expected, task_id)                                             \
	cr_assert(scheduling_becomes(task_id, expected), "%s is %s, not %s", task_id, \
		  cancel_scheduled_text(scheduling_state(task_id).status), cancel_scheduled_text(expected))
bool scheduling_becomes(const char *task_id, enum cancel_scheduled_status status);

/* How it stands; asserts that it is known. */
struct cancel_scheduled scheduling_state(const char *task_id);
/* Wait until it has ended; how. */
struct cancel_scheduled scheduling_wait(const char *task_id);
struct cancel_scheduler_statistics scheduling_count(void);

/* What options.log was told so far. The text of a line lives as long as the test. */
int scheduling_line_count(void);
const char *scheduling_line_at(int index, enum cancel_log_level *level);
/* The index of the first line from `from` on with `part` in it; waits for it. -1: it does not come. */
int scheduling_await_line(int from, const char *part);

#endif
