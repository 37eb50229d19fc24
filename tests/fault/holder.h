/* The library's own lock of a name, for tests that hold it. */
#ifndef FAULT_HOLDER_H
#define FAULT_HOLDER_H

#include <cancel/spool.h>

/* Take it and keep it until holder_drop; of one process, one at a time. */
int holder_take(struct cancel_spool *spool, const char *name);
int holder_take_all(struct cancel_spool *spool);
void holder_drop(void);

/* Take it if it is free, and give it back: 0, or -EAGAIN. */
int holder_try(struct cancel_spool *spool, const char *name);

#endif
