#include "replay.h"

#include "boot.h"
#include "campaign.h"
#include "outcomes.h"
#include "place.h"
#include "states.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	BOOT_TIMEOUT_S = 120, /* a state that nobody gets out of */
	WHERE_SIZE = 512,
	EXIT_VIOLATION = 1,
};

struct replay {
	const struct scenario *scenario;
	enum cancel_durability durability;
	const char *root;
	struct journal journal;
	struct disk disk;
	struct boot boot;
	struct states states;
	size_t fact_count; /* before the cut */
	int64_t until_ms;  /* by the monotonic clock: as many outcomes as there are until then */
	bool all;          /* this is about them */
};

/* Of the state that is being checked, for whoever dies of it: when the power was cut, and what was lost. */
static char where[WHERE_SIZE], lost[WHERE_SIZE];

const char *replay_level(enum cancel_durability durability)
{
	static const char *const levels[LEVEL_COUNT] = {"none", "file", "full"};

	return levels[durability];
}

/* --- a state ------------------------------------------------------------------------------------------ */

static void add_lost(const char *what, const char *of, const char *name)
{
	size_t length = strlen(lost);

	(void)snprintf(lost + length, sizeof(lost) - length - 1, "%s%s%s %.64s", length ? ", " : " [", what,
		       of, name);
}

/* "request, full, cut after step 12 (linkat)" and " [no unlinkat of x.json, torn pending/x.json]" */
static void describe(const struct replay *replay, const struct disk_chance *chance,
		     const struct disk_image *image)
{
	const struct disk *disk = &replay->disk;

	(void)snprintf(where, sizeof(where), "%s, %s, cut after step %zu (%s)", replay->scenario->name,
		       replay_level(replay->durability), disk->cut,
		       replay->journal.steps[disk->cut - 1].call);
	lost[0] = '\0';
	for (size_t i = 0; i < disk->loose_count; i++)
		if (!chance->happened[i])
			add_lost("no ", replay->journal.steps[disk->loose[i]].call,
				 replay->journal.steps[disk->loose[i]].names[0].name);
	for (size_t i = 0; i < image->count; i++)
		if (image->files[i].is_torn)
			add_lost("torn", "", image->files[i].path);
	if (lost[0])
		(void)strcat(lost, "]");
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A scenario has its share of the long form's time. */
static bool is_in_time(const struct replay *replay)
{
	return now_ms() < replay->until_ms;
}

static uint64_t state_of(const struct replay *replay, const struct disk_image *image)
{
	return disk_image_hash(image) + replay->fact_count * 0x9e3779b97f4a7c15U;
}

static void check_state(void *arg, const struct disk_chance *chance, const struct disk_image *image)
{
	struct replay *replay = arg;

	if (replay->all && !is_in_time(replay))
		return;
	if (!states_add(&replay->states, state_of(replay, image)))
		return;
	describe(replay, chance, image);
	place_image(replay->root, image);
	replay->boot.image = image;
	(void)alarm(BOOT_TIMEOUT_S);
	boot_check(&replay->boot);
	(void)alarm(0);
}

/* --- all of them -------------------------------------------------------------------------------------- */

/* What must be true after the first `cut` steps. */
static void find_duties(struct replay *replay, size_t cut)
{
	const struct journal *journal = &replay->journal;

	replay->fact_count = 0;
	for (int task = 0; task < TASK_COUNT; task++)
		duty_begin(&replay->boot.duties[task]);
	for (size_t i = 0; i < cut; i++) {
		const struct fact *fact = &journal->steps[i].fact;
		bool promised = i < journal->baseline || replay->durability == CANCEL_DURABILITY_FULL;

		if (journal->steps[i].what != STEP_FACT || fact->task < 0 || fact->task >= TASK_COUNT)
			continue;
		replay->fact_count++;
		duty_learn(&replay->boot.duties[fact->task], fact, promised);
	}
}

/* The short form takes every cut that follows a word that was given, and one in three of the others; where a mutant must be
 * found, all. */
static bool is_taken(const struct replay *replay, size_t cut)
{
	return campaign_is_long() || getenv("CAMPAIGN_FIRST") || cut == 0 ||
	       replay->journal.steps[cut - 1].what == STEP_FACT || campaign_pick(3) == 0;
}

static long cut_everywhere(struct replay *replay)
{
	long cuts = 0;

	for (size_t cut = replay->journal.baseline; cut <= replay->journal.count; cut++) {
		if (!is_taken(replay, cut))
			continue;
		cuts++;
		disk_after(&replay->disk, &replay->journal, cut);
		find_duties(replay, cut);
		/* Some of each cut, and all while there is time. */
		replay->all = false;
		outcomes_of(&replay->disk, false, check_state, replay);
		replay->all = campaign_is_long() && is_in_time(replay);
		if (replay->all)
			outcomes_of(&replay->disk, true, check_state, replay);
	}
	return cuts;
}

static void died(int signal)
{
	static const char text[] = "powercut: violation: the reader died or hangs: ";

	(void)signal;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0 ||
	    write(STDOUT_FILENO, where, strlen(where)) < 0 || write(STDOUT_FILENO, "\n", 1) < 0)
		_exit(EXIT_VIOLATION);
	_exit(EXIT_VIOLATION);
}

static void watch_for_death(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)signal(signals[i], died);
}

struct replay_count replay(const struct scenario *scenario, enum cancel_durability durability,
			   const char *recorded, const char *replayed)
{
	static struct replay replay;
	struct replay_count count = {0, 0};
	struct stage stage = {.scenario = scenario, .durability = durability};
	char name[WHERE_SIZE / 2];

	memset(&replay, 0, sizeof(replay));
	replay.scenario = scenario;
	replay.durability = durability;
	replay.root = replayed;
	replay.until_ms = now_ms() + campaign_seconds(0) * 1000LL / (scenario_count * LEVEL_COUNT);
	replay.boot = (struct boot){.scenario = scenario,
				    .durability = durability,
				    .root = replayed,
				    .where = where,
				    .state = lost};
	(void)snprintf(stage.root, sizeof(stage.root), "%s", recorded);
	(void)snprintf(name, sizeof(name), "%s, %s", scenario->name, replay_level(durability));
	journal_begin(&replay.journal);
	if (record(&replay.journal, recorded, scenario->lack, scenario_act, &stage, name)) {
		watch_for_death();
		count.cuts = cut_everywhere(&replay);
		count.states = (long)replay.states.count;
	}
	journal_end(&replay.journal);
	states_end(&replay.states);
	place_clear(recorded);
	place_clear(replayed);
	return count;
}
