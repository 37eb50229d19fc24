/* Wait on several descriptors and call whoever's is ready. */
#ifndef CANCELWATCH_LOOP_H
#define CANCELWATCH_LOOP_H

#include <stddef.h>
#include <stdint.h>

/* Returns LOOP_GO_ON, or the exit code to end with. */
#define LOOP_GO_ON (-1)
typedef int loop_handler(void *arg);

struct loop_source {
	int fd;       /* -1: not now */
	short events; /* for poll; errors and hang-ups always count */
	loop_handler *handle;
};

/* Call handlers, earlier sources first, until one returns something else than LOOP_GO_ON, and return that.
 * A handler may change `sources`; one whose descriptor was exchanged meanwhile may be called for nothing. */
int loop_run(struct loop_source *sources, size_t count, void *arg);

/* A timer to poll, not set yet, or a negative errno. */
int loop_timer_open(void);
/* Make it readable in `first_us` and then every `interval_us` (0: only once). `first_us` 0 stops it. */
void loop_timer_set(int fd, int64_t first_us, int64_t interval_us);
/* Make it unreadable until it goes off again. */
void loop_timer_read(int fd);

#endif
