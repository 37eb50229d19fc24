#include "path.h"

#include "error.h"
#include "file.h"

#include <cancel/limits.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Where the walk stands: in `fd`, which `done` names; `rest` is still to go. */
struct walk {
	const char *path; /* as asked for: every sentence names it */
	uid_t owner;
	int fd;
	struct stat stat;
	char done[PATH_MAX];
	char rest[PATH_MAX];
	int links;
};

static int too_long(const struct walk *walk, struct cancel_error *error)
{
	return error_system(error, -ENAMETOOLONG, "cannot use spool '%s'", QUOTE(walk->path));
}

static int failed(const struct walk *walk, int code, struct cancel_error *error)
{
	return error_system(error, code, "cannot use spool '%s': '%s'", QUOTE(walk->path), QUOTE(walk->done));
}

static bool trusted(const struct walk *walk, uid_t uid)
{
	return uid == 0 || uid == geteuid() || uid == walk->owner;
}

/* Whoever may rename in an ancestor may put another directory in the spool's place. Sticky is no help against
 * the directory's own owner, so the owner counts even then. */
static int judge_ancestor(const struct walk *walk, struct cancel_error *error)
{
	const struct stat *stat = &walk->stat;

	if (!trusted(walk, stat->st_uid))
		return error_set(error, -EPERM,
				 "cannot use spool '%s': '%s' is owned by uid %u, mode %04o; use a path whose "
				 "directories belong to root or to uid %u",
				 QUOTE(walk->path), QUOTE(walk->done), stat->st_uid, stat->st_mode & 07777,
				 geteuid());
	if ((stat->st_mode & 022) && !(stat->st_mode & S_ISVTX))
		return error_set(error, -EPERM,
				 "cannot use spool '%s': '%s' is owned by uid %u, mode %04o: others may rename in "
				 "it; take their write permission or set its sticky bit",
				 QUOTE(walk->path), QUOTE(walk->done), stat->st_uid, stat->st_mode & 07777);
	return 0;
}

/* Put the descriptor of the component just opened in the place of the directory it was opened in. */
static void step_into(struct walk *walk, int fd, const struct stat *stat)
{
	file_close(walk->fd);
	walk->fd = fd;
	walk->stat = *stat;
}

static int start_at_root(struct walk *walk, struct cancel_error *error)
{
	struct stat stat;
	int fd = open("/", DIRECTORY_FLAGS);

	(void)snprintf(walk->done, sizeof walk->done, "/");
	if (fd < 0 || fstat(fd, &stat) < 0) {
		int code = -errno;

		file_close(fd);
		return failed(walk, code, error);
	}
	step_into(walk, fd, &stat);
	return judge_ancestor(walk, error);
}

/* Cut the next component off `rest`; 0 when there is none, 1, or -ENAMETOOLONG. */
static int next_component(struct walk *walk, char component[NAME_MAX + 1])
{
	const char *start = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(start, "/");
	size_t used = strlen(walk->done);

	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(component, start, length);
	component[length] = '\0';
	start += length;
	start += strspn(start, "/");
	memmove(walk->rest, start, strlen(start) + 1);
	if (!length)
		return 0;
	if (used + length + 2 > sizeof walk->done)
		return -ENAMETOOLONG;
	(void)sprintf(walk->done + used, "%s%s", used > 1 ? "/" : "", component);
	return 1;
}

static int refuse_link(const struct walk *walk, const struct stat *link, struct cancel_error *error)
{
	if (walk->links >= CANCEL_PATH_LINKS_MAX)
		return error_set(error, -ELOOP, "cannot use spool '%s': more than %d symbolic links on the way",
				 QUOTE(walk->path), CANCEL_PATH_LINKS_MAX);
	return error_set(error, -ELOOP,
			 "cannot use spool '%s': '%s' is a symbolic link of uid %u, mode of its directory %04o; "
			 "only root's links in directories that only root can write are followed; name the "
			 "directory itself",
			 QUOTE(walk->path), QUOTE(walk->done), link->st_uid, walk->stat.st_mode & 07777);
}

/* Put the link's target in front of what is still to go. */
static int follow_link(struct walk *walk, int link_fd, const struct stat *link, struct cancel_error *error)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t length;

	if (walk->links >= CANCEL_PATH_LINKS_MAX || link->st_uid != 0 || walk->stat.st_uid != 0 ||
	    (walk->stat.st_mode & 022))
		return refuse_link(walk, link, error);
	walk->links++;
	length = readlinkat(link_fd, "", target, sizeof target - 1);
	if (length < 0)
		return failed(walk, -errno, error);
	target[length] = '\0';
	if (snprintf(rest, sizeof rest, "%s/%s", target, walk->rest) >= (int)sizeof rest)
		return too_long(walk, error);
	memcpy(walk->rest, rest, sizeof rest);
	if (target[0] == '/')
		return start_at_root(walk, error);
	*strrchr(walk->done, '/') = '\0';
	if (!walk->done[0])
		(void)snprintf(walk->done, sizeof walk->done, "/");
	return 0;
}

/* Owner and mode are set on the directory itself, opened without following: mkdir's mode suffers the umask. */
static int make_directory(struct walk *walk, const char *component, struct path_creation *creation,
			  struct cancel_error *error)
{
	int fd, code = 0;

	if (mkdirat(walk->fd, component, 0700) < 0)
		return errno == EEXIST ? 0 : failed(walk, -errno, error);
	fd = openat(walk->fd, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, creation->owner, creation->group) < 0 || fchmod(fd, creation->mode) < 0)
		code = failed(walk, -errno, error);
	file_close(fd);
	if (code < 0)
		(void)unlinkat(walk->fd, component, AT_REMOVEDIR);
	else
		creation->made = true;
	return code;
}

static int missing(const struct walk *walk, struct cancel_error *error)
{
	if (walk->rest[0])
		return error_set(error, -ENOENT, "spool '%s' cannot be there: the directory '%s' does not exist; make "
				 "it first, or name another spool", QUOTE(walk->path), QUOTE(walk->done));
	return error_set(error, -ENOENT,
			 "spool '%s' does not exist ('%s' is missing); make it with 'cancelwatch init', or set "
			 "TASK_CANCELLATION_DIR to the one that the other side uses",
			 QUOTE(walk->path), QUOTE(walk->done));
}

static int open_component(struct walk *walk, const char *component, struct path_creation *creation,
			  struct cancel_error *error)
{
	int fd = openat(walk->fd, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && creation && !walk->rest[0]) {
		int code = make_directory(walk, component, creation, error);

		if (code < 0)
			return code;
		fd = openat(walk->fd, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return errno == ENOENT ? missing(walk, error) : failed(walk, -errno, error);
	return fd;
}

/* Go one component on; 1 when there was none left. */
static int step(struct walk *walk, struct path_creation *creation, struct cancel_error *error)
{
	char component[NAME_MAX + 1];
	struct stat stat;
	int fd, code = next_component(walk, component);

	if (code <= 0)
		return code < 0 ? too_long(walk, error) : 1;
	fd = open_component(walk, component, creation, error);
	if (fd < 0)
		return fd;
	if (fstat(fd, &stat) < 0)
		code = failed(walk, -errno, error);
	else if (S_ISLNK(stat.st_mode))
		code = follow_link(walk, fd, &stat, error);
	else if (!S_ISDIR(stat.st_mode))
		code = failed(walk, -ENOTDIR, error);
	else {
		step_into(walk, fd, &stat);
		return walk->rest[0] ? judge_ancestor(walk, error) : 0;
	}
	file_close(fd);
	return code < 0 ? code : 0;
}

int path_open_safely(const char *path, uid_t owner, struct path_creation *creation,
		     struct cancel_error *error)
{
	struct walk walk = {.path = path, .owner = owner, .fd = -1};
	int code;

	if (path[0] != '/')
		return error_set(error, -EINVAL, "cannot use spool '%s': the path must be absolute", QUOTE(path));
	if (snprintf(walk.rest, sizeof walk.rest, "%s", path) >= (int)sizeof walk.rest)
		return too_long(&walk, error);
	code = start_at_root(&walk, error);
	while (code == 0)
		code = step(&walk, creation, error);
	if (code < 0) {
		file_close(walk.fd);
		return code;
	}
	return walk.fd;
}
