#include "state.h"

#include "clock.h"
#include "error.h"
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define DEFAULT_POLL_MS   1000
#define DEFAULT_RESCAN_MS 30000
#define POLL_MIN_MS       POLL_PAUSE_MS
#define POLL_MAX_MS       3600000
#define RESCAN_MIN_MS     1000
#define RESCAN_MAX_MS     86400000

void cancel_watch_options_init(struct cancel_watch_options *options)
{
	*options = (struct cancel_watch_options){
		.mode = CANCEL_WATCH_AUTO,
		.poll_interval_ms = DEFAULT_POLL_MS,
		.rescan_interval_ms = DEFAULT_RESCAN_MS,
	};
}

const char *cancel_watch_mode_text(enum cancel_watch_mode mode)
{
	static const char *const texts[] = {[CANCEL_WATCH_AUTO] = "auto",
					    [CANCEL_WATCH_INOTIFY] = "inotify",
					    [CANCEL_WATCH_POLL] = "poll"};

	return (size_t)mode < sizeof texts / sizeof texts[0] ? texts[mode] : "unknown";
}

const char *cancel_event_text(enum cancel_event_type type)
{
	static const char *const texts[] = {
		[CANCEL_EVENT_REQUESTED] = "requested", [CANCEL_EVENT_DECIDED] = "decided",
		[CANCEL_EVENT_DROPPED] = "dropped",     [CANCEL_EVENT_REFUSED] = "refused",
		[CANCEL_EVENT_DEGRADED] = "degraded",   [CANCEL_EVENT_RESTORED] = "restored",
		[CANCEL_EVENT_RESCANNED] = "rescanned",
	};

	return (size_t)type < sizeof texts / sizeof texts[0] ? texts[type] : "unknown";
}

static int check_options(const struct cancel_watch_options *options, struct cancel_error *error)
{
	if (options->mode < CANCEL_WATCH_AUTO || options->mode > CANCEL_WATCH_POLL)
		return error_set(error, -EINVAL, "watch option 'mode': expected auto, inotify or poll");
	if (options->poll_interval_ms < POLL_MIN_MS || options->poll_interval_ms > POLL_MAX_MS)
		return error_set(error, -EINVAL, "watch option 'poll_interval': expected 10 ms to 1 hour");
	if (options->rescan_interval_ms < RESCAN_MIN_MS || options->rescan_interval_ms > RESCAN_MAX_MS)
		return error_set(error, -EINVAL,
				 "watch option 'rescan_interval': expected 1 second to 24 hours");
	return 0;
}

/* --- the descriptor ----------------------------------------------------------------------------------- */

void timer_set(const struct cancel_watch *watch, int64_t time_ms)
{
	struct itimerspec spec = {
		.it_value = {.tv_sec = time_ms / 1000, .tv_nsec = time_ms % 1000 * NS_PER_MS}};

	if (time_ms <= 0)
		spec.it_value.tv_nsec = 1; /* all zero would stop it */
	(void)timerfd_settime(watch->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static int open_descriptors(struct cancel_watch *watch)
{
	struct epoll_event event = {.events = EPOLLIN};

	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (watch->epoll_fd < 0)
		return -errno;
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (watch->timer_fd < 0 || epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, watch->timer_fd, &event) < 0)
		return -errno;
	return 0;
}

int cancel_watch_fd(const struct cancel_watch *watch)
{
	return watch->epoll_fd;
}

enum cancel_watch_mode cancel_watch_mode(const struct cancel_watch *watch, const char **why)
{
	if (why)
		*why = watch->notice.why;
	return watch->notice.by_inotify ? CANCEL_WATCH_INOTIFY : CANCEL_WATCH_POLL;
}

void cancel_watch_interrupt(struct cancel_watch *watch)
{
	atomic_store(&watch->interrupted, true);
}

bool is_interrupted(struct cancel_watch *watch)
{
	/* Loading is cheap and an exchange is not; this is asked once for each entry. */
	return atomic_load_explicit(&watch->interrupted, memory_order_relaxed) &&
	       atomic_exchange(&watch->interrupted, false);
}

/* --- opening ------------------------------------------------------------------------------------------ */

static struct cancel_watch *watch_new(struct cancel_spool *spool, const struct cancel_watch_options *options)
{
	struct cancel_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return NULL;
	watch->spool = spool;
	watch->options = *options;
	watch->epoll_fd = watch->timer_fd = watch->ringer_fd = -1;
	watch->opened_ns = clock_boottime_ns();
	watch->schedule.poll_pause_ms = POLL_PAUSE_MS;
	watch->schedule.rescan_ms = clock_monotonic_ms() + options->rescan_interval_ms;
	dirwatch_init(&watch->dirwatch);
	seen_init(&watch->seen);
	rounds_init(watch);
	return watch;
}

bool directories_follow(struct cancel_watch *watch)
{
	const struct cancel_spool *spool = watch->spool;
	bool is_other = false;

	for (int i = 0; i < SPOOL_DIR_COUNT; i++) {
		if (watch->device == spool->device && watch->inodes[i] == spool->inodes[i])
			continue;
		watch->inodes[i] = spool->inodes[i];
		round_forget(watch, (enum spool_dir)i);
		is_other |= i == SPOOL_PENDING || i == SPOOL_PROCESSED;
	}
	watch->device = spool->device;
	return is_other;
}

static int begin_to_notice(struct cancel_watch *watch, struct cancel_error *error)
{
	int code = spool_enter(watch->spool, error);

	if (code < 0)
		return code;
	(void)directories_follow(watch);
	code = notice_begin(watch, error);
	spool_leave(watch->spool);
	return code;
}

/* Watch first, then look: what comes in between is noticed by both. */
static int look_at_standing(struct cancel_watch *watch, struct cancel_error *error)
{
	int code = rounds_note_standing(watch, SPOOL_PROCESSED, error);

	rounds_ask(watch, false);
	return code;
}

/* Who waits for one request must not pay for a look at a million others. */
static int pass_over_standing(struct cancel_watch *watch, struct cancel_error *error)
{
	int code = rounds_pass_over(watch, SPOOL_PROCESSED, error);

	if (code == 0)
		code = rounds_pass_over(watch, SPOOL_PENDING, error);
	watch->rounds[SPOOL_ROOT].is_due = watch->options.take_drops;
	return code;
}

static int begin(struct cancel_watch *watch, struct cancel_error *error)
{
	int code = open_descriptors(watch);

	if (code < 0)
		return error_system(error, code, "cannot watch spool '%s'", SPOOL_QUOTE(watch->spool));
	code = begin_to_notice(watch, error);
	if (code == 0)
		code = watch->options.skip_standing ? pass_over_standing(watch, error)
						    : look_at_standing(watch, error);
	/* Last: from here on sleepers rely on what is noticed by now. */
	if (code == 0)
		ringing_keep(watch);
	timer_set(watch, 0);
	return code;
}

int cancel_watch_open(struct cancel_watch **watch, struct cancel_spool *spool,
		      const struct cancel_watch_options *options, struct cancel_error *error)
{
	struct cancel_watch_options defaults;
	struct cancel_watch *opened;
	int code;

	cancel_watch_options_init(&defaults);
	if (!options)
		options = &defaults;
	code = check_options(options, error);
	if (code < 0)
		return code;
	opened = watch_new(spool, options);
	if (!opened)
		return error_system(error, -ENOMEM, "cannot watch spool '%s'", SPOOL_QUOTE(spool));
	code = begin(opened, error);
	if (code < 0) {
		cancel_watch_close(opened);
		return code;
	}
	*watch = opened;
	return 0;
}

void cancel_watch_close(struct cancel_watch *watch)
{
	if (!watch)
		return;
	rounds_close(watch);
	dirwatch_close(&watch->dirwatch);
	file_close(watch->ringer_fd);
	file_close(watch->timer_fd);
	file_close(watch->epoll_fd);
	free(watch);
}
