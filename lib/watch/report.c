#include "state.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

#define PATH_SIZE (sizeof DIR_PROCESSED "/" + 256)

static void report(struct cancel_watch *watch, struct cancel_event *event)
{
	if (watch->is_mute)
		return;
	event->time_us = clock_realtime_us();
	watch->count++;
	watch->on_event(watch->arg, event);
}

void report_text(struct cancel_watch *watch, enum cancel_event_type type, const char *text)
{
	struct cancel_event event = {.type = type, .text = text};

	report(watch, &event);
}

/* With the task's name, because a foreign program may write one id into all its requests. Of a group's request there is a
 * record for each run that it stopped. */
static uint64_t request_key(const struct cancel_watch *watch, const struct cancel_request *request)
{
	uint64_t run = request->group ? (uint64_t)request->processed_boottime_ns : 0;
	char name[NAME_SIZE];

	name_encode(name, request->task_id, request->run);
	return seen_key(&watch->seen, name, request->request_id, run);
}

/* Made while we watched: what was decided before we could look was requested too. Of older ones the table may have
 * forgotten that it was told. */
static bool is_of_our_time(const struct cancel_watch *watch, const struct cancel_request *request)
{
	return !request->group && !strcmp(request->boot_id, clock_boot_id()) && request->boottime_ns >= watch->opened_ns;
}

void report_request(struct cancel_watch *watch, enum cancel_event_type type,
		    const struct cancel_request *request)
{
	struct cancel_event requested = {.type = CANCEL_EVENT_REQUESTED, .request = request};
	struct cancel_event decided = {.type = CANCEL_EVENT_DECIDED, .request = request};
	uint64_t key = request_key(watch, request);

	if ((type == CANCEL_EVENT_REQUESTED || is_of_our_time(watch, request)) &&
	    seen_note(&watch->seen, key, SEEN_REQUESTED)) {
		if (type == CANCEL_EVENT_REQUESTED)
			ringing_tell(watch, request);
		report(watch, &requested);
	}
	if (type == CANCEL_EVENT_DECIDED && seen_note(&watch->seen, key, SEEN_DECIDED))
		report(watch, &decided);
}

void report_drop(struct cancel_watch *watch, const char *file, const struct cancel_request *request)
{
	struct cancel_event event = {.type = CANCEL_EVENT_DROPPED, .request = request, .file = file};

	if (request->malformed)
		event.text = "its text could not be used; its name says what to cancel";
	report(watch, &event);
}

/* Once for each version of a file, and for each way it is refused by: its change time tells of both. */
static uint64_t refusal_key(const struct cancel_watch *watch, const char *path, const struct stat *stat)
{
	char version[CANCEL_REQUEST_ID_LENGTH + 1];

	(void)snprintf(version, sizeof version, "%llx.%lx", (unsigned long long)stat->st_ctim.tv_sec,
		       (unsigned long)stat->st_ctim.tv_nsec);
	return seen_key(&watch->seen, path, version, stat->st_ino);
}

void report_refusal(struct cancel_watch *watch, enum spool_dir dir, const char *file, const struct stat *stat,
		    const char *text)
{
	struct cancel_event event = {.type = CANCEL_EVENT_REFUSED, .text = text};
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "%s%s",
		       dir == SPOOL_PENDING     ? DIR_PENDING "/"
		       : dir == SPOOL_PROCESSED ? DIR_PROCESSED "/"
						: "",
		       file);
	event.file = path;
	if (seen_note(&watch->seen, refusal_key(watch, path, stat), SEEN_REQUESTED))
		report(watch, &event);
}
