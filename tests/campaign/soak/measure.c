/*
 * What a process holds. Growth is judged between the first and the last third of the looks, by bounds that do
 * not depend on how long that is: of memory the median, of descriptors the fewest. A watcher waits most of
 * the time, so the fewest are those that it keeps; a worker never does, so it counts its own between two
 * runs.
 */
#include "soak.h"

#include "campaign.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MEASURED_MAX = 8,
	LOOKS_MAX = 2000,
	LOOKS_MIN = 120, /* a third is a time in which everybody does something else now and then */
};

#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_TELLS false /* what is freed is kept for a while */
#else
#define MEMORY_TELLS true
#endif

static struct look {
	long memory_kb[MEASURED_MAX], descriptors[MEASURED_MAX];
} looks[LOOKS_MAX];

static int look_count;

/* What is its own: pages of files come and go as the machine likes. */
static long memory_kb_of(pid_t pid)
{
	long size, resident = 0, shared = 0;
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%ld %ld %ld", &size, &resident, &shared) != 3)
		resident = shared = 0;
	(void)fclose(file);
	return (resident - shared) * (sysconf(_SC_PAGESIZE) / 1024);
}

long descriptors_of(pid_t pid)
{
	char path[64];
	long count = 0;
	DIR *stream;

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	stream = opendir(path);
	while (stream && readdir(stream))
		count++;
	if (stream)
		(void)closedir(stream);
	return count;
}

void measure(const struct measured *measured, int count)
{
	struct look *look = &looks[look_count];

	if (look_count == LOOKS_MAX)
		return;
	for (int i = 0; i < count; i++) {
		int slot = measured[i].slot;

		look->memory_kb[i] = memory_kb_of(measured[i].pid);
		look->descriptors[i] = slot < 0 ? descriptors_of(measured[i].pid) : slot_descriptors(slot);
		/* One that has not come to the end of a run yet. */
		if (!look->memory_kb[i] || !look->descriptors[i])
			return;
	}
	look_count++;
}

bool measure_suffices(void)
{
	return look_count >= LOOKS_MIN;
}

static int by_size(const void *one, const void *other)
{
	long difference = *(const long *)one - *(const long *)other;

	return difference < 0 ? -1 : difference > 0;
}

static long median_memory_kb(int first, int count, int which)
{
	static long sorted[LOOKS_MAX];

	for (int i = 0; i < count; i++)
		sorted[i] = looks[first + i].memory_kb[which];
	qsort(sorted, (size_t)count, sizeof(sorted[0]), by_size);
	return sorted[count / 2];
}

static long fewest_descriptors(int first, int count, int which)
{
	long fewest = looks[first].descriptors[which];

	for (int i = first; i < first + count; i++)
		if (looks[i].descriptors[which] < fewest)
			fewest = looks[i].descriptors[which];
	return fewest;
}

static struct growth judge_one(const struct measured *measured, int which)
{
	int third = look_count / 3, last = look_count - third;
	struct growth growth = {
		median_memory_kb(last, third, which) - median_memory_kb(0, third, which),
		fewest_descriptors(last, third, which) - fewest_descriptors(0, third, which),
	};

	(void)campaign_expect(!MEMORY_TELLS || growth.memory_kb <= measured->memory_max_kb,
			      "the memory of %s grew by %ld KiB", measured->what, growth.memory_kb);
	(void)campaign_expect(growth.descriptors <= 0, "the descriptors of %s grew by %ld", measured->what,
			      growth.descriptors);
	return growth;
}

struct growth measure_judge(const struct measured *measured, int count)
{
	struct growth most = {0, 0};

	if (!campaign_expect(measure_suffices(), "what was to be measured could be looked at %d times",
			     look_count))
		return most;
	for (int i = 0; i < count; i++) {
		struct growth growth = judge_one(&measured[i], i);

		if (growth.memory_kb > most.memory_kb)
			most.memory_kb = growth.memory_kb;
		if (growth.descriptors > most.descriptors)
			most.descriptors = growth.descriptors;
	}
	return most;
}
