/* Processes that play together. Whoever begins forks the others, from its only thread; all complain into one
 * book, and who hangs is found by the clock of whoever began.
 *
 * SEED is the seed (as printed). */
#ifndef SUPPORT_STRESS_CREW_H
#define SUPPORT_STRESS_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void crew_begin(const char *program);

/* The closing line; the program's exit status. */
int crew_end(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something is wrong unless `holds`: it is printed, and counted in the book. From any process. */
void crew_expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The beginning of one of the streams of chance that follow from SEED; stress_run.h has what to do with it.
 */
uint64_t crew_seed(unsigned stream);

/* A number above 0 from the environment, however large. */
long crew_number(const char *name, long otherwise);

/* Zeroed memory that all processes forked from here on share. */
void *crew_share(size_t size);

/* Somebody got further. Who waits for the crew is patient while this is called now and then. */
void crew_step(void);

/* Like fork, but never fails; the child dies with its parent. */
pid_t crew_fork(void);

/* Wait until a child has ended well. When nobody steps for a long time, complain and end everything. */
void crew_reap(pid_t pid);

/* Kill a child, and wait until it is gone. */
void crew_kill(pid_t pid);

#endif
