/* A place for one test's spool: a private directory in memory, removed with everything in it. */
#ifndef SUPPORT_SPOOL_DIR_H
#define SUPPORT_SPOOL_DIR_H

struct spool_dir {
	char root[32]; /* mode 0700, under /dev/shm, or $CANCEL_TEST_PLACE, a short path; for configuration files and the like */
	char path[48]; /* root/spool: where the spool goes; not made yet */
};

/* Make the private directory. Aborts when that fails: there is nothing to test then. */
void spool_dir_make(struct spool_dir *dir);

/* Remove the private directory and all that is in it. Never crosses a mount. */
void spool_dir_remove(struct spool_dir *dir);

/* The same for any directory. */
void spool_dir_remove_tree(const char *path);

#endif
