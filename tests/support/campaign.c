#include "campaign.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	PRINTED_MAX = 20,
	EXIT_SKIPPED = 77,
	PROGRESS_NS = 100000000,
};

static struct campaign {
	const char *name;
	int64_t begun_ns;
	int64_t progress_ns;
	uint64_t seed;
	_Atomic uint64_t chance;
	atomic_long violations;
	bool has_progress;
} campaign;

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void wipe_progress(void)
{
	if (campaign.has_progress)
		(void)fputs("\r\033[K", stderr);
	campaign.has_progress = false;
}

void campaign_begin(const char *name)
{
	const char *seed = getenv("SEED");

	campaign.name = name;
	campaign.begun_ns = now_ns();
	campaign.seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)campaign.begun_ns ^ (uint64_t)getpid() << 32;
	campaign.chance = campaign.seed;
}

bool campaign_is_long(void)
{
	return getenv("RUN_SECONDS") != NULL;
}

int campaign_seconds(int short_s)
{
	const char *seconds = getenv("RUN_SECONDS");

	return seconds ? (int)strtol(seconds, NULL, 10) : short_s;
}

bool campaign_going(int short_s)
{
	return now_ns() - campaign.begun_ns < campaign_seconds(short_s) * 1000000000LL;
}

bool campaign_expect(bool holds, const char *format, ...)
{
	va_list arguments;
	char text[1024];

	if (holds)
		return true;
	if (atomic_fetch_add(&campaign.violations, 1) < PRINTED_MAX) {
		va_start(arguments, format);
		(void)vsnprintf(text, sizeof(text), format, arguments);
		va_end(arguments);
		wipe_progress();
		(void)printf("%s: violation: %s\n", campaign.name, text);
		(void)fflush(stdout);
	}
	if (getenv("CAMPAIGN_FIRST"))
		_exit(1);
	return false;
}

long campaign_violations(void)
{
	return campaign.violations;
}

void campaign_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)printf("%s: skipped: ", campaign.name);
	(void)vprintf(format, arguments);
	(void)printf("\n");
	va_end(arguments);
	exit(EXIT_SKIPPED);
}

void campaign_progress(const char *format, ...)
{
	int64_t now = now_ns();
	va_list arguments;

	if (!isatty(STDERR_FILENO) || now - campaign.progress_ns < PROGRESS_NS)
		return;
	campaign.progress_ns = now;
	va_start(arguments, format);
	(void)fprintf(stderr, "\r\033[K%s: ", campaign.name);
	(void)vfprintf(stderr, format, arguments);
	(void)fflush(stderr);
	va_end(arguments);
	campaign.has_progress = true;
}

int campaign_end(const char *format, ...)
{
	double seconds = (double)(now_ns() - campaign.begun_ns) / 1e9;
	long violations = campaign.violations;
	va_list arguments;

	wipe_progress();
	va_start(arguments, format);
	(void)printf("%s: ", campaign.name);
	(void)vprintf(format, arguments);
	(void)printf(", %ld violations, %.1f s", violations, seconds);
	if (violations)
		(void)printf(" (SEED=%llu)", (unsigned long long)campaign.seed);
	(void)printf("\n");
	va_end(arguments);
	return violations != 0;
}

/* Any thread may ask, so the state moves on by one addition and is mixed afterwards (splitmix64). */
uint64_t campaign_chance(void)
{
	uint64_t x = atomic_fetch_add(&campaign.chance, 0x9e3779b97f4a7c15U) + 0x9e3779b97f4a7c15U;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
	x = (x ^ x >> 27) * 0x94d049bb133111ebU;
	return x ^ x >> 31;
}

unsigned campaign_pick(unsigned count)
{
	return (unsigned)(campaign_chance() % count);
}
