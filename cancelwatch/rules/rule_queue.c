#include "rule_queue.h"

#include <stdlib.h>
#include <string.h>

struct rule_entry *rule_queue_find(const struct rule_queue *queue, uint64_t key)
{
	for (size_t i = 0; i < queue->count; i++)
		if (queue->keys[i] == key)
			return queue->list[i];
	return NULL;
}

static void free_entry(struct rule_entry *entry)
{
	if (entry->command != NULL)
		rule_command_drop(entry->command);
	free(entry->command);
	free(entry->task_id);
	free(entry->run);
	free(entry->detail);
	free(entry->label);
	free(entry->name);
	free(entry);
}

static struct rule_entry *make_entry(const struct cancel_request *request, uint64_t key)
{
	struct rule_entry *entry = calloc(1, sizeof *entry);

	if (entry == NULL)
		return NULL;
	entry->key = key;
	memcpy(entry->request_id, request->request_id, sizeof entry->request_id);
	entry->task_id = strdup(request->task_id);
	entry->run = request->run == NULL ? NULL : strdup(request->run);
	if (entry->task_id != NULL && (entry->run != NULL || request->run == NULL))
		return entry;
	free_entry(entry);
	return NULL;
}

struct rule_entry *rule_queue_add(struct rule_queue *queue, const struct cancel_request *request,
				  uint64_t key)
{
	struct rule_entry *entry = make_entry(request, key);

	if (entry == NULL)
		return NULL;
	queue->list[queue->count] = entry;
	queue->keys[queue->count++] = key;
	return entry;
}

void rule_queue_remove(struct rule_queue *queue, struct rule_entry *entry)
{
	size_t i = 0, behind;

	while (queue->list[i] != entry)
		i++;
	behind = --queue->count - i;
	memmove(&queue->list[i], &queue->list[i + 1],
		behind * sizeof queue->list[0]); /* NOLINT(bugprone-sizeof-expression): they are pointers */
	memmove(&queue->keys[i], &queue->keys[i + 1], behind * sizeof queue->keys[0]);
	free_entry(entry);
}
