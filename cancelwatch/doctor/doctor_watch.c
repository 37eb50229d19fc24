/* Noticing. */
#include "doctor.h"
#include "inotify_use.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SCARCE_INSTANCES 8
#define GRACE_MS         5000 /* what a round trip may take beyond the polling interval */
#define TRIAL_EXPIRES_S  60   /* if we are killed before we take it away */
#define TRIAL_PREFIX     "cancelwatch-doctor-"

void check_inotify(struct doctor *doctor, struct finding *finding)
{
	struct inotify_use use;
	int64_t free_instances;

	(void)doctor;
	inotify_use_read(&use, geteuid());
	if (use.instances_max < 0) {
		finding_set(finding, LEVEL_WARNING, "its limits cannot be read in /proc/sys/fs/inotify");
		return;
	}
	free_instances = use.instances_max - use.instances;
	finding_set(finding, free_instances < SCARCE_INSTANCES ? LEVEL_WARNING : LEVEL_OK,
		    "this user has %" PRId64 " of %" PRId64 " instances and %" PRId64 " of %" PRId64
		    " watches in use; a queue holds %" PRId64 " events%s",
		    use.instances, use.instances_max, use.watches, use.watches_max, use.queue_max,
		    use.unreadable == 0 ? "" : "; some processes could not be looked into");
	if (finding->level != LEVEL_OK)
		finding_remedy(finding, "raise it: sysctl fs.inotify.max_user_instances=%" PRId64,
			       use.instances_max * 4);
}

void check_watch(struct doctor *doctor, struct finding *finding)
{
	enum cancel_watch_mode mode;
	const char *why = NULL;

	if (doctor->watch == NULL) {
		finding_set(finding, LEVEL_PROBLEM, "%s", doctor->watch_error.text);
		finding_remedy(finding, "set watch.mode to auto or poll");
		return;
	}
	mode = cancel_watch_mode(doctor->watch, &why);
	finding_set(finding, LEVEL_OK, "by %s%s%s", cancel_watch_mode_text(mode), why == NULL ? "" : ": ",
		    why == NULL ? "" : why);
	if (mode == CANCEL_WATCH_POLL && doctor->config.watch.mode != CANCEL_WATCH_POLL) {
		finding->level = LEVEL_WARNING;
		finding_remedy(finding,
			       "a request is noticed after up to %" PRId64
			       " ms (watch.poll_interval); see 'filesystem' and 'inotify'",
			       doctor->config.watch.poll_interval_ms);
	}
}

struct trial {
	char task_id[sizeof TRIAL_PREFIX + 16];
	bool noticed;
	int64_t noticed_ns;
};

static int64_t monotonic_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void on_event(void *arg, const struct cancel_event *event)
{
	struct trial *trial = arg;

	if (event->type != CANCEL_EVENT_REQUESTED || trial->noticed ||
	    strcmp(event->request->task_id, trial->task_id) != 0)
		return;
	trial->noticed_ns = monotonic_ns();
	trial->noticed = true;
}

static int await(struct doctor *doctor, struct trial *trial, int64_t timeout_ms, struct cancel_error *error)
{
	int64_t end_ns = monotonic_ns() + timeout_ms * 1000000;
	struct pollfd polled = {.fd = cancel_watch_fd(doctor->watch), .events = POLLIN};

	while (!trial->noticed) {
		int64_t left_ms = (end_ns - monotonic_ns()) / 1000000;

		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (poll(&polled, 1, (int)left_ms) <= 0)
			continue;
		if (cancel_watch_dispatch(doctor->watch, on_event, trial, error) < 0)
			return error->code;
	}
	return 0;
}

static int publish(struct doctor *doctor, const struct trial *trial, struct cancel_error *error)
{
	struct cancel_request request;
	int result;

	cancel_request_init(&request);
	request.task_id = trial->task_id;
	request.reason = "a round trip measured by cancelwatch doctor";
	request.expires_in_s = TRIAL_EXPIRES_S;
	result = cancel_spool_request(doctor->spool, &request, NULL, error);
	cancel_request_clear(&request);
	return result;
}

void check_round_trip(struct doctor *doctor, struct finding *finding)
{
	int64_t timeout_ms = doctor->config.watch.poll_interval_ms + GRACE_MS;
	struct cancel_error error = {0};
	struct trial trial = {.noticed = false};
	uint64_t number = 0;
	int64_t start_ns;
	int result;

	(void)!getrandom(&number, sizeof number, 0);
	(void)snprintf(trial.task_id, sizeof trial.task_id, TRIAL_PREFIX "%016" PRIx64, number);
	/* The first look is at all that stands already, and would be measured with the rest. */
	(void)cancel_watch_dispatch(doctor->watch, on_event, &trial, &error);
	start_ns = monotonic_ns();
	result = publish(doctor, &trial, &error);
	if (result >= 0)
		result = await(doctor, &trial, timeout_ms, &error);
	if (result == -ETIMEDOUT && !trial.noticed && error.code != -ETIMEDOUT)
		finding_set(finding, LEVEL_PROBLEM,
			    "a request was published but not noticed within %" PRId64 " ms", timeout_ms);
	else if (result < 0)
		finding_set(finding, LEVEL_PROBLEM, "%s", error.text);
	else
		finding_set(finding, LEVEL_OK, "a request was published and noticed in %" PRId64 " us",
			    (trial.noticed_ns - start_ns) / 1000);
	if (cancel_spool_reset(doctor->spool, trial.task_id, NULL, &error) < 0 && finding->level == LEVEL_OK)
		finding_set(finding, LEVEL_PROBLEM, "%s", error.text);
}
