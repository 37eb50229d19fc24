/* The manager in Python: seed_peer.py. */
#ifndef BENCH_SEED_H
#define BENCH_SEED_H

#include "place.h"

/* Microseconds of one of "request", "check-none", "check-pending", "clean-up". */
double seed_python_us(const struct place *place, const char *operation);

#endif
