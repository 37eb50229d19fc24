/* A watch, as the files of this folder share it. */
#ifndef WATCH_STATE_H
#define WATCH_STATE_H

#include "dirwatch.h"
#include "later.h"
#include "scan.h"
#include "seen.h"
#include "watermark.h"

#include <cancel/watch.h>

#include <stdatomic.h>

#define POLL_PAUSE_MS 10   /* the shortest pause between two looks when polling */
#define TICK_MS       1000 /* how often the path is compared, and names of `later` are looked at */

/* What a step of a dispatch returns besides a negative errno. */
enum progress {
	PROGRESS_DONE = 0,
	PROGRESS_STOPPED = 1, /* cancel_watch_interrupt: the rest comes with the next dispatch */
	PROGRESS_MORE = 2,    /* a slice of the work was done */
};

/* One directory, scanned again and again. */
struct round {
	bool is_due;
	bool is_forced;  /* even if the directory seems unchanged */
	bool is_running; /* begun and not at its end; goes on with the next slice */
	struct scan scan;
	int64_t from_ns; /* files that changed before that are passed over */
	int64_t left_ns; /* the next one begins at that one at the latest: `later` had no room for it */
	struct watermark known;     /* by the last one that went to its end */
	struct watermark beginning; /* by this one, if it does */
};

/* How it is noticed that something changed. */
struct notice {
	bool by_inotify;  /* meant to, even while the spool is gone */
	bool by_polling;  /* both where nothing is known of the filesystem */
	bool is_degraded; /* inotify is wanted, and cannot be had */
	bool is_untold;   /* DEGRADED or RESTORED is still to be reported */
	char why[CANCEL_ERROR_TEXT_MAX];
};

/* When to do what, by CLOCK_MONOTONIC. */
struct schedule {
	int64_t tick_ms, rescan_ms, poll_ms;
	int64_t poll_pause_ms;
};

struct cancel_watch {
	struct cancel_spool *spool;
	struct cancel_watch_options options;
	atomic_bool interrupted;
	int epoll_fd, timer_fd;
	int ringer_fd; /* as long as it is open, sleepers know that we ring for others; negative: they do not */

	struct dirwatch dirwatch;
	struct notice notice;
	struct schedule schedule;
	struct round rounds[SPOOL_DIR_COUNT];
	struct later later;
	struct seen seen;

	/* The directories that are watched; the spool opens others by itself when the path leads there. */
	dev_t device;
	ino_t inodes[SPOOL_DIR_COUNT];
	bool is_gone; /* inotify said that a directory was removed, moved or unmounted */
	bool is_lost; /* nothing usable stands at the path */
	bool is_deaf; /* the descriptor does not tell of hints, until the next dispatch */
	int64_t locked_until_ms; /* somebody holds a lock of the spool, perhaps all of them: none is waited for before this */
	char rescan_why[CANCEL_ERROR_TEXT_MAX]; /* not empty: report RESCANNED when all rounds are done */

	/* During a dispatch. */
	cancel_watch_event *on_event;
	void *arg;
	int count;
	int64_t opened_ns; /* CLOCK_BOOTTIME */
	bool is_mute; /* what stands at the start is noted and not reported */
};

/* The directories that are watched, in the order of their rounds: a request before its decision. */
#define WATCHED_COUNT 3
extern const enum spool_dir watched_dirs[WATCHED_COUNT];
bool is_watched(const struct cancel_watch *watch, enum spool_dir dir);

/* True once for each cancel_watch_interrupt. */
bool is_interrupted(struct cancel_watch *watch);

/* watch.c: let the descriptor tell at a time of CLOCK_MONOTONIC, or at once when that is past. */
void timer_set(const struct cancel_watch *watch, int64_t time_ms);
/* Between spool_enter and spool_leave: the directories that the spool has now are those that are watched. Of
 * those that are others nothing is known; says whether there are any. */
bool directories_follow(struct cancel_watch *watch);

/* report.c: tell the caller. The spool is not held meanwhile. */
void report_request(struct cancel_watch *watch, enum cancel_event_type type,
		    const struct cancel_request *request);
void report_drop(struct cancel_watch *watch, const char *file, const struct cancel_request *request);
void report_refusal(struct cancel_watch *watch, enum spool_dir dir, const char *file, const struct stat *stat,
		    const char *text);
void report_text(struct cancel_watch *watch, enum cancel_event_type type, const char *text);

/* look.c: look at one name and report what is new. A failure means that nothing can be looked at now; the
 * name is looked at again. */
int look_at(struct cancel_watch *watch, enum spool_dir dir, const char *file, struct cancel_error *error);
/* Those that were to be looked at again. */
int look_again(struct cancel_watch *watch, struct cancel_error *error);

/* round.c: scans. */
void rounds_init(struct cancel_watch *watch);
void rounds_close(struct cancel_watch *watch);
/* Let all directories be scanned; forced ones even if they seem unchanged. */
void rounds_ask(struct cancel_watch *watch, bool is_forced);
/* A directory is another one now: nothing is known of it. */
void round_forget(struct cancel_watch *watch, enum spool_dir dir);
/* Let those be scanned that hold names which `later` had no room for. */
void rounds_ask_left(struct cancel_watch *watch);
void rounds_note_clock(struct cancel_watch *watch);
/* Do a part of what is asked for. */
int rounds_go_on(struct cancel_watch *watch, struct cancel_error *error);
/* Know a directory from now on, as if what is in it had been told. */
int rounds_pass_over(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error);
/* The same, and look which of the latest may yet be told by an event. */
int rounds_note_standing(struct cancel_watch *watch, enum spool_dir dir, struct cancel_error *error);

/* ringing.c. Hold the bell's lock for ringers, if it is to be had. The spool is not held. */
void ringing_keep(struct cancel_watch *watch);
/* Ring for a request that somebody may have published without. */
void ringing_tell(struct cancel_watch *watch, const struct cancel_request *request);

/* notice.c: inotify or polling. All but notice_tell and notice_listen: after spool_enter. */
int notice_begin(struct cancel_watch *watch, struct cancel_error *error);
/* Watch the directories that the spool has now, or try again what could not be had. */
void notice_renew(struct cancel_watch *watch);
/* Report a change of the way of noticing, once. */
void notice_tell(struct cancel_watch *watch);
/* Let the watch's descriptor tell of hints, or not: after a failure the timer says when to go on. */
void notice_listen(struct cancel_watch *watch, bool listens);

#endif
