/* A task's memory, and its place in the manager. */
#include "task.h"

#include "clock.h"
#include "hints.h"

#include <stdlib.h>
#include <string.h>

/* --- its memory --------------------------------------------------------------------------------------- */

static bool copy_ids(struct task *task, const char *task_id, const struct cancel_task_options *options)
{
	bool copied = true;

	for (size_t i = 0; i < task->count; i++) {
		const char *id = i == 0 ? task_id : options->also[i - 1];

		task->listeners[i].id = strdup(id);
		task->listeners[i].word_at = bell_word_at(id);
		copied = copied && task->listeners[i].id;
	}
	if (options->run)
		task->run = strdup(options->run);
	return copied && (!options->run || task->run);
}

void task_free(struct task *task)
{
	for (size_t i = 0; i < task->count; i++)
		free(task->listeners[i].id);
	free(task->run);
	free(task);
}

struct task *task_new(struct cancel_manager *manager, const char *task_id,
		      const struct cancel_task_options *options)
{
	size_t count = 1 + options->also_count;
	struct task *task = calloc(1, sizeof *task + count * sizeof task->listeners[0]);

	if (!task)
		return NULL;
	task->manager = manager;
	task->count = count;
	task->started_at_us = clock_realtime_us();
	task->started_boottime_ns = clock_boottime_ns();
	task->lease = (struct lease)LEASE_NONE;
	task->face.looks = !manager->options.thread;
	task->look_at_ns = clock_coarse_ns() + CANCEL_CHECKPOINT_LOOK_MS * NS_PER_MS;
	task->deadline_ns = CANCEL_FOREVER;
	cancel_source_init(&task->face.source, NULL);
	if (copy_ids(task, task_id, options))
		return task;
	task_free(task);
	return NULL;
}

/* --- its place ---------------------------------------------------------------------------------------- */

/* With the lock. What the bell says is heard here, before the task is looked for the first time. */
static void insert(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	(void)hints_hear(manager, task, task->heard);
	task->next = manager->first;
	if (task->next)
		task->next->link = &task->next;
	task->link = &manager->first;
	manager->first = task;
	manager->listeners += task->count;
	manager->watcher.has_begun_task = true;
	watcher_kick(manager);
}

void task_enter(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	manager_lock(manager);
	task->next_alive = manager->alive;
	if (task->next_alive)
		task->next_alive->link_alive = &task->next_alive;
	task->link_alive = &manager->alive;
	manager->alive = task;
	insert(task);
	manager_unlock(manager);
}

/* Meanwhile a ring may have gone unheard. */
void task_come_back(struct task *task)
{
	manager_lock(task->manager);
	task->is_due = true;
	task->look_at_ns = 0;
	insert(task);
	manager_unlock(task->manager);
}

void task_vanish(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	manager_lock(manager);
	if (task->link_alive)
		*task->link_alive = task->next_alive;
	if (task->link_alive && task->next_alive)
		task->next_alive->link_alive = task->link_alive;
	manager_unlock(manager);
}

void task_leave(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	manager_lock(manager);
	while (task->users > task_uses_here(task))
		(void)pthread_cond_wait(&manager->unused, &manager->lock);
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	task->link = NULL;
	manager->listeners -= task->count;
	if (manager->cursor == task)
		manager->cursor = task->next;
	task->is_due = false;
	trouble_forget(task);
	manager_unlock(manager);
}
