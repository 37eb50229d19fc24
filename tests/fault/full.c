/*
 * A place that will not take a request: no blocks, no inodes, read-only, not ours, missing, replaced. Each
 * gives a sentence that names the spool and a negative errno (exit code 3), leaves nothing half published,
 * and works again when the place does.
 *
 * Mutations that this catches: a write whose result nobody looks at (an empty record is published); a draft
 * that is not removed after a failed write (tmp/ fills for good); a drop removed before its record is
 * written; "pending/" held by its descriptor after another directory took its place.
 */
#include "process.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TIMEOUT_S = 60,
	EXIT_SYSTEM = 3,
	SOMEBODY = 65534,
	BLOCK = 4096,
};

static void set_up(void)
{
	scene_make();
}

static void tear_down(void)
{
	char place[48];

	scene_close();
	(void)snprintf(place, sizeof(place), "%s/small", scene.dir.root);
	(void)umount2(place, MNT_DETACH); /* where something is mounted: a mount point cannot be removed */
	scene_remove();
}

TestSuite(full, .init = set_up, .fini = tear_down, .timeout = TIMEOUT_S);

/* A filesystem of its own, in a mount namespace of its own, so that it is gone with the test whatever
 * happens. */
static void mount_small(const char *options)
{
	char place[48];

	if (geteuid() != 0)
		cr_skip_test("only root can mount");
	(void)snprintf(place, sizeof(place), "%s/small", scene.dir.root);
	if (mkdir(place, 0700) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("small", place, "tmpfs", 0, options) < 0)
		cr_skip_test("cannot mount here: %s", strerror(errno));
	(void)snprintf(scene.dir.path, sizeof(scene.dir.path), "%.40s/spool", place);
}

static void make_read_only(bool read_only)
{
	char place[48];

	(void)snprintf(place, sizeof(place), "%s/small", scene.dir.root);
	cr_assert_eq(mount("small", place, NULL, MS_REMOUNT | (read_only ? MS_RDONLY : 0U), NULL), 0, "%s",
		     strerror(errno));
}

/* --- filling ------------------------------------------------------------------------------------------ */

static void fill_blocks(void)
{
	static const char block[BLOCK];
	int fd = open(scene_path("../ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	while (write(fd, block, sizeof(block)) > 0)
		continue;
	cr_assert_eq(errno, ENOSPC);
	(void)close(fd);
}

static void empty_blocks(void)
{
	cr_assert_eq(unlink(scene_path("../ballast")), 0);
}

static const char *inode_path(int number)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "../inode-%d", number);
	return scene_path(name);
}

static void fill_inodes(void)
{
	int number = 0, fd;

	while ((fd = open(inode_path(number), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) >= 0) {
		(void)close(fd);
		number++;
	}
	cr_assert_eq(errno, ENOSPC);
}

static void empty_inodes(void)
{
	for (int number = 0; unlink(inode_path(number)) == 0; number++)
		continue;
}

/* --- failing ------------------------------------------------------------------------------------------ */

static void expect_failure(int code, int expected, const char *part)
{
	cr_assert_eq(code, expected, "%d instead of %d: %s", code, expected, scene.error.text);
	cr_assert_eq(scene.error.code, expected);
	cr_assert_not_null(strstr(scene.error.text, part), "'%s' is not in: %s", part, scene.error.text);
}

static int try_to_ask(const char *task)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = task;
	code = cancel_spool_request(scene.spool, &request, NULL, &scene.error);
	cr_assert_str_empty(request.request_id, "it failed, and has an id");
	cancel_request_clear(&request);
	return code;
}

static int try_to_open(bool create)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool = NULL;
	int code;

	cancel_spool_options_init(&options);
	options.path = scene.dir.path;
	options.create = create;
	code = cancel_spool_open(&spool, &options, &scene.error);
	cr_assert_eq(spool == NULL, code < 0);
	cancel_spool_close(spool);
	return code;
}

static void expect_program_refuses(const char *const *words, const char *part)
{
	struct process process;

	process_run(&process, words, scene_environment(), NULL);
	cr_assert_eq(process.exit_code, EXIT_SYSTEM, "exit code %d; out: %s err: %s", process.exit_code,
		     process.out, process.err);
	cr_assert(!strncmp(process.err, "cancelreq: ", strlen("cancelreq: ")) && strstr(process.err, part),
		  "'%s' is not in: %s", part, process.err);
	process_free(&process);
}

/* TASK is pending and stays so; asking and deciding fail as `expected`; what is left is as it was. */
static void expect_refusals(int expected, const char *why)
{
	expect_failure(try_to_ask("other"), expected, scene.dir.path);
	expect_failure(scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED), expected, scene.dir.path);
	expect_failure(cancel_spool_reset(scene.spool, TASK, NULL, &scene.error), expected, scene.dir.path);
	expect_program_refuses(WORDS(CANCELREQ, "other", "because"), why);
	expect_program_refuses(WORDS(CANCELREQ, "--ack", TASK), why);
	cr_assert_not(scene_exists("pending/other.json"));
	cr_assert_not(scene_exists("processed/" TASK ".json"));
	cr_assert_eq(cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error), CANCEL_LOOKUP_PENDING,
		     "%s", scene.error.text);
	scene_check_whole();
}

static void expect_empty_tmp(void)
{
	DIR *stream = opendir(scene_path("tmp"));
	int count = 0;

	cr_assert_not_null(stream);
	while (readdir(stream))
		count++;
	(void)closedir(stream);
	cr_assert_eq(count, 2, "drafts are left in tmp");
}

static void run_full(void (*fill)(void), void (*empty)(void))
{
	scene_prepare(scene_pending);
	scene_open();
	fill();
	expect_refusals(-ENOSPC, "No space left on device");
	empty();
	expect_empty_tmp();
	scene_check_works();
	scene_check_beside();
}

Test(full, no_blocks_publish_nothing)
{
	mount_small("size=64k,mode=0700");
	run_full(fill_blocks, empty_blocks);
}

Test(full, no_inodes_publish_nothing)
{
	mount_small("size=256k,nr_inodes=24,mode=0700");
	run_full(fill_inodes, empty_inodes);
}

Test(full, a_drop_is_kept_until_there_is_room)
{
	struct cancel_request found;

	mount_small("size=64k,mode=0700");
	scene_prepare(scene_drop);
	scene_open();
	fill_blocks();
	expect_failure(cancel_spool_intake(scene.spool, NULL, NULL, &scene.error), -ENOSPC, scene.dir.path);
	cr_assert_eq(cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error), -ENOSPC, "%s",
		     "a failure said no");
	empty_blocks();
	cr_assert_eq(scene_look(&found), CANCEL_LOOKUP_PENDING);
	cr_assert_str_eq(found.reason, DROP_REASON);
	cancel_request_clear(&found);
	scene_check_works();
}

static void count_failures(void *arg, int64_t tag, int result, const struct cancel_request *request,
			   const struct cancel_error *error)
{
	int *failures = arg;

	(void)tag;
	(void)request;
	*failures += result == -ENOSPC && error->code == -ENOSPC;
}

Test(full, a_batch_tells_each_failure)
{
	struct cancel_batch *batch;
	int failures = 0;

	mount_small("size=64k,mode=0700");
	scene_prepare(scene_pending);
	scene_open();
	fill_blocks();
	cr_assert_eq(cancel_batch_open(&batch, scene.spool, count_failures, &failures, &scene.error), 0);
	for (int i = 0; i < 100; i++) {
		struct cancel_request request;
		char task[32];

		(void)snprintf(task, sizeof(task), TASK "-%d", i);
		cancel_request_init(&request);
		request.task_id = task;
		cancel_batch_add(batch, &request, i);
	}
	(void)cancel_batch_close(batch, &scene.error);
	cr_assert_eq(failures, 100, "%d of 100 failures were told", failures);
	scene_check_whole();
	empty_blocks();
	expect_empty_tmp();
}

Test(full, a_spool_that_could_not_be_made_is_made_later)
{
	mount_small("size=64k,nr_inodes=6,mode=0700");
	expect_failure(try_to_open(true), -ENOSPC, scene.dir.path);
	cr_assert_eq(mount("small", scene_path(".."), NULL, MS_REMOUNT, "nr_inodes=100"), 0);
	scene_prepare(scene_pending);
	scene_open();
	scene_check_works();
}

/* --- read-only ---------------------------------------------------------------------------------------- */

Test(full, a_read_only_place_answers_and_takes_nothing)
{
	struct process process;

	mount_small("size=64k,mode=0700");
	scene_prepare(scene_pending);
	make_read_only(true);
	scene_open();
	expect_refusals(-EROFS, "Read-only file system");
	process_run(&process, WORDS(CANCELREQ, "--check", TASK), scene_environment(), NULL);
	cr_assert_eq(process.exit_code, 0, "%s", process.err);
	process_free(&process);
	make_read_only(false);
	scene_check_works();
}

/* --- not ours ----------------------------------------------------------------------------------------- */

Test(full, a_closed_spool_says_whose_it_is)
{
	int code;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	scene_prepare(scene_pending);
	cr_assert_eq(chmod(scene.dir.root, 0755), 0);
	cr_assert_eq(seteuid(SOMEBODY), 0);
	code = try_to_open(false);
	cr_assert_eq(seteuid(0), 0);
	expect_failure(code, -EACCES, scene.dir.path);
	cr_assert_eq(chmod(scene.dir.root, 0700), 0);
	cr_assert_eq(seteuid(SOMEBODY), 0);
	code = try_to_open(false);
	cr_assert_eq(seteuid(0), 0);
	expect_failure(code, -EACCES, scene.dir.path);
}

/* Made by root for somebody, who then may not read one file in it. */
static int count_refusals(void *arg, const struct cancel_list_entry *entry)
{
	int *refusals = arg;

	*refusals += entry->refusal != NULL;
	return 0;
}

Test(full, a_file_that_cannot_be_read_is_not_no)
{
	struct cancel_request request;
	int refusals = 0;

	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	cr_assert(chown(scene.dir.root, SOMEBODY, SOMEBODY) == 0 && seteuid(SOMEBODY) == 0);
	scene_prepare(scene_pending);
	scene_open();
	cr_assert_eq(chmod(scene_path("pending/" TASK ".json"), 0), 0);
	expect_failure(cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error), -EACCES,
		       "pending/" TASK);
	expect_failure(cancel_spool_check(scene.spool, TASK, NULL, NULL, NULL, &scene.error), -EACCES,
		       "pending/" TASK);
	expect_failure(scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED), -EACCES, "pending/" TASK);
	cancel_request_init(&request);
	request.task_id = TASK;
	expect_failure(cancel_spool_request(scene.spool, &request, NULL, &scene.error), -EACCES,
		       "pending/" TASK);
	cr_assert_eq(
		cancel_spool_list(scene.spool, CANCEL_LIST_PENDING, count_refusals, &refusals, &scene.error),
		0);
	cr_assert_eq(refusals, 1);
	scene_check_beside();
	scene_close();
	cr_assert_eq(seteuid(0), 0);
}

Test(full, a_folder_that_cannot_be_written_is_named)
{
	if (geteuid() != 0)
		cr_skip_test("only root can become somebody else");
	cr_assert(chown(scene.dir.root, SOMEBODY, SOMEBODY) == 0 && seteuid(SOMEBODY) == 0);
	scene_prepare(scene_pending);
	scene_open();
	cr_assert_eq(chmod(scene_path("pending"), 0500), 0);
	expect_failure(try_to_ask("other"), -EACCES, scene.dir.path);
	cr_assert_eq(chmod(scene_path("pending"), 0700), 0);
	cr_assert_eq(chmod(scene_path("processed"), 0500), 0);
	expect_failure(scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED), -EACCES, scene.dir.path);
	cr_assert_eq(chmod(scene_path("processed"), 0700), 0);
	scene_check_works();
	expect_empty_tmp();
	scene_close();
	cr_assert_eq(seteuid(0), 0);
}

/* --- missing and replaced ----------------------------------------------------------------------------- */

Test(full, a_missing_spool_is_named_and_not_made)
{
	expect_failure(try_to_open(false), -ENOENT, scene.dir.path);
	expect_program_refuses(WORDS(CANCELREQ, "--check", TASK), scene.dir.path);
	cr_assert_not(scene_exists("."));
	(void)strcat(scene.dir.path, "/deep");
	expect_failure(try_to_open(true), -ENOENT, scene.dir.path);
	expect_program_refuses(WORDS(CANCELREQ, TASK), scene.dir.path);
}

/* As a worker does, who makes nothing. */
static void open_existing(void)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	options.path = scene.dir.path;
	cr_assert_eq(cancel_spool_open(&scene.spool, &options, &scene.error), 0, "%s", scene.error.text);
}

static void move_away(void)
{
	char away[64];

	(void)snprintf(away, sizeof(away), "%s/away", scene.dir.root);
	cr_assert_eq(rename(scene.dir.path, away), 0);
}

Test(full, a_spool_that_vanished_refuses_and_works_when_it_is_back)
{
	char away[64];

	scene_prepare(scene_pending);
	open_existing();
	move_away();
	expect_failure(try_to_ask("other"), -ENOENT, scene.dir.path);
	expect_failure(cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error), -ENOENT,
		       scene.dir.path);
	expect_failure(scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED), -ENOENT, scene.dir.path);
	(void)snprintf(away, sizeof(away), "%s/away", scene.dir.root);
	cr_assert_eq(rename(away, scene.dir.path), 0, "%s", strerror(errno));
	cr_assert_not(scene_exists("processed/" TASK ".json"),
		      "a spool was changed that was not at the path");
	scene_check_works();
	scene_check_beside();
}

/* The descriptors that it holds lead into the old one. */
Test(full, a_replaced_spool_is_the_one_at_the_path)
{
	struct cancel_spool *old;
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	scene_prepare(scene_pending);
	scene_open();
	old = scene.spool;
	move_away();
	scene_prepare(scene_nothing);
	scene.spool = old;
	cr_assert_eq(scene_ask("other", id), CANCEL_REQUESTED);
	cr_assert(scene_exists("pending/other.json"));
	cr_assert_eq(cancel_spool_lookup(old, TASK, NULL, NULL, &scene.error), CANCEL_LOOKUP_NONE);
	scene_check_works();
	scene_check_beside();
}

Test(full, a_replaced_folder_is_the_one_in_the_spool)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], old[128], away[64];

	scene_prepare(scene_pending);
	scene_open();
	(void)strcpy(old, scene_path("pending"));
	(void)snprintf(away, sizeof(away), "%s/away", scene.dir.root);
	cr_assert_eq(rename(old, away), 0);
	cr_assert_eq(mkdir(old, 0700), 0);
	cr_assert_eq(scene_ask(TASK, id), CANCEL_REQUESTED);
	cr_assert(scene_exists("pending/" TASK ".json"));
	scene_check_works();
}

/* By a cleaner of old files and empty directories. Its absence must not look like that of a request. */
static void expect_told(const char *folder)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], away[64];
	int code;

	scene_prepare(scene_pending);
	scene_open();
	(void)snprintf(away, sizeof(away), "%s/away", scene.dir.root);
	cr_assert_eq(rename(scene_path(folder), away), 0);
	cr_assert(rmdir(away) == 0, "%s", strerror(errno));
	code = scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED);
	cr_assert_neq(code, -ENOENT, "a failure said that nothing is pending: %s", scene.error.text);
	if (code < 0) {
		code = cancel_spool_reset(scene.spool, TASK, NULL, &scene.error);
		cr_assert_neq(code, 0, "a reset that failed said that there was nothing");
	}
	scene_close();
	scene_open();
	cr_assert_geq(scene_ask(TASK, id), 0);
	scene_check_works();
	scene_check_beside();
}

Test(full, a_removed_tmp_is_told)
{
	expect_told("tmp");
}

Test(full, a_removed_processed_is_told)
{
	expect_told("processed");
}

Test(full, what_is_no_spool_takes_its_place_in_vain)
{
	char elsewhere[64];

	/* Root's own links in root's own directory would be followed. */
	if (geteuid() == 0)
		cr_assert(chown(scene.dir.root, SOMEBODY, SOMEBODY) == 0 && seteuid(SOMEBODY) == 0);
	scene_prepare(scene_pending);
	open_existing();
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", scene.dir.root);
	cr_assert_eq(mkdir(elsewhere, 0700), 0);
	move_away();
	cr_assert_eq(symlink(elsewhere, scene.dir.path), 0);
	expect_failure(try_to_ask("other"), -ELOOP, scene.dir.path);
	expect_failure(try_to_open(true), -ELOOP, scene.dir.path);
	cr_assert_eq(rmdir(elsewhere), 0, "a link was followed");
	cr_assert_eq(unlink(scene.dir.path), 0);
	cr_assert(mkdir(scene.dir.path, 0700) == 0 && chmod(scene.dir.path, 0777) == 0);
	expect_failure(try_to_ask("other"), -EPERM, scene.dir.path);
	expect_failure(try_to_open(true), -EPERM, scene.dir.path);
	cr_assert_eq(rmdir(scene.dir.path), 0, "something was made in what is no spool");
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}
