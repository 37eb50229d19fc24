/* Who is left below this process after SIGKILL. */
#ifndef CANCELWATCH_SURVIVORS_H
#define CANCELWATCH_SURVIVORS_H

#include <stddef.h>

/* "pid 17 (dd) survives SIGKILL, state D, pid 18 (sh) cannot be signalled: Operation not permitted". They get
 * it once more. */
void survivors_name(char *text, size_t size);

#endif
