/* One request and its rule: a try, what comes of it, and the decision. */
#ifndef CANCELWATCH_RULE_FIRE_H
#define CANCELWATCH_RULE_FIRE_H

#include "log.h"
#include "notify.h"
#include "rule_queue.h"

#include <cancel/rule.h>
#include <cancel/spool.h>

#include <stdint.h>

/* What all of them share. */
struct rule_fire {
	struct log *log;
	struct notify *notify;
	struct cancel_rules *rules;
	struct cancel_spool *spool;
	const char *spool_path;
	int64_t look_again_ns;   /* how late it may be noticed that a request takes effect sooner */
	int64_t locked_until_ns; /* somebody holds a lock of the spool: each further call might wait as long
				  */
	int epoll_fd;
	int life[2]; /* as of struct rule_start; -1: not open, which a try changes */
};

/* What becomes of an entry. */
enum rule_fate {
	RULE_WAITS,    /* until `due_ns` */
	RULE_RUNS,     /* its command does */
	RULE_LEAVES,   /* nothing is to be done, or it is decided */
	RULE_IS_DONE,  /* as it should; the request is still pending */
	RULE_GIVEN_UP, /* the same, but not as it should */
	RULE_HELD_UP,  /* the system has no process, descriptor or memory left: nothing can be started now */
};

/* When the request takes effect, but not later than it has to be looked at again: CLOCK_MONOTONIC; now, if it
 * has. */
int64_t rule_fire_due(const struct rule_fire *fire, const struct cancel_request *request);

/* It waits and is due: look the request up, and start the command, or decide what could not be decided
 * before. */
enum rule_fate rule_fire_try(struct rule_fire *fire, struct rule_entry *entry);

/* There is news of its command. */
enum rule_fate rule_fire_hear(struct rule_fire *fire, struct rule_entry *entry);

#endif
