#include "rows.h"
#include "spaces.h"
#include "struck.h"
#include "watcher_pose.h"
#include "writers.h"

#include "campaign.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	HOUR_S = 3600,
	DAY_S = 24 * HOUR_S,
};

/* --- stopped and killed
 * -------------------------------------------------------------------------------------- */

void play_stopped(struct stage *stage)
{
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		stage_stop(stage);
		stage_publish(stage);
		stage_continue(stage);
		stage_await(stage);
	}
}

/* In the middle of their work; what stands when they are back is told, some of it again. */
void play_killed(struct stage *stage)
{
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		stage_publish(stage);
		stage_kill_watches(stage);
		stage_publish_by_directory(stage);
		stage_restart_watches(stage);
		stage_await(stage);
	}
}

/* --- clocks
 * ---------------------------------------------------------------------------------------------------- */

/* The wall clock of all of the row's processes, and the times of the files that they see, are stepped by a
 * day. */
void play_clock(struct stage *stage)
{
	static const int64_t ahead_s[] = {0, -DAY_S, 0, DAY_S};

	struck_clock_begin();
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		/* The second is seen by a look that began after the first: it knows of the clock as it is
		 * now. */
		stage_round(stage);
		stage_round(stage);
		stage_stop(stage);
		if (campaign_pick(2))
			stage_publish_by_directory(stage);
		if (!struck_clock_set(ahead_s[stage->rounds % 4]))
			return;
		stage_publish(stage);
		stage_change_later(stage);
		stage_continue(stage);
		stage_await(stage);
	}
}

/* Who looks counts the time since the boot from another moment than who asks. */
void play_time_namespace(struct stage *stage)
{
	if (!space_of_time(stage, HOUR_S))
		return;
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage))
		stage_round(stage);
}

/* --- a request at each call of an opening
 * ------------------------------------------------------------------------ */

struct opening {
	struct stage *stage;
	unsigned index;
	uint64_t number;
	char task_id[TASK_ID_SIZE], reason[REASON_SIZE];
	unsigned nth;
	int line_fd;        /* to the row's process */
	atomic_uint *calls; /* of the latest one */
};

/* In the one who opens, in the middle of a call of the library's: the row's process shall publish now. */
static void have_it_published(void *arg)
{
	const struct opening *opening = arg;
	char byte = 0;

	if (write(opening->line_fd, &byte, 1) != 1 || read(opening->line_fd, &byte, 1) != 1)
		_exit(1);
}

/* In the row's process. Nothing comes from one who cannot open. */
static void publish_when_told(const struct opening *opening, int line_fd)
{
	struct letter letter = {opening->task_id, opening->reason};
	struct pollfd fd = {line_fd, POLLIN, 0};
	char byte;

	if (poll(&fd, 1, (int)truth_patience_ms()) != 1 || read(line_fd, &byte, 1) != 1) {
		truth_complain(opening->stage->truth, "'%s' never opens", opening->task_id);
		return;
	}
	opening->stage->truth->records[opening->number % RECORDS].published_ns = truth_now_ns();
	write_by_library(opening->stage, &letter);
	(void)!write(line_fd, &byte, 1);
}

static void end_opening(struct opening *opening)
{
	if (struck_claim())
		have_it_published(opening);
	atomic_store(opening->calls, struck_count());
}

static void on_event(void *arg, const struct cancel_event *event)
{
	const struct opening *opening = arg;

	if (event->type == CANCEL_EVENT_REQUESTED)
		truth_saw(opening->stage->truth, opening->index, event->request->task_id,
			  event->request->reason);
}

static bool is_seen(const struct opening *opening)
{
	return atomic_load(
		       &opening->stage->truth->records[opening->number % RECORDS].seen_ns[opening->index]) !=
	       0;
}

static int open_watch(struct opening *opening, const struct observer *observer)
{
	struct cancel_watch_options options;
	struct cancel_spool_options place;
	struct cancel_spool *spool;
	struct cancel_watch *watch;
	struct cancel_error error = {0, ""};

	stage_spool_options(opening->stage, &place);
	cancel_watch_options_init(&options);
	options.mode = observer->mode;
	options.poll_interval_ms = opening->stage->row->poll_ms;
	options.rescan_interval_ms = opening->stage->row->rescan_ms;
	struck_arm(opening->nth, have_it_published, opening);
	if (cancel_spool_open(&spool, &place, &error) < 0 ||
	    cancel_watch_open(&watch, spool, &options, &error) < 0 ||
	    cancel_watch_dispatch(watch, on_event, opening, &error) < 0) {
		truth_complain(opening->stage->truth, "cannot watch: %s", error.text);
		return 1;
	}
	end_opening(opening);
	while (!is_seen(opening)) {
		struct pollfd fd = {cancel_watch_fd(watch), POLLIN, 0};

		(void)cancel_watch_dispatch(watch, on_event, opening, &error);
		if (!is_seen(opening))
			(void)poll(&fd, 1, -1);
	}
	cancel_watch_close(watch);
	cancel_spool_close(spool);
	return 0;
}

static int begin_task(struct opening *opening, const struct observer *observer)
{
	struct cancel_manager_options options;
	struct cancel_spool_options place;
	struct cancel_manager *manager;
	struct cancel_task *task;
	struct cancel_error error;
	struct cancel_why why;

	stage_spool_options(opening->stage, &place);
	cancel_manager_options_init(&options);
	options.spool = &place;
	options.thread = observer->kind == OBSERVER_THREAD;
	options.notice = observer->notice;
	options.poll_interval_ms = opening->stage->row->look_ms;
	struck_arm(opening->nth, have_it_published, opening);
	if (cancel_manager_open(&manager, &options, &error) < 0 ||
	    cancel_task_begin(&task, manager, opening->task_id, NULL, &error) < 0) {
		truth_complain(opening->stage->truth, "cannot begin: %s", error.text);
		return 1;
	}
	end_opening(opening);
	while (observer->kind == OBSERVER_LOOP && !cancel_task_checkpoint(task))
		(void)poll(NULL, 0, 1);
	(void)cancel_task_wait(task, CANCEL_FOREVER);
	cancel_task_why(task, &why);
	truth_saw(opening->stage->truth, opening->index, opening->task_id,
		  why.request ? why.request->reason : "");
	(void)cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, NULL);
	(void)cancel_manager_close(manager);
	return 0;
}

static void open_once(struct opening *opening)
{
	const struct observer *observer = &opening->stage->row->observers[opening->index];
	int line[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0)
		stage_die("socketpair");
	opening->line_fd = line[1];
	(void)snprintf(opening->task_id, sizeof opening->task_id, "opening-%u-%u", opening->index,
		       opening->stage->once++);
	opening->number = truth_announce(opening->stage->truth, opening->task_id, 1u << opening->index,
					 opening->reason);
	pid = stage_fork();
	if (pid == 0)
		_exit(observer->kind == OBSERVER_WATCH ? open_watch(opening, observer)
						       : begin_task(opening, observer));
	(void)close(line[1]);
	publish_when_told(opening, line[0]);
	(void)close(line[0]);
	stage_await_only(opening->stage);
	/* A watch leaves the request to us. */
	(void)cancel_spool_reset(opening->stage->spool, opening->task_id, NULL, NULL);
	if (atomic_load(&opening->stage->truth->complaints))
		(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* A round: each observer once, at his next call. How many he makes is known by the one before, which has as
 * many but for chance. The first call of all is one by chance, so that short forms differ. */
static bool open_all(struct stage *stage, unsigned nth[OBSERVERS_MAX], unsigned left[OBSERVERS_MAX],
		     atomic_uint *calls)
{
	bool any = false;

	for (unsigned i = 0; i < OBSERVERS_MAX && !atomic_load(&stage->truth->complaints); i++) {
		struct opening opening = {.stage = stage, .index = i, .nth = nth[i], .calls = calls};

		if (!stage->row->observers[i].kind || (nth[i] && !left[i]))
			continue;
		atomic_store(calls, 0);
		open_once(&opening);
		any = true;
		if (!nth[i]) {
			left[i] = atomic_load(calls);
			nth[i] = 1 + campaign_pick(left[i] ? left[i] : 1);
			continue;
		}
		left[i]--;
		nth[i] = nth[i] >= atomic_load(calls) ? 1 : nth[i] + 1;
	}
	return any;
}

/* DESIGN.md, invariants 12, 34 and 37: watch first, then scan; listen, then look, then sleep. */
void play_opening(struct stage *stage)
{
	unsigned nth[OBSERVERS_MAX] = {0}, left[OBSERVERS_MAX] = {0};
	atomic_uint *calls =
		mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pose_fd;

	if (calls == MAP_FAILED)
		stage_die("mmap");
	stage_open(stage);
	/* So that there is a bell; and sleepers, who believe that somebody rings for all, sleep long. */
	stage_publish_for_nobody(stage);
	(void)cancel_spool_reset(stage->spool, "nobody", NULL, NULL);
	pose_fd = watcher_pose(stage->path);
	if (pose_fd < 0)
		truth_complain(stage->truth, "there is no bell");
	/* Who looks for a first violation goes through all of it. */
	while (stage_goes_on(stage) || getenv("CAMPAIGN_FIRST")) {
		if (open_all(stage, nth, left, calls))
			continue;
		if (!campaign_is_long())
			break;
		memset(nth, 0, sizeof nth); /* once more from the start */
	}
	(void)close(pose_fd);
}
