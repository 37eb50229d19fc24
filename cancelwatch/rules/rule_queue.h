/* The requests that rules are to fire for, in the order in which they came. */
#ifndef CANCELWATCH_RULE_QUEUE_H
#define CANCELWATCH_RULE_QUEUE_H

#include "rule_command.h"

#include <cancel/limits.h>
#include <cancel/request.h>
#include <cancel/rule.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULE_NONE SIZE_MAX

struct rule_entry {
	uint64_t key; /* rule_key() of the request */
	char request_id[CANCEL_REQUEST_ID_LENGTH + 1];
	char *task_id;
	char *run;           /* or NULL */
	size_t rule;         /* which one it is for; RULE_NONE: since a reload, none */
	bool is_scheduled;   /* the request is not in effect yet */
	bool is_left_to_run; /* a run of the task is alive, and shall decide it: that was told */
	bool is_left;        /* the spool that it is in is not ours any more */
	unsigned tries;      /* that failed */
	int64_t due_ns;      /* CLOCK_MONOTONIC: not before this */

	/* What is to be decided, and could not be yet. */
	enum cancel_outcome outcome; /* CANCEL_OUTCOME_NONE: nothing */
	char *detail;

	/* The command, while it runs, and what of its rule is for it, whatever is loaded meanwhile. */
	struct rule_command *command; /* NULL: it waits */
	enum cancel_rule_decide decide;
	char *label; /* "rule 2 (slurm-*) for slurm-7", escaped */
	char *name;  /* of the command, escaped */
};

struct rule_queue {
	size_t count;
	struct rule_entry *list[CANCEL_RULE_WAITING_MAX];
	uint64_t keys[CANCEL_RULE_WAITING_MAX];
};

/* The entry of that key, or NULL. */
struct rule_entry *rule_queue_find(const struct rule_queue *queue, uint64_t key);

/* Append one for a request, as rule_key() of which `key` is. There must be room. NULL when memory ran out. */
struct rule_entry *rule_queue_add(struct rule_queue *queue, const struct cancel_request *request,
				  uint64_t key);

/* Take one out, and free it with all that it holds. */
void rule_queue_remove(struct rule_queue *queue, struct rule_entry *entry);

#endif
