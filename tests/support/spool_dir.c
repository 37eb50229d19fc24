#include "spool_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPEN_DIRECTORIES = 16,
};

void spool_dir_make(struct spool_dir *dir)
{
	const char *parent = getenv("CANCEL_TEST_PLACE");

	(void)snprintf(dir->root, sizeof(dir->root), "%s/cancel-XXXXXX", parent ? parent : "/dev/shm");
	if (!mkdtemp(dir->root)) {
		perror(dir->root);
		abort();
	}
	(void)snprintf(dir->path, sizeof(dir->path), "%s/spool", dir->root);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	(void)remove(path);
	return 0;
}

void spool_dir_remove_tree(const char *path)
{
	(void)nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void spool_dir_remove(struct spool_dir *dir)
{
	spool_dir_remove_tree(dir->root);
}
