/* Other processes: programs that are run, and functions that run in a child. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define PROCESS_ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define PROCESS_PATH_SIZE 4096

/* Find a program as a shell does, so that starting it costs no search; false when there is none. A path
 * stays. */
bool process_find(char path[PROCESS_PATH_SIZE], const char *program);

/* Run a program, its standard output going nowhere, and wait; its exit status, or -1. */
int process_run(const char *const *arguments);

/* The same; ends the benchmark if it fails. */
void process_must(const char *const *arguments);

/* The same; how long it took, from starting it to having waited for it. */
int64_t process_time_ns(const char *const *arguments);

/* Start a program whose standard output is read through `output`; end it with SIGTERM and wait. */
pid_t process_start(const char *const *arguments, FILE **output);
void process_end(pid_t pid);

/* Wait until it ends by itself; its exit status, or -1. */
int process_wait(pid_t pid);

/* Run a function in a child, which exits with 0 when it returns, and wait; how long that took. */
int64_t process_fork_time_ns(void (*function)(const void *arg), const void *arg);

/* Run a function in a child without waiting. It is killed with its parent. */
pid_t process_fork(void (*function)(const void *arg), const void *arg);

#endif
