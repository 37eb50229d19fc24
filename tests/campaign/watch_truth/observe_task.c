/* A worker: one task after the other, each of which is asked for once. */
#include "observers.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	LOOK_MS = 200,
	WORK_NS = 2000000,
};

static void pause_a_little(void)
{
	const struct timespec pause = {.tv_nsec = WORK_NS};

	(void)nanosleep(&pause, NULL);
}

static struct cancel_manager *open_manager(const struct stage *stage, unsigned index)
{
	const struct observer *observer = &stage->row->observers[index];
	struct cancel_manager_options options;
	struct cancel_spool_options place;
	struct cancel_manager *manager;
	struct cancel_error error;

	stage_spool_options(stage, &place);
	cancel_manager_options_init(&options);
	options.spool = &place;
	options.thread = observer->kind == OBSERVER_THREAD;
	options.notice = observer->notice;
	options.poll_interval_ms = stage->row->look_ms ? stage->row->look_ms : LOOK_MS;
	if (cancel_manager_open(&manager, &options, &error) < 0) {
		truth_complain(stage->truth, "cannot open a manager: %s", error.text);
		exit(1);
	}
	return manager;
}

/* While the spool is being moved nothing begins, and nothing ends. */
static struct cancel_task *begin(struct cancel_manager *manager, const char *task_id)
{
	struct cancel_task *task;

	while (cancel_task_begin(&task, manager, task_id, NULL, NULL) < 0)
		pause_a_little();
	return task;
}

static void end(struct cancel_task *task)
{
	while (cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, NULL) < 0)
		pause_a_little();
}

static void work_until_cancelled(const struct observer *observer, struct cancel_task *task)
{
	if (observer->kind == OBSERVER_LOOP)
		while (!cancel_task_checkpoint(task))
			pause_a_little();
	else
		(void)cancel_task_wait(task, CANCEL_FOREVER);
}

void observe_by_task(struct stage *stage, unsigned index)
{
	struct observer_state *state = &stage->truth->observers[index];
	struct cancel_manager *manager = open_manager(stage, index);

	for (unsigned turn = 1;; turn++) {
		char task_id[TASK_ID_SIZE];
		struct cancel_task *task;
		struct cancel_why why;

		stage_worker_name(stage, index, turn, task_id);
		atomic_store(&state->offered, turn);
		task = begin(manager, task_id);
		atomic_store(&state->begun, turn);
		atomic_store(&state->ready, true);
		work_until_cancelled(&stage->row->observers[index], task);
		cancel_task_why(task, &why);
		if (why.request)
			truth_saw(stage->truth, index, task_id, why.request->reason);
		else
			truth_complain(stage->truth, "'%s' is cancelled by no request: %s", task_id,
				       why.text);
		end(task);
	}
}
