/* Whether somebody runs a task who will decide its request: then no rule does. */
#ifndef CANCELWATCH_RULE_RUNS_H
#define CANCELWATCH_RULE_RUNS_H

#include <cancel/spool.h>

#include <stdbool.h>

/* `run`: of a request for one run alone; or NULL. What cannot be found out counts as somebody:
 * a failure is never "no", and the caller asks again. */
bool rule_runs_has(struct cancel_spool *spool, const char *task_id, const char *run);

#endif
