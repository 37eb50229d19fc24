/* One operation, broken in one way, and everything that must be true afterwards. */
#ifndef FAULTS_TRIAL_H
#define FAULTS_TRIAL_H

#include "faults_fault.h"
#include "scenario.h"

#include <stdbool.h>

/* What an unbroken run comes to; a broken one comes to no more. */
struct faults_sound {
	const struct faults_call *calls[FAULTS_CALLS_MAX];
	int call_count;
	int allocation_count;
	long live;       /* allocations left when all is closed */
	int descriptors; /* left then */
	int kept;        /* descriptors more than before, before all is closed */
};

/* Unbroken. False when even that violates something. */
bool faults_sound_run(const struct scenario *scenario, struct faults_sound *sound);

/* A call, and an allocation, is broken. */
void faults_break_call(const struct scenario *scenario, const struct faults_sound *sound,
		       struct faults_fault fault);
void faults_break_allocation(const struct scenario *scenario, const struct faults_sound *sound, int at,
			     bool on);

/* How many of them had something broken. */
int faults_broken_count(void);

#endif
