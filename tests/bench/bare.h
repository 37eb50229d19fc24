/* The other side of most rows: the same files in the same directories, with nothing but the system calls. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include "place.h"

#include <stddef.h>

struct bare {
	int tmp_fd, pending_fd, processed_fd;
};

/* Make the directory `name` in a place, with those three in it. */
void bare_open(struct bare *bare, const struct place *place, const char *name);
void bare_close(struct bare *bare);

/* Create, write, close in tmp/; rename into pending/. */
void bare_publish(const struct bare *bare, long number, const char *text, size_t size);

/* The same into processed/. */
void bare_keep(const struct bare *bare, long number, const char *text, size_t size);

/* And then unlink in pending/. */
void bare_decide(const struct bare *bare, long number, const char *text, size_t size);

/* The name of the task that both sides use for a number. */
void bare_task(char task[32], long number);

#endif
