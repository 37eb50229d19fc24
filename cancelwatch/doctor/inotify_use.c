#include "inotify_use.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t read_limit(const char *name)
{
	char path[PATH_MAX];
	int64_t limit = -1;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/sys/fs/inotify/%s", name);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	if (fscanf(file, "%" SCNd64, &limit) != 1)
		limit = -1;
	(void)fclose(file);
	return limit;
}

static int64_t count_watches(const char *pid, const char *fd)
{
	static const char prefix[] = "inotify wd:";
	char path[PATH_MAX];
	char line[256];
	int64_t count = 0;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", pid, fd);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL)
		count += strncmp(line, prefix, sizeof prefix - 1) == 0;
	(void)fclose(file);
	return count;
}

static void count_descriptor(struct inotify_use *use, int dir_fd, const char *pid, const char *fd)
{
	static const char inotify[] = "anon_inode:inotify";
	char target[sizeof inotify];
	ssize_t length = readlinkat(dir_fd, fd, target, sizeof target);

	if (length != sizeof inotify - 1 || memcmp(target, inotify, sizeof inotify - 1) != 0)
		return;
	use->instances++;
	use->watches += count_watches(pid, fd);
}

static void count_process(struct inotify_use *use, const char *pid)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof path, "/proc/%s/fd", pid);
	dir = opendir(path);
	if (dir == NULL) {
		use->unreadable++;
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		count_descriptor(use, dirfd(dir), pid, entry->d_name);
	(void)closedir(dir);
}

void inotify_use_read(struct inotify_use *use, uid_t user)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	struct stat stat;

	*use = (struct inotify_use){
		.instances_max = read_limit("max_user_instances"),
		.watches_max = read_limit("max_user_watches"),
		.queue_max = read_limit("max_queued_events"),
	};
	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &stat, 0) == 0 && stat.st_uid == user)
			count_process(use, entry->d_name);
	}
	(void)closedir(dir);
}
