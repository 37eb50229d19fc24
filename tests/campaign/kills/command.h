/* `cancelwatch run`, with a request for its task while it runs a command that is hard to end: SIGKILL at each
 * call of its face and of its supervisor. */
#ifndef KILLS_COMMAND_H
#define KILLS_COMMAND_H

#include "walk.h"

/* At all of their calls as far as they are met in `seconds`, or, where `sample` is not 0, at so many that
 * chance picks. */
void command_walk(int sample, int seconds, struct walk_figures *figures);

#endif
