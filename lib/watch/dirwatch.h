/* inotify over directories of the spool: its stream of bytes becomes hints. */
#ifndef WATCH_DIRWATCH_H
#define WATCH_DIRWATCH_H

#include "store.h"

#include <cancel/error.h>

#define DIRWATCH_BUFFER (16 * 1024)

struct dirwatch {
	int fd;                   /* -1: there is no instance */
	int wds[SPOOL_DIR_COUNT]; /* -1: not watched */
	size_t at, used;          /* what was read and not parsed yet */
	unsigned char buffer[DIRWATCH_BUFFER];
};

enum dirwatch_hint {
	DIRWATCH_NAME,       /* look at `name` in `dir` */
	DIRWATCH_OVERFLOWED, /* hints were lost */
	DIRWATCH_GONE,       /* `dir` was removed, moved, unmounted */
	DIRWATCH_OTHER,      /* nothing that matters */
};

struct dirwatch_event {
	enum dirwatch_hint hint;
	enum spool_dir dir;
	const char *name; /* lives until the next call */
};

void dirwatch_init(struct dirwatch *dirwatch);

/* Get an instance; 0, or what inotify_init1(2) says. */
int dirwatch_open(struct dirwatch *dirwatch);
void dirwatch_close(struct dirwatch *dirwatch);

/* Watch the directory that `dir_fd` is; `path` is where it should stand, for where /proc is not to be had.
 * `wants_names`: for changes inside too, not only for what becomes of it. 0, or what inotify_add_watch(2)
 * says, or -ESTALE when another directory stands at the path. */
int dirwatch_add(struct dirwatch *dirwatch, enum spool_dir dir, int dir_fd, const char *path,
		 bool wants_names);

/* Watch nothing; hints that are underway are dropped. */
void dirwatch_remove_all(struct dirwatch *dirwatch);

/* The next hint: 1, 0 when there is none, or what read(2) says. */
int dirwatch_next(struct dirwatch *dirwatch, struct dirwatch_event *event);

/* Hints were read that dirwatch_next has not given yet: the descriptor does not tell of them any more. */
bool dirwatch_has_more(const struct dirwatch *dirwatch);

/* Parse the event at the start of some bytes of the stream: how many it took, 0 when they are no whole event.
 * The name points into `bytes`. */
size_t dirwatch_parse(const struct dirwatch *dirwatch, const unsigned char *bytes, size_t length,
		      struct dirwatch_event *event);

#endif
