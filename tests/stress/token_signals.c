/*
 * Tokens: signal handlers and forks, whatever they interrupt. Parts:
 *
 *   storm          three threads add, remove, link, unlink, cancel, wait, poll and end, while timers
 *                  and another thread send them signals, whose handler cancels what they are working
 *                  on. Nobody hangs, one cancel wins, each callback is told or removed, errno stays.
 *   no dispatcher  what a handler cancelled, with nobody there to deliver it, wakes who waits for it,
 *                  and is told by who ends the source, who waits for its callbacks, or by the
 *                  dispatcher once it is started.
 *   fork           a process forks over and over while its threads cancel, link, and set deadlines.
 *                  The child asks the tokens that it finds, makes fresh sources of the same memory,
 *                  and uses all of the library.
 *
 * Mutations that this catches: a lock taken in the handler's call; a cancel that loses against one
 * from a handler on the same thread and is told twice, or never; errno changed; a fork that leaves the
 * child a lock that nobody holds, or a dispatcher that is not there.
 */
#include "stress_node.h"
#include "stress_run.h"
#include "stress_team.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A field that C libraries call by different names. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static const struct cancel_cause by_handler = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "a signal");

static atomic_ulong handled, forks;
static const char *no_fork = "";

/* --- storm: the handler ------------------------------------------------------------------------------- */

enum {
	WORKERS = 3,
	TARGETS = 2,
	KEPT = 64, /* nodes that a worker leaves registered in a round */
	SHOTS = 12,
	ACTS_A_SHOT = 40,
	SHOT_NS = 25000,
	SENT = 20,
	CANCEL_ONE_IN = 24,
	SHORT_NS = 20000,
	UNLIKELY_ERRNO = 4711,
};

static struct cancel_source targets[TARGETS];
static atomic_uint won[TARGETS];
static atomic_uint ticks;
static atomic_bool handler_wrong; /* where nothing can be printed */

/* What this thread is working on, and nobody else knows. */
static _Thread_local struct cancel_source *volatile own;
static _Thread_local volatile sig_atomic_t own_won, shot;

static bool cancel_in_handler(struct cancel_source *source)
{
	struct cancel_token token = cancel_source_token(source);
	bool before = cancel_token_requested(token);
	int code;

	errno = UNLIKELY_ERRNO;
	code = cancel_source_cancel_from_signal(source, &by_handler);
	if (errno != UNLIKELY_ERRNO || (before && code != 0) || !cancel_token_requested(token) ||
	    !cancel_token_cause(token) || !cancel_token_origin(token) ||
	    cancel_token_error(token) != -ECANCELED)
		atomic_store(&handler_wrong, true);
	return code == 1;
}

static void handle(int signal_number)
{
	unsigned tick = atomic_fetch_add(&ticks, 1);
	int saved = errno;

	(void)signal_number;
	shot = 1;
	if (own)
		own_won += cancel_in_handler(own);
	if (tick % CANCEL_ONE_IN == 0) {
		unsigned target = tick / CANCEL_ONE_IN % TARGETS;

		(void)atomic_fetch_add(&won[target], cancel_in_handler(&targets[target]));
	}
	errno = saved;
}

/* --- storm: what it interrupts ------------------------------------------------------------------------ */

struct worker {
	struct stress_node kept[KEPT];
	unsigned kept_count;
	timer_t timer;
	bool has_timer;
	atomic_bool open; /* signals are welcome */
	pthread_t thread;
};

static struct worker workers[WORKERS];

static void add_and_remove(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct stress_node node = {0};

	(void)worker;
	(void)random;
	(void)cancel_registration_add(&node.registration, cancel_source_token(target), stress_node_tell,
				      &node);
	(void)stress_node_remove(&node);
	stress_expect(stress_node_right(&node), "removed: %d, told: %d", node.removed,
		      stress_node_told(&node));
	stress_node_reset(&node, 0); /* the stack is used again */
}

static void add_and_keep(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct stress_node *node = &worker->kept[worker->kept_count];

	(void)random;
	if (worker->kept_count == KEPT)
		return;
	stress_node_reset(node, 0);
	if (cancel_registration_try_add(&node->registration, cancel_source_token(target), stress_node_tell,
					node) == 0)
		worker->kept_count++;
}

static void remove_kept(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct stress_node *node = &worker->kept[stress_pick(random, worker->kept_count + 1)];

	(void)target;
	if (node < &worker->kept[worker->kept_count] && !node->gone)
		(void)stress_node_remove(node);
}

/* Unlinked, it is told or it never will be. */
static void link_and_unlink(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct cancel_source child = CANCEL_SOURCE_INIT;
	struct stress_node node = {0};
	struct cancel_link link;
	int code;

	(void)worker;
	(void)random;
	(void)cancel_link_add(&link, &child, cancel_source_token(target));
	(void)cancel_registration_add(&node.registration, cancel_source_token(&child), stress_node_tell,
				      &node);
	code = cancel_link_remove(&link);
	stress_expect(code == CANCEL_REMOVED || code == CANCEL_FINISHED, "unlinking says %d", code);
	stress_expect(cancel_source_quiesce(&child, CANCEL_FOREVER) == 0, "quiesce");
	stress_expect(stress_node_told(&node) == cancel_token_requested(cancel_source_token(&child)),
		      "unlinked, and told %d times", stress_node_told(&node));
	stress_expect(cancel_source_fini(&child) == 0, "fini");
}

static void link_and_end(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct cancel_token parents[] = {cancel_source_token(target), cancel_source_token(&targets[0])};
	struct cancel_link links[COUNT(parents)];
	struct cancel_source child;

	(void)worker;
	(void)random;
	(void)cancel_linked_init(&child, NULL, links, parents, COUNT(parents));
	stress_expect(cancel_linked_fini(&child, links, COUNT(parents)) == 0, "fini");
}

/* The handler cancels it in the middle of this; not in fini, which is the last call on a source. */
static void cancel_own(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct stress_node nodes[3] = {0};
	unsigned count = stress_pick(random, COUNT(nodes) + 1);
	int wins = 0;

	(void)worker;
	(void)target;
	own_won = 0;
	own = &source;
	for (unsigned i = 0; i < count; i++)
		(void)cancel_registration_add(&nodes[i].registration, cancel_source_token(&source),
					      stress_node_tell, &nodes[i]);
	if (count > 0 && stress_one_in(random, 2))
		(void)stress_node_remove(&nodes[stress_pick(random, count)]);
	if (stress_one_in(random, 2))
		wins = cancel_source_cancel(&source, NULL);
	own = NULL;
	wins += own_won;
	stress_expect(wins == cancel_token_requested(cancel_source_token(&source)), "%d cancels won", wins);
	stress_expect(cancel_source_quiesce(&source, CANCEL_FOREVER) == 0, "quiesce");
	for (unsigned i = 0; i < count; i++)
		stress_expect(stress_node_told(&nodes[i]) == (nodes[i].removed ? 0 : wins), "told %d times",
			      stress_node_told(&nodes[i]));
	stress_expect(cancel_source_fini(&source) == 0, "fini");
	for (unsigned i = 0; i < count; i++)
		stress_node_reset(&nodes[i], 0);
}

static void cancel_own_and_end(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct stress_node node = {0};
	int wins;

	(void)worker;
	(void)target;
	own_won = 0;
	(void)cancel_registration_add(&node.registration, cancel_source_token(&source), stress_node_tell,
				      &node);
	own = &source;
	wins = stress_one_in(random, 2) ? cancel_source_cancel_deferred(&source, NULL) : 0;
	own = NULL;
	wins += own_won;
	stress_expect(cancel_source_fini(&source) == 0, "fini");
	stress_expect(stress_node_told(&node) == wins, "cancelled %d times, told %d times", wins,
		      stress_node_told(&node));
}

static void wait_a_moment(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct cancel_token tokens[] = {CANCEL_TOKEN_NONE, cancel_source_token(target)};
	int64_t began_ns = stress_now_ns(), timeout_ns = stress_pick(random, SHORT_NS);
	int code = stress_one_in(random, 2) ? cancel_token_wait(tokens[1], timeout_ns)
					    : cancel_token_wait_any(tokens, COUNT(tokens), timeout_ns);

	(void)worker;
	stress_expect(code == 0 || code == -ETIMEDOUT || (code == 1 && cancel_token_requested(tokens[1])),
		      "waiting says %d", code);
	stress_expect(code == 1 || stress_now_ns() - began_ns >= timeout_ns, "a signal ended the wait");
}

static void poll_a_moment(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct cancel_token token = cancel_source_token(target);
	int64_t began_ns = stress_now_ns(), timeout_ns = stress_pick(random, SHORT_NS);
	int code = cancel_token_poll(token, NULL, 0, timeout_ns);

	(void)worker;
	stress_expect(code == 0 || code == -EINTR || (code == -ECANCELED && cancel_token_requested(token)),
		      "polling says %d", code);
	stress_expect(code != 0 || stress_now_ns() - began_ns >= timeout_ns, "polled too short");
}

static void set_and_stop(struct worker *worker, struct cancel_source *target, uint64_t *random)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;

	(void)worker;
	(void)target;
	(void)cancel_deadline_set(&deadline, &source, 1 + stress_pick(random, SHORT_NS), NULL);
	stress_expect(cancel_deadline_stop(&deadline) != cancel_token_requested(cancel_source_token(&source)),
		      "stopped and fired, or neither");
	stress_expect(cancel_source_fini(&source) == 0, "fini");
}

static void (*const acts[])(struct worker *worker, struct cancel_source *target, uint64_t *random) = {
	add_and_remove, add_and_remove, add_and_keep,       remove_kept,   link_and_unlink, link_and_end,
	cancel_own,     cancel_own,     cancel_own_and_end, wait_a_moment, poll_a_moment,   set_and_stop,
};

/* --- storm: the round --------------------------------------------------------------------------------- */

static void set_storm_signal(int how)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	(void)pthread_sigmask(how, &set, NULL);
}

static void make_timer(struct worker *worker)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};

	if (worker->has_timer)
		return;
	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &worker->timer) < 0) {
		perror("timer_create");
		abort();
	}
	worker->has_timer = true;
	worker->thread = pthread_self();
}

/* One shot at a time: a handler that is slow under a checker would be all that ever runs. */
static void fire_timer(struct worker *worker, uint64_t *random)
{
	const struct itimerspec at = {.it_value.tv_nsec = 1 + (long)stress_pick(random, SHOT_NS)};

	shot = 0;
	(void)timer_settime(worker->timer, 0, &at, NULL);
}

static void work_under_fire(struct worker *worker, uint64_t *random)
{
	make_timer(worker);
	atomic_store(&worker->open, true);
	set_storm_signal(SIG_UNBLOCK);
	for (unsigned i = 0; i < SHOTS; i++) {
		fire_timer(worker, random);
		for (unsigned j = 0; j < ACTS_A_SHOT && !shot; j++)
			acts[stress_pick(random, COUNT(acts))](worker, &targets[stress_pick(random, TARGETS)],
							       random);
	}
	set_storm_signal(SIG_BLOCK);
}

static void send_signals(uint64_t *random)
{
	for (unsigned i = 0; i < SENT; i++) {
		struct worker *worker = &workers[stress_pick(random, WORKERS)];

		stress_dawdle(random);
		if (atomic_load(&worker->open))
			(void)pthread_kill(worker->thread, SIGUSR1);
	}
}

static void act_in_storm(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	if (member == 0)
		send_signals(random);
	else
		work_under_fire(&workers[member - 1], random);
}

static void begin_storm_round(void)
{
	for (unsigned i = 0; i < TARGETS; i++) {
		cancel_source_init(&targets[i], NULL);
		atomic_store(&won[i], 0);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i].kept_count = 0;
}

/* A kept node may be on either target; all that are left go with it. */
static void end_storm_round(void)
{
	for (unsigned i = 0; i < TARGETS; i++) {
		bool cancelled = cancel_token_requested(cancel_source_token(&targets[i]));

		stress_expect(atomic_load(&won[i]) == cancelled, "%u cancels won", atomic_load(&won[i]));
		stress_expect(cancel_source_quiesce(&targets[i], CANCEL_FOREVER) == 0, "quiesce");
	}
	for (unsigned i = 0; i < WORKERS; i++)
		for (unsigned j = 0; j < workers[i].kept_count; j++) {
			struct stress_node *node = &workers[i].kept[j];

			if (!node->gone)
				(void)stress_node_remove(node);
			stress_expect(stress_node_right(node), "removed: %d, told: %d", node->removed,
				      stress_node_told(node));
		}
	for (unsigned i = 0; i < TARGETS; i++)
		stress_expect(cancel_source_fini(&targets[i]) == 0, "fini");
	stress_expect(!atomic_load(&handler_wrong), "in a handler: errno, token or result wrong");
}

/* A signal that was sent before a worker blocked it waits for the next round, in which there are new targets.
 */
static void play_storm(void)
{
	struct stress_team team;

	stress_expect(cancel_dispatcher_start() == 0, "no dispatcher");
	set_storm_signal(SIG_BLOCK);
	stress_team_start(&team, 1 + WORKERS, act_in_storm, NULL);
	while (stress_going()) {
		begin_storm_round();
		stress_team_round(&team);
		end_storm_round();
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		atomic_store(&workers[i].open, false);
		(void)timer_delete(workers[i].timer);
		workers[i].has_timer = false;
	}
	stress_team_end(&team);
	set_storm_signal(SIG_UNBLOCK);
	(void)atomic_fetch_add(&handled, atomic_exchange(&ticks, 0));
}

/* --- no dispatcher ------------------------------------------------------------------------------------ */

static void help_by_fini(struct cancel_source *source)
{
	(void)source;
}

static void help_by_quiesce(struct cancel_source *source)
{
	stress_expect(cancel_source_quiesce(source, CANCEL_FOREVER) == 0, "quiesce");
}

static void help_by_starting(struct cancel_source *source)
{
	stress_expect(cancel_dispatcher_start() == 0, "no dispatcher");
	stress_expect(cancel_source_quiesce(source, CANCEL_FOREVER) == 0, "quiesce");
	stress_expect(cancel_dispatcher_stop() == 0, "the dispatcher does not stop");
}

static void (*const helpers[])(struct cancel_source *source) = {help_by_fini, help_by_quiesce,
								help_by_starting};

static void raise_on(struct cancel_source *source)
{
	own_won = 0;
	own = source;
	(void)raise(SIGUSR1);
	own = NULL;
	stress_expect(own_won == 1 && cancel_token_requested(cancel_source_token(source)), "not cancelled");
}

static struct cancel_source watched;
static atomic_bool awake;

/* The handler wakes who waits. Nobody else would. */
static void wake_or_wait(unsigned member)
{
	int code;

	if (member == 0) {
		raise_on(&watched);
		stress_await(&awake);
		return;
	}
	code = cancel_token_wait(cancel_source_token(&watched), CANCEL_FOREVER);
	stress_expect(code == 1, "wait says %d", code);
	atomic_store(&awake, true);
}

/* Two threads, so that one may deliver what the other waits for. */
static void act_alone(void *scene, unsigned member, uint64_t *random)
{
	struct cancel_source source = CANCEL_SOURCE_INIT, child = CANCEL_SOURCE_INIT;
	struct stress_node node = {0}, deep = {0};
	struct cancel_link link;

	(void)scene;
	stress_dawdle(random);
	wake_or_wait(member);
	(void)cancel_link_add(&link, &child, cancel_source_token(&source));
	(void)cancel_registration_add(&node.registration, cancel_source_token(&source), stress_node_tell,
				      &node);
	(void)cancel_registration_add(&deep.registration, cancel_source_token(&child), stress_node_tell,
				      &deep);
	raise_on(&source);
	helpers[member == 0 ? stress_pick(random, COUNT(helpers)) : stress_pick(random, 2)](&source);
	stress_expect(cancel_source_fini(&source) == 0, "fini");
	stress_expect(stress_node_right(&node) && stress_node_right(&deep), "told %d and %d times",
		      stress_node_told(&node), stress_node_told(&deep));
	stress_expect(cancel_source_fini(&child) == 0, "fini");
}

static void play_no_dispatcher(void)
{
	struct stress_team team;

	begin_storm_round();
	stress_expect(cancel_dispatcher_stop() == 0, "the dispatcher does not stop");
	stress_team_start(&team, 2, act_alone, NULL);
	while (stress_going()) {
		cancel_source_init(&watched, NULL);
		atomic_store(&awake, false);
		stress_team_round(&team);
		stress_expect(cancel_source_fini(&watched) == 0, "fini");
	}
	stress_team_end(&team);
	stress_expect(cancel_dispatcher_start() == 0, "no dispatcher");
	end_storm_round();
}

/* --- fork --------------------------------------------------------------------------------------------- */

enum { BUSY = 1, FORKERS = 3, CHILD_ALARM_S = 30, BUSY_CANCELS = 30, SOON_NS = 500000, FAR_S = 3600 };

static struct busy {
	struct cancel_source parent, child;
	struct cancel_link link;
	struct cancel_deadline near, far;
	struct stress_node nodes[9];
} busy[BUSY];

static void begin_busy(struct busy *it)
{
	cancel_source_init(&it->child, NULL);
	cancel_source_init(&it->parent, NULL);
	(void)cancel_link_add(&it->link, &it->child, cancel_source_token(&it->parent));
	for (unsigned i = 0; i < COUNT(it->nodes); i++) {
		stress_node_reset(&it->nodes[i], 0);
		(void)cancel_registration_add(&it->nodes[i].registration,
					      cancel_source_token(i % 2 ? &it->parent : &it->child),
					      stress_node_tell, &it->nodes[i]);
	}
}

/* Nothing but this, so that the fork is likely to come in the middle of it. */
static struct cancel_source of_many;
static struct cancel_deadline many[64];

static void set_and_stop_many(uint64_t *random)
{
	for (unsigned i = 0; i < COUNT(many); i++) {
		struct cancel_deadline *deadline = &many[stress_pick(random, COUNT(many))];

		if (stress_one_in(random, 3))
			(void)cancel_deadline_stop(deadline);
		else
			(void)cancel_deadline_set_at(deadline, &of_many,
						     INT64_MAX / 2 + stress_pick(random, FAR_S), &by_handler);
	}
}

static void stop_many(void)
{
	for (unsigned i = 0; i < COUNT(many); i++)
		(void)cancel_deadline_stop(&many[i]);
}

static void cancel_busily(struct busy *it, uint64_t *random)
{
	begin_busy(it);
	(void)cancel_deadline_set(&it->near, &it->child, 1 + stress_pick(random, SHORT_NS), &by_handler);
	(void)cancel_deadline_set(&it->far, &it->child, FAR_S * CANCEL_SECOND, &by_handler);
	(void)(stress_one_in(random, 2) ? cancel_source_cancel(&it->parent, &by_handler)
					: cancel_source_cancel_deferred(&it->parent, &by_handler));
	(void)cancel_deadline_stop(&it->near);
	(void)cancel_deadline_stop(&it->far);
	(void)cancel_linked_fini(&it->child, &it->link, 1);
	(void)cancel_source_fini(&it->parent);
}

/* In the child nothing is printed: its exit status says which step failed. */
static void require(bool holds, int step)
{
	if (!holds)
		_exit(step);
}

static void ask_inherited(const struct cancel_source *source, int step)
{
	struct cancel_token token = cancel_source_token(source);

	if (cancel_token_requested(token))
		require(cancel_token_cause(token) == &by_handler && cancel_token_origin(token) &&
				cancel_token_error(token) == -ECANCELED,
			step);
	else
		require(cancel_token_error(token) == 0, step);
}

/* The same memory, fresh sources: every way to cancel, and what each wakes and tells. */
static void use_anew(struct busy *it)
{
	begin_busy(it);
	require(cancel_source_cancel(&it->parent, NULL) == 1, 3);
	for (unsigned i = 0; i < COUNT(it->nodes); i++)
		require(stress_node_right(&it->nodes[i]), 4);
	require(cancel_linked_fini(&it->child, &it->link, 1) == 0 && cancel_source_fini(&it->parent) == 0, 5);
	begin_busy(it);
	require(cancel_deadline_stop(&it->far) == 0, 6);
	require(cancel_deadline_set(&it->near, &it->child, SOON_NS, NULL) == 0, 7);
	require(cancel_token_wait(cancel_source_token(&it->child), CANCEL_FOREVER) == 1, 8);
	require(cancel_source_cancel_deferred(&it->parent, NULL) == 1, 9);
	require(cancel_source_quiesce(&it->parent, CANCEL_FOREVER) == 0, 10);
	require(cancel_source_quiesce(&it->child, CANCEL_FOREVER) == 0, 11);
	for (unsigned i = 0; i < COUNT(it->nodes); i++)
		require(stress_node_right(&it->nodes[i]), 12);
	require(cancel_linked_fini(&it->child, &it->link, 1) == 0 && cancel_source_fini(&it->parent) == 0,
		13);
	require(cancel_dispatcher_stop() == 0, 14);
}

static void live_as_child(void)
{
	(void)alarm(CHILD_ALARM_S);
	for (unsigned i = 0; i < BUSY; i++) {
		ask_inherited(&busy[i].parent, 1);
		ask_inherited(&busy[i].child, 2);
	}
	for (unsigned i = 0; i < COUNT(many); i++)
		require(cancel_deadline_stop(&many[i]) == 0, 15);
	for (unsigned i = 0; i < BUSY; i++)
		use_anew(&busy[i]);
	_exit(0);
}

static void fork_once(void)
{
	pid_t child = fork();
	int status = 0;

	if (child < 0) {
		perror("fork");
		abort();
	}
	if (child == 0)
		live_as_child();
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	stress_expect(status == 0, "the child %s %d",
		      WIFSIGNALED(status) ? "hangs or dies by signal" : "fails at step",
		      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	(void)atomic_fetch_add(&forks, 1);
}

static atomic_bool forked;

static void act_in_fork(void *scene, unsigned member, uint64_t *random)
{
	(void)scene;
	if (member == 0) {
		stress_dawdle(random);
		fork_once();
		atomic_store(&forked, true);
		return;
	}
	for (unsigned i = 0; i < BUSY_CANCELS || !atomic_load(&forked); i++)
		if (member == 1)
			cancel_busily(&busy[0], random);
		else
			set_and_stop_many(random);
	if (member > 1)
		stop_many();
}

static void play_fork(void)
{
	struct stress_team team;

	if (STRESS_UNDER_TSAN) {
		no_fork = "; fork skipped: ThreadSanitizer allows no thread after it";
		return;
	}
	for (unsigned i = 0; i < BUSY; i++)
		begin_busy(&busy[i]);
	stress_team_start(&team, FORKERS, act_in_fork, NULL);
	while (stress_going()) {
		atomic_store(&forked, false);
		stress_team_round(&team);
	}
	stress_team_end(&team);
}

int main(void)
{
	static const struct stress_part parts[] = {
		{"storm", 60, play_storm},
		{"no dispatcher", 10, play_no_dispatcher},
		{"fork", 30, play_fork},
	};
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};

	if (sigaction(SIGUSR1, &action, NULL) < 0)
		return 1;
	stress_play("signals", parts, COUNT(parts));
	return stress_end("%lu handled, %lu forks%s", atomic_load(&handled), atomic_load(&forks), no_fork);
}
