/*
 * Leases: files in runs/ that a live run keeps locked. One is locked before it is put there, so where it
 * stands without a lock its run is dead; but a program in another language may need a moment between the two.
 */
#ifndef SPOOL_LEASE_H
#define SPOOL_LEASE_H

#include "store.h"

#include <cancel/run.h>

#define LEASE_SEPARATOR   "@@" /* a name has one '@' at most, which is not the last byte before another */
#define LEASE_MARK_LENGTH 8
#define LEASE_FILE_SIZE   (NAME_SIZE + sizeof LEASE_SEPARATOR - 1 + LEASE_MARK_LENGTH)

struct lease {
	int fd; /* -1: there is none */
	char file[LEASE_FILE_SIZE];
};

#define LEASE_NONE     \
	{              \
		-1, "" \
	}

/* Take a lease for a run of this process that has the task, run and further ids of `run`, and began when that
 * says. */
int lease_take(struct cancel_spool *spool, const struct cancel_run *run, struct lease *lease,
	       struct cancel_error *error);

/* The run has ended. None is fine. */
void lease_drop(struct cancel_spool *spool, struct lease *lease);
/* The same between spool_enter and spool_leave. */
void lease_drop_entered(const struct cancel_spool *spool, struct lease *lease);

/* In the child of a fork: let go of the parent's lease, so that it dies with the parent. */
void lease_let_go(struct lease *lease);

/* False: there is none, or it does not stand in runs/: somebody removed it, or another directory has taken
 * the place. */
bool lease_stands(struct cancel_spool *spool, const struct lease *lease);

/* Between spool_enter and spool_leave: does another run of the task hold a lease than the one with `mine`,
 * NULL for none? 1, 0 or a failure. */
int lease_held_by_another(const struct cancel_spool *spool, const char *task_id, const struct lease *mine,
			  struct cancel_error *error);

/* Whether a file in runs/ has a lease's name. */
bool lease_is_name(const char *file);

/* Remove the lease `file` of `dir_fd` if its run is dead (only look, if not `removes`): 1 if so, else 0. */
int lease_clear_dead(int dir_fd, const char *file, bool removes);

#endif
