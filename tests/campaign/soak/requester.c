/* A requester of the library's: single requests, for runs and for groups, batches, withdrawals and resets. */
#include "soak.h"

#include "campaign.h"

#include <cancel/batch.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PAUSE_MS = 4,
	GROUP_MS = 10,
	BATCH_COUNT = 4,
};

#define RUN_ID "r"

void soak_spool_options(struct cancel_spool_options *options)
{
	cancel_spool_options_init(options);
	options->path = scene.dir.path;
	options->create = true;
	options->expire_after_s = EXPIRE_S;
}

struct cancel_spool *soak_spool_open(void)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool;
	struct cancel_error error;

	soak_spool_options(&options);
	if (cancel_spool_open(&spool, &options, &error) == 0)
		return spool;
	journal_complain("%s", error.text);
	exit(1);
}

void soak_pause_ms(unsigned longest_ms)
{
	const struct timespec pause = {.tv_nsec = (long)campaign_pick(longest_ms * 1000000 + 1)};

	(void)nanosleep(&pause, NULL);
}

static void note_answer(const char *key, int code, const struct cancel_error *error)
{
	if (code < 0)
		journal_complain("asking for '%s': %s", key, error->text);
	else
		journal_note(code == CANCEL_REQUESTED ? JOURNAL_ACCEPTED : JOURNAL_MERGED, key);
}

static void ask(struct cancel_spool *spool, const char *name, const char *run)
{
	char key[SLOT_SIZE + sizeof(RUN_ID) + 1];
	struct cancel_request request;
	struct cancel_error error;
	int code;

	(void)snprintf(key, sizeof(key), "%s%s%s", name, run ? "@" : "", run ? run : "");
	cancel_request_init(&request);
	request.task_id = name;
	request.run = run;
	request.reason = "soaked";
	journal_note(JOURNAL_TRIED, key);
	code = cancel_spool_request(spool, &request, NULL, &error);
	note_answer(key, code, &error);
	cancel_request_clear(&request);
}

static void ask_for_one(struct cancel_spool *spool)
{
	char name[SLOT_SIZE];

	if (!slot_pick(name))
		name_fresh(name, "nobody");
	ask(spool, name, campaign_pick(5) ? NULL : RUN_ID);
}

static void ask_for_nobody(struct cancel_spool *spool)
{
	char name[SLOT_SIZE];

	name_fresh(name, "nobody");
	ask(spool, name, NULL);
	ask(spool, name, NULL);
}

static void withdraw_name(struct cancel_spool *spool, const char *name)
{
	struct cancel_error error;
	int code = cancel_spool_decide(spool, name, NULL, NULL, CANCEL_OUTCOME_WITHDRAWN, NULL, NULL, &error);

	if (code < 0 && code != -ENOENT)
		journal_complain("withdrawing '%s': %s", name, error.text);
}

static void withdraw(struct cancel_spool *spool)
{
	char name[SLOT_SIZE];

	if (!campaign_pick(2) || !slot_pick(name)) {
		name_fresh(name, "withdrawn");
		ask(spool, name, NULL);
	}
	withdraw_name(spool, name);
}

static void reset(struct cancel_spool *spool)
{
	char name[SLOT_SIZE];
	struct cancel_error error;

	name_fresh(name, "reset");
	ask(spool, name, NULL);
	if (cancel_spool_reset(spool, name, NULL, &error) < 0)
		journal_complain("resetting '%s': %s", name, error.text);
}

/* Everybody who runs stops; then the next group's turn comes. */
static void ask_for_group(struct cancel_spool *spool)
{
	char name[SLOT_SIZE];

	group_now(name);
	ask(spool, name, NULL);
	soak_pause_ms(GROUP_MS);
	group_next();
	withdraw_name(spool, name);
}

static void on_result(void *arg, int64_t tag, int result, const struct cancel_request *request,
		      const struct cancel_error *error)
{
	(void)tag;
	(void)request;
	note_answer(((char(*)[SLOT_SIZE])arg)[tag], result, error);
}

static void ask_in_batch(struct cancel_spool *spool)
{
	char names[BATCH_COUNT][SLOT_SIZE];
	struct cancel_request request;
	struct cancel_batch *batch;
	struct cancel_error error;

	if (cancel_batch_open(&batch, spool, on_result, names, &error) < 0) {
		journal_complain("a batch: %s", error.text);
		return;
	}
	cancel_request_init(&request);
	for (int i = 0; i < BATCH_COUNT; i++) {
		if (campaign_pick(2) || !slot_pick(names[i]))
			name_fresh(names[i], "batch");
		request.task_id = names[i];
		journal_note(JOURNAL_TRIED, names[i]);
		cancel_batch_add(batch, &request, i);
	}
	if (cancel_batch_close(batch, &error) < 0)
		journal_complain("a batch: %s", error.text);
}

void play_requester(int slot)
{
	/* As often as they stand here. */
	static void (*const acts[])(struct cancel_spool *) = {
		ask_for_one,    ask_for_one, ask_for_one, ask_for_one,  ask_for_one,
		ask_for_nobody, withdraw,    reset,       ask_in_batch, ask_for_group,
	};
	struct cancel_spool *spool = soak_spool_open();

	(void)slot;
	for (;;) {
		acts[campaign_pick(sizeof(acts) / sizeof(acts[0]))](spool);
		soak_pause_ms(PAUSE_MS);
	}
}
