#include "dirwatch.h"

#include "file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* IN_CREATE, because linking a finished file raises nothing else. Not IN_DELETE or IN_MOVED_FROM: whoever
 * takes a request out of pending/ puts its record into processed/, and that tells. */
#define NAME_MASK (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO)
#define SELF_MASK (IN_DELETE_SELF | IN_MOVE_SELF)
#define GONE_MASK (SELF_MASK | IN_UNMOUNT | IN_IGNORED)

/* A request that could not be read may be made readable. */
static const uint32_t name_masks[SPOOL_DIR_COUNT] = {
	[SPOOL_ROOT] = NAME_MASK | IN_ATTRIB,
	[SPOOL_PENDING] = NAME_MASK | IN_ATTRIB,
	[SPOOL_PROCESSED] = NAME_MASK,
};

static void forget_watches(struct dirwatch *dirwatch)
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		dirwatch->wds[i] = -1;
}

void dirwatch_init(struct dirwatch *dirwatch)
{
	dirwatch->fd = -1;
	dirwatch->at = dirwatch->used = 0;
	forget_watches(dirwatch);
}

int dirwatch_open(struct dirwatch *dirwatch)
{
	dirwatch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return dirwatch->fd < 0 ? -errno : 0;
}

void dirwatch_close(struct dirwatch *dirwatch)
{
	file_close(dirwatch->fd);
	dirwatch_init(dirwatch);
}

/* By the path two directories may be mixed up while one replaces the other. */
static int add_by_path(int fd, const char *path, int dir_fd, uint32_t mask)
{
	struct stat watched, meant;
	int wd = inotify_add_watch(fd, path, mask);

	if (wd < 0)
		return -errno;
	if (stat(path, &watched) == 0 && fstat(dir_fd, &meant) == 0 && file_same(&watched, &meant))
		return wd;
	(void)inotify_rm_watch(fd, wd);
	return -ESTALE;
}

int dirwatch_add(struct dirwatch *dirwatch, enum spool_dir dir, int dir_fd, const char *path,
		 bool wants_names)
{
	uint32_t mask = SELF_MASK | IN_ONLYDIR | (wants_names ? name_masks[dir] : 0);
	char descriptor[32];
	int wd;

	(void)snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", dir_fd);
	wd = inotify_add_watch(dirwatch->fd, descriptor, mask);
	if (wd < 0)
		wd = errno == ENOENT || errno == EACCES ? add_by_path(dirwatch->fd, path, dir_fd, mask)
							: -errno;
	if (wd < 0)
		return wd;
	dirwatch->wds[dir] = wd;
	return 0;
}

void dirwatch_remove_all(struct dirwatch *dirwatch)
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		if (dirwatch->wds[i] >= 0)
			(void)inotify_rm_watch(dirwatch->fd, dirwatch->wds[i]);
	/* Numbers of watches are not used twice, so what is still in the queue for these matches none. */
	forget_watches(dirwatch);
	dirwatch->at = dirwatch->used = 0;
}

/* --- the stream --------------------------------------------------------------------------------------- */

static bool dir_of(const struct dirwatch *dirwatch, int wd, enum spool_dir *dir)
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++) {
		if (wd < 0 || dirwatch->wds[i] != wd)
			continue;
		*dir = (enum spool_dir)i;
		return true;
	}
	return false;
}

static void judge(const struct dirwatch *dirwatch, const struct inotify_event *header, const char *name,
		  struct dirwatch_event *event)
{
	*event = (struct dirwatch_event){.hint = DIRWATCH_OTHER};
	if (header->mask & IN_Q_OVERFLOW)
		event->hint = DIRWATCH_OVERFLOWED;
	else if (!dir_of(dirwatch, header->wd, &event->dir))
		return;
	else if (header->mask & GONE_MASK)
		event->hint = DIRWATCH_GONE;
	else if ((header->mask & name_masks[event->dir]) && name && *name && !strchr(name, '/'))
		event->hint = DIRWATCH_NAME;
	event->name = event->hint == DIRWATCH_NAME ? name : NULL;
}

size_t dirwatch_parse(const struct dirwatch *dirwatch, const unsigned char *bytes, size_t length,
		      struct dirwatch_event *event)
{
	struct inotify_event header;
	const char *name = NULL;

	if (length < sizeof header)
		return 0;
	memcpy(&header, bytes, sizeof header); /* nothing promises that it is aligned */
	if (header.len > length - sizeof header)
		return 0;
	if (memchr(bytes + sizeof header, '\0', header.len))
		name = (const char *)bytes + sizeof header;
	judge(dirwatch, &header, name, event);
	return sizeof header + header.len;
}

static int fill(struct dirwatch *dirwatch)
{
	ssize_t got;

	do
		got = read(dirwatch->fd, dirwatch->buffer, sizeof dirwatch->buffer);
	while (got < 0 && errno == EINTR);
	dirwatch->at = 0;
	dirwatch->used = got > 0 ? (size_t)got : 0;
	return got < 0 && errno != EAGAIN ? -errno : got > 0;
}

bool dirwatch_has_more(const struct dirwatch *dirwatch)
{
	return dirwatch->at < dirwatch->used;
}

int dirwatch_next(struct dirwatch *dirwatch, struct dirwatch_event *event)
{
	size_t taken;
	int code;

	if (dirwatch->fd < 0)
		return 0;
	if (!dirwatch_has_more(dirwatch)) {
		code = fill(dirwatch);
		if (code <= 0)
			return code;
	}
	taken = dirwatch_parse(dirwatch, dirwatch->buffer + dirwatch->at, dirwatch->used - dirwatch->at,
			       event);
	if (!taken) {
		/* The kernel writes whole events only. Should it ever not, all may be lost. */
		*event = (struct dirwatch_event){.hint = DIRWATCH_OVERFLOWED};
		taken = dirwatch->used - dirwatch->at;
	}
	dirwatch->at += taken;
	return 1;
}
