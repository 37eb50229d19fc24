#include "rule_runs.h"

#include <cancel/run.h>

#include <string.h>

struct wanted {
	const char *task_id;
	const char *run;
};

/* Its own name only: who listens to it as a group decides nothing. Ends the listing at the first. */
static int visit(void *arg, const struct cancel_run *alive)
{
	const struct wanted *wanted = arg;

	return strcmp(alive->task_id, wanted->task_id) == 0 &&
	       (wanted->run == NULL || (alive->run != NULL && strcmp(alive->run, wanted->run) == 0));
}

bool rule_runs_has(struct cancel_spool *spool, const char *task_id, const char *run)
{
	struct wanted wanted = {task_id, run};

	return cancel_spool_runs(spool, visit, &wanted, NULL) != 0;
}
