/* The cause of a task that a request cancelled: counted, because tokens may outlive the task. */
#ifndef TASK_REASON_H
#define TASK_REASON_H

#include <cancel/cause.h>
#include <cancel/request.h>

/* A cause of `request`, which is taken over, for the listener with `id`; held once. NULL where memory has run
 * out: then `request` is cleared. */
const struct cancel_cause *reason_new(struct cancel_request *request, const char *id);

/* What it is made from; NULL for every other cause. */
const char *reason_id(const struct cancel_cause *cause);

/* Stands in for one that there is no memory for. */
extern const struct cancel_cause reason_unknown;

#endif
