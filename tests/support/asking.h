/* What other processes do to a spool, done by a test through the library. Each call opens the spool, makes
 * it if it is missing, and fails the test when it fails. */
#ifndef SUPPORT_ASKING_H
#define SUPPORT_ASKING_H

#include <cancel/cancel.h>

/* Make the spool and leave it. */
void asking_make(const char *spool_path);

/* Ask for a task; `expires_in_s` as in struct cancel_request. */
void asking_request(const char *spool_path, const char *task_id, const char *reason, int64_t expires_in_s);

/* Ask for a task, and wait until the request is past its expiry. */
void asking_expired(const char *spool_path, const char *task_id);

void asking_decide(const char *spool_path, const char *task_id, enum cancel_outcome outcome,
		   const char *detail);

enum cancel_lookup asking_lookup(const char *spool_path, const char *task_id);

/* How many requests there are, pending and processed. */
int asking_count(const char *spool_path);

#endif
