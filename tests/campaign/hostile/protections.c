#include "protections.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	KNOB_COUNT = 4,
};

static const struct knob {
	const char *name;
	char most;
} knobs[KNOB_COUNT] = {{"symlinks", '1'}, {"hardlinks", '1'}, {"fifos", '2'}, {"regular", '2'}};

static char before[KNOB_COUNT];
static int gate_fd = -1; /* the guard's end closes when the last of us is gone */
static pid_t guard;

static int open_knob(int i, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/sys/fs/protected_%s", knobs[i].name);
	return open(path, flags | O_CLOEXEC);
}

static char read_knob(int i)
{
	int fd = open_knob(i, O_RDONLY);
	char value = '?';

	if (fd >= 0 && read(fd, &value, 1) != 1)
		value = '?';
	if (fd >= 0)
		(void)close(fd);
	return value;
}

static bool write_knob(int i, char value)
{
	int fd = open_knob(i, O_WRONLY);
	bool written = fd >= 0 && write(fd, &value, 1) == 1;

	if (fd >= 0)
		(void)close(fd);
	return written;
}

/* Who kills the campaign by its name or its group does not mean this one. */
static void guard_them(int read_fd)
{
	char end;

	(void)setsid();
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_IGN);
	while (read(read_fd, &end, 1) > 0)
		;
	for (int i = 0; i < KNOB_COUNT; i++)
		(void)write_knob(i, before[i]);
	_exit(0);
}

static bool can_change(void)
{
	int fd = open_knob(0, O_RDONLY);

	/* Never closed: one campaign at a time, until the guard is done too. */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	for (int i = 0; i < KNOB_COUNT; i++) {
		before[i] = read_knob(i);
		if (!write_knob(i, before[i]))
			return false;
	}
	return true;
}

bool protections_begin(void)
{
	int ends[2];

	if (!can_change() || pipe2(ends, O_CLOEXEC) < 0)
		return false;
	guard = fork();
	if (guard == 0) {
		(void)close(ends[1]);
		guard_them(ends[0]);
	}
	(void)close(ends[0]);
	gate_fd = ends[1];
	return guard > 0;
}

void protections_set(bool on)
{
	for (int i = 0; gate_fd >= 0 && i < KNOB_COUNT; i++)
		(void)write_knob(i, on ? knobs[i].most : '0');
}

void protections_end(void)
{
	if (gate_fd < 0)
		return;
	(void)close(gate_fd);
	gate_fd = -1;
	(void)waitpid(guard, NULL, 0);
}

const char *protections_text(void)
{
	static char text[128];

	text[0] = '\0';
	for (int i = 0; i < KNOB_COUNT; i++)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %c", i ? ", " : "",
			       knobs[i].name, read_knob(i));
	return text;
}
