/* What is going on when the power is cut. */
#ifndef POWERCUT_SCENARIOS_H
#define POWERCUT_SCENARIOS_H

#include "record.h"

#include <cancel/cancel.h>

#include <limits.h>
#include <stdbool.h>

enum {
	TASK_COUNT = 3,
	SCENARIO_ROOT_SIZE = 512,
};

struct stage;

struct scenario {
	const char *name;
	void (*act)(struct stage *stage);
	enum record_lack lack;
	bool has_long_ids; /* cut and hashed names */
	bool is_foreign;   /* somebody wrote with less durability: what he wrote is his affair */
	bool has_stranger; /* what is no request stands in a request's place */
};

extern const struct scenario scenarios[];
extern const int scenario_count;

/* The id of a scenario's task; the one after the last is that of a task that nobody has touched. */
const char *scenario_task(const struct scenario *scenario, int task);
#define SCENARIO_REASON_SIZE 1024
void scenario_reason(int task, char reason[SCENARIO_REASON_SIZE]);

/* One scenario, to be acted in a process of its own, with the spool `root`/spool. */
struct stage {
	const struct scenario *scenario;
	enum cancel_durability durability;
	char root[SCENARIO_ROOT_SIZE];
	struct cancel_spool *spool;
	struct cancel_error error;
};

/* For record(): exit code 0, or 1 after a sentence on standard error. */
int scenario_act(void *stage);

#endif
