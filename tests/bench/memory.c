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

double memory_field(pid_t pid, const char *name, const char *field)
{
	char path[64], line[256];
	double value = -1;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
	file = fopen(path, "re");
	while (file && value < 0 && fgets(line, sizeof line, file))
		if (strncmp(line, field, strlen(field)) == 0)
			(void)sscanf(line + strlen(field), "%lf", &value);
	if (file)
		(void)fclose(file);
	if (value < 0)
		bench_fail("cannot read '%s' in '%s'", field, path);
	return value;
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
	kib = memory_field(pid, "status", "VmHWM:");
	process_end(pid);
	(void)fclose(output);
	return kib;
}
