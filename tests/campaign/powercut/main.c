/* The power is cut after every step of an operation, and whatever a disk may then hold is opened again. */
#include "campaign.h"
#include "clock_shift.h"
#include "disk_test.h"
#include "place.h"
#include "replay.h"
#include "spool_dir.h"
#include "tracer.h"

#include <cancel/cancel.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	/* The power is gone for so long: what is torn has settled, and drafts are old. */
	POWER_GONE_S = 2 * 3600,
	PATH_SIZE = 128,
	FIGURE_SIZE = 32,
};

static char on_disk[] = "/var/tmp/cancel-XXXXXX";

/* "1,204" */
static const char *figure(long number, char text[FIGURE_SIZE])
{
	if (number < 1000)
		(void)snprintf(text, FIGURE_SIZE, "%ld", number);
	else
		(void)snprintf(text, FIGURE_SIZE, "%ld,%03ld", number / 1000, number % 1000);
	return text;
}

/* With durability full a spool is not opened on a filesystem in memory. */
static const char *why_not_full(void)
{
	struct cancel_spool_options options;
	static struct cancel_error error;
	struct cancel_spool *spool;
	char path[PATH_SIZE];

	if (!mkdtemp(on_disk))
		return "/var/tmp cannot be written";
	(void)snprintf(path, sizeof(path), "%s/spool", on_disk);
	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	options.durability = CANCEL_DURABILITY_FULL;
	if (cancel_spool_open(&spool, &options, &error) < 0)
		return error.text;
	cancel_spool_close(spool);
	place_clear(on_disk);
	return NULL;
}

struct tally {
	long cuts, states;
	long of_level[LEVEL_COUNT];
};

static void replay_scenario(const struct scenario *scenario, const struct spool_dir *memory, bool has_full,
			    struct tally *tally)
{
	char recorded[PATH_SIZE], replayed[PATH_SIZE];
	long states[LEVEL_COUNT] = {0};

	(void)snprintf(recorded, sizeof(recorded), "%s/recorded", memory->root);
	(void)snprintf(replayed, sizeof(replayed), "%s/replayed", memory->root);
	for (int level = 0; level < LEVEL_COUNT; level++) {
		bool is_full = level == CANCEL_DURABILITY_FULL;
		struct replay_count count = {0, 0};

		if (!is_full || has_full)
			count = replay(scenario, (enum cancel_durability)level, is_full ? on_disk : recorded,
				       replayed);
		states[level] = count.states;
		tally->cuts += count.cuts;
		tally->states += count.states;
		tally->of_level[level] += count.states;
		campaign_progress("%s: %ld states", scenario->name, tally->states);
	}
	if (campaign_is_long())
		(void)printf("powercut: %-32s none %7ld, file %7ld, full %7ld states\n", scenario->name,
			     states[0], states[1], states[2]);
}

/* ONLY=TEXT picks scenarios. */
static bool is_wanted(const struct scenario *scenario)
{
	const char *only = getenv("ONLY");

	return !only || strstr(scenario->name, only);
}

static void make_place(struct spool_dir *memory)
{
	char path[PATH_SIZE];

	spool_dir_make(memory);
	(void)snprintf(path, sizeof(path), "%s/recorded", memory->root);
	if (mkdir(path, 0700) < 0)
		abort();
	(void)snprintf(path, sizeof(path), "%s/replayed", memory->root);
	if (mkdir(path, 0700) < 0)
		abort();
}

int main(void)
{
	char none[FIGURE_SIZE], file[FIGURE_SIZE], full[FIGURE_SIZE], note[CANCEL_ERROR_TEXT_MAX + 64] = "";
	struct tally tally = {0};
	struct spool_dir memory;
	const char *why;

	campaign_begin("powercut");
	if (!tracer_works())
		campaign_skip("processes cannot be traced here");
	disk_test();
	why = why_not_full();
	if (why)
		(void)snprintf(note, sizeof(note), " (full left out: %s)", why);
	make_place(&memory);
	clock_shift(POWER_GONE_S);
	for (int i = 0; i < scenario_count; i++)
		if (is_wanted(&scenarios[i]))
			replay_scenario(&scenarios[i], &memory, !why, &tally);
	spool_dir_remove(&memory);
	(void)rmdir(on_disk);
	return campaign_end("%d scenarios, %ld cuts, none %s, file %s, full %s states%s", scenario_count,
			    tally.cuts, figure(tally.of_level[0], none), figure(tally.of_level[1], file),
			    figure(tally.of_level[2], full), note);
}
