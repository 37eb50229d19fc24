/*
 * No descriptor left, at each of those that an operation needs: it fails with EMFILE and a sentence, has
 * changed nothing, keeps none open, and works when there are some again.
 *
 * Mutations that this catches: a descriptor that is not closed on a way out; a failure to open that is taken
 * for "not there" (a list that is empty, a look-up that says no).
 */
#include "scene.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
	TIMEOUT_S = 60,
	DESCRIPTORS_MAX = 128,
};

static void set_up(void)
{
	scene_make();
}

static void tear_down(void)
{
	scene_close();
	scene_remove();
}

TestSuite(descriptors, .init = set_up, .fini = tear_down, .timeout = TIMEOUT_S);

static int count_open(void)
{
	DIR *stream = opendir("/proc/self/fd");
	int count = 0;

	cr_assert_not_null(stream);
	while (readdir(stream))
		count++;
	(void)closedir(stream);
	return count;
}

static void limit(rlim_t count)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* With ever more of them, until it succeeds. `code` of the success is returned. */
static int starve(int (*operation)(void), void (*unchanged)(void))
{
	int open_before = count_open(), failures = 0, code;

	for (rlim_t count = 0;; count++) {
		scene.error.text[0] = '\0';
		limit(count);
		code = operation();
		limit(DESCRIPTORS_MAX * 8);
		cr_assert_eq(count_open(), open_before, "a descriptor was kept, with at most %d", (int)count);
		if (code >= 0)
			break;
		cr_assert_eq(code, -EMFILE, "%d with at most %d: %s", code, (int)count, scene.error.text);
		cr_assert(strstr(scene.error.text, scene.dir.path) || strchr(scene.error.text, '\''),
			  "the sentence names nothing: %s", scene.error.text);
		unchanged();
		failures++;
		cr_assert_lt(count, DESCRIPTORS_MAX);
	}
	cr_assert_gt(failures, 0, "it needs no descriptor");
	return code;
}

static void task_is_pending(void)
{
	cr_assert(scene_exists("pending/" TASK ".json") && !scene_exists("processed/" TASK ".json"));
}

static void task_is_unknown(void)
{
	cr_assert(!scene_exists("pending/" TASK ".json") && !scene_exists("processed/" TASK ".json"));
}

static void task_is_litter(void)
{
	cr_assert(scene_exists("processed/" TASK ".json"));
}

static void drop_is_there(void)
{
	cr_assert(scene_exists(TASK ".json") || scene_exists("tmp/" TASK ".drop"));
}

static void anything(void)
{
}

/* --- the operations ----------------------------------------------------------------------------------- */

static int open_and_close(void)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool = NULL;
	int code;

	cancel_spool_options_init(&options);
	options.path = scene.dir.path;
	options.create = true;
	code = cancel_spool_open(&spool, &options, &scene.error);
	cancel_spool_close(spool);
	return code;
}

static int ask(void)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = TASK;
	request.expires_in_s = CANCEL_EXPIRES_NEVER; /* more than what stands, so that it must be rewritten */
	code = cancel_spool_request(scene.spool, &request, NULL, &scene.error);
	cancel_request_clear(&request);
	return code;
}

static int ack(void)
{
	return scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED);
}

static int reset(void)
{
	return cancel_spool_reset(scene.spool, TASK, NULL, &scene.error);
}

static int look_up(void)
{
	return cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error);
}

static int check(void)
{
	return cancel_spool_check(scene.spool, TASK, NULL, NULL, NULL, &scene.error);
}

static int count_entry(void *arg, const struct cancel_list_entry *entry)
{
	int *count = arg;

	*count += entry->request != NULL;
	return 0;
}

static int list(void)
{
	int count = 0,
	    code = cancel_spool_list(scene.spool, CANCEL_LIST_ALL, count_entry, &count, &scene.error);

	return code < 0 ? code : count;
}

static int sweep(void)
{
	struct cancel_sweep_options options = {.keep_for_s = 0};
	struct cancel_sweep_result result;

	return cancel_spool_sweep(scene.spool, &options, NULL, NULL, &result, &scene.error);
}

static int intake(void)
{
	return cancel_spool_intake(scene.spool, NULL, NULL, &scene.error);
}

Test(descriptors, none_to_make_a_spool)
{
	(void)starve(open_and_close, anything);
	scene_prepare(scene_pending);
	scene_open();
	scene_check_works();
}

Test(descriptors, none_to_open_a_spool)
{
	scene_prepare(scene_pending);
	(void)starve(open_and_close, task_is_pending);
}

Test(descriptors, none_to_ask)
{
	scene_prepare(scene_nothing);
	scene_open();
	cr_assert_eq(starve(ask, task_is_unknown), CANCEL_REQUESTED);
	scene_check_whole();
}

Test(descriptors, none_to_ask_for_more)
{
	struct cancel_request found;

	scene_prepare(scene_pending);
	scene_open();
	cr_assert_eq(starve(ask, task_is_pending), CANCEL_ALREADY_PENDING);
	cr_assert_eq(scene_look(&found), CANCEL_LOOKUP_PENDING);
	cr_assert(scene_is_accepted(&found) && found.expires_in_s == CANCEL_EXPIRES_NEVER);
	cancel_request_clear(&found);
}

Test(descriptors, none_to_decide)
{
	scene_prepare(scene_pending);
	scene_open();
	cr_assert_eq(starve(ack, task_is_pending), CANCEL_DECIDED);
	scene_check_works();
}

Test(descriptors, none_to_reset)
{
	scene_prepare(scene_pending);
	scene_open();
	cr_assert_eq(starve(reset, task_is_pending), 1);
	scene_check_works();
}

Test(descriptors, none_to_look_up)
{
	scene_prepare(scene_pending);
	scene_open();
	cr_assert_eq(starve(look_up, task_is_pending), CANCEL_LOOKUP_PENDING);
	cr_assert_eq(starve(check, task_is_pending), 1);
}

Test(descriptors, none_to_look_up_a_drop)
{
	scene_prepare(scene_drop);
	scene_open();
	cr_assert_eq(starve(look_up, drop_is_there), CANCEL_LOOKUP_PENDING);
}

Test(descriptors, none_to_list)
{
	scene_prepare(scene_second);
	scene_open();
	cr_assert_eq(starve(list, anything), 3); /* TASK, beside, and TASK's decision */
}

Test(descriptors, none_to_sweep)
{
	scene_prepare(scene_litter);
	scene_open();
	(void)starve(sweep, task_is_litter);
	/* What it could not look into it kept, and the next pass goes on. */
	cr_assert_eq(sweep(), 0);
	cr_assert_eq(look_up(), CANCEL_LOOKUP_NONE);
	scene_check_works();
	scene_check_beside();
}

Test(descriptors, none_to_take_in)
{
	struct cancel_request found;

	scene_prepare(scene_drop);
	scene_open();
	(void)starve(intake, drop_is_there);
	cr_assert_eq(scene_look(&found), CANCEL_LOOKUP_PENDING);
	cr_assert_str_eq(found.reason, DROP_REASON);
	cancel_request_clear(&found);
}
