/* A campaign: one promise, tried in as many ways as there is time for, with a line of figures at its end.
 *
 * RUN_SECONDS makes it long: that many seconds, or all there is where a campaign can be exhaustive. Without it
 * the campaign is its short form, of a few seconds, with the same checks. SEED repeats a run by chance.
 * CAMPAIGN_FIRST ends it at the first violation, which is how mutants are caught quickly. */
#ifndef SUPPORT_CAMPAIGN_H
#define SUPPORT_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

/* `name` begins each line that is printed: the make target's. */
void campaign_begin(const char *name);

/* Is this the long form? And how long it may take; in the short form `short_s`. */
bool campaign_is_long(void);
int campaign_seconds(int short_s);

/* Is there time left, of campaign_seconds(short_s), since campaign_begin? */
bool campaign_going(int short_s);

/* A violation unless `holds`. The first 20 are printed, all are counted; false when it was one. From any thread. */
bool campaign_expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
long campaign_violations(void);

/* This machine cannot do it: says why, and exits with 77, which tests/run counts as skipped. */
void campaign_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* On a terminal: how far it has come, on standard error, at most ten times a second. */
void campaign_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The line of figures: "NAME: FORMAT, N violations, S s". Returns the program's exit status: 0, or 1 when there was one. */
int campaign_end(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Chance, from SEED or the clock. The seed is printed when there was a violation. */
uint64_t campaign_chance(void);
unsigned campaign_pick(unsigned count); /* 0 to count - 1 */

#endif
