/* Another program, run by a test: its arguments, environment and input go in; what it wrote and how it
 * ended come out. It writes to files in memory, so it never waits for its reader, and what it wrote can be
 * looked at while it runs. It is killed when the test's process ends. */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Long enough for anything that is going to happen at all, on a busy machine under valgrind. */
#define PROCESS_TIMEOUT_MS 30000

/* A NULL-ended list of strings, for `arguments` and `environment`. */
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct process {
	pid_t pid;       /* 0 when it has ended */
	int exit_code;   /* once ended; 128 and the signal's number when a signal ended it */
	long max_rss_kb; /* once ended; never below the test's own, which it grew out of */
	char *out;       /* all it wrote, NUL-terminated; set once it has ended */
	char *err;
	size_t out_size;
	size_t err_size;
	int out_fd;
	int err_fd;
};

/**
 * Start a program.
 *
 * @param arguments    The first is the program, by path or searched for in PATH.
 * @param environment  "NAME=VALUE" sets, "NAME" removes; all else is inherited. NULL: nothing changes.
 * @param input        What it reads on standard input; NULL: nothing.
 *
 * Aborts when the system has no process left; a program that is not there ends with 127.
 */
void process_start(struct process *process, const char *const *arguments, const char *const *environment,
		   const char *input);

/* In a child that is about to become a program: change its environment as above. */
void process_change_environment(const char *const *changes);

/* Wait until it has ended; false when the time ran out first. */
bool process_wait(struct process *process, int64_t timeout_ms);

/* Start it and wait; aborts when it has not ended within PROCESS_TIMEOUT_MS. */
void process_run(struct process *process, const char *const *arguments, const char *const *environment,
		 const char *input);

/* Wait until it has written `text` to standard output, or standard error; false when it ended or the time
 * ran out first. */
bool process_wait_out(struct process *process, const char *text, int64_t timeout_ms);
bool process_wait_err(struct process *process, const char *text, int64_t timeout_ms);

/* Kill it if it runs, and free what it wrote. A zeroed process is fine. */
void process_free(struct process *process);

/* Ask `condition` again and again until it is true; false when the time ran out first. */
bool wait_until(bool (*condition)(void *arg), void *arg, int64_t timeout_ms);

#endif
