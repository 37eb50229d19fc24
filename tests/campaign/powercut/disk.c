#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONTENT_MAX = 128 * 1024,
};

/* --- what is safe ------------------------------------------------------------------------------------- */

static bool touches(const struct journal_step *step, int directory)
{
	for (int i = 0; i < step->name_count; i++)
		if (step->names[i].directory == directory)
			return true;
	return false;
}

static bool share_a_name(const struct journal_step *one, const struct journal_step *other)
{
	for (int i = 0; i < one->name_count; i++)
		for (int j = 0; j < other->name_count; j++)
			if (one->names[i].directory == other->names[j].directory &&
			    !strcmp(one->names[i].name, other->names[j].name))
				return true;
	return false;
}

static bool syncs_all(const struct journal_step *step)
{
	return step->what == STEP_SYNC_ALL || (step->what == STEP_FACT && step->fact.what == FACT_BASELINE);
}

static bool syncs_names(const struct journal_step *sync, const struct journal_step *change)
{
	if (syncs_all(sync))
		return true;
	return (sync->what == STEP_SYNC || sync->what == STEP_SYNC_DATA) && touches(change, sync->node);
}

/* Those of the same names go with it. */
static void make_safe(struct disk *disk, size_t change)
{
	const struct journal_step *steps = disk->journal->steps;

	if (disk->is_safe[change])
		return;
	disk->is_safe[change] = true;
	for (size_t i = change; i-- > 0;)
		if (steps[i].what == STEP_NAMES && share_a_name(&steps[i], &steps[change]))
			make_safe(disk, i);
}

static void find_safe_names(struct disk *disk)
{
	const struct journal_step *steps = disk->journal->steps;

	for (size_t sync = 0; sync < disk->cut; sync++)
		for (size_t i = 0; i < sync; i++)
			if (steps[i].what == STEP_NAMES && syncs_names(&steps[sync], &steps[i]))
				make_safe(disk, i);
	for (size_t i = 0; i < disk->cut; i++)
		if (steps[i].what == STEP_NAMES && !disk->is_safe[i])
			disk->loose[disk->loose_count++] = i;
}

static void follow_node(struct disk *disk, int index)
{
	const struct journal_step *step = &disk->journal->steps[index];

	switch (step->what) {
	case STEP_NODE:
		disk->attributes[step->node] = disk->safe_attributes[step->node] = index;
		break;
	case STEP_CONTENT:
		disk->content[step->node] = index;
		break;
	case STEP_ATTRIBUTES:
		disk->attributes[step->node] = index;
		break;
	case STEP_SYNC:
		disk->safe_attributes[step->node] = disk->attributes[step->node];
		disk->safe_content[step->node] = disk->content[step->node];
		break;
	case STEP_SYNC_DATA:
		disk->safe_content[step->node] = disk->content[step->node];
		break;
	default:
		if (!syncs_all(step))
			break;
		memcpy(disk->safe_content, disk->content, sizeof(disk->content));
		memcpy(disk->safe_attributes, disk->attributes, sizeof(disk->attributes));
		break;
	}
}

void disk_after(struct disk *disk, const struct journal *journal, size_t cut)
{
	memset(disk, 0, sizeof(*disk));
	disk->journal = journal;
	disk->cut = cut;
	for (int i = 0; i < JOURNAL_NODES_MAX; i++)
		disk->content[i] = disk->safe_content[i] = -1;
	find_safe_names(disk);
	for (size_t i = 0; i < cut; i++)
		follow_node(disk, (int)i);
}

/* --- what may be -------------------------------------------------------------------------------------- */

bool disk_allows(const struct disk *disk, const struct disk_chance *chance)
{
	const struct journal_step *steps = disk->journal->steps;

	for (size_t i = 0; i < disk->loose_count; i++)
		for (size_t j = i + 1; j < disk->loose_count; j++)
			if (chance->happened[j] && !chance->happened[i] &&
			    share_a_name(&steps[disk->loose[i]], &steps[disk->loose[j]]))
				return false;
	return true;
}

bool disk_is_loose(const struct disk *disk, int node)
{
	return disk->content[node] != disk->safe_content[node];
}

/* --- an image ----------------------------------------------------------------------------------------- */

struct names {
	struct journal_name names[JOURNAL_STEPS_MAX];
	size_t count;
};

static void apply(struct names *names, const struct journal_step *step)
{
	for (int i = 0; i < step->name_count; i++) {
		const struct journal_name *set = &step->names[i];
		size_t at = 0;

		while (at < names->count && !(names->names[at].directory == set->directory &&
					      !strcmp(names->names[at].name, set->name)))
			at++;
		if (at == names->count)
			names->count++;
		names->names[at] = *set;
	}
}

static void find_names(const struct disk *disk, const struct disk_chance *chance, struct names *names)
{
	size_t loose = 0;

	names->count = 0;
	for (size_t i = 0; i < disk->cut; i++) {
		bool happened = disk->is_safe[i];

		if (disk->journal->steps[i].what != STEP_NAMES)
			continue;
		if (!happened)
			happened = chance->happened[loose++];
		if (happened)
			apply(names, &disk->journal->steps[i]);
	}
}

static void fill(const struct disk *disk, const struct disk_chance *chance, struct disk_file *file)
{
	static const char zeros[CONTENT_MAX];
	const struct journal_step *steps = disk->journal->steps;
	enum disk_content how = disk_is_loose(disk, file->node) ? chance->content[file->node] : DISK_WHOLE;
	int from = how == DISK_BEFORE ? disk->safe_content[file->node] : disk->content[file->node];

	file->is_torn = how == DISK_HALF || how == DISK_ZEROS || (how == DISK_BEFORE && from < 0);
	if (from < 0)
		return;
	if (steps[from].size > sizeof(zeros))
		abort();
	file->size = how == DISK_HALF ? steps[from].size / 2 : steps[from].size;
	file->content = how == DISK_ZEROS ? zeros : steps[from].content;
	file->content_hash = steps[from].content_hash + (how == DISK_ZEROS);
}

static void add_file(const struct disk *disk, const struct disk_chance *chance,
		     const struct journal_name *name, const char *parent, struct disk_image *image)
{
	struct disk_file *file = &image->files[image->count++];
	int attributes = disk->attributes[name->node];

	if (image->count > DISK_FILES_MAX)
		abort();
	memset(file, 0, sizeof(*file));
	file->node = name->node;
	file->is_directory = disk->journal->is_directory[name->node];
	if (snprintf(file->path, sizeof(file->path), "%s%s%s", parent, *parent ? "/" : "", name->name) >=
	    (int)sizeof(file->path))
		abort();
	if (!file->is_directory && chance->loses_attributes)
		attributes = disk->safe_attributes[name->node];
	file->attributes = disk->journal->steps[attributes].attributes;
	if (!file->is_directory)
		fill(disk, chance, file);
}

static void add_directory(const struct disk *disk, const struct disk_chance *chance,
			  const struct names *names, int directory, const char *path,
			  struct disk_image *image)
{
	for (size_t i = 0; i < names->count; i++)
		if (names->names[i].directory == directory && names->names[i].node != JOURNAL_NOTHING)
			add_file(disk, chance, &names->names[i], path, image);
}

void disk_image(const struct disk *disk, const struct disk_chance *chance, struct disk_image *image)
{
	static struct names names;

	find_names(disk, chance, &names);
	image->count = 0;
	add_directory(disk, chance, &names, JOURNAL_ROOT, "", image);
	for (size_t i = 0; i < image->count; i++)
		if (image->files[i].is_directory)
			add_directory(disk, chance, &names, image->files[i].node, image->files[i].path,
				      image);
}

static uint64_t mix_file(uint64_t hash, const struct disk_file *file)
{
	hash = journal_mix(hash, file->path, strlen(file->path) + 1);
	hash = journal_mix(hash, &file->is_directory, sizeof(file->is_directory));
	hash = journal_mix(hash, &file->size, sizeof(file->size));
	hash = journal_mix(hash, &file->content_hash, sizeof(file->content_hash));
	hash = journal_mix(hash, &file->attributes.mode, sizeof(file->attributes.mode));
	hash = journal_mix(hash, &file->attributes.changed.tv_sec, sizeof(file->attributes.changed.tv_sec));
	return journal_mix(hash, &file->attributes.changed.tv_nsec, sizeof(file->attributes.changed.tv_nsec));
}

/* In whichever order the names were found. */
uint64_t disk_image_hash(const struct disk_image *image)
{
	uint64_t sum = image->count;

	for (size_t i = 0; i < image->count; i++)
		sum += mix_file(JOURNAL_MIX_BEGIN, &image->files[i]);
	return sum;
}
