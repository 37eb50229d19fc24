#include "outcomes.h"

#include "campaign.h"

#include <string.h>

enum {
	TORN_WAYS = DISK_CONTENT_COUNT - DISK_BEFORE,
	DIRECTORIES_MAX = 8,    /* that have loose changes at once */
	SUBSETS_LOOSE_MAX = 10, /* changes of which all sets are tried; of more, some sets by chance */
	SUBSETS_BY_CHANCE = 200,
	SUBSETS_BY_CHANCE_SHORT = 1,
	PARTS_BY_CHANCE_SHORT = 1,
	TORN_TOGETHER_MAX = 4, /* files of which all combinations are tried */
	TORN_BY_CHANCE = 40,
};

struct search {
	const struct disk *disk;
	struct disk_chance chance;
	bool all;
	outcome_visit *visit;
	void *arg;
};

/* --- contents ----------------------------------------------------------------------------------------- */

static void show(struct search *search)
{
	static struct disk_image image;

	disk_image(search->disk, &search->chance, &image);
	search->visit(search->arg, &search->chance, &image);
}

struct torn {
	int nodes[DISK_FILES_MAX];
	int count;
};

/* Those that have a name in this outcome. */
static void find_torn(const struct search *search, struct torn *torn)
{
	static struct disk_image image;

	torn->count = 0;
	disk_image(search->disk, &search->chance, &image);
	for (size_t i = 0; i < image.count; i++)
		if (!image.files[i].is_directory && disk_is_loose(search->disk, image.files[i].node))
			torn->nodes[torn->count++] = image.files[i].node;
}

static void show_each_alone(struct search *search, const struct torn *torn)
{
	for (int i = 0; i < torn->count; i++) {
		for (int how = DISK_BEFORE; how < DISK_CONTENT_COUNT; how++) {
			search->chance.content[torn->nodes[i]] = (enum disk_content)how;
			show(search);
		}
		search->chance.content[torn->nodes[i]] = DISK_WHOLE;
	}
}

static void show_alike(struct search *search, const struct torn *torn, enum disk_content how)
{
	for (int i = 0; i < torn->count; i++)
		search->chance.content[torn->nodes[i]] = how;
	show(search);
}

static void show_all_alike(struct search *search, const struct torn *torn)
{
	for (int how = DISK_BEFORE; how < DISK_CONTENT_COUNT; how++)
		show_alike(search, torn, (enum disk_content)how);
}

static void show_by_chance(struct search *search, const struct torn *torn, int times)
{
	while (times-- > 0) {
		for (int i = 0; i < torn->count; i++)
			search->chance.content[torn->nodes[i]] =
				(enum disk_content)campaign_pick(DISK_CONTENT_COUNT);
		search->chance.loses_attributes = campaign_pick(2);
		show(search);
	}
	search->chance.loses_attributes = false;
}

static void show_all_together(struct search *search, const struct torn *torn)
{
	int total = 1;

	for (int i = 0; i < torn->count; i++)
		total *= DISK_CONTENT_COUNT;
	for (int number = 0; number < total; number++) {
		for (int i = 0, rest = number; i < torn->count; i++, rest /= DISK_CONTENT_COUNT)
			search->chance.content[torn->nodes[i]] =
				(enum disk_content)(rest % DISK_CONTENT_COUNT);
		show(search);
	}
}

static void show_whole(struct search *search)
{
	memset(search->chance.content, 0, sizeof(search->chance.content));
	show(search);
}

/* For one set of changes of names. */
static void show_contents(struct search *search)
{
	struct torn torn;

	show_whole(search);
	find_torn(search, &torn);
	if (!search->all) {
		if (torn.count)
			show_alike(search, &torn,
				   (enum disk_content)(DISK_BEFORE + campaign_pick(TORN_WAYS)));
		if (torn.count > 1)
			show_by_chance(search, &torn, 1);
		memset(search->chance.content, 0, sizeof(search->chance.content));
		return;
	}
	search->chance.loses_attributes = true;
	show_whole(search);
	search->chance.loses_attributes = false;
	if (torn.count > 0 && torn.count <= TORN_TOGETHER_MAX) {
		show_all_together(search, &torn);
	} else if (torn.count) {
		show_each_alone(search, &torn);
		show_all_alike(search, &torn);
		show_by_chance(search, &torn, TORN_BY_CHANCE);
	}
}

/* --- names -------------------------------------------------------------------------------------------- */

/* In the order of one journal, as ext4 and XFS have. */
static void show_first_parts(struct search *search)
{
	const size_t count = search->disk->loose_count;

	memset(search->chance.happened, 0, sizeof(search->chance.happened));
	for (size_t i = 0; i <= count; i++) {
		if (disk_allows(search->disk, &search->chance))
			show_contents(search);
		if (i < count)
			search->chance.happened[i] = true;
	}
}

struct directories {
	int nodes[DIRECTORIES_MAX];
	int changes[DIRECTORIES_MAX];
	int kept[DIRECTORIES_MAX];
	int count;
};

static int place_of(struct directories *directories, int node)
{
	int at = 0;

	while (at < directories->count && directories->nodes[at] != node)
		at++;
	if (at == DIRECTORIES_MAX)
		return -1;
	if (at == directories->count) {
		directories->nodes[at] = node;
		directories->changes[at] = 0;
		directories->count++;
	}
	return at;
}

static bool find_directories(const struct disk *disk, struct directories *directories)
{
	directories->count = 0;
	for (size_t i = 0; i < disk->loose_count; i++) {
		const struct journal_step *step = &disk->journal->steps[disk->loose[i]];

		for (int j = 0; j < step->name_count; j++) {
			int at = place_of(directories, step->names[j].directory);

			if (at < 0)
				return false;
			if (j == 0 || step->names[0].directory != step->names[1].directory)
				directories->changes[at]++;
		}
	}
	return true;
}

/* What each directory keeps of its changes is given: say which happened. False where a rename would be in one
 * of its directories only. */
static bool choose_kept(struct search *search, struct directories *directories)
{
	int seen[DIRECTORIES_MAX] = {0};

	for (size_t i = 0; i < search->disk->loose_count; i++) {
		const struct journal_step *step = &search->disk->journal->steps[search->disk->loose[i]];
		int first = place_of(directories, step->names[0].directory);
		int second = step->name_count > 1 ? place_of(directories, step->names[1].directory) : first;
		bool in_first = seen[first]++ < directories->kept[first], in_second = in_first;

		if (second != first)
			in_second = seen[second]++ < directories->kept[second];
		if (in_first != in_second)
			return false;
		search->chance.happened[i] = in_first;
	}
	return disk_allows(search->disk, &search->chance);
}

static bool next_kept(struct directories *directories)
{
	for (int i = 0; i < directories->count; i++) {
		if (++directories->kept[i] <= directories->changes[i])
			return true;
		directories->kept[i] = 0;
	}
	return false;
}

static void choose_by_chance(struct directories *directories)
{
	for (int i = 0; i < directories->count; i++)
		directories->kept[i] = (int)campaign_pick((unsigned)directories->changes[i] + 1);
}

/* Each directory in its own order. */
static void show_first_parts_of_each(struct search *search)
{
	struct directories directories = {.count = 0};

	if (!find_directories(search->disk, &directories))
		return;
	if (search->all) {
		do
			if (choose_kept(search, &directories))
				show_contents(search);
		while (next_kept(&directories));
		return;
	}
	for (int i = 0; i < PARTS_BY_CHANCE_SHORT; i++) {
		choose_by_chance(&directories);
		if (choose_kept(search, &directories))
			show_contents(search);
	}
}

static void show_all_sets(struct search *search)
{
	const size_t count = search->disk->loose_count;

	for (unsigned long set = 0; set < 1UL << count; set++) {
		for (size_t i = 0; i < count; i++)
			search->chance.happened[i] = set >> i & 1;
		if (disk_allows(search->disk, &search->chance))
			show_contents(search);
	}
}

/* A set may lack what it must have of the same name: that is taken out of it. */
static void show_some_sets(struct search *search, int times)
{
	const size_t count = search->disk->loose_count;

	while (times-- > 0) {
		for (size_t i = 0; i < count; i++) {
			search->chance.happened[i] = campaign_pick(2);
			for (size_t j = i + 1; j < count; j++)
				search->chance.happened[j] = false;
			if (!disk_allows(search->disk, &search->chance))
				search->chance.happened[i] = false;
		}
		show_contents(search);
	}
}

void outcomes_of(const struct disk *disk, bool all, outcome_visit *visit, void *arg)
{
	static struct search search;

	memset(&search, 0, sizeof(search));
	search.disk = disk;
	search.all = all;
	search.visit = visit;
	search.arg = arg;
	show_first_parts(&search);
	if (all && disk->loose_count <= SUBSETS_LOOSE_MAX) {
		show_all_sets(&search);
		return;
	}
	show_first_parts_of_each(&search);
	show_some_sets(&search, all ? SUBSETS_BY_CHANCE : SUBSETS_BY_CHANCE_SHORT);
}
