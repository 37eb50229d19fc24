/* Opening, the layout, what is refused, who shares a spool, and directories that are replaced. */
#include <cancel/spool.h>

#include "counted_sync.h"
#include "spool_case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TMPFS_TYPE 0x01021994

static struct cancel_spool_options options;
static char id[CANCEL_REQUEST_ID_LENGTH + 1];

static void set_up(void)
{
	spool_case_set_up_place();
	(void)umask(077);
	cancel_spool_options_init(&options);
	options.create = true;
}

static int open_spool(void)
{
	return spool_case_reopen(&options);
}

TestSuite(spool, .init = set_up, .fini = spool_case_tear_down, .timeout = 60);

/* --- options ------------------------------------------------------------------------------------------------- */

Test(spool, the_defaults_are_those_of_the_header)
{
	memset(&options, 0xa5, sizeof(options));
	cancel_spool_options_init(&options);
	cr_assert_null(options.path);
	cr_assert(!options.create);
	cr_assert_eq(options.mode, 0700);
	cr_assert(options.group == (gid_t)-1 && options.owner == (uid_t)-1);
	cr_assert_eq(options.durability, CANCEL_DURABILITY_NONE);
	cr_assert_eq(options.expire_after_s, 24 * 3600);
	cr_assert_eq(options.max_reason_bytes, 4096);
	cr_assert_eq(options.trusted_count, 0);
}

#define REFUSED(field, value)                                   \
	do {                                                    \
		struct cancel_spool_options kept = options;     \
                                                                \
		options.field = value;                          \
		EXPECT(-EINVAL, open_spool());                  \
		options = kept;                                 \
	} while (0)

Test(spool, options_out_of_range_make_nothing)
{
	REFUSED(mode, 0777);
	REFUSED(mode, 0701);
	REFUSED(mode, 0600);
	REFUSED(mode, 01770);
	REFUSED(mode, 04700);
	REFUSED(durability, (enum cancel_durability)3);
	REFUSED(durability, (enum cancel_durability)-1);
	REFUSED(expire_after_s, 0);
	REFUSED(expire_after_s, -2);
	REFUSED(expire_after_s, CANCEL_EXPIRES_MAX_S + 1);
	REFUSED(max_reason_bytes, CANCEL_REASON_MAX + 1);
	REFUSED(trusted_count, CANCEL_TRUSTED_USERS_MAX + 1);
	REFUSED(path, "relative/path");
	EXPECT_WORDS("absolute");
	cr_assert(!there("."));
}

Test(spool, the_path_comes_from_the_environment_unless_it_is_given)
{
	struct cancel_spool_info info;
	struct cancel_spool *opened;

	cr_assert_eq(setenv(CANCEL_SPOOL_VARIABLE, place_path, 1), 0);
	options.path = NULL;
	EXPECT(0, cancel_spool_open(&opened, &options, &error));
	EXPECT(0, cancel_spool_info(opened, &info, &error));
	cr_assert_str_eq(info.path, place_path);
	cancel_spool_close(opened);
	cr_assert_eq(setenv(CANCEL_SPOOL_VARIABLE, "relative", 1), 0);
	EXPECT(-EINVAL, cancel_spool_open(&opened, &options, &error));
	options.path = place_path;
	EXPECT(0, cancel_spool_open(&opened, &options, &error));
	cancel_spool_close(opened);
	cancel_spool_close(NULL);
}

/* --- making --------------------------------------------------------------------------------------------------- */

Test(spool, a_missing_one_is_made_only_when_asked_to)
{
	struct cancel_spool *opened = (struct cancel_spool *)&options;

	options.create = false;
	options.path = place_path;
	EXPECT(-ENOENT, cancel_spool_open(&opened, &options, &error));
	EXPECT_WORDS("cancelwatch init");
	cr_assert_eq((void *)opened, (void *)&options, "a failure set the result");
	cr_assert(!there("."));
	options.create = true;
	EXPECT(0, open_spool());
	options.create = false;
	EXPECT(0, open_spool());
}

Test(spool, parents_are_not_made)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/no/spool", place_root);
	options.path = path;
	EXPECT(-ENOENT, open_spool());
	cr_assert(!there("../no"));
}

Test(spool, it_is_made_private_whatever_the_umask)
{
	static const char *const dirs[] = {".", "pending", "processed", "tmp", "refused", "runs"};

	for (int i = 0; i < 2; i++) {
		(void)umask(i ? 0 : 0777);
		EXPECT(0, open_spool());
		EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
		for (int k = 0; k < 6; k++)
			cr_assert_eq(stat_of(dirs[k]).st_mode & 07777, 0700, "%s", dirs[k]);
		(void)umask(077);
		cr_assert_eq(stat_of("pending/a.json").st_mode & 0177, 0);
		cr_assert_eq(stat_of("lock").st_mode & 0177, 0);
		cr_assert_eq(stat_of("version").st_mode & 0177, 0);
		cr_assert_eq(rename(place_path, beside(i ? "second" : "first")), 0);
	}
}

Test(spool, everybody_who_opens_it_sees_the_same_uuid)
{
	struct cancel_spool_info one, other;
	char *version;

	EXPECT(0, open_spool());
	EXPECT(0, cancel_spool_info(spool, &one, &error));
	EXPECT(0, open_spool());
	EXPECT(0, cancel_spool_info(spool, &other, &error));
	cr_assert_str_eq(one.uuid, other.uuid);
	cr_assert_eq(strlen(one.uuid), 36);
	cr_assert_eq(one.layout_version, 1);
	cr_assert_str_eq(one.filesystem, "tmpfs");
	cr_assert(one.is_volatile && !one.sees_remote);
	cr_assert(one.inode == stat_of(".").st_ino && one.device == stat_of(".").st_dev && one.mode == 0700 &&
		  one.owner == geteuid() && one.group == getegid() && one.swept_at_us == 0);
	version = get("version");
	cr_assert_not_null(strstr(version, one.uuid));
	free(version);
}

static int open_in_child(void *arg)
{
	struct cancel_spool *opened;

	(void)arg;
	options.path = place_path;
	if (cancel_spool_open(&opened, &options, &error) < 0)
		return 1;
	spool = opened;
	return ask("a", NULL, NULL, NULL) < 0 ? 2 : 0;
}

Test(spool, many_may_make_it_at_once)
{
	int results[8];

	for (int round = 0; round < 10; round++) {
		char aside[32];

		in_children(8, open_in_child, NULL, results);
		for (int i = 0; i < 8; i++)
			cr_assert_eq(results[i], 0, "round %d, child %d: %d", round, i, results[i]);
		cr_assert_eq(count_in("pending"), 1);
		cr_assert_eq(count_in("tmp"), 0);
		(void)snprintf(aside, sizeof(aside), "old%d", round);
		cr_assert_eq(rename(place_path, beside(aside)), 0);
	}
}

Test(spool, a_directory_that_holds_something_else_is_not_made_into_one)
{
	cr_assert_eq(mkdir(place_path, 0700), 0);
	put("thesis.tex", "years of work");
	EXPECT(-ENOTEMPTY, open_spool());
	EXPECT_WORDS("thesis.tex");
	cr_assert_eq(count_in("."), 1);
}

Test(spool, a_directory_that_holds_only_drops_is_made_into_one)
{
	cr_assert_eq(mkdir(place_path, 0700), 0);
	put("a.json", "{}");
	EXPECT(0, open_spool());
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

Test(spool, one_whose_making_was_cut_short_is_completed)
{
	options.mode = 02770;
	options.group = getegid();
	cr_assert_eq(mkdir(place_path, 0700), 0);
	cr_assert_eq(chmod(place_path, 02770), 0);
	cr_assert_eq(mkdir(at("tmp"), 0700), 0); /* killed before its mode was set */
	options.create = false;
	EXPECT(-ENOENT, open_spool());
	EXPECT_WORDS("not a complete spool");
	options.create = true;
	EXPECT(0, open_spool());
	cr_assert_eq(stat_of("tmp").st_mode & 07777, 02770, "mode %o", stat_of("tmp").st_mode);
}

Test(spool, a_later_layout_and_a_damaged_version_are_refused)
{
	EXPECT(0, open_spool());
	put("version", "{\"layout\": 2, \"uuid\": \"00000000-0000-4000-8000-000000000000\"}");
	EXPECT(-ENOTSUP, open_spool());
	EXPECT_WORDS("version 2");
	put("version", "");
	EXPECT(-ENOTSUP, open_spool());
	put("version", "{\"layout\": \"1\"}");
	EXPECT(-ENOTSUP, open_spool());
	put("version", "{\"layout\": 1, \"uuid\": \"0123456789012345678901234567890123456789\"}");
	EXPECT(-ENOTSUP, open_spool());
	cr_assert_eq(unlink(at("version")), 0);
	cr_assert_eq(mkfifo(at("version"), 0600), 0);
	cr_assert_lt(open_spool(), 0);
}

/* --- what is unsafe ---------------------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 19 */
Test(spool, one_that_others_may_write_is_refused)
{
	EXPECT(0, open_spool());
	cr_assert_eq(chmod(place_path, 0777), 0);
	EXPECT(-EPERM, open_spool());
	EXPECT_WORDS("mode 0777");
	EXPECT_WORDS("set TASK_CANCELLATION_DIR or ask its owner");
	cr_assert_eq(chmod(place_path, 01777), 0);
	EXPECT(-EPERM, open_spool());
	cr_assert_eq(chmod(place_path, 0755), 0);
	EXPECT(0, open_spool());
}

Test(spool, a_foreign_owners_is_refused_unless_he_is_configured)
{
	need_root();
	EXPECT(0, open_spool());
	cr_assert_eq(chown(place_path, SOMEBODY, (gid_t)-1), 0);
	EXPECT(-EPERM, open_spool());
	EXPECT_WORDS("owned by uid 65534");
	options.owner = SOMEBODY;
	EXPECT(0, open_spool());
}

Test(spool, another_group_than_the_configured_one_is_refused)
{
	need_root();
	options.mode = 02770;
	EXPECT(0, open_spool());
	options.group = SHARED_GROUP;
	EXPECT(-EPERM, open_spool());
	EXPECT_WORDS("chgrp 4321");
	cr_assert_eq(chmod(place_path, 0700), 0);
	EXPECT(-EPERM, open_spool()); /* its directories are wider than itself now */
}

Test(spool, a_directory_of_it_that_is_a_link_or_wider_or_foreign_is_refused)
{
	EXPECT(0, open_spool());
	cr_assert_eq(chmod(at("processed"), 0777), 0);
	EXPECT(-EPERM, open_spool());
	EXPECT_WORDS("'processed' has mode 0777");
	cr_assert_eq(chmod(at("processed"), 0700), 0);
	EXPECT(0, open_spool());
	cr_assert_eq(rename(at("pending"), beside("elsewhere")), 0);
	cr_assert_eq(symlink(beside("elsewhere"), at("pending")), 0);
	cr_assert_lt(open_spool(), 0);
	cr_assert_eq(unlink(at("pending")), 0);
	cr_assert_eq(rename(beside("elsewhere"), at("pending")), 0);
	EXPECT(0, open_spool());
	if (geteuid() == 0) {
		cr_assert_eq(chown(at("tmp"), SOMEBODY, (gid_t)-1), 0);
		EXPECT(-EPERM, open_spool());
		EXPECT_WORDS("'tmp' is owned by uid 65534");
	}
}

Test(spool, pending_replaced_by_a_link_while_open_is_refused)
{
	EXPECT(0, open_spool());
	cr_assert_eq(rename(at("pending"), at("tmp/elsewhere")), 0);
	cr_assert_eq(mkdir(beside("trap"), 0700), 0);
	cr_assert_eq(symlink(beside("trap"), at("pending")), 0);
	cr_assert_lt(ask("a", NULL, NULL, NULL), 0);
	cr_assert_lt(lookup("a", NULL), 0);
	cr_assert_eq(count_in("../trap"), 0);
}

Test(spool, pending_with_something_mounted_on_it_is_refused)
{
	need_mounts();
	EXPECT(0, open_spool());
	cr_assert_eq(mount("none", at("pending"), "tmpfs", 0, "mode=700"), 0);
	EXPECT(-EXDEV, ask("a", NULL, NULL, NULL));
	EXPECT(-EXDEV, lookup("a", NULL));
	EXPECT(-EXDEV, open_spool());
	cr_assert_eq(umount(at("pending")), 0);
	EXPECT(0, open_spool());
	EXPECT(CANCEL_REQUESTED, ask("b", NULL, NULL, NULL));
}

Test(spool, a_read_only_one_can_be_looked_into_and_not_written)
{
	need_mounts();
	cr_assert_eq(mkdir(beside("mount"), 0700), 0);
	cr_assert_eq(mount("none", beside("mount"), "tmpfs", 0, "mode=700"), 0);
	options.path = beside("mount/spool");
	EXPECT(0, open_spool());
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	cancel_spool_close(spool);
	spool = NULL;
	cr_assert_eq(mount("none", beside("mount"), "tmpfs", MS_REMOUNT | MS_RDONLY, "mode=700"), 0);
	EXPECT(0, open_spool());
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("b", NULL));
	EXPECT(-EROFS, ask("b", NULL, NULL, NULL));
	EXPECT(-EROFS, ask("a", NULL, NULL, NULL));
	EXPECT(-EROFS, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	options.path = beside("mount/new");
	EXPECT(-EROFS, open_spool());
	cr_assert_eq(umount(beside("mount")), 0);
}

/* --- a group's spool ------------------------------------------------------------------------------------------------ */

static int use_as_member(void *arg)
{
	struct cancel_spool_options own;
	struct cancel_mark mark;

	(void)arg;
	cancel_spool_close(spool);
	spool = NULL;
	(void)umask(077);
	cancel_spool_options_init(&own);
	own.path = place_path;
	if (cancel_spool_open(&spool, &own, &error) < 0)
		return 1;
	if (ask("shared", NULL, "by a member", NULL) < 0)
		return 2;
	if (ask_terms("shared", CANCEL_EXPIRES_NEVER, 0) != CANCEL_ALREADY_PENDING)
		return 3;
	if (lookup("shared", NULL) != CANCEL_LOOKUP_PENDING)
		return 4;
	if (lookup("roots", NULL) != CANCEL_LOOKUP_PENDING || decide("roots", NULL, NULL, CANCEL_OUTCOME_STOPPED) < 0)
		return 5;
	if (cancel_spool_mark(spool, "roots", NULL, &mark, &error) < 0 || !mark.task_cancel_id[0])
		return 6;
	if (decide("others", NULL, NULL, CANCEL_OUTCOME_STOPPED) < 0 && getuid() == SOMEBODY_ELSE)
		return 7;
	if (getuid() == SOMEBODY && ask("others", NULL, NULL, NULL) < 0)
		return 8;
	return 0;
}

static void expect_shared(mode_t mode)
{
	need_root();
	cr_assert_eq(chmod(place_root, 0755), 0);
	options.mode = mode;
	options.group = SHARED_GROUP;
	EXPECT(0, open_spool());
	cr_assert_eq(stat_of(".").st_mode & 07777, mode);
	cr_assert_eq(stat_of("pending").st_mode & 07777, mode);
	cr_assert_eq(stat_of("pending").st_gid, SHARED_GROUP);
	EXPECT(CANCEL_REQUESTED, ask("roots", NULL, NULL, NULL));
	cr_assert_eq(in_child_as(SOMEBODY, use_as_member, NULL), 0);
	EXPECT(CANCEL_REQUESTED, ask("roots", NULL, NULL, NULL));
	cr_assert_eq(in_child_as(SOMEBODY_ELSE, use_as_member, NULL), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("shared", NULL));
	cr_assert_str_eq(found.reason, "by a member");
	EXPECT(CANCEL_DECIDED, decide("shared", NULL, NULL, CANCEL_OUTCOME_STOPPED));
}

Test(spool, a_group_shares_one_with_its_bit_set)
{
	expect_shared(02770);
}

Test(spool, a_group_shares_one_without_its_bit_too)
{
	expect_shared(0770);
}

Test(spool, the_requester_stays_who_he_was_when_a_member_of_the_group_decides)
{
	need_root();
	cr_assert_eq(chmod(place_root, 0755), 0);
	options.mode = 02770;
	options.group = SHARED_GROUP;
	EXPECT(0, open_spool());
	EXPECT(CANCEL_REQUESTED, ask("roots", NULL, NULL, NULL));
	cr_assert_eq(in_child_as(SOMEBODY, use_as_member, NULL), 0);
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("roots", NULL));
	cr_assert_eq(found.worker.uid, SOMEBODY);
	cr_assert_eq(found.requester.uid, 0, "the decider became the requester: uid %ld", (long)found.requester.uid);
}

static int open_as_stranger(void *arg)
{
	struct cancel_spool *opened = NULL;

	(void)arg;
	options.create = false;
	options.path = place_path;
	return cancel_spool_open(&opened, &options, &error) < 0 && error.text[0] ? 1 : 0;
}

Test(spool, a_private_one_is_shut_to_others)
{
	need_root();
	cr_assert_eq(chmod(place_root, 0755), 0);
	EXPECT(0, open_spool());
	cr_assert_eq(in_child_as(SOMEBODY, open_as_stranger, NULL), 1);
}

Test(spool, what_root_makes_in_a_users_spool_is_the_users)
{
	need_root();
	options.owner = SOMEBODY;
	EXPECT(0, open_spool());
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	cr_assert_eq(stat_of(".").st_uid, SOMEBODY);
	cr_assert_eq(stat_of("pending").st_uid, SOMEBODY);
	cr_assert_eq(stat_of("pending/a.json").st_uid, SOMEBODY);
	cr_assert_eq(stat_of("lock").st_uid, SOMEBODY);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(found.requester.uid, 0);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(stat_of("processed/a.json").st_uid, SOMEBODY);
	(void)sweep(NULL);
	cr_assert_eq(stat_of("swept").st_uid, SOMEBODY);
}

/* --- durability -------------------------------------------------------------------------------------------------------- */

static char on_disk[64];

/* A spool on a filesystem that outlives a power cut, or the test is skipped. */
static void open_on_disk(enum cancel_durability durability)
{
	struct statfs info;

	(void)strcpy(on_disk, "/tmp/cancel-XXXXXX");
	cr_assert_not_null(mkdtemp(on_disk));
	cr_assert_eq(statfs(on_disk, &info), 0);
	if (info.f_type == TMPFS_TYPE) {
		(void)rmdir(on_disk);
		cr_skip_test("/tmp is in memory");
	}
	(void)strcat(on_disk, "/spool");
	options.path = on_disk;
	options.durability = durability;
	EXPECT(0, open_spool());
	syncs = (struct sync_counts){0};
}

static void remove_on_disk(void)
{
	char command[128];

	cancel_spool_close(spool);
	spool = NULL;
	*strrchr(on_disk, '/') = '\0';
	(void)snprintf(command, sizeof(command), "rm -r '%s'", on_disk);
	cr_assert_eq(system(command), 0);
}

Test(spool, durability_full_is_refused_on_a_filesystem_in_memory)
{
	options.durability = CANCEL_DURABILITY_FULL;
	EXPECT(-ENOTSUP, open_spool());
	EXPECT_WORDS("tmpfs");
	EXPECT_WORDS("does not survive a power cut");
	options.durability = CANCEL_DURABILITY_FILE;
	EXPECT(0, open_spool());
}

Test(spool, durability_none_syncs_nothing)
{
	open_on_disk(CANCEL_DURABILITY_NONE);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert(syncs.fsync == 0 && syncs.fdatasync == 0 && syncs.syncfs == 0);
	remove_on_disk();
}

/* DESIGN.md, invariant 1 */
Test(spool, durability_file_syncs_each_file_before_its_name)
{
	open_on_disk(CANCEL_DURABILITY_FILE);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	cr_assert(syncs.fdatasync == 1 && syncs.fsync == 0);
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", CANCEL_EXPIRES_NEVER, 0));
	cr_assert_geq(syncs.fdatasync, 2);
	syncs = (struct sync_counts){0};
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert(syncs.fdatasync == 1 && syncs.fsync == 0);
	remove_on_disk();
}

Test(spool, durability_full_syncs_the_file_and_the_directory)
{
	open_on_disk(CANCEL_DURABILITY_FULL);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	cr_assert(syncs.fdatasync == 1 && syncs.fsync == 1, "%d %d", syncs.fdatasync, syncs.fsync);
	EXPECT(CANCEL_ALREADY_PENDING, ask("a", NULL, NULL, NULL));
	cr_assert_eq(syncs.fsync, 2, "who is told 'already pending' relies on it as much");
	syncs = (struct sync_counts){0};
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert(syncs.fdatasync == 1 && syncs.fsync == 1);
	remove_on_disk();
}

static void look_before_sync(void)
{
	cr_assert_eq(lookup("a", NULL), CANCEL_LOOKUP_NONE, "published before it was synced");
}

Test(spool, a_file_that_cannot_be_synced_is_not_published)
{
	options.durability = CANCEL_DURABILITY_FILE;
	EXPECT(0, open_spool());
	sync_hook = look_before_sync;
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	sync_errno = EIO;
	EXPECT(-EIO, ask("b", NULL, NULL, NULL));
	EXPECT_WORDS("nothing was requested");
	EXPECT(-EIO, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT_WORDS("still pending");
	sync_errno = 0;
	EXPECT(CANCEL_LOOKUP_NONE, lookup("b", NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(count_in("tmp"), 0);
}

/* --- replaced ------------------------------------------------------------------------------------------------------------ */

/* Put another, new spool in its place. */
static void replace_spool(void)
{
	static int times;
	struct cancel_spool_options fresh;
	struct cancel_spool *other;
	char aside[32];

	(void)snprintf(aside, sizeof(aside), "away%d", times++);
	cr_assert_eq(rename(place_path, beside(aside)), 0);
	cancel_spool_options_init(&fresh);
	fresh.create = true;
	fresh.path = place_path;
	cr_assert_eq(cancel_spool_open(&other, &fresh, NULL), 0);
	cancel_spool_close(other);
}

Test(spool, after_a_replacement_every_call_works_in_the_new_one)
{
	struct cancel_mark mark;
	struct cancel_spool_info before, after;

	EXPECT(0, open_spool());
	EXPECT(0, cancel_spool_info(spool, &before, &error));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	replace_spool();
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	replace_spool();
	EXPECT(0, check("a", NULL, NULL));
	replace_spool();
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	cr_assert(there("pending/a.json"), "it was lost with the old directory");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	replace_spool();
	EXPECT(-ENOENT, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	replace_spool();
	EXPECT(0, cancel_spool_mark(spool, "a", NULL, &mark, &error));
	cr_assert_str_eq(mark.task_cancel_id, "");
	replace_spool();
	EXPECT(0, cancel_spool_reset(spool, "a", NULL, &error));
	replace_spool();
	(void)sweep(NULL);
	cr_assert(there("swept"));
	replace_spool();
	EXPECT(0, cancel_spool_info(spool, &after, &error));
	cr_assert_str_neq(before.uuid, after.uuid);
	cr_assert_eq(after.inode, stat_of(".").st_ino);
}

/* DESIGN.md, invariant 7 */
Test(spool, a_request_whose_spool_is_replaced_while_it_is_written_is_not_lost)
{
	options.durability = CANCEL_DURABILITY_FILE;
	EXPECT(0, open_spool());
	sync_hook = replace_spool; /* the draft is written, and not yet published */
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	cr_assert(there("pending/a.json"), "it was lost with the old directory");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.request_id, id);
}

Test(spool, a_spool_that_was_deleted_and_made_anew_takes_requests_as_before)
{
	char command[128];

	EXPECT(0, open_spool());
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	(void)snprintf(command, sizeof(command), "rm -r '%s'", place_path);
	cr_assert_eq(system(command), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL)); /* `create` holds for this too */
	cr_assert(there("pending/a.json"));
	cr_assert_eq(system(command), 0);
	options.create = false;
	EXPECT(-ENOENT, open_spool());
}

Test(spool, one_that_is_replaced_by_an_unsafe_one_fails)
{
	EXPECT(0, open_spool());
	replace_spool();
	cr_assert_eq(chmod(place_path, 0777), 0);
	EXPECT(-EPERM, ask("a", NULL, NULL, NULL));
	EXPECT(-EPERM, lookup("a", NULL));
	cr_assert_eq(count_in("pending"), 0);
	cr_assert_eq(chmod(place_path, 0700), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
}

Test(spool, one_that_comes_back_is_used_again)
{
	EXPECT(0, open_spool());
	options.create = false;
	EXPECT(0, open_spool());
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	EXPECT(-ENOENT, lookup("a", NULL));
	EXPECT(-ENOENT, ask("b", NULL, NULL, NULL));
	cr_assert_eq(rename(beside("away"), place_path), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(CANCEL_REQUESTED, ask("c", NULL, NULL, NULL));
}

static int use_after_fork(void *arg)
{
	(void)arg;
	if (ask("child", NULL, NULL, NULL) != CANCEL_REQUESTED || lookup("parent", NULL) != CANCEL_LOOKUP_PENDING)
		return 1;
	cancel_spool_close(spool);
	return 0;
}

Test(spool, a_forked_child_goes_on_using_it)
{
	EXPECT(0, open_spool());
	EXPECT(CANCEL_REQUESTED, ask("parent", NULL, NULL, NULL));
	cr_assert_eq(in_child_as(0, use_after_fork, NULL), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("child", NULL));
}
