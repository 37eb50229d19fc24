/* Sleeping on several words at once, of this process and of the bell. */
#ifndef TASK_SLEEP_H
#define TASK_SLEEP_H

#include <cancel/clock.h>

#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>

struct sleep_set {
	unsigned count;
	struct futex_waitv words[FUTEX_WAITV_MAX];
};

/* Sleep only while `word` is `value`. False: there is no room for more. */
bool sleep_add(struct sleep_set *set, const uint32_t *word, uint32_t value, bool is_shared);

/* Returns when one of them may have changed, at `until_ns` of CLOCK_MONOTONIC (CANCEL_FOREVER: never), on a
 * signal, or soon where the system cannot wait for all of them: the caller looks at what it waits for again.
 */
void sleep_until(const struct sleep_set *set, int64_t until_ns);

#endif
