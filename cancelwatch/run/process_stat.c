#include "process_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAT_SIZE 512
#define PATH_SIZE 64

static ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, size - 1);
	(void)close(fd);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	return length;
}

#define FIELD_STATE   3 /* as proc(5) numbers them */
#define FIELD_PARENT  4
#define FIELD_GROUP   5
#define FIELD_STARTED 22

/* "17 (name) S 1 ...": a name may hold anything, so that the last parenthesis ends it. */
static int parse(struct process_stat *stat, char *text)
{
	char *name = strchr(text, '(');
	char *end = strrchr(text, ')');
	char *rest, *field;

	if (name == NULL || end == NULL)
		return -EINVAL;
	*end = '\0';
	(void)snprintf(stat->name, sizeof stat->name, "%s", name + 1);
	rest = end + 1;
	for (int at = FIELD_STATE; at <= FIELD_STARTED; at++) {
		do {
			field = strsep(&rest, " ");
		} while (field != NULL && *field == '\0');
		if (field == NULL)
			return -EINVAL;
		if (at == FIELD_STATE)
			stat->state = *field;
		else if (at == FIELD_PARENT)
			stat->parent = atoi(field);
		else if (at == FIELD_GROUP)
			stat->group = atoi(field);
		else if (at == FIELD_STARTED)
			stat->started = strtoull(field, NULL, 10);
	}
	return 0;
}

int process_stat_read(struct process_stat *stat, pid_t pid)
{
	char path[PATH_SIZE], text[STAT_SIZE];
	ssize_t length;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	length = read_file(path, text, sizeof text);
	if (length < 0)
		return (int)length;
	*stat = (struct process_stat){.pid = pid};
	return parse(stat, text);
}

bool process_stat_is_same(const struct process_stat *stat)
{
	struct process_stat now;

	return process_stat_read(&now, stat->pid) == 0 && now.started == stat->started;
}

bool process_stat_is_ours(void)
{
	char text[PATH_SIZE];
	ssize_t length = readlink("/proc/self", text, sizeof text - 1);

	if (length < 0)
		return false;
	text[length] = '\0';
	return atoi(text) == (int)getpid();
}
