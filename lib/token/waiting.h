/*
 * Waiting for a callback that runs on another thread, and noticing when that can never end: the other thread
 * waits, directly or through others, for one that runs on this thread.
 */
#ifndef TOKEN_WAITING_H
#define TOKEN_WAITING_H

#include <cancel/source.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* What a sleeper has to do before it looks at what it waits for, so that no wake is lost: then, if `wakes`
 * has changed since, the sleep ends at once. Returns `wakes`. With or without the source's lock. */
uint32_t waiting_begin(const struct cancel_source *source);

/* Sleep while `word` is `value`, until `until` (NULL: no limit), or a signal. `on` is the thread that will
 * change it; NULL: nobody knows.
 *
 * Returns 0, or -EDEADLK without having slept. Without any lock. */
int waiting_sleep(const uint32_t *word, uint32_t value, const pthread_t *on, const struct timespec *until);

/* In the child of a fork: nobody waits. */
void waiting_forget(void);

/* The end of a wait that begins now and lasts `timeout_ns`, in `until`; NULL for no limit. */
const struct timespec *waiting_until(struct timespec *until, int64_t timeout_ns);
bool waiting_is_over(const struct timespec *until);
const struct timespec *waiting_until_at(struct timespec *until, int64_t at_ns);

#endif
