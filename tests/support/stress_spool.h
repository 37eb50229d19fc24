/* A spool and its managers, for programs that play with many: each call complains (stress_crew.h) when it
 * fails. */
#ifndef SUPPORT_STRESS_SPOOL_H
#define SUPPORT_STRESS_SPOOL_H

#include <cancel/cancel.h>

#include <stdbool.h>

#define STRESS_ID_SIZE (CANCEL_REQUEST_ID_LENGTH + 1)

/* Open it, making it if it is missing. Aborts when that fails. */
struct cancel_spool *stress_spool_open(const char *path);

/* Of that spool. Aborts when that fails. */
struct cancel_manager *stress_manager_open(const char *path, bool thread, enum cancel_notice notice,
					   int64_t poll_interval_ms);

/* Ask; the id of the request that stands then. Returns as cancel_spool_request. */
int stress_ask(struct cancel_spool *spool, const char *task_id, const char *run, char id[STRESS_ID_SIZE]);

/* Decide what is pending. Returns as cancel_spool_decide, with -ENOENT where nothing is. */
int stress_decide(struct cancel_spool *spool, const char *task_id, const char *run,
		  enum cancel_outcome outcome);

/* Where a name stands; its request's id and outcome. */
struct stress_place {
	enum cancel_lookup state;
	char id[STRESS_ID_SIZE];
	enum cancel_outcome outcome;
};
struct stress_place stress_look(struct cancel_spool *spool, const char *task_id, const char *run);

#endif
