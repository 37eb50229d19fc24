/* How a stress program runs: in parts, each for its share of the time, by chance from a seed, under a
 * watchdog that names the part and the round when a round does not end.
 *
 * RUN_SECONDS is the length, SEED the seed (as printed), PART the name of the only part to play,
 * WATCHDOG_SECONDS how long a round may take. With
 * WATCHDOG_HOLDS set a program that hangs stays, for a debugger. */
#ifndef SUPPORT_STRESS_RUN_H
#define SUPPORT_STRESS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define STRESS_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STRESS_UNDER_TSAN 1
#endif
#endif
#ifndef STRESS_UNDER_TSAN
#define STRESS_UNDER_TSAN 0
#endif

struct stress_part {
	const char *name;
	unsigned share;     /* of the time, in relation to the other parts */
	void (*play)(void); /* plays rounds while stress_going() */
};

/* Play all parts: with the library's batches, and then without. */
void stress_play(const char *program, const struct stress_part *parts, size_t count);

/* Is there time for another round of this part? At least one is played. */
bool stress_going(void);

/* Something is wrong unless `holds`. What is wrong is printed, with part, round and seed. */
void stress_expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The closing line; the program's exit status. */
int stress_end(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Chance. */
uint64_t stress_seed(unsigned stream); /* the beginning of one of the streams that follow from SEED */
uint64_t stress_chance(uint64_t *state);
unsigned stress_pick(uint64_t *state, unsigned count); /* 0 to count - 1 */
bool stress_one_in(uint64_t *state, unsigned count);

/* Time. */
int64_t stress_now_ns(void); /* CLOCK_MONOTONIC */
void stress_spin(unsigned turns);
void stress_dawdle(uint64_t *state); /* for a moment: mostly none, seldom some microseconds */

#endif
