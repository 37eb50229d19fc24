/*
 * What others may put in a request's place: links, FIFOs, devices, directories, files that are too large,
 * names that are too long, files of somebody else. Each is reported, never followed, never waited for (the
 * suite's time limit kills who blocks), never deleted, and the requests beside it are served.
 *
 * Mutations that this catches: O_NOFOLLOW or O_NONBLOCK missing at an open; the look at the kind of file
 * removed; a size not bounded before reading; unlink where a rename to refused/ belongs; a stranger's name
 * counted as a draft; the owner not compared with trusted_users; the link count not looked at.
 */
#include "scene.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TIMEOUT_S = 20,
	ALICE = 64001,
	BOB = 64002,
	TEAM = 64003,
	LONG_NAME = 255,
};

static void set_up(void)
{
	scene_make();
	scene_prepare(scene_nothing);
	scene_open();
}

static void tear_down(void)
{
	scene_close();
	scene_remove();
}

TestSuite(hostile, .init = set_up, .fini = tear_down, .timeout = TIMEOUT_S);

/* --- what is planted ---------------------------------------------------------------------------------- */

#define SECRET "{\"task_id\": \"" TASK "\", \"reason\": \"from elsewhere\"}"

static const char *secret_path(void)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "%s/secret", scene.dir.root);
	return path;
}

static bool plant_link(const char *path)
{
	return symlink(secret_path(), path) == 0;
}

static bool plant_dangling_link(const char *path)
{
	return symlink("/nonexistent/secret", path) == 0;
}

static bool plant_link_to_directory(const char *path)
{
	return symlink("/", path) == 0;
}

static bool plant_fifo(const char *path)
{
	return mkfifo(path, 0666) == 0;
}

/* Opening a terminal or a tape does things; null would answer at once. The number is nobody's. */
static bool plant_device(const char *path)
{
	return mknod(path, S_IFCHR | 0666, makedev(1, 3)) == 0;
}

static bool plant_directory(const char *path)
{
	return mkdir(path, 0700) == 0;
}

static bool plant_sparse_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool planted = fd >= 0 && ftruncate(fd, 1 << 30) == 0;

	(void)close(fd);
	return planted;
}

static const struct plant {
	const char *name;
	bool (*plant)(const char *path);
} plants[] = {
	{"a link to a file", plant_link},
	{"a dangling link", plant_dangling_link},
	{"a link to /", plant_link_to_directory},
	{"a FIFO", plant_fifo},
	{"a device", plant_device},
	{"a directory", plant_directory},
	{"a sparse file", plant_sparse_file},
};

enum {
	PLANTS = sizeof(plants) / sizeof(plants[0]),
};

/* False where this user may not. */
static bool plant(const struct plant *plant, const char *file)
{
	int fd = open(secret_path(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, SECRET, strlen(SECRET)) > 0);
	(void)close(fd);
	scene.where = plant->name;
	if (plant->plant(scene_path(file)))
		return true;
	cr_assert_eq(errno, EPERM, "%s: %s", plant->name, strerror(errno));
	return false;
}

/* By what it is, not by where: it may have been moved aside. */
static struct stat look_at(const char *file)
{
	struct stat stat;

	cr_assert_eq(lstat(scene_path(file), &stat), 0, "%s: it is gone", scene.where);
	return stat;
}

static void expect_untouched(const char *file, const struct stat *before)
{
	struct stat now = look_at(file);

	cr_assert(now.st_ino == before->st_ino && now.st_mode == before->st_mode &&
			  now.st_size == before->st_size,
		  "%s: it was changed", scene.where);
	cr_assert_eq(access(secret_path(), F_OK), 0, "%s: what it leads to is gone", scene.where);
}

/* Away with it, so that the next can be planted. */
static void uproot(const char *file)
{
	cr_assert_eq(remove(scene_path(file)), 0);
}

/* --- what is done about it ---------------------------------------------------------------------------- */

struct counts {
	int requests, refusals;
};

static int count_entry(void *arg, const struct cancel_list_entry *entry)
{
	struct counts *counts = arg;

	counts->requests += entry->request != NULL;
	counts->refusals += entry->refusal != NULL;
	if (entry->refusal)
		cr_assert_not_null(strstr(entry->refusal->text, "refused"), "%s: %s", scene.where,
				   entry->refusal->text);
	return 0;
}

static struct counts list(enum cancel_list_state state)
{
	struct counts counts = {0, 0};

	cr_assert_eq(cancel_spool_list(scene.spool, state, count_entry, &counts, &scene.error), 0, "%s: %s",
		     scene.where, scene.error.text);
	return counts;
}

static struct cancel_sweep_result sweep(void)
{
	struct cancel_sweep_options options = {.keep_for_s = 0};
	struct cancel_sweep_result result;

	cr_assert_eq(cancel_spool_sweep(scene.spool, &options, NULL, NULL, &result, &scene.error), 0,
		     "%s: %s", scene.where, scene.error.text);
	return result;
}

static int drops_refused, drops_taken;

static void count_drop(void *arg, enum cancel_drop_result result, const char *file,
		       const struct cancel_request *request, const struct cancel_error *refusal)
{
	(void)arg;
	(void)file;
	(void)request;
	drops_refused += result == CANCEL_DROP_REFUSED && refusal->text[0];
	drops_taken += result == CANCEL_DROP_TAKEN;
}

static void take_in(void)
{
	drops_refused = drops_taken = 0;
	cr_assert_eq(cancel_spool_intake(scene.spool, count_drop, NULL, &scene.error), 0, "%s: %s",
		     scene.where, scene.error.text);
}

/* Where `files` stand in refused/, one of them is what was planted. */
static void expect_moved_aside(const struct stat *before)
{
	char name[64];
	FILE *listing;

	(void)snprintf(name, sizeof(name), "ls -i %s/refused", scene.dir.path);
	listing = popen(name, "re");
	cr_assert_not_null(listing);
	for (unsigned long inode; fscanf(listing, "%lu %63s", &inode, name) == 2;)
		if (inode == before->st_ino) {
			(void)pclose(listing);
			return;
		}
	(void)pclose(listing);
	cr_assert_fail("%s: it is not in refused/", scene.where);
}

Test(hostile, in_pending_is_reported_and_left)
{
	for (int i = 0; i < PLANTS; i++) {
		struct stat before;
		int code;

		if (!plant(&plants[i], "pending/" TASK ".json"))
			continue;
		before = look_at("pending/" TASK ".json");
		code = cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error);
		cr_assert(code == -EBADMSG && strstr(scene.error.text, "pending/" TASK ".json"), "%s: %d: %s",
			  scene.where, code, scene.error.text);
		code = cancel_spool_check(scene.spool, TASK, NULL, NULL, NULL, &scene.error);
		cr_assert_eq(code, -EBADMSG, "%s: %d", scene.where, code);
		code = scene_decide(NULL, CANCEL_OUTCOME_STOPPED);
		cr_assert_eq(code, -EBADMSG, "%s: %d", scene.where, code);
		code = cancel_spool_reset(scene.spool, TASK, NULL, &scene.error);
		cr_assert_eq(code, -EBADMSG, "%s: %d", scene.where, code);
		cr_assert_eq(list(CANCEL_LIST_PENDING).refusals, 1, "%s: not reported", scene.where);
		cr_assert_eq(list(CANCEL_LIST_PENDING).requests, 1, "%s", scene.where);
		cr_assert_eq(sweep().refused, 1, "%s: not counted", scene.where);
		take_in();
		expect_untouched("pending/" TASK ".json", &before);
		scene_check_beside();
		uproot("pending/" TASK ".json");
	}
}

Test(hostile, in_a_requests_place_is_moved_aside)
{
	for (int i = 0; i < PLANTS; i++) {
		char id[CANCEL_REQUEST_ID_LENGTH + 1];
		struct stat before;

		if (!plant(&plants[i], "pending/" TASK ".json"))
			continue;
		before = look_at("pending/" TASK ".json");
		cr_assert_eq(scene_ask(TASK, id), CANCEL_REQUESTED);
		cr_assert(S_ISREG(look_at("pending/" TASK ".json").st_mode));
		expect_moved_aside(&before);
		scene_check_beside();
		scene_check_works();
	}
}

/* A processed record that is none is as good as none; a decision takes its place. */
Test(hostile, in_processed_holds_nothing_up)
{
	for (int i = 0; i < PLANTS; i++) {
		struct stat secret;

		if (!plant(&plants[i], "processed/" TASK ".json"))
			continue;
		cr_assert_eq(lstat(secret_path(), &secret), 0);
		cr_assert_eq(cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error),
			     CANCEL_LOOKUP_NONE, "%s: %s", scene.where, scene.error.text);
		(void)list(CANCEL_LIST_PROCESSED);
		(void)sweep();
		if (i != PLANTS - 1) /* which is a regular file, past its keeping time */
			(void)look_at("processed/" TASK ".json");
		scene_pending();
		cr_assert_eq(scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED), CANCEL_DECIDED, "%s: %s",
			     scene.where, scene.error.text);
		cr_assert(S_ISREG(look_at("processed/" TASK ".json").st_mode));
		cr_assert_eq(secret.st_size, (off_t)strlen(SECRET), "%s: the decision went through it",
			     scene.where);
		scene_check_works();
		scene_check_beside();
	}
}

Test(hostile, as_a_drop_is_refused_and_left)
{
	for (int i = 0; i < PLANTS; i++) {
		struct stat before;

		if (!plant(&plants[i], TASK ".json"))
			continue;
		before = look_at(TASK ".json");
		scene_write("good.json", "{}", 2);
		take_in();
		cr_assert_eq(drops_refused, 1, "%s: not reported", scene.where);
		cr_assert_eq(drops_taken, 1, "%s: the drop beside it was not taken in", scene.where);
		cr_assert_eq(cancel_spool_reset(scene.spool, "good", NULL, &scene.error), 1);
		(void)cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error);
		(void)sweep();
		expect_untouched(TASK ".json", &before);
		scene_check_works();
		uproot(TASK ".json");
	}
}

/* It is where it was, or it was moved aside. */
static void expect_kept(const char *file, const struct stat *before)
{
	struct stat now;

	if (lstat(scene_path(file), &now) == 0 && now.st_ino == before->st_ino)
		expect_untouched(file, before);
	else
		expect_moved_aside(before);
}

Test(hostile, among_the_drafts_is_never_followed)
{
	static const char draft[] = "tmp/0123456789abcdef0123456789abcdef.draft";

	for (int i = 0; i < PLANTS; i++) {
		struct stat before;

		if (!plant(&plants[i], draft))
			continue;
		before = look_at(draft);
		(void)sweep();
		expect_untouched(draft, &before);
		uproot(draft);
		scene_check_works();
	}
}

/* Where an intake that was killed would have left the drop. */
Test(hostile, in_a_left_drops_place_holds_nothing_up)
{
	for (int i = 0; i < PLANTS; i++) {
		char id[CANCEL_REQUEST_ID_LENGTH + 1];
		struct stat before;

		if (!plant(&plants[i], "tmp/" TASK ".drop"))
			continue;
		before = look_at("tmp/" TASK ".drop");
		(void)sweep();
		cr_assert_not(scene_exists("pending/" TASK ".json"), "%s: it was published", scene.where);
		/* Whichever end a directory is read from, one of the good ones comes after it. */
		scene_write("good.json", "{}", 2);
		scene_write(TASK ".json", "{}", 2);
		scene_write("better.json", "{}", 2);
		(void)cancel_spool_intake(scene.spool, count_drop, NULL, &scene.error);
		cr_assert_not(scene_exists("good.json"), "%s: the drop beside it was not taken in: %s",
			      scene.where, scene.error.text);
		cr_assert_neq(cancel_spool_lookup(scene.spool, TASK, NULL, NULL, &scene.error),
			      CANCEL_LOOKUP_NONE, "%s: the drop is lost", scene.where);
		expect_kept("tmp/" TASK ".drop", &before);
		(void)remove(scene_path("tmp/" TASK ".drop"));
		cr_assert_geq(scene_ask(TASK, id), CANCEL_REQUESTED);
		take_in();
		cr_assert_eq(cancel_spool_reset(scene.spool, "good", NULL, &scene.error), 1);
		cr_assert_eq(cancel_spool_reset(scene.spool, "better", NULL, &scene.error), 1);
		scene_check_works();
		scene_check_beside();
	}
}

Test(hostile, in_the_root_is_counted_as_a_stranger)
{
	for (int i = 0; i < PLANTS; i++) {
		struct stat before;

		if (!plant(&plants[i], "stranger"))
			continue;
		before = look_at("stranger");
		take_in();
		cr_assert_eq(sweep().strangers, 1, "%s", scene.where);
		expect_untouched("stranger", &before);
		scene_check_beside();
		uproot("stranger");
	}
}

/* What can be locked is as good as a file, as long as all lock the same; a link is not followed to something
 * else. */
Test(hostile, in_the_locks_place_is_never_followed)
{
	for (int i = 0; i < PLANTS; i++) {
		struct stat before;
		int code;

		scene_pending();
		cr_assert_eq(unlink(scene_path("lock")), 0);
		if (plant(&plants[i], "lock")) {
			before = look_at("lock");
			code = scene_decide(scene.accepted, CANCEL_OUTCOME_STOPPED);
			cr_assert(code == CANCEL_DECIDED ||
					  (code != -ENOENT && strstr(scene.error.text, scene.dir.path)),
				  "%s: %d: %s", scene.where, code, scene.error.text);
			cr_assert(!S_ISLNK(before.st_mode) || code < 0, "%s: it was followed", scene.where);
			expect_untouched("lock", &before);
			uproot("lock");
		}
		scene_check_works();
	}
}

/* The longest that a filesystem has; longer than any of ours. */
static void expect_stranger(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	scene.where = path;
	cr_assert(fd >= 0 && write(fd, "{}", 2) == 2, "%s", strerror(errno));
	(void)close(fd);
	take_in();
	cr_assert_eq(sweep().strangers, 1, "%s", path);
	cr_assert_eq(list(CANCEL_LIST_ALL).requests, 1, "%s", path);
	cr_assert_eq(unlink(path), 0, "%s: it was removed", path);
}

Test(hostile, a_name_of_255_bytes_is_a_stranger)
{
	static const char *const folders[] = {"pending", "processed", "tmp", "."};
	char path[LONG_NAME + 128];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int length = snprintf(path, sizeof(path), "%s/%s/", scene.dir.path, folders[i]);

		(void)memset(path + length, 'x', LONG_NAME);
		(void)strcpy(path + length + LONG_NAME - strlen(".json"), ".json");
		expect_stranger(path);
	}
	scene_check_works();
	scene_check_beside();
}

/* --- two users ---------------------------------------------------------------------------------------- */

/* Do something as somebody else, and hand its result over. */
static int as_user(uid_t uid, gid_t gid, int (*act)(void))
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(100);
		_exit(act());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "somebody else's process was killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* A spool of ALICE's that TEAM shares; BOB is in TEAM. `trusted` is BOB's uid, or nobody's. */
static uid_t trusted;

static struct cancel_spool *open_shared(bool create)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool = NULL;

	cancel_spool_options_init(&options);
	options.path = scene.dir.path;
	options.create = create;
	options.mode = 02770;
	options.group = TEAM;
	options.owner = ALICE;
	if (trusted) {
		options.trusted_users[0] = trusted;
		options.trusted_count = 1;
	}
	(void)cancel_spool_open(&spool, &options, &scene.error);
	return spool;
}

static int make_shared(void)
{
	struct cancel_spool *spool = open_shared(true);

	cancel_spool_close(spool);
	return !spool;
}

static int ask_shared(void)
{
	struct cancel_spool *spool = open_shared(false);
	struct cancel_request request;
	int code;

	if (!spool)
		return 101;
	cancel_request_init(&request);
	request.task_id = TASK;
	code = cancel_spool_request(spool, &request, NULL, &scene.error);
	cancel_request_clear(&request);
	cancel_spool_close(spool);
	return code < 0 ? 102 : code;
}

/* 0 to 3 as cancel_spool_lookup; 103: the record is not BOB's; 100 + errno otherwise. */
static int look_up_shared(void)
{
	struct cancel_spool *spool = open_shared(false);
	struct cancel_request found;
	int code;

	if (!spool)
		return 101;
	cancel_request_init(&found);
	code = cancel_spool_lookup(spool, TASK, NULL, &found, &scene.error);
	if (code > 0 && found.requester.uid != BOB)
		code = 103;
	cancel_request_clear(&found);
	cancel_spool_close(spool);
	return code == -EBADMSG ? 104 : code < 0 ? 105 : code;
}

static int decide_shared(void)
{
	struct cancel_spool *spool = open_shared(false);
	int code;

	if (!spool)
		return 101;
	code = cancel_spool_decide(spool, TASK, NULL, NULL, CANCEL_OUTCOME_STOPPED, NULL, NULL, &scene.error);
	cancel_spool_close(spool);
	return code == -EBADMSG ? 104 : code < 0 ? 105 : code;
}

static void make_shared_spool(uid_t trusts)
{
	scene_close();
	scene_remove();
	scene_make();
	trusted = trusts;
	if (geteuid() != 0)
		cr_skip_test("only root can become two other users");
	cr_assert(chown(scene.dir.root, ALICE, TEAM) == 0 && chmod(scene.dir.root, 0750) == 0);
	cr_assert_eq(as_user(ALICE, TEAM, make_shared), 0);
}

Test(hostile, a_groups_spool_serves_all_its_members)
{
	make_shared_spool(0);
	cr_assert_eq(as_user(BOB, TEAM, ask_shared), CANCEL_REQUESTED);
	cr_assert_eq(as_user(ALICE, TEAM, ask_shared), CANCEL_ALREADY_PENDING);
	cr_assert_eq(as_user(ALICE, TEAM, look_up_shared), CANCEL_LOOKUP_PENDING);
	cr_assert_eq(as_user(ALICE, TEAM, decide_shared), CANCEL_DECIDED);
	cr_assert_eq(as_user(BOB, TEAM, look_up_shared), CANCEL_LOOKUP_PROCESSED);
	cr_assert_eq(as_user(0, 0, look_up_shared), CANCEL_LOOKUP_PROCESSED);
}

Test(hostile, only_a_trusted_users_request_counts)
{
	make_shared_spool(BOB + 100);
	cr_assert_eq(as_user(BOB, TEAM, ask_shared), CANCEL_REQUESTED);
	cr_assert_eq(as_user(ALICE, TEAM, look_up_shared), 104, "a stranger was heard");
	cr_assert_eq(as_user(ALICE, TEAM, decide_shared), 104);
	trusted = BOB;
	cr_assert_eq(as_user(ALICE, TEAM, look_up_shared), CANCEL_LOOKUP_PENDING);
	cr_assert_eq(as_user(ALICE, TEAM, decide_shared), CANCEL_DECIDED);
}

Test(hostile, who_is_not_in_the_group_is_kept_out)
{
	make_shared_spool(0);
	cr_assert_eq(chmod(scene.dir.root, 0755), 0);
	cr_assert_eq(as_user(BOB, BOB, ask_shared), 101);
}

/* BOB's text says that ALICE asked. */
static int forge(void)
{
	static const char text[] =
		"{\"task_id\": \"" TASK "\", \"requester\": {\"name\": \"alice\", \"uid\": 64001}}";
	int fd = open(scene_path("pending/" TASK ".json"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	return fd < 0 || write(fd, text, strlen(text)) < 0;
}

Test(hostile, the_files_owner_is_the_requester)
{
	make_shared_spool(0);
	cr_assert_eq(as_user(BOB, TEAM, forge), 0);
	cr_assert_eq(as_user(ALICE, TEAM, look_up_shared), CANCEL_LOOKUP_PENDING, "the text was believed");
}

/* A file of somebody's that BOB can reach, given a request's name. The kernel lets only root do this for him
 * where fs.protected_hardlinks is set. */
static int write_elsewhere(void)
{
	int fd = open(secret_path(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	return fd < 0 || write(fd, SECRET, strlen(SECRET)) < 0;
}

Test(hostile, a_second_link_to_a_strangers_file_is_refused)
{
	struct stat before;

	make_shared_spool(0);
	cr_assert_eq(chmod(scene.dir.root, 01770), 0);
	cr_assert_eq(as_user(BOB, TEAM, write_elsewhere), 0);
	cr_assert_eq(link(secret_path(), scene_path("pending/" TASK ".json")), 0);
	before = look_at("pending/" TASK ".json");
	cr_assert_eq(as_user(ALICE, TEAM, look_up_shared), 104, "it was heard");
	cr_assert_eq(as_user(ALICE, TEAM, decide_shared), 104);
	expect_untouched("pending/" TASK ".json", &before);
	cr_assert_eq(as_user(ALICE, TEAM, ask_shared), CANCEL_REQUESTED);
	expect_moved_aside(&before);
}

static int become_and_open_spool_of_another(void)
{
	struct cancel_spool *spool = open_shared(false);

	cancel_spool_close(spool);
	return spool ? 0 : strstr(scene.error.text, "owned by uid") ? 1 : 2;
}

Test(hostile, a_strangers_spool_is_refused)
{
	make_shared_spool(0);
	cr_assert(chown(scene.dir.path, BOB, TEAM) == 0 && chown(scene.dir.root, 0, TEAM) == 0);
	cr_assert_eq(as_user(BOB + 100, TEAM, become_and_open_spool_of_another), 1);
}
