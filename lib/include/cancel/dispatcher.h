/**
 * The dispatcher: one thread of the library, for what nobody's own thread is there to do. It fires
 * deadlines and calls the callbacks of sources that were cancelled deferred or from a signal handler.
 *
 * It is started by the first call that needs it, never by loading the library, and sleeps without a
 * descriptor. All signals are blocked in it. Its callbacks are called one after the other.
 */
#ifndef CANCEL_DISPATCHER_H
#define CANCEL_DISPATCHER_H

#include <cancel/export.h>

CANCEL_BEGIN_DECLS

/**
 * Start the dispatcher now, so that nothing later can fail for want of it. Harmless if it runs.
 *
 * @return 0, or -EAGAIN, -ENOMEM  no thread could be had.
 *
 * Any thread; not in a signal handler.
 */
CANCEL_API int cancel_dispatcher_start(void);

/**
 * End the dispatcher, once it has done what waits for it; for a program that must end with no thread left,
 * or unload the library. A later call that needs one starts another.
 *
 * @return 0: it has ended; or
 *         -EBUSY    a deadline is armed, or another thread is ending it;
 *         -EDEADLK  called from one of its callbacks, or one of them waits, directly or through others, for a
 *                   callback that runs on this thread.
 *
 * Blocks as those callbacks do. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_dispatcher_stop(void);

CANCEL_END_DECLS

#endif
