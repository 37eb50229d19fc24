/* The power is back: what does the library make of what it finds, and does all of it work? */
#ifndef POWERCUT_BOOT_H
#define POWERCUT_BOOT_H

#include "disk.h"
#include "scenarios.h"

struct boot {
	const struct scenario *scenario;
	enum cancel_durability durability;
	const char *root; /* the image is there */
	const struct disk_image *image;
	struct duty duties[TASK_COUNT];
	const char *where, *state; /* for messages: their begin and end */
};

/* Whatever does not hold is a violation. */
void boot_check(const struct boot *boot);

#endif
