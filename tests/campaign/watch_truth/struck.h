/* Calls of the C library that the library under test makes in this process, taken on their way: to do
 * something at the n-th of them, and to let the wall clock be stepped for some processes, with the times of
 * their files.
 *
 * The program's own definition of openat() and its like stands before the C library's. */
#ifndef WATCH_TRUTH_STRUCK_H
#define WATCH_TRUTH_STRUCK_H

#include <stdbool.h>
#include <stdint.h>

/* Before the `nth` call from now on, once, call blow(arg); 0: never, they are only counted. */
void struck_arm(unsigned nth, void (*blow)(void *arg), void *arg);
unsigned struck_count(void);
/* Who gets true calls it; nobody else does from here on. False: it has been called, or is, in a child of fork() too,
 * where nothing is counted any more. */
bool struck_claim(void);

/* From here on this process, and whoever is forked, share a wall clock that can be stepped. Aborts without
 * memory. */
void struck_clock_begin(void);
/* It is so much ahead of the kernel's from now on. False: too many steps. */
bool struck_clock_set(int64_t ahead_s);

#endif
