/* Allocations of this process, counted. */
#ifndef UNIT_TOKEN_MALLOC_H
#define UNIT_TOKEN_MALLOC_H

/* So far. It stays 0 under a sanitizer and under valgrind, which have functions of their own there. */
long token_malloc_count(void);

#endif
