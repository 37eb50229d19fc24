/* Which requests are done with as far as rules are concerned, though they are still pending: a set of bounded
 * size that forgets the oldest. */
#ifndef CANCELWATCH_RULE_MEMORY_H
#define CANCELWATCH_RULE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULE_MEMORY_MAX 65536 /* requests; 1 MiB with the table to find them */

/* Requests are known by rule_key(). */
struct rule_memory {
	uint64_t *keys;  /* a ring in the order of coming; NULL until the first */
	uint32_t *slots; /* open addressing: where a key is in the ring, and one; 0: nowhere */
	size_t count;
	size_t next; /* the oldest once all are taken */
};

/* Returns 0 or -ENOMEM. */
int rule_memory_add(struct rule_memory *memory, uint64_t key);
bool rule_memory_has(const struct rule_memory *memory, uint64_t key);
/* Whether a further one would have an older one forgotten. */
bool rule_memory_is_full(const struct rule_memory *memory);
/* Forget them all. */
void rule_memory_clear(struct rule_memory *memory);

#endif
