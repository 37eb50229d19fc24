/* cancel_watch in a process of its own. */
#include "observers.h"

#include <poll.h>
#include <stdlib.h>

struct eye {
	struct stage *stage;
	unsigned index;
};

static void on_event(void *arg, const struct cancel_event *event)
{
	const struct eye *eye = arg;
	struct truth *truth = eye->stage->truth;

	(void)atomic_fetch_add(&truth->observers[eye->index].events[event->type], 1);
	if (event->type == CANCEL_EVENT_REQUESTED)
		truth_saw(truth, eye->index, event->request->task_id, event->request->reason);
	else if (event->type == CANCEL_EVENT_REFUSED)
		truth_complain(truth, "'%s' is refused: %s", event->file, event->text);
}

static struct cancel_watch *open_watch(const struct stage *stage, unsigned index)
{
	struct cancel_watch_options options;
	struct cancel_spool_options place;
	struct cancel_spool *spool;
	struct cancel_watch *watch;
	struct cancel_error error;

	stage_spool_options(stage, &place);
	cancel_watch_options_init(&options);
	options.mode = stage->row->observers[index].mode;
	options.poll_interval_ms = stage->row->poll_ms;
	options.rescan_interval_ms = stage->row->rescan_ms;
	options.take_drops = true;
	if (cancel_spool_open(&spool, &place, &error) < 0 ||
	    cancel_watch_open(&watch, spool, &options, &error) < 0) {
		truth_complain(stage->truth, "cannot watch: %s", error.text);
		exit(1);
	}
	return watch;
}

void observe_by_watch(struct stage *stage, unsigned index)
{
	struct cancel_watch *watch = open_watch(stage, index);
	struct eye eye = {stage, index};
	struct cancel_error error;

	/* What can go wrong while the spool is being replaced goes right at another try. */
	for (;;) {
		struct pollfd fd = {cancel_watch_fd(watch), POLLIN, 0};

		(void)cancel_watch_dispatch(watch, on_event, &eye, &error);
		atomic_store(&stage->truth->observers[index].ready, true);
		(void)poll(&fd, 1, -1);
	}
}
