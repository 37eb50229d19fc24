/* Which disks may be found after a cut: all of them where they are few, a choice of them where they are not.
 */
#ifndef POWERCUT_OUTCOMES_H
#define POWERCUT_OUTCOMES_H

#include "disk.h"

typedef void outcome_visit(void *arg, const struct disk_chance *chance, const struct disk_image *image);

/* Show outcomes of this cut to `visit`, the same one more than once. In the order of one journal and of each
 * directory all; of other sets of changes, and of files torn together, with `all` as many as there are up to
 * a bound, else some by chance. */
void outcomes_of(const struct disk *disk, bool all, outcome_visit *visit, void *arg);

#endif
