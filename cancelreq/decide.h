/* What --ack and --withdraw say. */
#ifndef CANCELREQ_DECIDE_H
#define CANCELREQ_DECIDE_H

#include "verbs.h"

#include <cancel/request.h>

struct options;

/* Say what was decided, as text or JSON, or nothing with --quiet. */
void say_decided(const struct options *options, const struct cancel_request *decided);

/* Say that nothing is pending under a name, and how its latest request was decided if that is known. Returns
 * EXIT_NO, or the exit code of a failure. */
int nothing_pending(const struct verb_context *context, const char *run);

#endif
