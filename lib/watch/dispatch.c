/* What is due, in its order: the path, the hints, the scans. */
#include "state.h"

#include "clock.h"
#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* So many hints before the scans and the end of a dispatch have their turn: whoever writes without pause must
 * not keep it from returning. */
#define HINTS_MAX 4096

/* The pause between two looks when polling is so many times as long as the last one took, if the options
 * allow. */
#define POLL_PAUSE_FACTOR 4

/* --- staying with the path ---------------------------------------------------------------------------- */

static void must_rescan(struct cancel_watch *watch, const char *why)
{
	struct cancel_error text;

	(void)error_set(&text, 0, "all of spool '%s' was looked at again: %s", SPOOL_QUOTE(watch->spool),
			why);
	(void)snprintf(watch->rescan_why, sizeof watch->rescan_why, "%s", text.text);
}

static void lose_spool(struct cancel_watch *watch, const struct cancel_error *problem)
{
	if (watch->is_lost)
		return;
	watch->is_lost = true;
	rounds_close(watch);
	dirwatch_remove_all(&watch->dirwatch);
	report_text(watch, CANCEL_EVENT_DEGRADED, problem->text);
}

static void find_spool(struct cancel_watch *watch)
{
	struct cancel_error text;

	watch->is_lost = false;
	(void)error_set(&text, 0, "spool '%s' is there again", SPOOL_QUOTE(watch->spool));
	report_text(watch, CANCEL_EVENT_RESTORED, text.text);
}

/* Where the path leads is the spool. Whoever holds a directory open is not told that it was removed, and
 * nobody is told that a parent was moved or mounted over, so it is compared each time. */
static void stay_with_path(struct cancel_watch *watch)
{
	bool was_lost = watch->is_lost, is_gone = watch->is_gone, is_other;
	struct cancel_error problem;

	if (spool_enter(watch->spool, &problem) < 0) {
		lose_spool(watch, &problem);
		return;
	}
	is_other = directories_follow(watch);
	if (is_other || was_lost || is_gone)
		notice_renew(watch);
	spool_leave(watch->spool);
	watch->is_gone = false;
	if (!is_other && !was_lost && !is_gone)
		return;
	if (was_lost)
		find_spool(watch);
	rounds_ask(watch, true);
	must_rescan(watch, is_other   ? "another directory stands in place of it or of one in it"
			   : was_lost ? "it was away"
				      : "a directory of it was moved, removed or unmounted");
}

/* --- hints -------------------------------------------------------------------------------------------- */

static int take_hint(struct cancel_watch *watch, const struct dirwatch_event *event,
		     struct cancel_error *error)
{
	switch (event->hint) {
	case DIRWATCH_NAME:
		return name_of_file(event->name) ? look_at(watch, event->dir, event->name, error) : 0;
	case DIRWATCH_OVERFLOWED:
		/* What was dropped came after the last scan began, so its watermark holds. */
		rounds_ask(watch, true);
		must_rescan(watch, "inotify's queue overflowed (fs.inotify.max_queued_events)");
		return 0;
	case DIRWATCH_GONE:
		watch->is_gone = true;
		return 0;
	case DIRWATCH_OTHER:
		break;
	}
	return 0;
}

static int take_hints(struct cancel_watch *watch, struct cancel_error *error)
{
	struct dirwatch_event event;
	int code;

	for (int i = 0; i < HINTS_MAX; i++) {
		if (is_interrupted(watch))
			return PROGRESS_STOPPED;
		code = dirwatch_next(&watch->dirwatch, &event);
		if (code < 0)
			return error_system(error, code, "cannot read what inotify tells of spool '%s'",
					    SPOOL_QUOTE(watch->spool));
		if (code == 0)
			return PROGRESS_DONE;
		code = take_hint(watch, &event, error);
		if (code < 0)
			return code;
	}
	return PROGRESS_MORE;
}

/* --- what is due -------------------------------------------------------------------------------------- */

struct turn {
	int64_t begun_ms;
	bool is_tick, is_rescan, is_poll;
};

static void begin_turn(struct cancel_watch *watch, struct turn *turn)
{
	uint64_t expirations;

	(void)!read(watch->timer_fd, &expirations, sizeof expirations);
	if (watch->is_deaf)
		notice_listen(watch, true);
	watch->is_deaf = false;
	turn->begun_ms = clock_monotonic_ms();
	turn->is_tick = turn->begun_ms >= watch->schedule.tick_ms;
	turn->is_rescan = turn->begun_ms >= watch->schedule.rescan_ms;
	turn->is_poll = watch->notice.by_polling && turn->begun_ms >= watch->schedule.poll_ms;
	rounds_note_clock(watch);
}

static void try_inotify_again(struct cancel_watch *watch)
{
	if (spool_enter(watch->spool, NULL) < 0)
		return;
	notice_renew(watch);
	spool_leave(watch->spool);
}

/* The slow rescan passes over a directory that seems unchanged only where inotify tells of what changes
 * inside its files. Never over that of the drops, which is small: what kept a drop from being taken in may be
 * gone. */
static void ask_for_scans(struct cancel_watch *watch, const struct turn *turn)
{
	/* Before the scans: what comes in between is noticed by both. */
	if (turn->is_rescan && watch->notice.is_degraded)
		try_inotify_again(watch);
	if (turn->is_rescan)
		rounds_ask(watch, !watch->notice.by_inotify);
	if (turn->is_rescan)
		watch->rounds[SPOOL_ROOT].is_forced = true;
	if (turn->is_poll)
		rounds_ask(watch, false);
	if (turn->is_tick)
		rounds_ask_left(watch);
}

static int look_everywhere(struct cancel_watch *watch, struct cancel_error *error)
{
	int hints, scans;

	do {
		stay_with_path(watch);
		if (watch->is_lost)
			return PROGRESS_DONE;
		notice_tell(watch);
		hints = take_hints(watch, error);
		if (hints < 0 || hints == PROGRESS_STOPPED)
			return hints;
		scans = watch->is_gone ? PROGRESS_MORE : rounds_go_on(watch, error);
		if (scans < 0 || scans == PROGRESS_STOPPED)
			return scans;
	} while (scans == PROGRESS_MORE);
	if (watch->rescan_why[0])
		report_text(watch, CANCEL_EVENT_RESCANNED, watch->rescan_why);
	watch->rescan_why[0] = '\0';
	return hints;
}

static int take_turn(struct cancel_watch *watch, const struct turn *turn, struct cancel_error *error)
{
	int code;

	stay_with_path(watch);
	if (watch->is_lost)
		return PROGRESS_DONE;
	if (turn->is_tick)
		ringing_keep(watch);
	ask_for_scans(watch, turn);
	notice_tell(watch);
	code = turn->is_tick ? look_again(watch, error) : 0;
	if (code == 0)
		code = look_everywhere(watch, error);
	if (code >= 0)
		return code;
	/* If it failed because the spool is gone, that is told as an event. */
	stay_with_path(watch);
	return watch->is_lost ? PROGRESS_DONE : code;
}

/* --- when to go on ------------------------------------------------------------------------------------ */

static int64_t lower(int64_t one, int64_t other)
{
	return one < other ? one : other;
}

/* Soon after something happened, ever later while nothing does. */
static void pause_polling(struct cancel_watch *watch, const struct turn *turn, int64_t now_ms)
{
	int64_t pause_ms = watch->count ? POLL_PAUSE_MS : 2 * watch->schedule.poll_pause_ms;
	int64_t least_ms = POLL_PAUSE_FACTOR * (now_ms - turn->begun_ms);

	watch->schedule.poll_pause_ms = lower(pause_ms, watch->options.poll_interval_ms);
	pause_ms = pause_ms > least_ms ? pause_ms : least_ms;
	watch->schedule.poll_ms = now_ms + lower(pause_ms, watch->options.poll_interval_ms);
}

static void end_turn(struct cancel_watch *watch, const struct turn *turn, int code)
{
	struct schedule *schedule = &watch->schedule;
	int64_t now_ms = clock_monotonic_ms();

	if (turn->is_tick)
		schedule->tick_ms = now_ms + TICK_MS;
	if (turn->is_rescan)
		schedule->rescan_ms = now_ms + watch->options.rescan_interval_ms;
	if (turn->is_poll)
		pause_polling(watch, turn, now_ms);
	if (code < 0) {
		/* Hints that wait would ask for another try at once, again and again. */
		watch->is_deaf = true;
		notice_listen(watch, false);
		timer_set(watch, now_ms + TICK_MS);
	} else if (code != PROGRESS_DONE || dirwatch_has_more(&watch->dirwatch)) {
		timer_set(watch, 0);
	} else if (watch->notice.by_polling && !watch->is_lost) {
		timer_set(watch, lower(schedule->tick_ms, schedule->poll_ms));
	} else {
		timer_set(watch, schedule->tick_ms);
	}
}

int cancel_watch_dispatch(struct cancel_watch *watch, cancel_watch_event *on_event, void *arg,
			  struct cancel_error *error)
{
	struct turn turn;
	int code;

	watch->on_event = on_event;
	watch->arg = arg;
	watch->count = 0;
	begin_turn(watch, &turn);
	code = take_turn(watch, &turn, error);
	end_turn(watch, &turn, code);
	return code < 0 ? code : watch->count;
}
