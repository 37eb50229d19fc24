#include "place.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	OPEN_DIRECTORIES = 8,
	PLACE_PATH_SIZE = DISK_PATH_SIZE + 128,
};

static void give_up(const char *path)
{
	perror(path);
	abort();
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	if (where->level > 0 && remove(path) < 0)
		give_up(path);
	return 0;
}

void place_clear(const char *root)
{
	(void)nftw(root, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void set_attributes(int fd, const struct disk_file *file, const char *path)
{
	const struct journal_attributes *attributes = &file->attributes;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, attributes->changed};

	if (geteuid() == 0 && fchown(fd, attributes->uid, attributes->gid) < 0)
		give_up(path);
	if (fchmod(fd, attributes->mode) < 0 || (!file->is_directory && futimens(fd, times) < 0))
		give_up(path);
}

/* Another name of a file that is there already. */
static bool place_link(const char *root, const struct disk_image *image, size_t index, const char *path)
{
	char first[PLACE_PATH_SIZE];

	for (size_t i = 0; i < index; i++)
		if (image->files[i].node == image->files[index].node) {
			(void)snprintf(first, sizeof(first), "%s/%s", root, image->files[i].path);
			if (link(first, path) < 0)
				give_up(path);
			return true;
		}
	return false;
}

static void place_file(const struct disk_file *file, const char *path)
{
	int fd;

	if (file->is_directory && mkdir(path, 0700) < 0)
		give_up(path);
	fd = open(path, file->is_directory ? O_RDONLY | O_CLOEXEC : O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		  0600);
	if (fd < 0)
		give_up(path);
	if (file->size && write(fd, file->content, file->size) != (ssize_t)file->size)
		give_up(path);
	set_attributes(fd, file, path);
	(void)close(fd);
}

void place_image(const char *root, const struct disk_image *image)
{
	char path[PLACE_PATH_SIZE];

	place_clear(root);
	for (size_t i = 0; i < image->count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", root, image->files[i].path);
		if (!place_link(root, image, i, path))
			place_file(&image->files[i], path);
	}
}

int place_count(const char *root, const char *directory)
{
	char path[PLACE_PATH_SIZE];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/%s", root, directory);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (dir)
		(void)closedir(dir);
	return count;
}
