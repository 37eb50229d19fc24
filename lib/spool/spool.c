/*
 * Opening and closing. A spool is its path: whatever stands there is the spool, and when that changes while it
 * is open, the descriptors are replaced, because the other side will use the path.
 */
#include "store.h"

#include "bell.h"
#include "clock.h"
#include "clock_state.h"
#include "error.h"
#include "file.h"
#include "path.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_EXPIRE_AFTER_S (24 * 3600)
#define DEFAULT_REASON_BYTES 4096
#define LONGEST_FILE_NAME (NAME_FILE_SIZE - 1 + 9) /* in refused/: a record's file, a dot and eight digits */

void cancel_spool_options_init(struct cancel_spool_options *options)
{
	*options = (struct cancel_spool_options){
		.mode = 0700,
		.group = (gid_t)-1,
		.owner = (uid_t)-1,
		.expire_after_s = DEFAULT_EXPIRE_AFTER_S,
		.max_reason_bytes = DEFAULT_REASON_BYTES,
	};
}

static int bad_option(struct cancel_error *error, const char *name, const char *expected)
{
	return error_set(error, -EINVAL, "spool option '%s': expected %s", name, expected);
}

static int check_options(const struct cancel_spool_options *options, struct cancel_error *error)
{
	bool life_ok = options->expire_after_s == CANCEL_EXPIRES_NEVER ||
		       (options->expire_after_s > 0 && options->expire_after_s <= CANCEL_EXPIRES_MAX_S);

	if ((options->mode & ~(mode_t)02770) || (options->mode & 0700) != 0700)
		return bad_option(error, "mode", "0700, 0750, 0770 or 2770: all for the owner, nothing for others");
	if (options->durability < CANCEL_DURABILITY_NONE || options->durability > CANCEL_DURABILITY_FULL)
		return bad_option(error, "durability", "none, file or full");
	if (!life_ok)
		return bad_option(error, "expire_after", "1 second to ten years, or never");
	if (options->max_reason_bytes > CANCEL_REASON_MAX)
		return bad_option(error, "max_reason_bytes", "at most 32768");
	if (options->trusted_count > CANCEL_TRUSTED_USERS_MAX)
		return bad_option(error, "trusted_users", "at most 64 users");
	return 0;
}

static const char *path_of(const struct cancel_spool_options *options)
{
	const char *path = options->path ? options->path : secure_getenv(CANCEL_SPOOL_VARIABLE);

	return path && *path ? path : CANCEL_SPOOL_DEFAULT;
}

/* --- judging the directory itself --------------------------------------------------------------------- */

static int refuse_owner(const struct cancel_spool *spool, const struct stat *stat, struct cancel_error *error)
{
	return error_set(error, -EPERM,
			 "cannot use spool '%s': owned by uid %u, mode %04o; set TASK_CANCELLATION_DIR or ask its "
			 "owner", SPOOL_QUOTE(spool), stat->st_uid, stat->st_mode & 07777);
}

static int judge_group(const struct cancel_spool *spool, const struct stat *stat, struct cancel_error *error)
{
	gid_t wanted = spool->options.group;

	if (!(stat->st_mode & 020) || wanted == (gid_t)-1 || stat->st_gid == wanted)
		return 0;
	return error_set(error, -EPERM,
			 "cannot use spool '%s': group %u may write it, mode %04o, but group %u is configured; run "
			 "'chgrp %u %s'", SPOOL_QUOTE(spool), stat->st_gid, stat->st_mode & 07777, wanted, wanted,
			 SPOOL_QUOTE(spool));
}

static int judge_spool(const struct cancel_spool *spool, const struct stat *stat, struct cancel_error *error)
{
	uid_t owner = stat->st_uid;

	if ((owner != 0 && owner != geteuid() && owner != spool->options.owner) || (stat->st_mode & 02))
		return refuse_owner(spool, stat, error);
	return judge_group(spool, stat, error);
}

static int judge_filesystem(struct cancel_spool *spool, int fd, struct cancel_error *error)
{
	int code = filesystem_of(fd, &spool->filesystem);
	long name_max = fpathconf(fd, _PC_NAME_MAX);

	if (code < 0)
		return error_system(error, code, "cannot use spool '%s'", SPOOL_QUOTE(spool));
	if (name_max >= 0 && name_max < (long)LONGEST_FILE_NAME)
		return error_set(error, -ENOTSUP, "cannot use spool '%s': names on its filesystem (%s) have at most "
				 "%ld bytes, %d are needed; use another filesystem", SPOOL_QUOTE(spool),
				 spool->filesystem.name, name_max, (int)LONGEST_FILE_NAME);
	if (spool->filesystem.is_volatile && spool->options.durability == CANCEL_DURABILITY_FULL)
		return error_set(error, -ENOTSUP, "cannot use spool '%s' with durability full: its filesystem (%s) "
				 "does not survive a power cut; use another filesystem or durability none",
				 SPOOL_QUOTE(spool), spool->filesystem.name);
	return 0;
}

/* A filesystem that cannot sync a directory cannot keep the promise; better known now than after it broke. */
static int judge_sync(const struct cancel_spool *spool, int pending_fd, struct cancel_error *error)
{
	if (spool->options.durability != CANCEL_DURABILITY_FULL || fsync(pending_fd) == 0)
		return 0;
	return error_system(error, errno == EINVAL ? -ENOTSUP : -errno,
			    "cannot use spool '%s' with durability full: its filesystem (%s) cannot sync a directory",
			    SPOOL_QUOTE(spool), spool->filesystem.name);
}

/* --- opening ------------------------------------------------------------------------------------------ */

static int open_root(const struct cancel_spool *spool, struct stat *stat, struct cancel_error *error)
{
	const struct cancel_spool_options *options = &spool->options;
	struct path_creation creation = {options->mode, options->owner, options->group, false};
	int fd = path_open_safely(spool->path, options->owner, options->create ? &creation : NULL, error);
	int code;

	if (fd < 0)
		return fd;
	code = fstat(fd, stat) < 0 ? error_system(error, -errno, "cannot use spool '%s'", SPOOL_QUOTE(spool))
				   : judge_spool(spool, stat, error);
	if (code == 0)
		return fd;
	file_close(fd);
	return code;
}

static mode_t file_mode_for(mode_t directory)
{
	/* Who may list the directory may read what is in it; only the directory's mode says who may change. */
	return 0600 | (directory & 0040);
}

static int remember(struct cancel_spool *spool, const int fds[SPOOL_DIR_COUNT], struct cancel_error *error)
{
	struct stat stats[SPOOL_DIR_COUNT];

	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		if (fstat(fds[i], &stats[i]) < 0)
			return error_system(error, -errno, "cannot use spool '%s'", SPOOL_QUOTE(spool));
	spool->device = stats[SPOOL_ROOT].st_dev;
	for (int i = 0; i < SPOOL_DIR_COUNT; i++) {
		spool->fds[i] = fds[i];
		spool->inodes[i] = stats[i].st_ino;
	}
	return 0;
}

static void close_fds(int fds[SPOOL_DIR_COUNT])
{
	for (int i = 0; i < SPOOL_DIR_COUNT; i++) {
		file_close(fds[i]);
		fds[i] = -1;
	}
}

static int open_directories(struct cancel_spool *spool, struct cancel_error *error)
{
	int fds[SPOOL_DIR_COUNT] = {0};
	struct stat root;
	int root_fd = open_root(spool, &root, error), code;

	if (root_fd < 0)
		return root_fd;
	spool->owner = root.st_uid;
	spool->group = root.st_gid;
	spool->file_mode = file_mode_for(root.st_mode);
	spool->lock_mode = spool->file_mode | (root.st_mode & 0020);
	spool->group_differs = (root.st_mode & 0040) && !(root.st_mode & S_ISGID) && getegid() != root.st_gid;
	code = judge_filesystem(spool, root_fd, error);
	if (code == 0)
		code = layout_open(spool, root_fd, spool->options.create, fds, error);
	file_close(root_fd);
	if (code < 0)
		return code;
	code = judge_sync(spool, fds[SPOOL_PENDING], error);
	if (code == 0)
		code = remember(spool, fds, error);
	if (code < 0)
		close_fds(fds);
	return code;
}

static char host_name[CANCEL_PARTY_TEXT_MAX + 1];

static void read_host_name(void)
{
	if (gethostname(host_name, sizeof host_name - 1) < 0 || !utf8_valid(host_name, strlen(host_name)))
		host_name[0] = '\0';
}

static struct cancel_spool *spool_new(const struct cancel_spool_options *options)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct cancel_spool *spool = calloc(1, sizeof *spool);
	const char *path = path_of(options);

	if (!spool)
		return NULL;
	spool->options = *options;
	spool->options.path = NULL;
	spool->path = strdup(path);
	if (asprintf(&spool->pending_path, "%s/" DIR_PENDING, path) < 0)
		spool->pending_path = NULL;
	for (int i = 0; i < SPOOL_DIR_COUNT; i++)
		spool->fds[i] = -1;
	(void)pthread_rwlock_init(&spool->replacing, NULL);
	(void)pthread_once(&once, read_host_name);
	spool->host = host_name;
	spool->bell = bell_place_new();
	if (spool->path && spool->pending_path && spool->bell)
		return spool;
	cancel_spool_close(spool);
	return NULL;
}

int cancel_spool_open(struct cancel_spool **spool, const struct cancel_spool_options *options,
		      struct cancel_error *error)
{
	struct cancel_spool_options defaults;
	struct cancel_spool *opened;
	int code;

	cancel_spool_options_init(&defaults);
	if (!options)
		options = &defaults;
	code = check_options(options, error);
	if (code < 0)
		return code;
	opened = spool_new(options);
	if (!opened)
		return error_system(error, -ENOMEM, "cannot open spool '%s'", QUOTE(path_of(options)));
	code = open_directories(opened, error);
	if (code < 0) {
		cancel_spool_close(opened);
		return code;
	}
	*spool = opened;
	return 0;
}

void cancel_spool_close(struct cancel_spool *spool)
{
	if (!spool)
		return;
	close_fds(spool->fds);
	bell_place_free(spool->bell);
	(void)pthread_rwlock_destroy(&spool->replacing);
	free(spool->pending_path);
	free(spool->path);
	free(spool);
}

/* --- staying with the path ---------------------------------------------------------------------------- */

bool spool_was_replaced(const struct cancel_spool *spool)
{
	struct stat now;

	/* The deepest directory that matters: its identity changes when it or any above it is replaced. */
	return stat(spool->pending_path, &now) < 0 || now.st_ino != spool->inodes[SPOOL_PENDING] ||
	       now.st_dev != spool->device;
}

bool spool_is_incomplete(const struct cancel_spool *spool)
{
	struct stat processed, tmp;
	int root_fd = spool->fds[SPOOL_ROOT];

	/* Not runs/: without leases requests are made, seen and decided all the same. */
	return fstatat(root_fd, DIR_PROCESSED, &processed, AT_SYMLINK_NOFOLLOW) < 0 ||
	       fstatat(root_fd, DIR_TMP, &tmp, AT_SYMLINK_NOFOLLOW) < 0 ||
	       processed.st_ino != spool->inodes[SPOOL_PROCESSED] || tmp.st_ino != spool->inodes[SPOOL_TMP];
}

static int open_again(struct cancel_spool *spool, struct cancel_error *error)
{
	int old[SPOOL_DIR_COUNT], code;

	memcpy(old, spool->fds, sizeof old);
	code = open_directories(spool, error);
	if (code < 0)
		return code;
	close_fds(old);
	bell_place_forget(spool->bell);
	(void)atomic_fetch_add(&spool->replacements, 1);
	return 0;
}

static int replace_directories(struct cancel_spool *spool, struct cancel_error *error)
{
	int code = 0;

	(void)pthread_rwlock_wrlock(&spool->replacing);
	if (spool_was_replaced(spool) || spool_is_incomplete(spool)) /* else another thread was faster */
		code = open_again(spool, error);
	(void)pthread_rwlock_unlock(&spool->replacing);
	return code;
}

void spool_enter_unchecked(struct cancel_spool *spool)
{
	(void)pthread_rwlock_rdlock(&spool->replacing);
}

static int enter(struct cancel_spool *spool, bool whole, struct cancel_error *error)
{
	for (;;) {
		int code;

		spool_enter_unchecked(spool);
		if (!spool_was_replaced(spool) && !(whole && spool_is_incomplete(spool)))
			return 0;
		(void)pthread_rwlock_unlock(&spool->replacing);
		code = replace_directories(spool, error);
		if (code < 0)
			return code;
	}
}

int spool_enter_pending(struct cancel_spool *spool, struct cancel_error *error)
{
	return enter(spool, false, error);
}

int spool_enter(struct cancel_spool *spool, struct cancel_error *error)
{
	return enter(spool, true, error);
}

void spool_leave(struct cancel_spool *spool)
{
	(void)pthread_rwlock_unlock(&spool->replacing);
}

static bool lacks_runs(const struct cancel_spool *spool)
{
	struct stat stat;

	return fstatat(spool->fds[SPOOL_ROOT], DIR_RUNS, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
	       stat.st_ino != spool->inodes[SPOOL_RUNS];
}

int spool_keep_runs(struct cancel_spool *spool, struct cancel_error *error)
{
	int code = spool_enter(spool, error);
	bool lacks;

	if (code < 0)
		return code;
	lacks = lacks_runs(spool);
	spool_leave(spool);
	if (!lacks)
		return 0;
	(void)pthread_rwlock_wrlock(&spool->replacing);
	if (lacks_runs(spool))
		code = open_again(spool, error);
	(void)pthread_rwlock_unlock(&spool->replacing);
	return code;
}

/* --- telling ------------------------------------------------------------------------------------------ */

static void describe_bell(const struct cancel_spool *spool, struct cancel_spool_info *info)
{
	struct bell *bell = bell_hold(spool, BELL_READ, &info->bell);

	info->is_watched = bell && bell_has_ringer(bell);
	bell_drop(bell);
}

int cancel_spool_info(struct cancel_spool *spool, struct cancel_spool_info *info, struct cancel_error *error)
{
	struct clock_state swept;
	struct stat stat;
	int code = spool_enter(spool, error);

	if (code < 0)
		return code;
	if (fstat(spool->fds[SPOOL_ROOT], &stat) < 0) {
		code = error_system(error, -errno, "cannot look at spool '%s'", SPOOL_QUOTE(spool));
	} else {
		*info = (struct cancel_spool_info){
			.path = spool->path,
			.filesystem = spool->filesystem.name,
			.layout_version = spool->layout_version,
			.is_volatile = spool->filesystem.is_volatile,
			.sees_remote = spool->filesystem.notice == NOTICE_BLIND,
			.device = stat.st_dev,
			.inode = stat.st_ino,
			.owner = stat.st_uid,
			.group = stat.st_gid,
			.mode = stat.st_mode & 07777,
		};
		memcpy(info->uuid, spool->uuid, sizeof info->uuid);
		if (clock_state_read(spool, &swept) == 0)
			info->swept_at_us = swept.swept_at_us;
		describe_bell(spool, info);
	}
	spool_leave(spool);
	return code;
}
