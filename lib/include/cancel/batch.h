/**
 * Many requests at once, with one directory sync for all of them, in memory that does not grow.
 *
 *     cancel_batch_open(&batch, spool, report, arg, &error);
 *     while (...)
 *             cancel_batch_add(batch, &request, line_number);
 *     cancel_batch_close(batch, &error);
 *
 * A batch is not atomic: what was published stands even if a later request fails.
 */
#ifndef CANCEL_BATCH_H
#define CANCEL_BATCH_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/request.h>
#include <cancel/spool.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

struct cancel_batch;

/**
 * Told once about each request that was added, in the order in which they were added.
 *
 * @param arg      As given to cancel_batch_open.
 * @param tag      As given to cancel_batch_add.
 * @param result   What cancel_spool_request would have returned.
 * @param request  The request that now stands: the new one, or the one that stood already; NULL on
 *                 failure. Borrowed for the call.
 * @param error    The failure; NULL on success. Borrowed for the call.
 */
typedef void cancel_batch_report(void *arg, int64_t tag, int result,
				 const struct cancel_request *request,
				 const struct cancel_error *error);

/**
 * Begin a batch.
 *
 * @param batch   Set on success, to be ended with cancel_batch_close; left alone on failure.
 * @param spool   Borrowed until the batch is closed.
 * @param report  Called from cancel_batch_add and cancel_batch_close, in their thread. It must not use
 *                the batch.
 *
 * @return 0 or -ENOMEM. Does not block. Any thread.
 */
CANCEL_API int cancel_batch_open(struct cancel_batch **batch, struct cancel_spool *spool,
				 cancel_batch_report *report, void *arg, struct cancel_error *error);

/**
 * Add a request. Its result is reported now or later, at the latest by cancel_batch_close.
 *
 * A request is accepted when it is reported, but for durability full, where it is accepted when
 * cancel_batch_close returns.
 *
 * @param request  Copied as far as it is needed after the call; not changed.
 * @param tag      Any number; comes back with the report.
 *
 * Blocks on the filesystem. One thread at a time.
 */
CANCEL_API void cancel_batch_add(struct cancel_batch *batch, const struct cancel_request *request,
				 int64_t tag);

/**
 * Publish and report what is left, sync as the durability says, and free the batch. NULL is fine.
 *
 * @return 0, or a negative errno when the directory could not be synced: what was reported stands, but may
 *         not survive a power cut.
 *
 * Blocks on the filesystem.
 */
CANCEL_API int cancel_batch_close(struct cancel_batch *batch, struct cancel_error *error);

CANCEL_END_DECLS

#endif
