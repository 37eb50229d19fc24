/* Where files are measured: /dev/shm, and an ext4 with a journal. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <stdio.h>

enum place_kind {
	PLACE_MEMORY, /* /dev/shm */
	PLACE_DISK,   /* an image of our own, mounted; without the right to mount, the directory for temporary
			 files */
	PLACE_COUNT,
};

struct place {
	enum place_kind kind;
	char dir[96];
	char filesystem[32]; /* "tmpfs", "ext4", ... */
	char about[192];     /* what it is, for the head of the report */
};

/* Make the places under directories of their own, in a mount namespace that takes the mounts with it however
 * the process ends. The directories are removed by places_remove, in any process. */
void places_choose(void);
void places_make(void);
void places_remove(void);

struct place *place_of(enum place_kind kind);

/* Make it empty. An image is made anew, because an ext4 that had to unlink a million files is no fair place
 * for the next measurement. */
void place_renew(struct place *place);

#endif
