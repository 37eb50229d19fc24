/* The forms that a spool may not have: opening it must fail, and make nothing there. */
#ifndef HOSTILE_REFUSAL_H
#define HOSTILE_REFUSAL_H

#include "judge.h"

/* All of them; how many there are. */
int refusal_try_all(struct match *match);

#endif
