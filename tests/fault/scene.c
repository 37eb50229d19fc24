#include "scene.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene scene = {.where = "before anything was broken"};

void scene_make(void)
{
	spool_dir_make(&scene.dir);
	scene.accepted[0] = '\0';
}

void scene_remove(void)
{
	spool_dir_remove(&scene.dir);
}

void scene_open(void)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	options.path = scene.dir.path;
	options.create = true;
	cr_assert_eq(cancel_spool_open(&scene.spool, &options, &scene.error), 0,
		     "%s: the spool does not open: %s", scene.where, scene.error.text);
}

void scene_close(void)
{
	cancel_spool_close(scene.spool);
	scene.spool = NULL;
}

const char *const *scene_environment(void)
{
	static const char *words[4];
	static char spool[80];

	(void)snprintf(spool, sizeof(spool), "TASK_CANCELLATION_DIR=%s", scene.dir.path);
	words[0] = spool;
	words[1] = "CANCEL_CONFIG=";
	words[2] = "ASAN_OPTIONS=detect_leaks=0"; /* which cannot work while being traced */
	return words;
}

const char *scene_path(const char *file)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", scene.dir.path, file);
	return path;
}

bool scene_exists(const char *file)
{
	struct stat stat;

	return lstat(scene_path(file), &stat) == 0;
}

void scene_write(const char *file, const char *text, size_t length)
{
	int fd = open(scene_path(file), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, text, length) == (ssize_t)length, "cannot write %s", file);
	(void)close(fd);
}

int scene_ask(const char *task, char id[CANCEL_REQUEST_ID_LENGTH + 1])
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = task;
	request.reason = "because";
	code = cancel_spool_request(scene.spool, &request, NULL, &scene.error);
	cr_assert_geq(code, 0, "%s: asking: %s", scene.where, scene.error.text);
	(void)strcpy(id, request.request_id);
	cancel_request_clear(&request);
	return code;
}

int scene_decide(const char *id, enum cancel_outcome outcome)
{
	return cancel_spool_decide(scene.spool, TASK, NULL, id, outcome, NULL, NULL, &scene.error);
}

/* --- before ------------------------------------------------------------------------------------------- */

void scene_prepare(void (*prepare)(void))
{
	struct cancel_sweep_result result;

	scene_open();
	/* The first pass of all looks into every file. */
	cr_assert_eq(cancel_spool_sweep(scene.spool, NULL, NULL, NULL, &result, &scene.error), 0);
	cr_assert_eq(scene_ask("beside", scene.beside), CANCEL_REQUESTED);
	prepare();
	scene_close();
}

/* Nor did a run just begin or end: whether it did makes cancelreq look once more, and a walk must not depend on how
 * long ago that was. */
void scene_nothing(void)
{
	const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	cr_assert_eq(utimensat(AT_FDCWD, scene_path("runs"), long_ago, 0), 0);
}

void scene_pending(void)
{
	cr_assert_eq(scene_ask(TASK, scene.accepted), CANCEL_REQUESTED);
}

void scene_second(void)
{
	scene_pending();
	cr_assert_eq(scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED), CANCEL_DECIDED);
	scene_pending();
}

/* The very file, because a copy's times would tell a sweep to look at it. */
void scene_litter(void)
{
	char kept[64];

	(void)snprintf(kept, sizeof(kept), "%s/kept", scene.dir.root);
	scene_pending();
	cr_assert_eq(link(scene_path("pending/" TASK ".json"), kept), 0);
	cr_assert_eq(scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED), CANCEL_DECIDED);
	cr_assert_eq(rename(kept, scene_path("pending/" TASK ".json")), 0);
}

static void write_expired(const char *file, const char *task, const char *id)
{
	const struct timespec times[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};
	char text[300];
	int length = snprintf(text, sizeof(text),
			      "{\"task_id\": \"%s\", \"request_id\": \"%s\", \"expires_in_s\": 1, "
			      "\"requested_at\": \"2020-01-01T00:00:00Z\"}",
			      task, id);

	scene_write(file, text, (size_t)length);
	cr_assert_eq(utimensat(AT_FDCWD, scene_path(file), times, 0), 0);
}

/* Two, so that a sweep takes all locks at once. */
void scene_expired(void)
{
	(void)strcpy(scene.accepted, OLD_ID);
	write_expired("pending/" TASK ".json", TASK, OLD_ID);
	write_expired("pending/task2.json", "task2", "000000000000000000000000000002d0");
}

void scene_drop(void)
{
	char text[200];
	int length =
		snprintf(text, sizeof(text),
			 "{\"task_id\": \"" TASK "\", \"reason\": \"" DROP_REASON "\", \"expires_in_s\": %d}",
			 DROP_LIFE_S);

	scene_write(TASK ".json", text, (size_t)length);
}

void scene_drop_on_pending(void)
{
	scene_pending();
	scene_drop();
}

/* What `accepted` is of, then. */
void scene_group(void)
{
	cr_assert_eq(scene_ask(GROUP, scene.accepted), CANCEL_REQUESTED);
}

/* --- afterwards --------------------------------------------------------------------------------------- */

int scene_look(struct cancel_request *found)
{
	int code;

	cancel_request_init(found);
	code = cancel_spool_lookup(scene.spool, TASK, NULL, found, &scene.error);
	cr_assert_geq(code, 0, "%s: looking up: %s", scene.where, scene.error.text);
	cr_assert_not(found->malformed, "%s: a part of a record is read", scene.where);
	return code;
}

bool scene_is_accepted(const struct cancel_request *found)
{
	return !strcmp(found->request_id, scene.accepted);
}

static void check_tmp(void)
{
	DIR *stream = opendir(scene_path("tmp"));
	struct dirent *entry;

	cr_assert_not_null(stream);
	while ((entry = readdir(stream))) {
		const char *end = strrchr(entry->d_name, '.');

		cr_assert(entry->d_name[0] == '.' ||
				  (end && (!strcmp(end, ".draft") || !strcmp(end, ".drop"))),
			  "%s: tmp holds %s", scene.where, entry->d_name);
	}
	(void)closedir(stream);
}

static int check_entry(void *arg, const struct cancel_list_entry *entry)
{
	const char *task;

	(void)arg;
	cr_assert_null(entry->refusal, "%s: %s", scene.where, entry->refusal ? entry->refusal->text : "");
	task = entry->request->task_id;
	cr_assert_not(entry->request->malformed, "%s: %s is a part of a record", scene.where, entry->file);
	cr_assert(!strncmp(task, TASK, strlen(TASK)) || !strcmp(task, "beside"), "%s: %s is nobody's request",
		  scene.where, entry->file);
	return 0;
}

void scene_check_whole(void)
{
	check_tmp();
	cr_assert_eq(cancel_spool_list(scene.spool, CANCEL_LIST_ALL, check_entry, NULL, &scene.error), 0,
		     "%s: %s", scene.where, scene.error.text);
}

void scene_check_beside(void)
{
	struct cancel_request found;

	cancel_request_init(&found);
	cr_assert_eq(cancel_spool_lookup(scene.spool, "beside", NULL, &found, &scene.error),
		     CANCEL_LOOKUP_PENDING, "%s: %s", scene.where, scene.error.text);
	cr_assert_str_eq(found.request_id, scene.beside, "%s", scene.where);
	cancel_request_clear(&found);
}

static void expect_lookup(int expected)
{
	int code = cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error);

	cr_assert_eq(code, expected, "%s: lookup answers %d, not %d", scene.where, code, expected);
}

void scene_check_works(void)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], second[CANCEL_REQUEST_ID_LENGTH + 1];
	struct cancel_sweep_result result;
	struct cancel_spool *spool = scene.spool;

	cr_assert_geq(cancel_spool_reset(spool, TASK, NULL, &scene.error), 0, "%s: %s", scene.where,
		      scene.error.text);
	expect_lookup(CANCEL_LOOKUP_NONE);
	cr_assert_eq(scene_ask(TASK, id), CANCEL_REQUESTED, "%s", scene.where);
	cr_assert_eq(scene_ask(TASK, second), CANCEL_ALREADY_PENDING, "%s", scene.where);
	expect_lookup(CANCEL_LOOKUP_PENDING);
	cr_assert_eq(scene_decide(id, CANCEL_OUTCOME_STOPPED), CANCEL_DECIDED, "%s", scene.where);
	cr_assert_eq(scene_decide(id, CANCEL_OUTCOME_STOPPED), CANCEL_ALREADY_DECIDED, "%s", scene.where);
	expect_lookup(CANCEL_LOOKUP_PROCESSED);
	cr_assert_eq(cancel_spool_intake(spool, NULL, NULL, &scene.error), 0, "%s: %s", scene.where,
		     scene.error.text);
	cr_assert_eq(cancel_spool_sweep(spool, NULL, NULL, NULL, &result, &scene.error), 0, "%s: %s",
		     scene.where, scene.error.text);
	cr_assert_eq(result.strangers + result.refused + result.busy, 0, "%s: strangers were made",
		     scene.where);
	cr_assert_eq(cancel_spool_reset(spool, TASK, NULL, &scene.error), 1, "%s", scene.where);
}

/* --- runs --------------------------------------------------------------------------------------------- */

static struct cancel_manager *open_manager(bool thread)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool;
	struct cancel_manager *manager = NULL;

	cancel_spool_options_init(&spool);
	spool.path = scene.dir.path;
	spool.create = true;
	cancel_manager_options_init(&options);
	options.spool = &spool;
	options.thread = thread;
	cr_assert_eq(cancel_manager_open(&manager, &options, &scene.error), 0, "%s: %s", scene.where,
		     scene.error.text);
	return manager;
}

static struct cancel_task *begin(struct cancel_manager *manager, bool *stopped)
{
	const char *const also[] = {GROUP};
	struct cancel_task_options options;
	struct cancel_task *task = NULL;
	int code;

	cancel_task_options_init(&options);
	options.run = RUN;
	options.also = also;
	options.also_count = 1;
	code = cancel_task_begin(&task, manager, TASK, &options, &scene.error);
	cr_assert_geq(code, 0, "%s: the next run does not begin: %s", scene.where, scene.error.text);
	*stopped = code == 1;
	return task;
}

struct scene_run scene_run_next(bool thread)
{
	struct cancel_manager *manager = open_manager(thread);
	struct scene_run run = {.stopped = false};
	struct cancel_task *task = begin(manager, &run.stopped);
	struct cancel_why why;

	cancel_task_why(task, &why);
	cr_assert_eq(why.request != NULL, run.stopped, "%s: stopped at its start, and not by a request",
		     scene.where);
	if (why.request)
		(void)strcpy(run.id, why.request->request_id);
	run.decided = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &scene.error);
	cr_assert_geq(run.decided, 0, "%s: the next run does not end: %s", scene.where, scene.error.text);
	cr_assert_eq(cancel_manager_close(manager), 0, "%s", scene.where);
	return run;
}

static int refuse_run(void *arg, const struct cancel_run *run)
{
	(void)arg;
	cr_assert_null(run, "%s: the lease of process %ld on '%s' is alive", scene.where, (long)run->pid,
		       run->task_id);
	return 0;
}

void scene_check_no_runs(void)
{
	cr_assert_eq(cancel_spool_runs(scene.spool, refuse_run, NULL, &scene.error), 0, "%s: %s", scene.where,
		     scene.error.text);
}

int scene_count(const char *folder)
{
	DIR *stream = opendir(scene_path(folder));
	struct dirent *entry;
	int count = 0;

	cr_assert_not_null(stream, "%s: no %s", scene.where, folder);
	while ((entry = readdir(stream)))
		count += entry->d_name[0] != '.';
	(void)closedir(stream);
	return count;
}
