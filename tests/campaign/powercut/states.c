#include "states.h"

#include <stdlib.h>

enum {
	ROOM_MIN = 256,
};

static uint64_t *slot_of(const struct states *states, uint64_t state)
{
	size_t at = state % states->room;

	while (states->slots[at] && states->slots[at] != state)
		at = (at + 1) % states->room;
	return &states->slots[at];
}

static void grow(struct states *states)
{
	struct states larger = {.room = states->room ? states->room * 2 : ROOM_MIN};

	larger.slots = calloc(larger.room, sizeof(*larger.slots));
	if (!larger.slots)
		abort();
	for (size_t i = 0; i < states->room; i++)
		if (states->slots[i])
			*slot_of(&larger, states->slots[i]) = states->slots[i];
	larger.count = states->count;
	states_end(states);
	*states = larger;
}

bool states_add(struct states *states, uint64_t state)
{
	uint64_t *slot;

	if (states->count * 2 >= states->room)
		grow(states);
	slot = slot_of(states, state | 1);
	if (*slot)
		return false;
	*slot = state | 1;
	states->count++;
	return true;
}

void states_end(struct states *states)
{
	free(states->slots);
	*states = (struct states){NULL, 0, 0};
}
