/* Running a command as a task: begin the task, try the command, stop it when that is asked for, and say what
 * became of it. */
#ifndef CANCELWATCH_SUPERVISOR_H
#define CANCELWATCH_SUPERVISOR_H

#include "run_options.h"

/* To be called in a child of the process that the user started, with the signals blocked of custody.h. The
 * end of `life_fd` says that that one died. Returns the exit code. */
int supervisor_run(const struct run_options *options, int life_fd);

#endif
