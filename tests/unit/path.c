/* The way to a spool, component by component. */
#include "path.h"

#include "spool_case.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


TestSuite(path, .init = spool_case_set_up_place, .fini = spool_case_tear_down, .timeout = 60);

/* Open and close: 0 when it may be used. */
static int walk_as(const char *path, uid_t owner)
{
	int fd = path_open_safely(path, owner, NULL, &error);

	if (fd < 0)
		return fd;
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	(void)close(fd);
	return 0;
}

static int walk(const char *path)
{
	return walk_as(path, (uid_t)-1);
}

static void make(const char *name, mode_t mode)
{
	cr_assert_eq(mkdir(beside(name), 0700), 0);
	cr_assert_eq(chmod(beside(name), mode), 0);
}

static void own(const char *name, uid_t uid)
{
	cr_assert_eq(fchownat(AT_FDCWD, beside(name), uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW), 0);
}

Test(path, a_private_directory_is_reached)
{
	make("a", 0755);
	make("a/b", 0700);
	EXPECT(0, walk(beside("a/b")));
	EXPECT(0, walk(beside("a//b/")));
	EXPECT(0, walk(beside("a/./b/../b")));
	EXPECT(0, walk("/"));
}

Test(path, a_relative_one_is_refused)
{
	EXPECT(-EINVAL, walk("a"));
	EXPECT(-EINVAL, walk(""));
	EXPECT(-EINVAL, walk("./a"));
}

Test(path, what_is_missing_is_named)
{
	EXPECT(-ENOENT, walk(beside("no/spool")));
	EXPECT_WORDS("/no' does not exist; make it first");
	EXPECT(-ENOENT, walk(beside("no")));
	EXPECT_WORDS("/no' is missing");
	EXPECT_WORDS("cancelwatch init");
}

Test(path, a_component_that_is_no_directory_is_named)
{
	cr_assert_eq(mknod(beside("file"), S_IFREG | 0600, 0), 0);
	EXPECT(-ENOTDIR, walk(beside("file")));
	EXPECT(-ENOTDIR, walk(beside("file/spool")));
	EXPECT_WORDS("/file'");
	cr_assert_eq(mkfifo(beside("fifo"), 0600), 0);
	EXPECT(-ENOTDIR, walk(beside("fifo/spool")));
}

Test(path, too_long_a_component_and_too_long_a_path_are_refused)
{
	char path[PATH_MAX + 64];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[NAME_MAX + 2] = '\0';
	EXPECT(-ENAMETOOLONG, walk(path));
	memset(path, '/', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	EXPECT(-ENAMETOOLONG, walk(path));
}

/* DESIGN.md, invariant 19 */
Test(path, an_ancestor_that_others_may_write_is_refused_unless_it_is_sticky)
{
	make("open", 0777);
	make("open/spool", 0700);
	EXPECT(-EPERM, walk(beside("open/spool")));
	EXPECT_WORDS("/open' is owned by uid");
	EXPECT_WORDS("mode 0777");
	EXPECT_WORDS("sticky");
	cr_assert_eq(chmod(beside("open"), 0775), 0);
	EXPECT(-EPERM, walk(beside("open/spool")));
	cr_assert_eq(chmod(beside("open"), 01777), 0);
	EXPECT(0, walk(beside("open/spool")));
	/* The directory itself is for the caller to judge. */
	cr_assert_eq(chmod(beside("open"), 0777), 0);
	EXPECT(0, walk(beside("open")));
}

Test(path, an_ancestor_of_somebody_else_is_refused_even_if_it_is_sticky)
{
	need_root();
	make("theirs", 01777);
	make("theirs/spool", 0700);
	own("theirs", SOMEBODY);
	EXPECT(-EPERM, walk(beside("theirs/spool")));
	EXPECT_WORDS("owned by uid 65534, mode 1777");
	EXPECT(0, walk_as(beside("theirs/spool"), SOMEBODY));
	EXPECT(-EPERM, walk_as(beside("theirs/spool"), SOMEBODY_ELSE));
}

Test(path, roots_link_in_roots_directory_is_followed)
{
	need_root();
	make("real", 0755);
	make("real/spool", 0700);
	cr_assert_eq(symlink(beside("real"), beside("absolute")), 0);
	cr_assert_eq(symlink("real/spool", beside("relative")), 0);
	cr_assert_eq(symlink("../real", beside("real/up")), 0);
	EXPECT(0, walk(beside("absolute/spool")));
	EXPECT(0, walk(beside("relative")));
	EXPECT(0, walk(beside("real/up/up/spool")));
}

/* DESIGN.md, invariant 19 */
Test(path, somebody_elses_link_is_refused)
{
	need_root();
	make("real", 0700);
	cr_assert_eq(symlink(beside("real"), beside("link")), 0);
	own("link", SOMEBODY);
	EXPECT(-ELOOP, walk(beside("link")));
	EXPECT_WORDS("/link' is a symbolic link of uid 65534");
	EXPECT(-ELOOP, walk_as(beside("link"), SOMEBODY));
}

Test(path, roots_link_where_others_may_put_links_is_refused)
{
	need_root();
	make("open", 01777);
	make("real", 0700);
	cr_assert_eq(symlink(beside("real"), beside("open/link")), 0);
	EXPECT(-ELOOP, walk(beside("open/link")));
	cr_assert_eq(chmod(beside("open"), 0755), 0);
	EXPECT(0, walk(beside("open/link")));
}

static int walk_my_link(void *arg)
{
	(void)arg;
	return walk(beside("mine/link")) == -ELOOP ? 0 : 1;
}

Test(path, not_even_my_own_link_is_followed_when_i_am_not_root)
{
	need_root();
	cr_assert_eq(chmod(place_root, 0755), 0);
	make("mine", 0755);
	make("real", 0755);
	cr_assert_eq(symlink(beside("real"), beside("mine/link")), 0);
	own("mine/link", SOMEBODY);
	own("mine", SOMEBODY);
	cr_assert_eq(in_child_as(SOMEBODY, walk_my_link, NULL), 0);
}

Test(path, links_that_lead_to_an_unsafe_place_are_judged_there)
{
	need_root();
	make("open", 0777);
	make("open/spool", 0700);
	cr_assert_eq(symlink(beside("open/spool"), beside("link")), 0);
	EXPECT(-EPERM, walk(beside("link")));
	EXPECT_WORDS("/open'");
}

Test(path, a_loop_of_links_ends)
{
	need_root();
	cr_assert_eq(symlink("loop", beside("loop")), 0);
	EXPECT(-ELOOP, walk(beside("loop")));
}

/* --- making -------------------------------------------------------------------------------------------------------- */

Test(path, the_last_component_is_made_as_told_and_only_that)
{
	struct path_creation creation = {.mode = 02770, .owner = (uid_t)-1, .group = (gid_t)-1};
	struct stat info;
	int fd;

	(void)umask(0777);
	fd = path_open_safely(beside("new"), (uid_t)-1, &creation, &error);
	cr_assert_geq(fd, 0);
	cr_assert(creation.made);
	cr_assert_eq(fstat(fd, &info), 0);
	cr_assert_eq(info.st_mode & 07777, 02770);
	(void)close(fd);
	creation.made = false;
	fd = path_open_safely(beside("new"), (uid_t)-1, &creation, &error);
	cr_assert_geq(fd, 0);
	cr_assert(!creation.made);
	(void)close(fd);
	EXPECT(-ENOENT, path_open_safely(beside("no/new"), (uid_t)-1, &creation, &error));
}

Test(path, what_is_made_gets_its_owner_and_group)
{
	struct path_creation creation = {.mode = 0700, .owner = SOMEBODY, .group = SHARED_GROUP};
	struct stat info;
	int fd;

	need_root();
	fd = path_open_safely(beside("new"), SOMEBODY, &creation, &error);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(fd, &info), 0);
	cr_assert(info.st_uid == SOMEBODY && info.st_gid == SHARED_GROUP);
	(void)close(fd);
}

static int make_for_somebody_else(void *arg)
{
	struct path_creation creation = {.mode = 0700, .owner = SOMEBODY_ELSE, .group = (gid_t)-1};

	(void)arg;
	return path_open_safely(beside("mine/new"), SOMEBODY_ELSE, &creation, &error) == -EPERM ? 0 : 1;
}

Test(path, what_cannot_be_made_as_told_is_not_left_behind)
{
	need_root();
	cr_assert_eq(chmod(place_root, 0755), 0);
	make("mine", 0755);
	own("mine", SOMEBODY);
	cr_assert_eq(in_child_as(SOMEBODY, make_for_somebody_else, NULL), 0);
	cr_assert_eq(access(beside("mine/new"), F_OK), -1);
}

Test(path, a_relative_link_of_the_root_directory_leads_on_from_there)
{
	struct stat link;

	if (lstat("/bin", &link) < 0 || !S_ISLNK(link.st_mode))
		cr_skip_test("/bin is no link here");
	EXPECT(0, walk("/bin"));
	EXPECT(0, walk("/bin/../bin"));
}

/* Each of the two is short enough. */
Test(path, a_link_that_makes_the_path_too_long_is_refused)
{
	char target[PATH_MAX - 8], path[PATH_MAX];
	size_t used;

	need_root();
	make("a", 0755);
	for (used = 0; used + 2 < sizeof(target); used += 2)
		memcpy(target + used, "./", 2);
	target[used] = '\0';
	cr_assert_eq(symlink(target, beside("a/link")), 0);
	used = (size_t)snprintf(path, sizeof(path), "%s/", beside("a/link"));
	memset(path + used, 'x', 100);
	path[used + 100] = '\0';
	EXPECT(-ENAMETOOLONG, walk(path));
}
