/* A directory seen through FUSE: a filesystem in which the kernel tells nobody what is changed behind it, and
 * whose server has a clock of its own. It speaks the kernel's protocol itself and needs no library. */
#ifndef WATCH_TRUTH_MIRROR_H
#define WATCH_TRUTH_MIRROR_H

#include "stage.h"

/* Mount `backing` on `place`, served by a child; false, and the row is left out, where that cannot be had. */
bool mirror_mount(struct stage *stage, const char *backing, const char *place);

/* The times of files are so much ahead from now on: of those that change from now on. */
void mirror_set_clock(int64_t ahead_s);

#endif
