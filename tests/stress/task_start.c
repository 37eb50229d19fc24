/*
 * The start race: a run begins while somebody asks for it, at a random moment around the beginning. Nothing
 * may be lost, ever: the run is cancelled, or the request is pending and stops the next one.
 *
 *   two pairs   in one the requester is a thread of the worker's process, in the other a process of its own.
 *   managers    with a thread and without, by bell, inotify and polling, chosen anew for each trial.
 *   the request is for the task, for the run, or for a further id that the task listens to; it stays, or is
 * decided by the requester as stopped, or withdrawn. the run     stays until it is cancelled, or ends at once
 * as finished.
 *
 * This process poses as a watcher, so that who sleeps for the bell looks by itself only after many seconds: a
 * lost ring is not repaired before the trial gives up.
 *
 * TRIALS is how many trials in all; without it RUN_SECONDS is how long.
 *
 * Mutations that this catches: looking at pending before the task is in the list of who is told; the word of
 * the bell read after that look; what was decided remembered from the trial before (or not at all: then the
 * next run is hit); a further id that is not looked at; an end as finished that decides nothing and forgets
 * what is pending.
 */
#include "environment.h"
#include "spool_dir.h"
#include "stress_crew.h"
#include "stress_run.h"
#include "stress_spool.h"
#include "stress_team.h"
#include "watcher_pose.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RUN_DEFAULT_S = 8,
	PAIRS = 2,
	NAMES = 3,
	KINDS_MAX = 8,
	HOUR_MS = 3600 * 1000,
	QUICK_MS = 10,
	SPAN_SHARE = 16, /* the newest beginning counts for so much of the average */
};

#define LOST_NS         (15 * CANCEL_SECOND)
#define SPAN_LONGEST_NS (20 * CANCEL_MILLISECOND)

/* --- trials ------------------------------------------------------------------------------------------- */

enum aim { AIM_TASK, AIM_RUN, AIM_GROUP, AIMS };

enum deed { DEED_ASK, DEED_STOP, DEED_WITHDRAW, DEEDS };

/* What the worker does after it has begun. */
enum stay { STAY_WAITING, STAY_POLLING, STAY_NOT, STAYS };

/* How a run saw its request. */
enum fate { FATE_AT_START, FATE_LATER, FATE_NEXT_RUN, FATE_AT_END, FATE_ELSEWHERE, FATES };

/* What the worker and the requester share. Each writes its own part between two meetings; after the second
 * the worker reads all. */
struct pair {
	struct stress_line line;
	bool over;
	/* the worker's, before the first meeting */
	enum aim aim;
	enum deed deed;
	enum stay stay;
	char task[32], run[32], group[32];
	int64_t ask_after_ns;
	/* the worker's, after it */
	struct cancel_manager
		*_Atomic through; /* ask through this manager; NULL: through the requester's spool */
	struct cancel_task *_Atomic begun;
	/* the requester's */
	int64_t asked_from_ns, decided_until_ns;
	char id[STRESS_ID_SIZE]; /* "": not known */
};

struct tally {
	atomic_long taken;
	atomic_long fates[FATES];
};

struct worker {
	struct pair *pair;
	struct cancel_spool *spool;
	struct cancel_manager *managers[KINDS_MAX];
	struct cancel_manager *manager; /* of this trial */
	struct cancel_task *task;
	uint64_t random;
	int64_t span_ns; /* how long a beginning takes */
	int64_t begun_from_ns, begun_until_ns;
	int code; /* what the beginning said */
	bool cancelled;
	unsigned number;
	bool beside; /* the requester is a thread of this process */
};

static struct spool_dir dir;
static struct tally *tally;
static long trials;
static int64_t ends_ns;

static const struct kind {
	const char *name;
	unsigned share;
	bool thread;
	enum cancel_notice notice;
	int64_t poll_interval_ms;
} kinds[] = {
	{"bell, thread", 40, true, CANCEL_NOTICE_BELL, HOUR_MS},
	{"bell", 40, false, CANCEL_NOTICE_BELL, HOUR_MS},
	{"inotify", 15, true, CANCEL_NOTICE_INOTIFY, HOUR_MS},
	{"polling, thread", 1, true, CANCEL_NOTICE_POLL, QUICK_MS},
	{"polling", 1, false, CANCEL_NOTICE_POLL, QUICK_MS},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static unsigned pick_kind(uint64_t *random)
{
	unsigned shares = 0, kind = 0, at;

	for (unsigned i = 0; i < KINDS; i++)
		shares += kinds[i].share;
	for (at = stress_pick(random, shares); at >= kinds[kind].share; at -= kinds[kind++].share)
		continue;
	return kind;
}

static void spin_until(int64_t time_ns)
{
	while (stress_now_ns() < time_ns)
		stress_spin(1);
}

static const char *aimed_at(const struct pair *pair)
{
	return pair->aim == AIM_GROUP ? pair->group : pair->task;
}

static const char *aimed_run(const struct pair *pair)
{
	return pair->aim == AIM_RUN ? pair->run : NULL;
}

/* --- the requester ------------------------------------------------------------------------------------ */

/* The tasks of the manager through which somebody asks read cancelled when that returns, if they had begun
 * before. */
static void ask_through(struct pair *pair, struct cancel_manager *manager)
{
	struct cancel_task *begun = atomic_load(&pair->begun);
	struct cancel_error error;
	int code = cancel_manager_cancel(manager, aimed_at(pair), "at the start", &error);

	crew_expect(code == CANCEL_REQUESTED, "cancel_manager_cancel says %d: %s", code, error.text);
	if (begun && pair->stay != STAY_NOT)
		crew_expect(cancel_token_requested(cancel_task_token(begun)),
			    "asked through its manager, and it does not read cancelled");
}

static void ask(struct pair *pair, struct cancel_spool *spool)
{
	struct cancel_manager *manager = pair->aim == AIM_RUN ? NULL : atomic_load(&pair->through);
	enum cancel_outcome outcome =
		pair->deed == DEED_STOP ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_WITHDRAWN;

	spin_until(stress_now_ns() + pair->ask_after_ns);
	pair->id[0] = '\0';
	pair->asked_from_ns = stress_now_ns();
	if (manager)
		ask_through(pair, manager);
	else
		crew_expect(stress_ask(spool, aimed_at(pair), aimed_run(pair), pair->id) == CANCEL_REQUESTED,
			    "'%s' stood already", aimed_at(pair));
	if (pair->deed != DEED_ASK)
		(void)stress_decide(spool, aimed_at(pair), aimed_run(pair), outcome);
	pair->decided_until_ns = stress_now_ns();
}

static void *request(void *arg)
{
	struct pair *pair = arg;
	struct cancel_spool *spool = stress_spool_open(dir.path);

	for (;;) {
		stress_line_up(&pair->line);
		if (pair->over)
			break;
		ask(pair, spool);
		stress_line_up(&pair->line);
	}
	cancel_spool_close(spool);
	return NULL;
}

/* --- the worker --------------------------------------------------------------------------------------- */

/* The requester begins before, while or after the worker does. */
static void set_up_trial(struct worker *worker)
{
	struct pair *pair = worker->pair;
	uint64_t *random = &worker->random;
	unsigned name = stress_pick(random, NAMES);
	unsigned kind = pick_kind(random);

	pair->aim = (enum aim)stress_pick(random, AIMS);
	pair->deed = stress_one_in(random, 3) ? (enum deed)stress_pick(random, DEEDS) : DEED_ASK;
	pair->stay = stress_one_in(random, 20)
			     ? STAY_POLLING
			     : (enum stay)(stress_one_in(random, 3) ? STAY_NOT : STAY_WAITING);
	(void)snprintf(pair->task, sizeof(pair->task), "start-%u-%u", worker->number, name);
	(void)snprintf(pair->run, sizeof(pair->run), "run-%u", stress_pick(random, NAMES));
	(void)snprintf(pair->group, sizeof(pair->group), "group-%u-%u", worker->number,
		       stress_pick(random, NAMES));
	pair->ask_after_ns = (int64_t)(stress_chance(random) % (uint64_t)(2 * worker->span_ns));
	worker->manager = worker->managers[kind];
	atomic_store(&pair->begun, NULL);
	atomic_store(&pair->through, worker->beside && stress_one_in(random, 3) ? worker->manager : NULL);
}

static int begin_once(struct worker *worker)
{
	const char *const also[] = {worker->pair->group, "start-nobody"};
	struct cancel_task_options options;
	struct cancel_error error;
	int code;

	cancel_task_options_init(&options);
	options.run = worker->pair->run;
	options.also = also;
	options.also_count = 2;
	code = cancel_task_begin(&worker->task, worker->manager, worker->pair->task, &options, &error);
	if (code < 0) {
		crew_expect(false, "beginning '%s' says %d: %s", worker->pair->task, code, error.text);
		exit(1);
	}
	return code;
}

static void begin(struct worker *worker)
{
	int64_t took_ns;

	spin_until(stress_now_ns() + worker->span_ns / 2);
	worker->begun_from_ns = stress_now_ns();
	worker->code = begin_once(worker);
	worker->begun_until_ns = stress_now_ns();
	atomic_store(&worker->pair->begun, worker->task);
	took_ns = worker->begun_until_ns - worker->begun_from_ns;
	if (took_ns < SPAN_LONGEST_NS)
		worker->span_ns += (took_ns - worker->span_ns) / SPAN_SHARE;
	if (worker->code == 1)
		crew_expect(cancel_task_checkpoint(worker->task),
			    "cancelled at the start, but not afterwards");
}

static int end(struct worker *worker, enum cancel_outcome outcome)
{
	struct cancel_error error;
	int code = cancel_task_end(worker->task, outcome, NULL, &error);

	crew_expect(code >= 0, "ending '%s' says %d: %s", worker->pair->task, code, error.text);
	return code;
}

static bool wait_waiting(struct worker *worker)
{
	return cancel_task_wait(worker->task, LOST_NS) == 1;
}

static bool wait_polling(struct worker *worker)
{
	int64_t deadline_ns = stress_now_ns() + LOST_NS;

	while (!cancel_task_checkpoint(worker->task))
		if (stress_now_ns() > deadline_ns)
			return false;
	return true;
}

static bool wait_cancelled(struct worker *worker)
{
	return worker->pair->stay == STAY_POLLING ? wait_polling(worker) : wait_waiting(worker);
}

/* Only once the request is known is it known whether it was the right one. */
static void judge_why(const struct worker *worker)
{
	const struct pair *pair = worker->pair;
	struct cancel_why why;

	cancel_task_why(worker->task, &why);
	crew_expect(why.kind == CANCEL_WHY_REQUEST, "cancelled, but not by a request: %d", why.kind);
	if (why.kind != CANCEL_WHY_REQUEST)
		return;
	crew_expect(!strcmp(why.id, aimed_at(pair)), "asked for '%s', and cancelled for '%s'", aimed_at(pair),
		    why.id);
	crew_expect(!pair->id[0] || !strcmp(why.request->request_id, pair->id),
		    "cancelled by %s, which is not %s", why.request->request_id, pair->id);
}

static void lost(const struct worker *worker, const char *how)
{
	const struct pair *pair = worker->pair;

	crew_expect(false,
		    "LOST: %s: '%s' for '%s'/'%s': asked %lld ns after the beginning, which took %lld ns",
		    how, aimed_at(pair), pair->task, pair->run,
		    (long long)(pair->asked_from_ns - worker->begun_from_ns),
		    (long long)(worker->begun_until_ns - worker->begun_from_ns));
}

static void count(enum fate fate)
{
	(void)atomic_fetch_add(&tally->fates[fate], 1);
}

/* A request for a group is its requester's to take back. */
static void clear_group(struct worker *worker)
{
	if (worker->pair->aim == AIM_GROUP)
		crew_expect(stress_decide(worker->spool, worker->pair->group, NULL,
					  CANCEL_OUTCOME_WITHDRAWN) == CANCEL_DECIDED,
			    "a group's request was decided by a member");
}

/* It stays until it is cancelled. */
static void judge_stayed(struct worker *worker)
{
	int decided;

	if (!worker->cancelled)
		lost(worker, "never cancelled");
	else
		judge_why(worker);
	decided = end(worker, CANCEL_OUTCOME_STOPPED);
	crew_expect(decided == (worker->pair->aim != AIM_GROUP), "the end decided %d", decided);
	clear_group(worker);
	count(worker->code == 1 ? FATE_AT_START : FATE_LATER);
}

/* What the run left pending stops the next one, and nothing else does. */
static void judge_next_run(struct worker *worker, bool stands)
{
	int code = begin_once(worker), decided;

	if (stands && code != 1)
		lost(worker, "pending, and the next run is not stopped");
	crew_expect(stands || code == 0, "the next run is stopped by what was decided");
	if (code == 1)
		judge_why(worker);
	decided = end(worker, CANCEL_OUTCOME_STOPPED);
	crew_expect(decided == (stands && worker->pair->aim != AIM_GROUP),
		    "the end of the next run decided %d", decided);
	clear_group(worker);
}

/* It has ended, as finished, while the request was made. */
static void judge_ended(struct worker *worker)
{
	struct pair *pair = worker->pair;
	struct stress_place place = stress_look(worker->spool, aimed_at(pair), aimed_run(pair));
	bool stands = place.state == CANCEL_LOOKUP_PENDING;

	crew_expect(!pair->id[0] || !strcmp(place.id, pair->id), "%s stands where %s was asked for", place.id,
		    pair->id);
	crew_expect(stands || (place.state == CANCEL_LOOKUP_PROCESSED &&
			       place.outcome == CANCEL_OUTCOME_FINISHED && pair->aim != AIM_GROUP),
		    "neither pending nor decided by the run that ended: %d, %s", place.state,
		    cancel_outcome_text(place.outcome));
	if (!stands && place.state != CANCEL_LOOKUP_PROCESSED)
		lost(worker, "gone");
	judge_next_run(worker, stands);
	count(stands ? FATE_NEXT_RUN : FATE_AT_END);
}

/* The requester has decided it. Whether that cancelled the run is a question of time only where both overlap.
 */
static void judge_decided(struct worker *worker)
{
	struct pair *pair = worker->pair;
	bool stops = pair->deed == DEED_STOP;
	int code;

	if (stops && pair->asked_from_ns > worker->begun_until_ns && !wait_cancelled(worker))
		lost(worker, "decided elsewhere after the beginning");
	code = cancel_task_check(worker->task, NULL);
	crew_expect(code >= 0, "cancel_task_check says %d", code);
	crew_expect(code != 1 || pair->decided_until_ns >= worker->begun_from_ns,
		    "cancelled by what was decided before it began");
	if (code == 1)
		judge_why(worker);
	crew_expect(end(worker, CANCEL_OUTCOME_STOPPED) == 0, "decided again");
	crew_expect(stress_look(worker->spool, aimed_at(pair), aimed_run(pair)).state !=
			    CANCEL_LOOKUP_PENDING,
		    "pending after it was decided");
	count(FATE_ELSEWHERE);
}

static void play_trial(struct worker *worker)
{
	struct pair *pair = worker->pair;
	bool asks, stays;

	set_up_trial(worker);
	asks = pair->deed == DEED_ASK;
	stays = pair->stay != STAY_NOT;
	stress_line_up(&pair->line);
	begin(worker);
	if (asks && stays)
		worker->cancelled = wait_cancelled(worker);
	else if (asks)
		(void)end(worker, CANCEL_OUTCOME_FINISHED);
	stress_line_up(&pair->line);
	if (!asks)
		judge_decided(worker);
	else if (stays)
		judge_stayed(worker);
	else
		judge_ended(worker);
	crew_step();
}

static bool another_trial(void)
{
	return atomic_fetch_add(&tally->taken, 1) < trials && stress_now_ns() < ends_ns;
}

static void open_managers(struct worker *worker)
{
	worker->spool = stress_spool_open(dir.path);
	for (unsigned i = 0; i < KINDS; i++)
		worker->managers[i] = stress_manager_open(dir.path, kinds[i].thread, kinds[i].notice,
							  kinds[i].poll_interval_ms);
}

static void close_managers(struct worker *worker)
{
	for (unsigned i = 0; i < KINDS; i++)
		crew_expect(cancel_manager_close(worker->managers[i]) == 0, "closing a manager");
	cancel_spool_close(worker->spool);
}

static void work(struct worker *worker)
{
	worker->span_ns = CANCEL_MILLISECOND / 10;
	worker->random = crew_seed(worker->number);
	open_managers(worker);
	while (another_trial())
		play_trial(worker);
	worker->pair->over = true;
	stress_line_up(&worker->pair->line);
	close_managers(worker);
}

/* --- the pairs ---------------------------------------------------------------------------------------- */

static _Noreturn void work_beside_thread(struct pair *pair, unsigned number)
{
	struct worker worker = {.pair = pair, .number = number, .beside = true};
	pthread_t thread;

	if (pthread_create(&thread, NULL, request, pair) != 0)
		abort();
	work(&worker);
	(void)pthread_join(thread, NULL);
	exit(0);
}

static _Noreturn void work_alone(struct pair *pair, unsigned number)
{
	struct worker worker = {.pair = pair, .number = number};

	work(&worker);
	exit(0);
}

static void play(void)
{
	struct pair *pairs = crew_share(PAIRS * sizeof(*pairs));
	pid_t members[PAIRS + 1];

	for (int i = 0; i < PAIRS; i++)
		pairs[i].line.count = 2;
	if ((members[0] = crew_fork()) == 0)
		work_beside_thread(&pairs[0], 0);
	if ((members[1] = crew_fork()) == 0)
		work_alone(&pairs[1], 1);
	if ((members[2] = crew_fork()) == 0) {
		(void)request(&pairs[1]);
		exit(0);
	}
	for (int i = 0; i <= PAIRS; i++)
		crew_reap(members[i]);
}

/* It is made by whoever rings first. */
static void make_bell(void)
{
	struct cancel_spool *spool = stress_spool_open(dir.path);
	char id[STRESS_ID_SIZE];

	(void)stress_ask(spool, "start-nobody", NULL, id);
	(void)stress_decide(spool, "start-nobody", NULL, CANCEL_OUTCOME_STOPPED);
	cancel_spool_close(spool);
	crew_expect(watcher_pose(dir.path) >= 0, "there is no bell");
}

static long fate(enum fate fate)
{
	return atomic_load(&tally->fates[fate]);
}

int main(void)
{
	int64_t length_s = environment_number("RUN_SECONDS", RUN_DEFAULT_S);
	long played = 0;

	crew_begin("starts");
	trials = crew_number("TRIALS", LONG_MAX);
	ends_ns = trials == LONG_MAX ? stress_now_ns() + length_s * CANCEL_SECOND : INT64_MAX;
	tally = crew_share(sizeof(*tally));
	spool_dir_make(&dir);
	make_bell();
	play();
	spool_dir_remove(&dir);
	for (int i = 0; i < FATES; i++)
		played += fate((enum fate)i);
	return crew_end("%ld trials: %ld cancelled at the start, %ld later, %ld by the next run, %ld decided "
			"at the end, "
			"%ld elsewhere",
			played, fate(FATE_AT_START), fate(FATE_LATER), fate(FATE_NEXT_RUN), fate(FATE_AT_END),
			fate(FATE_ELSEWHERE));
}
