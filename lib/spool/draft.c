/*
 * No process ever sees a part of a record: it is written under no name at all (O_TMPFILE), or a draft's, and
 * appears in one step that fails if something stands there. Every write is checked before that step: on a full
 * filesystem creating and renaming succeed where writing does not.
 */
#include "draft.h"

#include "bell.h"
#include "clock.h"
#include "error.h"
#include "file.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define DRAFT_NAME_SIZE (CANCEL_REQUEST_ID_LENGTH + sizeof DRAFT_SUFFIX)

bool draft_is_name(const char *file)
{
	return strspn(file, "0123456789abcdef") == CANCEL_REQUEST_ID_LENGTH &&
	       !strcmp(file + CANCEL_REQUEST_ID_LENGTH, DRAFT_SUFFIX);
}

int draft_random_id(char id[CANCEL_REQUEST_ID_LENGTH + 1])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[CANCEL_REQUEST_ID_LENGTH / 2];

	/* So few bytes come whole or not at all. */
	while (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		if (errno != EINTR)
			return -errno;
	for (size_t i = 0; i < sizeof bytes; i++) {
		id[2 * i] = hex[bytes[i] >> 4];
		id[2 * i + 1] = hex[bytes[i] & 15];
	}
	id[CANCEL_REQUEST_ID_LENGTH] = '\0';
	return 0;
}

static void draft_name(char name[DRAFT_NAME_SIZE], const char *id)
{
	memcpy(name, id, CANCEL_REQUEST_ID_LENGTH);
	memcpy(name + CANCEL_REQUEST_ID_LENGTH, DRAFT_SUFFIX, sizeof DRAFT_SUFFIX);
}

#define MTIME_MARK_NS 729

bool draft_marked(const struct timespec *mtime)
{
	return mtime->tv_nsec % NS_PER_US == MTIME_MARK_NS;
}

static int set_mtime(int fd, int64_t mtime_us)
{
	struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = mtime_us / US_PER_S, .tv_nsec = mtime_us % US_PER_S * NS_PER_US + MTIME_MARK_NS},
	};

	return mtime_us && futimens(fd, times) < 0 ? -errno : 0;
}

/* A failed sync is not tried again on the same file: the kernel may have dropped the pages and would say that
 * all is well. */
static int sync_file(const struct cancel_spool *spool, int fd)
{
	return spool->options.durability != CANCEL_DURABILITY_NONE && fdatasync(fd) < 0 ? -errno : 0;
}

static int fill(const struct cancel_spool *spool, int fd, const struct draft *draft, bool sync)
{
	int code = spool_adopt(spool, fd, spool->file_mode);

	if (code == 0)
		code = file_write_all(fd, draft->text, draft->length);
	if (code == 0)
		code = set_mtime(fd, draft->mtime_us);
	return code == 0 && sync ? sync_file(spool, fd) : code;
}

int draft_sync_dir(const struct cancel_spool *spool, enum spool_dir dir)
{
	return spool->options.durability == CANCEL_DURABILITY_FULL && fsync(spool->fds[dir]) < 0 ? -errno : 0;
}

int draft_sync_dir_told(const struct cancel_spool *spool, enum spool_dir dir, const char *name, const char *so,
			struct cancel_error *error)
{
	int code = draft_sync_dir(spool, dir);

	return code == 0 ? 0 : error_system(error, code, "cannot sync '%s' of spool '%s'; %s", name, SPOOL_QUOTE(spool), so);
}

/* --- named drafts ------------------------------------------------------------------------------------- */

/* Somebody removed one of the spool's directories while it was open. That must not look like a name that is not
 * there: "nothing is pending" is another answer. */
static int failure_of_name(void)
{
	return errno == ENOENT ? -ESTALE : -errno;
}

int draft_prepare(const struct cancel_spool *spool, const char *id, const struct draft *draft, bool sync)
{
	char name[DRAFT_NAME_SIZE];
	int fd, code;

	draft_name(name, id);
	fd = openat(spool->fds[SPOOL_TMP], name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    spool->file_mode);
	if (fd < 0)
		return failure_of_name();
	code = fill(spool, fd, draft, sync);
	if (close(fd) < 0 && code == 0)
		code = -errno; /* NFS tells of a full disk here */
	if (code < 0)
		draft_forget(spool, id);
	return code;
}

void draft_forget(const struct cancel_spool *spool, const char *id)
{
	char name[DRAFT_NAME_SIZE];

	draft_name(name, id);
	(void)unlinkat(spool->fds[SPOOL_TMP], name, 0);
}

static int rename_into(const struct cancel_spool *spool, const char *draft, enum spool_dir dir,
		       const char *file, unsigned int flags)
{
	return renameat2(spool->fds[SPOOL_TMP], draft, spool->fds[dir], file, flags) < 0 ? failure_of_name() : 0;
}

/* A link is made only if absent, everywhere that has links. What it was made from goes after it, by the caller: killed
 * between, one more link stays in tmp/. */
static int link_if_absent(const struct cancel_spool *spool, const char *draft, const char *file)
{
	return linkat(spool->fds[SPOOL_TMP], draft, spool->fds[SPOOL_PENDING], file, 0) < 0 ? -errno : 0;
}

static bool has_no_links(int code)
{
	return code == -EPERM || code == -EOPNOTSUPP || code == -ENOSYS || code == -EMLINK;
}

/* Where there are neither links nor renames only if absent, whoever publishes holds the lock, and looking is
 * enough. */
static int rename_if_absent(const struct cancel_spool *spool, const char *draft, const char *file)
{
	int code = link_if_absent(spool, draft, file);
	struct stat stat;

	if (!has_no_links(code))
		return code;
	if (fstatat(spool->fds[SPOOL_PENDING], file, &stat, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return errno == ENOENT ? rename_into(spool, draft, SPOOL_PENDING, file, 0) : -errno;
}

static int rename_locked(struct cancel_spool *spool, const char *draft, const char *file, bool locked)
{
	char name[NAME_SIZE];
	size_t length = name_of_file(file);
	struct name_lock lock;
	int code;

	if (locked)
		return rename_if_absent(spool, draft, file);
	memcpy(name, file, length);
	name[length] = '\0';
	code = lock_take(spool, name, &lock, NULL);
	if (code < 0)
		return code;
	code = rename_if_absent(spool, draft, file);
	lock_drop(&lock);
	return code;
}

/* Move a file from tmp/ to pending/, only if nothing stands there. Where that is done by a link it is still in tmp/. */
static int move_into_pending(struct cancel_spool *spool, const char *name, const char *file, bool locked)
{
	int code = -EINVAL;

	if (atomic_load(&spool->way) != PUBLISH_LOCKED)
		code = rename_into(spool, name, SPOOL_PENDING, file, RENAME_NOREPLACE);
	if (code != -EINVAL && code != -ENOSYS)
		return code;
	atomic_store(&spool->way, PUBLISH_LOCKED);
	return rename_locked(spool, name, file, locked);
}

static int release(struct cancel_spool *spool, const char *id, const char *file, bool locked)
{
	char name[DRAFT_NAME_SIZE];
	int code;

	draft_name(name, id);
	code = move_into_pending(spool, name, file, locked);
	if (code < 0 || atomic_load(&spool->way) == PUBLISH_LOCKED)
		draft_forget(spool, id);
	return code;
}

int draft_release(struct cancel_spool *spool, const char *id, const char *file)
{
	return release(spool, id, file, false);
}

static int publish_named(struct cancel_spool *spool, const struct draft *draft, bool locked)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	int code = draft_random_id(id);

	if (code == 0)
		code = draft_prepare(spool, id, draft, true);
	return code < 0 ? code : release(spool, id, draft->file, locked);
}

int draft_replace(const struct cancel_spool *spool, enum spool_dir dir, const char *file, const char *text,
		  size_t length, int64_t mtime_us)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], name[DRAFT_NAME_SIZE];
	struct draft draft = {.text = text, .length = length, .mtime_us = mtime_us};
	int code = draft_random_id(id);

	if (code == 0)
		code = draft_prepare(spool, id, &draft, true);
	if (code < 0)
		return code;
	draft_name(name, id);
	code = rename_into(spool, name, dir, file, 0);
	if (code < 0)
		draft_forget(spool, id);
	return code;
}

/* --- drafts without a name ---------------------------------------------------------------------------- */

/* Not to be had here: go on with the next way. */
static bool unsupported(int code)
{
	return code == -EOPNOTSUPP || code == -EISDIR || code == -EINVAL || code == -ENOENT || code == -EPERM ||
	       code == -EXDEV;
}

static int link_into_pending(const struct cancel_spool *spool, int fd, const char *file, int way)
{
	char path[32];
	int code;

	if (way == PUBLISH_TMPFILE) {
		code = linkat(fd, "", spool->fds[SPOOL_PENDING], file, AT_EMPTY_PATH);
	} else {
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		code = linkat(AT_FDCWD, path, spool->fds[SPOOL_PENDING], file, AT_SYMLINK_FOLLOW);
	}
	return code < 0 ? -errno : 0;
}

static void ring(const struct cancel_spool *spool, const struct draft *draft)
{
	bell_ring(spool, draft->task_id, CANCEL_COUNT_REQUESTED);
}

/* 1: this way does not work here. */
static int publish_unnamed(const struct cancel_spool *spool, const struct draft *draft, int way)
{
	int fd = openat(spool->fds[SPOOL_TMP], ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, spool->file_mode);
	int code;

	if (fd < 0)
		return unsupported(-errno) ? 1 : -errno;
	code = fill(spool, fd, draft, true);
	if (code == 0) {
		code = link_into_pending(spool, fd, draft->file, way);
		if (code != -EEXIST && unsupported(code))
			code = 1;
	}
	/* At once: closing takes longer than waking. */
	if (code == 0)
		ring(spool, draft);
	file_close(fd);
	return code;
}

static int publish_otherwise(struct cancel_spool *spool, const struct draft *draft, bool locked)
{
	int code = draft->ready ? move_into_pending(spool, draft->ready, draft->file, locked)
				: publish_named(spool, draft, locked);

	if (code == 0)
		ring(spool, draft);
	return code;
}

int draft_publish(struct cancel_spool *spool, const struct draft *draft, bool locked)
{
	int way = atomic_load(&spool->way), code = 1;

	if (draft->ready)
		return publish_otherwise(spool, draft, locked);
	for (; code == 1 && way <= PUBLISH_TMPFILE_PROC; way++)
		code = publish_unnamed(spool, draft, way);
	if (code == 1)
		code = publish_otherwise(spool, draft, locked);
	else
		way--;
	/* Learn once which way works; another thread learns the same. */
	if (code == 0 && way > atomic_load(&spool->way))
		atomic_store(&spool->way, way);
	return code;
}
