/*
 * Tokens: who waits is woken, and not before time. Parts:
 *
 *   wake         three threads wait for two sources, each in its own way, while two others cancel
 *                them, each in its own way: everybody wakes, and before the callbacks are called.
 *                Waits with an end, over and over, are never shorter than that.
 *   descriptors  a cancel_fd is opened and closed over and over against a cancellation: it is readable
 *                once the token is cancelled, and nothing is written to the next descriptor of its
 *                number.
 *   real time    a SCHED_FIFO thread keeps preempting an ordinary one, on the same processor, that
 *                works on the same sources and deadlines, and so is holding a lock now and then. It
 *                must sleep for it and not spin: RLIMIT_RTTIME ends a thread that does not. Skipped
 *                where that is not permitted. It is real time only while it works: a checker's own
 *                locks, taken where a thread begins and ends, do spin.
 *
 * Mutations that this catches: looking at the word before saying that somebody waits; no wake by one
 * of the ways to cancel; no wake of who waits for a child; a timeout that is rounded down; a lock that
 * spins or yields until it is free; a descriptor that is written to after it was closed.
 */
#include "stress_node.h"
#include "stress_run.h"
#include "stress_target.h"
#include "stress_team.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	TARGETS = 2,
	WAITERS = 3,
	SHORT_NS = 120000,
	LONG_S = 3600,
	NAP_NS = 150000,
	ANY_MAX = 6,
};

static const struct cancel_cause causes[TARGETS] = {
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the first"),
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the second"),
};

static atomic_ulong woken, timeouts;
static const char *real_time = ""; /* that it was skipped */
static int never_ready;            /* a descriptor */

static void nap(int64_t longest_ns, uint64_t *random)
{
	const struct timespec pause = {.tv_nsec = (long)stress_pick(random, (unsigned)longest_ns)};

	(void)nanosleep(&pause, NULL);
}

/* --- wake --------------------------------------------------------------------------------------------- */

static struct scene {
	struct stress_target targets[TARGETS];
	struct cancel_source never;
	unsigned ways[TARGETS];
	unsigned waits_for[WAITERS]; /* a target */
	struct cancel_registration blockers[TARGETS];
	atomic_uint asleep[TARGETS]; /* how many wait for each, or will */
} scene;

static struct cancel_token token_of(unsigned target)
{
	return cancel_source_token(&scene.targets[target].source);
}

/* The time was over, if that is what it says. */
static void judge_timeout(int64_t began_ns, int64_t timeout_ns)
{
	int64_t waited_ns = stress_now_ns() - began_ns;

	stress_expect(waited_ns >= timeout_ns, "waited %lld ns of %lld", (long long)waited_ns,
		      (long long)timeout_ns);
	(void)atomic_fetch_add_explicit(&timeouts, 1, memory_order_relaxed);
}

static void wait_forever(unsigned target, uint64_t *random)
{
	int code = cancel_token_wait(token_of(target), CANCEL_FOREVER);

	(void)random;
	stress_expect(code == 1, "wait says %d", code);
}

static void wait_long(unsigned target, uint64_t *random)
{
	int code = cancel_token_wait(token_of(target), LONG_S * CANCEL_SECOND);

	(void)random;
	stress_expect(code == 1, "wait says %d", code);
}

static void wait_briefly(unsigned target, uint64_t *random)
{
	int code;

	do {
		int64_t began_ns = stress_now_ns(), timeout_ns = stress_pick(random, SHORT_NS);

		code = cancel_token_wait(token_of(target), timeout_ns);
		if (code == 0)
			judge_timeout(began_ns, timeout_ns);
	} while (code == 0);
	stress_expect(code == 1, "wait says %d", code);
}

/* Both targets, the zero token and one that is never cancelled, in any order and number, but `target` once.
 */
static size_t pick_tokens(struct cancel_token tokens[ANY_MAX], unsigned target, uint64_t *random)
{
	const struct cancel_token choice[] = {CANCEL_TOKEN_NONE, cancel_source_token(&scene.never),
					      token_of(0), token_of(1)};
	size_t count = 1 + stress_pick(random, ANY_MAX);

	for (size_t i = 0; i < count; i++)
		tokens[i] = choice[stress_pick(random, COUNT(choice))];
	tokens[stress_pick(random, (unsigned)count)] = token_of(target);
	return count;
}

static void wait_for_any(unsigned target, uint64_t *random, bool briefly)
{
	struct cancel_token tokens[ANY_MAX];
	size_t count = pick_tokens(tokens, target, random);
	int code;

	do {
		int64_t began_ns = stress_now_ns();
		int64_t timeout_ns = briefly ? (int64_t)stress_pick(random, SHORT_NS) : CANCEL_FOREVER;

		code = cancel_token_wait_any(tokens, count, timeout_ns);
		if (code == -ETIMEDOUT)
			judge_timeout(began_ns, timeout_ns);
	} while (briefly && code == -ETIMEDOUT);
	stress_expect(code >= 0 && (size_t)code < count, "wait_any says %d", code);
	if (code >= 0)
		stress_expect(cancel_token_requested(tokens[code]), "wait_any: that one is not cancelled");
	(void)cancel_token_wait(token_of(target), CANCEL_FOREVER);
}

static void wait_for_any_forever(unsigned target, uint64_t *random)
{
	wait_for_any(target, random, false);
}

static void wait_for_any_briefly(unsigned target, uint64_t *random)
{
	wait_for_any(target, random, true);
}

static void poll_forever(unsigned target, uint64_t *random)
{
	struct pollfd fds[] = {{never_ready, POLLIN, 0}};
	int code = cancel_token_poll(token_of(target), fds, COUNT(fds), CANCEL_FOREVER);

	(void)random;
	stress_expect(code == -ECANCELED, "poll says %d", code);
}

static void poll_briefly(unsigned target, uint64_t *random)
{
	struct pollfd fds[] = {{never_ready, POLLIN, 0}};
	int code;

	do {
		int64_t began_ns = stress_now_ns(), timeout_ns = stress_pick(random, SHORT_NS);

		code = cancel_token_poll(token_of(target), fds, COUNT(fds), timeout_ns);
		if (code == 0)
			judge_timeout(began_ns, timeout_ns);
	} while (code == 0);
	stress_expect(code == -ECANCELED, "poll says %d", code);
}

static void poll_descriptor(unsigned target, uint64_t *random)
{
	struct cancel_fd fd;
	int code = cancel_fd_open(&fd, token_of(target));
	struct pollfd fds[] = {{fd.fd, POLLIN, 0}};

	(void)random;
	stress_expect(code == 0, "cancel_fd_open says %d", code);
	code = poll(fds, COUNT(fds), -1);
	stress_expect(code == 1 && fds[0].revents == POLLIN, "poll(2) says %d", code);
	cancel_fd_close(&fd);
	stress_bury(&fd, sizeof(fd));
	stress_dig_up(&fd, sizeof(fd));
}

static void (*const waits[])(unsigned target, uint64_t *random) = {
	wait_forever,         wait_long,    wait_briefly, wait_for_any_forever,
	wait_for_any_briefly, poll_forever, poll_briefly, poll_descriptor,
};

static void cancel_one(unsigned target, uint64_t *random)
{
	if (stress_one_in(random, 3))
		nap(NAP_NS, random);
	else
		stress_dawdle(random);
	(void)stress_cancel(&scene.targets[target], scene.ways[target], &causes[target]);
}

/* Whoever waits is awake before the callbacks are called, so a callback may wait for that. A wake that was
 * lost would be made up for when the callbacks are done, and nobody would know. */
static void await_waiters(void *arg, struct cancel_token token)
{
	atomic_uint *asleep = arg;

	(void)token;
	while (atomic_load(asleep) > 0)
		(void)sched_yield();
}

static void wait_for_one(unsigned waiter, uint64_t *random)
{
	unsigned target = scene.waits_for[waiter];

	stress_dawdle(random);
	waits[stress_pick(random, COUNT(waits))](target, random);
	stress_expect(cancel_token_cause(token_of(target)) == &causes[target],
		      "awake, and not cancelled with its cause");
	(void)atomic_fetch_sub(&scene.asleep[target], 1);
	(void)atomic_fetch_add_explicit(&woken, 1, memory_order_relaxed);
}

static void set_up_scene(uint64_t *random)
{
	for (unsigned i = 0; i < TARGETS; i++) {
		stress_target_begin(&scene.targets[i]);
		scene.ways[i] = stress_pick(random, STRESS_WAYS);
		atomic_store(&scene.asleep[i], 0);
		if (stress_one_in(random, 2))
			(void)cancel_registration_add(&scene.blockers[i], token_of(i), await_waiters,
						      &scene.asleep[i]);
	}
	for (unsigned i = 0; i < WAITERS; i++) {
		scene.waits_for[i] = stress_pick(random, TARGETS);
		(void)atomic_fetch_add(&scene.asleep[scene.waits_for[i]], 1);
	}
}

static void act_in_scene(void *arg, unsigned member, uint64_t *random)
{
	(void)arg;
	if (member < TARGETS)
		cancel_one(member, random);
	else
		wait_for_one(member - TARGETS, random);
}

static void play_wake(void)
{
	uint64_t random = stress_seed(100);
	struct stress_team team;

	stress_team_start(&team, TARGETS + WAITERS, act_in_scene, NULL);
	while (stress_going()) {
		set_up_scene(&random);
		stress_team_round(&team);
		for (unsigned i = 0; i < TARGETS; i++)
			stress_target_end(&scene.targets[i]);
	}
	stress_team_end(&team);
}

/* --- descriptors -------------------------------------------------------------------------------------- */

enum { OPENERS = 2, OPENED = 6 };

static bool is_readable(int fd)
{
	struct pollfd fds[] = {{fd, POLLIN, 0}};

	return poll(fds, COUNT(fds), 0) == 1;
}

/* Takes the number that has become free, unless the other thread was faster. */
static int open_next(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0) {
		perror("eventfd");
		abort();
	}
	return fd;
}

static void open_and_close(struct cancel_token token, uint64_t *random, int *next)
{
	bool cancelled = cancel_token_requested(token);
	struct cancel_fd fd;
	int code = cancel_fd_open(&fd, token);

	stress_expect(code == 0, "cancel_fd_open says %d", code);
	if (cancelled)
		stress_expect(is_readable(fd.fd), "opened on what is cancelled, and not readable");
	stress_dawdle(random);
	if (is_readable(fd.fd))
		stress_expect(cancel_token_requested(token), "readable, and not cancelled");
	cancel_fd_close(&fd);
	*next = open_next();
	stress_bury(&fd, sizeof(fd));
	stress_spin(1);
	stress_dig_up(&fd, sizeof(fd));
}

static void open_many(struct cancel_token token, uint64_t *random)
{
	int next[OPENED];

	for (unsigned i = 0; i < OPENED; i++)
		open_and_close(token, random, &next[i]);
	(void)cancel_token_wait(token, CANCEL_FOREVER);
	for (unsigned i = 0; i < OPENED; i++) {
		stress_expect(!is_readable(next[i]), "written to after it was closed");
		(void)close(next[i]);
	}
}

static void act_on_descriptors(void *arg, unsigned member, uint64_t *random)
{
	(void)arg;
	if (member == 0)
		cancel_one(0, random);
	else
		open_many(token_of(0), random);
}

static int lowest_free_descriptor(void)
{
	int fd = open_next();

	(void)close(fd);
	return fd;
}

static void play_descriptors(void)
{
	uint64_t random = stress_seed(101);
	int lowest = lowest_free_descriptor();
	struct stress_team team;

	stress_team_start(&team, 1 + OPENERS, act_on_descriptors, NULL);
	while (stress_going()) {
		stress_target_begin(&scene.targets[0]);
		scene.ways[0] = stress_pick(&random, STRESS_WAYS);
		stress_team_round(&team);
		stress_target_end(&scene.targets[0]);
		stress_expect(lowest_free_descriptor() == lowest, "a descriptor is left open");
	}
	stress_team_end(&team);
}

/* --- real time ---------------------------------------------------------------------------------------- */

enum {
	LOWER_EVERY_NS = 60000, /* how often the ordinary thread is preempted, at most */
	SLEEPLESS_US = 300000,  /* the throttling of real-time threads begins at 950000 */
};

static struct shared {
	struct cancel_source source;
	atomic_bool over;
} shared;

/* Every sort of lock: of a source, of a parent and its child, of the deadlines. */
static void work(void)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	struct stress_node node = {0};
	struct cancel_link link;
	struct cancel_source own = CANCEL_SOURCE_INIT;

	(void)cancel_registration_add(&node.registration, cancel_source_token(&shared.source),
				      stress_node_tell, &node);
	(void)cancel_link_add(&link, &own, cancel_source_token(&shared.source));
	(void)cancel_deadline_set(&deadline, &own, LONG_S * CANCEL_SECOND, NULL);
	(void)cancel_deadline_stop(&deadline);
	(void)cancel_linked_fini(&own, &link, 1);
	(void)cancel_registration_remove(&node.registration);
}

static void *work_on(void *arg)
{
	(void)arg;
	while (!atomic_load(&shared.over))
		work();
	return NULL;
}

static int schedule_self(int policy)
{
	const struct sched_param param = {.sched_priority = policy == SCHED_FIFO ? 1 : 0};

	return pthread_setschedparam(pthread_self(), policy, &param);
}

static void *preempt(void *arg)
{
	uint64_t random = stress_seed(102);

	(void)arg;
	if (schedule_self(SCHED_FIFO) != 0) {
		real_time = "; real time skipped: no SCHED_FIFO here";
		return NULL;
	}
	while (!atomic_load(&shared.over)) {
		nap(LOWER_EVERY_NS, &random);
		work();
	}
	if (schedule_self(SCHED_OTHER) != 0)
		abort();
	return NULL;
}

static void give_up_sleepless(int signal_number)
{
	static const char text[] =
		"waits: a real-time thread spins for a lock whose holder it has preempted\n";

	(void)signal_number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static void limit_sleepless(rlim_t limit_us)
{
	struct rlimit limit;

	(void)getrlimit(RLIMIT_RTTIME, &limit);
	limit.rlim_cur = limit_us < limit.rlim_max ? limit_us : limit.rlim_max;
	(void)setrlimit(RLIMIT_RTTIME, &limit);
}

static void start_on(int processor, pthread_t *thread, void *(*run)(void *arg))
{
	pthread_attr_t attributes;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)processor, &one);
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setaffinity_np(&attributes, sizeof(one), &one);
	if (pthread_create(thread, &attributes, run, NULL) != 0)
		abort();
	(void)pthread_attr_destroy(&attributes);
}

/* Both on one processor, so that the one runs only where the other is stopped. */
static void play_real_time(void)
{
	uint64_t random = stress_seed(103);
	int processor = sched_getcpu();
	pthread_t worker, preempter;

	if (getenv("CANCEL_TEST_SLOW")) {
		real_time = "; real time skipped, because CANCEL_TEST_SLOW is set";
		return;
	}
	atomic_store(&shared.over, false);
	limit_sleepless(SLEEPLESS_US);
	start_on(processor, &preempter, preempt);
	start_on(processor, &worker, work_on);
	while (stress_going())
		nap(NAP_NS, &random);
	atomic_store(&shared.over, true);
	(void)pthread_join(preempter, NULL);
	(void)pthread_join(worker, NULL);
	limit_sleepless(RLIM_INFINITY);
}

int main(void)
{
	static const struct stress_part parts[] = {
		{"wake", 60, play_wake},
		{"descriptors", 20, play_descriptors},
		{"real time", 20, play_real_time},
	};

	never_ready = open_next();
	(void)signal(SIGXCPU, give_up_sleepless);
	if (cancel_dispatcher_start() < 0)
		return 1;
	stress_play("waits", parts, COUNT(parts));
	return stress_end("%lu woken, %lu timeouts%s", atomic_load(&woken), atomic_load(&timeouts),
			  real_time);
}
