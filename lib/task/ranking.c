#include "ranking.h"

#include "pool.h"

#include <stdlib.h>

#define ROOM_MIN 64

bool ranking_reserve(struct ranking *ranking, size_t count)
{
	size_t room = ranking->room ? ranking->room : ROOM_MIN;
	struct ranked *entries;

	if (count <= ranking->room)
		return true;
	while (room < count)
		room *= 2;
	entries = realloc(ranking->entries, room * sizeof *entries);
	if (!entries)
		return false;
	ranking->entries = entries;
	ranking->room = room;
	return true;
}

void ranking_free(struct ranking *ranking)
{
	free(ranking->entries);
}

static bool comes_before(struct rank one, struct rank other)
{
	return one.first != other.first ? one.first < other.first : one.second < other.second;
}

static void put(struct ranking *ranking, size_t at, struct ranked entry)
{
	ranking->entries[at] = entry;
	entry.job->rank_at = at;
}

/* From a gap at `at` towards the first. */
static void rise(struct ranking *ranking, size_t at, struct ranked entry)
{
	while (at > 0 && comes_before(entry.rank, ranking->entries[(at - 1) / 2].rank)) {
		put(ranking, at, ranking->entries[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(ranking, at, entry);
}

static void sink(struct ranking *ranking, size_t at, struct ranked entry)
{
	size_t below;

	while ((below = 2 * at + 1) < ranking->count) {
		if (below + 1 < ranking->count &&
		    comes_before(ranking->entries[below + 1].rank, ranking->entries[below].rank))
			below++;
		if (!comes_before(ranking->entries[below].rank, entry.rank))
			break;
		put(ranking, at, ranking->entries[below]);
		at = below;
	}
	put(ranking, at, entry);
}

void ranking_insert(struct ranking *ranking, struct job *job, struct rank rank)
{
	rise(ranking, ranking->count++, (struct ranked){rank, job});
}

/* The last one fills the gap, and may belong above it or below. */
void ranking_remove(struct ranking *ranking, const struct job *job)
{
	size_t at = job->rank_at;
	struct ranked last = ranking->entries[--ranking->count];

	if (at == ranking->count)
		return;
	if (at > 0 && comes_before(last.rank, ranking->entries[(at - 1) / 2].rank))
		rise(ranking, at, last);
	else
		sink(ranking, at, last);
}
