/* Both at once, by chance. */
#ifndef HOSTILE_RACE_H
#define HOSTILE_RACE_H

#include "judge.h"

#include <stdint.h>

/* A clock that only goes on. */
int64_t race_now_ms(void);

/* For so long; if gentle, with deeds that take no request away, and then none may be lost. */
void race_run(struct match *match, const struct form *form, bool is_gentle, int64_t milliseconds);

#endif
