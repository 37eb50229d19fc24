/*
 * Everybody is killed, at any time: workers with a thread and without, requesters, a watcher, a sweeper. Each
 * request is pending or was decided once, by who said so and as he said; the leases of the dead are dead; the
 * next run of a task for which a request is pending is stopped at its start.
 *
 * Rounds: a crew plays for a moment, members are killed and replaced meanwhile, and in the end all are
 * killed. Then the round is judged from what the dead noted in memory that they shared, and from what is
 * found. Who is killed between a decision and its note leaves the intention: that request may be pending, or
 * decided, and both are right.
 *
 * What a call does silently is seen where it does it: this program has a renameat2 of its own, which the
 * library uses.
 *
 * RUN_SECONDS is how long.
 *
 * Mutations that this catches: the lease of a dead run that is shown as alive, and of a living one that is
 * not; an end that decides twice, or as something else than it was told; pending removed before the decision
 * is written; a run that remembers what is pending as decided, and so is not stopped.
 */
#include "environment.h"
#include "spool_dir.h"
#include "stress_crew.h"
#include "stress_run.h"
#include "stress_spool.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	RUN_DEFAULT_S = 5,
	NAMES = 5,
	GROUPS = 2,
	MEMBERS = 8,
	ROUND_MS = STRESS_UNDER_TSAN ? 600 : 150,
	KILL_EVERY_MS = STRESS_UNDER_TSAN ? 60 : 6,
	NOTES_MAX = 1 << 17,
	WORK_LONGEST_MS = 3,
	BRIEF_S = 1, /* the life of some requests, so that sweeps have something to expire */
	MEMBER_CHECKPOINTS = 64,
};

/* --- notes -------------------------------------------------------------------------------------------- */

enum note_kind {
	NOTE_NONE, /* never finished: its writer was killed */
	NOTE_ASKED,
	NOTE_DECIDING, /* about to put the record in its place */
	NOTE_DECIDED,  /* it is there */
	NOTE_KEPT,     /* it could not be put there */
};

struct note {
	_Atomic int kind; /* last */
	int member;
	enum cancel_outcome outcome;
	char id[STRESS_ID_SIZE];
	char name[24];
};

/* What a worker runs, for as long as it surely does. */
struct running {
	atomic_uint version; /* odd: it runs */
	char task[24], run[24];
};

struct shared {
	atomic_uint notes_count;
	struct note notes[NOTES_MAX];
	struct running running[MEMBERS];
	atomic_ulong runs, stopped_at_start;
};

static struct spool_dir dir;
static struct shared *shared;
static int me = -1;
static enum cancel_outcome mine[2]; /* what this member may decide as just now */

static void take_note(enum note_kind kind, const char *id, const char *name, enum cancel_outcome outcome)
{
	unsigned at = atomic_fetch_add(&shared->notes_count, 1);

	if (at >= NOTES_MAX) {
		crew_expect(false, "too many notes");
		exit(1);
	}
	shared->notes[at].member = me;
	shared->notes[at].outcome = outcome;
	(void)snprintf(shared->notes[at].id, sizeof(shared->notes[at].id), "%s", id);
	(void)snprintf(shared->notes[at].name, sizeof(shared->notes[at].name), "%s", name);
	atomic_store(&shared->notes[at].kind, kind);
}

/* --- what is seen at the calls ------------------------------------------------------------------------ */

int renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned int flags);

/* Read a record without the library's looking: 0 when it is one. */
static int look(int dir_fd, const char *name, struct cancel_request *request)
{
	char text[CANCEL_RECORD_MAX];
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		(void)close(fd);
	cancel_request_init(request);
	return length < 0 ? -1 : cancel_request_parse(request, text, (size_t)length, NULL);
}

/* A record about a group's request is how a member ended, and decides nothing. */
static bool is_decision(int code, const struct cancel_request *request)
{
	return code == 0 && request->status == CANCEL_STATUS_PROCESSED && !request->group;
}

static void judge_outcome(const struct cancel_request *request)
{
	crew_expect(request->outcome == mine[0] || request->outcome == mine[1] ||
			    request->outcome == CANCEL_OUTCOME_EXPIRED,
		    "member %d decides '%s' as %s", me, request->task_id,
		    cancel_outcome_text(request->outcome));
}

int renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned int flags)
{
	struct cancel_request request;
	bool decides = is_decision(look(old_dir, old, &request), &request);
	int code, kept;

	if (decides) {
		judge_outcome(&request);
		take_note(NOTE_DECIDING, request.request_id, request.task_id, request.outcome);
	}
	code = (int)syscall(SYS_renameat2, old_dir, old, new_dir, new, flags);
	kept = errno;
	if (decides)
		take_note(code == 0 ? NOTE_DECIDED : NOTE_KEPT, request.request_id, request.task_id,
			  request.outcome);
	cancel_request_clear(&request);
	errno = kept;
	return code;
}

/* --- members ------------------------------------------------------------------------------------------ */

static void name_of(char name[24], unsigned number)
{
	(void)snprintf(name, 24, "kills-%u", number % NAMES);
}

static void group_of(char name[24], unsigned number)
{
	(void)snprintf(name, 24, "kills-group-%u", number % GROUPS);
}

static void pause_up_to(uint64_t *random, unsigned milliseconds)
{
	const struct timespec pause = {
		.tv_nsec = (long)(stress_chance(random) % (milliseconds * 1000000UL + 1))};

	(void)nanosleep(&pause, NULL);
}

static void allow(enum cancel_outcome one, enum cancel_outcome other)
{
	mine[0] = one;
	mine[1] = other;
}

/* Beside the task's own. */
static void say_running(const char *task, const char *run)
{
	struct running *running = &shared->running[me];

	(void)snprintf(running->task, sizeof(running->task), "%s", task);
	(void)snprintf(running->run, sizeof(running->run), "%s", run ? run : "");
	(void)atomic_fetch_add(&running->version, 1);
}

static void say_ending(void)
{
	(void)atomic_fetch_add(&shared->running[me].version, 1);
}

static bool work_at(struct cancel_task *task, uint64_t *random)
{
	unsigned checkpoints = stress_pick(random, MEMBER_CHECKPOINTS);
	int code;

	if (stress_one_in(random, 2)) {
		for (unsigned i = 0; i < checkpoints; i++)
			if (cancel_task_checkpoint(task))
				return true;
		return false;
	}
	code = cancel_task_wait(
		task, (int64_t)(stress_chance(random) % (WORK_LONGEST_MS * (uint64_t)CANCEL_MILLISECOND)));
	crew_expect(code >= 0, "the wait says %d", code);
	return code == 1;
}

static void end(struct cancel_task *task, enum cancel_outcome outcome)
{
	struct cancel_error error;
	int code;

	allow(outcome == CANCEL_OUTCOME_NONE ? CANCEL_OUTCOME_FAILED : outcome,
	      outcome == CANCEL_OUTCOME_NONE ? CANCEL_OUTCOME_FINISHED : outcome);
	code = cancel_task_end(task, outcome, "killed", &error);
	crew_expect(code >= 0 && code <= 2, "the end says %d: %s", code, code < 0 ? error.text : "");
	allow(CANCEL_OUTCOME_NONE, CANCEL_OUTCOME_NONE);
}

static void run_once(struct cancel_manager *manager, uint64_t *random)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_FINISHED, CANCEL_OUTCOME_FAILED,
						       CANCEL_OUTCOME_NONE};
	char name[24], group[24], run[24];
	const char *const also[] = {group};
	struct cancel_task_options options;
	struct cancel_error error;
	struct cancel_task *task;
	int code;

	name_of(name, stress_pick(random, NAMES));
	group_of(group, stress_pick(random, GROUPS));
	(void)snprintf(run, sizeof(run), "run-%u", stress_pick(random, NAMES));
	cancel_task_options_init(&options);
	options.run = stress_one_in(random, 2) ? run : NULL;
	options.also = also;
	options.also_count = 1;
	code = cancel_task_begin(&task, manager, name, &options, &error);
	crew_expect(code >= 0, "beginning '%s' says %d: %s", name, code, code < 0 ? error.text : "");
	if (code < 0)
		exit(1);
	say_running(name, options.run);
	(void)atomic_fetch_add(&shared->runs, 1);
	(void)atomic_fetch_add(&shared->stopped_at_start, code == 1);
	code = work_at(task, random);
	say_ending();
	end(task, code ? CANCEL_OUTCOME_STOPPED : outcomes[stress_pick(random, 3)]);
}

static void work(uint64_t *random, bool thread)
{
	struct cancel_manager *manager = stress_manager_open(dir.path, thread, CANCEL_NOTICE_AUTO, 1000);

	for (;;)
		run_once(manager, random);
}

static void work_with_thread(uint64_t *random)
{
	work(random, true);
}

static void work_without_thread(uint64_t *random)
{
	work(random, false);
}

static void ask(struct cancel_spool *spool, const char *name, const char *run, int64_t expires_in_s)
{
	struct cancel_request request;
	struct cancel_error error;
	int code;

	cancel_request_init(&request);
	request.task_id = name;
	request.run = run;
	request.expires_in_s = expires_in_s;
	code = cancel_spool_request(spool, &request, NULL, &error);
	crew_expect(code >= 0, "asking for '%s' says %d: %s", name, code, code < 0 ? error.text : "");
	if (code == CANCEL_REQUESTED)
		take_note(NOTE_ASKED, request.request_id, name, CANCEL_OUTCOME_NONE);
	cancel_request_clear(&request);
}

static void request_for_ever(uint64_t *random)
{
	struct cancel_spool *spool = stress_spool_open(dir.path);

	for (;;) {
		char name[24], run[24];
		bool group = stress_one_in(random, 6);

		name_of(name, stress_pick(random, NAMES));
		if (group)
			group_of(name, stress_pick(random, GROUPS));
		(void)snprintf(run, sizeof(run), "run-%u", stress_pick(random, NAMES));
		if (!stress_one_in(random, group ? 2 : 6)) {
			ask(spool, name, !group && stress_one_in(random, 2) ? run : NULL,
			    stress_one_in(random, 10) ? BRIEF_S : CANCEL_EXPIRES_DEFAULT);
		} else {
			allow(CANCEL_OUTCOME_WITHDRAWN, CANCEL_OUTCOME_WITHDRAWN);
			(void)stress_decide(spool, name, NULL, CANCEL_OUTCOME_WITHDRAWN);
		}
		pause_up_to(random, 1);
	}
}

static void sweep_for_ever(uint64_t *random)
{
	struct cancel_spool *spool = stress_spool_open(dir.path);

	for (;;) {
		struct cancel_sweep_options options = {.keep_for_s = stress_one_in(random, 2) ? 0 : 3600};
		struct cancel_sweep_result result;
		struct cancel_error error;
		int code = cancel_spool_sweep(spool, &options, NULL, NULL, &result, &error);

		crew_expect(code == 0, "sweeping says %d: %s", code, code < 0 ? error.text : "");
		crew_expect(code < 0 || result.refused + result.strangers == 0,
			    "a sweep meets %lld strangers and refuses %lld", (long long)result.strangers,
			    (long long)result.refused);
		pause_up_to(random, 2);
	}
}

static void ignore_event(void *arg, const struct cancel_event *event)
{
	(void)arg;
	crew_expect(event->type != CANCEL_EVENT_REFUSED, "refused: %s", event->text);
}

static void watch_for_ever(uint64_t *random)
{
	struct cancel_spool *spool = stress_spool_open(dir.path);
	struct cancel_watch_options options;
	struct cancel_watch *watch;
	struct cancel_error error;

	(void)random;
	cancel_watch_options_init(&options);
	options.take_drops = true;
	options.rings = true;
	if (cancel_watch_open(&watch, spool, &options, &error) < 0) {
		crew_expect(false, "watching: %s", error.text);
		exit(1);
	}
	for (;;) {
		struct pollfd item = {.fd = cancel_watch_fd(watch), .events = POLLIN};

		(void)poll(&item, 1, -1);
		(void)cancel_watch_dispatch(watch, ignore_event, NULL, &error);
	}
}

static void (*const parts[MEMBERS])(uint64_t *random) = {
	work_with_thread, work_with_thread, work_without_thread, work_without_thread,
	request_for_ever, request_for_ever, sweep_for_ever,      watch_for_ever,
};

enum { WORKERS = 4 };

static pid_t members[MEMBERS];
static unsigned long kills;

static void start_member(int number, uint64_t *random)
{
	uint64_t own = stress_chance(random);

	members[number] = crew_fork();
	if (members[number] > 0)
		return;
	me = number;
	parts[number](&own);
	exit(1);
}

/* --- leases ------------------------------------------------------------------------------------------- */

struct sighting {
	unsigned versions[WORKERS];
	bool seen[WORKERS];
	pid_t dead; /* nobody may show this one; 0: none is looked for */
};

static int look_at_run(void *arg, const struct cancel_run *run)
{
	struct sighting *sighting = arg;

	crew_expect(run->pid != sighting->dead, "process %ld is dead, and its lease on '%s' alive",
		    (long)run->pid, run->task_id);
	for (int i = 0; i < WORKERS; i++)
		if (run->pid == members[i])
			sighting->seen[i] = true;
	return 0;
}

/* A run that went on all the while is in the list, and none of whoever is dead. */
static void judge_leases(struct cancel_spool *spool, pid_t dead)
{
	struct sighting sighting = {.dead = dead};
	struct cancel_error error;
	int code;

	for (int i = 0; i < WORKERS; i++)
		sighting.versions[i] = atomic_load(&shared->running[i].version);
	code = cancel_spool_runs(spool, look_at_run, &sighting, &error);
	crew_expect(code == 0, "listing runs says %d: %s", code, code < 0 ? error.text : "");
	for (int i = 0; i < WORKERS; i++)
		crew_expect(sighting.seen[i] || sighting.versions[i] % 2 == 0 ||
				    atomic_load(&shared->running[i].version) != sighting.versions[i],
			    "member %d runs '%s', and nobody sees it", i, shared->running[i].task);
}

static pid_t kill_member(int number)
{
	pid_t pid = members[number];

	crew_kill(pid);
	kills++;
	if (number < WORKERS)
		atomic_store(&shared->running[number].version, 0);
	return pid;
}

/* --- judging ------------------------------------------------------------------------------------------ */

struct pending {
	char ids[NAMES * (NAMES + 1) + GROUPS][STRESS_ID_SIZE];
	int count;
};

static int note_pending(void *arg, const struct cancel_list_entry *entry)
{
	struct pending *pending = arg;

	crew_expect(entry->request != NULL, "refused: %s", entry->refusal ? entry->refusal->text : "");
	if (entry->request && pending->count < (int)(sizeof(pending->ids) / sizeof(pending->ids[0])))
		(void)strcpy(pending->ids[pending->count++], entry->request->request_id);
	return 0;
}

static bool is_pending(const struct pending *pending, const char *id)
{
	for (int i = 0; i < pending->count; i++)
		if (!strcmp(pending->ids[i], id))
			return true;
	return false;
}

/* One request's notes follow each other in the sorted book. */
static int by_id(const void *one, const void *other)
{
	return strcmp((*(const struct note *const *)one)->id, (*(const struct note *const *)other)->id);
}

struct account {
	int asked, deciding, decided, kept;
};

static void judge_request(const struct pending *pending, const struct note *note,
			  const struct account *account)
{
	bool stands = is_pending(pending, note->id);
	int open = account->deciding - account->decided - account->kept;

	crew_expect(account->asked <= 1, "'%s': %s was accepted %d times", note->name, note->id,
		    account->asked);
	crew_expect(account->decided <= 1, "'%s': %s was decided %d times", note->name, note->id,
		    account->decided);
	crew_expect(!stands || account->decided == 0, "'%s': %s was decided and is pending", note->name,
		    note->id);
	crew_expect(stands || account->decided == 1 || open > 0, "'%s': %s is LOST", note->name, note->id);
}

static unsigned long judged, decided;

static void judge_notes(const struct pending *pending)
{
	static const struct note *book[NOTES_MAX];
	unsigned count = atomic_load(&shared->notes_count), size = 0;

	for (unsigned i = 0; i < count; i++)
		if (atomic_load(&shared->notes[i].kind) != NOTE_NONE)
			book[size++] = &shared->notes[i];
	qsort(book, size, sizeof(book[0]), by_id);
	for (unsigned i = 0, next; i < size; i = next) {
		struct account account = {0};

		for (next = i; next < size && !strcmp(book[next]->id, book[i]->id); next++) {
			account.asked += book[next]->kind == NOTE_ASKED;
			account.deciding += book[next]->kind == NOTE_DECIDING;
			account.decided += book[next]->kind == NOTE_DECIDED;
			account.kept += book[next]->kind == NOTE_KEPT;
		}
		judge_request(pending, book[i], &account);
		judged++;
		decided += (unsigned long)account.decided;
	}
}

/* Nobody is left, so what is pending now stops this run, and nothing else does. */
static void judge_next_run(struct cancel_manager *manager, unsigned number, const char *run, bool thread)
{
	struct cancel_spool *spool = cancel_manager_spool(manager);
	struct cancel_task_options options;
	struct stress_place task, of_run = {.state = CANCEL_LOOKUP_NONE};
	struct cancel_error error;
	struct cancel_task *begun;
	char name[24];
	int code, stands;

	name_of(name, number);
	task = stress_look(spool, name, NULL);
	if (run)
		of_run = stress_look(spool, name, run);
	stands = (task.state == CANCEL_LOOKUP_PENDING) + (of_run.state == CANCEL_LOOKUP_PENDING);
	cancel_task_options_init(&options);
	options.run = run;
	code = cancel_task_begin(&begun, manager, name, &options, &error);
	crew_expect(code == (stands > 0), "%d pending for '%s', and beginning %s a thread says %d: %s",
		    stands, name, thread ? "with" : "without", code, code < 0 ? error.text : "");
	if (code < 0)
		return;
	allow(CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_STOPPED);
	code = cancel_task_end(begun, CANCEL_OUTCOME_STOPPED, NULL, &error);
	crew_expect(code == stands, "%d pending for '%s', and the end decides %d", stands, name, code);
}

static void judge_next_group(struct cancel_manager *manager, unsigned number)
{
	struct cancel_spool *spool = cancel_manager_spool(manager);
	struct cancel_task_options options;
	struct cancel_task *begun;
	char group[24];
	const char *const also[] = {group};
	struct stress_place place;
	int code;

	group_of(group, number);
	place = stress_look(spool, group, NULL);
	cancel_task_options_init(&options);
	options.also = also;
	options.also_count = 1;
	code = cancel_task_begin(&begun, manager, "kills-member", &options, NULL);
	crew_expect(code == (place.state == CANCEL_LOOKUP_PENDING), "'%s' in state %d, and beginning says %d",
		    group, place.state, code);
	if (code >= 0)
		crew_expect(cancel_task_end(begun, CANCEL_OUTCOME_STOPPED, NULL, NULL) == 0,
			    "a member decides a group's request");
	allow(CANCEL_OUTCOME_WITHDRAWN, CANCEL_OUTCOME_WITHDRAWN);
	(void)stress_decide(spool, group, NULL, CANCEL_OUTCOME_WITHDRAWN);
}

static void judge_next(bool thread)
{
	struct cancel_manager *manager = stress_manager_open(dir.path, thread, CANCEL_NOTICE_AUTO, 1000);
	char run[24];

	for (unsigned i = 0; i < NAMES; i++)
		for (unsigned each = 0; each < NAMES; each++) {
			(void)snprintf(run, sizeof(run), "run-%u", each);
			judge_next_run(manager, i, each == 0 && thread ? NULL : run, thread);
		}
	for (unsigned i = 0; i < GROUPS; i++)
		judge_next_group(manager, i);
	crew_expect(cancel_manager_close(manager) == 0, "closing the manager");
}

static int count_run(void *arg, const struct cancel_run *run)
{
	(void)arg;
	crew_expect(false, "all are dead, and '%s' is run by %ld", run->task_id, (long)run->pid);
	return 0;
}

/* In a process of its own, with or without a thread: this one has to stay with its only one. */
static void judge_in_child(bool thread)
{
	pid_t pid = crew_fork();

	if (pid == 0) {
		judge_next(thread);
		exit(0);
	}
	crew_reap(pid);
}

static void judge_round(struct cancel_spool *spool, bool thread)
{
	struct pending pending = {.count = 0};
	struct cancel_error error;

	crew_expect(cancel_spool_runs(spool, count_run, NULL, &error) == 0, "listing runs: %s", error.text);
	crew_expect(cancel_spool_list(spool, CANCEL_LIST_PENDING, note_pending, &pending, &error) == 0,
		    "listing: %s", error.text);
	judge_notes(&pending);
	(void)memset(shared->notes, 0, atomic_load(&shared->notes_count) * sizeof(shared->notes[0]));
	atomic_store(&shared->notes_count, 0);
	judge_in_child(thread);
	judge_in_child(!thread);
}

/* --- rounds ------------------------------------------------------------------------------------------- */

static void play_round(struct cancel_spool *spool, uint64_t *random)
{
	int64_t ends_ns = stress_now_ns() + ROUND_MS * CANCEL_MILLISECOND;

	for (int i = 0; i < MEMBERS; i++)
		start_member(i, random);
	while (stress_now_ns() < ends_ns) {
		int number = (int)stress_pick(random, MEMBERS);
		pid_t dead;

		pause_up_to(random, 2 * KILL_EVERY_MS);
		dead = kill_member(number);
		judge_leases(spool, dead);
		start_member(number, random);
	}
	for (int i = 0; i < MEMBERS; i++)
		(void)kill_member(i);
	judge_round(spool, stress_one_in(random, 2));
	crew_step();
}

int main(void)
{
	int64_t ends_ns = stress_now_ns() + environment_number("RUN_SECONDS", RUN_DEFAULT_S) * CANCEL_SECOND;
	static struct cancel_spool
		*spool; /* where a leak checker finds it in the processes that are forked */
	unsigned long rounds = 0;
	uint64_t random;

	crew_begin("kills");
	random = crew_seed(0);
	shared = crew_share(sizeof(*shared));
	spool_dir_make(&dir);
	spool = stress_spool_open(dir.path);
	for (; rounds == 0 || stress_now_ns() < ends_ns; rounds++)
		play_round(spool, &random);
	cancel_spool_close(spool);
	spool_dir_remove(&dir);
	return crew_end("%lu rounds, %lu killed, %lu runs (%lu stopped at their start), %lu requests, %lu of "
			"them decided",
			rounds, kills, atomic_load(&shared->runs), atomic_load(&shared->stopped_at_start),
			judged, decided);
}
