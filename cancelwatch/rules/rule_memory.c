#include "rule_memory.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS (2 * RULE_MEMORY_MAX) /* a power of two, and half of them free */

static size_t first_slot(uint64_t key)
{
	return (size_t)key & (SLOTS - 1);
}

/* The slot where it is, or the free one where it would be. */
static size_t find(const struct rule_memory *memory, uint64_t key)
{
	size_t slot = first_slot(key);

	while (memory->slots[slot] != 0 && memory->keys[memory->slots[slot] - 1] != key)
		slot = (slot + 1) & (SLOTS - 1);
	return slot;
}

bool rule_memory_has(const struct rule_memory *memory, uint64_t key)
{
	return memory->count > 0 && memory->slots[find(memory, key)] != 0;
}

/* Those behind it that had to go past it move up, or they would not be found any more. */
static void free_slot(struct rule_memory *memory, size_t hole)
{
	size_t slot = hole;

	memory->slots[hole] = 0;
	for (;;) {
		size_t wanted;

		slot = (slot + 1) & (SLOTS - 1);
		if (memory->slots[slot] == 0)
			return;
		wanted = first_slot(memory->keys[memory->slots[slot] - 1]);
		if (((slot - wanted) & (SLOTS - 1)) < ((slot - hole) & (SLOTS - 1)))
			continue;
		memory->slots[hole] = memory->slots[slot];
		memory->slots[slot] = 0;
		hole = slot;
	}
}

static int make_room(struct rule_memory *memory)
{
	if (memory->keys != NULL)
		return 0;
	memory->keys = calloc(RULE_MEMORY_MAX, sizeof *memory->keys);
	memory->slots = calloc(SLOTS, sizeof *memory->slots);
	if (memory->keys != NULL && memory->slots != NULL)
		return 0;
	rule_memory_clear(memory);
	return -ENOMEM;
}

int rule_memory_add(struct rule_memory *memory, uint64_t key)
{
	if (make_room(memory) < 0)
		return -ENOMEM;
	if (memory->slots[find(memory, key)] != 0)
		return 0;
	if (memory->count == RULE_MEMORY_MAX)
		free_slot(memory, find(memory, memory->keys[memory->next]));
	else
		memory->count++;
	memory->keys[memory->next] = key;
	memory->slots[find(memory, key)] = (uint32_t)memory->next + 1;
	memory->next = (memory->next + 1) % RULE_MEMORY_MAX;
	return 0;
}

bool rule_memory_is_full(const struct rule_memory *memory)
{
	return memory->count == RULE_MEMORY_MAX;
}

void rule_memory_clear(struct rule_memory *memory)
{
	free(memory->keys);
	free(memory->slots);
	*memory = (struct rule_memory){.count = 0};
}
