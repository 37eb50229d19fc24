/* A command, and all that came of it, in the custody of this process: it is told what happens to them, and
 * ends them. */
#ifndef CANCELWATCH_CUSTODY_H
#define CANCELWATCH_CUSTODY_H

#include "cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct custody {
	/* What there is to wait for; -1: not that. */
	int signals_fd;
	int life_fd; /* its end says that somebody died without whom we shall not be */
	int stop_fd; /* readable once somebody asked that it be stopped */

	pid_t group;   /* of processes, that the command shall be in; 0: ours */
	pid_t command; /* 0: there is none, or it has ended */
	int status;    /* then: as of wait(2) */
	pid_t hook;    /* another child, that is no part of the command; 0: there is none, or it has ended */
	bool is_empty; /* no child is left, and so nothing that came of them */
	bool keeps_orphans;
	struct cgroup cgroup;
	bool avoids_cgroups;
	char *const *arguments; /* of the command; borrowed */
	struct rusage usage;    /* of all that have ended */

	int signal; /* that came latest */
	pid_t signal_sender;
	bool signal_is_kernels; /* of the terminal, as a rule: the whole group has got it */
	bool signal_was_given;  /* by our parent, who says that the command has got it too */

	/* These stay, once they are so. */
	bool is_orphaned; /* whoever died without whom we shall not be */
	int told_to_end;  /* the latest signal that says so; 0: none */

	int64_t stop_at_ns; /* when CUSTODY_STOP was told; 0: it was not */
	int sent;           /* the signal that ended it was tried with; 0: none so far */
	bool was_killed;    /* that was not enough */
};

enum custody_event {
	CUSTODY_TIME,     /* the time is over */
	CUSTODY_CHILD,    /* some child has ended */
	CUSTODY_STOP,     /* `stop_fd`; told once */
	CUSTODY_SIGNAL,   /* `signal` */
	CUSTODY_ORPHANED, /* `life_fd`; told once */
};

/* Block the signals that shall come as events, and take care that SIGCHLD does come: before the process is
 * forked that will have custody. */
void custody_block_signals(void);

/* Be ready to wait. Returns 0 or a negative errno. */
int custody_open(struct custody *custody, int life_fd);
/* Let all that comes of our children stay below us, whatever it does. */
void custody_keep_orphans(struct custody *custody);

/* Start the command. Returns 0 or a negative errno; a program that cannot be run ends with command_error().
 */
int custody_start(struct custody *custody, char *const *arguments);

/* Wait until `until_ns` of CLOCK_MONOTONIC; CANCEL_FOREVER: as long as it takes. */
enum custody_event custody_wait(struct custody *custody, int64_t until_ns);

/* Send a signal to all of it; SIGCONT follows. */
void custody_signal(struct custody *custody, int number);
/* Hand the signal on that came, to whom it is meant for: SIGUSR1 and SIGUSR2 to the command, the others to
 * all of it. */
void custody_pass_signal(struct custody *custody);

/* End all of it: a signal, then, `grace_ns` later, SIGKILL; or SIGKILL at once when we are orphaned.
 * `on_kill` is called when the grace is over, if it is not NULL. Returns whether nothing is left. */
struct custody_steps {
	int signal;
	int64_t grace_ns;
	void (*on_kill)(void *arg);
	void *arg;
};
bool custody_end(struct custody *custody, const struct custody_steps *steps);

/* SIGKILL to all of it, now. */
bool custody_kill(struct custody *custody);

/* Write all of a text to who may not read, but give up when we are orphaned, or told to end. Returns 0 or a
 * negative errno. */
int custody_write(struct custody *custody, int fd, const char *text, size_t length);

#endif
