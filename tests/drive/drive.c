/*
 * The beginning of a run, as a program that is stopped at each of its calls from outside:
 *
 *     drive OPERATION TASK
 *
 * The spool is $TASK_CANCELLATION_DIR. Exit codes are those of our programs: 0 done, 1 the answer is no, 3
 * the system refused, with a sentence on standard error.
 *
 * The run listens to TASK, to the run "run" of it and to TASK-group; with -thread its manager has a thread.
 * Every operation says "pid NUMBER" and "beginning", calls getppid, which nothing else here does, and begins
 * the run. "begin" leaves at once then; the others say "begun", and "begin-check" says whether the run is
 * cancelled, "begin-await" waits for that.
 */
#include <cancel/cancel.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	EXIT_NO = 1,
	EXIT_USAGE = 2,
	EXIT_SYSTEM = 3,
	HOUR_MS = 3600 * 1000,
};

#define AWAIT_NS (10 * CANCEL_SECOND)

struct drive {
	struct cancel_spool *spool;
	const char *task;
	struct cancel_error error;
};

static int open_manager(struct cancel_manager **manager, struct drive *drive, bool thread)
{
	struct cancel_manager_options options;

	cancel_manager_options_init(&options);
	options.thread = thread;
	options.poll_interval_ms = HOUR_MS;
	return cancel_manager_open(manager, &options, &drive->error);
}

static int begin(struct cancel_task **task, struct drive *drive, struct cancel_manager *manager)
{
	struct cancel_task_options options;
	char group[64];
	const char *const also[] = {group};

	(void)snprintf(group, sizeof(group), "%s-group", drive->task);
	cancel_task_options_init(&options);
	options.run = "run";
	options.also = also;
	options.also_count = 1;
	return cancel_task_begin(task, manager, drive->task, &options, &drive->error);
}

static int end(struct cancel_task *task, struct drive *drive)
{
	bool cancelled = cancel_task_checkpoint(task);
	enum cancel_outcome outcome = cancelled ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_FINISHED;
	int code = cancel_task_end(task, outcome, NULL, &drive->error);

	return code < 0 ? code : cancelled ? 0 : EXIT_NO;
}

static int ask(struct drive *drive)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = drive->task;
	request.reason = "because";
	code = cancel_spool_request(drive->spool, &request, NULL, &drive->error);
	cancel_request_clear(&request);
	return code < 0 ? code : 0;
}

/* A manager's first look is at everything; what is to be broken is a beginning after that. */
static int warm_up(struct drive *drive, struct cancel_manager *manager)
{
	struct drive other = {.spool = drive->spool, .task = "warm"};
	struct cancel_task *task;
	int code = begin(&task, &other, manager);

	if (code == 0)
		code = ask(&other);
	if (code == 0)
		code = cancel_task_wait(task, CANCEL_FOREVER);
	if (code == 1)
		code = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &other.error);
	if (code == 1)
		code = cancel_spool_reset(other.spool, other.task, NULL, &other.error);
	drive->error = other.error;
	return code < 0 ? code : 0;
}

static void say(const char *what, long number)
{
	(void)printf("%s %ld\n", what, number);
	(void)fflush(stdout);
}

static int begin_and_use(struct drive *drive, bool thread, void (*use)(struct cancel_task *task, struct drive *drive))
{
	struct cancel_manager *manager;
	struct cancel_task *task;
	int code = open_manager(&manager, drive, thread);

	say("pid", (long)getpid());
	if (code == 0)
		code = warm_up(drive, manager);
	if (code < 0)
		return code;
	say("beginning", 0);
	(void)getppid();
	code = begin(&task, drive, manager);
	if (code < 0)
		return code;
	use(task, drive);
	code = end(task, drive);
	return cancel_manager_close(manager) < 0 ? EXIT_SYSTEM : code;
}

static void use_not(struct cancel_task *task, struct drive *drive)
{
	(void)task;
	(void)drive;
	_exit(0);
}

static void use_check(struct cancel_task *task, struct drive *drive)
{
	say("begun", 0);
	(void)cancel_task_check(task, &drive->error);
}

static void use_wait(struct cancel_task *task, struct drive *drive)
{
	(void)drive;
	say("begun", 0);
	(void)cancel_task_wait(task, AWAIT_NS);
}

/* --- choosing ----------------------------------------------------------------------------------------- */

static const struct operation {
	const char *name;
	bool thread;
	void (*use)(struct cancel_task *task, struct drive *drive);
} operations[] = {
	{"begin", false, use_not},         {"begin-thread", true, use_not},
	{"begin-check", false, use_check}, {"begin-check-thread", true, use_check},
	{"begin-await", false, use_wait},  {"begin-await-thread", true, use_wait},
};

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	return NULL;
}

static int run(const struct operation *operation, struct drive *drive)
{
	struct cancel_spool_options options;
	int code;

	cancel_spool_options_init(&options);
	options.create = true;
	code = cancel_spool_open(&drive->spool, &options, &drive->error);
	if (code < 0)
		return code;
	code = begin_and_use(drive, operation->thread, operation->use);
	cancel_spool_close(drive->spool);
	return code;
}

int main(int count, char **words)
{
	const struct operation *operation = count == 3 ? find_operation(words[1]) : NULL;
	struct drive drive = {0};
	int code;

	if (!operation)
		return EXIT_USAGE;
	drive.task = words[2];
	code = run(operation, &drive);
	if (code < 0)
		(void)fprintf(stderr, "drive: %s\n", drive.error.text);
	return code < 0 ? EXIT_SYSTEM : code;
}
