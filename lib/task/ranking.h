/*
 * Jobs in the order in which they are due: a binary heap in an array. Putting one in is constant where it
 * comes last, else logarithmic, and so is taking any of them out.
 */
#ifndef TASK_RANKING_H
#define TASK_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;

/* What goes first: the smaller `first`; of equals the smaller `second`. */
struct rank {
	int64_t first;
	uint64_t second;
};

struct ranked {
	struct rank rank;
	struct job *job;
};

/* A zeroed one is empty. Each job knows where it stands, so it is in one at a time. */
struct ranking {
	struct ranked *entries;
	size_t count, room;
};

/* Make room for so many in all. False: memory has run out. */
bool ranking_reserve(struct ranking *ranking, size_t count);
void ranking_free(struct ranking *ranking);

/* Where there is room. */
void ranking_insert(struct ranking *ranking, struct job *job, struct rank rank);
void ranking_remove(struct ranking *ranking, const struct job *job);

/* The first; NULL: it is empty. */
static inline const struct ranked *ranking_first(const struct ranking *ranking)
{
	return ranking->count ? ranking->entries : NULL;
}

#endif
