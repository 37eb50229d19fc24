/*
 * A scheduler that everybody uses at once: tasks are submitted, succeed, fail, run out of time, and are
 * cancelled, here and by requests of others, while it is drained or shut down at a moment of chance.
 *
 *   everybody   some submit, some cancel, one waits for single tasks, one counts; then it is drained or shut
 * down, and closed one_id      all fight for one id: it is one task at a time
 *
 * Each task that was accepted is told once that it has ended, and as what it did says; who was cancelled by a
 * call that returned well has ended as cancelled, and his request is decided; what is counted is at any
 * moment the sum of its parts, and at the end what was seen.
 *
 * RUN_SECONDS, SEED, PART as in tests/support/stress_run.h.
 *
 * Mutations that this catches: a task that is queued after it was cancelled (it runs, or a drain hangs); one
 * that a shutdown passes over because it was being submitted (the drain hangs); an end that does not wait for
 * who cancels it (it succeeds, or is used after it was freed); a status that changes outside the lock (the
 * sum).
 */
#include "spool_dir.h"
#include "stress_run.h"
#include "stress_spool.h"
#include "stress_team.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SUBMITTERS = 3,
	CANCELLER = SUBMITTERS,
	ASKER,
	WAITER,
	COUNTER,
	MEMBERS,
	TASKS = STRESS_UNDER_TSAN ? 40 : 120, /* of each submitter in a round */
	SLOTS = SUBMITTERS * TASKS,
	GROUPS = 3,
	QUEUE = 64,
	FIGHTS = 60, /* of each member in a round */
	POLL_MS = 20,
	SPIN = 2000,
	BREATH_NS = 20000,
};

enum sort {
	SORT_SUCCEEDS,
	SORT_FAILS,
	SORT_RECOVERS, /* fails, but for the last try */
	SORT_HEEDS,    /* runs until it is cancelled, by whatever */
	SORTS,
};

struct slot {
	char id[24];
	enum sort sort;
	struct cancel_tries tries;
	atomic_bool submitted; /* accepted, and to be seen by the others */
	atomic_uint calls, ends, inside;
	atomic_uint cancels; /* calls that returned well */
	atomic_bool asked;   /* by another program, which may come after its end */
	struct cancel_scheduled end;
};

static struct spool_dir dir;
static struct cancel_manager *manager;
static struct cancel_spool *spool; /* of somebody else */
static struct cancel_scheduler *scheduler;
static struct slot slots[SLOTS];
static atomic_uint submitters_left;
static unsigned long round_number, tasks_seen;
static unsigned long seen[CANCEL_SCHEDULED_TIMED_OUT + 1];

/* --- what tasks do ------------------------------------------------------------------------------------ */

static int function(void *arg, const struct cancel_try *now)
{
	struct slot *slot = arg;
	unsigned calls = atomic_fetch_add(&slot->calls, 1) + 1;
	int result = 0;

	stress_expect(atomic_fetch_add(&slot->inside, 1) == 0, "%s runs twice at once", slot->id);
	stress_expect(now->number == calls, "%s: try %u is called as number %u", slot->id, calls,
		      now->number);
	stress_expect(!strcmp(now->task_id, slot->id), "%s is called %s", slot->id, now->task_id);
	if (slot->sort == SORT_HEEDS) {
		stress_expect(cancel_token_wait(now->token, CANCEL_FOREVER) == 1, "%s: the wait", slot->id);
		result = cancel_token_error(now->token);
	} else if (slot->sort == SORT_FAILS ||
		   (slot->sort == SORT_RECOVERS && calls <= slot->tries.retries)) {
		result = -EIO;
	}
	(void)atomic_fetch_sub(&slot->inside, 1);
	return result;
}

static void ended(void *arg, const char *task_id, const struct cancel_scheduled *state)
{
	struct slot *slot = arg;
	struct cancel_scheduled known = {.status = CANCEL_SCHEDULED_QUEUED};
	int code = cancel_scheduler_status(scheduler, task_id, &known);

	stress_expect(atomic_load(&slot->inside) == 0, "%s ends while it runs", task_id);
	stress_expect(code == 0 && known.status == state->status,
		      "%s ended as %s and is known as %s", task_id, cancel_scheduled_text(state->status),
		      cancel_scheduled_text(known.status));
	slot->end = *state;
	(void)atomic_fetch_add(&slot->ends, 1);
}

static void note_line(void *arg, enum cancel_log_level level, const char *line)
{
	static int inside;

	(void)arg;
	stress_expect(inside++ == 0, "two lines at once"); /* TSan sees it where this does not */
	stress_expect(level <= CANCEL_LOG_INFO && !strncmp(line, "task ", 5), "a line: %s", line);
	inside--;
}

/* So that a checker that runs one thread at a time comes to the others. */
static void breathe(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = BREATH_NS}, NULL);
}

/* --- who plays ---------------------------------------------------------------------------------------- */

static void plan(struct slot *slot, const char *id, uint64_t *random)
{
	(void)snprintf(slot->id, sizeof(slot->id), "%s", id);
	slot->sort = (enum sort)stress_pick(random, SORTS);
	slot->tries = (struct cancel_tries){
		/* Who need not return in time has all the time there is. */
		.timeout_ns = slot->sort == SORT_HEEDS ? (1 + stress_pick(random, 3)) * CANCEL_MILLISECOND
						       : CANCEL_FOREVER,
		.retries = stress_pick(random, 3),
		.retry_interval_ns = stress_pick(random, 3) * CANCEL_MILLISECOND / 2,
		.backs_off = stress_one_in(random, 2),
	};
}

static int submit(struct slot *slot, uint64_t *random, struct cancel_error *error)
{
	char group[16];
	const char *const also[] = {group};
	struct cancel_submission submission;

	(void)snprintf(group, sizeof(group), "group-%u", stress_pick(random, GROUPS));
	cancel_submission_init(&submission, scheduler);
	submission.tries = slot->tries;
	submission.priority = (int)stress_pick(random, 5) - 2;
	submission.ended = ended;
	submission.run = stress_one_in(random, 3) ? "run" : NULL;
	submission.also = also;
	submission.also_count = stress_pick(random, 2);
	return cancel_scheduler_submit(scheduler, slot->id, function, slot, &submission, error);
}

static void play_submitter(unsigned number, uint64_t *random)
{
	for (unsigned i = number * TASKS; i < (number + 1) * TASKS; i++) {
		struct cancel_error error;
		char id[24];
		int code;

		(void)snprintf(id, sizeof(id), "s-%lu-%u", round_number, i);
		plan(&slots[i], id, random);
		while ((code = submit(&slots[i], random, &error)) == -EAGAIN)
			breathe();
		stress_expect(code == 0 || code == -ESHUTDOWN, "submitting %s says %d: %s", id, code,
			      error.text);
		if (code < 0)
			break;
		atomic_store(&slots[i].submitted, true);
	}
	(void)atomic_fetch_sub(&submitters_left, 1);
}

static struct slot *pick_submitted(uint64_t *random)
{
	struct slot *slot = &slots[stress_pick(random, SLOTS)];

	return atomic_load(&slot->submitted) ? slot : NULL;
}

static void play_canceller(uint64_t *random)
{
	while (atomic_load(&submitters_left)) {
		struct slot *slot = pick_submitted(random);
		struct cancel_error error;
		int code = slot ? cancel_scheduler_cancel(scheduler, slot->id, "by chance", &error) : -ENOENT;

		stress_expect(code >= 0 || code == -ENOENT, "cancelling says %d: %s", code, error.text);
		if (code >= 0)
			(void)atomic_fetch_add(&slot->cancels, 1);
		stress_spin(SPIN * stress_pick(random, 200));
		breathe();
	}
}

static void ask(const char *task_id)
{
	struct cancel_request request;
	struct cancel_error error;
	int code;

	cancel_request_init(&request);
	request.task_id = task_id;
	code = cancel_spool_request(spool, &request, NULL, &error);
	stress_expect(code >= 0, "asking for %s says %d: %s", task_id, code, error.text);
	cancel_request_clear(&request);
}

/* A group is asked for and asked for no more: whoever begins later is not meant. */
static void ask_group(uint64_t *random)
{
	struct cancel_error error;
	char group[16];
	int code;

	(void)snprintf(group, sizeof(group), "group-%u", stress_pick(random, GROUPS));
	ask(group);
	code = cancel_spool_decide(spool, group, NULL, NULL, CANCEL_OUTCOME_WITHDRAWN, NULL, NULL, &error);
	stress_expect(code >= 0, "withdrawing %s says %d: %s", group, code, error.text);
}

/* Another program. */
static void play_asker(uint64_t *random)
{
	while (atomic_load(&submitters_left)) {
		struct slot *slot = pick_submitted(random);

		if (slot && !stress_one_in(random, 100)) {
			atomic_store(&slot->asked, true);
			ask(slot->id);
		} else if (stress_one_in(random, 50)) {
			ask_group(random);
		}
		stress_spin(SPIN * stress_pick(random, 400));
		breathe();
	}
}

static void play_waiter(uint64_t *random)
{
	while (atomic_load(&submitters_left)) {
		struct slot *slot = pick_submitted(random);
		struct cancel_scheduled state;
		int code;

		breathe();
		if (!slot)
			continue;
		code = cancel_scheduler_wait(scheduler, slot->id,
					     (int64_t)stress_pick(random, 3) * CANCEL_MILLISECOND, &state);
		stress_expect(code == 0 || code == -ETIMEDOUT || code == -ENOENT, "waiting says %d", code);
		if (code == 0)
			stress_expect(atomic_load(&slot->ends) == 1 && state.status == slot->end.status,
				      "%s is waited for, and has ended %u times", slot->id,
				      atomic_load(&slot->ends));
	}
}

static uint64_t sum_of(const struct cancel_scheduler_statistics *counted)
{
	return counted->succeeded + counted->failed + counted->cancelled + counted->timed_out +
	       counted->running + counted->queued;
}

static void play_counter(void)
{
	struct cancel_scheduler_statistics before = {0}, now;

	while (atomic_load(&submitters_left)) {
		cancel_scheduler_count(scheduler, &now);
		stress_expect(now.total == sum_of(&now), "%lu in all, and %lu", (unsigned long)now.total,
			      (unsigned long)sum_of(&now));
		stress_expect(now.total >= before.total && now.succeeded >= before.succeeded &&
				      now.cancelled >= before.cancelled && now.retried >= before.retried,
			      "a count went back");
		before = now;
		breathe();
	}
}

/* Sometimes in the middle. */
static void stop(uint64_t *random)
{
	unsigned how = stress_pick(random, 4);
	int code = 0;

	if (how == 0)
		code = cancel_scheduler_shutdown(scheduler,
						 (int64_t)stress_pick(random, 2) * CANCEL_MILLISECOND);
	else if (how == 1)
		code = cancel_scheduler_drain(scheduler, CANCEL_MILLISECOND);
	stress_expect(code == 0 || code == -ETIMEDOUT, "stopping says %d", code);
}

static void play_member(void *scene, unsigned number, uint64_t *random)
{
	(void)scene;
	switch (number) {
	case CANCELLER:
		play_canceller(random);
		break;
	case ASKER:
		play_asker(random);
		break;
	case WAITER:
		if (stress_one_in(random, 6))
			stop(random);
		play_waiter(random);
		break;
	case COUNTER:
		play_counter();
		break;
	default:
		play_submitter(number, random);
	}
}

/* --- what came of it ---------------------------------------------------------------------------------- */

static bool can_end_as(const struct slot *slot, enum cancel_scheduled_status status)
{
	switch (status) {
	case CANCEL_SCHEDULED_CANCELLED:
		return true;
	case CANCEL_SCHEDULED_SUCCEEDED:
		return slot->sort == SORT_SUCCEEDS || slot->sort == SORT_RECOVERS;
	case CANCEL_SCHEDULED_FAILED:
		return slot->sort == SORT_FAILS;
	case CANCEL_SCHEDULED_TIMED_OUT:
		return slot->sort == SORT_HEEDS;
	default:
		return false;
	}
}

static unsigned tries_of(const struct slot *slot)
{
	return slot->sort == SORT_SUCCEEDS ? 1 : slot->tries.retries + 1;
}

struct place {
	enum cancel_lookup state;
	enum cancel_outcome outcome;
};

static struct place look(const char *task_id)
{
	struct cancel_request found;
	struct cancel_error error;
	struct place place;
	int code;

	cancel_request_init(&found);
	code = cancel_spool_lookup(spool, task_id, NULL, &found, &error);
	stress_expect(code >= 0, "looking up %s says %d: %s", task_id, code, error.text);
	place = (struct place){code < 0 ? CANCEL_LOOKUP_NONE : (enum cancel_lookup)code, found.outcome};
	cancel_request_clear(&found);
	return place;
}

static void judge_request(const struct slot *slot)
{
	struct place place = look(slot->id);

	stress_expect(!atomic_load(&slot->cancels) || atomic_load(&slot->asked) ||
			      place.state == CANCEL_LOOKUP_PROCESSED,
		      "%s was cancelled, and its request is in state %d", slot->id, place.state);
	if (place.state == CANCEL_LOOKUP_PROCESSED && slot->end.status == CANCEL_SCHEDULED_CANCELLED)
		stress_expect(place.outcome == CANCEL_OUTCOME_STOPPED ||
				      place.outcome == CANCEL_OUTCOME_FINISHED,
			      "%s was cancelled, and its request is %s", slot->id,
			      cancel_outcome_text(place.outcome));
}

static void judge(const struct slot *slot)
{
	const struct cancel_scheduled *end = &slot->end;
	unsigned ends = atomic_load(&slot->ends), calls = atomic_load(&slot->calls);

	stress_expect(ends == 1, "%s has ended %u times", slot->id, ends);
	stress_expect(calls == end->tries, "%s was called %u times in %u tries", slot->id, calls, end->tries);
	stress_expect(can_end_as(slot, end->status), "%s, of sort %d, has %s", slot->id, slot->sort,
		      cancel_scheduled_text(end->status));
	stress_expect(end->is_cancelled == (end->status == CANCEL_SCHEDULED_CANCELLED),
		      "%s: cancelled, and not", slot->id);
	stress_expect(end->status == CANCEL_SCHEDULED_CANCELLED || calls == tries_of(slot),
		      "%s has %s after %u tries", slot->id, cancel_scheduled_text(end->status), calls);
	stress_expect(!atomic_load(&slot->cancels) || end->status == CANCEL_SCHEDULED_CANCELLED,
		      "%s was cancelled, and has %s", slot->id, cancel_scheduled_text(end->status));
	judge_request(slot);
	seen[end->status]++;
	tasks_seen++;
}

static void judge_all(const struct cancel_scheduler_statistics *counted)
{
	unsigned long accepted = 0, of_status[CANCEL_SCHEDULED_TIMED_OUT + 1] = {0};

	for (int i = 0; i < SLOTS; i++) {
		if (!atomic_load(&slots[i].submitted)) {
			stress_expect(!atomic_load(&slots[i].calls) && !atomic_load(&slots[i].ends),
				      "%s was refused, and runs", slots[i].id);
			continue;
		}
		judge(&slots[i]);
		accepted++;
		of_status[slots[i].end.status]++;
	}
	stress_expect(counted->total == accepted && counted->running == 0 && counted->queued == 0,
		      "%lu accepted, %lu counted", accepted, (unsigned long)counted->total);
	stress_expect(counted->succeeded == of_status[CANCEL_SCHEDULED_SUCCEEDED] &&
			      counted->failed == of_status[CANCEL_SCHEDULED_FAILED] &&
			      counted->cancelled == of_status[CANCEL_SCHEDULED_CANCELLED] &&
			      counted->timed_out == of_status[CANCEL_SCHEDULED_TIMED_OUT],
		      "what was counted is not what was seen");
}

static void forget_requests(void)
{
	struct cancel_error error;

	for (int i = 0; i < SLOTS; i++) {
		if (slots[i].id[0])
			(void)cancel_spool_reset(spool, slots[i].id, NULL, &error);
		memset(&slots[i], 0, sizeof(slots[i]));
	}
}

/* --- rounds ------------------------------------------------------------------------------------------- */

static void open_scheduler(uint64_t *random)
{
	struct cancel_scheduler_options options;
	struct cancel_error error;

	if (cancel_scheduler_options_init(&options, &error) < 0)
		abort();
	options.threads = 1 + stress_pick(random, 4);
	options.queue_max = 1 + stress_pick(random, QUEUE);
	options.ended_max = stress_pick(random, 2) * SLOTS;
	options.log = stress_one_in(random, 2) ? note_line : NULL;
	if (cancel_scheduler_open(&scheduler, manager, &options, &error) < 0) {
		(void)fprintf(stderr, "cancel_scheduler_open: %s\n", error.text);
		abort();
	}
}

static void open_managers(void)
{
	manager = stress_manager_open(dir.path, true, CANCEL_NOTICE_AUTO, POLL_MS);
	spool = stress_spool_open(dir.path);
}

static void close_managers(void)
{
	stress_expect(cancel_manager_close(manager) == 0, "closing the manager");
	cancel_spool_close(spool);
}

static void end_round(uint64_t *random)
{
	struct cancel_scheduler_statistics counted;
	int code = stress_one_in(random, 2) ? cancel_scheduler_drain(scheduler, CANCEL_FOREVER)
					    : cancel_scheduler_shutdown(scheduler, CANCEL_FOREVER);

	stress_expect(code == 0, "the end says %d", code);
	cancel_scheduler_count(scheduler, &counted);
	judge_all(&counted);
	cancel_scheduler_close(scheduler);
}

static void play_everybody(void)
{
	struct stress_team team;
	uint64_t random = stress_seed(MEMBERS);

	open_managers();
	stress_team_start(&team, MEMBERS, play_member, NULL);
	while (stress_going()) {
		open_scheduler(&random);
		atomic_store(&submitters_left, SUBMITTERS);
		stress_team_round(&team);
		end_round(&random);
		forget_requests();
		round_number++;
	}
	stress_team_end(&team);
	close_managers();
}

/* --- one id ------------------------------------------------------------------------------------------- */

static atomic_uint alive, fights_won;

static int fight(void *arg, const struct cancel_try *now)
{
	(void)arg;
	(void)now;
	stress_expect(atomic_fetch_add(&alive, 1) == 0, "two tasks of one id run");
	stress_spin(SPIN);
	(void)atomic_fetch_sub(&alive, 1);
	return 0;
}

static void count_win(void *arg, const char *task_id, const struct cancel_scheduled *state)
{
	(void)task_id;
	stress_expect(state->status == CANCEL_SCHEDULED_SUCCEEDED ||
			      state->status == CANCEL_SCHEDULED_CANCELLED,
		      "the one has %s", cancel_scheduled_text(state->status));
	(void)atomic_fetch_add((atomic_uint *)arg, 1);
}

static atomic_uint accepted;

static void play_fighter(void *scene, unsigned number, uint64_t *random)
{
	struct cancel_submission submission;

	(void)scene;
	cancel_submission_init(&submission, scheduler);
	submission.ended = count_win;
	for (int i = 0; i < FIGHTS; i++) {
		struct cancel_error error;
		int code = cancel_scheduler_submit(scheduler, "the-one", fight, &fights_won, &submission,
						   &error);

		stress_expect(code == 0 || code == -EEXIST || code == -EAGAIN, "%u: %d: %s", number, code,
			      error.text);
		if (code == 0)
			(void)atomic_fetch_add(&accepted, 1);
		if (stress_one_in(random, 3))
			(void)cancel_scheduler_wait(scheduler, "the-one", CANCEL_SECOND, NULL);
		if (stress_one_in(random, 5))
			(void)cancel_scheduler_cancel(scheduler, "the-one", NULL, &error);
	}
}

static void play_one_id(void)
{
	struct stress_team team;
	uint64_t random = stress_seed(MEMBERS);

	open_managers();
	stress_team_start(&team, SUBMITTERS, play_fighter, NULL);
	while (stress_going()) {
		open_scheduler(&random);
		atomic_store(&accepted, 0);
		atomic_store(&fights_won, 0);
		stress_team_round(&team);
		stress_expect(cancel_scheduler_drain(scheduler, CANCEL_FOREVER) == 0, "the drain");
		stress_expect(atomic_load(&accepted) == atomic_load(&fights_won),
			      "%u accepted, %u have ended", atomic_load(&accepted), atomic_load(&fights_won));
		stress_expect(look("the-one").state != CANCEL_LOOKUP_PENDING, "a request is left");
		cancel_scheduler_close(scheduler);
	}
	stress_team_end(&team);
	close_managers();
}

int main(void)
{
	static const struct stress_part parts[] = {
		{"everybody", 4, play_everybody},
		{"one_id", 1, play_one_id},
	};

	spool_dir_make(&dir);
	stress_play("scheduler", parts, sizeof(parts) / sizeof(parts[0]));
	spool_dir_remove(&dir);
	return stress_end("%lu tasks: %lu succeeded, %lu failed, %lu cancelled, %lu timed out", tasks_seen,
			  seen[CANCEL_SCHEDULED_SUCCEEDED], seen[CANCEL_SCHEDULED_FAILED],
			  seen[CANCEL_SCHEDULED_CANCELLED], seen[CANCEL_SCHEDULED_TIMED_OUT]);
}
