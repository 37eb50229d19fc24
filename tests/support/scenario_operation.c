#include "scenario_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HOUR_MS = 3600 * 1000,
	WATCH_TIMEOUT_MS = 30000,
};

void scenario_claim(struct scenario_trial *trial, enum scenario_told what, const char *task, const char *id,
		    enum cancel_outcome outcome)
{
	struct scenario_result *result = trial->result;
	struct scenario_claim *claim = &result->claims[result->claim_count];

	if (result->claim_count == SCENARIO_CLAIMS_MAX)
		abort();
	claim->what = what;
	claim->outcome = outcome;
	(void)snprintf(claim->task, sizeof(claim->task), "%s", task);
	(void)snprintf(claim->id, sizeof(claim->id), "%s", id ? id : "");
	result->claim_count++;
}

/* --- requests ----------------------------------------------------------------------------------------- */

static int request_until(struct scenario_trial *trial, int64_t expires_in_s)
{
	struct cancel_request request, standing;
	int code;

	cancel_request_init(&request);
	cancel_request_init(&standing);
	request.task_id = SCENARIO_TASK;
	request.reason = SCENARIO_REASON;
	request.expires_in_s = expires_in_s;
	code = cancel_spool_request(trial->spool, &request, &standing, &trial->error);
	if (code == CANCEL_REQUESTED)
		scenario_claim(trial, SCENARIO_TOLD_REQUESTED, SCENARIO_TASK, request.request_id,
			       CANCEL_OUTCOME_NONE);
	if (code == CANCEL_ALREADY_PENDING)
		scenario_claim(trial, SCENARIO_TOLD_ALREADY_PENDING, SCENARIO_TASK, standing.request_id,
			       CANCEL_OUTCOME_NONE);
	cancel_request_clear(&request);
	cancel_request_clear(&standing);
	return code < 0 ? code : 0;
}

int operate_request(struct scenario_trial *trial)
{
	return request_until(trial, CANCEL_EXPIRES_DEFAULT);
}

int operate_request_longer(struct scenario_trial *trial)
{
	return request_until(trial, CANCEL_EXPIRES_NEVER);
}

struct batch_use {
	struct scenario_trial *trial;
	int worst;
};

static void report_of_batch(void *arg, int64_t tag, int code, const struct cancel_request *request,
			    const struct cancel_error *error)
{
	struct batch_use *use = arg;

	(void)tag;
	if (code >= 0)
		scenario_claim(use->trial,
			       code == CANCEL_REQUESTED ? SCENARIO_TOLD_REQUESTED
							: SCENARIO_TOLD_ALREADY_PENDING,
			       request->task_id, request->request_id, CANCEL_OUTCOME_NONE);
	if (code < 0 && use->worst == 0) {
		use->worst = code;
		use->trial->error = *error;
	}
}

int operate_batch(struct scenario_trial *trial)
{
	struct batch_use use = {.trial = trial};
	struct cancel_batch *batch;
	int code = cancel_batch_open(&batch, trial->spool, report_of_batch, &use, &trial->error);

	if (code < 0)
		return code;
	for (int i = 1; i <= SCENARIO_BATCH; i++) {
		struct cancel_request request;
		char task[16];

		(void)snprintf(task, sizeof(task), SCENARIO_TASK "%d", i);
		cancel_request_init(&request);
		request.task_id = task;
		request.reason = SCENARIO_REASON;
		cancel_batch_add(batch, &request, i);
	}
	code = cancel_batch_close(batch, use.worst ? NULL : &trial->error);
	return use.worst ? use.worst : code;
}

/* --- decisions ---------------------------------------------------------------------------------------- */

static int decide_as(struct scenario_trial *trial, enum cancel_outcome outcome)
{
	struct cancel_request decided;
	int code;

	cancel_request_init(&decided);
	code = cancel_spool_decide(trial->spool, SCENARIO_TASK, NULL, NULL, outcome, "by a scenario",
				   &decided, &trial->error);
	if (code >= 0)
		scenario_claim(trial,
			       code == CANCEL_DECIDED ? SCENARIO_TOLD_DECIDED : SCENARIO_TOLD_ALREADY_DECIDED,
			       SCENARIO_TASK, decided.request_id, decided.outcome);
	cancel_request_clear(&decided);
	return code == -ENOENT ? 1 : code < 0 ? code : 0;
}

int operate_decide(struct scenario_trial *trial)
{
	return decide_as(trial, CANCEL_OUTCOME_STOPPED);
}

int operate_withdraw(struct scenario_trial *trial)
{
	return decide_as(trial, CANCEL_OUTCOME_WITHDRAWN);
}

int operate_reset(struct scenario_trial *trial)
{
	int code = cancel_spool_reset(trial->spool, SCENARIO_TASK, NULL, &trial->error);

	if (code >= 0)
		scenario_claim(trial, SCENARIO_TOLD_RESET, SCENARIO_TASK, NULL, CANCEL_OUTCOME_NONE);
	return code < 0 ? code : 0;
}

/* --- keeping ------------------------------------------------------------------------------------------ */

static void report_of_sweep(void *arg, const struct cancel_request *request)
{
	if (request->outcome == CANCEL_OUTCOME_EXPIRED)
		scenario_claim(arg, SCENARIO_TOLD_DECIDED, request->task_id, request->request_id,
			       request->outcome);
}

static int sweep_keeping(struct scenario_trial *trial, int64_t keep_for_s)
{
	struct cancel_sweep_options options;
	struct cancel_sweep_result result;

	cancel_sweep_options_init(&options);
	options.keep_for_s = keep_for_s;
	return cancel_spool_sweep(trial->spool, &options, report_of_sweep, trial, &result, &trial->error);
}

int operate_sweep(struct scenario_trial *trial)
{
	return sweep_keeping(trial, 86400);
}

int operate_sweep_all(struct scenario_trial *trial)
{
	return sweep_keeping(trial, 0);
}

int operate_intake(struct scenario_trial *trial)
{
	int code = cancel_spool_intake(trial->spool, NULL, NULL, &trial->error);

	return code < 0 ? code : 0;
}

/* --- looking ------------------------------------------------------------------------------------------ */

int operate_look(struct scenario_trial *trial)
{
	int code = cancel_spool_lookup(trial->spool, SCENARIO_TASK, NULL, NULL, &trial->error);

	return code < 0 ? code : code == CANCEL_LOOKUP_NONE;
}

int operate_question(struct scenario_trial *trial)
{
	int code = cancel_spool_check(trial->spool, SCENARIO_TASK, NULL, NULL, NULL, &trial->error);

	return code < 0 ? code : code == 0;
}

static int open_own(struct cancel_spool **spool, struct scenario_trial *trial)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	options.path = trial->dir.path;
	options.create = true;
	options.durability = trial->scenario->durability;
	return cancel_spool_open(spool, &options, &trial->error);
}

int operate_open(struct scenario_trial *trial)
{
	struct cancel_spool *spool;
	int code = open_own(&spool, trial);

	if (code == 0)
		cancel_spool_close(spool);
	return code;
}

static void note_event(void *arg, const struct cancel_event *event)
{
	bool *seen = arg;

	if (event->type == CANCEL_EVENT_REQUESTED && !strcmp(event->request->task_id, SCENARIO_TASK))
		*seen = true;
}

/* A dispatch that failed is repeated as the manual says: the descriptor asks for it. */
int operate_watch(struct scenario_trial *trial)
{
	struct cancel_watch *watch;
	bool seen = false;
	int code = cancel_watch_open(&watch, trial->spool, NULL, &trial->error), ready = 1;

	if (code < 0)
		return code;
	while (code >= 0 && !seen && ready != 0) {
		struct pollfd poll_fd = {.fd = cancel_watch_fd(watch), .events = POLLIN};

		ready = poll(&poll_fd, 1, WATCH_TIMEOUT_MS); /* failed or interrupted: look all the same */
		code = cancel_watch_dispatch(watch, note_event, &seen, &trial->error);
	}
	cancel_watch_close(watch);
	return seen ? 0 : code < 0 ? code : 1;
}

/* --- runs --------------------------------------------------------------------------------------------- */

struct run_use {
	struct cancel_manager *manager;
	struct cancel_task *task;
};

struct cancel_manager *scenario_manager(struct scenario_trial *trial, bool thread)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool;
	struct cancel_manager *manager = NULL;

	cancel_spool_options_init(&spool);
	spool.path = trial->dir.path;
	spool.create = true;
	cancel_manager_options_init(&options);
	options.spool = &spool;
	options.thread = thread;
	options.poll_interval_ms = HOUR_MS;
	(void)cancel_manager_open(&manager, &options, &trial->error);
	return manager;
}

int scenario_begin_run(struct scenario_trial *trial, struct cancel_manager *manager,
		       struct cancel_task **task)
{
	const char *const also[] = {SCENARIO_GROUP};
	struct cancel_task_options options;

	cancel_task_options_init(&options);
	options.run = SCENARIO_RUN;
	options.also = also;
	options.also_count = 1;
	return cancel_task_begin(task, manager, SCENARIO_TASK, &options, &trial->error);
}

static int set_up(struct scenario_trial *trial, bool thread)
{
	struct run_use *use = calloc(1, sizeof(*use));

	trial->set_up = use;
	if (!use)
		return -ENOMEM;
	use->manager = scenario_manager(trial, thread);
	return use->manager ? 0 : trial->error.code;
}

int set_up_manager(struct scenario_trial *trial)
{
	return set_up(trial, false);
}

int set_up_manager_threaded(struct scenario_trial *trial)
{
	return set_up(trial, true);
}

int set_up_asked_run(struct scenario_trial *trial)
{
	int code = set_up(trial, false);
	struct run_use *use = trial->set_up;

	if (code == 0)
		code = scenario_begin_run(trial, use->manager, &use->task);
	return code < 0 ? code : operate_request(trial);
}

static const char *claim_stop(struct scenario_trial *trial, struct cancel_task *task)
{
	struct cancel_why why;

	cancel_task_why(task, &why);
	if (!why.request)
		return NULL;
	scenario_claim(trial, SCENARIO_TOLD_STOPPED, why.id, why.request->request_id, CANCEL_OUTCOME_NONE);
	return trial->result->claims[trial->result->claim_count - 1].id;
}

static int begin(struct scenario_trial *trial, struct run_use *use)
{
	int code = scenario_begin_run(trial, use->manager, &use->task);

	if (code == 1)
		(void)claim_stop(trial, use->task);
	return code;
}

/* A failure to begin leaves nothing, and a task that has begun is left to its process's end. */
int operate_begin(struct scenario_trial *trial)
{
	int code = begin(trial, trial->set_up);

	return code < 0 ? code : 0;
}

int operate_checkpoint(struct scenario_trial *trial)
{
	struct run_use *use = trial->set_up;
	int code = cancel_task_check(use->task, &trial->error);

	if (code == 1)
		(void)claim_stop(trial, use->task);
	return code < 0 ? code : code == 0;
}

/* A failure leaves the task. */
static int end_as(struct scenario_trial *trial, struct run_use *use, enum cancel_outcome outcome)
{
	int code = cancel_task_end(use->task, outcome, NULL, &trial->error);

	if (code >= 0)
		use->task = NULL;
	return code < 0 ? code : code == 0;
}

int operate_end(struct scenario_trial *trial)
{
	return end_as(trial, trial->set_up, CANCEL_OUTCOME_STOPPED);
}

int operate_end_finished(struct scenario_trial *trial)
{
	return end_as(trial, trial->set_up, CANCEL_OUTCOME_FINISHED);
}

/* What it decided is told as a number, so its own claim is that of the request that stopped it. */
static int check_and_end(struct scenario_trial *trial, struct run_use *use, bool stopped)
{
	bool noticed = cancel_task_checkpoint(use->task);
	int code;

	if (noticed && !stopped)
		(void)claim_stop(trial, use->task);
	code = end_as(trial, use, noticed ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_FINISHED);
	return code < 0 ? code : !noticed;
}

static int run_through(struct scenario_trial *trial, bool thread)
{
	struct run_use use = {.manager = scenario_manager(trial, thread)};
	int code, closed;

	if (!use.manager)
		return trial->error.code;
	code = begin(trial, &use);
	if (code >= 0)
		code = check_and_end(trial, &use, code == 1);
	closed = cancel_manager_close(use.manager);
	return code < 0 || closed == 0 ? code : closed;
}

int operate_run(struct scenario_trial *trial)
{
	return run_through(trial, false);
}

int operate_run_threaded(struct scenario_trial *trial)
{
	return run_through(trial, true);
}

void scenario_end_set_up(struct scenario_trial *trial)
{
	struct run_use *use = trial->set_up;

	if (use && use->task)
		(void)cancel_task_end(use->task, CANCEL_OUTCOME_FAILED, NULL, NULL);
	if (use && use->manager)
		(void)cancel_manager_close(use->manager);
	free(use);
	trial->set_up = NULL;
}

void scenario_tear_down(struct scenario_trial *trial)
{
	scenario_end_set_up(trial);
	cancel_spool_close(trial->spool);
	trial->spool = NULL;
}
