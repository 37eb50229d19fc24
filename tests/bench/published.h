/* When the library last put a file under its final name. The calls that do so are taken on their way to the
 * kernel. */
#ifndef BENCH_PUBLISHED_H
#define BENCH_PUBLISHED_H

#include <stdbool.h>
#include <stdint.h>

/* Look at the clock when this thread's calls return, or not: that costs time too. */
void published_look(bool looks);

/* When the latest did, by bench_now_ns; 0: none. */
int64_t published_ns(void);

#endif
