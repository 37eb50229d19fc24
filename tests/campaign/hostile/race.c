#include "race.h"

#include "campaign.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum {
	KEPT_MAX = 400, /* as many as there is room for */
	PROGRAM_EVERY = 24,
};

int64_t race_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int pick_operation(int kept_count)
{
	if (!campaign_pick(PROGRAM_EVERY))
		return OPERATION_PROGRAM + (int)campaign_pick(OPERATION_PROGRAM_COUNT);
	for (;;) {
		int operation = (int)campaign_pick(OPERATION_LIBRARY_COUNT);

		if (operation != OPERATION_KEEP || kept_count < KEPT_MAX)
			return operation;
	}
}

/* DESIGN.md, invariant 7 */
static void expect_kept(struct match *match, const int *kept, int count)
{
	for (int i = 0; i < count; i++) {
		struct stat stat;
		char path[256];

		(void)snprintf(path, sizeof path, "%s/pending/kept-%d.json", match->stage->spool, kept[i]);
		tally.lost += !campaign_expect(
			lstat(path, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size > 0,
			"%s: the accepted request %d is lost", match->stage->form->name, kept[i]);
	}
}

void race_run(struct match *match, const struct form *form, bool is_gentle, int64_t milliseconds)
{
	int kept[KEPT_MAX], count = 0;
	int64_t until_ms;

	match_set(match, form, true);
	attacker_race(match->attacker, campaign_chance(), is_gentle);
	until_ms = race_now_ms() + milliseconds;
	while (race_now_ms() < until_ms) {
		int operation = pick_operation(count);
		struct verdict verdict =
			match_do(match, operation, "%s, raced%s", victim_operation_name(operation),
				 is_gentle ? " gently" : "");

		if (verdict.kept)
			kept[count++] = verdict.kept;
		tally.raced++;
	}
	attacker_rest(match->attacker);
	if (form->keeps || (is_gentle && !form->attacker_owns))
		expect_kept(match, kept, count);
}
