/* The ways to publish that are found out where the first one does not work, taken from the start. */
#ifndef SUPPORT_SCENARIO_WAY_H
#define SUPPORT_SCENARIO_WAY_H

struct cancel_spool;

enum scenario_way {
	SCENARIO_WAY_FOUND_OUT,
	SCENARIO_WAY_NAMED,  /* a named draft, renamed only if absent */
	SCENARIO_WAY_LINKED, /* a named draft, linked under the name's lock */
};

void scenario_use_way(struct cancel_spool *spool, enum scenario_way way);

#endif
