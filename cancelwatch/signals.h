/* SIGTERM, SIGINT and SIGHUP.
 *
 * While cancelwatch waits they come through a descriptor, and it ends in order. But a look at a spool of a
 * million requests, or a sweep of one, is one call that takes seconds and cannot be told to stop. So during
 * such a call SIGTERM and SIGINT go to a handler that leaves on the spot. That is safe: every operation on
 * the spool is safe against SIGKILL at any point, the kernel frees the locks, and every line that was
 * printed left in one write. */
#ifndef CANCELWATCH_SIGNALS_H
#define CANCELWATCH_SIGNALS_H

#include "notify.h"

#include <stdbool.h>

/* Take the signals over. `notify` is used by the handler from now on. Returns a descriptor, readable when
 * a signal came, or a negative errno. Signals are held back until signals_busy or the descriptor is read. */
int signals_open(const struct notify *notify);
/* Before (true) and after (false) a call that may take long. Calls do not nest; without signals_open they do
 * nothing. */
void signals_busy(bool busy);
/* The signal that came, or 0. */
int signals_read(int fd);

#endif
