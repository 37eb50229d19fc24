#include "scenarios.h"

#include "clock_shift.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MINUTE_S = 60,
	DAY_S = 24 * 3600,
	LONG_ID_LENGTH = 300,
};

/* --- ids ---------------------------------------------------------------------------------------------- */

const char *scenario_task(const struct scenario *scenario, int task)
{
	static const char *const ids[TASK_COUNT + 1] = {"task_0", "job/1@2", "task_2", "other"};
	static char long_ids[TASK_COUNT + 1][LONG_ID_LENGTH + 1];

	if (!scenario->has_long_ids)
		return ids[task];
	memset(long_ids[task], 'a' + task, LONG_ID_LENGTH);
	return long_ids[task];
}

/* Long, so that half of a record ends within it. */
void scenario_reason(int task, char reason[SCENARIO_REASON_SIZE])
{
	memset(reason, 'A' + task, SCENARIO_REASON_SIZE - 1);
	reason[SCENARIO_REASON_SIZE - 1] = '\0';
}

/* --- what is told ------------------------------------------------------------------------------------- */

static void fail(const struct stage *stage, const char *what)
{
	(void)fprintf(stderr, "powercut: %s: %s: %s\n", stage->scenario->name, what, stage->error.text);
	_exit(1);
}

static void tell(enum fact_what what, int task, enum cancel_outcome outcome, const char *id)
{
	struct fact fact;

	memset(&fact, 0, sizeof(fact));
	fact.what = what;
	fact.task = task;
	fact.outcome = outcome;
	(void)strncpy(fact.id, id ? id : "", sizeof(fact.id) - 1);
	if (write(FACTS_FD, &fact, sizeof(fact)) != (ssize_t)sizeof(fact))
		_exit(1);
}

static void baseline(void)
{
	tell(FACT_BASELINE, 0, CANCEL_OUTCOME_NONE, NULL);
}

/* --- operations --------------------------------------------------------------------------------------- */

static void open_spool(struct stage *stage, enum cancel_durability durability)
{
	struct cancel_spool_options options;
	char path[PATH_MAX];

	cancel_spool_close(stage->spool);
	stage->spool = NULL;
	(void)snprintf(path, sizeof(path), "%s/spool", stage->root);
	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	options.durability = durability;
	if (cancel_spool_open(&stage->spool, &options, &stage->error) < 0)
		fail(stage, "open");
}

static void open_made(struct stage *stage)
{
	open_spool(stage, stage->durability);
	baseline();
}

static void ask_and_tell(struct stage *stage, int task, int64_t expires_in_s, bool tells)
{
	struct cancel_request request, standing;
	char reason[SCENARIO_REASON_SIZE];
	int code;

	scenario_reason(task, reason);
	cancel_request_init(&request);
	cancel_request_init(&standing);
	request.task_id = scenario_task(stage->scenario, task);
	request.reason = reason;
	request.expires_in_s = expires_in_s;
	tell(FACT_ASKING, task, CANCEL_OUTCOME_NONE, NULL);
	code = cancel_spool_request(stage->spool, &request, &standing, &stage->error);
	if (code < 0)
		fail(stage, "request");
	if (tells)
		tell(FACT_ACCEPTED, task, CANCEL_OUTCOME_NONE,
		     code == CANCEL_ALREADY_PENDING ? standing.request_id : request.request_id);
	cancel_request_clear(&standing);
}

static void ask_for(struct stage *stage, int task, int64_t expires_in_s)
{
	ask_and_tell(stage, task, expires_in_s, true);
}

static void ask(struct stage *stage, int task)
{
	ask_for(stage, task, CANCEL_EXPIRES_DEFAULT);
}

/* Who asks for less durability is promised less. */
static void ask_at_none(struct stage *stage, int task)
{
	open_spool(stage, CANCEL_DURABILITY_NONE);
	ask_and_tell(stage, task, CANCEL_EXPIRES_DEFAULT, false);
	open_spool(stage, stage->durability);
}

static void decide(struct stage *stage, int task, enum cancel_outcome outcome)
{
	struct cancel_request decided;

	cancel_request_init(&decided);
	tell(FACT_DECIDING, task, outcome, NULL);
	if (cancel_spool_decide(stage->spool, scenario_task(stage->scenario, task), NULL, NULL, outcome,
				"done", &decided, &stage->error) < 0)
		fail(stage, "decide");
	tell(FACT_DECIDED, task, outcome, decided.request_id);
	cancel_request_clear(&decided);
}

static void stop(struct stage *stage, int task)
{
	decide(stage, task, CANCEL_OUTCOME_STOPPED);
}

static void reset(struct stage *stage, int task)
{
	tell(FACT_RESETTING, task, CANCEL_OUTCOME_WITHDRAWN, NULL);
	if (cancel_spool_reset(stage->spool, scenario_task(stage->scenario, task), NULL, &stage->error) < 0)
		fail(stage, "reset");
	tell(FACT_RESET, task, CANCEL_OUTCOME_NONE, NULL);
}

static int task_of(const struct stage *stage, const char *task_id)
{
	int task = 0;

	while (task < TASK_COUNT && strcmp(scenario_task(stage->scenario, task), task_id) != 0)
		task++;
	return task;
}

static void tell_swept(void *arg, const struct cancel_request *request)
{
	int task = task_of(arg, request->task_id);

	if (request->status == CANCEL_STATUS_PROCESSED)
		tell(FACT_DECIDED, task, request->outcome, request->request_id);
	else
		tell(FACT_ACCEPTED, task, CANCEL_OUTCOME_NONE, request->request_id);
}

static void sweep(struct stage *stage)
{
	struct cancel_sweep_result result;

	if (cancel_spool_sweep(stage->spool, NULL, tell_swept, stage, &result, &stage->error) < 0)
		fail(stage, "sweep");
}

static void sweep_expiring(struct stage *stage, int task)
{
	tell(FACT_DECIDING, task, CANCEL_OUTCOME_EXPIRED, NULL);
	sweep(stage);
}

static void sweep_removing(struct stage *stage, int task)
{
	tell(FACT_REMOVING, task, CANCEL_OUTCOME_NONE, NULL);
	sweep(stage);
}

static void tell_batched(void *arg, int64_t tag, int result, const struct cancel_request *request,
			 const struct cancel_error *error)
{
	struct stage *stage = arg;

	if (result < 0) {
		stage->error = *error;
		fail(stage, "batch");
	}
	/* With durability full it is accepted when the batch is closed. */
	if (stage->durability != CANCEL_DURABILITY_FULL)
		tell(FACT_ACCEPTED, (int)tag, CANCEL_OUTCOME_NONE, request->request_id);
}

static void tell_listed_task(struct stage *stage, int task)
{
	struct cancel_request found;

	cancel_request_init(&found);
	if (cancel_spool_lookup(stage->spool, scenario_task(stage->scenario, task), NULL, &found,
				&stage->error) != CANCEL_LOOKUP_PENDING)
		fail(stage, "look-up after a batch");
	tell(FACT_ACCEPTED, task, CANCEL_OUTCOME_NONE, found.request_id);
	cancel_request_clear(&found);
}

static void ask_batch(struct stage *stage)
{
	struct cancel_batch *batch;

	if (cancel_batch_open(&batch, stage->spool, tell_batched, stage, &stage->error) < 0)
		fail(stage, "batch");
	for (int task = 0; task < TASK_COUNT; task++) {
		struct cancel_request request;
		char reason[SCENARIO_REASON_SIZE];

		scenario_reason(task, reason);
		cancel_request_init(&request);
		request.task_id = scenario_task(stage->scenario, task);
		request.reason = reason;
		tell(FACT_ASKING, task, CANCEL_OUTCOME_NONE, NULL);
		cancel_batch_add(batch, &request, task);
	}
	if (cancel_batch_close(batch, &stage->error) < 0)
		fail(stage, "batch");
	for (int task = 0; task < TASK_COUNT; task++)
		tell_listed_task(stage, task);
}

/* --- foreign programs --------------------------------------------------------------------------------- */

static void in_spool(const struct stage *stage, char path[PATH_MAX], const char *format, int task)
{
	char name[64];

	(void)snprintf(name, sizeof(name), format, task);
	(void)snprintf(path, PATH_MAX, "%s/spool/%s", stage->root, name);
}

static void write_file(const struct stage *stage, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) < 0) {
		perror(path);
		fail(stage, "write");
	}
}

/* As cancel-spool(5) says. */
static void drop(const struct stage *stage, int task)
{
	char hidden[PATH_MAX], path[PATH_MAX];

	in_spool(stage, hidden, ".%d.json", task);
	in_spool(stage, path, "task_%d.json", task);
	write_file(stage, hidden, "{\"reason\": \"dropped\"}");
	tell(FACT_ASKING, task, CANCEL_OUTCOME_NONE, NULL);
	if (rename(hidden, path) < 0)
		fail(stage, "rename");
}

/* What another program left is on disk: from here on nobody may lose it. */
static void baseline_with_any(int task)
{
	tell(FACT_ACCEPTED, task, CANCEL_OUTCOME_NONE, FACTS_ANY_ID);
	baseline();
}

static void tell_dropped(void *arg, enum cancel_drop_result result, const char *file,
			 const struct cancel_request *request, const struct cancel_error *refusal)
{
	(void)file;
	(void)refusal;
	if (result == CANCEL_DROP_TAKEN || result == CANCEL_DROP_COALESCED)
		tell(FACT_ACCEPTED, task_of(arg, request->task_id), CANCEL_OUTCOME_NONE, request->request_id);
}

static void intake(struct stage *stage)
{
	if (cancel_spool_intake(stage->spool, tell_dropped, stage, &stage->error) < 0)
		fail(stage, "intake");
}

/* --- scenarios ---------------------------------------------------------------------------------------- */

static void make(struct stage *stage)
{
	baseline();
	open_spool(stage, stage->durability);
	ask(stage, 0);
}

static void make_decide(struct stage *stage)
{
	baseline();
	open_spool(stage, stage->durability);
	ask(stage, 0);
	stop(stage, 0);
}

static void request(struct stage *stage)
{
	open_made(stage);
	ask(stage, 0);
}

static void request_two(struct stage *stage)
{
	open_made(stage);
	ask(stage, 0);
	ask(stage, 1);
}

static void request_merge(struct stage *stage)
{
	open_made(stage);
	ask(stage, 0);
	ask_for(stage, 0, CANCEL_EXPIRES_NEVER);
}

/* Who publishes asks for less than who is told that it stands. */
static void request_merge_levels(struct stage *stage)
{
	open_made(stage);
	ask_at_none(stage, 0);
	ask(stage, 0);
}

static void request_decide(struct stage *stage)
{
	open_made(stage);
	ask(stage, 0);
	stop(stage, 0);
}

static void decide_old(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask(stage, 0);
	baseline();
	stop(stage, 0);
}

static void request_decide_request(struct stage *stage)
{
	open_made(stage);
	ask(stage, 0);
	stop(stage, 0);
	ask(stage, 0);
}

static void decide_request_decide(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask(stage, 0);
	baseline();
	stop(stage, 0);
	ask(stage, 0);
	stop(stage, 0);
}

static void request_withdraw(struct stage *stage)
{
	open_made(stage);
	ask(stage, 0);
	decide(stage, 0, CANCEL_OUTCOME_WITHDRAWN);
	ask(stage, 0);
}

/* The next decision syncs processed/, and with it that the record is gone. */
static void decide_reset(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask(stage, 0);
	ask(stage, 1);
	baseline();
	stop(stage, 0);
	reset(stage, 0);
	stop(stage, 1);
}

static void request_reset(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask(stage, 1);
	baseline();
	ask(stage, 0);
	reset(stage, 0);
	stop(stage, 1);
}

static void batch(struct stage *stage)
{
	open_made(stage);
	ask_batch(stage);
}

static void batch_merge(struct stage *stage)
{
	open_made(stage);
	ask_at_none(stage, 1);
	ask_batch(stage);
}

static void expire(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask_for(stage, 0, MINUTE_S);
	ask(stage, 1);
	baseline();
	clock_shift(2 * MINUTE_S);
	sweep_expiring(stage, 0);
	ask(stage, 0);
}

static void request_expired(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask_for(stage, 0, MINUTE_S);
	baseline();
	clock_shift(2 * MINUTE_S);
	tell(FACT_DECIDING, 0, CANCEL_OUTCOME_EXPIRED, NULL);
	ask(stage, 0);
}

/* What was decided is removed, and processed/ is synced by another decision. */
static void decide_remove(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask_for(stage, 0, CANCEL_EXPIRES_NEVER);
	ask_for(stage, 1, CANCEL_EXPIRES_NEVER);
	baseline();
	stop(stage, 0);
	clock_shift(2 * DAY_S);
	sweep_removing(stage, 0);
	stop(stage, 1);
}

/* The same with the pending file of a process that was killed. */
static void litter_remove(struct stage *stage)
{
	char pending[PATH_MAX], kept[PATH_MAX];

	in_spool(stage, pending, "pending/task_%d.json", 0);
	in_spool(stage, kept, "tmp/kept%d", 0);
	open_spool(stage, stage->durability);
	ask_for(stage, 0, CANCEL_EXPIRES_NEVER);
	ask_for(stage, 1, CANCEL_EXPIRES_NEVER);
	if (link(pending, kept) < 0)
		fail(stage, "link");
	stop(stage, 0);
	if (rename(kept, pending) < 0)
		fail(stage, "rename");
	baseline();
	clock_shift(2 * DAY_S);
	sweep_removing(stage, 0);
	stop(stage, 1);
}

static void drop_intake_decide(struct stage *stage)
{
	open_spool(stage, stage->durability);
	drop(stage, 0);
	baseline_with_any(0);
	/* A rename brings it to one place or the other; a link and a removal are two changes, and may be
	 * there in any order. */
	if (stage->scenario->lack == LACKS_NOREPLACE && stage->durability != CANCEL_DURABILITY_FULL)
		tell(FACT_DECIDING, 0, CANCEL_OUTCOME_STOPPED, NULL);
	intake(stage);
	stop(stage, 0);
}

static void drop_look_drop(struct stage *stage)
{
	open_made(stage);
	drop(stage, 0);
	tell_listed_task(stage, 0);
	stop(stage, 0);
	drop(stage, 0);
	tell_listed_task(stage, 0);
}

static void drop_merge(struct stage *stage)
{
	open_spool(stage, stage->durability);
	ask(stage, 0);
	drop(stage, 0);
	baseline();
	intake(stage);
	stop(stage, 0);
}

/* Its id comes from the file. */
static void foreign_decide(struct stage *stage)
{
	char path[PATH_MAX];

	in_spool(stage, path, "pending/task_%d.json", 0);
	open_spool(stage, stage->durability);
	write_file(stage, path, "{\"reason\": \"by hand\"}");
	baseline_with_any(0);
	stop(stage, 0);
}

static void foreign_unfinished(struct stage *stage)
{
	char path[PATH_MAX];

	in_spool(stage, path, "pending/task_%d.json", 0);
	open_made(stage);
	tell(FACT_ASKING, 0, CANCEL_OUTCOME_NONE, NULL);
	write_file(stage, path, "");
	ask(stage, 0);
}

/* What stands in its place is moved to refused/. */
static void occupied(struct stage *stage)
{
	char path[PATH_MAX];

	in_spool(stage, path, "pending/task_%d.json", 0);
	open_spool(stage, stage->durability);
	if (mkdir(path, 0700) < 0)
		fail(stage, "mkdir");
	baseline();
	ask(stage, 0);
	stop(stage, 0);
}

/* --- runs --------------------------------------------------------------------------------------------- */

struct play {
	struct cancel_manager *manager;
	struct cancel_task *task;
};

static void open_manager(struct stage *stage, struct play *play)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool_options;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/spool", stage->root);
	cancel_spool_options_init(&spool_options);
	spool_options.path = path;
	spool_options.durability = stage->durability;
	cancel_manager_options_init(&options);
	options.spool = &spool_options;
	if (cancel_manager_open(&play->manager, &options, &stage->error) < 0)
		fail(stage, "manager");
}

static void begin_run(struct stage *stage, struct play *play, int task, int group)
{
	const char *const also[] = {scenario_task(stage->scenario, group)};
	struct cancel_task_options options;

	cancel_task_options_init(&options);
	options.also = also;
	options.also_count = 1;
	if (cancel_task_begin(&play->task, play->manager, scenario_task(stage->scenario, task), &options,
			      &stage->error) < 0)
		fail(stage, "begin");
}

static void end_run(struct stage *stage, struct play *play)
{
	if (cancel_task_check(play->task, &stage->error) != 1)
		fail(stage, "check");
	if (cancel_task_end(play->task, CANCEL_OUTCOME_STOPPED, NULL, &stage->error) < 0 ||
	    cancel_manager_close(play->manager) < 0)
		fail(stage, "end");
}

static void run(struct stage *stage)
{
	struct play play;

	open_made(stage);
	open_manager(stage, &play);
	begin_run(stage, &play, 0, 2);
	ask(stage, 0);
	tell(FACT_DECIDING, 0, CANCEL_OUTCOME_STOPPED, NULL);
	end_run(stage, &play);
}

/* Its own request was decided before, and a member's record takes that one's place. */
static void decide_run_group(struct stage *stage)
{
	struct play play;

	open_spool(stage, stage->durability);
	ask_for(stage, 0, CANCEL_EXPIRES_NEVER);
	ask(stage, 2);
	baseline();
	open_manager(stage, &play); /* which syncs pending/ */
	stop(stage, 0);
	begin_run(stage, &play, 0, 2);
	tell(FACT_REMOVING, 0, CANCEL_OUTCOME_NONE, NULL);
	end_run(stage, &play);
}

const struct scenario scenarios[] = {
	{.name = "make", .act = make},
	{.name = "make;decide", .act = make_decide},
	{.name = "request", .act = request},
	{.name = "request;request another", .act = request_two},
	{.name = "request;merge", .act = request_merge},
	{.name = "request by none;merge", .act = request_merge_levels, .is_foreign = true},
	{.name = "request;decide", .act = request_decide},
	{.name = "decide", .act = decide_old},
	{.name = "request;decide;request", .act = request_decide_request},
	{.name = "decide;request;decide", .act = decide_request_decide},
	{.name = "request;withdraw;request", .act = request_withdraw},
	{.name = "decide;reset;decide another", .act = decide_reset},
	{.name = "request;reset;decide another", .act = request_reset},
	{.name = "batch", .act = batch},
	{.name = "request by none;batch", .act = batch_merge, .is_foreign = true},
	{.name = "expire;request", .act = expire},
	{.name = "request over expired", .act = request_expired},
	{.name = "decide;sweep;decide another", .act = decide_remove},
	{.name = "litter;sweep;decide another", .act = litter_remove},
	{.name = "intake;decide", .act = drop_intake_decide},
	{.name = "drop;look;decide;drop;look", .act = drop_look_drop, .is_foreign = true},
	{.name = "intake;merge;decide", .act = drop_merge},
	{.name = "foreign;decide", .act = foreign_decide, .is_foreign = true},
	{.name = "foreign unfinished;request", .act = foreign_unfinished, .is_foreign = true},
	{.name = "request over a stranger;decide", .act = occupied, .has_stranger = true},
	{.name = "begin;request;end", .act = run},
	{.name = "decide;begin;group;end", .act = decide_run_group},
	{.name = "long ids: request;decide", .act = request_decide, .has_long_ids = true},
	{.name = "by /proc: request;decide", .act = request_decide, .lack = LACKS_LINK_BY_DESCRIPTOR},
	{.name = "named drafts: request;decide", .act = request_decide, .lack = LACKS_TMPFILE},
	{.name = "links only: make", .act = make, .lack = LACKS_NOREPLACE},
	{.name = "links only: request;decide", .act = request_decide, .lack = LACKS_NOREPLACE},
	{.name = "links only: batch", .act = batch, .lack = LACKS_NOREPLACE},
	{.name = "links only: intake;decide", .act = drop_intake_decide, .lack = LACKS_NOREPLACE},
};
const int scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);

int scenario_act(void *arg)
{
	struct stage *stage = arg;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	clock_shift(0);
	if (fd < 0 || dup3(fd, FACTS_FD, O_CLOEXEC) < 0)
		return 1;
	stage->scenario->act(stage);
	cancel_spool_close(stage->spool);
	return 0;
}
