/* Which states were checked already: a set of numbers. */
#ifndef POWERCUT_STATES_H
#define POWERCUT_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct states {
	uint64_t *slots; /* 0: free */
	size_t count, room;
};

/* False when it was there already. */
bool states_add(struct states *states, uint64_t state);
void states_end(struct states *states);

#endif
