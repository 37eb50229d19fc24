/*
 * One operation of the library, as a program that can be killed, starved and lied to from outside:
 *
 *     drive [--durability none|file|full] OPERATION [TASK [ARGUMENT]]
 *
 * The spool is $TASK_CANCELLATION_DIR. Exit codes are those of our programs: 0 done, 1 the answer is no, 3
 * the system refused, with a sentence on standard error. Just before what is to be broken it calls getppid,
 * which nothing else here does.
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
};

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

static const struct operation {
	const char *name;
	int (*run)(struct drive *drive);
	bool opening; /* opening the spool is what is to be broken */
} operations[] = {
	{"open", nothing, true},         {"ask", ask, false},     {"ask-longer", ask_longer, false},
	{"ask-batch", ask_batch, false}, {"ack", ack, false},     {"withdraw", withdraw, false},
	{"reset", reset, false},         {"sweep", sweep, false}, {"intake", intake, false},
	{"lookup", look_up, false},      {"check", check, false},
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
