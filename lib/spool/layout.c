/*
 * What a spool's directory holds: made once, by its owner or root, and judged each time it is opened. The file
 * `version` comes last, so where it stands everything else does. A directory that was there before and holds
 * anything but drops is not made into a spool: somebody mistyped a path.
 */
#include "store.h"

#include "bell.h"
#include "draft.h"
#include "error.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VERSION_TEXT(layout, uuid) "{\"layout\": " layout ", \"uuid\": \"" uuid "\"}"
#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static const char *const dir_names[SPOOL_DIR_COUNT] = {
	[SPOOL_ROOT] = ".",		    [SPOOL_TMP] = DIR_TMP,	   [SPOOL_PENDING] = DIR_PENDING,
	[SPOOL_PROCESSED] = DIR_PROCESSED, [SPOOL_REFUSED] = DIR_REFUSED, [SPOOL_RUNS] = DIR_RUNS,
};

static const char *const own_files[] = {FILE_LOCK, FILE_VERSION, FILE_SWEPT, FILE_BELL};

ssize_t store_read_small(int dir_fd, const char *name, char *text, size_t size)
{
	struct stat stat;
	ssize_t length;
	int fd = file_open_regular(dir_fd, name, &stat);

	if (fd < 0)
		return fd;
	length = file_read(fd, text, size - 1);
	file_close(fd);
	if (length >= 0)
		text[length] = '\0';
	return length;
}

int spool_adopt(const struct cancel_spool *spool, int fd, mode_t mode)
{
	/* Root works in other people's spools: what it makes there must be theirs, or they cannot read it. */
	if (spool->owner != 0 && geteuid() == 0 && fchown(fd, spool->owner, spool->group) < 0)
		return -errno;
	/* Without the directory's set-group-id bit a new file has its maker's group. */
	if (spool->group_differs && fchown(fd, (uid_t)-1, spool->group) < 0)
		return -errno;
	/* The umask must not shut the group out. */
	if ((mode & 077) && fchmod(fd, mode) < 0)
		return -errno;
	return 0;
}

static int failed(const struct cancel_spool *spool, int code, const char *what, struct cancel_error *error)
{
	return error_system(error, code, "cannot use spool '%s': '%s'", SPOOL_QUOTE(spool), what);
}

/* --- what stands there already ----------------------------------------------------------------------- */

bool layout_belongs(const char *name)
{
	for (int i = SPOOL_TMP; i < SPOOL_DIR_COUNT; i++)
		if (!strcmp(name, dir_names[i]))
			return true;
	for (size_t i = 0; i < sizeof own_files / sizeof own_files[0]; i++)
		if (!strcmp(name, own_files[i]))
			return true;
	return !strcmp(name, ".") || !strcmp(name, "..") || name_of_file(name);
}

/* Look for something that a spool in the making would not hold. */
static int find_stranger(const struct cancel_spool *spool, int root_fd, struct cancel_error *error)
{
	int fd = openat(root_fd, ".", OPEN_DIRECTORY), code = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		code = failed(spool, -errno, ".", error);
		file_close(fd);
		return code;
	}
	while (code == 0 && (entry = readdir(dir)))
		if (!layout_belongs(entry->d_name))
			code = error_set(error, -ENOTEMPTY,
					 "'%s' is not a spool and is not made into one: it holds '%s'; name an "
					 "empty or missing directory",
					 SPOOL_QUOTE(spool), QUOTE(entry->d_name));
	(void)closedir(dir);
	return code;
}

/* --- making ------------------------------------------------------------------------------------------- */

/* 128 random bits in the form of RFC 4122, version 4. */
static int random_uuid(char text[37])
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	int code = draft_random_id(id);

	if (code == 0)
		(void)snprintf(text, 37, "%.8s-%.4s-4%.3s-8%.3s-%.12s", id, id + 8, id + 13, id + 17, id + 20);
	return code;
}

static int make_dir(const struct cancel_spool *spool, int root_fd, const char *name, mode_t mode,
		    struct cancel_error *error)
{
	int fd, code = 0;

	/* One that is there already may be from a making that was killed before it set the mode. */
	if (mkdirat(root_fd, name, 0700) < 0 && errno != EEXIST)
		return failed(spool, -errno, name, error);
	fd = openat(root_fd, name, OPEN_DIRECTORY);
	if (fd < 0)
		return failed(spool, -errno, name, error);
	if ((geteuid() == 0 || spool->group_differs) &&
	    fchown(fd, geteuid() == 0 ? spool->owner : (uid_t)-1, spool->group) < 0)
		code = failed(spool, -errno, name, error);
	if (code == 0 && fchmod(fd, mode) < 0)
		code = failed(spool, -errno, name, error);
	file_close(fd);
	return code;
}

/* Whatever the durability: a spool whose `version` a power cut left empty would not open again. Made once, it costs once.
 * A filesystem that cannot sync promises nothing; with durability full it is refused elsewhere. */
static int sync_made(int fd)
{
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int put_file(const struct cancel_spool *spool, int root_fd, int tmp_fd, const char *name, const void *content,
		    size_t size, mode_t mode)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], draft[sizeof id + sizeof DRAFT_SUFFIX];
	int fd, code = draft_random_id(id);

	if (code < 0)
		return code;
	(void)snprintf(draft, sizeof draft, "%s" DRAFT_SUFFIX, id);
	fd = openat(tmp_fd, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	code = file_write_all(fd, content, size);
	if (code == 0)
		code = spool_adopt(spool, fd, mode);
	if (code == 0 && size)
		code = sync_made(fd);
	if (code == 0 && renameat2(tmp_fd, draft, root_fd, name, RENAME_NOREPLACE) < 0)
		code = -errno;
	if (code == -EINVAL || code == -ENOSYS) /* a filesystem that cannot; it then has links */
		code = linkat(tmp_fd, draft, root_fd, name, 0) < 0 ? -errno : 0;
	file_close(fd);
	(void)unlinkat(tmp_fd, draft, 0);
	return code;
}

/* Whole or not there: written under another name, linked if absent. In tmp/ by a descriptor and never by a path:
 * whoever may rename in the spool could put a link to elsewhere in its place, and root would make a file there. */
int layout_make_file(const struct cancel_spool *spool, int root_fd, const char *name, const void *content, size_t size,
		     mode_t mode, struct cancel_error *error)
{
	int tmp_fd = openat(root_fd, DIR_TMP, OPEN_DIRECTORY), code;

	if (tmp_fd < 0)
		return failed(spool, -errno, DIR_TMP, error);
	code = put_file(spool, root_fd, tmp_fd, name, content, size, mode);
	file_close(tmp_fd);
	return code == 0 || code == -EEXIST ? 0 : failed(spool, code, name, error);
}

static int make_version(const struct cancel_spool *spool, int root_fd, struct cancel_error *error)
{
	char uuid[37], text[128];

	int code = random_uuid(uuid);

	if (code < 0)
		return failed(spool, code, FILE_VERSION, error);
	(void)snprintf(text, sizeof text, VERSION_TEXT("%d", "%s") "\n", LAYOUT_VERSION, uuid);
	return layout_make_file(spool, root_fd, FILE_VERSION, text, strlen(text), spool->file_mode, error);
}

/* The names of the spool's parts, and its own in its parent. Who makes in a parent that he may not read syncs all. */
static int sync_names(const struct cancel_spool *spool, int root_fd, struct cancel_error *error)
{
	int fd = openat(root_fd, ".", OPEN_DIRECTORY), parent_fd = openat(root_fd, "..", OPEN_DIRECTORY), code;

	code = fd < 0 ? -errno : sync_made(fd);
	if (code == 0)
		code = parent_fd >= 0 ? sync_made(parent_fd) : syncfs(fd) < 0 ? -errno : 0;
	file_close(parent_fd);
	file_close(fd);
	return code == 0 ? 0 : error_system(error, code, "cannot use spool '%s': its directory, or the one above it, cannot be "
					    "synced", SPOOL_QUOTE(spool));
}

/* Directories that others made inside would belong to them, so only the owner and root make any. */
static int may_make(const struct cancel_spool *spool, struct cancel_error *error)
{
	if (geteuid() == 0 || geteuid() == spool->owner)
		return 0;
	return error_set(error, -EPERM,
			 "spool '%s' is not complete; ask its owner, uid %u, to run 'cancelwatch init'",
			 SPOOL_QUOTE(spool), spool->owner);
}

static int make_layout(const struct cancel_spool *spool, int root_fd, const struct stat *root,
		       struct cancel_error *error)
{
	int code = may_make(spool, error);

	if (code == 0)
		code = find_stranger(spool, root_fd, error);
	for (int i = SPOOL_TMP; code == 0 && i < SPOOL_DIR_COUNT; i++)
		code = make_dir(spool, root_fd, dir_names[i], root->st_mode & 07777, error);
	if (code == 0)
		code = layout_make_file(spool, root_fd, FILE_LOCK, "", 0, spool->lock_mode, error);
	/* Others of its group may not make it. Where it cannot be had, requests are noticed later. */
	if (code == 0)
		(void)bell_make(spool, root_fd);
	/* What `version` stands for is on disk before it is, so that what is synced in there cannot vanish with a directory
	 * above it, whoever made that and was killed. */
	if (code == 0)
		code = sync_names(spool, root_fd, error);
	if (code == 0)
		code = make_version(spool, root_fd, error);
	return code == 0 ? sync_names(spool, root_fd, error) : code;
}

/* --- opening ------------------------------------------------------------------------------------------ */

static int read_version(struct cancel_spool *spool, int root_fd, struct cancel_error *error)
{
	char text[512], uuid[37] = "";
	ssize_t length = store_read_small(root_fd, FILE_VERSION, text, sizeof text);
	int layout = 0, end = 0;

	if (length < 0)
		return length == -ENOENT ? -ENOENT : failed(spool, (int)length, FILE_VERSION, error);
	/* Our own text, in one form only, read by every cancelreq: a JSON reader's start would cost more than the rest. */
	if (sscanf(text, VERSION_TEXT("%d", "%36[0-9a-f-]") "%n", &layout, uuid, &end) < 1 ||
	    (layout == LAYOUT_VERSION && !end))
		return error_set(error, -ENOTSUP, "cannot use spool '%s': its file 'version' is damaged; if it is "
				 "empty, remove it and run 'cancelwatch init'", SPOOL_QUOTE(spool));
	if (layout != LAYOUT_VERSION)
		return error_set(error, -ENOTSUP, "cannot use spool '%s': its layout is version %d, this program "
				 "knows version %d; use the same release on both sides", SPOOL_QUOTE(spool), layout,
				 LAYOUT_VERSION);
	spool->layout_version = layout;
	memcpy(spool->uuid, uuid, sizeof spool->uuid);
	return 0;
}

#define MOUNT_UNKNOWN UINT64_MAX

static uint64_t mount_id(int fd)
{
	struct statx info;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) < 0 || !(info.stx_mask & STATX_MNT_ID))
		return MOUNT_UNKNOWN;
	return info.stx_mnt_id;
}

/* The device tells of most mounts; not of a directory of the same filesystem bound here, into which nothing can be
 * renamed either. Kernels before 5.8 cannot tell. */
static bool crosses_mount(int fd, uint64_t root)
{
	uint64_t here = mount_id(fd);

	return here != MOUNT_UNKNOWN && root != MOUNT_UNKNOWN && here != root;
}

static int judge_dir(const struct cancel_spool *spool, const char *name, const struct stat *stat,
		     const struct stat *root, bool mounted, struct cancel_error *error)
{
	mode_t excess = stat->st_mode & ~root->st_mode & 022;

	if (mounted || stat->st_dev != root->st_dev)
		return error_set(error, -EXDEV, "cannot use spool '%s': something is mounted on its '%s'; unmount it",
				 SPOOL_QUOTE(spool), name);
	if (stat->st_uid != 0 && stat->st_uid != geteuid() && stat->st_uid != root->st_uid)
		return error_set(error, -EPERM, "cannot use spool '%s': its '%s' is owned by uid %u; give it to "
				 "uid %u", SPOOL_QUOTE(spool), name, stat->st_uid, root->st_uid);
	if (excess)
		return error_set(error, -EPERM, "cannot use spool '%s': its '%s' has mode %04o, wider than the "
				 "spool's %04o; run 'chmod %04o %s/%s'", SPOOL_QUOTE(spool), name,
				 stat->st_mode & 07777, root->st_mode & 07777, root->st_mode & 07777,
				 SPOOL_QUOTE(spool), name);
	return 0;
}

static int open_dir(const struct cancel_spool *spool, int root_fd, enum spool_dir which,
		    const struct stat *root, uint64_t root_mount, struct cancel_error *error)
{
	struct stat stat;
	int fd = openat(root_fd, dir_names[which], OPEN_DIRECTORY), code;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : failed(spool, -errno, dir_names[which], error);
	code = fstat(fd, &stat) < 0 ? failed(spool, -errno, dir_names[which], error)
				    : judge_dir(spool, dir_names[which], &stat, root,
						crosses_mount(fd, root_mount), error);
	if (code == 0)
		return fd;
	file_close(fd);
	return code;
}

static void close_all(int fds[SPOOL_DIR_COUNT])
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++) {
		file_close(fds[i]);
		fds[i] = -1;
	}
}

/* -ENOENT, without a sentence, when something is missing. */
static int open_all(struct cancel_spool *spool, int root_fd, const struct stat *root,
		    int fds[SPOOL_DIR_COUNT], struct cancel_error *error)
{
	uint64_t root_mount = mount_id(root_fd);
	int code = read_version(spool, root_fd, error);

	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		fds[i] = -1;
	for (int i = 0; code == 0 && i < SPOOL_DIR_COUNT; i++) {
		fds[i] = open_dir(spool, root_fd, (enum spool_dir)i, root, root_mount, error);
		if (fds[i] < 0)
			code = fds[i];
	}
	if (code < 0)
		close_all(fds);
	return code;
}

int layout_open(struct cancel_spool *spool, int root_fd, bool create, int fds[SPOOL_DIR_COUNT],
		struct cancel_error *error)
{
	struct stat root;
	int code;

	if (fstat(root_fd, &root) < 0)
		return failed(spool, -errno, ".", error);
	code = open_all(spool, root_fd, &root, fds, error);
	if (code == -EACCES)
		return error_set(error, code, "cannot use spool '%s': owned by uid %u, mode %04o, and I am uid %u; set "
				 "TASK_CANCELLATION_DIR to a spool of yours or ask its owner", SPOOL_QUOTE(spool),
				 root.st_uid, root.st_mode & 07777, geteuid());
	if (code != -ENOENT)
		return code;
	if (!create)
		return error_set(error, -ENOENT, "'%s' is not a complete spool; run 'cancelwatch init' to make it "
				 "one", SPOOL_QUOTE(spool));
	code = make_layout(spool, root_fd, &root, error);
	if (code == 0)
		code = open_all(spool, root_fd, &root, fds, error);
	return code == -ENOENT ? failed(spool, code, "its directories", error) : code;
}
