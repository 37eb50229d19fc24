/* Requests that foreign programs leave in the spool's directory as plain files. */
#ifndef SPOOL_DROP_H
#define SPOOL_DROP_H

#include "entry.h"

#include <cancel/sweep.h>

/* Take in the drop `file` of the spool's directory. One of enum cancel_drop_result, -ENOENT when it is gone, or
 * another failure: -EBUSY where its name is locked, at once unless it `waits`. `request` is set when one stands for it;
 * `malformed` there says whether its text was of use. */
int drop_take(struct cancel_spool *spool, const char *file, bool waits, struct cancel_request *request,
	      struct cancel_error *error);

/* Finish what a dead intake left in tmp/ under `file`, "<name>.drop": as drop_take, but -EBUSY at once where the name is
 * locked: there may be many, and a pass does not wait for each. */
int drop_finish_left(struct cancel_spool *spool, const char *file, struct cancel_request *request,
		     struct cancel_error *error);

/* Whether a file in tmp/ is a drop on its way in. */
bool drop_is_left(const char *file);

/* The same for one name, under its lock. 0, also when there is nothing, or a failure. */
int drop_finish_locked(struct cancel_spool *spool, const struct entry *entry, struct cancel_error *error);

/* Take in a drop of one name, if there is one: for who looks up without a watcher about. 0 or a failure. */
int drop_take_for(struct cancel_spool *spool, const struct entry *entry, struct cancel_error *error);

#endif
