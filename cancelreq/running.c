#include "running.h"

#include "output.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
	/* A file's times are those of the clock's latest tick: 10 ms at most, and as much again for
	   certainty. */
	TICK_US = 20 * 1000,
};

/* --- one run ------------------------------------------------------------------------------------------ */

void runner_clear(struct runner *runner)
{
	free(runner->task_id);
	free(runner->run);
	free(runner->host);
	*runner = (struct runner){0};
}

/* Returns false when memory ran out. */
static bool keep(char **copy, const char *text)
{
	*copy = text ? strdup(text) : NULL;
	return *copy || !text;
}

int runner_set(struct runner *runner, const struct cancel_run *run)
{
	struct runner copy = {.pid = run->pid, .started_at_us = run->started_at_us};

	if (!keep(&copy.task_id, run->task_id) || !keep(&copy.run, run->run) ||
	    !keep(&copy.host, run->host)) {
		runner_clear(&copy);
		return -ENOMEM;
	}
	runner_clear(runner);
	*runner = copy;
	return 0;
}

static int compare(int64_t left, int64_t right)
{
	return left < right ? -1 : left > right;
}

static int64_t begin_of(const struct runner *runner)
{
	return runner->started_at_us != 0 ? runner->started_at_us : INT64_MAX;
}

int runner_compare_begin(const struct runner *left, const struct runner *right)
{
	int order = compare(begin_of(left), begin_of(right));

	return order != 0 ? order : compare(left->pid, right->pid);
}

/* --- looking ------------------------------------------------------------------------------------------ */

struct look {
	struct sighting *sighting;
	const char *task_id;
	const char *run;
};

static int keep_first(struct sighting *sighting, const struct cancel_run *run)
{
	/* Only its beginning and pid are compared. */
	const struct runner met = {.pid = run->pid, .started_at_us = run->started_at_us};

	if (sighting->count > 1 && runner_compare_begin(&sighting->first, &met) <= 0)
		return 0;
	return runner_set(&sighting->first, run);
}

/* Ends the listing when memory runs out. */
static int visit(void *arg, const struct cancel_run *run)
{
	const struct look *look = arg;

	if (!cancel_run_listens(run, look->task_id, look->run))
		return 0;
	look->sighting->count++;
	if (strcmp(run->task_id, look->task_id) != 0)
		look->sighting->by_group = true;
	return keep_first(look->sighting, run) < 0 ? 1 : 0;
}

int sighting_look(struct sighting *sighting, struct cancel_spool *spool, const char *task_id, const char *run,
		  struct cancel_error *error)
{
	struct look look = {.sighting = sighting, .task_id = task_id, .run = run};
	int result = cancel_spool_runs(spool, visit, &look, error);

	if (result > 0)
		result = no_memory(error, "who is running it");
	if (result < 0)
		sighting_clear(sighting);
	return result;
}

void sighting_clear(struct sighting *sighting)
{
	runner_clear(&sighting->first);
	*sighting = (struct sighting){0};
}

/* A run in order takes its lease's file away, and that is written in the directory's times. */
bool runs_changed_since(struct cancel_spool *spool, int64_t time_us)
{
	char path[CANCEL_PATH_MAX + sizeof("/runs")];
	struct cancel_spool_info info;
	struct stat runs;

	if (cancel_spool_info(spool, &info, NULL) < 0)
		return true;
	(void)snprintf(path, sizeof(path), "%s/runs", info.path);
	return stat(path, &runs) < 0 ||
	       (int64_t)runs.st_mtim.tv_sec * 1000000 + runs.st_mtim.tv_nsec / 1000 + TICK_US >= time_us;
}

bool run_matches(const struct cancel_run *run, const char *pattern)
{
	return !pattern || fnmatch(pattern, run->task_id, 0) == 0;
}

/* --- saying ------------------------------------------------------------------------------------------- */

void output_process(int64_t pid, const char *host)
{
	if (pid >= 0)
		output("pid %" PRId64, pid);
	else
		output("somebody");
	if (host) {
		output(" on ");
		output_escaped(host);
	}
}

void output_others(int64_t count)
{
	if (count > 1)
		output(" and %" PRId64 " more", count - 1);
}

static bool same_day(const struct tm *left, const struct tm *right)
{
	return left->tm_year == right->tm_year && left->tm_yday == right->tm_yday;
}

void output_since(int64_t started_at_us)
{
	time_t started_s = (time_t)(started_at_us / 1000000);
	time_t now_s = time(NULL);
	struct tm started;
	struct tm today;
	char text[64];

	if (started_at_us == 0 || !localtime_r(&started_s, &started) || !localtime_r(&now_s, &today))
		return;
	(void)strftime(text, sizeof(text), same_day(&started, &today) ? "%H:%M" : "%Y-%m-%d %H:%M", &started);
	output(" since %s", text);
}
