/**
 * List the requests of a spool, streaming: memory does not grow with the spool.
 */
#ifndef CANCEL_LIST_H
#define CANCEL_LIST_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/request.h>
#include <cancel/spool.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

/* Which requests. */
enum cancel_list_state {
	CANCEL_LIST_PENDING,
	CANCEL_LIST_PROCESSED,
	CANCEL_LIST_ALL, /* pending first */
};

/* One entry that was met. Borrowed for the call that gets it. */
struct cancel_list_entry {
	const char *file; /* relative to the spool: "pending/task_1.json"; not escaped */
	const struct cancel_request *request; /* NULL: it is none, and `refusal` says why */
	const struct cancel_error *refusal;   /* NULL: it is one */
};

/**
 * Called for each entry, in no order.
 *
 * @return 0 to go on; anything else ends the listing, which returns that value.
 */
typedef int cancel_list_visit(void *arg, const struct cancel_list_entry *entry);

/**
 * Show every entry of the chosen state to `visit`.
 *
 * Requests that are published or decided meanwhile may be shown or not. A file that is still being
 * written, one that was decided already, and one that vanishes meanwhile are passed over. Names that no
 * program of this project writes (strangers) are passed over too.
 *
 * @return 0, what `visit` returned if that was not 0, or a negative errno as the system says.
 *
 * Blocks on the filesystem. Any thread. `visit` may call anything with the same spool.
 */
CANCEL_API int cancel_spool_list(struct cancel_spool *spool, enum cancel_list_state state,
				 cancel_list_visit *visit, void *arg, struct cancel_error *error);

CANCEL_END_DECLS

#endif
