/* The lock of a name: one byte of the file `lock`, or all of them at once. */
#ifndef SPOOL_LOCK_H
#define SPOOL_LOCK_H

#include "store.h"

struct name_lock {
	int fd;
};

/* Wait for the name's lock, at most CANCEL_LOCK_WAIT_MS; -EBUSY after that. */
int lock_take(struct cancel_spool *spool, const char *name, struct name_lock *lock,
	      struct cancel_error *error);

/* Take it only if it is free; -EAGAIN otherwise. */
int lock_try(struct cancel_spool *spool, const char *name, struct name_lock *lock,
	     struct cancel_error *error);

/* Take the locks of all names if they are free: a sweep pays for one instead of thousands. */
int lock_try_all(struct cancel_spool *spool, struct name_lock *lock, struct cancel_error *error);

void lock_drop(struct name_lock *lock);

#endif
