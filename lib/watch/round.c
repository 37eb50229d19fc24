/* Scanning the directories: all that is there at the start, and later what came since the last scan. */
#include "state.h"

#include "clock.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>

/* Between two looks at the hints: a new request must not wait for the end of a scan of a million. */
#define SLICE 1024

const enum spool_dir watched_dirs[WATCHED_COUNT] = {SPOOL_PENDING, SPOOL_PROCESSED, SPOOL_ROOT};

bool is_watched(const struct cancel_watch *watch, enum spool_dir dir)
{
	return dir == SPOOL_PENDING || dir == SPOOL_PROCESSED ||
	       (dir == SPOOL_ROOT && watch->options.take_drops);
}

static void stop(struct round *round)
{
	scan_close(&round->scan);
	round->is_running = false;
}

/* It does not get to the end, so the next one begins where it did. */
static void abandon(struct round *round)
{
	if (!round->is_running)
		return;
	stop(round);
	if (round->from_ns < round->left_ns)
		round->left_ns = round->from_ns;
	round->is_due = round->is_forced = true;
}

void rounds_init(struct cancel_watch *watch)
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		watch->rounds[i].left_ns = INT64_MAX;
}

void rounds_close(struct cancel_watch *watch)
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		abandon(&watch->rounds[i]);
}

void rounds_ask(struct cancel_watch *watch, bool is_forced)
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++) {
		if (!is_watched(watch, (enum spool_dir)i))
			continue;
		watch->rounds[i].is_due = true;
		watch->rounds[i].is_forced |= is_forced;
	}
}

void round_forget(struct cancel_watch *watch, enum spool_dir dir)
{
	abandon(&watch->rounds[dir]);
	watch->rounds[dir].known.is_set = false;
}

void rounds_ask_left(struct cancel_watch *watch)
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		if (watch->rounds[i].left_ns != INT64_MAX)
			watch->rounds[i].is_due = true;
}

void rounds_note_clock(struct cancel_watch *watch)
{
	int64_t realtime_ns = clock_realtime_us() * NS_PER_US, boottime_ns = clock_boottime_ns();

	for (int i = 0; i < SPOOL_DIR_COUNT; i++) {
		watermark_note_clock(&watch->rounds[i].known, realtime_ns, boottime_ns);
		watermark_note_clock(&watch->rounds[i].beginning, realtime_ns, boottime_ns);
	}
}

/* --- beginning ---------------------------------------------------------------------------------------- */

static int64_t time_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

static int read_moment(const struct cancel_spool *spool, enum spool_dir dir, struct moment *now,
		       struct cancel_error *error)
{
	struct stat stat;

	if (fstat(spool->fds[dir], &stat) < 0)
		return error_system(error, -errno, "cannot look at spool '%s'", SPOOL_QUOTE(spool));
	*now = (struct moment){
		.ctime_ns = time_ns(&stat.st_ctim),
		.realtime_ns = clock_realtime_us() * NS_PER_US,
		.boottime_ns = clock_boottime_ns(),
		.is_local = spool->filesystem.notice == NOTICE_LOCAL,
	};
	return 0;
}

/* Drops are taken out of the directory, so what is there is always to be looked at. */
static int64_t begins_from(const struct round *round, enum spool_dir dir, const struct moment *now)
{
	int64_t from_ns = dir == SPOOL_ROOT ? INT64_MIN : watermark_from(&round->known, now);

	return round->left_ns < from_ns ? round->left_ns : from_ns;
}

/* Between spool_enter and spool_leave: the directory that is scanned is the one whose time was read. */
static int begin_entered(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error)
{
	struct round *round = &watch->rounds[dir];
	struct moment now;
	int code = read_moment(watch->spool, dir, &now, error);

	if (code < 0)
		return code;
	if (!round->is_forced && round->left_ns == INT64_MAX && watermark_is_unchanged(&round->known, &now)) {
		round->is_due = false;
		return 0;
	}
	code = scan_open(&round->scan, watch->spool, dir, error);
	if (code < 0)
		return code;
	round->from_ns = begins_from(round, dir, &now);
	round->left_ns = INT64_MAX;
	watermark_begin(&round->beginning, &now);
	round->is_running = true;
	round->is_due = round->is_forced = false;
	return 0;
}

static int begin(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error)
{
	int code = spool_enter(watch->spool, error);

	if (code < 0)
		return code;
	code = begin_entered(watch, dir, error);
	spool_leave(watch->spool);
	return code;
}

/* --- going on ----------------------------------------------------------------------------------------- */

static int end(struct cancel_watch *watch, enum spool_dir dir, int code, struct cancel_error *error)
{
	struct round *round = &watch->rounds[dir];

	if (code == 0) {
		stop(round);
		round->known = round->beginning;
		return round->is_due ? PROGRESS_MORE : PROGRESS_DONE; /* asked for again meanwhile */
	}
	abandon(round);
	return error_system(error, code, "cannot list spool '%s'", SPOOL_QUOTE(watch->spool));
}

static bool is_old(const struct round *round, const char *file)
{
	struct stat stat;

	if (round->from_ns == INT64_MIN)
		return false;
	if (fstatat(round->scan.fd, file, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return time_ns(&stat.st_ctim) < round->from_ns;
}

static int slice(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error)
{
	struct round *round = &watch->rounds[dir];
	const char *file;
	int code = 0, ended = 0;

	for (int i = 0; code == 0 && i < SLICE; i++) {
		if (is_interrupted(watch))
			return PROGRESS_STOPPED;
		file = scan_next(&round->scan, &ended);
		if (!file)
			return end(watch, dir, ended, error);
		if (name_of_file(file) && !is_old(round, file))
			code = look_at(watch, dir, file, error);
	}
	return code < 0 ? code : PROGRESS_MORE;
}

static int go_on(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error)
{
	struct round *round = &watch->rounds[dir];
	int code = 0;

	if (round->is_due && !round->is_running)
		code = begin(watch, dir, error);
	return code == 0 && round->is_running ? slice(watch, dir, error) : code;
}

int rounds_go_on(struct cancel_watch *watch, struct cancel_error *error)
{
	int code = 0;

	for (int i = 0; code == 0 && i < WATCHED_COUNT; i++)
		code = go_on(watch, watched_dirs[i], error);
	return code;
}

/* --- at the start ------------------------------------------------------------------------------------- */

/* Nothing is known yet, but what changed long before now need not be opened: no later scan goes back to it,
 * unless the filesystem's clock is a server's, whose steps reach as far back as the scans are apart. */
static void know_the_past(struct cancel_watch *watch, enum spool_dir dir, const struct moment *now)
{
	struct watermark *known = &watch->rounds[dir].known;

	watermark_begin(known, now);
	if (!now->is_local)
		known->from_ns -= watch->options.rescan_interval_ms * NS_PER_MS;
}

int rounds_pass_over(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error)
{
	struct moment now = {0};
	int code;

	spool_enter_unchecked(watch->spool);
	code = read_moment(watch->spool, dir, &now, error);
	spool_leave(watch->spool);
	if (code == 0)
		know_the_past(watch, dir, &now);
	return code;
}

int rounds_note_standing(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error)
{
	struct round *round = &watch->rounds[dir];
	int code = rounds_pass_over(watch, dir, error);

	if (code < 0 || round->known.is_quiet)
		return code;
	round->is_due = watch->is_mute = true;
	do
		code = go_on(watch, dir, error);
	while (code == PROGRESS_MORE);
	watch->is_mute = false;
	return code;
}
