#include "spaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define OVERFLOW_UID 65534 /* whom files belong to whose owner has no name in the namespace */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int code = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = code;
	return is_written;
}

/* Changed credentials may make the kernel forget whom to die with. */
static bool enter(struct stage *stage, int flags, const char *name)
{
	if (unshare(flags) < 0) {
		stage_leave_out(stage, "no %s namespace: %s", name, strerror(errno));
		return false;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return true;
}

bool space_of_users(struct stage *stage)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char users[32], groups[32];

	/* Inside, what is made could not be given to whom the way to it belongs. */
	if (uid != 0) {
		stage_open(stage);
		stage_close(stage);
	}
	(void)snprintf(users, sizeof users, "0 %u 1", uid);
	(void)snprintf(groups, sizeof groups, "0 %u 1", gid);
	if (!enter(stage, CLONE_NEWUSER, "user"))
		return false;
	if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", users) ||
	    !write_text("/proc/self/gid_map", groups)) {
		stage_leave_out(stage, "no user namespace: its map cannot be written: %s", strerror(errno));
		return false;
	}
	/* Where root is not root any more, the way to the spool belongs to nobody. */
	if (uid != 0)
		stage->owner = OVERFLOW_UID;
	return true;
}

bool space_of_mounts(struct stage *stage)
{
	if (geteuid() != 0) {
		stage_leave_out(stage, "only root mounts");
		return false;
	}
	if (!enter(stage, CLONE_NEWNS, "mount"))
		return false;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		stage_leave_out(stage, "mounts cannot be made private: %s", strerror(errno));
		return false;
	}
	return true;
}

bool space_of_time(struct stage *stage, long ahead_s)
{
	char offset[64];

	if (geteuid() != 0 && !space_of_users(stage))
		return false;
	if (!enter(stage, CLONE_NEWTIME, "time"))
		return false;
	(void)snprintf(offset, sizeof offset, "boottime %ld 0", ahead_s);
	if (!write_text("/proc/self/timens_offsets", offset)) {
		stage_leave_out(stage, "no time namespace: its offset cannot be written: %s",
				strerror(errno));
		return false;
	}
	return true;
}

bool space_limit(struct stage *stage, const char *name, int value)
{
	char path[64], text[16];

	(void)snprintf(path, sizeof path, "/proc/sys/user/%s", name);
	(void)snprintf(text, sizeof text, "%d", value);
	if (write_text(path, text))
		return true;
	stage_leave_out(stage, "%s cannot be set: %s", path, strerror(errno));
	return false;
}
