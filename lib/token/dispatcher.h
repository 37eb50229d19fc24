/* The dispatcher's thread, and what waits for it. */
#ifndef TOKEN_DISPATCHER_H
#define TOKEN_DISPATCHER_H

#include <cancel/dispatcher.h>
#include <cancel/source.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Queue a source that is marked and pending, and wake the dispatcher. Safe in a signal handler, but for
 * errno. */
void dispatcher_push(struct cancel_source *source);

/* The same for a source whose caller was promised a dispatcher: one is started if it was stopped meanwhile.
 * Not in a signal handler. */
void dispatcher_take(struct cancel_source *source);

/* Wake it: something is due earlier than it thinks. */
void dispatcher_ring(void);

/* Its thread. False: none runs. */
bool dispatcher_thread(pthread_t *thread);

/* Whether what is pending would wait for ever, unless this thread delivers it: it is the dispatcher itself,
 * or there is none. */
bool dispatcher_needs_me(void);

/* How many forks lie between this process and the one that began the program. */
uint32_t dispatcher_forks(void);

/* Deliver, on this thread, the first that is queued. False: nothing was. */
bool dispatcher_deliver(void);

#endif
