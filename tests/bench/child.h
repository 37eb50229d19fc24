/* Measure in a child: what starts threads must not do so in the process whose other rows count on having
 * none. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include "harness.h"

/* What `measure` returns there. */
double child_value(bench_measure *measure, const struct place *place);

/* Zeroed memory that all processes forked from here on share. */
void *child_share(size_t size);

#endif
