/*
 * Drops, as in lib/spool/drop.c. There is one file NAME.json that a foreign program left in the spool's directory, for
 * name 0. Its record gets a new id each time that somebody finishes it.
 */

#define RAW	 1 /* as the foreign program wrote it */
#define COMPLETE 2 /* our record in its place */
#define DROP_LIFE 1

bool dropped; /* in the spool's own directory */
byte left;    /* in tmp/, as NAME.drop: 0: nothing, RAW, COMPLETE */
byte left_id; /* the id in that record */
byte next_id = FIRST_DROP_ID;

byte carried; /* to check: ids that the drop's wish went into */

#define DROP_LOCALS byte drop_id, drop_expires; bool taking, again

/* ask.c: resolve, for a drop */
inline resolve_for_drop(name)
{
	entry_read(name);
	if
	:: is_litter -> entry_unlink_pending(name); standing_clear()
	:: stands && !is_expired(pe) ->
		/* ask.c: merge_into */
		longer = later_of(pe, from_now(DROP_LIFE));
		atomic {
			/* A drop is taken in once: not again when what it went into was decided. */
			assert(!(carried & decided[name])); /* DESIGN.md, invariant 18 */
			carried = carried | BIT(p);
			entry_rewrite(name, longer)
		};
		longer = 0;
		drop_id = 0;
		standing_clear()
	:: stands && is_expired(pe) -> entry_decide(name, 0, EXPIRED)
	:: p == 0 -> standing_clear()
	fi
}

/* draft.c: move_into_pending: one rename, which publishes the record and removes it from tmp/ */
inline move_into_pending(name)
{
	atomic {
		if
		:: pending[name] == 0 ->
			assert(!(carried & decided[name])); /* DESIGN.md, invariant 18 */
			assert(!(decided[name] & BIT(drop_id))); /* DESIGN.md, invariants 6 and 18: the id is new */
			carried = carried | BIT(drop_id);
			pending[name] = drop_id;
			expiry[name] = drop_expires;
			published[name] = published[name] | BIT(drop_id);
			claims[drop_id] = drop_expires;
			drop_id = 0;
#ifndef COPY_INSTEAD_OF_RENAME
			left = 0;
			left_id = 0;
#endif
			may_die
		:: else
		fi
	}
}

/* drop.c: finish, under the lock, with the drop in tmp/ */
inline finish(name)
{
	/* drop.c: complete_record */
	atomic {
#ifdef DROP_KEEPS_ITS_ID
		drop_id = 1;
#else
		drop_id = next_id;
		next_id++;
#endif
		drop_expires = from_now(DROP_LIFE);
		assert(drop_id < 8)
	};
	/* drop.c: write_finished: draft.c: draft_replace */
	atomic {
		left = COMPLETE;
		left_id = drop_id;
		may_die
	};
	/* drop.c: publish_finished: ask.c: entry_publish */
	do
	:: drop_id != 0 ->
		move_into_pending(name);
		if
		:: drop_id != 0 -> resolve_for_drop(name)
		:: else
		fi
	:: else -> break
	od;
	/* drop.c: publish_finished: where its terms went into a request that stood */
	atomic {
		left = 0;
		left_id = 0;
		drop_expires = 0;
		may_die
	}
}

/* Under the lock. drop.c: drop_finish_locked, and drop.c: finish_if_there; then, if it is `taking`, drop.c: take_judged,
 * which finishes what it takes: */
inline finish_and_take(name)
{
	do
	:: left != 0 -> finish(name)
	:: left == 0 && taking ->
		atomic {
			taking = 0;
			if
			:: dropped ->
				dropped = 0; /* renameat2, if it is there still */
				left = RAW;
				may_die
			:: else
			fi
		}
	:: else -> break
	od
}

/* drop.c: drop_take, drop.c: take_once: drop.c: judge_drop has looked at it */
inline drop_take(name)
{
	taking = 1;
	lock_take(name);
	finish_and_take(name);
	lock_drop(name)
}

/* drop.c: drop_take_for, by drop.c: take_if_there and drop.c: finish_left */
inline drop_take_for(name)
{
	if
	:: dropped || left != 0 ->
		taking = dropped;
		lock_take(name);
		finish_and_take(name);
		lock_drop(name)
	:: else
	fi
}

/* decide.c: entry_begin: the same, and then once more what an intake that was killed meanwhile left; with the lock */
inline take_and_lock(name)
{
	if
	:: dropped || left != 0 -> taking = dropped; again = 1
	:: else
	fi;
	do
	:: true ->
		lock_take(name);
#ifdef LEFT_DROP_IS_NOT_FINISHED
		if
		:: !again -> break
		:: else
		fi;
#endif
		finish_and_take(name);
		if
		:: again -> lock_drop(name); again = 0
		:: else -> break
		fi
	od
}

/* sweep.c: put_back */
inline put_back(name)
{
	if
	:: left != 0 ->
#ifdef PUT_BACK_INTO_SPOOL
		atomic {
			if
			:: left != 0 && !dropped ->
				left = 0;
				left_id = 0;
				dropped = 1
			:: else
			fi
		}
#else
		/* drop.c: drop_finish_left, drop.c: finish_left: it does not wait; a busy one is left for the next pass */
		lock_try(name);
		if
		:: is_mine(name) -> finish_and_take(name); lock_drop(name)
		:: else
		fi
#endif
	:: else
	fi
}

/* Nothing of a drop is half taken in when its name is decided: it would cancel once more. */
#define left_is_clear(name) assert(left == 0) /* DESIGN.md, invariant 18 */
