/* Where threads of a test stop until they are let through: made of the C library's locks only, so that what
 * is tested has no part in it. A static gate is closed and needs no making. */
#ifndef SUPPORT_TOKEN_GATE_H
#define SUPPORT_TOKEN_GATE_H

#include <pthread.h>
#include <stdbool.h>

struct token_gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int arrived; /* how many came to it so far */
	bool is_open;
};

#define TOKEN_GATE_INIT                                                       \
	{                                                                     \
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false \
	}

/* Come to the gate, and stop there while it is closed. */
void token_gate_pass(struct token_gate *gate);

/* Come to the gate without stopping. */
void token_gate_touch(struct token_gate *gate);

/* Wait until `count` have come to it. */
void token_gate_await(struct token_gate *gate, int count);

void token_gate_open(struct token_gate *gate);

#endif
