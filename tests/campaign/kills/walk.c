#include "walk.h"

#include "age.h"
#include "campaign.h"
#include "tracer.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	CALLS_MAX = 8192,
	TWO_HOURS_S = 7200, /* longer than a draft is kept, and shorter than a request lives */
	NEVER = -1,
};

struct moments;

/* One process that is to be killed at its call number `target`, counted from the mark on. */
struct victim {
	struct scenario_trial *trial;
	int target;
	int seen;
	long call; /* at which it was killed; or -1 */
	bool is_inside;
	struct moments *moments; /* to be noted; or NULL */
};

/* Between two of these, all moments are the same to whoever comes later. */
static bool changes(const struct tracer_call *call)
{
	switch (call->number) {
	case SYS_open:
		return call->arguments[1] & (O_CREAT | O_TRUNC);
	case SYS_openat:
		return call->arguments[2] & (O_CREAT | O_TRUNC);
	case SYS_write:
	case SYS_pwrite64:
	case SYS_ftruncate:
	case SYS_fallocate:
	case SYS_link:
	case SYS_linkat:
	case SYS_rename:
	case SYS_renameat:
	case SYS_renameat2:
	case SYS_unlink:
	case SYS_unlinkat:
	case SYS_rmdir:
	case SYS_mkdir:
	case SYS_mkdirat:
	case SYS_utimensat:
	case SYS_fchmod:
	case SYS_fchown:
	case SYS_fcntl:
	case SYS_clone:
	case SYS_clone3:
	case SYS_kill:
	case SYS_exit_group:
		return true;
	default:
		return false;
	}
}

/* The calls of an operation that change something, in their order; and how many calls there are in all. */
struct moments {
	int count, calls;
	int indexes[CALLS_MAX];
};

static struct tracer_order kill_at_target(void *arg, const struct tracer_call *call)
{
	static const struct tracer_order proceed = {TRACER_PROCEED, 0}, order = {TRACER_KILL, 0};
	struct victim *victim = arg;
	int index;

	if (call->number == SCENARIO_MARK && !victim->trial->scenario->words) {
		victim->is_inside = !victim->is_inside;
		return proceed;
	}
	if (!victim->is_inside)
		return proceed;
	index = victim->seen++;
	if (victim->moments && changes(call) && victim->moments->count < CALLS_MAX)
		victim->moments->indexes[victim->moments->count++] = index;
	if (index != victim->target)
		return proceed;
	victim->call = call->number;
	return order;
}

long walk_now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static struct tracer *start(const struct tracer_options *options, struct scenario_trial *trial)
{
	static int null_fd = -1;

	if (!trial->scenario->words)
		return tracer_fork(options, scenario_operate, trial, -1);
	if (null_fd < 0)
		null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return tracer_exec(options, scenario_words(trial->scenario), scenario_environment(trial), null_fd);
}

static int run_victim(struct victim *victim)
{
	struct tracer_options options = {.entering = kill_at_target, .arg = victim};
	struct tracer *tracer = start(&options, victim->trial);
	int status;

	(void)scenario_expect(victim->trial, tracer_go(tracer, WALK_TIMEOUT_MS) == TRACER_ENDED,
			      "it does not end");
	status = tracer_status(tracer);
	tracer_end(tracer);
	return status;
}

void walk_check_cleared(struct scenario_trial *trial)
{
	struct cancel_sweep_result result;
	struct scenario_files tmp, runs;

	age_by(TWO_HOURS_S);
	(void)scenario_expect(trial,
			      cancel_spool_sweep(trial->spool, NULL, NULL, NULL, &result, &trial->error) == 0,
			      "the sweep two hours later: %s", trial->error.text);
	age_by(0);
	tmp = scenario_list(trial, "tmp");
	runs = scenario_list(trial, "runs");
	/* DESIGN.md, invariants 15 and 38 */
	(void)scenario_expect(trial, tmp.count == 0, "a sweep left tmp/%s", tmp.names[0]);
	(void)scenario_expect(trial, runs.count == 0, "a sweep left runs/%s", runs.names[0]);
}

/* `moments`, unless it is NULL, is noted. */
static void kill_once(const struct scenario *scenario, int target, struct moments *noted,
		      struct walk_figures *figures)
{
	struct victim victim = {
		.target = target, .call = -1, .is_inside = scenario->words != NULL, .moments = noted};
	struct scenario_trial trial;
	char where[160];
	int status;

	scenario_begin(&trial, scenario);
	(void)snprintf(where, sizeof(where), target == NEVER ? "%s, unbroken" : "%s, to be killed at call %d",
		       scenario->name, target);
	trial.where = where;
	victim.trial = &trial;
	status = run_victim(&victim);
	if (victim.call >= 0)
		(void)snprintf(where, sizeof(where), "%s, killed at %s, call %d", scenario->name,
			       tracer_call_name(victim.call), target);
	(void)scenario_check(&trial, victim.call >= 0 ? SCENARIO_KILLED : scenario_ended(&trial, status));
	walk_check_cleared(&trial);
	scenario_end(&trial);
	figures->killed += victim.call >= 0;
	figures->calls += target != NEVER;
	if (noted)
		noted->calls = victim.seen;
}

static void kill_at_each(const struct scenario *scenario, int count, struct walk_figures *figures)
{
	for (int i = 0; i < count; i++) {
		campaign_progress("%s: %d of %d calls", scenario->name, i, count);
		kill_once(scenario, i, NULL, figures);
	}
}

/* One of each stretch, where there are more than `sample`. */
static void kill_at_moments(const struct scenario *scenario, const struct moments *moments, int sample,
			    struct walk_figures *figures)
{
	int count = moments->count, walked = sample < count ? sample : count;

	for (int i = 0; i < walked; i++) {
		int from = (int)((long)count * i / walked), to = (int)((long)count * (i + 1) / walked);
		int at = from + (int)campaign_pick((unsigned)(to - from));

		kill_once(scenario, moments->indexes[at], NULL, figures);
	}
}

void walk_scenario(const struct scenario *scenario, int sample, struct walk_figures *figures)
{
	static struct moments moments;

	moments = (struct moments){.count = 0};
	kill_once(scenario, NEVER, &moments, figures);
	if (sample)
		kill_at_moments(scenario, &moments, sample, figures);
	else
		kill_at_each(scenario, moments.calls, figures);
}
