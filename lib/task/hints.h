/*
 * How a manager learns that it should look: the bell, inotify, or nothing but the time. All three only say
 * that something may have changed.
 */
#ifndef TASK_HINTS_H
#define TASK_HINTS_H

#include "sleep.h"
#include "task.h"

/* Choose, as the options say. */
int hints_open(struct cancel_manager *manager, struct cancel_error *error);
void hints_close(struct cancel_manager *manager);

/* Without the lock: what was lost may be had again. Touches files. */
void hints_renew(struct cancel_manager *manager);

/* With the lock: wake who sleeps in hints_wait_for_files. */
void hints_kick(const struct cancel_manager *manager);

/* --- the bell, with the lock --- */

/* What all words together were; false: there is no bell, and nothing rings. Read before the tasks' own. */
bool hints_read_every(const struct cancel_manager *manager, uint32_t every[BELL_EVERY_COUNT]);
/* Read all words now, where that is cheaper, for hints_hear until hints_forget_words. */
void hints_read_words(struct cancel_manager *manager);
void hints_forget_words(struct cancel_manager *manager);
/* Whether it has rung for the task since the caller's `heard`, its words one after the other, which is
 * brought up to now. */
bool hints_hear(const struct cancel_manager *manager, const struct task *task, uint32_t *heard);
/* Sleep until it rings for the task, since `heard`; false: no room. */
bool hints_add(const struct cancel_manager *manager, const struct task *task, const uint32_t *heard,
	       struct sleep_set *set);
/* Sleep until it rings at all. */
void hints_add_every(const struct cancel_manager *manager, const uint32_t every[BELL_EVERY_COUNT],
		     struct sleep_set *set);
/* Hold the bell that there is, if any, while this thread sleeps on it; and drop it, awake again. With the
 * lock. */
struct bell *hints_hold_asleep(struct cancel_manager *manager);
void hints_drop_awake(struct cancel_manager *manager, struct bell *bell);
/* In the child of a fork nobody sleeps. */
void hints_disinherit(struct cancel_manager *manager);
/* Somebody rings for programs that know no bell, so there is no need to look often. */
bool hints_are_complete(const struct cancel_manager *manager);

/* --- inotify, with the lock --- */

/* Mark the tasks that shall be looked for. */
void hints_take_files(struct cancel_manager *manager);
/* Other directories stand there than those that are watched: a round is due. */
bool hints_are_stale(const struct cancel_manager *manager);
/* Without the lock: sleep until there is something to take, or somebody kicks. */
void hints_wait_for_files(const struct cancel_manager *manager, int64_t until_ns);

#endif
