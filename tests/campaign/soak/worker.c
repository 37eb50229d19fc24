/* Workers: they run tasks of fresh names for some milliseconds, until somebody cancels them or not, and then
 * the same task once more, which nothing that was decided may hit. */
#include "soak.h"

#include "campaign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LONGEST_MS = 25,
	WITH_RUN_ONE_IN = 3,
	WITH_GROUP_ONE_IN = 3,
};

#define RUN_ID "r"

/* The request that has hit a run, if that was for its own name. */
struct hit {
	char id[CANCEL_REQUEST_ID_LENGTH + 1]; /* "": none */
};

static struct hit what_hit(struct cancel_task *task, const char *name)
{
	struct hit hit = {""};
	struct cancel_why why;

	cancel_task_why(task, &why);
	if (why.kind == CANCEL_WHY_REQUEST && !strcmp(why.id, name))
		(void)strcpy(hit.id, why.request->request_id);
	return hit;
}

static bool wait_for_request(struct cancel_task *task, bool at_once)
{
	int64_t longest_ns = (int64_t)(campaign_chance() % (LONGEST_MS * (uint64_t)CANCEL_MILLISECOND));
	int code = at_once ? 1 : cancel_task_wait(task, longest_ns);

	if (code < 0)
		journal_complain("a wait says %d", code);
	return code == 1;
}

/* Where a group's request stops it, even at the last moment, what it leaves is no decision about its own
 * name. */
static void end(struct cancel_task *task, const char *name, const char *run, bool cancelled, bool in_group)
{
	struct cancel_error error;
	char key[SLOT_SIZE];

	(void)snprintf(key, sizeof(key), "%s%s%s", name, run ? "@" : "", run ? run : "");
	if (in_group)
		journal_note(JOURNAL_MEMBER, key);
	if (cancel_task_end(task, cancelled ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_FINISHED, NULL,
			    &error) < 0)
		journal_complain("the end of '%s': %s", name, error.text);
}

static struct hit run_once(struct cancel_manager *manager, const char *name, const char *run)
{
	bool in_group = !campaign_pick(WITH_GROUP_ONE_IN), cancelled;
	struct cancel_task_options options;
	struct cancel_error error;
	struct cancel_task *task;
	char group[SLOT_SIZE];
	const char *const also[] = {group};
	struct hit hit;
	int code;

	group_now(group);
	cancel_task_options_init(&options);
	options.run = run;
	options.also = also;
	options.also_count = in_group;
	code = cancel_task_begin(&task, manager, name, &options, &error);
	if (code < 0) {
		journal_complain("beginning '%s': %s", name, error.text);
		exit(1);
	}
	cancelled = wait_for_request(task, code == 1);
	hit = what_hit(task, name);
	end(task, name, run, cancelled, in_group);
	return hit;
}

static void play(int slot, bool thread)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool;
	struct cancel_manager *manager;
	struct cancel_error error;

	cancel_manager_options_init(&options);
	soak_spool_options(&spool);
	options.spool = &spool;
	options.thread = thread;
	if (cancel_manager_open(&manager, &options, &error) < 0) {
		journal_complain("a manager: %s", error.text);
		exit(1);
	}
	for (;;) {
		const char *run = campaign_pick(WITH_RUN_ONE_IN) ? NULL : RUN_ID;
		char name[SLOT_SIZE];
		struct hit first, second;

		name_fresh(name, thread ? "threaded" : "plain");
		slot_set(slot, name);
		first = run_once(manager, name, run);
		slot_set(slot, "");
		second = run_once(manager, name, run);
		slot_set_descriptors(slot, descriptors_of(getpid()));
		/* DESIGN.md, invariant 10 */
		if (first.id[0] && !strcmp(first.id, second.id))
			journal_complain("'%s': request %s hit two runs", name, first.id);
	}
}

void play_worker_with_thread(int slot)
{
	play(slot, true);
}

void play_worker_without_thread(int slot)
{
	play(slot, false);
}
