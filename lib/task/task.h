/* A task, as the files of this folder share it. */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include "lease.h"
#include "manager.h"

#include <cancel/deadline.h>
#include <cancel/link.h>
#include <cancel/task.h>

/* One id that a task listens to: the first is its own. */
struct listener {
	char *id;
	struct cancel_mark mark; /* what was decided before the task began */
	size_t word_at;          /* where the bell's word for it is */
};

#define LISTENERS_MAX (1 + CANCEL_TASK_ALSO_MAX)

struct task {
	struct cancel_task face; /* first: what the program has a pointer to */
	struct cancel_manager *manager;
	struct cancel_deadline deadline; /* with a thread */
	struct cancel_link parent;
	struct cancel_token parent_token;
	bool has_parent;
	char *run; /* or NULL */
	int64_t started_at_us, started_boottime_ns;
	struct lease lease;
	_Atomic bool keeps_lease; /* from when it has one: if that is removed another is taken */

	/* With the manager's lock. */
	struct task *next_alive, **link_alive;
	struct task *next, **link;   /* among those that are looked for; link is NULL when it is not there */
	unsigned users;              /* threads that look for it, and are not its owner's */
	bool has_begun;              /* cancel_task_begin has come to its end */
	bool is_due;                 /* the thread shall look for it */
	uint64_t troubles[TROUBLES]; /* of each sort: a hash of its sentence; 0: there is none */
	unsigned visit;              /* cancel_manager_cancel has been here */

	/* When the next request takes effect that is known, by the wall clock; 0: none is. */
	_Atomic int64_t effect_at_us;

	/* Of checkpoints. */
	_Atomic bool looks_now; /* one at a time */
	_Atomic long tick;      /* tv_nsec of the coarse clock when one last asked the bell */
	int64_t look_at_ns;     /* by that clock: look, whatever the bell says; for who looks now */
	int64_t deadline_ns;    /* without a thread, by CLOCK_MONOTONIC; CANCEL_FOREVER: none */

	/* The listeners' words, read before the latest look; with the manager's lock. */
	uint32_t heard[LISTENERS_MAX];
	size_t count;
	struct listener listeners[];
};

static inline struct task *task_of(struct cancel_task *face)
{
	return (struct task *)face;
}

static inline bool task_is_cancelled(const struct task *task)
{
	return cancel_token_requested(cancel_source_token(&task->face.source));
}

static inline struct cancel_spool *task_spool(const struct task *task)
{
	return task->manager->spool;
}

/* task.c. Without a place in its manager; NULL where memory has run out. */
struct task *task_new(struct cancel_manager *manager, const char *task_id,
		      const struct cancel_task_options *options);
void task_free(struct task *task);

/* Be looked for from here on. */
void task_enter(struct task *task);
/* Be looked for no more, once no other thread uses it; and again, as if it had been rung for. */
void task_leave(struct task *task);
void task_come_back(struct task *task);
/* It has no lease any more that a child would have a copy of. */
void task_vanish(struct task *task);

/* use.c. With the lock: a thread that is not its owner's looks for the task, and has looked. Meanwhile it may
 * be ended by that thread only, in a callback. */
struct task_use {
	struct task *task; /* NULL: it was ended meanwhile */
	struct task_use *outer;
};
void task_use_begin(struct task_use *use, struct task *task);
void task_use_end(struct task_use *use);
/* How often this thread is between the two; and that the task is ended by it. */
unsigned task_uses_here(const struct task *task);
void task_forget_uses_here(const struct task *task);

/* begin.c. Take another lease if the task's was removed. */
int task_keep_lease(struct task *task, struct cancel_error *error);
/* One that began without a lease starts to run: take one. Where none can be had that is told, and one is
 * taken as soon as that works. */
void task_take_lease(struct task *task);

/* end.c. Free what there is of it, whatever became of its request. */
void task_abandon(struct task *task);

/* why.c. The cause of a task's own deadline. */
extern const struct cancel_cause task_deadline_cause;

#endif
