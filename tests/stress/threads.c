/*
 * Many threads on one open spool, while another thread puts a second spool in its place and back again: for
 * ThreadSanitizer and valgrind. What was accepted must be decided or pending in one of the two in the end, no
 * call may fail, and no descriptor may be left open. RUN_SECONDS is its length.
 *
 * Mutations that this catches: descriptors replaced without the write lock (TSan, or EBADF); a thread that
 * uses them outside spool_enter and spool_leave; a request published into the spool that was put away, and
 * forgotten; the old descriptors not closed.
 */
#include "environment.h"
#include "spool_dir.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	ACTORS = 6,
	NAMES = 7,
	ACCEPTED_MAX = 200000, /* of one thread; then it asks no more */
	RUN_DEFAULT_S = 3,
	SWAP_PAUSE_NS = 3000000,
	ID_SIZE = CANCEL_REQUEST_ID_LENGTH + 1,
};

struct ids {
	char (*ids)[ID_SIZE];
	size_t count, room;
};

struct actor {
	pthread_t thread;
	uint64_t random;
	struct ids accepted, decided;
	long done;
};

static struct spool_dir dir;
static char other_path[64];
static struct cancel_spool *spool;
static atomic_bool stop;
static atomic_long failures;

/* --- common ------------------------------------------------------------------------------------------- */

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static void complain(const char *what, const struct cancel_error *error)
{
	(void)fprintf(stderr, "threads: %s: %d: %s\n", what, error->code, error->text);
	(void)atomic_fetch_add(&failures, 1);
}

static struct cancel_spool *open_spool(const char *path, bool create)
{
	struct cancel_spool_options options;
	struct cancel_spool *opened;
	struct cancel_error error;

	cancel_spool_options_init(&options);
	options.path = path;
	options.create = create;
	if (cancel_spool_open(&opened, &options, &error) < 0) {
		complain("opening", &error);
		abort();
	}
	return opened;
}

static void keep(struct ids *ids, const char *id)
{
	if (ids->count < ids->room)
		(void)strcpy(ids->ids[ids->count++], id);
}

static uint64_t chance(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- what a thread does ------------------------------------------------------------------------------- */

static void ask(struct actor *actor, const char *name)
{
	struct cancel_request request, standing;
	struct cancel_error error;
	int code;

	if (actor->accepted.count == ACCEPTED_MAX)
		return;
	cancel_request_init(&request);
	cancel_request_init(&standing);
	request.task_id = name;
	code = cancel_spool_request(spool, &request, &standing, &error);
	if (code == CANCEL_REQUESTED)
		keep(&actor->accepted, request.request_id);
	else if (code < 0)
		complain("asking", &error);
	cancel_request_clear(&standing);
	cancel_request_clear(&request);
}

static void decide(struct actor *actor, const char *name)
{
	struct cancel_request decided;
	struct cancel_error error;
	int code;

	cancel_request_init(&decided);
	code = cancel_spool_decide(spool, name, NULL, NULL, CANCEL_OUTCOME_STOPPED, NULL, &decided, &error);
	if (code == CANCEL_DECIDED)
		keep(&actor->decided, decided.request_id);
	else if (code != -ENOENT)
		complain("deciding", &error);
	cancel_request_clear(&decided);
}

static void look_up(struct actor *actor, const char *name)
{
	struct cancel_request found;
	struct cancel_error error;

	(void)actor;
	cancel_request_init(&found);
	if (cancel_spool_lookup(spool, name, NULL, &found, &error) < 0)
		complain("looking up", &error);
	cancel_request_clear(&found);
}

static void check(struct actor *actor, const char *name)
{
	struct cancel_error error;
	struct cancel_mark mark;

	(void)actor;
	if (cancel_spool_mark(spool, name, "run", &mark, &error) < 0 ||
	    cancel_spool_check(spool, name, "run", &mark, NULL, &error) < 0)
		complain("checking", &error);
}

static int visit(void *arg, const struct cancel_list_entry *entry)
{
	(void)arg;
	if (entry->refusal)
		complain("listing", entry->refusal);
	return 0;
}

static void list(struct actor *actor, const char *name)
{
	struct cancel_error error;

	(void)actor;
	(void)name;
	if (cancel_spool_list(spool, CANCEL_LIST_ALL, visit, NULL, &error) < 0)
		complain("listing", &error);
}

static void sweep(struct actor *actor, const char *name)
{
	struct cancel_sweep_options options = {.keep_for_s = 0};
	struct cancel_sweep_result result;
	struct cancel_error error;

	(void)actor;
	(void)name;
	if (cancel_spool_sweep(spool, &options, NULL, NULL, &result, &error) < 0)
		complain("sweeping", &error);
}

static void take_in(struct actor *actor, const char *name)
{
	struct cancel_error error;

	(void)actor;
	(void)name;
	if (cancel_spool_intake(spool, NULL, NULL, &error) < 0)
		complain("taking in", &error);
}

static void inform(struct actor *actor, const char *name)
{
	struct cancel_spool_info info;
	struct cancel_error error;

	(void)actor;
	(void)name;
	if (cancel_spool_info(spool, &info, &error) < 0)
		complain("describing", &error);
}

static void report(void *arg, int64_t tag, int result, const struct cancel_request *request,
		   const struct cancel_error *error)
{
	struct actor *actor = arg;

	(void)tag;
	if (result == CANCEL_REQUESTED)
		keep(&actor->accepted, request->request_id);
	else if (result < 0)
		complain("asking for a batch", error);
}

static void ask_batch(struct actor *actor, const char *name)
{
	struct cancel_batch *batch;
	struct cancel_request request;
	struct cancel_error error;

	if (actor->accepted.count == ACCEPTED_MAX)
		return;
	if (cancel_batch_open(&batch, spool, report, actor, &error) < 0) {
		complain("opening a batch", &error);
		return;
	}
	cancel_request_init(&request);
	request.task_id = name;
	cancel_batch_add(batch, &request, 0);
	if (cancel_batch_close(batch, &error) < 0)
		complain("closing a batch", &error);
}

static const struct {
	void (*act)(struct actor *actor, const char *name);
	unsigned weight;
} operations[] = {
	{ask, 30}, {ask_batch, 3}, {decide, 25}, {look_up, 15}, {check, 15},
	{list, 3}, {sweep, 2},     {take_in, 2}, {inform, 5},
};

static void act_once(struct actor *actor)
{
	uint64_t choice = chance(&actor->random) % 100;
	size_t i = 0;
	char name[32];

	while (choice >= operations[i].weight)
		choice -= operations[i++].weight;
	(void)snprintf(name, sizeof(name), "thread-%d", (int)((chance(&actor->random) >> 7) % NAMES));
	operations[i].act(actor, name);
	actor->done++;
}

static void *run_actor(void *arg)
{
	struct actor *actor = arg;

	while (!atomic_load(&stop))
		act_once(actor);
	return NULL;
}

/* There is a spool at the path at every moment. */
static void *swap_spools(void *arg)
{
	const struct timespec pause = {.tv_nsec = SWAP_PAUSE_NS};
	long *swaps = arg;

	while (!atomic_load(&stop)) {
		if (renameat2(AT_FDCWD, dir.path, AT_FDCWD, other_path, RENAME_EXCHANGE) < 0)
			give_up("renameat2");
		(*swaps)++;
		(void)nanosleep(&pause, NULL);
	}
	return NULL;
}

/* --- what it came to ---------------------------------------------------------------------------------- */

static int by_id(const void *one, const void *other)
{
	return strcmp(one, other);
}

static int note_pending(void *arg, const struct cancel_list_entry *entry)
{
	if (entry->request)
		keep(arg, entry->request->request_id);
	return 0;
}

static void note_all_pending(struct ids *ids, const char *path)
{
	struct cancel_spool *each = open_spool(path, false);

	if (cancel_spool_list(each, CANCEL_LIST_PENDING, note_pending, ids, NULL) < 0)
		give_up(path);
	cancel_spool_close(each);
}

static struct ids new_ids(size_t count)
{
	struct ids ids = {calloc(count, ID_SIZE), 0, count};

	if (!ids.ids)
		give_up("calloc");
	return ids;
}

/* Accepted, and neither decided nor pending. A request may be in both spools, so it may be decided twice. */
static long count_lost(const struct actor actors[ACTORS])
{
	struct ids ends = new_ids((size_t)ACCEPTED_MAX * (ACTORS + 1));
	long lost = 0;

	note_all_pending(&ends, dir.path);
	note_all_pending(&ends, other_path);
	for (int i = 0; i < ACTORS; i++) {
		(void)memcpy(ends.ids[ends.count], actors[i].decided.ids, actors[i].decided.count * ID_SIZE);
		ends.count += actors[i].decided.count;
	}
	qsort(ends.ids, ends.count, ID_SIZE, by_id);
	for (int i = 0; i < ACTORS; i++)
		for (size_t at = 0; at < actors[i].accepted.count; at++)
			lost += !bsearch(actors[i].accepted.ids[at], ends.ids, ends.count, ID_SIZE, by_id);
	free(ends.ids);
	return lost;
}

static void run_all(struct actor actors[ACTORS], long *swaps, int seconds)
{
	const struct timespec length = {.tv_sec = seconds};
	pthread_t swapper;

	for (int i = 0; i < ACTORS; i++) {
		actors[i].random = 0x9e3779b97f4a7c15U * (uint64_t)(i + 1);
		actors[i].accepted = new_ids(ACCEPTED_MAX);
		actors[i].decided = new_ids((size_t)ACCEPTED_MAX * ACTORS);
		if (pthread_create(&actors[i].thread, NULL, run_actor, &actors[i]) != 0)
			give_up("pthread_create");
	}
	if (pthread_create(&swapper, NULL, swap_spools, swaps) != 0)
		give_up("pthread_create");
	(void)nanosleep(&length, NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < ACTORS; i++)
		(void)pthread_join(actors[i].thread, NULL);
	(void)pthread_join(swapper, NULL);
}

int main(void)
{
	static struct actor actors[ACTORS];
	long swaps = 0, done = 0, accepted = 0, lost;
	struct cancel_statistics statistics;
	int seconds = (int)environment_number("RUN_SECONDS", RUN_DEFAULT_S), descriptors, leaked;

	spool_dir_make(&dir);
	(void)snprintf(other_path, sizeof(other_path), "%s/other", dir.root);
	cancel_spool_close(open_spool(other_path, true));
	spool = open_spool(dir.path, true);
	/* Whoever has read the bell once keeps it open. */
	(void)cancel_spool_statistics(spool, &statistics, NULL);
	descriptors = token_count_descriptors();
	run_all(actors, &swaps, seconds);
	(void)cancel_spool_statistics(spool, &statistics, NULL); /* that of the spool that stands now */
	leaked = token_count_descriptors() - descriptors;
	cancel_spool_close(spool);
	lost = count_lost(actors);
	for (int i = 0; i < ACTORS; i++) {
		done += actors[i].done;
		accepted += (long)actors[i].accepted.count;
		free(actors[i].accepted.ids);
		free(actors[i].decided.ids);
	}
	spool_dir_remove(&dir);
	(void)printf(
		"threads: %d threads on one spool for %d s, which was replaced %ld times: %ld operations, "
		"%ld requests, %ld lost, %ld failures, %d descriptors kept\n",
		ACTORS, seconds, swaps, done, accepted, lost, atomic_load(&failures), leaked);
	return lost || atomic_load(&failures) || leaked;
}
