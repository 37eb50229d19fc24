/* Every system call and every allocation of every operation fails in turn: once, and from there on; with each
 * error that the call can give; the disk full, no descriptors, no memory from there on; short reads and short
 * writes.
 *
 * After each: what was accepted is there, nothing is half published, nothing is decided twice; success is
 * true, and a failure is a sentence that names the thing; no descriptor, no memory and no draft is left; the
 * next operation works.
 *
 * ONLY=PATTERN picks scenarios (fnmatch). */
#include "campaign.h"
#include "faults_memory.h"
#include "faults_trial.h"
#include "scenario.h"
#include "tracer.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum {
	SHORT_S = 4,
	SCENARIOS_MAX = 100,
	OPERATIONS_MAX = 32,
};

/* One trial to be made. */
struct plan {
	const struct scenario *scenario;
	const struct faults_sound *sound;
	bool is_allocation;
	struct faults_fault fault;
};

static struct plans {
	struct plan *list;
	size_t count, room;
	size_t first; /* so many of them are made whatever the time */
	long calls, errors;
	long allocations;
} plans;

static struct faults_sound *sounds[SCENARIOS_MAX];

/* --- what there is to try ------------------------------------------------------------------------------- */

static void add(struct plan plan)
{
	if (plans.count == plans.room) {
		plans.room = plans.room ? 2 * plans.room : 1024;
		plans.list = realloc(plans.list, plans.room * sizeof(*plans.list));
		if (!plans.list)
			abort();
	}
	plans.list[plans.count++] = plan;
}

static void add_call(const struct scenario *scenario, const struct faults_sound *sound, int at,
		     enum faults_kind kind, int error)
{
	add((struct plan){
		scenario, sound, false, {.kind = kind, .at = at, .error = error, .call = sound->calls[at]}});
}

/* Who waits for what he cannot see waits on: a watch looks again and again, and a program's supervisor reads
 * what the kernel never fails to give. */
static bool may_last(const struct scenario *scenario, const struct faults_call *call, int error)
{
	if (!strcmp(scenario->operation, "watch") || (scenario->words && call->number == SYS_read))
		return false;
	return faults_error_lasts(call, error);
}

/* What may not be read is refused by a watch, and reported as that. */
static bool may_fail(const struct scenario *scenario, const struct faults_call *call, int error)
{
	return strcmp(scenario->operation, "watch") != 0 || error != EACCES || call->needs_room;
}

static void add_errors(const struct scenario *scenario, const struct faults_sound *sound, int at)
{
	const struct faults_call *call = sound->calls[at];

	plans.calls++;
	for (int i = 0; i < FAULTS_ERRORS_MAX && call->errors[i]; i++) {
		if (!may_fail(scenario, call, call->errors[i]))
			continue;
		plans.errors++;
		add_call(scenario, sound, at, FAULTS_ONCE, i);
		if (may_last(scenario, call, call->errors[i]))
			add_call(scenario, sound, at, FAULTS_ON, i);
	}
	if (call->needs_room)
		add_call(scenario, sound, at, FAULTS_FULL, 0);
	if (call->makes_descriptor && may_last(scenario, call, EMFILE))
		add_call(scenario, sound, at, FAULTS_STARVED, 0);
	if (call->takes_memory && may_last(scenario, call, ENOMEM))
		add_call(scenario, sound, at, FAULTS_EXHAUSTED, 0);
	if (call->has_size && !(scenario->words && call->number == SYS_read)) {
		add_call(scenario, sound, at, FAULTS_CUT, 0);
		add_call(scenario, sound, at, FAULTS_CUT_ON, 0);
	}
}

static void add_allocations(const struct scenario *scenario, const struct faults_sound *sound)
{
	for (int at = 0; at < sound->allocation_count; at++, plans.allocations++) {
		add((struct plan){scenario, sound, true, {.kind = FAULTS_ONCE, .at = at}});
		if (strcmp(scenario->operation, "watch") != 0)
			add((struct plan){scenario, sound, true, {.kind = FAULTS_ON, .at = at}});
	}
}

static bool is_picked(const struct scenario *scenario)
{
	const char *pattern = getenv("ONLY");

	return !pattern || fnmatch(pattern, scenario->name, 0) == 0;
}

static int add_scenario(const struct scenario *scenario, struct faults_sound **sound)
{
	*sound = calloc(1, sizeof(**sound));
	if (!*sound)
		abort();
	if (!faults_sound_run(scenario, *sound))
		return 0;
	for (int at = 0; at < (*sound)->call_count; at++)
		add_errors(scenario, *sound, at);
	add_allocations(scenario, *sound);
	return 1;
}

/* --- in which order ------------------------------------------------------------------------------------- */

static void swap(size_t one, size_t other)
{
	struct plan kept = plans.list[one];

	plans.list[one] = plans.list[other];
	plans.list[other] = kept;
}

static void shuffle(size_t from)
{
	for (size_t i = plans.count; i > from + 1; i--)
		swap(i - 1, from + campaign_pick((unsigned)(i - from)));
}

static const char *kind_name(const struct plan *plan)
{
	return plan->is_allocation ? "" : plan->sound->calls[plan->fault.at]->name;
}

/* A failure, an interruption, and less than was asked for; and each allocation where a record is read and
 * written again. */
static bool is_basic(const struct plan *plan)
{
	const struct faults_call *call = plan->fault.call;

	if (plan->is_allocation)
		return plan->fault.kind == FAULTS_ONCE &&
		       (plan->fault.at == 0 || !strcmp(plan->scenario->name, "request for longer"));
	if (plan->fault.kind == FAULTS_CUT)
		return true;
	return plan->fault.kind == FAULTS_ONCE &&
	       (plan->fault.error == 0 || (call->has_size && call->errors[plan->fault.error] == EINTR));
}

static bool is_alike(const struct plan *one, const struct plan *other)
{
	return !strcmp(one->scenario->operation, other->scenario->operation) &&
	       !one->scenario->words == !other->scenario->words &&
	       !strcmp(kind_name(one), kind_name(other)) && one->fault.kind == other->fault.kind &&
	       one->fault.error == other->fault.error &&
	       (!one->is_allocation || one->fault.at == other->fault.at);
}

/* The first of each kind of call in each operation. */
static bool is_first(size_t at)
{
	if (!is_basic(&plans.list[at]))
		return false;
	for (size_t i = 0; i < plans.first; i++)
		if (is_alike(&plans.list[i], &plans.list[at]))
			return false;
	return true;
}

static void arrange(void)
{
	for (size_t at = 0; at < plans.count; at++)
		if (is_first(at))
			swap(plans.first++, at);
	shuffle(plans.first);
}

/* --- trying --------------------------------------------------------------------------------------------- */

static void try_one(const struct plan *plan)
{
	if (plan->is_allocation)
		faults_break_allocation(plan->scenario, plan->sound, plan->fault.at,
					plan->fault.kind == FAULTS_ON);
	else
		faults_break_call(plan->scenario, plan->sound, plan->fault);
}

/* All there is in the long form; a mutant is looked for everywhere too. */
static bool goes_on(size_t at)
{
	return at < plans.count && (at < plans.first || campaign_is_long() || getenv("CAMPAIGN_FIRST") ||
				    campaign_going(SHORT_S));
}

static size_t try_all(void)
{
	size_t at = 0;

	for (; goes_on(at); at++) {
		try_one(&plans.list[at]);
		campaign_progress("%zu of %zu", at + 1, plans.count);
	}
	return at;
}

static int count_operations(int *scenarios_found)
{
	const char *names[OPERATIONS_MAX];
	int count = 0;

	for (int i = 0; i < scenario_count && i < SCENARIOS_MAX; i++) {
		int at = 0;

		if (!is_picked(&scenarios[i]))
			continue;
		*scenarios_found += add_scenario(&scenarios[i], &sounds[i]);
		while (at < count && strcmp(names[at], scenarios[i].operation) != 0)
			at++;
		if (at == count && count < OPERATIONS_MAX)
			names[count++] = scenarios[i].operation;
	}
	return count;
}

int main(void)
{
	int operations, found = 0;
	size_t runs;

	campaign_begin("faults");
	if (!tracer_works())
		campaign_skip("processes cannot be traced here");
	operations = count_operations(&found);
	arrange();
	runs = try_all();
	for (int i = 0; i < SCENARIOS_MAX; i++)
		free(sounds[i]);
	free(plans.list);
	return campaign_end(
		"%d operations in %d scenarios, %ld calls x %.1f errors, %ld allocations, %zu of %zu runs, "
		"%d of them broken",
		operations, found, plans.calls,
		(double)plans.errors / (double)(plans.calls ? plans.calls : 1), plans.allocations, runs,
		plans.count, faults_broken_count());
}
