#include "running.h"

#include <cancel/run.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The task ids that were met, each as often as it was. */
struct ids {
	char **ids;
	size_t count;
	size_t size;
};

static bool make_room(struct ids *ids)
{
	size_t size = ids->size == 0 ? 64 : ids->size * 2;
	char **grown;

	if (ids->count < ids->size)
		return true;
	grown = realloc(ids->ids, size * sizeof *grown);
	if (grown == NULL)
		return false;
	ids->ids = grown;
	ids->size = size;
	return true;
}

static int keep_id(void *arg, const struct cancel_run *run)
{
	struct ids *ids = arg;
	char *id = make_room(ids) ? strdup(run->task_id) : NULL;

	if (id == NULL)
		return -ENOMEM;
	ids->ids[ids->count++] = id;
	return 0;
}

static int compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static int64_t count_different(const struct ids *ids)
{
	int64_t count = 0;

	if (ids->count > 0)
		qsort(ids->ids, ids->count, sizeof ids->ids[0], compare);
	for (size_t i = 0; i < ids->count; i++)
		count += i == 0 || strcmp(ids->ids[i], ids->ids[i - 1]) != 0;
	return count;
}

static void free_ids(struct ids *ids)
{
	for (size_t i = 0; i < ids->count; i++)
		free(ids->ids[i]);
	free(ids->ids);
}

int running_count(struct running *running, struct cancel_spool *spool, struct cancel_error *error)
{
	struct ids ids = {0};
	int result;

	*error = (struct cancel_error){-ENOMEM, "cannot count the runs: out of memory"};
	result = cancel_spool_runs(spool, keep_id, &ids, error);
	if (result == 0)
		*running = (struct running){.runs = (int64_t)ids.count, .tasks = count_different(&ids)};
	free_ids(&ids);
	return result;
}
