/* A line of shell that is run before a command is stopped. */
#ifndef CANCELWATCH_HOOK_H
#define CANCELWATCH_HOOK_H

#include "custody.h"

#include <cancel/task.h>

/* Tell what is run from now on why: CANCEL_REASON, CANCEL_REQUESTER, CANCEL_REQUEST_ID; the last two only
 * where they are known. */
void hook_set_environment(const struct cancel_why *why);

/* Run it, and wait for it until `until_ns`, then kill it. Whatever it leaves behind is in custody. */
void hook_run(struct custody *custody, const char *line, int64_t until_ns);

#endif
