/* Processes as /proc shows them: those that carry this test's mark, wherever they went, and bystanders whom
 * nobody may touch. */
#ifndef SUPPORT_TREE_H
#define SUPPORT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* From here on whatever is started carries a mark of this process in its environment, and what its parents
 * leave behind comes to this process. Needs privilege to see processes of other users. */
void tree_begin(void);

/* How many are alive that carry the mark and, unless it is NULL, `also` ("NAME=VALUE"). */
int tree_count(const char *also);

/* Wait until it is so many; false when the time ran out first. */
bool tree_wait(const char *also, int count);

/* Call `visit` for everybody who carries the mark, with the value that he has for the variable `name`; who
 * has none is left out. */
typedef void tree_visit(void *arg, pid_t pid, const char *value);
void tree_values(const char *name, tree_visit *visit, void *arg);

/* "17 (sleep), 18 (sh)": who carries the mark. The same memory at each call. */
const char *tree_text(void);

/* Has anybody died who was left to this process, and was not waited for by who ran it? */
bool tree_left_behind(void);

/* Kill and reap whoever carries the mark. */
void tree_end(void);

/* The oldest child of a process that is no zombie, of that name ("sleep") unless it is NULL; 0: none. And the
 * oldest that carries the mark and has the name. */
pid_t tree_child(pid_t parent, const char *name);
pid_t tree_named(const char *name);

/* How many children it has, dead ones included; and how many have ended, and wait for it to notice. */
int tree_children(pid_t parent);
int tree_zombies(pid_t parent);

/* Its state in /proc ('R', 'S', 'T', 'Z', ...); 0: it is gone. */
char tree_state(pid_t pid);

/* A process that blocks all signals and does nothing: what was sent to it stays to be seen. */
struct canary {
	pid_t pid; /* 0: there is none */
};

/* In this process's group and session. */
void canary_start(struct canary *canary);

/* It is alive, not stopped, and nobody has sent it a signal. */
bool canary_is_untouched(const struct canary *canary);

void canary_end(struct canary *canary);

#endif
