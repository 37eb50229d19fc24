/*
 * A hostile neighbour: another user does to a spool, in each of its forms, what the kernel lets him, while
 * the victim uses it: planted before each operation, in the windows between its calls, and by chance at the
 * same time. What he must not reach: the victim's other files, his secrets, his time, his tasks. SECURITY.md
 * says what is promised in each form.
 */
#include "attacker.h"
#include "campaign.h"
#include "judge.h"
#include "protections.h"
#include "race.h"
#include "refusal.h"
#include "stage.h"
#include "victim.h"
#include "window.h"

#include <stdio.h>

enum {
	SHORT_S = 3,
	SLICE_MS = 50, /* of each kind, in each turn */
	LONG_SLICE_MS = 1000,
	WINDOW_MAX = 256,
	STRIDE = 999983, /* a prime: visits all, in an order that looks like none */
};

enum {
	FORM_SHARED = 1,
	FORM_TRUSTED = 2,
	FORM_ATTACKERS = 3,
	FORM_ROOTS = 4,
};

struct pair {
	enum deed deed;
	enum target target;
};

static struct pair pairs[DEED_COUNT * TARGET_COUNT];
static long pair_count;

/* Each wait for a lock then takes the longest time that it may, ten seconds. */
static bool takes_long(enum deed deed, enum target target)
{
	return target == TARGET_LOCK && (deed == DEED_LOCK || deed == DEED_READ_LOCK || deed == DEED_LEASED);
}

static void list_pairs(void)
{
	for (int deed = 0; deed < DEED_COUNT; deed++)
		for (int target = 0; target < TARGET_COUNT; target++)
			if (attacker_can((enum deed)deed, (enum target)target) &&
			    !takes_long((enum deed)deed, (enum target)target))
				pairs[pair_count++] = (struct pair){(enum deed)deed, (enum target)target};
}

/* --- planted before ------------------------------------------------------------------------------ */

static void plant(struct match *match, int form, int operation, enum deed deed, enum target target)
{
	match_set(match, &forms[form], true);
	(void)attacker_do(match->attacker, deed, target);
	(void)match_do(match, operation, "'%s': %s, then %s", attacker_target_name(target),
		       attacker_deed_name(deed), victim_operation_name(operation));
	/* What came of it may show only now. */
	(void)match_do(match, OPERATION_QUIET, "'%s': %s, %s, then %s", attacker_target_name(target),
		       attacker_deed_name(deed), victim_operation_name(operation),
		       victim_operation_name(OPERATION_QUIET));
	(void)match_do(match, OPERATION_LIST, "'%s': %s, %s, then %s", attacker_target_name(target),
		       attacker_deed_name(deed), victim_operation_name(operation),
		       victim_operation_name(OPERATION_LIST));
	attacker_rest(match->attacker);
	tally.plants++;
}

static const struct planted {
	int form, operation;
	enum deed deed;
	enum target target;
} planted_always[] = {
	{FORM_TRUSTED, OPERATION_QUIET, DEED_FORGE, TARGET_QUIET},
	{FORM_TRUSTED, OPERATION_QUIET, DEED_FORGE, TARGET_QUIET_DECIDED},
	{FORM_TRUSTED, OPERATION_INTAKE, DEED_FORGE, TARGET_QUIET_DROP},
	{FORM_TRUSTED, OPERATION_SWEEP, DEED_FORGE, TARGET_QUIET_LEFT},
	{FORM_SHARED, OPERATION_LIST, DEED_CLAIM, TARGET_CLAIM},
	{FORM_SHARED, OPERATION_INTAKE, DEED_CLAIM, TARGET_CLAIM_DROP},
	{FORM_SHARED, OPERATION_INTAKE, DEED_JOIN_SECRET, TARGET_DROP},
	{FORM_ATTACKERS, OPERATION_INTAKE, DEED_JOIN_SECRET, TARGET_DROP},
	{FORM_ROOTS, OPERATION_MERGE, DEED_JOIN_SECRET, TARGET_REQUEST},
	{FORM_SHARED, OPERATION_MERGE, DEED_JOIN_LONG, TARGET_BELL},
	{FORM_SHARED, OPERATION_MERGE, DEED_LINK_LONG, TARGET_BELL},
	{FORM_SHARED, OPERATION_MERGE, DEED_LINK_PRECIOUS, TARGET_LOCK},
	{FORM_SHARED, OPERATION_SWEEP, DEED_TRUNCATE, TARGET_BELL},
	{FORM_SHARED, OPERATION_INTAKE, DEED_LINK_SECRET, TARGET_DROP},
	{FORM_SHARED, OPERATION_INTAKE, DEED_FIFO, TARGET_DROP},
};

static void plant_always(struct match *match)
{
	for (size_t i = 0; i < sizeof planted_always / sizeof planted_always[0]; i++) {
		const struct planted *one = &planted_always[i];

		plant(match, one->form, one->operation, one->deed, one->target);
	}
}

static long plant_total(void)
{
	return FORM_COUNT * OPERATION_COUNT * pair_count;
}

static bool plant_next(struct match *match, long *turn)
{
	long total = plant_total(), at;

	if (*turn >= total)
		return false;
	at = (*turn)++ * STRIDE % total;
	plant(match, (int)(at % FORM_COUNT), (int)(at / FORM_COUNT % OPERATION_COUNT),
	      pairs[at / FORM_COUNT / OPERATION_COUNT].deed, pairs[at / FORM_COUNT / OPERATION_COUNT].target);
	return true;
}

/* --- in the windows ------------------------------------------------------------------------------ */

/* Once at each call. */
static const struct planted windows_always[] = {
	{FORM_SHARED, OPERATION_ASK, DEED_LINK_DIRECTORY, TARGET_TMP},
	{FORM_ATTACKERS, OPERATION_ASK, DEED_LINK_DIRECTORY, TARGET_TMP},
	{FORM_SHARED, OPERATION_INTAKE, DEED_LINK_SECRET, TARGET_LEFT},
	{FORM_SHARED, OPERATION_LOOK_UP, DEED_FIFO, TARGET_REQUEST},
	{FORM_ATTACKERS, OPERATION_MAKE, DEED_LINK_DIRECTORY, TARGET_SPOOL},
};

static void windows_always_try(struct match *match)
{
	for (size_t i = 0; i < sizeof windows_always / sizeof windows_always[0]; i++) {
		const struct planted *one = &windows_always[i];
		int count = window_count(match, &forms[one->form], one->operation);

		for (int window = 0; window < count; window++)
			window_try(match, &forms[one->form], one->operation, window, one->deed, one->target);
	}
	/* A sweep waits for no lock, so it need not wait for this either. */
	if (window_count(match, &forms[FORM_SHARED], OPERATION_SWEEP))
		window_try(match, &forms[FORM_SHARED], OPERATION_SWEEP, 0, DEED_LEASED, TARGET_LOCK);
}

static long window_room(void)
{
	return FORM_COUNT * OPERATION_KEEP * WINDOW_MAX * pair_count;
}

static long window_total(struct match *match)
{
	long total = 0;

	for (int form = 0; form < FORM_COUNT; form++)
		for (int operation = 0; operation < OPERATION_KEEP; operation++)
			total += window_count(match, &forms[form], operation);
	return total * pair_count;
}

static bool window_next(struct match *match, long *turn)
{
	long room = window_room();

	while (*turn < room) {
		long at = (*turn)++ * STRIDE % room;
		const struct form *form = &forms[at % FORM_COUNT];
		int operation = (int)(at / FORM_COUNT % OPERATION_KEEP);
		int window = (int)(at / FORM_COUNT / OPERATION_KEEP % WINDOW_MAX);
		const struct pair *pair = &pairs[at / FORM_COUNT / OPERATION_KEEP / WINDOW_MAX];

		if (window >= window_count(match, form, operation))
			continue;
		window_try(match, form, operation, window, pair->deed, pair->target);
		return true;
	}
	return false;
}

/* --- what takes 20 s each
 * --------------------------------------------------------------------------------------- */

static void wait_for_locks(struct match *match)
{
	static const enum deed deeds[] = {DEED_LOCK, DEED_READ_LOCK, DEED_LEASED};

	for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
		match_set(match, &forms[FORM_SHARED], true);
		(void)attacker_do(match->attacker, deeds[i], TARGET_LOCK);
		(void)match_do(match, OPERATION_MERGE, "'lock': %s", attacker_deed_name(deeds[i]));
		attacker_rest(match->attacker);
	}
}

static bool changes_protections;

/* --- the campaign -------------------------------------------------------------------------------- */

struct turns {
	long plants, windows;
	bool plants_left, windows_left;
};

static void take_turn(struct match *match, struct turns *turns, int form)
{
	int64_t slice_ms = campaign_is_long() ? LONG_SLICE_MS : SLICE_MS, until_ms = race_now_ms() + slice_ms;

	while (turns->plants_left && race_now_ms() < until_ms)
		turns->plants_left = plant_next(match, &turns->plants);
	until_ms = race_now_ms() + slice_ms;
	while (turns->windows_left && race_now_ms() < until_ms)
		turns->windows_left = window_next(match, &turns->windows);
	for (int gentle = 0; gentle <= 1; gentle++)
		race_run(match, &forms[form], gentle, slice_ms);
	campaign_progress("%ld plants, %ld windows, %ld operations raced, %ld deeds", tally.plants,
			  tally.windows, tally.raced, attacker_deeds(match->attacker));
}

/* Each form with the kernel's help and without it. */
static void take_turns(struct match *match)
{
	struct turns turns = {.plants_left = true, .windows_left = true};

	for (int turn = 0; campaign_going(SHORT_S) || turn < 2 * FORM_COUNT; turn++) {
		protections_set(turn / FORM_COUNT % 2 == 0);
		take_turn(match, &turns, turn % FORM_COUNT);
	}
}

static const char *of_all(struct match *match)
{
	static char text[48];

	if (campaign_is_long())
		(void)snprintf(text, sizeof text, " of %ld", window_total(match));
	return text;
}

static void begin(struct match *match)
{
	campaign_begin("hostile");
	if (!victim_find_programs())
		campaign_skip("cancelreq and cancelwatch are not built");
	stage_begin(match->stage);
	changes_protections = protections_begin();
	match->stage->gives_links = !changes_protections;
	protections_set(false);
	match->attacker = attacker_start(match->stage);
	list_pairs();
}

static int end(struct match *match, int refused)
{
	bool traces = window_count(match, &forms[FORM_SHARED], OPERATION_ASK) > 0;

	return campaign_end(
		"%d forms and %d refused, %ld deeds of %ld kinds, %ld planted, %ld%s windows, %ld operations "
		"raced, protected_* %s%s%s, slowest %ld ms (%s), escapes %ld, trusted requests lost %ld",
		FORM_COUNT, refused, attacker_deeds(match->attacker), pair_count, tally.plants, tally.windows,
		of_all(match), tally.raced, changes_protections ? "off and at most" : protections_text(),
		match->stage->is_small ? "" : ", no mount to fill", traces ? "" : ", nothing can be traced",
		tally.longest_ms, tally.longest, tally.escapes, tally.lost);
}

int main(void)
{
	static struct stage stage;
	struct match match = {.stage = &stage};
	int refused, status;

	begin(&match);
	refused = refusal_try_all(&match);
	plant_always(&match);
	windows_always_try(&match);
	take_turns(&match);
	if (campaign_is_long())
		wait_for_locks(&match);
	status = end(&match, refused);
	match_end(&match);
	stage_end(&stage);
	protections_end();
	return status;
}
