/*
 * Who takes part. A variant, a line of `variants`, says how many of each there are; a mutant, a line of `mutants`,
 * breaks one repair.
 */

#ifndef NAMES
#define NAMES 1
#endif
#define NAME_OF_TASK 0
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef LOOKS
#define LOOKS 1 /* of a run, after its first */
#endif
#ifndef TICKS
#define TICKS 0
#endif
#ifndef ASKERS
#define ASKERS 1
#endif
#ifndef RUNS
#define RUNS 0
#endif
#ifndef PASSES
#define PASSES 1
#endif
#ifndef GROUP_OF_0
#define GROUP_OF_0 0
#endif
#ifndef OWN_OF_0
#define OWN_OF_0 0
#endif
#ifndef DECIDER_OUTCOME
#define DECIDER_OUTCOME WITHDRAWN
#endif
#ifndef LIFE_OF_1
#define LIFE_OF_1 NEVER
#endif
#ifndef LIFE_OF_2
#define LIFE_OF_2 NEVER
#endif
#ifndef NAME_OF_2
#define NAME_OF_2 NAME_OF_TASK
#endif
#ifndef ID_OF_2
#define ID_OF_2 2
#endif

#include "spool.pml"
#include "task.pml"

proctype asker(byte name; byte id; byte life)
{
	STANDING;
	DROP_LOCALS;
	byte answer, expires, ended, slot;

	cancel_spool_request(name, id, life);
dead:
	atomic {
		free_locks();
		standing_clear();
		did = 0;
		answer = 0;
		expires = 0;
		ended = 0
	}
}

#if DECIDERS
/* A person, or a rule whose command has ended: decides the request that he was told of. */
proctype decider(byte name; byte outcome)
{
	STANDING;
	DROP_LOCALS;
	byte found, ended, slot;

	cancel_spool_lookup(name);
	if
	:: found != 0 -> cancel_spool_decide(name, found, outcome)
	:: else
	fi;
dead:
	atomic {
		free_locks();
		standing_clear();
		did = 0;
		found = 0;
		ended = 0
	}
}
#endif

#if WITHDRAWERS
/* cancelreq --withdraw: whatever is pending. */
proctype withdrawer(byte name)
{
	STANDING;
	DROP_LOCALS;
	byte slot;

	cancel_spool_decide(name, 0, WITHDRAWN);
dead:
	atomic {
		free_locks();
		standing_clear();
		did = 0
	}
}
#endif

#if RESETTERS
proctype resetter(byte name)
{
	STANDING;
	DROP_LOCALS;
	byte slot;

	cancel_spool_reset(name);
dead:
	atomic {
		free_locks();
		standing_clear();
		did = 0
	}
}
#endif

#if LOOKERS
proctype looker(byte name)
{
	STANDING;
	DROP_LOCALS;
	byte found, ended, slot;

	cancel_spool_lookup(name);
dead:
	atomic {
		free_locks();
		standing_clear();
		found = 0;
		ended = 0
	}
}
#endif

#if SWEEPERS
/* sweep.c: sweep_all */
proctype sweeper()
{
	STANDING;
	DROP_LOCALS;
	LEASE_LOCALS;
	bool free;
	byte passes;
#define NOBODY 250
#ifdef LEASES
	byte me = NOBODY;
#endif

	do
	:: passes < PASSES ->
		passes++;
#ifdef DROPS
		put_back(NAME_OF_TASK);
#endif
#if TICKS
		sweep_pending(NAME_OF_TASK);
#endif
#ifdef KEEPS
		sweep_processed(NAME_OF_TASK);
#endif
#ifdef LEASES
		/* sweep.c: sweep_lease */
		slot = 0;
		do
		:: slot < SLOTS -> lease_clear_dead(slot); slot++
		:: else -> break
		od;
		slot = 0
#endif
	:: else -> break
	od;
dead:
	atomic {
		free_locks();
		standing_clear();
		did = 0;
		free = 0;
		passes = 0;
#ifdef LEASES
		free_lease()
#endif
	}
}
#endif

#ifdef DROPS
/* The foreign program, at any moment. */
proctype dropper()
{
	dropped = 1
}
#endif

#if INTAKES
/* A watcher, or cancelwatch --once: drop.c: cancel_spool_intake */
proctype intake()
{
	STANDING;
	DROP_LOCALS;
	byte slot;

	if
	:: dropped -> drop_take(NAME_OF_TASK)
	:: else
	fi;
dead:
	atomic {
		free_locks();
		standing_clear();
		did = 0
	}
}
#endif

#if TICKS || defined(KEEPS)
/* Time. That the processed record grows old supposes that keep_for is longer than a run's pause between two looks. */
proctype clock()
{
	do
	:: tick < TICKS -> tick++
#ifdef KEEPS
	:: atomic { processed[NAME_OF_TASK] != 0 && stale == 0 && !is_old[NAME_OF_TASK] -> is_old[NAME_OF_TASK] = 1 }
#endif
	:: true -> break
	od
}
#endif

init
{
	atomic {
#ifdef DROPS
		run dropper();
#endif
#if ASKERS > 0
		run asker(NAME_OF_TASK, 1, LIFE_OF_1);
#endif
#if ASKERS > 1
		run asker(NAME_OF_2, ID_OF_2, LIFE_OF_2);
#endif
#if ASKERS > 2
		run asker(NAME_OF_TASK, 3, NEVER);
#endif
#if RUNS > 0
		run run_of_task(0, GROUP_OF_0, OWN_OF_0);
#endif
#if RUNS > 1
		run run_of_task(1, 0, 0);
#endif
#if RUNS > 2
		run run_of_task(2, 0, 0);
#endif
#if DECIDERS
		run decider(NAME_OF_TASK, DECIDER_OUTCOME);
#endif
#if WITHDRAWERS
		run withdrawer(NAME_OF_TASK);
#endif
#if WITHDRAWERS > 1
		run withdrawer(NAME_OF_TASK);
#endif
#if RESETTERS
		run resetter(NAME_OF_TASK);
#endif
#if LOOKERS
		run looker(NAME_OF_TASK);
#endif
#if INTAKES
		run intake();
#endif
#if INTAKES > 1
		run intake();
#endif
#if SWEEPERS
		run sweeper();
#endif
#if SWEEPERS > 1
		run sweeper();
#endif
#if TICKS || defined(KEEPS)
		run clock()
#endif
	}
	_nr_pr == 1;
	/* DESIGN.md, invariant 7: what was accepted is decided, or stands. */
	assert((published[0] & ~decided[0] & ~(pending[0] != 0 -> BIT(pending[0]) : 0)) == 0);
	assert((published[NAMES - 1] & ~decided[NAMES - 1] & ~(pending[NAMES - 1] != 0 -> BIT(pending[NAMES - 1]) : 0)) == 0);
	/* DESIGN.md, invariant 6: what is decided and stands in pending still is litter, by its processed record. */
	assert(pending[0] == 0 || !(decided[0] & BIT(pending[0])) || (processed[0] == pending[0] && !of_member[0]));
#ifdef DROPS
	assert(carried != 0 || dropped || left != 0); /* DESIGN.md, invariants 7 and 18 */
#endif
	assert(lock[0] == 0)
}
