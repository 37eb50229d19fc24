/* Those who look: each is the body of a process, and never returns but for a failure. */
#ifndef WATCH_TRUTH_OBSERVERS_H
#define WATCH_TRUTH_OBSERVERS_H

#include "stage.h"

_Noreturn void observe_by_watch(struct stage *stage, unsigned index);
_Noreturn void observe_by_tool(struct stage *stage, unsigned index);
_Noreturn void observe_by_task(struct stage *stage, unsigned index);
_Noreturn void observe_by_run(struct stage *stage, unsigned index);

/* The program `name`, or the one that its variable in the environment names. */
const char *program_path(const char *name, const char *variable, char path[512]);

#endif
