/* The other user: a process of its own that does one deed at a time when it is told to, or races them. */
#ifndef HOSTILE_ATTACKER_H
#define HOSTILE_ATTACKER_H

#include "stage.h"

#include <stdint.h>

/* What it can be done to: a place in the spool, or the spool. */
enum target {
	TARGET_SPOOL,
	TARGET_PENDING,
	TARGET_PROCESSED,
	TARGET_TMP,
	TARGET_REFUSED,
	TARGET_RUNS,
	TARGET_VERSION,
	TARGET_LOCK,
	TARGET_BELL,
	TARGET_SWEPT,
	TARGET_REQUEST, /* pending/task.json */
	TARGET_DECIDED, /* processed/task.json */
	TARGET_DROP,    /* task.json */
	TARGET_LEFT,    /* tmp/task.drop */
	TARGET_LEASE,   /* runs/task */
	TARGET_OLD,     /* pending/old.json, which is past its expiry */
	TARGET_QUIET,   /* pending/quiet.json: for a task that nobody who is trusted asks to stop */
	TARGET_QUIET_DECIDED,
	TARGET_QUIET_DROP,
	TARGET_QUIET_LEFT,
	TARGET_CLAIM, /* pending/claim.json: only the attacker asks for it */
	TARGET_CLAIM_DROP,
	TARGET_COUNT,
};

enum deed {
	DEED_REMOVE,
	DEED_LINK_SECRET, /* a symbolic link in its place */
	DEED_LINK_PRECIOUS,
	DEED_LINK_DIRECTORY,
	DEED_LINK_LONG,
	DEED_FIFO,
	DEED_SOCKET,
	DEED_DIRECTORY,
	DEED_JOIN_SECRET, /* a second link of the victim's file in its place */
	DEED_JOIN_EMPTY,
	DEED_JOIN_LONG,
	DEED_FORGE, /* a file of the attacker's own: a request, a decision or a lease of that name */
	DEED_CLAIM, /* and it says that the victim asked, and nothing of the task */
	DEED_HUGE,
	DEED_EMPTY,
	DEED_LEASED, /* and he holds a lease on it, which stops who opens it */
	DEED_TRUNCATE,
	DEED_SCRIBBLE,
	DEED_SHUT,  /* mode 0 */
	DEED_WIDEN, /* mode 07777 */
	DEED_LOCK,  /* all of it, until the next deed */
	DEED_READ_LOCK,
	DEED_AWAY,     /* moved to the lair */
	DEED_BACK,     /* and what was moved there last is moved back */
	DEED_EXCHANGE, /* with whatever is next in the list */
	DEED_FILL,     /* the filesystem, until the next deed */
	DEED_CROWD,    /* its inodes */
	DEED_SIGNAL,   /* the victim: SIGSTOP, SIGKILL */
	DEED_COUNT,
};

struct attacker;

struct attacker *attacker_start(const struct stage *stage);

/* Whom there is to signal. */
void attacker_face(struct attacker *attacker, pid_t victim);

/* Do it now; whether it could be done. */
bool attacker_do(struct attacker *attacker, enum deed deed, enum target target);

/* Let go of what is held: locks, leases, room. */
void attacker_rest(struct attacker *attacker);

/* Race deeds by chance until attacker_rest(): all of them, or only those that take nothing away. */
void attacker_race(struct attacker *attacker, uint64_t seed, bool is_gentle);

/* Deeds that were done so far, in races too. */
long attacker_deeds(const struct attacker *attacker);

void attacker_end(struct attacker *attacker);

/* Is it a pair that there is a use for? A lock on a symbolic link, say, is none. */
bool attacker_can(enum deed deed, enum target target);

const char *attacker_deed_name(enum deed deed);
const char *attacker_target_name(enum target target);

#endif
