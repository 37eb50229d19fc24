/* The victim is stopped before one of its calls, the attacker does one deed, and the victim goes on. */
#ifndef HOSTILE_WINDOW_H
#define HOSTILE_WINDOW_H

#include "judge.h"

/* How many windows an operation has in a form: calls that name or hold a file. 0 where nothing can be traced.
 */
int window_count(struct match *match, const struct form *form, int operation);

void window_try(struct match *match, const struct form *form, int operation, int window, enum deed deed,
		enum target target);

#endif
