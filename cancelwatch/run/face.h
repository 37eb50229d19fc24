/* The process that the user started with `cancelwatch run`.
 *
 * All work is done by a second one, the supervisor. This one hands signals on to it, and ends as it does.
 * Each sees to it that nothing of the command is left should the other one be killed. */
#ifndef CANCELWATCH_FACE_H
#define CANCELWATCH_FACE_H

#include "run_options.h"

/* Returns the exit code. */
int face_run(const struct run_options *options);

#endif
