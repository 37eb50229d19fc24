/* What a command must find as we found it: how signals are treated, which standard streams were closed. */
#ifndef CANCELWATCH_INHERITED_H
#define CANCELWATCH_INHERITED_H

#include <signal.h>
#include <stdbool.h>

/* Remember it. The first thing that main does. */
void inherited_keep(void);

/* Whether the signal was ignored when we began, and shall stay so. */
bool inherited_ignores(int number);

/* The command is given streams of its own: those that were closed shall be open. */
void inherited_forget_streams(void);

/* Put it all back, in the child that is about to become the command. No call here takes a lock. */
void inherited_restore(void);

#endif
