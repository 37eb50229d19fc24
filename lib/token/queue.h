/*
 * Sources that are cancelled and wait to be delivered. They are threaded through their `delivery` field, as
 * odd addresses, so that queueing one takes no memory; whoever cancelled a source owns that field until then.
 *
 * Pushing takes no lock, for signal handlers do it.
 */
#ifndef TOKEN_QUEUE_H
#define TOKEN_QUEUE_H

#include <cancel/source.h>

#include <stdbool.h>

struct queue {
	struct cancel_source *pushed; /* the latest first; atomic */
	struct cancel_source *ready;  /* the first first */
	uint8_t locked;               /* of `ready` */
};

/* Afterwards the source is not the caller's any more. */
void queue_push(struct queue *queue, struct cancel_source *source);

/* Deliver the first one here. False: there is none. Any number of threads may do so. */
bool queue_deliver(struct queue *queue);

bool queue_is_empty(struct queue *queue);

#endif
