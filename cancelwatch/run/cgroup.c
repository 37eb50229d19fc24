#include "cgroup.h"

#include <cancel/clock.h>

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define TEXT_SIZE (2 * PATH_MAX) /* a line for each version 1 hierarchy besides */

/* Where version 2 is mounted: alone, or beside version 1. */
static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

/* A process id alone would not do: other namespaces have the same ones. */
static char chosen_name[CGROUP_NAME_SIZE];

#define MOUNT_COUNT (sizeof mounts / sizeof mounts[0])

void cgroup_choose_name(char name[CGROUP_NAME_SIZE])
{
	uint64_t mark;

	if (getrandom(&mark, sizeof mark, GRND_NONBLOCK) < 0)
		mark = (uint64_t)cancel_clock_now_ns();
	(void)snprintf(chosen_name, sizeof chosen_name, "cancelwatch-%d-%016" PRIx64, (int)getpid(), mark);
	(void)strcpy(name, chosen_name);
}

static const char *find_mount(void)
{
	struct statfs about;

	for (size_t i = 0; i < MOUNT_COUNT; i++) {
		if (statfs(mounts[i], &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC)
			return mounts[i];
	}
	return NULL;
}

/* The path of the cgroup that we are in, below the mount: what follows "0::" on its line. NULL where there is
 * none, or where it is outside of what this namespace shows, which begins with "/..". */
static char *find_own(char text[TEXT_SIZE])
{
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, TEXT_SIZE - 1);
	char *line;

	if (fd >= 0)
		(void)close(fd);
	if (length < 0)
		return NULL;
	text[length] = '\0';
	line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (line == NULL)
		return NULL;
	line += strcspn(line, "/");
	line[strcspn(line, "\n")] = '\0';
	return strncmp(line, "/..", 3) == 0 ? NULL : line;
}

/* systemd wants to be the only one that divides a cgroup of its own, unless it was delegated. */
static bool is_ours_to_divide(const char *path)
{
	static const char *const marks[] = {"trusted.delegate", "user.delegate"};
	char value;

	if (access("/run/systemd/system", F_OK) < 0)
		return true;
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		if (getxattr(path, marks[i], &value, sizeof value) == (ssize_t)sizeof value && value == '1')
			return true;
	}
	return false;
}

/* Returns whether one may be made there. */
static bool find_place(struct cgroup *cgroup, const char *name)
{
	const char *mount = find_mount();
	char text[TEXT_SIZE];
	const char *own = mount == NULL ? NULL : find_own(text);
	int length;

	if (own == NULL)
		return false;
	if (strcmp(own, "/") == 0)
		own = "";
	length = snprintf(cgroup->path, sizeof cgroup->path, "%s%s", mount, own);
	if (length >= (int)sizeof cgroup->path || !is_ours_to_divide(cgroup->path))
		return false;
	length += snprintf(cgroup->path + length, sizeof cgroup->path - (size_t)length, "/%s", name);
	return length < (int)sizeof cgroup->path;
}

static void open_it(struct cgroup *cgroup)
{
	cgroup->fd = open(cgroup->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void cgroup_make(struct cgroup *cgroup)
{
	cgroup->fd = -1;
	if (!find_place(cgroup, chosen_name) || mkdir(cgroup->path, 0755) < 0)
		return;
	open_it(cgroup);
	if (cgroup->fd < 0)
		(void)rmdir(cgroup->path);
}

void cgroup_kill(const struct cgroup *cgroup)
{
	int fd = cgroup->fd < 0 ? -1 : openat(cgroup->fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "1", 1);
	(void)close(fd);
}

#define MOVES_MAX 64 /* for what forks faster than it is moved */

/* Returns how many there were. */
static size_t move_all(const struct cgroup *cgroup, int procs_fd)
{
	char pid[24];
	size_t count = 0;
	int fd = openat(cgroup->fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *members = fd < 0 ? NULL : fdopen(fd, "re");

	while (members != NULL && fgets(pid, sizeof pid, members) != NULL)
		count += write(procs_fd, pid, strcspn(pid, "\n")) > 0;
	if (members != NULL)
		(void)fclose(members);
	return count;
}

/* What a command leaves in the background goes on as if there had been no cgroup. It would keep this one, and
 * nobody would remove that when it ends. */
static void move_out(const struct cgroup *cgroup)
{
	int procs_fd = openat(cgroup->fd, "../cgroup.procs", O_WRONLY | O_CLOEXEC);

	for (int moves = 0; procs_fd >= 0 && moves < MOVES_MAX && move_all(cgroup, procs_fd) > 0; moves++)
		;
	if (procs_fd >= 0)
		(void)close(procs_fd);
}

void cgroup_remove(struct cgroup *cgroup)
{
	if (cgroup->fd < 0)
		return;
	if (rmdir(cgroup->path) < 0) {
		move_out(cgroup);
		(void)rmdir(cgroup->path);
	}
	(void)close(cgroup->fd);
	cgroup->fd = -1;
}

#define END_TRIES 50 /* what was killed takes some time to go */

void cgroup_end(const char *name)
{
	const struct timespec pause = {.tv_nsec = 2 * CANCEL_MILLISECOND};
	struct cgroup cgroup;

	if (!find_place(&cgroup, name))
		return;
	open_it(&cgroup);
	if (cgroup.fd < 0)
		return;
	cgroup_kill(&cgroup);
	for (int tries = 0; rmdir(cgroup.path) < 0 && tries < END_TRIES; tries++)
		(void)nanosleep(&pause, NULL);
	(void)close(cgroup.fd);
}
