#include "scheduling.h"

#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE_SIZE = 512,
	BLOCKERS_MAX = 8,
};

struct cancel_scheduler *scheduler;
struct cancel_scheduler_options scheduler_options;
struct cancel_submission submission;

static const struct tasking_way with_a_thread = {.thread = true, .notice = CANCEL_NOTICE_AUTO};

static atomic_uint begun;
static struct token_gate blockade = TOKEN_GATE_INIT;
static struct chore blockers[BLOCKERS_MAX];

/* --- lines -------------------------------------------------------------------------------------------- */

static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static struct line {
	enum cancel_log_level level;
	char text[LINE_SIZE];
} lines[SCHEDULING_LINES_MAX];
static int line_count;

static void note_line(void *arg, enum cancel_log_level level, const char *line)
{
	(void)arg;
	(void)pthread_mutex_lock(&lines_lock);
	if (line_count < SCHEDULING_LINES_MAX) {
		lines[line_count].level = level;
		(void)snprintf(lines[line_count++].text, LINE_SIZE, "%s", line);
	}
	(void)pthread_mutex_unlock(&lines_lock);
}

int scheduling_line_count(void)
{
	int count;

	(void)pthread_mutex_lock(&lines_lock);
	count = line_count;
	(void)pthread_mutex_unlock(&lines_lock);
	return count;
}

const char *scheduling_line_at(int index, enum cancel_log_level *level)
{
	cr_assert(index >= 0 && index < scheduling_line_count(), "no line %d", index);
	if (level)
		*level = lines[index].level;
	return lines[index].text;
}

struct search {
	int from, found;
	const char *part;
};

static bool is_found(void *arg)
{
	struct search *search = arg;
	int count = scheduling_line_count();

	for (int i = search->from; i < count; i++)
		if (strstr(lines[i].text, search->part)) {
			search->found = i;
			return true;
		}
	return false;
}

int scheduling_await_line(int from, const char *part)
{
	struct search search = {from, -1, part};

	(void)wait_until(is_found, &search, SCHEDULING_PATIENCE_MS);
	return search.found;
}

/* --- the scheduler ------------------------------------------------------------------------------------ */

void scheduling_set_up(void)
{
	(void)unsetenv(CANCEL_TASK_TIMEOUT_VARIABLE);
	(void)unsetenv(CANCEL_MAX_RETRIES_VARIABLE);
	(void)unsetenv(CANCEL_RETRY_INTERVAL_VARIABLE);
	tasking_set_up();
	EXPECT(0, cancel_scheduler_options_init(&scheduler_options, &error));
	scheduler_options.threads = 2;
	scheduler_options.tries = (struct cancel_tries){.timeout_ns = CANCEL_FOREVER};
	scheduler_options.log = note_line;
}

void scheduling_tear_down(void)
{
	if (scheduler)
		scheduling_unblock();
	scheduling_close();
	tasking_tear_down();
}

void scheduling_open(void)
{
	if (!manager)
		tasking_open(&with_a_thread);
	EXPECT(0, cancel_scheduler_open(&scheduler, manager, &scheduler_options, &error));
	cancel_submission_init(&submission, scheduler);
}

void scheduling_close(void)
{
	cancel_scheduler_close(scheduler);
	scheduler = NULL;
}

/* --- chores ------------------------------------------------------------------------------------------- */

static void note_try(struct chore *chore, const struct cancel_try *now)
{
	if (atomic_load(&chore->calls) == 0)
		chore->order = atomic_fetch_add(&begun, 1);
	chore->number = now->number;
	chore->token_task = now->task;
	(void)snprintf(chore->task_id, sizeof(chore->task_id), "%s", now->task_id);
	(void)snprintf(chore->run, sizeof(chore->run), "%s", now->run ? now->run : "(none)");
	(void)atomic_fetch_add(&chore->calls, 1);
}

int chore_run(void *arg, const struct cancel_try *now)
{
	struct chore *chore = arg;
	const struct cancel_cause *cause;

	note_try(chore, now);
	if (chore->does)
		chore->does(chore, now);
	if (chore->gate)
		token_gate_pass(chore->gate);
	if (chore->heeds)
		(void)cancel_token_wait(now->token, CANCEL_FOREVER);
	cause = cancel_token_cause(now->token);
	chore->kind = cause ? cause->kind : UINT32_MAX;
	chore->token_error = cancel_token_error(now->token);
	(void)atomic_fetch_add(&chore->returns, 1);
	return now->number <= chore->fails ? chore->failure : 0;
}

void chore_end(void *arg, const char *task_id, const struct cancel_scheduled *state)
{
	struct chore *chore = arg;

	if (chore->end_gate)
		token_gate_pass(chore->end_gate);
	(void)snprintf(chore->ended_id, sizeof(chore->ended_id), "%s", task_id);
	chore->end = *state;
	if (chore->ending)
		chore->ending(chore);
	(void)atomic_fetch_add(&chore->ends, 1);
}

int scheduling_submit(const char *task_id, struct chore *chore)
{
	submission.ended = chore_end;
	return cancel_scheduler_submit(scheduler, task_id, chore_run, chore, &submission, &error);
}

void scheduling_block(void)
{
	char task_id[32];

	cr_assert_leq(scheduler_options.threads, BLOCKERS_MAX);
	for (unsigned i = 0; i < scheduler_options.threads; i++) {
		blockers[i].gate = &blockade;
		(void)snprintf(task_id, sizeof(task_id), "blocker-%u", i);
		EXPECT(0, cancel_scheduler_submit(scheduler, task_id, chore_run, &blockers[i], NULL, &error));
		scheduling_await_calls(&blockers[i], 1);
	}
}

void scheduling_unblock(void)
{
	token_gate_open(&blockade);
}

/* --- waiting ------------------------------------------------------------------------------------------ */

struct awaited {
	struct chore *chore;
	unsigned calls;
	const char *task_id;
	enum cancel_scheduled_status status;
};

static bool is_called(void *arg)
{
	const struct awaited *awaited = arg;

	return atomic_load(&awaited->chore->calls) >= awaited->calls;
}

void scheduling_await_calls(struct chore *chore, unsigned calls)
{
	struct awaited awaited = {.chore = chore, .calls = calls};

	cr_assert(wait_until(is_called, &awaited, SCHEDULING_PATIENCE_MS), "called %u times, not %u",
		  atomic_load(&chore->calls), calls);
}

static bool is_in_status(void *arg)
{
	const struct awaited *awaited = arg;
	struct cancel_scheduled state;

	return cancel_scheduler_status(scheduler, awaited->task_id, &state) == 0 &&
	       state.status == awaited->status;
}

bool scheduling_becomes(const char *task_id, enum cancel_scheduled_status status)
{
	struct awaited awaited = {.task_id = task_id, .status = status};

	return wait_until(is_in_status, &awaited, SCHEDULING_PATIENCE_MS);
}

struct cancel_scheduled scheduling_state(const char *task_id)
{
	struct cancel_scheduled state;
	int code = cancel_scheduler_status(scheduler, task_id, &state);

	cr_assert_eq(code, 0, "the status of %s says %d", task_id, code);
	return state;
}

struct cancel_scheduled scheduling_wait(const char *task_id)
{
	struct cancel_scheduled state;
	int code = cancel_scheduler_wait(scheduler, task_id, SCHEDULING_PATIENCE_MS * CANCEL_MILLISECOND,
					 &state);

	cr_assert_eq(code, 0, "waiting for %s says %d", task_id, code);
	return state;
}

struct cancel_scheduler_statistics scheduling_count(void)
{
	struct cancel_scheduler_statistics statistics;

	cancel_scheduler_count(scheduler, &statistics);
	return statistics;
}
