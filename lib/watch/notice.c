/* inotify where it works, polling where it does not: chosen at the start and when the directory changes. */
#include "state.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static const char *const dir_paths[SPOOL_DIR_COUNT] = {
	[SPOOL_ROOT] = "",
	[SPOOL_PENDING] = "/" DIR_PENDING,
	[SPOOL_PROCESSED] = "/" DIR_PROCESSED,
};

static int watch_dir(struct cancel_watch *watch, enum spool_dir dir)
{
	char *path;
	int code;

	if (asprintf(&path, "%s%s", watch->spool->path, dir_paths[dir]) < 0)
		return -ENOMEM;
	code = dirwatch_add(&watch->dirwatch, dir, watch->spool->fds[dir], path, is_watched(watch, dir));
	free(path);
	return code;
}

static int open_instance(struct cancel_watch *watch)
{
	struct epoll_event event = {.events = EPOLLIN};
	int code;

	if (watch->dirwatch.fd >= 0)
		return 0;
	code = dirwatch_open(&watch->dirwatch);
	if (code == 0 && epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->dirwatch.fd, &event) < 0)
		code = -errno;
	return code;
}

/* All directories or none: half a watch would look like a whole one. */
static int arm(struct cancel_watch *watch)
{
	int code = open_instance(watch);

	if (code == 0)
		dirwatch_remove_all(&watch->dirwatch);
	for (int i = 0; code == 0 && i < WATCHED_COUNT; i++)
		code = watch_dir(watch, watched_dirs[i]);
	if (code < 0)
		dirwatch_close(&watch->dirwatch);
	return code;
}

void notice_listen(struct cancel_watch *watch, bool listens)
{
	struct epoll_event event = {.events = listens ? EPOLLIN : 0};

	if (watch->dirwatch.fd >= 0)
		(void)epoll_ctl(watch->epoll_fd, EPOLL_CTL_MOD, watch->dirwatch.fd, &event);
}

/* --- sentences ---------------------------------------------------------------------------------------- */

/* The system has one code for two limits. */
static bool has_descriptor_left(const struct cancel_watch *watch)
{
	int fd = fcntl(watch->epoll_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

static const char *remedy_of(const struct cancel_watch *watch, int code)
{
	switch (code) {
	case -EMFILE:
		if (has_descriptor_left(watch))
			return "this user has no inotify instance left; raise fs.inotify.max_user_instances";
		return "this process has no file descriptor left; raise its limit (ulimit -n)";
	case -ENFILE:
		return "the system has no open file left; raise fs.file-max";
	case -ENOSPC:
		return "this user has no inotify watch left; raise fs.inotify.max_user_watches";
	case -ENOMEM:
		return "the kernel has no memory left for it";
	case -ENOSYS:
		return "this kernel has no inotify";
	default:
		return NULL;
	}
}

static int refuse(const struct cancel_watch *watch, int code, struct cancel_error *error)
{
	const char *remedy = remedy_of(watch, code);

	if (!remedy)
		return error_system(error, code, "cannot watch spool '%s' by inotify",
				    SPOOL_QUOTE(watch->spool));
	return error_set(error, code, "cannot watch spool '%s' by inotify: %s", SPOOL_QUOTE(watch->spool),
			 remedy);
}

static void explain(struct cancel_watch *watch, const char *format, ...) CANCEL_PRINTF(2, 3);

static void explain(struct cancel_watch *watch, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(watch->notice.why, sizeof watch->notice.why, format, arguments);
	va_end(arguments);
}

/* --- choosing ----------------------------------------------------------------------------------------- */

static void poll_only(struct cancel_watch *watch)
{
	dirwatch_close(&watch->dirwatch);
	watch->notice.by_inotify = false;
	watch->notice.by_polling = true;
	watch->notice.is_degraded = false;
}

static void use_inotify(struct cancel_watch *watch)
{
	const struct filesystem *filesystem = &watch->spool->filesystem;

	watch->notice.by_inotify = true;
	watch->notice.by_polling = filesystem->notice != NOTICE_LOCAL;
	watch->notice.is_degraded = false;
	if (watch->notice.by_polling)
		explain(watch, "nothing is known of its filesystem (%s), so it is polled besides",
			filesystem->name);
	else
		explain(watch, "its filesystem (%s) tells of every change", filesystem->name);
}

/* Poll where that is wanted or needed anyway. */
static bool must_poll(struct cancel_watch *watch)
{
	const struct filesystem *filesystem = &watch->spool->filesystem;

	if (watch->options.mode == CANCEL_WATCH_POLL)
		explain(watch, "the options say so");
	else if (filesystem->notice == NOTICE_BLIND)
		explain(watch, "its filesystem (%s) does not tell of every change by inotify",
			filesystem->name);
	else
		return false;
	return true;
}

static void degrade(struct cancel_watch *watch, int code)
{
	struct cancel_error error;

	(void)refuse(watch, code, &error);
	poll_only(watch);
	watch->notice.is_degraded = true;
	explain(watch, "%s; it is polled until that works", error.text);
}

int notice_begin(struct cancel_watch *watch, struct cancel_error *error)
{
	int code;

	if (must_poll(watch)) {
		poll_only(watch);
		if (watch->options.mode == CANCEL_WATCH_INOTIFY)
			return error_set(error, -ENOTSUP,
					 "cannot watch spool '%s' by inotify: %s; use auto or poll",
					 SPOOL_QUOTE(watch->spool), watch->notice.why);
		return 0;
	}
	code = arm(watch);
	if (code == 0) {
		use_inotify(watch);
		return 0;
	}
	if (watch->options.mode == CANCEL_WATCH_INOTIFY)
		return refuse(watch, code, error);
	degrade(watch, code);
	watch->notice.is_untold = true;
	return 0;
}

void notice_renew(struct cancel_watch *watch)
{
	bool was_inotify = watch->notice.by_inotify;

	if (must_poll(watch)) {
		poll_only(watch);
	} else {
		int code = arm(watch);

		if (code == 0)
			use_inotify(watch);
		else
			degrade(watch, code);
	}
	/* There and back before anybody was told is nothing to tell. */
	if (watch->notice.by_inotify != was_inotify)
		watch->notice.is_untold = !watch->notice.is_untold;
}

void notice_tell(struct cancel_watch *watch)
{
	struct cancel_error text;

	if (!watch->notice.is_untold)
		return;
	watch->notice.is_untold = false;
	if (!watch->notice.by_inotify) {
		report_text(watch, CANCEL_EVENT_DEGRADED, watch->notice.why);
		return;
	}
	(void)error_set(&text, 0, "spool '%s' is watched by inotify again", SPOOL_QUOTE(watch->spool));
	report_text(watch, CANCEL_EVENT_RESTORED, text.text);
}
