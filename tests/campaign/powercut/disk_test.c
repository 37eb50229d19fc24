#include "disk_test.h"

#include "campaign.h"
#include "outcomes.h"

#include <stdio.h>
#include <string.h>

enum {
	OUTCOMES_MAX = 64,
	OUTCOME_SIZE = 128,
};

/* "a=new b=" and so on; a directory is "a/", zeros are "0". In the order of the names. */
struct outcomes {
	char texts[OUTCOMES_MAX][OUTCOME_SIZE];
	int count;
};

static void write_file(char *text, const struct disk_file *file)
{
	size_t length = strlen(text);

	if (file->is_directory)
		(void)snprintf(text + length, OUTCOME_SIZE - length, "%s/ ", file->path);
	else if (file->size && !file->content[0])
		(void)snprintf(text + length, OUTCOME_SIZE - length, "%s=0 ", file->path);
	else
		(void)snprintf(text + length, OUTCOME_SIZE - length, "%s=%.*s ", file->path, (int)file->size,
			       file->size ? file->content : "");
}

static void remember(void *arg, const struct disk_chance *chance, const struct disk_image *image)
{
	struct outcomes *outcomes = arg;
	char text[OUTCOME_SIZE] = "";
	bool shown[DISK_FILES_MAX] = {false};

	(void)chance;
	for (size_t turn = 0; turn < image->count; turn++) {
		size_t next = image->count;

		for (size_t i = 0; i < image->count; i++)
			if (!shown[i] && (next == image->count ||
					  strcmp(image->files[i].path, image->files[next].path) < 0))
				next = i;
		shown[next] = true;
		write_file(text, &image->files[next]);
	}
	for (int i = 0; i < outcomes->count; i++)
		if (!strcmp(outcomes->texts[i], text))
			return;
	if (outcomes->count < OUTCOMES_MAX)
		(void)strcpy(outcomes->texts[outcomes->count++], text);
}

static struct journal journal;
static const struct journal_attributes plain = {.mode = 0600};

static int made(int directory, const char *name, const char *content)
{
	int node = journal_node(&journal, "", content == NULL, &plain);

	journal_name(&journal, "", directory, name, node);
	if (content)
		journal_content(&journal, "", node, content, strlen(content));
	return node;
}

static void moved(int from, const char *old_name, int to, const char *new_name)
{
	struct journal_name source = {.directory = from, .node = JOURNAL_NOTHING}, target = {.directory = to};

	(void)strcpy(source.name, old_name);
	(void)strcpy(target.name, new_name);
	target.node = journal_find(&journal, from, old_name);
	journal_rename(&journal, "", &source, &target);
}

static void settle(void)
{
	journal_sync(&journal, "", STEP_SYNC_ALL, JOURNAL_ROOT);
}

static void sync_file(int node)
{
	journal_sync(&journal, "", STEP_SYNC_DATA, node);
}

static void sync_directory(int node)
{
	journal_sync(&journal, "", STEP_SYNC, node);
}

/* --- cases -------------------------------------------------------------------------------------------- */

static void nothing_synced(void)
{
	(void)made(JOURNAL_ROOT, "a", "new!");
}

static void content_synced(void)
{
	sync_file(made(JOURNAL_ROOT, "a", "new!"));
}

static void both_synced(void)
{
	sync_file(made(JOURNAL_ROOT, "a", "new!"));
	sync_directory(JOURNAL_ROOT);
}

static void name_synced(void)
{
	(void)made(JOURNAL_ROOT, "a", "new!");
	sync_directory(JOURNAL_ROOT);
}

static void replaced(void)
{
	(void)made(JOURNAL_ROOT, "a", "old!");
	settle();
	sync_file(made(JOURNAL_ROOT, "b", "new!"));
	moved(JOURNAL_ROOT, "b", JOURNAL_ROOT, "a");
}

static int two_directories(void)
{
	int target = made(JOURNAL_ROOT, "t", NULL);

	(void)made(JOURNAL_ROOT, "a", "old!");
	settle();
	return target;
}

static void moved_across(void)
{
	moved(JOURNAL_ROOT, "a", two_directories(), "b");
}

static void moved_across_and_synced(void)
{
	int target = two_directories();

	moved(JOURNAL_ROOT, "a", target, "b");
	sync_directory(target);
}

/* What a synced change needs of the same names comes with it. */
static void moved_twice_and_synced(void)
{
	int target = two_directories(), last = made(JOURNAL_ROOT, "u", NULL);

	settle();
	moved(JOURNAL_ROOT, "a", target, "b");
	moved(target, "b", last, "c");
	sync_directory(last);
}

static void removed(void)
{
	(void)made(JOURNAL_ROOT, "a", "old!");
	settle();
	journal_name(&journal, "", JOURNAL_ROOT, "a", JOURNAL_NOTHING);
}

static void removed_and_made_again(void)
{
	removed();
	sync_file(made(JOURNAL_ROOT, "a", "new!"));
}

static void in_two_directories(void)
{
	int target = made(JOURNAL_ROOT, "t", NULL);

	settle();
	sync_file(made(JOURNAL_ROOT, "a", "x"));
	sync_file(made(target, "b", "y"));
}

static void directory_not_synced(void)
{
	int target = made(JOURNAL_ROOT, "t", NULL);

	sync_file(made(target, "b", "y"));
	sync_directory(target);
}

static void written_over(void)
{
	int node = made(JOURNAL_ROOT, "a", "old!");

	settle();
	journal_content(&journal, "", node, "longer", 6);
}

static const struct disk_case {
	const char *name;
	void (*make)(void);
	const char *expected[6];
} cases[] = {
	{"nothing synced", nothing_synced, {"", "a= ", "a=ne ", "a=0 ", "a=new! "}},
	{"content synced", content_synced, {"", "a=new! "}},
	{"both synced", both_synced, {"a=new! "}},
	{"name synced", name_synced, {"a= ", "a=ne ", "a=0 ", "a=new! "}},
	{"replaced", replaced, {"a=old! ", "a=old! b=new! ", "a=new! "}},
	{"moved across", moved_across, {"a=old! t/ ", "t/ t/b=old! "}},
	{"moved across and synced", moved_across_and_synced, {"t/ t/b=old! "}},
	{"moved twice and synced", moved_twice_and_synced, {"t/ u/ u/c=old! "}},
	{"removed", removed, {"", "a=old! "}},
	{"removed and made again", removed_and_made_again, {"", "a=old! ", "a=new! "}},
	{"in two directories", in_two_directories, {"t/ ", "a=x t/ ", "t/ t/b=y ", "a=x t/ t/b=y "}},
	{"directory not synced", directory_not_synced, {"", "t/ t/b=y "}},
	{"written over", written_over, {"a=old! ", "a=lon ", "a=0 ", "a=longer "}},
};

static void check(const struct disk_case *disk_case, const struct outcomes *outcomes)
{
	int expected = 0;

	for (; expected < 6 && disk_case->expected[expected]; expected++) {
		bool found = false;

		for (int i = 0; i < outcomes->count; i++)
			found = found || !strcmp(outcomes->texts[i], disk_case->expected[expected]);
		campaign_expect(found, "the disk's model, %s: '%s' is not among its outcomes",
				disk_case->name, disk_case->expected[expected]);
	}
	campaign_expect(outcomes->count == expected, "the disk's model, %s: %d outcomes, not %d",
			disk_case->name, outcomes->count, expected);
}

void disk_test(void)
{
	static struct outcomes outcomes;
	static struct disk disk;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		journal_begin(&journal);
		cases[i].make();
		outcomes.count = 0;
		disk_after(&disk, &journal, journal.count);
		outcomes_of(&disk, true, remember, &outcomes);
		check(&cases[i], &outcomes);
		journal_end(&journal);
	}
}
