#include "memory.h"

#include "harness.h"
#include "process.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define RESCANS_S 4 /* the configuration below asks for a rescan each second */

static void write_configuration(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs("watch:\n  rescan_interval: 1s\n", file) < 0 || fclose(file) != 0)
		bench_fail("cannot write '%s': %s", path, strerror(errno));
}

static void wait_for_lines(FILE *output, long count)
{
	char line[4096];

	for (long i = 0; i < count; i++)
		if (!fgets(line, sizeof line, output))
			bench_fail("cancelwatch reported %ld of %ld requests", i, count);
}

static double peak_kib(pid_t pid)
{
	char path[64], line[256];
	double kib = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	file = fopen(path, "re");
	while (file && kib <= 0 && fgets(line, sizeof line, file))
		if (sscanf(line, "VmHWM: %lf", &kib) != 1)
			kib = 0;
	if (file)
		(void)fclose(file);
	if (kib <= 0)
		bench_fail("cannot read '%s'", path);
	return kib;
}

double memory_of_watcher(const struct place *place, const char *spool, long pending)
{
	char path[160], configuration[160];
	FILE *output;
	double kib;
	pid_t pid;

	(void)snprintf(path, sizeof path, "%s/%s", place->dir, spool);
	(void)snprintf(configuration, sizeof configuration, "%s/cancel.yaml", place->dir);
	write_configuration(configuration);
	pid = process_start(PROCESS_ARGUMENTS(CANCELWATCH, "--spool", path, "--config", configuration),
			    &output);
	wait_for_lines(output, pending);
	(void)nanosleep(&(struct timespec){.tv_sec = RESCANS_S}, NULL);
	kib = peak_kib(pid);
	process_end(pid);
	(void)fclose(output);
	return kib;
}
