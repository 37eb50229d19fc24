/* A command that sleeps, started by somebody who watches over it: `cancelwatch run`, timeout(1), tsp(1). */
#ifndef BENCH_SLEEPER_H
#define BENCH_SLEEPER_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* It says its process id and sleeps, not for long: should the benchmark be killed it goes by itself. */
#define SLEEPER_SHELL   "/bin/sh"
#define SLEEPER_TEXT    "echo $$; exec sleep 60"
#define SLEEPER_COMMAND SLEEPER_SHELL, "-c", SLEEPER_TEXT

struct sleeper {
	pid_t runner; /* who watches over it; the command itself if nobody does */
	pid_t command;
	int fd; /* pidfd of the command */
	FILE *output;
};

/* Run `arguments`, which end with SLEEPER_COMMAND, on the other processor. Returns when the command and all
 * who watch have come to rest. */
void sleeper_start(struct sleeper *sleeper, const char *const *arguments);

/* Sleep until the command is dead; when that was seen. */
int64_t sleeper_await_death_ns(const struct sleeper *sleeper);

/* Wait for who watched over it; its exit status, or -1. */
int sleeper_finish(struct sleeper *sleeper);

#endif
