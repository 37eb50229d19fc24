#include "stress_run.h"
#include "environment.h"

#include "fence.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	RUN_DEFAULT_S = 2,
	WATCHDOG_DEFAULT_S = 60,
	WATCHDOG_LOOK_NS = 200000000,
	COMPLAINTS_MAX = 20, /* then it is clear enough */
	DAWDLE_BITS = 12,
};

#define SECOND_NS 1000000000LL

static void batched(void)
{
}

static const struct mode {
	const char *name;
	void (*begin)(void);
} modes[] = {{"", batched}, {" without batches", fence_give_up}};

enum { MODES = sizeof(modes) / sizeof(modes[0]) };

static const char *program = "stress";
static const struct mode *mode = modes;
static uint64_t seed;
static _Atomic(const struct stress_part *) playing;
static atomic_ulong rounds, steps; /* of this part; of the watchdog */
static unsigned long all_rounds;
static int64_t part_ends_ns;
static atomic_int complaints;

/* --- what is wrong ------------------------------------------------------------------------------------ */

static void say_where(void)
{
	const struct stress_part *part = atomic_load(&playing);

	(void)fprintf(stderr, "%s: part \"%s\"%s, round %lu, SEED=%llu: ", program, part ? part->name : "",
		      mode->name, atomic_load(&rounds), (unsigned long long)seed);
}

void stress_expect(bool holds, const char *format, ...)
{
	va_list arguments;

	if (holds)
		return;
	flockfile(stderr);
	say_where();
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	funlockfile(stderr);
	if (atomic_fetch_add(&complaints, 1) + 1 == COMPLAINTS_MAX)
		_exit(1);
}

/* --- the watchdog ------------------------------------------------------------------------------------- */

/* A thread, because ThreadSanitizer holds signals back from a thread that sleeps in a call it does not know.
 */
static void *watch(void *arg)
{
	const struct timespec pause = {.tv_nsec = WATCHDOG_LOOK_NS};
	int64_t patience_ns = environment_number("WATCHDOG_SECONDS", WATCHDOG_DEFAULT_S) * SECOND_NS;
	int64_t seen_ns = stress_now_ns();
	unsigned long seen = 0;

	(void)arg;
	while (stress_now_ns() - seen_ns < patience_ns) {
		(void)nanosleep(&pause, NULL);
		if (atomic_load(&steps) != seen)
			seen_ns = stress_now_ns();
		seen = atomic_load(&steps);
	}
	say_where();
	(void)fprintf(stderr, "process %ld hangs\n", (long)getpid());
	while (getenv("WATCHDOG_HOLDS"))
		(void)nanosleep(&pause, NULL);
	abort();
}

static void start_watchdog(void)
{
	sigset_t all, before;
	pthread_t thread;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, watch, NULL) != 0 || pthread_detach(thread) != 0)
		abort();
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- parts -------------------------------------------------------------------------------------------- */

static void read_seed(void)
{
	const char *text = getenv("SEED");

	seed = text ? strtoull(text, NULL, 10) : (uint64_t)stress_now_ns() % 1000000007;
}

static bool is_chosen(const struct stress_part *part)
{
	const char *only = getenv("PART");

	return !only || strcmp(only, part->name) == 0;
}

static unsigned count_shares(const struct stress_part *parts, size_t count)
{
	unsigned shares = 0;

	for (size_t i = 0; i < count; i++)
		shares += is_chosen(&parts[i]) ? parts[i].share : 0;
	return shares;
}

static void play_one(const struct stress_part *part, int64_t length_ns)
{
	atomic_store(&playing, part);
	atomic_store(&rounds, 0);
	part_ends_ns = stress_now_ns() + length_ns;
	part->play();
	all_rounds += atomic_load(&rounds);
}

void stress_play(const char *name, const struct stress_part *parts, size_t count)
{
	int64_t length_ns = environment_number("RUN_SECONDS", RUN_DEFAULT_S) * SECOND_NS / MODES;

	unsigned shares = count_shares(parts, count);

	program = name;
	read_seed();
	start_watchdog();
	stress_expect(shares > 0, "there is no part \"%s\"", getenv("PART"));
	for (size_t i = 0; i < MODES; i++) {
		mode = &modes[i];
		mode->begin();
		for (size_t at = 0; at < count; at++)
			if (is_chosen(&parts[at]))
				play_one(&parts[at], length_ns / shares * parts[at].share);
	}
}

bool stress_going(void)
{
	bool going = atomic_load(&rounds) == 0 || stress_now_ns() < part_ends_ns;

	if (going)
		(void)atomic_fetch_add(&rounds, 1);
	(void)atomic_fetch_add(&steps, 1);
	return going;
}

int stress_end(const char *format, ...)
{
	va_list arguments;

	(void)printf("%s: seed %llu, %lu rounds: ", program, (unsigned long long)seed, all_rounds);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)printf("; %d wrong\n", atomic_load(&complaints));
	return atomic_load(&complaints) != 0;
}

/* --- chance and time ---------------------------------------------------------------------------------- */

uint64_t stress_seed(unsigned stream)
{
	uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15U + (stream + 1) * 0xd1b54a32d192ed03U +
			 (uint64_t)(mode - modes);

	for (int i = 0; i < 8; i++)
		(void)stress_chance(&state);
	return state;
}

uint64_t stress_chance(uint64_t *state)
{
	if (*state == 0)
		*state = 1;
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

unsigned stress_pick(uint64_t *state, unsigned count)
{
	return (unsigned)((stress_chance(state) >> 16) % count);
}

bool stress_one_in(uint64_t *state, unsigned count)
{
	return stress_pick(state, count) == 0;
}

int64_t stress_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

void stress_spin(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		continue;
}

void stress_dawdle(uint64_t *state)
{
	stress_spin(stress_pick(state, 1U << stress_pick(state, DAWDLE_BITS)));
}
