/*
 * Tasks and managers within one process, from many threads at once, for the checkers: no race, no leak, no
 * hang.
 *
 *   mixed   everybody does everything on one manager with a thread: begins, asks at checkpoints, waits, ends,
 * cancels, takes by key and forgets; requests, decides, withdraws, resets, sweeps, lists; opens managers of
 * his own. Meanwhile the bell is deleted, truncated and scribbled over, the spool's directory is exchanged
 * for another and removed, and children are forked that close what they inherited. heard   after each of
 * those, a request that is made then is heard, with a thread and without. closed  a manager is closed with
 * tasks that are going and cancelled.
 *
 * RUN_SECONDS, SEED, PART as in tests/support/stress_run.h.
 *
 * Mutations that this catches: a list of tasks that is walked without the lock (TSan); a bell's mapping that
 * is loaded from (SIGBUS when it is truncated); a fork while a lock is held, and no handler (the child
 * hangs); a descriptor or a mapping of an old bell or directory that is kept.
 */
#include "spool_dir.h"
#include "stress_run.h"
#include "stress_team.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The allocators of the sanitizers may be locked in the child of a program with threads, for ever. */
#if defined(__SANITIZE_ADDRESS__)
#define FORKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORKS 0
#endif
#endif
#ifndef FORKS
#define FORKS (!STRESS_UNDER_TSAN)
#endif

enum {
	NAMES = 6,
	RUNS = 3,
	GROUPS = 2,
	ACTS = 25, /* of each member, in a round of the mixture */
	WORKERS = 4,
	ASKERS = 2,
	VANDAL = WORKERS + ASKERS,
	FORKER,
	MEMBERS,
	TOGETHER = 3, /* tasks that are waited for at once */
	POLL_MS = 20,
	TRIES = 100,
	BELL_SIZE = 69632,
	DESCRIPTORS_KEPT = 8, /* that the library may open once for the whole process */
	PROGRAM_KIND = CANCEL_KIND_SHUTDOWN,
	CHILD_DOES_NOT_REFUSE_WAIT = 2,
	CHILD_DOES_NOT_REFUSE_BEGIN,
	CHILD_DOES_NOT_END,
	CHILD_DOES_NOT_CLOSE,
	CHILD_CANNOT_END,
	CHILD_CANNOT_BEGIN,
};

#define HEARD_NS (30 * CANCEL_SECOND)

static struct spool_dir dir;
static char other_path[64];
static atomic_ulong begun, cancelled, vandalised, forked;
static atomic_bool
	moved; /* another spool took the place of ours in this round: what was asked is elsewhere */
static atomic_bool removed; /* and ours is gone, with all that is in it: what was under way may fail */

static bool is_excused(int code)
{
	return (code == -ENOENT || code == -ESTALE) && atomic_load(&removed);
}

static void expect_code(int code, const char *what, const struct cancel_error *error)
{
	stress_expect(is_excused(code) || code >= 0, "%s says %d: %s", what, code,
		      code < 0 && error ? error->text : "");
}

/* --- opening ------------------------------------------------------------------------------------------ */

/* It may be removed just then. */
static void try_again(int *tries, const struct cancel_error *error)
{
	if (is_excused(error->code) && ++*tries < TRIES)
		return;
	(void)fprintf(stderr, "tasks: %s\n", error->text);
	abort();
}

static struct cancel_spool *open_spool(const char *path)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool = NULL;
	struct cancel_error error;
	int tries = 0;

	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	while (cancel_spool_open(&spool, &options, &error) < 0)
		try_again(&tries, &error);
	return spool;
}

static struct cancel_manager *open_manager(bool thread, enum cancel_notice notice)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool;
	struct cancel_manager *manager = NULL;
	struct cancel_error error;
	int tries = 0;

	cancel_spool_options_init(&spool);
	spool.path = dir.path;
	spool.create = true;
	cancel_manager_options_init(&options);
	options.spool = &spool;
	options.thread = thread;
	options.notice = notice;
	options.poll_interval_ms = POLL_MS;
	while (cancel_manager_open(&manager, &options, &error) < 0)
		try_again(&tries, &error);
	return manager;
}

static void close_manager(struct cancel_manager *manager)
{
	int code = cancel_manager_close(manager);

	stress_expect(code == 0, "closing a manager says %d", code);
}

/* --- tasks -------------------------------------------------------------------------------------------- */

/* Of one of the threads: what it begins with. */
struct plan {
	char task[24], run[24], group[24];
	const char *also[1];
	struct cancel_task_options options;
	struct cancel_source parent;
};

static void pick_name(uint64_t *random, char name[24])
{
	(void)snprintf(name, 24, "inside-%u", stress_pick(random, NAMES));
}

static void pick_group(uint64_t *random, char name[24])
{
	(void)snprintf(name, 24, "inside-group-%u", stress_pick(random, GROUPS));
}

static void pick_run(uint64_t *random, char name[24])
{
	(void)snprintf(name, 24, "run-%u", stress_pick(random, RUNS));
}

static void make_plan(struct plan *plan, uint64_t *random)
{
	pick_name(random, plan->task);
	pick_run(random, plan->run);
	pick_group(random, plan->group);
	plan->also[0] = plan->group;
	cancel_source_init(&plan->parent, NULL);
	cancel_task_options_init(&plan->options);
	plan->options.run = stress_one_in(random, 2) ? plan->run : NULL;
	plan->options.also = plan->also;
	plan->options.also_count = stress_pick(random, 2);
	plan->options.no_lease = stress_one_in(random, 4);
	if (stress_one_in(random, 4))
		plan->options.parent = cancel_source_token(&plan->parent);
	if (stress_one_in(random, 4))
		plan->options.timeout_ns = stress_pick(random, 2000) * 1000;
}

static void drop_plan(struct plan *plan)
{
	int code = cancel_source_fini(&plan->parent);

	stress_expect(code == 0, "cancel_source_fini says %d", code);
}

static struct cancel_task *begin(struct cancel_manager *manager, const struct plan *plan)
{
	struct cancel_task *task = NULL;
	struct cancel_error error;
	int code = cancel_task_begin(&task, manager, plan->task, &plan->options, &error);

	expect_code(code, "cancel_task_begin", &error);
	(void)atomic_fetch_add(&begun, code >= 0);
	if (code == 1)
		stress_expect(cancel_task_checkpoint(task), "cancelled already, and does not read so");
	return task;
}

/* What it says holds together. */
static void judge_why(const struct cancel_task *task, const struct plan *plan)
{
	struct cancel_why why;

	cancel_task_why(task, &why);
	stress_expect(why.kind != CANCEL_WHY_NOT, "cancelled, and no why");
	stress_expect(why.text && why.cause, "cancelled, and no text or cause");
	if (why.kind == CANCEL_WHY_REQUEST)
		stress_expect(why.request && why.id && why.request->request_id[0] &&
				      cancel_cause_request(why.cause) == why.request &&
				      (!strcmp(why.id, plan->task) ||
				       (plan->options.also_count && !strcmp(why.id, plan->group))),
			      "cancelled by a request for '%s', which '%s' does not listen to",
			      why.id ? why.id : "", plan->task);
	stress_expect(why.kind != CANCEL_WHY_DEADLINE || plan->options.timeout_ns != CANCEL_FOREVER,
		      "cancelled by a deadline that was not set");
}

/* After a failure it has not ended. */
static void end_surely(struct cancel_task *task, enum cancel_outcome outcome)
{
	struct cancel_error error;
	int code, tries = 0;

	do {
		code = cancel_task_end(task, outcome, "inside", &error);
		expect_code(code, "cancel_task_end", &error);
	} while (code < 0 && tries++ < TRIES);
}

static void end(struct cancel_task *task, const struct plan *plan, uint64_t *random)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_NONE, CANCEL_OUTCOME_STOPPED,
						       CANCEL_OUTCOME_FINISHED, CANCEL_OUTCOME_FAILED,
						       CANCEL_OUTCOME_REFUSED};

	if (cancel_task_checkpoint(task)) {
		judge_why(task, plan);
		(void)atomic_fetch_add(&cancelled, 1);
	}
	end_surely(task, outcomes[stress_pick(random, 5)]);
}

/* --- what is done with a task ------------------------------------------------------------------------- */

static int64_t moment(uint64_t *random)
{
	return (int64_t)(stress_chance(random) % (uint64_t)CANCEL_MILLISECOND);
}

static void use_checkpoint(struct cancel_task *task, struct plan *plan, uint64_t *random)
{
	(void)plan;
	for (unsigned i = stress_pick(random, 1000); i > 0 && !cancel_task_checkpoint(task); i--)
		continue;
}

static void use_wait(struct cancel_task *task, struct plan *plan, uint64_t *random)
{
	(void)plan;
	expect_code(cancel_task_wait(task, moment(random)), "cancel_task_wait", NULL);
}

static void use_token(struct cancel_task *task, struct plan *plan, uint64_t *random)
{
	(void)plan;
	expect_code(cancel_token_wait(cancel_task_token(task), moment(random)), "cancel_token_wait", NULL);
}

static void use_check(struct cancel_task *task, struct plan *plan, uint64_t *random)
{
	struct cancel_error error;

	(void)plan;
	(void)random;
	expect_code(cancel_task_check(task, &error), "cancel_task_check", &error);
}

static void use_cancel(struct cancel_task *task, struct plan *plan, uint64_t *random)
{
	static const struct cancel_cause cause = CANCEL_CAUSE_INIT(PROGRAM_KIND, "by the program");
	int code = cancel_task_cancel(task, &cause);

	(void)random;
	stress_expect(code == 0 || code == 1, "cancel_task_cancel says %d", code);
	stress_expect(cancel_task_checkpoint(task), "cancelled, and does not read so");
	judge_why(task, plan);
}

static void use_parent(struct cancel_task *task, struct plan *plan, uint64_t *random)
{
	(void)random;
	(void)cancel_source_cancel(&plan->parent, NULL);
	stress_expect(!plan->options.parent.source || cancel_task_checkpoint(task),
		      "its parent is cancelled, and it is not");
}

static void (*const uses[])(struct cancel_task *task, struct plan *plan, uint64_t *random) = {
	use_checkpoint, use_wait, use_token, use_check, use_cancel, use_parent,
};

static void act_run(struct cancel_manager *manager, unsigned member, uint64_t *random)
{
	struct cancel_task *task;
	struct plan plan;

	(void)member;
	make_plan(&plan, random);
	task = begin(manager, &plan);
	for (unsigned i = stress_pick(random, 4); task && i > 0; i--)
		uses[stress_pick(random, sizeof(uses) / sizeof(uses[0]))](task, &plan, random);
	if (task)
		end(task, &plan, random);
	drop_plan(&plan);
}

static void act_wait_any(struct cancel_manager *manager, unsigned member, uint64_t *random)
{
	struct cancel_task *tasks[TOGETHER];
	struct plan plans[TOGETHER];
	size_t count = 0;
	int code;

	(void)member;
	for (int i = 0; i < TOGETHER; i++) {
		make_plan(&plans[count], random);
		tasks[count] = begin(manager, &plans[count]);
		if (tasks[count])
			count++;
		else
			drop_plan(&plans[count]);
	}
	if (count == 0)
		return;
	code = cancel_task_wait_any(tasks, count, moment(random));
	stress_expect(code == -ETIMEDOUT || (code >= 0 && (size_t)code < count),
		      "cancel_task_wait_any says %d", code);
	if (code >= 0)
		stress_expect(cancel_task_checkpoint(tasks[code]), "the one that was named is not cancelled");
	for (size_t i = 0; i < count; i++) {
		end(tasks[i], &plans[i], random);
		drop_plan(&plans[i]);
	}
}

/* A callback ends its own task. */
struct ending {
	struct cancel_task *task;
	atomic_bool ended;
};

static void end_inside(void *arg, struct cancel_token token)
{
	struct ending *ending = arg;
	struct cancel_error error;

	(void)token;
	expect_code(cancel_task_end(ending->task, CANCEL_OUTCOME_STOPPED, NULL, &error), "ending inside",
		    &error);
	atomic_store(&ending->ended, true);
}

static void act_end_inside(struct cancel_manager *manager, unsigned member, uint64_t *random)
{
	struct cancel_registration registration;
	struct ending ending = {.ended = false};
	struct cancel_request request;
	struct cancel_error error;
	struct plan plan;

	(void)member;
	make_plan(&plan, random);
	plan.options.timeout_ns = stress_pick(random, 3000) * 1000;
	ending.task = begin(manager, &plan);
	if (!ending.task)
		return;
	cancel_request_init(&request);
	request.task_id = plan.task;
	(void)cancel_registration_add(&registration, cancel_task_token(ending.task), end_inside, &ending);
	expect_code(cancel_spool_request(cancel_manager_spool(manager), &request, NULL, &error), "asking",
		    &error);
	cancel_request_clear(&request);
	stress_await(&ending.ended);
	drop_plan(&plan);
}

/* A key is one thread's. */
static void act_key(struct cancel_manager *manager, unsigned member, uint64_t *random)
{
	struct cancel_task *task = NULL, *again = NULL;
	struct cancel_error error;
	char key[24];

	(void)snprintf(key, sizeof(key), "key-%u", member);
	expect_code(cancel_manager_get(manager, key, &task, &error), "cancel_manager_get", &error);
	if (!task)
		return;
	expect_code(cancel_manager_get(manager, key, &again, &error), "cancel_manager_get", &error);
	stress_expect(task == again, "the same key gives another task");
	if (stress_one_in(random, 2)) {
		expect_code(cancel_manager_cancel(manager, key, "by key", &error), "cancel_manager_cancel",
			    &error);
		stress_expect(cancel_task_checkpoint(task) || atomic_load(&moved),
			      "asked for, and does not read cancelled");
		stress_expect(cancel_manager_is_cancelled(manager, key, &error) == 1 || atomic_load(&moved),
			      "asked for, and is not cancelled");
	}
	if (stress_one_in(random, 2))
		expect_code(cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &error), "cancel_task_end",
			    &error);
	expect_code(cancel_manager_delete(manager, key, &error), "cancel_manager_delete", &error);
}

static void act_ask_manager(struct cancel_manager *manager, unsigned member, uint64_t *random)
{
	enum cancel_notice notice;
	struct cancel_error error;
	const char *why;
	char name[24];

	(void)member;
	pick_name(random, name);
	if (stress_one_in(random, 4))
		expect_code(cancel_manager_cancel(manager, name, NULL, &error), "cancel_manager_cancel",
			    &error);
	expect_code(cancel_manager_is_cancelled(manager, name, &error), "cancel_manager_is_cancelled",
		    &error);
	notice = cancel_manager_notice(manager, &why);
	stress_expect(notice != CANCEL_NOTICE_AUTO && (notice != CANCEL_NOTICE_POLL || why), "%s, and no why",
		      cancel_notice_text(notice));
	(void)cancel_manager_trouble(manager, &error);
}

static void act_own_manager(struct cancel_manager *manager, unsigned member, uint64_t *random)
{
	struct cancel_manager *own = open_manager(stress_one_in(random, 2), CANCEL_NOTICE_AUTO);

	(void)manager;
	for (unsigned i = stress_pick(random, 4); i > 0; i--)
		act_run(own, member, random);
	close_manager(own);
}

static void (*const worker_acts[])(struct cancel_manager *manager, unsigned member, uint64_t *random) = {
	act_run,      act_run,        act_run, act_run,         act_run,
	act_wait_any, act_end_inside, act_key, act_ask_manager, act_own_manager,
};

/* --- asking ------------------------------------------------------------------------------------------- */

static void pick_any(uint64_t *random, char name[24])
{
	if (stress_one_in(random, 4))
		pick_group(random, name);
	else
		pick_name(random, name);
}

static void ask(struct cancel_spool *spool, uint64_t *random)
{
	struct cancel_request request;
	struct cancel_error error;
	char name[24], run[24];

	pick_any(random, name);
	pick_run(random, run);
	cancel_request_init(&request);
	request.task_id = name;
	request.run = stress_one_in(random, 3) ? run : NULL;
	expect_code(cancel_spool_request(spool, &request, NULL, &error), "cancel_spool_request", &error);
	cancel_request_clear(&request);
}

static void decide(struct cancel_spool *spool, uint64_t *random)
{
	enum cancel_outcome outcome =
		stress_one_in(random, 2) ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_WITHDRAWN;
	struct cancel_error error;
	char name[24];
	int code;

	pick_any(random, name);
	code = cancel_spool_decide(spool, name, NULL, NULL, outcome, NULL, NULL, &error);
	if (code != -ENOENT)
		expect_code(code, "cancel_spool_decide", &error);
}

static void reset(struct cancel_spool *spool, uint64_t *random)
{
	struct cancel_error error;
	char name[24];

	pick_any(random, name);
	expect_code(cancel_spool_reset(spool, name, NULL, &error), "cancel_spool_reset", &error);
}

static int visit_run(void *arg, const struct cancel_run *run)
{
	(void)arg;
	stress_expect(run->task_id && run->pid > 0, "a lease without its task or process");
	return 0;
}

static void list_runs(struct cancel_spool *spool, uint64_t *random)
{
	struct cancel_error error;

	(void)random;
	expect_code(cancel_spool_runs(spool, visit_run, NULL, &error), "cancel_spool_runs", &error);
}

static void count_all(struct cancel_spool *spool, uint64_t *random)
{
	struct cancel_statistics statistics;
	struct cancel_spool_info info;
	struct cancel_error error;

	(void)random;
	(void)cancel_spool_statistics(spool, &statistics, &error);
	expect_code(cancel_spool_info(spool, &info, &error), "cancel_spool_info", &error);
}

static void sweep(struct cancel_spool *spool, uint64_t *random)
{
	struct cancel_sweep_options options = {.keep_for_s = stress_one_in(random, 2) ? 0 : 3600};
	struct cancel_sweep_result result;
	struct cancel_error error;

	expect_code(cancel_spool_sweep(spool, &options, NULL, NULL, &result, &error), "cancel_spool_sweep",
		    &error);
}

static void (*const asker_acts[])(struct cancel_spool *spool, uint64_t *random) = {
	ask, ask, ask, ask, decide, decide, reset, list_runs, count_all, sweep,
};

/* --- vandals ------------------------------------------------------------------------------------------ */

static const char *bell_path(char path[80])
{
	(void)snprintf(path, 80, "%s/bell", dir.path);
	return path;
}

static void delete_bell(uint64_t *random)
{
	char path[80];

	(void)random;
	(void)unlink(bell_path(path));
}

static void truncate_bell(uint64_t *random)
{
	static const off_t sizes[] = {0, 64, 4096, 8192, BELL_SIZE};
	char path[80];

	(void)!truncate(bell_path(path), sizes[stress_pick(random, 5)]);
}

static void scribble_on_bell(uint64_t *random)
{
	uint64_t noise[16];
	char path[80];
	int fd = open(bell_path(path), O_WRONLY | O_CLOEXEC);

	for (int i = 0; i < 16; i++)
		noise[i] = stress_chance(random);
	if (fd < 0)
		return;
	(void)!pwrite(fd, noise, sizeof(noise), stress_pick(random, BELL_SIZE - (unsigned)sizeof(noise)));
	(void)close(fd);
}

static void exchange_spool(uint64_t *random)
{
	(void)random;
	atomic_store(&moved, true);
	stress_expect(renameat2(AT_FDCWD, dir.path, AT_FDCWD, other_path, RENAME_EXCHANGE) == 0,
		      "exchanging: %s", strerror(errno));
}

/* What takes its place is made by whoever comes first. */
static void remove_spool(uint64_t *random)
{
	static unsigned number;
	struct spool_dir old;

	(void)random;
	atomic_store(&moved, true);
	atomic_store(&removed, true);
	(void)snprintf(old.root, sizeof(old.root), "%.22s/%u", dir.root, number++ % 1000000);
	stress_expect(rename(dir.path, old.root) == 0, "moving the spool away: %s", strerror(errno));
	cancel_spool_close(open_spool(dir.path));
	spool_dir_remove(&old);
}

static void (*const vandalisms[])(uint64_t *random) = {
	delete_bell, truncate_bell, scribble_on_bell, exchange_spool, remove_spool,
};

enum { VANDALISMS = sizeof(vandalisms) / sizeof(vandalisms[0]) };

static void vandalise(uint64_t *random)
{
	vandalisms[stress_pick(random, VANDALISMS)](random);
	(void)atomic_fetch_add(&vandalised, 1);
	(void)sched_yield();
}

/* --- children ----------------------------------------------------------------------------------------- */

/* A manager of its own, without a thread: a checker's runtime has none to give after a fork. */
static int work_in_child(void)
{
	struct cancel_manager *own = open_manager(false, CANCEL_NOTICE_AUTO);
	struct cancel_task *task;

	if (cancel_task_begin(&task, own, "inside-child", NULL, NULL) < 0)
		return CHILD_CANNOT_BEGIN;
	if (cancel_task_end(task, CANCEL_OUTCOME_FINISHED, NULL, NULL) < 0 || cancel_manager_close(own) != 0)
		return CHILD_CANNOT_END;
	return 0;
}

static int close_inherited(struct cancel_manager *manager, struct cancel_task *task, bool cancelled_before)
{
	struct cancel_task *other;

	if (cancel_task_wait(task, 0) != -EPERM)
		return CHILD_DOES_NOT_REFUSE_WAIT;
	if (cancel_task_begin(&other, manager, "inside-child", NULL, NULL) != -EPERM)
		return CHILD_DOES_NOT_REFUSE_BEGIN;
	if ((!cancel_task_checkpoint(task) && cancelled_before) ||
	    cancel_task_end(task, CANCEL_OUTCOME_FINISHED, NULL, NULL) != 0)
		return CHILD_DOES_NOT_END;
	if (cancel_manager_close(manager) != 0)
		return CHILD_DOES_NOT_CLOSE;
	return work_in_child();
}

/* Its own spool was removed from under it. */
static bool is_homeless(int status)
{
	return WIFEXITED(status) &&
	       (WEXITSTATUS(status) == CHILD_CANNOT_END || WEXITSTATUS(status) == CHILD_CANNOT_BEGIN);
}

/* What other threads of the parent were at work with when it forked is nobody's here, and a checker would take it for a
 * leak of ours; so the child becomes another program, and is not looked through at its end. */
__attribute__((noreturn)) static void leave_child(int status)
{
	char line[32];

	(void)snprintf(line, sizeof line, "exit %d", status);
	(void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
	_exit(status);
}

static void fork_once(struct cancel_manager *manager, uint64_t *random)
{
	struct plan plan;
	struct cancel_task *task;
	bool cancelled_before;
	int status = 0;
	pid_t pid;

	make_plan(&plan, random);
	task = begin(manager, &plan);
	if (!task)
		return;
	cancelled_before = cancel_task_checkpoint(task);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		leave_child(close_inherited(manager, task, cancelled_before));
	}
	stress_expect(pid > 0 && waitpid(pid, &status, 0) == pid, "fork: %s", strerror(errno));
	stress_expect(status == 0 || (is_homeless(status) && atomic_load(&removed)),
		      "the child's status is %#x", (unsigned)status);
	end(task, &plan, random);
	drop_plan(&plan);
	(void)atomic_fetch_add(&forked, 1);
}

/* --- mixed -------------------------------------------------------------------------------------------- */

struct mixture {
	struct cancel_manager *manager;
	struct cancel_spool *spools[ASKERS];
	bool peaceful; /* nobody destroys anything in this round */
};

static void act_in_mixture(void *scene, unsigned member, uint64_t *random)
{
	struct mixture *mixture = scene;

	if (member == VANDAL && !mixture->peaceful)
		vandalise(random);
	else if (member == FORKER && FORKS)
		fork_once(mixture->manager, random);
	for (int i = 0; i < ACTS; i++)
		if (member < WORKERS)
			worker_acts[stress_pick(random, sizeof(worker_acts) / sizeof(worker_acts[0]))](
				mixture->manager, member, random);
		else if (member < VANDAL)
			asker_acts[stress_pick(random, sizeof(asker_acts) / sizeof(asker_acts[0]))](
				mixture->spools[member - WORKERS], random);
}

static void play_mixture(void)
{
	uint64_t random = stress_seed(200);
	struct stress_team team;
	struct mixture mixture;

	for (int i = 0; i < ASKERS; i++)
		mixture.spools[i] = open_spool(dir.path);
	mixture.manager = open_manager(true, CANCEL_NOTICE_AUTO);
	stress_team_start(&team, MEMBERS, act_in_mixture, &mixture);
	while (stress_going()) {
		mixture.peaceful = stress_one_in(&random, 3);
		if (stress_one_in(&random, 8)) {
			close_manager(mixture.manager);
			mixture.manager = open_manager(true, stress_one_in(&random, 4) ? CANCEL_NOTICE_INOTIFY
										       : CANCEL_NOTICE_AUTO);
		}
		atomic_store(&moved, false);
		atomic_store(&removed, false);
		stress_team_round(&team);
	}
	stress_team_end(&team);
	close_manager(mixture.manager);
	for (int i = 0; i < ASKERS; i++)
		cancel_spool_close(mixture.spools[i]);
}

/* --- heard -------------------------------------------------------------------------------------------- */

static void request_heard(struct cancel_spool *spool, const char *name)
{
	struct cancel_request request;
	struct cancel_error error;

	cancel_request_init(&request);
	request.task_id = name;
	expect_code(cancel_spool_request(spool, &request, NULL, &error), "asking", &error);
	cancel_request_clear(&request);
}

static void hear(struct cancel_manager *manager, const char *name, uint64_t *random)
{
	struct plan plan;
	struct cancel_task *task;
	int code;

	make_plan(&plan, random);
	cancel_task_options_init(&plan.options);
	(void)snprintf(plan.task, sizeof(plan.task), "%s", name);
	task = begin(manager, &plan);
	if (!task)
		return;
	vandalise(random);
	request_heard(cancel_manager_spool(manager), name);
	code = cancel_task_wait(task, HEARD_NS);
	stress_expect(code == 1, "'%s' was asked for, and waits on: %d", name, code);
	end(task, &plan, random);
	drop_plan(&plan);
}

static void play_heard(void)
{
	struct cancel_manager *with = open_manager(true, CANCEL_NOTICE_AUTO);
	struct cancel_manager *without = open_manager(false, CANCEL_NOTICE_AUTO);
	uint64_t random = stress_seed(201);

	while (stress_going()) {
		hear(with, "heard-with", &random);
		hear(without, "heard-without", &random);
	}
	close_manager(with);
	close_manager(without);
}

/* --- closed ------------------------------------------------------------------------------------------- */

static atomic_uint told;

static void tell(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
	(void)atomic_fetch_add(&told, 1);
}

static void close_with_tasks(uint64_t *random)
{
	struct cancel_manager *manager = open_manager(stress_one_in(random, 4) == 0, CANCEL_NOTICE_AUTO);
	struct cancel_registration registrations[TOGETHER];
	struct plan plans[TOGETHER];

	for (int i = 0; i < TOGETHER; i++) {
		struct cancel_task *task;

		make_plan(&plans[i], random);
		task = begin(manager, &plans[i]);
		if (task)
			(void)cancel_registration_add(&registrations[i], cancel_task_token(task), tell, NULL);
		if (stress_one_in(random, 2))
			request_heard(cancel_manager_spool(manager), plans[i].task);
	}
	close_manager(manager);
	for (int i = 0; i < TOGETHER; i++)
		drop_plan(&plans[i]);
}

static void play_closed(void)
{
	uint64_t random = stress_seed(202);

	while (stress_going())
		close_with_tasks(&random);
}

/* --- the whole ---------------------------------------------------------------------------------------- */

int main(void)
{
	static const struct stress_part parts[] = {
		{"mixed", 8, play_mixture},
		{"heard", 3, play_heard},
		{"closed", 2, play_closed},
	};
	int before, after;

	spool_dir_make(&dir);
	(void)snprintf(other_path, sizeof(other_path), "%s/other", dir.root);
	cancel_spool_close(open_spool(other_path));
	cancel_spool_close(open_spool(dir.path));
	if (cancel_dispatcher_start() < 0)
		return 1;
	before = token_count_descriptors();
	stress_play("tasks", parts, sizeof(parts) / sizeof(parts[0]));
	after = token_count_descriptors();
	stress_expect(after <= before + DESCRIPTORS_KEPT, "%d descriptors were open before, %d are now",
		      before, after);
	spool_dir_remove(&dir);
	return stress_end("%lu begun, %lu cancelled, %lu times vandalised, %lu forked", atomic_load(&begun),
			  atomic_load(&cancelled), atomic_load(&vandalised), atomic_load(&forked));
}
