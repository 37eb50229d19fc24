/* Who is running a task, as the leases say. A run that holds none is not seen. */
#ifndef CANCELREQ_RUNNING_H
#define CANCELREQ_RUNNING_H

#include <cancel/error.h>
#include <cancel/run.h>
#include <cancel/spool.h>

#include <stdbool.h>
#include <stdint.h>

/* What is kept of a run to tell people about it. */
struct runner {
	char *task_id;
	char *run;  /* NULL: it has no id */
	char *host; /* NULL: not known */
	int64_t pid;
	int64_t started_at_us;
};

/* The runs that a request reaches: how many, and the one that began first. All zeroes: none. */
struct sighting {
	int64_t count;
	bool by_group; /* one of them is of another task, and listens to the id too */
	bool failed;   /* it could not be looked up, and that was told */
	struct runner first;
};

/* Copy what is kept of a run, in place of what `runner` held. Returns 0, or -ENOMEM. */
int runner_set(struct runner *runner, const struct cancel_run *run);

void runner_clear(struct runner *runner);

/* Which of two began first, for qsort; a run whose beginning is not known comes last. */
int runner_compare_begin(const struct runner *left, const struct runner *right);

/* Look who would be reached by a request for a task, or with `run` for that run of it. Returns 0, or a
 * negative errno; then `sighting` holds nothing. It must hold nothing before. */
int sighting_look(struct sighting *sighting, struct cancel_spool *spool, const char *task_id, const char *run,
		  struct cancel_error *error);

void sighting_clear(struct sighting *sighting);

/* Whether runs may have begun or ended since a time of the wall clock. It costs much less than looking up a
 * request. */
bool runs_changed_since(struct cancel_spool *spool, int64_t time_us);

/* Whether a run's task id matches a pattern as of fnmatch(3); NULL matches every one. */
bool run_matches(const struct cancel_run *run, const char *pattern);

/* The pieces of a line for people, as far as they are known: "pid 42 on host"; " and 3 more", or nothing;
 * " since 10:11", with the date where that is not today. */
void output_process(int64_t pid, const char *host);
void output_others(int64_t count);
void output_since(int64_t started_at_us);

#endif
