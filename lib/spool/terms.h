/* When a request takes effect and how long it stands. */
#ifndef SPOOL_TERMS_H
#define SPOOL_TERMS_H

#include <cancel/request.h>

#include <stdbool.h>

/* The modification time of a pending record's file: its expiry by the wall clock, a filter that saves a sweep
 * from opening every file. */
int64_t terms_mtime_us(const struct cancel_request *request);

/* Merge the stronger terms of `asked` into `standing`: effect at the sooner, expiry at the later of both. Says
 * whether anything changed. */
bool terms_merge(struct cancel_request *standing, const struct cancel_request *asked);

#endif
