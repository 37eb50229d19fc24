/*
 * lib/spool, one step for each call that another process can notice. A step that changes what others see is
 * followed by may_die: there SIGKILL may come.
 *
 * A comment with a file's and a function's name says what the step or the inline models; tests/model/run checks that
 * the function is still there. Where the C code returns, `goto dead` or `break` leaves; `dead` is each process's last
 * label, where the kernel takes back what it held.
 */

#define BIT(id) (1 << (id))
#define NEVER	7 /* expires never */

/* cancel/request.h: enum cancel_outcome; the first two are cancels (entry.c: was_a_cancel) */
#define STOPPED	  1
#define FINISHED  2
#define WITHDRAWN 3
#define EXPIRED	  4
#define was_a_cancel(outcome) ((outcome) <= FINISHED)

/* --- the disk ----------------------------------------------------------------------------------------- */

byte pending[NAMES];	 /* the request id of pending/NAME.json; 0: nothing stands there */
byte expiry[NAMES];	 /* the tick at which that record expires. With the id it makes its version */
byte processed[NAMES];	 /* the request id of processed/NAME.json; 0: nothing stands there */
bool of_member[NAMES];	 /* its field "group" is set: a run stopped for another name's request */
byte last_cancel[NAMES]; /* its field "last_cancel_id" */
byte lock[NAMES];	 /* who holds the name's byte of the lock file: _pid + 1; 0: nobody */

/* --- time, and SIGKILL -------------------------------------------------------------------------------- */

byte tick;
bool is_old[NAMES]; /* sweep.c: is_old: the processed record is older than keep_for */
byte deaths;

#if DEATHS
#define may_die                                          \
	if                                               \
	:: true                                          \
	:: deaths < DEATHS -> deaths++; goto dead        \
	fi
#else
#define may_die skip
#endif

/* request.c: cancel_request_expired */
#define is_expired(at) ((at) != NEVER && tick >= (at))
/* terms.c: extend: `life` from now on, or for ever */
#define from_now(life) ((life) == NEVER -> NEVER : tick + (life))
#define later_of(one, other) ((one) > (other) -> (one) : (other))

/* --- what is remembered to check it: no process reads it --------------------------------------------- */

byte published[NAMES]; /* ids that stood in pending */
byte decided[NAMES];
byte cancels[NAMES];   /* decided with an outcome that was a cancel */
byte resets[NAMES];    /* bit 0 flips */
byte claims[8];	       /* by id: until when somebody was promised that it stands */

byte alive;    /* runs that have begun to remember and not ended, and are not cancelled yet */
byte stale;    /* those that have not looked since the latest decision */
byte disturbed; /* those whose look was overtaken by a decision */

/* --- locks -------------------------------------------------------------------------------------------- */

#ifdef NO_LOCK
#define lock_take(name) skip
#define lock_drop(name) skip
#define is_mine(name)	true
#else
/* lock.c: lock_take */
#define lock_take(name)                                                     \
	atomic {                                                            \
		lock[name] == 0 -> lock[name] = _pid + 1;                   \
		may_die                                                     \
	}
/* lock.c: lock_drop */
#define lock_drop(name) lock[name] = 0
#define is_mine(name)	(lock[name] == _pid + 1)
#endif

/* lock.c: lock_try, and sweep.c: act_on_each, which leaves a busy name for the next pass */
#ifdef NO_LOCK
#define lock_try(name) true
#else
#define lock_try(name)                                              \
	atomic {                                                    \
		if                                                  \
		:: lock[name] == 0 -> lock[name] = _pid + 1; may_die \
		:: else                                             \
		fi                                                  \
	}
#endif

/* What the kernel takes back from who dies. */
inline free_locks()
{
	slot = 0;
	do
	:: slot < NAMES ->
		if
		:: lock[slot] == _pid + 1 -> lock[slot] = 0
		:: else
		fi;
		slot++
	:: else -> break
	od;
	slot = 0
}

/* --- reading: entry.c --------------------------------------------------------------------------------- */

/* What a process has in hand: struct standing, entry.h */
#define STANDING                                                       \
	byte p;	 /* pending_request's id; 0: nothing stands there */    \
	byte pe; /* its expiry */                                      \
	byte q;	 /* processed_request's id */                          \
	bool qg; /* its group */                                       \
	byte ql; /* its last_cancel_id */                              \
	byte longer; /* merged terms */                                \
	byte did /* the id that the last entry_decide decided, or 0 */

/* entry.c: decided_as */
#ifdef DECIDED_BY_ANY_RECORD
#define decided_as(id) (q != 0 && q == (id))
#else
#define decided_as(id) (q != 0 && q == (id) && !qg)
#endif
/* entry.c: entry_read: standing->litter, standing->pending */
#define is_litter (p != 0 && decided_as(p))
#define stands	  (p != 0 && !decided_as(p))

/* entry.c: read_pending: one open(2), so one version */
inline read_pending(name)
{
	d_step {
		p = pending[name];
		pe = expiry[name]
	}
}

/* entry.c: read_processed */
inline read_processed(name)
{
	d_step {
		q = processed[name];
		qg = of_member[name];
		ql = last_cancel[name]
	}
}

/* entry.c: standing_clear */
inline standing_clear()
{
	d_step {
		p = 0;
		pe = 0;
		q = 0;
		qg = 0;
		ql = 0
	}
}

/* entry.c: entry_read
 * Under the lock nobody else changes processed, so that the two reads are one step. */
#ifdef NO_LOCK
inline entry_read(name)
{
	read_pending(name);
	read_processed(name)
}
#else
inline entry_read(name)
{
	atomic {
		assert(is_mine(name)); /* DESIGN.md, invariant 3 */
		read_pending(name);
		read_processed(name)
	}
}
#endif

/* entry.c: still_pending, by same_version */
#define still_pending(name) (pending[name] == p && expiry[name] == pe)

/* entry.c: entry_look */
inline entry_look(name)
{
	do
	:: read_pending(name);
	   read_processed(name);
	   if
#ifdef LOOK_ONCE
	   :: true -> break
#else
	   :: stands && !still_pending(name)
	   :: else -> break
#endif
	   fi
	od
}

/* --- the bell ----------------------------------------------------------------------------------------- */

#ifdef BELL
byte word[NAMES]; /* the name's word in the bell */
byte rung[NAMES]; /* to check: ids that were rung for */

/* bell.c: bell_ring */
inline bell_ring(name, id)
{
	atomic {
		word[name]++;
		rung[name] = rung[name] | BIT(id)
	}
}
#define ring_of(name, id) bell_ring(name, id)
/* entry.c: tell, once it is decided */
#define tell(name) bell_ring(name, did)
#else
#define ring_of(name, id) skip
#define tell(name) skip
#endif

/* --- changing: entry.c -------------------------------------------------------------------------------- */

/* entry.c: entry_unlink_pending */
inline entry_unlink_pending(name)
{
	atomic {
		assert(is_mine(name)); /* DESIGN.md, invariant 3 */
		if
		:: p != 0 && still_pending(name) ->
#ifndef UNLINK_FIRST
			assert(decided[name] & BIT(p)); /* DESIGN.md, invariants 4 and 7 */
#endif
			pending[name] = 0;
			expiry[name] = 0;
			may_die
		:: else
		fi
	}
}

/* entry.c: entry_rewrite */
inline entry_rewrite(name, expires)
{
	atomic {
		assert(is_mine(name));		   /* DESIGN.md, invariant 3 */
		assert(pending[name] == p);	   /* DESIGN.md, invariant 9: the id is unchanged */
		assert(expires >= expiry[name]); /* DESIGN.md, invariant 9: terms only grow */
		expiry[name] = expires;
		may_die
	}
}

/* entry.c: write_processed, with what entry.c: fill_decision and entry.c: keep_last_cancel put into it */
inline write_processed(name, id, is_member, outcome)
{
	atomic {
		assert(is_mine(name)); /* DESIGN.md, invariant 3 */
#ifdef NAME_OF_GROUP
		assert(name != NAME_OF_GROUP || (!was_a_cancel(outcome) && !is_member)); /* DESIGN.md, invariant 39 */
#endif
		if
		:: is_member
		:: else ->
			assert(!(decided[name] & BIT(id)));			   /* DESIGN.md, invariant 5 */
			assert(outcome != EXPIRED || tick >= claims[id]); /* DESIGN.md, invariants 7 and 9 */
			decided[name] = decided[name] | BIT(id)
		fi;
		if
#ifdef MEMBER_IS_A_CANCEL
		:: was_a_cancel(outcome) ->
#else
		:: was_a_cancel(outcome) && !is_member ->
#endif
			cancels[name] = cancels[name] | (is_member -> 0 : BIT(id));
			last_cancel[name] = id
		/* entry.c: keep_last_cancel */
#ifdef NO_LAST_CANCEL
		:: else -> last_cancel[name] = 0
#elif defined(MEMBER_FORGETS_LAST_CANCEL)
		:: else -> last_cancel[name] = (q != 0 && !is_member -> ql : 0)
#else
		:: else -> last_cancel[name] = (q != 0 -> ql : 0)
#endif
		fi;
		processed[name] = id;
		of_member[name] = is_member;
		is_old[name] = 0;
		stale = stale | alive;
		disturbed = disturbed | alive;
		may_die
	}
}

/* entry.c: entry_decide_standing; `want` 0: whatever is pending */
inline entry_decide_standing(name, want, outcome)
{
	did = 0;
	if
	:: is_litter ->
#ifdef NO_LOOK_AT_PROCESSED
		write_processed(name, p, 0, outcome);
#endif
		entry_unlink_pending(name)
	:: else
	fi;
	if
	:: want != 0 && decided_as(want) /* CANCEL_ALREADY_DECIDED */
#ifdef IDS_NOT_COMPARED
	:: !(want != 0 && decided_as(want)) && stands ->
#else
	:: !(want != 0 && decided_as(want)) && stands && (want == 0 || want == p) -> /* entry.c: is_meant */
#endif
		did = p;
		assert(want == 0 || want == p); /* DESIGN.md, invariants 10 and 51: the one that was meant */
#ifdef UNLINK_FIRST
		entry_unlink_pending(name);
		write_processed(name, p, 0, outcome);
#else
		write_processed(name, p, 0, outcome);
		entry_unlink_pending(name);
#endif
		tell(name)
	:: else /* entry.c: nothing_pending */
	fi;
	standing_clear()
}

/* entry.c: entry_decide */
inline entry_decide(name, want, outcome)
{
	entry_read(name);
	entry_decide_standing(name, want, outcome)
}

/* entry.c: entry_note_member */
inline entry_note_member(name, group_id)
{
	entry_read(name);
	/* entry.c: note_member */
	if
#ifndef MEMBER_OVER_LITTER
	:: is_litter -> entry_unlink_pending(name)
#endif
	:: else
	fi;
	write_processed(name, group_id, 1, STOPPED);
	standing_clear()
}

/* --- drops, where a variant has them ------------------------------------------------------------------ */

#ifdef DROPS
#include "drop.pml"
#else
#define drop_take_for(name) skip
#define take_and_lock(name) lock_take(name)
#define left_is_clear(name) skip
#define DROP_LOCALS
#endif

/* --- decide.c ----------------------------------------------------------------------------------------- */

/* decide.c: entry_begin */
#define entry_begin(name) take_and_lock(name)

/* decide.c: entry_end */
#define entry_end(name) lock_drop(name)

/* decide.c: cancel_spool_decide */
inline cancel_spool_decide(name, want, outcome)
{
	entry_begin(name);
	left_is_clear(name);
	entry_decide(name, want, outcome);
	entry_end(name)
}

/* decide.c: clear_litter */
inline clear_litter_of_reset(name)
{
	entry_read(name);
	if
	:: is_litter -> entry_unlink_pending(name)
	:: else
	fi;
	standing_clear()
}

/* decide.c: remove_processed */
inline remove_processed_of_reset(name)
{
	atomic {
		assert(is_mine(name)); /* DESIGN.md, invariant 3 */
		processed[name] = 0;
		of_member[name] = 0;
		last_cancel[name] = 0;
		is_old[name] = 0;
		resets[name] = 1 - resets[name];
		may_die
	}
}

/* decide.c: cancel_spool_reset */
inline cancel_spool_reset(name)
{
	entry_begin(name);
	left_is_clear(name);
	/* decide.c: reset_locked */
#ifdef RESET_PROCESSED_FIRST
	remove_processed_of_reset(name);
	entry_decide(name, 0, WITHDRAWN);
	clear_litter_of_reset(name);
#else
	entry_decide(name, 0, WITHDRAWN);
	clear_litter_of_reset(name);
	remove_processed_of_reset(name);
#endif
	entry_end(name)
}

/* --- ask.c -------------------------------------------------------------------------------------------- */

/* ask.c: merge_into */
inline merge_into(name, life)
{
	longer = later_of(pe, from_now(life)); /* terms.c: terms_merge */
	if
	:: longer > pe -> entry_rewrite(name, longer); ring_of(name, p)
	:: else
	fi;
	longer = 0
}

/* ask.c: resolve, under the lock: make room, or `answer` is who stands
 * ask.c: resolve_standing */
inline resolve(name, life)
{
#ifdef LITTER_WITHOUT_LOCK
	lock_drop(name);
	read_pending(name);
	read_processed(name);
	lock_take(name);
#else
	entry_read(name);
#endif
	if
#ifdef LITTER_STANDS
	:: p != 0 && !is_expired(pe) ->
#else
	:: is_litter -> entry_unlink_pending(name)
	:: stands && !is_expired(pe) ->
#endif
		merge_into(name, life);
		answer = p
#ifdef EXPIRED_STANDS
	:: stands && is_expired(pe) -> answer = p
#else
	:: stands && is_expired(pe) -> entry_decide(name, 0, EXPIRED)
#endif
	:: p == 0
	fi;
	standing_clear()
}

/* draft.c: draft_publish: the link, or the rename only if absent: there first publish only creates
 * DESIGN.md, invariant 2 */
inline draft_publish(name, id, expires)
{
	atomic {
		if
		:: pending[name] == 0 ->
			pending[name] = id;
			expiry[name] = expires;
			published[name] = published[name] | BIT(id);
			claims[id] = expires;
			answer = id;
			may_die
		:: else
		fi
	}
}

/* ask.c: cancel_spool_request */
inline cancel_spool_request(name, id, life)
{
	/* ask.c: fill_request */
	atomic {
		expires = from_now(life);
		ended = decided[name] /* to check */
	};
#ifdef RING_FIRST
	ring_of(name, id);
#endif
	/* ask.c: ask_once */
	draft_publish(name, id, expires);
	if
	:: answer == 0 ->
		/* ask.c: ask_locked */
		lock_take(name);
		/* ask.c: publish_draft */
		do
		:: answer == 0 ->
			resolve(name, life);
			if
			:: answer == 0 -> draft_publish(name, id, expires)
			:: else
			fi
		:: else -> break
		od;
		/* What the caller is told: it stands, and for as long as was asked. */
		atomic {
			assert(!(decided[name] & BIT(answer))); /* DESIGN.md, invariant 8 */
			claims[answer] = later_of(claims[answer], expires) /* to check */
		};
		lock_drop(name)
	:: else
	fi;
#ifndef RING_FIRST
	/* draft.c: ring */
	if
	:: answer == id -> ring_of(name, id)
	:: else
	fi;
#endif
	assert(!(ended & BIT(answer))) /* DESIGN.md, invariants 7 and 8 */
}

/* --- lookup.c ----------------------------------------------------------------------------------------- */

/* lookup.c: last_cancel */
#define last_cancel_of(name) (processed[name] != 0 -> last_cancel[name] : 0)

/* lookup.c: check_entry, lookup.c: answer_of, with a mark: `found` is what cancels, or 0 */
inline check_entry(name, mark)
{
	drop_take_for(name);
	entry_look(name);
	atomic {
		if
		/* lookup.c: counts */
#ifdef NOTICE_BY_EXISTENCE
		:: p != 0 -> found = p
#else
		:: stands && p != mark -> found = p
#endif
		:: else ->
			if
			/* lookup.c: decided_since */
			:: q != 0 && ql != 0 && ql != mark -> found = ql
			:: else
			fi
		fi;
		standing_clear()
	}
}

/* lookup.c: cancel_spool_lookup and cancel_spool_check without a mark: who stands? */
inline cancel_spool_lookup(name)
{
	ended = decided[name]; /* to check */
	drop_take_for(name);
	entry_look(name); /* lookup.c: read_settled */
	atomic {
		found = (stands -> p : 0);
		assert(!(ended & BIT(found))); /* DESIGN.md, invariant 6: what is decided never comes back */
		standing_clear();
		ended = 0
	}
}

/* --- sweep.c ------------------------------------------------------------------------------------------ */

/* sweep.c: expire_entry */
inline expire_entry(name)
{
#ifndef EXPIRE_WITHOUT_READING_AGAIN
	entry_read(name);
#else
	read_processed(name);
	pe = (p == pending[name] -> expiry[name] : pe);
#endif
	if
	:: is_litter -> entry_unlink_pending(name); /* sweep.c: remove_litter */
			standing_clear()
#ifdef EXPIRE_WITHOUT_READING_AGAIN
	:: stands && p == pending[name] -> entry_decide_standing(name, 0, EXPIRED)
#else
	:: stands && is_expired(pe) -> entry_decide_standing(name, 0, EXPIRED) /* sweep.c: expire_standing */
#endif
	:: else -> standing_clear()
	fi
}

/* sweep.c: clear_litter
 * sweep.c: nothing_is_pending spares the look: `free` */
inline clear_litter_of_sweep(name)
{
	if
	:: free
	:: else ->
		entry_read(name);
		if
		:: is_litter -> entry_unlink_pending(name)
		:: else
		fi;
		standing_clear()
	fi
}

/* sweep.c: remove_processed */
inline unlink_processed(name)
{
	atomic {
#ifndef SWEEP_WITHOUT_LOCK
		assert(is_mine(name)); /* DESIGN.md, invariant 3 */
#endif
		processed[name] = 0;
		of_member[name] = 0;
		last_cancel[name] = 0;
		is_old[name] = 0;
		may_die
	}
}

inline remove_processed_of_sweep(name)
{
	if
#ifdef AGE_WITHOUT_LOOKING_AGAIN
	:: processed[name] != 0 ->
#else
	:: processed[name] != 0 && is_old[name] ->
#endif
#ifdef SWEEP_PROCESSED_FIRST
		unlink_processed(name);
		clear_litter_of_sweep(name)
#else
		clear_litter_of_sweep(name);
		unlink_processed(name)
#endif
	:: else
	fi
}

/* sweep.c: sweep_directory of pending, by sweep.c: may_be_expired */
inline sweep_pending(name)
{
	/* The filter looks at the file's time, without the lock. */
	atomic {
		p = pending[name];
		pe = expiry[name];
		if
		:: p != 0 && is_expired(pe)
		:: else -> p = 0; pe = 0
		fi
	};
	if
	:: p != 0 ->
		lock_try(name);
		if
		:: is_mine(name) -> expire_entry(name); lock_drop(name)
		:: else -> standing_clear()
		fi
	:: else
	fi
}

/* sweep.c: sweep_directory of processed, by sweep.c: may_be_old */
inline sweep_processed(name)
{
	if
	:: processed[name] != 0 && is_old[name] ->
#ifdef FREE_OF_LITTER_BEFORE_LOCK
		free = (pending[name] == 0);
#endif
#ifndef SWEEP_WITHOUT_LOCK
		lock_try(name);
#endif
		if
#ifdef SWEEP_WITHOUT_LOCK
		:: true ->
			if
			:: pending[name] == 0 -> unlink_processed(name)
			:: else
			fi
#else
		:: is_mine(name) ->
#ifndef FREE_OF_LITTER_BEFORE_LOCK
			/* sweep.c: act_on_chunk, which may hold all locks at once; for one name that is the same */
			if
			:: true
			:: pending[name] == 0 -> free = 1
			fi;
#endif
			remove_processed_of_sweep(name);
			free = 0;
			lock_drop(name)
#endif
		:: else -> free = 0
		fi
	:: else
	fi
}
