/* What a pair is made of: states of a name, and operations on it, each of which may meet any other. */
#ifndef KILLS_OPERATIONS_H
#define KILLS_OPERATIONS_H

#include "scenario.h"

#define FOREIGN_REASON "foreign"

struct pair_state {
	const char *name;
	void (*prepare)(struct scenario_trial *trial);
	/* What whoever works on the name does first, so that a kill may leave just that. NULL: nothing. */
	int (*first)(struct scenario_trial *trial);
};

struct pair_operation {
	const char *name;
	int (*operate)(struct scenario_trial *trial);
	int (*set_up)(struct scenario_trial *trial);
	/* What a kill may leave of it, besides nothing and all: the same as this one leaves. NULL: no such
	 * thing. */
	int (*half)(struct scenario_trial *trial);
	/* What it is when it finds the name taken by somebody who is stopped, and goes away. NULL: it
	 * waits. */
	int (*refused)(struct scenario_trial *trial);
	bool is_atomic;  /* it takes effect at one moment, for who looks by the library */
	bool is_foreign; /* it knows no lock, and is not stopped within */
	bool decides;    /* without saying which request */
	bool forgets;    /* it may remove what was decided */
};

extern const struct pair_state pair_states[];
extern const int pair_state_count;

/* The foreign ones last. */
extern const struct pair_operation pair_operations[];
extern const int pair_operation_count, pair_own_count;

#endif
