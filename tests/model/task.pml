/*
 * lib/task: how a run begins, looks and ends; the lease that it holds meanwhile, lib/spool/lease.c; and what becomes of
 * its requests, lib/spool/ending.c.
 */

/* --- lease.c ------------------------------------------------------------------------------------------ */

#ifdef LEASES

/* runs/NAME, and runs/NAME@@MARK, of which each run makes its own. A file is known by its run: index + 1. */
#define SLOTS	    (RUNS + 1)
#define ALL_BYTES   1 /* locked by its run */
#define OTHER_BYTES 2 /* locked by who clears it away */
byte runs[SLOTS];
byte held[RUNS];

/* To check: runs that have a lease and did not end, and those that were killed. */
byte living;
byte killed;

/* What a process does with leases. */
#define LEASE_LOCALS                                         \
	byte file;     /* another's lease, opened */           \
	byte clearing; /* the lease whose lock is ours, or 0 */ \
	byte slot;     /* where we look */                     \
	byte left_to   /* to check: whom the request was left to */

/* lease.c: lease_clear_dead, and lease.c: clear */
inline lease_clear_dead(where)
{
	file = runs[where]; /* open */
	if
	:: file != 0 ->
		atomic {
			/* lease.c: set_lock */
			if
#ifdef CLEARS_WITHOUT_LOCK
			:: true -> clearing = file; may_die
#else
			:: held[file - 1] == 0 ->
#ifdef CLEARER_LOCKS_ALL
				held[file - 1] = ALL_BYTES;
#else
				held[file - 1] = OTHER_BYTES;
#endif
				clearing = file;
				may_die
#endif
			:: else
			fi
		};
		if
		:: clearing != 0 ->
			if
			/* file_same, of what stands there */
#ifdef CLEARS_WITHOUT_COMPARING
			:: true ->
#else
			:: runs[where] == file ->
#endif
				atomic {
					assert(runs[where] == 0 || !(living & BIT(runs[where] - 1)));
							/* DESIGN.md, invariants 15 and 38 */
					runs[where] = 0;
					may_die
				}
			:: else
			fi;
			atomic {
#ifndef CLEARS_WITHOUT_LOCK
				held[clearing - 1] = 0;
#endif
				clearing = 0
			}
		:: else
		fi
	:: else
	fi;
	file = 0
}

/* lease.c: put */
inline put(where)
{
	atomic {
		if
		:: runs[where] == 0 ->
			runs[where] = me + 1;
			own_slot = where + 1;
			living = living | BIT(me);
			may_die
		:: else
		fi
	}
}

/* lease.c: take: locked before it can be seen */
inline lease_take()
{
#ifndef LEASE_SEEN_BEFORE_LOCKED
	held[me] = ALL_BYTES; /* lease.c: write_locked */
#endif
	/* lease.c: put_somewhere */
	put(0);
	if
	:: own_slot == 0 -> lease_clear_dead(0); put(0)
	:: else
	fi;
	if
	:: own_slot == 0 -> put(me + 1)
	:: else
	fi;
#ifdef LEASE_SEEN_BEFORE_LOCKED
	held[me] = ALL_BYTES;
#endif
}

/* lease.c: is_locked: asks for the first byte */
#define is_locked(which) (held[which] == ALL_BYTES)

/* lease.c: lease_held_by_another, by lease.c: is_of_task */
inline lease_held_by_another()
{
	slot = 0;
	do
	:: slot < SLOTS && left_to == 0 ->
		file = runs[slot];
		atomic {
			if
#ifdef OWN_LEASE_COUNTS
			:: file != 0 && is_locked(file - 1) ->
#else
			:: file != 0 && slot + 1 != own_slot && is_locked(file - 1) ->
#endif
				left_to = file;
				assert(living & BIT(file - 1)) /* DESIGN.md, invariants 38 and 39: who has it is alive */
			:: else
			fi
		};
		slot++
	:: else -> break
	od;
	slot = 0;
	file = 0
}

/* lease.c: lease_drop_entered */
inline lease_drop()
{
	atomic {
		if
		:: own_slot != 0 && runs[own_slot - 1] == me + 1 -> runs[own_slot - 1] = 0; /* lease.c: stands */
								     may_die
		:: else
		fi
	};
	atomic {
		held[me] = 0; /* lease.c: lease_let_go */
		own_slot = 0;
		living = living & ~BIT(me);
		/* Two that finish together do not leave it to each other. A run that was killed leaves it to the next. */
		assert(left_to == 0 || ((living | killed) & BIT(left_to - 1))); /* DESIGN.md, invariants 7 and 39 */
		left_to = 0
	}
}

inline free_lease()
{
	if
#ifndef CLEARS_WITHOUT_LOCK
	:: clearing != 0 -> held[clearing - 1] = 0
#endif
	:: else
	fi;
	clearing = 0;
	file = 0;
	left_to = 0
}

#else
#define LEASE_LOCALS byte slot
#define lease_take() skip
#endif

/* --- ending.c ----------------------------------------------------------------------------------------- */

/* ending.c: decide_locked */
inline decide_locked(name, outcome)
{
	if
	:: pending[name] == 0 /* ending.c: nothing_stands */
	:: else ->
#ifdef LEASES
		/* ending.c: is_left_to_another; a request for this run alone never is */
		if
		:: outcome == FINISHED && name == NAME_OF_TASK -> lease_held_by_another()
		:: else
		fi;
		if
		:: left_to != 0
		:: else ->
			entry_decide(name, 0, outcome);
			if
			:: did != 0 ->
				count++;
				/* Nobody is alive who would have had to be left the request. */
				assert(outcome != FINISHED || name != NAME_OF_TASK || !(living & seen_living & ~BIT(me)))
						/* DESIGN.md, invariant 39 */
			:: else
			fi
		fi
#else
		entry_decide(name, 0, outcome);
		count = count + (did != 0 -> 1 : 0)
#endif
	fi;
	did = 0
}

/* ending.c: decide */
inline decide(name, outcome, with_lease)
{
	entry_begin(name);
	left_is_clear(name);
#ifdef LEASES
	seen_living = living; /* to check: who was alive when we asked */
#endif
	decide_locked(name, outcome);
#if defined(LEASES) && !defined(LEASE_ENDS_OUTSIDE_LOCK)
	if
	:: with_lease -> lease_drop()
	:: else -> left_to = 0
	fi;
#endif
	entry_end(name);
#if defined(LEASES) && defined(LEASE_ENDS_OUTSIDE_LOCK)
	if
	:: with_lease -> lease_drop()
	:: else -> left_to = 0
	fi
#endif
}

/* ending.c: decide_if_any, by lookup.c: entry_is_idle */
inline decide_if_any(name, outcome)
{
	drop_take_for(name);
	if
	:: pending[name] == 0
	:: else -> decide(name, outcome, false)
	fi
}

/* ending.c: tell_member */
inline tell_member(name, group_id)
{
	entry_begin(name);
	entry_note_member(name, group_id);
	entry_end(name)
}

/* ending.c: ending_tell; `cause` is what cancelled the run, for `cause_name` */
inline ending_tell(outcome)
{
	/* ending.c: decide_both: decide_own, then decide_task */
#ifdef NAME_OF_RUN
	if
	:: has_own -> decide_if_any(NAME_OF_RUN, outcome)
	:: else
	fi;
#endif
#ifdef MEMBER_DECIDES_GROUP
	if
	:: in_group && cause_name == NAME_OF_GROUP -> decide_if_any(NAME_OF_GROUP, outcome)
	:: else
	fi;
#endif
#ifdef LEASES
	decide(NAME_OF_TASK, outcome, true);
#else
	decide_if_any(NAME_OF_TASK, outcome);
#endif
#ifdef NAME_OF_GROUP
	if
	:: count == 0 && cause != 0 && cause_name == NAME_OF_GROUP -> tell_member(NAME_OF_TASK, cause)
	:: else
	fi;
#endif
	count = 0
}

/* --- look.c ------------------------------------------------------------------------------------------- */

/* To check, before a look: what it must find, and what it must not. */
inline look_begins(name)
{
	duty[name] = (published[name] & ~decided[name]) | (cancels[name] & ~before[name]);
	ended[name] = decided[name] & ~cancels[name];
	disturbed = disturbed & ~BIT(me)
}

/* What cancels is neither of an earlier run, nor taken back or expired; it is for a name that the run has; and
 * nothing that must be found is passed over, unless it was taken back, or a reset made it forgotten. */
inline look_has_ended(name)
{
	atomic {
		if
		:: found != 0 ->
			assert(published[name] & BIT(found));		   /* DESIGN.md, invariants 10 and 35 */
			assert(!(before[name] & BIT(found)));		   /* DESIGN.md, invariants 6 and 10 */
			assert(!(ended[name] & BIT(found)));		   /* DESIGN.md, invariants 6 and 10 */
			cause = found;
			cause_name = name;
			alive = alive & ~BIT(me);
			stale = stale & ~BIT(me)
		:: else ->
			assert(!(duty[name] & published[name] & ~decided[name])); /* DESIGN.md, invariants 7, 10 and 34 */
			assert(was_reset[name] != resets[name] || !(duty[name] & cancels[name]))
										  /* DESIGN.md, invariants 10 and 35 */
		fi;
		d_step {
			found = 0;
			duty[name] = 0;
			ended[name] = 0
		}
	}
}

/* look.c: look_find, for one listener, and look.c: look_act */
inline look_for(name, mark)
{
	if
	:: cause == 0 ->
		atomic { look_begins(name) };
		check_entry(name, mark);
		look_has_ended(name)
	:: else
	fi
}

/* look.c: look_find
 * lookup.c: check_both */
inline look()
{
	look_for(NAME_OF_TASK, mark);
#ifdef NAME_OF_RUN
	if
	:: has_own -> look_for(NAME_OF_RUN, other_mark)
	:: else
	fi;
#endif
#ifdef NAME_OF_GROUP
	if
	:: in_group -> look_for(NAME_OF_GROUP, other_mark)
	:: else
	fi;
#endif
	if
	:: !(disturbed & BIT(me)) -> stale = stale & ~BIT(me)
	:: else
	fi
}

/* --- begin.c ------------------------------------------------------------------------------------------ */

/* lookup.c: cancel_spool_mark, for one name */
inline cancel_spool_mark(name, into)
{
	atomic {
#ifndef REMEMBERS_NOTHING
		into = last_cancel_of(name); /* lookup.c: last_cancel */
#endif
		before[name] = decided[name];
		was_reset[name] = resets[name];
		alive = alive | BIT(me);
		stale = stale | BIT(me)
	}
}

/* begin.c: remember */
inline remember()
{
	cancel_spool_mark(NAME_OF_TASK, mark);
#ifdef NAME_OF_RUN
	if
	:: has_own -> cancel_spool_mark(NAME_OF_RUN, other_mark)
	:: else
	fi;
#endif
#ifdef NAME_OF_GROUP
	if
	:: in_group -> cancel_spool_mark(NAME_OF_GROUP, other_mark)
	:: else
	fi;
#endif
}

#ifdef BELL
/* hints.c: hints_hear */
#define hear() heard = word[NAME_OF_TASK]

/* watcher.c: sleep_on_words: until the word is another one, or a round is due */
inline sleep()
{
	if
	:: cause == 0 ->
		atomic {
			if
			:: word[NAME_OF_TASK] == heard ->
				/* Nothing that was rung for is slept through. */
				assert(!(rung[NAME_OF_TASK] & published[NAME_OF_TASK] & ~decided[NAME_OF_TASK]));
							/* DESIGN.md, invariants 34 and 37 */
				assert(!(rung[NAME_OF_TASK] & cancels[NAME_OF_TASK] & ~before[NAME_OF_TASK]))
							/* DESIGN.md, invariants 35 and 37 */
			:: else
			fi
		};
		if
		:: word[NAME_OF_TASK] != heard
		:: true /* a round */
		fi
	:: else
	fi
}
#else
#define hear()	skip
#define sleep() skip
#endif

#if RUNS
/* begin.c: start, checkpoints, and end.c: end.
 * `in_group`: it listens to NAME_OF_GROUP too. `has_own`: it has the run id of NAME_OF_RUN. */
proctype run_of_task(byte me; bool in_group; bool has_own)
{
	STANDING;
	LEASE_LOCALS;
	DROP_LOCALS;
	byte mark, other_mark, found, cause, cause_name, count, looks;
	byte own_slot, seen_living, heard;
	/* To check. */
	byte before[NAMES], was_reset[NAMES], duty[NAMES], ended[NAMES];

#ifndef LOOKS_BEFORE_REMEMBERING
	remember();
#endif
#ifndef LISTENS_AFTER_LOOK
	hear(); /* task.c: task_enter */
#endif
	lease_take(); /* begin.c: begin_lease */
	do
	:: true ->
		look(); /* begin.c: look_first; later watcher.c: look_for, checkpoint.c: look */
#ifdef LOOKS_BEFORE_REMEMBERING
		if
		:: looks == 0 && cause == 0 -> remember()
		:: else
		fi;
#endif
		if
		:: looks < LOOKS && cause == 0 -> looks++
		:: true -> break
		fi;
#ifdef LISTENS_AFTER_LOOK
		hear();
		sleep()
#else
		sleep();
		hear() /* watcher.c: mark_due */
#endif
	od;
	/* end.c: fall_silent */
	atomic {
		alive = alive & ~BIT(me);
		stale = stale & ~BIT(me);
		disturbed = disturbed & ~BIT(me);
		looks = 0;
		heard = 0;
		before[0] = 0
	};
	/* end.c: tell */
	if
	:: cause != 0 -> ending_tell(STOPPED)
	:: else -> ending_tell(FINISHED)
	fi;
dead:
	atomic {
		standing_clear();
		free_locks();
		alive = alive & ~BIT(me);
		stale = stale & ~BIT(me);
		disturbed = disturbed & ~BIT(me);
		mark = 0;
		other_mark = 0;
		found = 0;
		cause = 0;
		cause_name = 0;
		count = 0;
		looks = 0;
		heard = 0;
		did = 0;
		seen_living = 0;
#ifdef LEASES
		if
		:: own_slot != 0 -> killed = killed | BIT(me)
		:: else
		fi;
		living = living & ~BIT(me);
		held[me] = 0;
		own_slot = 0;
		free_lease();
#endif
		before[0] = 0;
		before[NAMES - 1] = 0;
		was_reset[0] = 0;
		was_reset[NAMES - 1] = 0;
		duty[0] = 0;
		duty[NAMES - 1] = 0;
		ended[0] = 0;
		ended[NAMES - 1] = 0
	}
}
#endif
