/* What was moved aside. */
#ifndef CANCELWATCH_REFUSED_H
#define CANCELWATCH_REFUSED_H

#include <stdint.h>

/* How many files stand in the refused/ of the spool at `path`; 0 when it cannot be read. */
int64_t refused_count(const char *path);

#endif
