/* A manager of one test's spool, and its tasks, once in each mode and with each way of noticing. The spool of
 * spool_case.h is open beside the manager: what is done to it is done by somebody else. */
#ifndef SUPPORT_TASKING_H
#define SUPPORT_TASKING_H

#include "spool_case.h"

#include <cancel/cancel.h>

#include <criterion/parameterized.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	TASKING_REPORTS_MAX = 64,
	TASKING_PATIENCE_S = 30,
	TASKING_POLL_MS = 20, /* how often a manager of a test looks where nobody rings */
};

struct tasking_way {
	bool thread;
	bool waits; /* without a thread: it sleeps for it, else it asks at checkpoints */
	enum cancel_notice notice;
};

/* A test that is made once in every way: `way` is the one. */
#define TASKING_TEST(suite, name)                \
	ParameterizedTestParameters(suite, name) \
	{                                        \
		return tasking_every_way();      \
	}                                        \
	ParameterizedTest(struct tasking_way *way, suite, name)

/* The same without a thread, and with one. */
#define TASKING_MODES_TEST(suite, name)          \
	ParameterizedTestParameters(suite, name) \
	{                                        \
		return tasking_both_modes();     \
	}                                        \
	ParameterizedTest(struct tasking_way *way, suite, name)

struct criterion_test_params tasking_every_way(void);
struct criterion_test_params tasking_both_modes(void);

/* "without a thread, waiting, by poll". The same memory at each call. */
const char *tasking_way_text(const struct tasking_way *way);

extern struct cancel_manager *manager;
extern struct cancel_manager_options manager_options; /* what `tasking_open` goes by */
extern struct cancel_task *task;                      /* the one that was begun last */
extern struct cancel_task_options terms;              /* what tasks begin with */

/* For a suite's .init and .fini. The end closes the manager, and aborts when a descriptor or thread is left.
 */
void tasking_set_up(void);
void tasking_tear_down(void);

/* Open the manager, on the spool of the case; NULL: without a thread. */
void tasking_open(const struct tasking_way *way);
/* Close it; the result is that of cancel_manager_close. */
int tasking_close(void);

/* Begin a task as `terms` say; the result of cancel_task_begin, the task in `task`. */
int tasking_begin(const char *task_id);
/* Begin one that has a deadline, before that; asserts that it worked. The time it has is in `terms`, and is made longer
 * where it was over before it had begun. */
void tasking_begin_in_time(const char *task_id);
/* Begin a run of it. */
int tasking_begin_run(const char *task_id, const char *run);
/* Begin one that listens to a further id. */
int tasking_begin_also(const char *task_id, const char *also);
/* End `task` and forget it. */
int tasking_end(enum cancel_outcome outcome);

/* Wait until a task is cancelled, as a program does in that way. */
bool tasking_notices(const struct tasking_way *way, struct cancel_task *one);
#define EXPECT_NOTICED(way, one) cr_assert(tasking_notices(way, one), "not noticed %s", tasking_way_text(way))

/* It is not cancelled, although all that was published so far was looked at. */
#define EXPECT_UNTOUCHED(way, one) \
	cr_assert(tasking_is_untouched(way, one), "cancelled %s", tasking_way_text(way))
bool tasking_is_untouched(const struct tasking_way *way, struct cancel_task *one);

/* Ask for a task, or for it and later; both assert that it worked. */
void tasking_ask(const char *task_id);
void tasking_ask_at(const char *task_id, int64_t cancel_at_us);
/* Ask and decide. */
void tasking_decide(const char *task_id, const char *run, enum cancel_outcome outcome);

/* What somebody decided who knows no bell: the record is made now, and put in its place at once, later. */
void tasking_prepare_decision(const char *task_id, const char *run, enum cancel_outcome outcome);
void tasking_put_decision(const char *file);

/* What `options.report` was told. */
int tasking_report_count(void);
struct cancel_error tasking_report_at(int index);
/* Wait, as a program does in that way, until so many reports have come. */
bool tasking_is_told(const struct tasking_way *way, struct cancel_task *one, int count);

/* How many runs are alive, of the task or of all (NULL), by the spool's own word. */
int tasking_count_runs(const char *task_id);

/* Another process that runs a task, with a manager of its own and no thread. */
struct tasking_worker {
	pid_t pid;
	int begun; /* what cancel_task_begin returned */
	int order_fd, answer_fd;
};

void tasking_worker_start(struct tasking_worker *worker, const char *task_id, const char *run,
			  const char *also);
/* It waits until its task is cancelled: 1, or what cancel_task_wait said. */
int tasking_worker_wait(struct tasking_worker *worker);
/* It ends its task, and then itself. */
int tasking_worker_end(struct tasking_worker *worker, enum cancel_outcome outcome);
/* The same in two steps: it stops where it would remove its lease, which is there still, and goes on from
 * there. The test is skipped where that cannot be had. */
void tasking_worker_end_to_the_lease(struct tasking_worker *worker, enum cancel_outcome outcome);
int tasking_worker_go_on(struct tasking_worker *worker);
void tasking_worker_kill(struct tasking_worker *worker);

#endif
