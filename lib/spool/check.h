/* The worker's question, for who knows more of why he asks. */
#ifndef SPOOL_CHECK_H
#define SPOOL_CHECK_H

#include "store.h"

/* cancel_spool_check. Without `drops` no drop of the name is looked for, and of the spool's directories only
 * the one for requests is compared with what stands at the path: for who was rung, because whoever takes a
 * drop in rings after it. */
int spool_check_run(struct cancel_spool *spool, const char *task_id, const char *run,
		    const struct cancel_mark *mark, bool drops, struct cancel_request *request,
		    struct cancel_error *error);

#endif
