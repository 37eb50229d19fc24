/*
 * A service that makes thumbnails: a scheduler, whose tasks have priorities, are tried again when they fail,
 * and are cancelled while they wait and while they run. It has one thread here, so that their order can be
 * seen.
 *
 *     scheduler
 */
#include <cancel/clock.h>
#include <cancel/manager.h>
#include <cancel/scheduler.h>
#include <cancel/source.h>
#include <cancel/spool.h>
#include <cancel/token.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Two events, each a source that is cancelled when it has happened. */
static struct cancel_source all_handed_in = CANCEL_SOURCE_INIT;
static struct cancel_source video_begun = CANCEL_SOURCE_INIT;

static struct cancel_scheduler *scheduler;

static void give_up(const char *what)
{
	fprintf(stderr, "scheduler: %s\n", what);
	exit(EXIT_FAILURE);
}

/* --- tasks ------------------------------------------------------------------------------------------ */

/* Keeps the only thread until all others wait behind it. */
static int make_album(void *picture, const struct cancel_try *now)
{
	(void)picture;
	cancel_token_wait(cancel_source_token(&all_handed_in), CANCEL_FOREVER);
	printf("%s\n", now->task_id);
	return 0;
}

static int make_one(void *picture, const struct cancel_try *now)
{
	printf("%s: %s\n", now->task_id, (const char *)picture);
	return 0;
}

/* Would take for ever. Real work asks cancel_token_requested between two frames instead. */
static int make_video(void *picture, const struct cancel_try *now)
{
	(void)picture;
	printf("%s: begun\n", now->task_id);
	cancel_source_cancel(&video_begun, NULL);
	cancel_token_wait(now->token, CANCEL_FOREVER);
	printf("%s: stopped: %s\n", now->task_id, cancel_token_cause(now->token)->text);
	return cancel_token_error(now->token);
}

/* The disk is busy when it is tried first. */
static int make_scan(void *picture, const struct cancel_try *now)
{
	(void)picture;
	printf("%s: try %u\n", now->task_id, now->number);
	return now->number == 1 ? -EBUSY : 0;
}

static const struct {
	const char *id;
	cancel_scheduler_function *make;
	int priority;
} tasks[] = {
	{"album", make_album, 100}, {"scan", make_scan, -1},  {"holiday", make_one, 0},
	{"avatar", make_one, 10},   {"video", make_video, 5}, {"old", make_one, 0},
};

#define TASKS (sizeof tasks / sizeof tasks[0])

/* --- the service ------------------------------------------------------------------------------------ */

/* Told once for each task, however it ended; a task that never ran has something to free, too. */
static void forget(void *picture, const char *task_id, const struct cancel_scheduled *state)
{
	(void)task_id;
	(void)state;
	free(picture);
}

static void hand_in(size_t which)
{
	struct cancel_submission submission;
	struct cancel_error error;
	char *picture = malloc(32);

	if (!picture)
		give_up("no memory");
	snprintf(picture, 32, "picture %zu", which);
	cancel_submission_init(&submission, scheduler);
	submission.priority = tasks[which].priority;
	submission.ended = forget;
	if (cancel_scheduler_submit(scheduler, tasks[which].id, tasks[which].make, picture, &submission,
				    &error) < 0)
		give_up(error.text);
}

/* As `cancelreq TASK_ID` does from another process. */
static void cancel(const char *task_id, const char *reason)
{
	struct cancel_error error;

	if (cancel_scheduler_cancel(scheduler, task_id, reason, &error) < 0)
		give_up(error.text);
	cancel_scheduler_wait(scheduler, task_id, CANCEL_FOREVER, NULL);
}

static void show_ends(void)
{
	struct cancel_scheduler_statistics counted;
	struct cancel_scheduled state;

	for (size_t i = 0; i < TASKS; i++)
		if (cancel_scheduler_status(scheduler, tasks[i].id, &state) == 0)
			printf("%-8s %s, tried %u times\n", tasks[i].id, cancel_scheduled_text(state.status),
			       state.tries);
	cancel_scheduler_count(scheduler, &counted);
	printf("%llu tasks: %llu succeeded, %llu failed, %llu cancelled, %llu timed out; %llu tries more\n",
	       (unsigned long long)counted.total, (unsigned long long)counted.succeeded,
	       (unsigned long long)counted.failed, (unsigned long long)counted.cancelled,
	       (unsigned long long)counted.timed_out, (unsigned long long)counted.retried);
}

static void serve(void)
{
	for (size_t i = 0; i < TASKS; i++)
		hand_in(i);
	cancel("old", "its album was deleted");
	cancel_source_cancel(&all_handed_in, NULL);
	cancel_token_wait(cancel_source_token(&video_begun), CANCEL_FOREVER);
	cancel("video", "the user left");
	cancel_scheduler_drain(scheduler, CANCEL_FOREVER);
	show_ends();
}

/* --- the spool -------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *position)
{
	(void)stat;
	(void)type;
	(void)position;
	return remove(path);
}

static struct cancel_manager *open_manager(void)
{
	struct cancel_manager_options options;
	struct cancel_manager *manager;
	struct cancel_error error;

	cancel_manager_options_init(&options);
	options.thread = true;
	if (cancel_manager_open(&manager, &options, &error) < 0)
		give_up(error.text);
	return manager;
}

static void open_scheduler(struct cancel_manager *manager)
{
	struct cancel_scheduler_options options;
	struct cancel_error error;

	if (cancel_scheduler_options_init(&options, &error) < 0)
		give_up(error.text);
	options.threads = 1;
	options.tries.retries = 3;
	options.tries.retry_interval_ns = 10 * CANCEL_MILLISECOND;
	if (cancel_scheduler_open(&scheduler, manager, &options, &error) < 0)
		give_up(error.text);
}

int main(void)
{
	char directory[] = "/tmp/cancel-example-XXXXXX";
	struct cancel_manager *manager;

	if (!mkdtemp(directory) || setenv(CANCEL_SPOOL_VARIABLE, directory, 1) < 0)
		return EXIT_FAILURE;
	manager = open_manager();
	open_scheduler(manager);
	serve();
	cancel_scheduler_close(scheduler);
	cancel_manager_close(manager);
	cancel_source_fini(&all_handed_in);
	cancel_source_fini(&video_begun);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return EXIT_SUCCESS;
}
