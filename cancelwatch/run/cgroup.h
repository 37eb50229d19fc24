/* A cgroup (version 2) of our own for a command, below the one that we are in: what it forks cannot leave it,
 * and is killed in one go. It is a help where it can be had: nothing depends on it. */
#ifndef CANCELWATCH_CGROUP_H
#define CANCELWATCH_CGROUP_H

#include <limits.h>

struct cgroup {
	int fd; /* of its folder; -1: there is none */
	char path[PATH_MAX];
};

/* Choose a name that nobody else has, before the process is forked that makes it: then both know it. */
#define CGROUP_NAME_SIZE 64
void cgroup_choose_name(char name[CGROUP_NAME_SIZE]);
/* Make the one of the name that was chosen last. Where that is not allowed, or there is no such thing, `fd`
 * is -1. */
void cgroup_make(struct cgroup *cgroup);
/* Whoever made the one of that name was killed: kill all that is in it, and remove it. */
void cgroup_end(const char *name);
/* SIGKILL to all that is in it. */
void cgroup_kill(const struct cgroup *cgroup);
/* Remove it, if it is empty. */
void cgroup_remove(struct cgroup *cgroup);

#endif
