#include "journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *what)
{
	(void)fprintf(stderr, "powercut: too many %s in one scenario\n", what);
	abort();
}

/* FNV-1a. */
uint64_t journal_mix(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3U;
	return hash;
}

static struct journal_step *add(struct journal *journal, enum journal_what what, const char *call, int node)
{
	struct journal_step *step = &journal->steps[journal->count];

	if (journal->count == JOURNAL_STEPS_MAX)
		give_up("steps");
	*step = (struct journal_step){.what = what, .call = call, .node = node};
	journal->count++;
	return step;
}

void journal_begin(struct journal *journal)
{
	memset(journal, 0, sizeof(*journal));
	journal->is_directory[JOURNAL_ROOT] = true;
	journal->node_count = 1;
}

void journal_end(struct journal *journal)
{
	for (size_t i = 0; i < journal->count; i++)
		free(journal->steps[i].content);
	journal->count = 0;
}

int journal_node(struct journal *journal, const char *call, bool is_directory,
		 const struct journal_attributes *attributes)
{
	int node = journal->node_count;

	if (node == JOURNAL_NODES_MAX)
		give_up("files");
	journal->node_count++;
	journal->is_directory[node] = is_directory;
	add(journal, STEP_NODE, call, node)->attributes = *attributes;
	return node;
}

static void set_name(struct journal_step *step, int directory, const char *name, int node)
{
	struct journal_name *set = &step->names[step->name_count++];

	set->directory = directory;
	set->node = node;
	(void)snprintf(set->name, sizeof(set->name), "%s", name);
}

void journal_name(struct journal *journal, const char *call, int directory, const char *name, int node)
{
	set_name(add(journal, STEP_NAMES, call, node), directory, name, node);
}

void journal_rename(struct journal *journal, const char *call, const struct journal_name *from,
		    const struct journal_name *to)
{
	struct journal_step *step = add(journal, STEP_NAMES, call, to->node);

	set_name(step, from->directory, from->name, from->node);
	set_name(step, to->directory, to->name, to->node);
}

void journal_content(struct journal *journal, const char *call, int node, const char *content, size_t size)
{
	struct journal_step *step = add(journal, STEP_CONTENT, call, node);

	step->content = malloc(size + 1);
	if (!step->content)
		give_up("bytes");
	memcpy(step->content, content, size);
	step->size = size;
	step->content_hash = journal_mix(JOURNAL_MIX_BEGIN, content, size);
}

void journal_attributes(struct journal *journal, const char *call, int node,
			const struct journal_attributes *attributes)
{
	add(journal, STEP_ATTRIBUTES, call, node)->attributes = *attributes;
}

void journal_sync(struct journal *journal, const char *call, enum journal_what what, int node)
{
	(void)add(journal, what, call, node);
}

void journal_fact(struct journal *journal, const struct fact *fact)
{
	add(journal, STEP_FACT, "fact", JOURNAL_NOTHING)->fact = *fact;
	if (fact->what == FACT_BASELINE)
		journal->baseline = journal->count;
}

static bool is_same(const struct journal_name *set, int directory, const char *name)
{
	return set->directory == directory && !strcmp(set->name, name);
}

int journal_find(const struct journal *journal, int directory, const char *name)
{
	for (size_t i = journal->count; i-- > 0;)
		for (int j = journal->steps[i].name_count; j-- > 0;)
			if (is_same(&journal->steps[i].names[j], directory, name))
				return journal->steps[i].names[j].node;
	return JOURNAL_NOTHING;
}
