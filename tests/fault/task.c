/*
 * The start of a run, step by step: it is stopped after each of its system calls in turn, and while it stands
 * there somebody asks for its task, its run, or a further id that it listens to. It must find out: no request
 * is lost.
 *
 * If the request is also decided while the run stands there, it depends on whether the run had taken note
 * before of what was decided. From that step on all are cancelled, and before it none is.
 *
 * Then there are ever more descriptors until a run begins: it says why it does not, and keeps none.
 *
 * Mutations that this catches: pending looked at before the bell's word is read, or before the manager's
 * thread knows of the task; what was decided noted after that look; a failure to take a lease, or to look,
 * that passes for a start; a lease that stays after a start that failed.
 */
#include "scene.h"
#include "stepping.h"
#include "token_thread.h"
#include "watcher_pose.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	TIMEOUT_S = 600,
	SAMPLE = 8,
	ATTEMPTS = 5,
	EXIT_DONE = 0,
	EXIT_NO = 1,
	DESCRIPTORS_MAX = 128,
	LEASE_REMOVED_MS = 3 * CANCEL_SETTLE_MS,
};

TestSuite(task, .timeout = TIMEOUT_S);

/* --- stepping ----------------------------------------------------------------------------------------- */

/* Whom the request is for. */
static const struct aim {
	const char *name;
	const char *task, *run;
	bool decided; /* by the run's end */
} aims[] = {
	{"its task", TASK, NULL, true},
	{"its run", TASK, RUN, true},
	{"a further id", GROUP, NULL, false},
};

enum { AIMS = sizeof(aims) / sizeof(aims[0]) };

static const struct mode {
	const char *name, *begin, *check, *await;
} modes[] = {
	{"without a thread", "begin", "begin-check", "begin-await"},
	{"with a thread", "begin-thread", "begin-check-thread", "begin-await-thread"},
};

enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static void publish(const struct aim *aim)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = aim->task;
	request.run = aim->run;
	code = cancel_spool_request(scene.spool, &request, NULL, &scene.error);
	cr_assert_eq(code, CANCEL_REQUESTED, "%s: asking: %d: %s", scene.where, code, scene.error.text);
	(void)strcpy(scene.accepted, request.request_id);
	cancel_request_clear(&request);
}

static void decide(const struct aim *aim, enum cancel_outcome outcome)
{
	int code = cancel_spool_decide(scene.spool, aim->task, aim->run, scene.accepted, outcome, NULL, NULL,
				       &scene.error);

	cr_assert_eq(code, CANCEL_DECIDED, "%s: deciding: %d: %s", scene.where, code, scene.error.text);
}

/* Where it stands, and that it is the one. */
static int look_at(const struct aim *aim)
{
	struct cancel_request found;
	int code;

	cancel_request_init(&found);
	code = cancel_spool_lookup(scene.spool, aim->task, aim->run, &found, &scene.error);
	cr_assert_geq(code, 0, "%s: %s", scene.where, scene.error.text);
	cr_assert(scene_is_accepted(&found), "%s: the request is lost, state %d", scene.where, code);
	cancel_request_clear(&found);
	return code;
}

/* A spool with a bell, and a watcher about as far as anybody sees; its descriptor. */
static int set_up_step(void)
{
	int posed_fd;

	scene_make();
	scene_prepare(scene_nothing);
	scene_open();
	posed_fd = watcher_pose(scene.dir.path);
	cr_assert_geq(posed_fd, 0, "%s: there is no bell", scene.where);
	return posed_fd;
}

static void tear_down_step(int posed_fd)
{
	scene_check_no_runs();
	scene_check_beside();
	(void)close(posed_fd);
	scene_close();
	scene_remove();
}

struct step {
	const struct mode *mode;
	const struct aim *aim;
	const struct strace_call *call;
};

/* Stop it there, do that, let it go on; its exit code. `*reached` counts those that were stopped. */
static int play_step(const struct step *step, const char *operation, void (*act)(const struct aim *aim),
		     int *reached)
{
	struct stepping stepping;
	int code;

	stepping_start(&stepping, WORDS(DRIVE, operation, TASK), scene_environment(), step->call);
	*reached += stepping_wait(&stepping);
	act(step->aim);
	cr_assert(stepping_finish(&stepping), "%s: it does not end", scene.where);
	code = stepping.process.exit_code;
	cr_assert(code == EXIT_DONE || code == EXIT_NO, "%s: exit code %d: %s", scene.where, code,
		  stepping.process.err);
	process_free(&stepping.process);
	return code;
}

static void name_step(const struct step *step, const char *what)
{
	static char text[160];

	(void)snprintf(text, sizeof(text), "%s %s for %s after %s %d of a start %s", "a request", what,
		       step->aim->name, step->call->name, step->call->number, step->mode->name);
	scene.where = text;
}

static int list_calls(const struct mode *mode, struct strace_call calls[STRACE_CALLS_MAX])
{
	struct process process;
	int posed_fd, count;

	scene.where = mode->name;
	posed_fd = set_up_step();
	count = strace_list(&process, WORDS(DRIVE, mode->begin, TASK), scene_environment(), NULL, calls);
	tear_down_step(posed_fd);
	if (count < 0)
		cr_skip_test("strace cannot run here: %s", process.err);
	cr_assert_eq(process.exit_code, 0, "%s: %s", scene.where, process.err);
	cr_assert_gt(count, 0, "a start makes no calls");
	process_free(&process);
	return count;
}

static int step_over(int count)
{
	return getenv("CANCEL_TEST_SLOW") ? (count + SAMPLE - 1) / SAMPLE : 1;
}

/* A call that depends on what other threads do may not come: a few of those are let go. */
static void expect_reached(const struct mode *mode, int reached, int walked)
{
	cr_assert_geq(reached * 10, walked * 9, "%s: only %d of %d steps were reached", mode->name, reached,
		      walked);
}

/* How many of these there are, and so which is the one with a number, is up to other threads too. */
static bool is_in_order(const struct strace_call *call)
{
	return strcmp(call->name, "futex") != 0;
}

/* --- asked at each step ------------------------------------------------------------------------------- */

static void ask_at(const struct step *step, int *reached)
{
	int posed_fd, code;

	name_step(step, "that is made");
	posed_fd = set_up_step();
	code = play_step(step, step->mode->await, publish, reached);
	cr_assert_eq(code, EXIT_DONE, "%s: LOST: the run is not cancelled", scene.where);
	cr_assert_eq(look_at(step->aim), step->aim->decided ? CANCEL_LOOKUP_PROCESSED : CANCEL_LOOKUP_PENDING,
		     "%s: decided by who may not, or not at all", scene.where);
	tear_down_step(posed_fd);
}

/* On a busy machine threads meet elsewhere, and a step may not come: then once more. Returns whether it counts as one. */
static bool ask_until_reached(const struct step *step, int *reached)
{
	int before = *reached;

	for (int attempt = 0; attempt < ATTEMPTS && *reached == before; attempt++)
		ask_at(step, reached);
	return *reached > before || is_in_order(step->call);
}

static void walk_asking(const struct mode *mode)
{
	static struct strace_call calls[STRACE_CALLS_MAX];
	int count = list_calls(mode, calls), reached = 0, walked = 0;

	for (int at = 0; at < count; at += step_over(count))
		for (int i = 0; i < AIMS; i++)
			walked += ask_until_reached(&(struct step){mode, &aims[i], &calls[at]}, &reached);
	expect_reached(mode, reached, walked);
	(void)printf("task: asked at %d steps of a start %s: cancelled each time\n", reached, mode->name);
}

/* DESIGN.md, invariants 7, 10 and 34 */
Test(task, no_request_is_lost_at_the_start)
{
	walk_asking(&modes[0]);
}

Test(task, no_request_is_lost_at_the_start_with_a_thread)
{
	walk_asking(&modes[1]);
}

/* --- and decided there -------------------------------------------------------------------------------- */

static void publish_and_stop(const struct aim *aim)
{
	publish(aim);
	decide(aim, CANCEL_OUTCOME_STOPPED);
}

static void publish_and_withdraw(const struct aim *aim)
{
	publish(aim);
	decide(aim, CANCEL_OUTCOME_WITHDRAWN);
}

/* Whether it was cancelled. */
static bool decide_at(const struct step *step, const char *what, void (*act)(const struct aim *aim),
		      int *reached)
{
	int posed_fd, code;

	name_step(step, what);
	posed_fd = set_up_step();
	code = play_step(step, step->mode->check, act, reached);
	cr_assert_eq(look_at(step->aim), CANCEL_LOOKUP_PROCESSED, "%s: it is pending again", scene.where);
	tear_down_step(posed_fd);
	return code == EXIT_DONE;
}

/* A checker's runtime makes it as threads and the process end, when the run may be over. */
static bool is_the_checkers(const struct strace_call *call)
{
	return strcmp(call->name, "sigaltstack") == 0;
}

/* In order: a step that comes after one that is cancelled is too. */
static void walk_deciding(const struct mode *mode, const struct aim *aim)
{
	static struct strace_call calls[STRACE_CALLS_MAX];
	int count = list_calls(mode, calls), reached = 0, walked = 0;
	bool cancelled = false;

	for (int at = 0; at < count; at += step_over(count)) {
		struct step step = {mode, aim, &calls[at]};
		int before = reached;
		bool now = false;

		if (is_the_checkers(&calls[at]))
			continue;
		for (int attempt = 0; attempt < ATTEMPTS && reached == before; attempt++)
			now = decide_at(&step, "that is decided as stopped", publish_and_stop, &reached);
		walked += reached > before || is_in_order(&calls[at]);
		if (reached == before || !is_in_order(&calls[at]))
			continue;
		/* On a busy machine a call more in front of it makes it another one: then it comes too early. */
		for (int again = 1; cancelled && !now && again < ATTEMPTS; again++)
			now = decide_at(&step, "that is decided as stopped", publish_and_stop, &reached);
		cr_assert(now || !cancelled, "%s: it was decided after the start, and does not stop it",
			  scene.where);
		cr_assert(!now || at > 0, "%s: it was decided before the start, and stops it", scene.where);
		cancelled = now;
	}
	cr_assert(cancelled || getenv("CANCEL_TEST_SLOW"), "%s: nothing that was decided stops it",
		  scene.where);
	expect_reached(mode, reached, walked);
}

Test(task, what_is_decided_at_the_start_stops_it_once_it_has_taken_note)
{
	for (int i = 0; i < AIMS; i++)
		walk_deciding(&modes[0], &aims[i]);
}

Test(task, what_is_decided_at_the_start_with_a_thread_stops_it_once_it_has_taken_note)
{
	walk_deciding(&modes[1], &aims[0]);
}

/* It may be seen while it stands, but is not when it was withdrawn before the run went on. */
Test(task, what_is_withdrawn_at_the_start_stops_nobody)
{
	static struct strace_call calls[STRACE_CALLS_MAX];
	int count = list_calls(&modes[0], calls), reached = 0;

	for (int at = 0; at < count; at += step_over(count)) {
		struct step step = {&modes[0], &aims[at % AIMS], &calls[at]};
		bool cancelled =
			decide_at(&step, "that is made and withdrawn", publish_and_withdraw, &reached);

		cr_assert_not(cancelled, "%s: it stops the run", scene.where);
	}
}

/* --- no descriptors ----------------------------------------------------------------------------------- */

static void limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static struct cancel_manager *open_manager(bool thread)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool;
	struct cancel_manager *manager = NULL;

	cancel_spool_options_init(&spool);
	spool.path = scene.dir.path;
	cancel_manager_options_init(&options);
	options.spool = &spool;
	options.thread = thread;
	cr_assert_eq(cancel_manager_open(&manager, &options, &scene.error), 0, "%s", scene.error.text);
	return manager;
}

/* With ever more descriptors, until it begins. */
static struct cancel_task *begin_starved(struct cancel_manager *manager)
{
	struct cancel_task *task = NULL;
	int failures = 0, before = token_count_descriptors(), code = -EMFILE;

	for (rlim_t count = 0; code < 0; count++, failures++) {
		cr_assert_lt(count, DESCRIPTORS_MAX);
		limit_descriptors(count);
		code = cancel_task_begin(&task, manager, TASK, NULL, &scene.error);
		limit_descriptors(DESCRIPTORS_MAX * 8);
		if (code >= 0)
			break;
		cr_assert_eq(code, -EMFILE, "%d with at most %d: %s", code, (int)count, scene.error.text);
		cr_assert_eq(token_count_descriptors(), before, "a descriptor was kept, with at most %d",
			     (int)count);
		scene_check_no_runs();
	}
	cr_assert_gt(failures, 0, "it needs no descriptor");
	return task;
}

/* The task must know that it is cancelled even where it is not told at once. */
static void starve(bool thread)
{
	struct cancel_manager *manager;
	struct cancel_task *task;

	scene_make();
	scene_prepare(scene_pending);
	scene_open();
	manager = open_manager(thread);
	task = begin_starved(manager);
	cr_assert(cancel_task_checkpoint(task), "it has begun, and is not stopped");
	limit_descriptors(3);
	cr_assert_eq(cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &scene.error), -EMFILE, "%s",
		     scene.error.text);
	limit_descriptors(DESCRIPTORS_MAX * 8);
	cr_assert(scene_exists("pending/" TASK ".json"), "the end failed, and the request is gone");
	cr_assert_eq(cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &scene.error), 1, "%s",
		     scene.error.text);
	cr_assert_eq(cancel_manager_close(manager), 0);
	cr_assert_eq(scene_count("runs"), 0, "a lease was left");
	scene_check_works();
	scene_close();
	scene_remove();
}

/* Nothing is pending, so that it is the lease that lacks one. */
Test(task, no_descriptors_to_take_a_lease)
{
	struct cancel_manager *manager;
	struct cancel_task *task;

	scene_make();
	scene_prepare(scene_nothing);
	scene_open();
	manager = open_manager(false);
	task = begin_starved(manager);
	cr_assert_eq(scene_count("runs"), 1, "it has begun without a lease");
	cr_assert_eq(cancel_task_end(task, CANCEL_OUTCOME_FINISHED, NULL, &scene.error), 0, "%s",
		     scene.error.text);
	cr_assert_eq(cancel_manager_close(manager), 0);
	scene_close();
	scene_remove();
}

Test(task, no_descriptors_to_begin_or_end_a_run)
{
	starve(false);
}

Test(task, no_descriptors_to_begin_or_end_a_run_with_a_thread)
{
	starve(true);
}

/* --- what a dead run leaves --------------------------------------------------------------------------- */

static bool lease_is_swept(void *arg)
{
	struct cancel_sweep_result result;
	int64_t *leases = arg;

	cr_assert_eq(cancel_spool_sweep(scene.spool, NULL, NULL, NULL, &result, &scene.error), 0, "%s",
		     scene.error.text);
	*leases += result.leases;
	return scene_count("runs") == 0;
}

/* Not while it is young, because who has just made it may be about to lock it. */
Test(task, the_lease_of_the_dead_is_swept)
{
	struct process process;
	int64_t leases = 0;

	scene_make();
	scene_prepare(scene_nothing);
	process_run(&process, WORDS(DRIVE, "begin", TASK), scene_environment(), NULL);
	cr_assert_eq(process.exit_code, 0, "%s", process.err);
	process_free(&process);
	scene_open();
	scene_check_no_runs();
	cr_assert_eq(scene_count("runs"), 1, "a run that was killed leaves its lease");
	cr_assert(wait_until(lease_is_swept, &leases, LEASE_REMOVED_MS), "it is never swept");
	cr_assert_eq(leases, 1);
	scene_close();
	scene_remove();
}
