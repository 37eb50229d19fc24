/* An image of a disk, as real files. */
#ifndef POWERCUT_PLACE_H
#define POWERCUT_PLACE_H

#include "disk.h"

/* Put the image into `root`, an existing directory, and nothing else. Aborts where the system does not let
 * it. */
void place_image(const char *root, const struct disk_image *image);

/* Remove all below `root`. */
void place_clear(const char *root);

/* How many files and directories are in `root`/`directory`; 0 where it is not. */
int place_count(const char *root, const char *directory);

#endif
