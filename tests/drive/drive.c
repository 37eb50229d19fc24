/*
 * One operation of the library, as a program that can be killed, starved and lied to from outside:
 *
 *     drive [--durability none|file|full] OPERATION [TASK [ARGUMENT]]
 *
 * The spool is $TASK_CANCELLATION_DIR. Exit codes are those of our programs: 0 done, 1 the answer is no, 3
 * the system refused, with a sentence on standard error. Just before what is to be broken it calls getppid,
 * which nothing else here does.
 *
 * The runs listen to TASK, to the run "run" of it and to TASK-group; those with -thread have a manager with a
 * thread. "run" begins, asks once and ends: stopped, or finished. The others say "pid NUMBER" and
 * "beginning", and then call getppid again, because only the beginning is to be broken, and afterwards
 * "begun". "begin" leaves at once then, "begin-check" says whether the run is cancelled, "begin-await" waits
 * for that.
 */
#include <cancel/cancel.h>

#include <errno.h>
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
	const char *task, *argument;
	struct cancel_error error;
};

static int ask_until(struct drive *drive, int64_t expires_in_s)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = drive->task;
	request.reason = "because";
	request.expires_in_s = expires_in_s;
	code = cancel_spool_request(drive->spool, &request, NULL, &drive->error);
	cancel_request_clear(&request);
	return code < 0 ? code : 0;
}

static int ask(struct drive *drive)
{
	return ask_until(drive, CANCEL_EXPIRES_DEFAULT);
}

static int ask_longer(struct drive *drive)
{
	return ask_until(drive, CANCEL_EXPIRES_NEVER);
}

static void report(void *arg, int64_t tag, int result, const struct cancel_request *request,
		   const struct cancel_error *error)
{
	int *worst = arg;

	(void)tag;
	(void)request;
	(void)error;
	if (result < *worst)
		*worst = result;
}

static int ask_batch(struct drive *drive)
{
	struct cancel_batch *batch;
	int worst = 0, code = cancel_batch_open(&batch, drive->spool, report, &worst, &drive->error);

	if (code < 0)
		return code;
	for (int i = 1; i <= 3; i++) {
		struct cancel_request request;
		char task[64];

		(void)snprintf(task, sizeof(task), "%s%d", drive->task, i);
		cancel_request_init(&request);
		request.task_id = task;
		request.reason = "because";
		cancel_batch_add(batch, &request, i);
	}
	code = cancel_batch_close(batch, &drive->error);
	return code < 0 ? code : worst;
}

static int decide_as(struct drive *drive, enum cancel_outcome outcome)
{
	int code = cancel_spool_decide(drive->spool, drive->task, NULL, drive->argument, outcome, "driven",
				       NULL, &drive->error);

	return code == -ENOENT ? EXIT_NO : code;
}

static int ack(struct drive *drive)
{
	return decide_as(drive, CANCEL_OUTCOME_STOPPED);
}

static int withdraw(struct drive *drive)
{
	return decide_as(drive, CANCEL_OUTCOME_WITHDRAWN);
}

static int reset(struct drive *drive)
{
	int code = cancel_spool_reset(drive->spool, drive->task, NULL, &drive->error);

	return code < 0 ? code : 0;
}

/* TASK is how long processed records are kept, in seconds. */
static int sweep(struct drive *drive)
{
	struct cancel_sweep_options options = {.keep_for_s = strtol(drive->task, NULL, 10)};
	struct cancel_sweep_result result;

	return cancel_spool_sweep(drive->spool, &options, NULL, NULL, &result, &drive->error);
}

static int intake(struct drive *drive)
{
	int code = cancel_spool_intake(drive->spool, NULL, NULL, &drive->error);

	return code < 0 ? code : 0;
}

static int look_up(struct drive *drive)
{
	int code = cancel_spool_lookup(drive->spool, drive->task, NULL, NULL, &drive->error);

	return code == CANCEL_LOOKUP_NONE ? EXIT_NO : code < 0 ? code : 0;
}

static int check(struct drive *drive)
{
	int code = cancel_spool_check(drive->spool, drive->task, NULL, NULL, NULL, &drive->error);

	return code == 0 ? EXIT_NO : code < 0 ? code : 0;
}

static int nothing(struct drive *drive)
{
	(void)drive;
	return 0;
}

/* --- runs --------------------------------------------------------------------------------------------- */

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

static int run_once(struct drive *drive, bool thread)
{
	struct cancel_manager *manager;
	struct cancel_task *task;
	int code = open_manager(&manager, drive, thread), closed;

	if (code < 0)
		return code;
	code = begin(&task, drive, manager);
	if (code >= 0)
		code = end(task, drive);
	closed = cancel_manager_close(manager);
	return code < 0 ? code : closed < 0 ? closed : 0;
}

static int run_alone(struct drive *drive)
{
	return run_once(drive, false);
}

static int run_threaded(struct drive *drive)
{
	return run_once(drive, true);
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

typedef void use_begun(struct cancel_task *task, struct drive *drive);

static int begin_and_use(struct drive *drive, bool thread, use_begun *use)
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

static int begin_alone(struct drive *drive)
{
	return begin_and_use(drive, false, use_not);
}

static int begin_threaded(struct drive *drive)
{
	return begin_and_use(drive, true, use_not);
}

static int check_alone(struct drive *drive)
{
	return begin_and_use(drive, false, use_check);
}

static int check_threaded(struct drive *drive)
{
	return begin_and_use(drive, true, use_check);
}

static int await_alone(struct drive *drive)
{
	return begin_and_use(drive, false, use_wait);
}

static int await_threaded(struct drive *drive)
{
	return begin_and_use(drive, true, use_wait);
}

/* --- choosing ----------------------------------------------------------------------------------------- */

static const struct operation {
	const char *name;
	int (*run)(struct drive *drive);
	bool opening; /* opening the spool is what is to be broken */
} operations[] = {
	{"open", nothing, true},
	{"ask", ask, false},
	{"ask-longer", ask_longer, false},
	{"ask-batch", ask_batch, false},
	{"ack", ack, false},
	{"withdraw", withdraw, false},
	{"reset", reset, false},
	{"sweep", sweep, false},
	{"intake", intake, false},
	{"lookup", look_up, false},
	{"check", check, false},
	{"run", run_alone, false},
	{"run-thread", run_threaded, false},
	{"begin", begin_alone, false},
	{"begin-thread", begin_threaded, false},
	{"begin-check", check_alone, false},
	{"begin-check-thread", check_threaded, false},
	{"begin-await", await_alone, false},
	{"begin-await-thread", await_threaded, false},
};

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; name && i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	return NULL;
}

static bool read_durability(const char *text, enum cancel_durability *durability)
{
	static const char *const words[] = {"none", "file", "full"};

	for (int i = 0; text && i < 3; i++)
		if (!strcmp(text, words[i])) {
			*durability = (enum cancel_durability)i;
			return true;
		}
	return false;
}

static int run(const struct operation *operation, struct drive *drive,
	       const struct cancel_spool_options *options)
{
	int code;

	if (operation->opening)
		(void)getppid();
	code = cancel_spool_open(&drive->spool, options, &drive->error);
	if (code < 0)
		return code;
	if (!operation->opening)
		(void)getppid();
	code = operation->run(drive);
	cancel_spool_close(drive->spool);
	return code;
}

int main(int count, char **words)
{
	const struct operation *operation;
	struct cancel_spool_options options;
	struct drive drive = {0};
	int code;

	cancel_spool_options_init(&options);
	options.create = true;
	words++;
	if (count > 2 && !strcmp(words[0], "--durability") && read_durability(words[1], &options.durability))
		words += 2;
	operation = find_operation(words[0]);
	if (!operation)
		return EXIT_USAGE;
	drive.task = words[1];
	drive.argument = words[1] ? words[2] : NULL;
	code = run(operation, &drive, &options);
	if (code < 0)
		(void)fprintf(stderr, "drive: %s\n", drive.error.text);
	return code < 0 ? EXIT_SYSTEM : code;
}
