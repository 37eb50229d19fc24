/* When a request takes effect and how long it stands. */
#ifndef SPOOL_TERMS_H
#define SPOOL_TERMS_H

#include <cancel/request.h>

#include <stdbool.h>

/* Give a request that says nothing of its life the default: from when it takes effect, so that it cannot expire
 * before. */
void terms_default_life(struct cancel_request *request, int64_t expire_after_s);

/* Whether it would expire before it takes effect. */
bool terms_too_short(const struct cancel_request *request);

/* The modification time of a pending record's file: its expiry by the wall clock, a filter that saves a sweep
 * from opening every file. */
int64_t terms_mtime_us(const struct cancel_request *request);

/* Merge the stronger terms of `asked` into `standing`: effect at the sooner, expiry at the later of both. Says
 * whether anything changed. */
bool terms_merge(struct cancel_request *standing, const struct cancel_request *asked);

#endif
