#include "seen.h"

#include "sha256.h"

#include <cancel/limits.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PHASE_BIT UINT64_C(1)
#define EMPTY     UINT64_C(0)

void seen_init(struct seen *seen)
{
	if (getrandom(seen->secret, sizeof seen->secret, 0) != sizeof seen->secret)
		abort(); /* cannot fail for so few bytes once the kernel is up */
}

uint64_t seen_key(const struct seen *seen, const char *name, const char *id, uint64_t extra)
{
	unsigned char
		seed[sizeof seen->secret + sizeof extra + CANCEL_NAME_MAX + CANCEL_REQUEST_ID_LENGTH + 32];
	unsigned char digest[SHA256_SIZE];
	size_t used = sizeof seen->secret, room;
	uint64_t key;
	int length;

	memcpy(seed, seen->secret, sizeof seen->secret);
	memcpy(seed + used, &extra, sizeof extra);
	used += sizeof extra;
	room = sizeof seed - used;
	/* A slash parts the two: no name holds one. */
	length = snprintf((char *)seed + used, room, "%s/%s", name, id);
	used += (size_t)length < room ? (size_t)length : room - 1;
	sha256(digest, seed, used);
	memcpy(&key, digest, sizeof key);
	key &= ~PHASE_BIT;
	return key == EMPTY ? ~PHASE_BIT : key;
}

/* The slot of a key, or the empty one where it would be. */
static uint64_t *slot_of(uint64_t *slots, uint64_t key)
{
	size_t at = (size_t)(key >> 1) % SEEN_SLOTS;

	while (slots[at] != EMPTY && (slots[at] & ~PHASE_BIT) != key)
		at = (at + 1) % SEEN_SLOTS;
	return &slots[at];
}

static void make_room(struct seen *seen)
{
	if (seen->used < CANCEL_WATCH_SEEN)
		return;
	seen->newer = !seen->newer;
	seen->used = 0;
	memset(seen->slots[seen->newer], 0, sizeof seen->slots[seen->newer]);
}

bool seen_note(struct seen *seen, uint64_t key, enum seen_phase phase)
{
	uint64_t *newer = slot_of(seen->slots[seen->newer], key);
	uint64_t *older = slot_of(seen->slots[!seen->newer], key);
	uint64_t known = *newer | *older; /* of the same key, or empty */

	if (known != EMPTY && (known & PHASE_BIT) >= (uint64_t)phase)
		return false;
	if (*newer == EMPTY) {
		make_room(seen);
		newer = slot_of(seen->slots[seen->newer], key);
		seen->used++;
	}
	*newer = key | (uint64_t)phase;
	return true;
}
