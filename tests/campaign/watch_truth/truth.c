#include "truth.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
	PATIENCE_MS = 32000,
	PATIENCE_FIRST_MS = 8000,
	PAUSE_NS = 500000,
	STEPS = 8, /* buckets for each power of two */
};

#define REASON_PREFIX "truth "

int64_t truth_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

struct truth *truth_make(unsigned count)
{
	void *memory = mmap(NULL, count * sizeof(struct truth), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		abort();
	}
	return memory;
}

void truth_complain(struct truth *truth, const char *format, ...)
{
	int place = atomic_fetch_add(&truth->complaints, 1);
	va_list arguments;

	if (place >= COMPLAINTS)
		return;
	va_start(arguments, format);
	(void)vsnprintf(truth->complaint[place].text, COMPLAINT_SIZE, format, arguments);
	va_end(arguments);
	atomic_store(&truth->complaint[place].is_whole, true);
}

/* --- publishing ------------------------------------------------------------------------------------ */

uint64_t truth_announce(struct truth *truth, const char *task_id, uint32_t wanted, char reason[REASON_SIZE])
{
	uint64_t number = ++truth->published;
	struct record *record = &truth->records[number % RECORDS];

	atomic_store(&record->number, 0);
	(void)snprintf(record->task_id, sizeof record->task_id, "%s", task_id);
	record->wanted = wanted;
	for (int i = 0; i < OBSERVERS_MAX; i++)
		atomic_store(&record->seen_ns[i], 0);
	(void)snprintf(reason, REASON_SIZE, REASON_PREFIX "%llu", (unsigned long long)number);
	record->published_ns = truth_now_ns();
	atomic_store(&record->number, number);
	return number;
}

/* --- seeing ---------------------------------------------------------------------------------------- */

static void note_double(struct truth *truth, unsigned observer, const char *task_id, const char *reason)
{
	atomic_fetch_add(&truth->doubled, 1);
	if (!truth->may_double)
		truth_complain(truth, "observer %u saw '%s' (%s) twice", observer, task_id, reason);
}

void truth_saw(struct truth *truth, unsigned observer, const char *task_id, const char *reason)
{
	int64_t now_ns = truth_now_ns(), unseen = 0;
	struct record *record;
	uint64_t number;

	if (!reason || strncmp(reason, REASON_PREFIX, strlen(REASON_PREFIX)) != 0)
		return;
	number = strtoull(reason + strlen(REASON_PREFIX), NULL, 10);
	record = &truth->records[number % RECORDS];
	if (atomic_load(&record->number) != number) {
		/* Its place has another one's number: it was judged long ago. */
		note_double(truth, observer, task_id, reason);
		return;
	}
	if (strcmp(record->task_id, task_id) != 0)
		truth_complain(truth, "observer %u saw %s for '%s', published for '%s'", observer, reason,
			       task_id, record->task_id);
	if (!atomic_compare_exchange_strong(&record->seen_ns[observer], &unseen, now_ns))
		note_double(truth, observer, task_id, reason);
}

/* --- judging --------------------------------------------------------------------------------------- */

int64_t truth_patience_ms(void)
{
	return getenv("CAMPAIGN_FIRST") ? PATIENCE_FIRST_MS : PATIENCE_MS;
}

/* Which bucket of a scale of powers of two, each in STEPS parts. */
static unsigned bucket_of(int64_t latency_ns)
{
	unsigned power = 0;
	uint64_t value = latency_ns > 1 ? (uint64_t)latency_ns : 1;

	while (value >> power >= 2 * STEPS)
		power++;
	return power * STEPS + (unsigned)(value >> power);
}

static double end_of_bucket(unsigned bucket)
{
	unsigned power = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;

	return (double)(bucket - power * STEPS + 1) * (double)(UINT64_C(1) << power);
}

double truth_percentile_ns(const struct tally *tally, double part)
{
	long count = 0, seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		count += tally->latencies[i];
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += tally->latencies[i];
		if (count && (double)seen >= part * (double)count)
			return end_of_bucket(i) < (double)tally->longest_ns ? end_of_bucket(i)
									    : (double)tally->longest_ns;
	}
	return 0;
}

static bool is_seen(const struct record *record)
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (record->wanted >> i & 1 && !atomic_load(&record->seen_ns[i]))
			return false;
	return true;
}

static void judge(struct truth *truth, const struct record *record, const char *const names[OBSERVERS_MAX])
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++) {
		struct tally *tally = &truth->tallies[i];
		int64_t seen_ns = atomic_load(&record->seen_ns[i]);
		int64_t latency_ns = seen_ns - record->published_ns;

		if (!(record->wanted >> i & 1))
			continue;
		tally->published++;
		if (!seen_ns) {
			tally->missed++;
			truth_complain(truth, "%s missed '%s' (number %llu) for %lld ms", names[i],
				       record->task_id, (unsigned long long)atomic_load(&record->number),
				       (long long)((truth_now_ns() - record->published_ns) / 1000000));
			continue;
		}
		tally->latencies[bucket_of(latency_ns)]++;
		if (latency_ns > tally->longest_ns)
			tally->longest_ns = latency_ns;
	}
}

bool truth_await(struct truth *truth, const char *const names[OBSERVERS_MAX])
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int64_t until_ns = truth_now_ns() + truth_patience_ms() * 1000000;
	bool all = true;

	for (; truth->judged < truth->published; truth->judged++) {
		const struct record *record = &truth->records[(truth->judged + 1) % RECORDS];

		while (!is_seen(record) && truth_now_ns() < until_ns)
			(void)nanosleep(&pause, NULL);
		all &= is_seen(record);
		judge(truth, record, names);
	}
	return all;
}
