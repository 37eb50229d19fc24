/**
 * Watch a spool: one descriptor to poll, one call to dispatch.
 *
 *     cancel_watch_open(&watch, spool, NULL, &error);
 *     poll({cancel_watch_fd(watch), POLLIN}, ...);
 *     cancel_watch_dispatch(watch, on_event, arg, &error);
 *
 * Behind it is inotify or polling, chosen by filesystem and limits. Events are hints: every report comes
 * from looking at the spool. A slow rescan always runs underneath.
 *
 * Each request that stands is reported at least once by each watch; the first dispatch reports what is
 * pending already. Memory does not grow with the spool: what was reported is known by the change time of
 * its file, against the time of the last scan, and by a table of fixed size of the latest requests. The
 * price: a request may be reported twice when its file is looked at again after more than
 * CANCEL_WATCH_SEEN others were reported (that many came between two scans, its terms grew late, or the
 * clock was set back); and a request that is decided and asked anew faster than the watch looks is
 * reported as its latest. A decision may be reported without the request before it.
 */
#ifndef CANCEL_WATCH_H
#define CANCEL_WATCH_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/request.h>
#include <cancel/spool.h>

#include <stdbool.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

#define CANCEL_WATCH_SEEN 65536 /* requests remembered as reported, at least; 2 MiB in all */

/* How to notice. */
enum cancel_watch_mode {
	CANCEL_WATCH_AUTO,    /* inotify where it works, else polling */
	CANCEL_WATCH_INOTIFY, /* inotify; opening fails where it cannot be had */
	CANCEL_WATCH_POLL,
};

struct cancel_watch_options {
	enum cancel_watch_mode mode;
	int64_t poll_interval_ms;   /* the longest pause between two looks when polling: 10 ms to 1 hour */
	int64_t rescan_interval_ms; /* the slow rescan, and how often inotify is tried again: 1 s to 24 h */
	bool take_drops;            /* take in drops, and report them */
	/* Do not report what is pending at the start. If its file changes later it may be reported then. */
	bool skip_standing;
	/* Ring the bell for requests that programs publish which know no bell, and let sleepers know that somebody does, so
	 * that they look less often themselves. */
	bool rings;
};

/* Auto, 1 s, 30 s, no drops, report what stands, ring for nobody. */
CANCEL_API void cancel_watch_options_init(struct cancel_watch_options *options);

enum cancel_event_type {
	CANCEL_EVENT_REQUESTED, /* a request stands, or stood until a moment ago: `request` */
	CANCEL_EVENT_DECIDED,   /* a request was decided: `request`, with its outcome */
	CANCEL_EVENT_DROPPED,   /* a drop was taken in: `file`, `request`, and `text` if it was malformed;
	                           REQUESTED follows if it is new */
	CANCEL_EVENT_REFUSED,   /* something in a request's place is none, or cannot be read: `file`,
	                           `text`; once for each version of the file */
	CANCEL_EVENT_DEGRADED,  /* from inotify to polling, or the spool is gone: `text` says why */
	CANCEL_EVENT_RESTORED,  /* back to inotify, or the spool is there again: `text` */
	CANCEL_EVENT_RESCANNED, /* events were lost, or the directory was replaced, and all was looked at
	                           again: `text` says why */
};

struct cancel_event {
	enum cancel_event_type type;
	int64_t time_us;                      /* when it was noticed, wall clock */
	const struct cancel_request *request; /* or NULL */
	const char *file;                     /* relative to the spool, not escaped; or NULL */
	const char *text;                     /* one sentence, escaped; or NULL */
};

/**
 * Called for each event, from cancel_watch_dispatch, in its thread. Everything in `event` is borrowed for
 * the call. It may use the spool, but not the watch.
 */
typedef void cancel_watch_event(void *arg, const struct cancel_event *event);

struct cancel_watch;

/**
 * Begin to watch.
 *
 * @param watch    Set on success; left alone on failure.
 * @param spool    Borrowed until the watch is closed.
 * @param options  Borrowed for the call. NULL: the defaults.
 *
 * @return 0, or
 *         -EINVAL  an option out of range;
 *         -ENOTSUP CANCEL_WATCH_INOTIFY on a filesystem where inotify is blind;
 *         -EMFILE, -ENFILE, -ENOSPC, -ENOMEM, ...  as the system says; with CANCEL_WATCH_AUTO, having no
 *                  inotify instance or watch left means polling, and DEGRADED is the first event.
 *
 * What was decided before this returns is not reported, unless it stands in a directory that takes the
 * place of this one later; what is decided after it is reported.
 *
 * Blocks on the filesystem. Any thread.
 */
CANCEL_API int cancel_watch_open(struct cancel_watch **watch, struct cancel_spool *spool,
				 const struct cancel_watch_options *options, struct cancel_error *error);

/**
 * Stop watching and free the watch. NULL is fine. Does not block.
 */
CANCEL_API void cancel_watch_close(struct cancel_watch *watch);

/**
 * The descriptor to poll for POLLIN: readable when cancel_watch_dispatch has something to do. It stays the
 * same until the watch is closed; it belongs to the watch; do nothing with it but poll, select or epoll.
 *
 * Any thread, any signal handler.
 */
CANCEL_API int cancel_watch_fd(const struct cancel_watch *watch);

/**
 * Do what is due and report events. Returns at once when nothing is.
 *
 * When the spool is gone, DEGRADED says so once, and nothing fails: the watch goes on when it is back.
 *
 * @return The number of events reported, 0 or more, or a negative errno: the watch could not look. It
 *         stays usable, tries again on the next dispatch, and misses nothing; the descriptor asks for that
 *         after a second. Events may have been reported before it failed.
 *
 * Blocks on the filesystem. One thread at a time.
 */
CANCEL_API int cancel_watch_dispatch(struct cancel_watch *watch, cancel_watch_event *on_event, void *arg,
				     struct cancel_error *error);

/**
 * Make the dispatch that is running, or else the next one, return early. What it had still to do the next
 * one does; the descriptor is readable until then.
 *
 * For whoever must stop soon, while a dispatch is looking at a million requests: call it from a signal
 * handler or another thread. The look at one entry is not cut short.
 *
 * Does not block. Any thread, any signal handler, while the watch is open.
 */
CANCEL_API void cancel_watch_interrupt(struct cancel_watch *watch);

/**
 * Which way of noticing works now, CANCEL_WATCH_INOTIFY or CANCEL_WATCH_POLL, and why.
 *
 * @param why  Set to one sentence; lives until the next dispatch. May be NULL.
 */
CANCEL_API enum cancel_watch_mode cancel_watch_mode(const struct cancel_watch *watch, const char **why);

/**
 * The word for a mode or an event, as programs write it; "unknown" outside the enumeration.
 *
 * @return A static string. Any thread, any signal handler.
 */
CANCEL_API const char *cancel_watch_mode_text(enum cancel_watch_mode mode);
CANCEL_API const char *cancel_event_text(enum cancel_event_type type);

CANCEL_END_DECLS

#endif
