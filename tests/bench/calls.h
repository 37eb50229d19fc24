/* How many system calls something makes, counted by following a child. */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

/* The calls of a child, and of all its threads, from its first calls_mark() to its second. */
long calls_count(void (*function)(const void *arg), const void *arg);
void calls_mark(void);

#endif
