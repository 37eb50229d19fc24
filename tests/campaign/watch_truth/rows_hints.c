#include "rows.h"
#include "spaces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	QUEUE_MAX = 1 << 20, /* who has a longer queue fills it himself */
	FILLED_BEYOND = 64,
	TIMES_ALIKE = 4,
	ENOUGH = 64, /* inotify instances, and watches */
};

static bool is_watch_index(const struct stage *stage, unsigned index)
{
	return stage->watchers >> index & 1;
}

void play_plainly(struct stage *stage)
{
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage))
		stage_round(stage);
}

/* --- the queue overflows ------------------------------------------------------------------------------- */

static long queue_length(void)
{
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	long length = 0;

	if (file) {
		if (fscanf(file, "%ld", &length) != 1)
			length = 0;
		(void)fclose(file);
	}
	return length;
}

static int make_filler(struct stage *stage, const char *name)
{
	int fd = openat(stage->root_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		stage_die(name);
	return fd;
}

/* No setting of the machine is touched: those who look are stopped, and two strangers in the spool's
 * directory change in turn, because the kernel makes one event of two that are alike. */
static void fill_queue(struct stage *stage, long length)
{
	int one_fd = make_filler(stage, ".filler-1"), other_fd = make_filler(stage, ".filler-2");

	for (long i = 0; i < length + FILLED_BEYOND; i++)
		(void)fchmod(i % 2 ? one_fd : other_fd, 0600);
	(void)close(one_fd);
	(void)close(other_fd);
}

/* DESIGN.md, invariant 12 */
void play_overflow(struct stage *stage)
{
	long length = queue_length();

	if (length <= 0 || length > QUEUE_MAX) {
		stage_leave_out(stage, "fs.inotify.max_queued_events is %ld", length);
		return;
	}
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		stage_stop(stage);
		fill_queue(stage, length);
		stage_publish(stage);
		stage_continue(stage);
		stage_await(stage);
		for (unsigned i = 0; i < OBSERVERS_MAX; i++)
			if (is_watch_index(stage, i))
				(void)stage_await_event(stage, i, CANCEL_EVENT_RESCANNED, 0);
	}
}

/* --- events are lost, and nobody says so -----------------------------------------------------------------
 */

static bool is_inotify(int pid, const char *fd)
{
	char path[320], target[64];
	ssize_t length;

	(void)snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, fd);
	length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return strstr(target, "inotify") != NULL;
}

/* Its descriptor in this process; -1: it cannot be had. */
static int take_inotify(int pid)
{
	char path[64];
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0), taken = -1;
	struct dirent *entry;
	DIR *fds;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
	fds = opendir(path);
	while (pid_fd >= 0 && fds && taken < 0 && (entry = readdir(fds)))
		if (is_inotify(pid, entry->d_name))
			taken = (int)syscall(SYS_pidfd_getfd, pid_fd, atoi(entry->d_name), 0);
	if (fds)
		(void)closedir(fds);
	if (pid_fd >= 0)
		(void)close(pid_fd);
	return taken;
}

static void drain(int fd)
{
	char buffer[64 * 1024];

	while (read(fd, buffer, sizeof buffer) > 0)
		;
}

/* DESIGN.md, invariant 12: the slow rescan finds what nothing tells of. */
void play_lost_events(struct stage *stage)
{
	int fds[OBSERVERS_MAX];

	stage_open(stage);
	stage_start(stage);
	for (unsigned i = 0; i < OBSERVERS_MAX; i++) {
		fds[i] = stage->row->observers[i].kind
				 ? take_inotify(atomic_load(&stage->truth->observers[i].pid))
				 : -1;
		if (stage->row->observers[i].kind && fds[i] < 0) {
			stage_leave_out(stage, "%s's inotify cannot be had: %s",
					stage->row->observers[i].name, strerror(errno));
			return;
		}
	}
	while (stage_goes_on(stage)) {
		stage_stop(stage);
		stage_publish(stage);
		for (unsigned i = 0; i < OBSERVERS_MAX; i++)
			if (fds[i] >= 0)
				drain(fds[i]);
		stage_continue(stage);
		stage_await(stage);
	}
}

/* --- limits -----------------------------------------------------------------------------------------------
 */

static void await_from_all(struct stage *stage, uint32_t observers, enum cancel_event_type type)
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (observers >> i & 1)
			(void)stage_await_event(stage, i, type, 0);
}

/* DESIGN.md, invariants 7 and 20: the second polls, says so, and comes back to inotify when there is enough.
 */
void play_few_instances(struct stage *stage)
{
	static const char limit[] = "max_inotify_instances";
	static const uint32_t second = 1u << 1;

	if (!space_of_users(stage) || !space_limit(stage, limit, 1))
		return;
	stage_open(stage);
	stage_start(stage);
	stage_round(stage);
	await_from_all(stage, second, CANCEL_EVENT_DEGRADED);
	(void)space_limit(stage, limit, ENOUGH);
	await_from_all(stage, second, CANCEL_EVENT_RESTORED);
	while (stage_goes_on(stage))
		stage_round(stage);
}

/* A watch needs three. There never are enough, and the slow rescan is far away: only polling finds anything.
 */
void play_few_watches(struct stage *stage)
{
	if (!space_of_users(stage) || !space_limit(stage, "max_inotify_watches", 2))
		return;
	stage_open(stage);
	stage_start(stage);
	await_from_all(stage, stage->watchers, CANCEL_EVENT_DEGRADED);
	while (stage_goes_on(stage))
		stage_round(stage);
}

/* --- times -------------------------------------------------------------------------------------------------
 */

static void restore_times(struct stage *stage)
{
	static const char *const dirs[] = {".", "pending", "processed", "tmp"};
	static const struct timespec long_ago[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		int fd = openat(stage->root_fd, dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *entry;

		if (!dir)
			stage_die(dirs[i]);
		while ((entry = readdir(dir)))
			if (strstr(entry->d_name, ".json"))
				(void)utimensat(fd, entry->d_name, long_ago, AT_SYMLINK_NOFOLLOW);
		(void)futimens(fd, long_ago);
		(void)closedir(dir);
	}
}

/* As touch -d does, and tools that hide that they were there. */
void play_restored_times(struct stage *stage)
{
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		stage_stop(stage);
		stage_publish(stage);
		restore_times(stage);
		stage_continue(stage);
		stage_await(stage);
		/* With nothing in between: the directory bears the same time at each look. */
		for (int i = 0; i < TIMES_ALIKE; i++) {
			stage_stop(stage);
			stage_publish_links(stage);
			restore_times(stage);
			stage_continue(stage);
			stage_await_only(stage);
		}
		stage_await(stage);
	}
}
