/* fs.protected_symlinks and its kin: the kernel's own help against what an attacker does here. They are the
 * whole machine's, so whoever changes them has a guard, which puts them back however the campaign ends. */
#ifndef HOSTILE_PROTECTIONS_H
#define HOSTILE_PROTECTIONS_H

#include <stdbool.h>

/* False: they cannot be changed here, or another campaign is at it; what is in force stays. */
bool protections_begin(void);
void protections_set(bool on);
void protections_end(void);

/* What is in force, for the line: "symlinks 0, hardlinks 1, ...". */
const char *protections_text(void);

#endif
