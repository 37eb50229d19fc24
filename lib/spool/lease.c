#include "lease.h"

#include "clock.h"
#include "draft.h"
#include "error.h"
#include "file.h"
#include "found.h"
#include "record.h"
#include "scan.h"

#include <cancel/text.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Marks are random: a second one that is taken too is a wonder, a tenth a fault. */
#define MARKS_TRIED 10

/* --- the lock ----------------------------------------------------------------------------------------- */

/* A run holds all bytes. Who clears a dead one away holds all but the first, and who asks asks for the first:
 * so those exclude each other and are refused by a run, and nobody takes them for one. */
enum bytes {
	ALL_BYTES,
	FIRST_BYTE,
	OTHER_BYTES,
};

static struct flock lock_of(short type, enum bytes bytes)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = bytes == OTHER_BYTES,
		.l_len = bytes == FIRST_BYTE,
	};
}

static bool set_lock(int fd, short type, enum bytes bytes)
{
	struct flock lock = lock_of(type, bytes);

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool is_locked(int fd)
{
	struct flock lock = lock_of(F_WRLCK, FIRST_BYTE);

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* --- names -------------------------------------------------------------------------------------------- */

/* The length of the name that a lease's file begins with. */
static size_t name_length(const char *file)
{
	size_t length = strlen(file), marked = sizeof LEASE_SEPARATOR - 1 + LEASE_MARK_LENGTH;

	if (length > marked && !memcmp(file + length - marked, LEASE_SEPARATOR, sizeof LEASE_SEPARATOR - 1) &&
	    strspn(file + length - LEASE_MARK_LENGTH, "0123456789abcdef") == LEASE_MARK_LENGTH)
		return length - marked;
	return length;
}

static enum name_kind decode(struct name_ids *ids, const char *file)
{
	return name_decode(ids, file, name_length(file));
}

bool lease_is_name(const char *file)
{
	struct name_ids ids;

	return decode(&ids, file) != NAME_FOREIGN;
}

/* --- dead ones ---------------------------------------------------------------------------------------- */

static int clear(int dir_fd, const char *file, int fd, const struct stat *stat, bool removes)
{
	struct stat now;
	int cleared;

	if (!removes)
		return !is_locked(fd);
	if (!set_lock(fd, F_WRLCK, OTHER_BYTES))
		return 0;
	/* With the lock held nobody else removes it, so what stands there is the same until it is gone. */
	cleared = fstatat(dir_fd, file, &now, AT_SYMLINK_NOFOLLOW) == 0 && file_same(&now, stat) &&
		  unlinkat(dir_fd, file, 0) == 0;
	/* A child that was forked meanwhile has a copy of the descriptor. */
	(void)set_lock(fd, F_UNLCK, OTHER_BYTES);
	return cleared;
}

int lease_clear_dead(int dir_fd, const char *file, bool removes)
{
	int fd = openat(dir_fd, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), cleared = 0;
	struct stat stat;

	if (fd < 0)
		return 0;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && !found_is_fresh(&stat))
		cleared = clear(dir_fd, file, fd, &stat, removes);
	file_close(fd);
	return cleared;
}

/* --- taking ------------------------------------------------------------------------------------------- */

static json_t *ids_of(const struct cancel_run *run)
{
	json_t *list = json_array();

	for (size_t i = 0; i < run->also_count; i++)
		(void)json_array_append_new(list, json_string(run->also[i]));
	return list;
}

static char *text_of(const struct cancel_spool *spool, const struct cancel_run *run)
{
	char started[CANCEL_TIME_SIZE], *text;
	json_t *json =
		json_pack("{s:s, s:s?, s:o, s:i, s:I, s:s?, s:s?, s:s, s:s}", "task_id", run->task_id, "run",
			  run->run, "also", ids_of(run), "pid", getpid(), "uid", (json_int_t)geteuid(),
			  "host", spool->host, "program", record_program(), "started_at",
			  cancel_time_format(started, run->started_at_us), "boot_id", clock_boot_id());

	text = json ? json_dumps(json, 0) : NULL;
	json_decref(json);
	return text;
}

static int write_locked(const struct cancel_spool *spool, int fd, const char *text)
{
	int code = spool_adopt(spool, fd, spool->lock_mode);

	if (code == 0)
		code = file_write_all(fd, text, strlen(text));
	if (code == 0)
		code = file_write_all(fd, "\n", 1);
	return code == 0 && !set_lock(fd, F_WRLCK, ALL_BYTES) ? -errno : code;
}

/* On success nothing is left under the draft's name. */
static int put(const struct cancel_spool *spool, const char *draft, const char *file)
{
	int from_fd = spool->fds[SPOOL_TMP], runs_fd = spool->fds[SPOOL_RUNS];

	if (renameat2(from_fd, draft, runs_fd, file, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(from_fd, draft, runs_fd, file, 0) < 0)
		return -errno;
	(void)unlinkat(from_fd, draft, 0);
	return 0;
}

/* Under the run's name; where another run has that, with a mark. */
static int put_somewhere(const struct cancel_spool *spool, const char *draft, const char *name, char *file)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	int code;

	(void)snprintf(file, LEASE_FILE_SIZE, "%s", name);
	code = put(spool, draft, file);
	if (code == -EEXIST && lease_clear_dead(spool->fds[SPOOL_RUNS], file, true))
		code = put(spool, draft, file);
	for (int i = 0; code == -EEXIST && i < MARKS_TRIED; i++) {
		code = draft_random_id(id);
		if (code < 0)
			break;
		(void)snprintf(file, LEASE_FILE_SIZE, "%s" LEASE_SEPARATOR "%.*s", name, LEASE_MARK_LENGTH,
			       id);
		code = put(spool, draft, file);
	}
	return code;
}

static int take(const struct cancel_spool *spool, const char *name, const char *text, struct lease *lease)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], draft[sizeof id + sizeof DRAFT_SUFFIX];
	int code = draft_random_id(id), fd;

	if (code < 0)
		return code;
	(void)snprintf(draft, sizeof draft, "%s" DRAFT_SUFFIX, id);
	fd = openat(spool->fds[SPOOL_TMP], draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    spool->lock_mode);
	if (fd < 0)
		return -errno;
	code = write_locked(spool, fd, text);
	if (code == 0)
		code = put_somewhere(spool, draft, name, lease->file);
	if (code == 0) {
		lease->fd = fd;
		return 0;
	}
	(void)unlinkat(spool->fds[SPOOL_TMP], draft, 0);
	file_close(fd);
	return code;
}

static int take_named(struct cancel_spool *spool, const struct cancel_run *run, const char *text,
		      struct lease *lease, struct cancel_error *error)
{
	char name[NAME_SIZE];
	int code = spool_keep_runs(spool, error);

	if (code < 0)
		return code;
	name_encode(name, run->task_id, run->run);
	spool_enter_unchecked(spool);
	code = take(spool, name, text, lease);
	spool_leave(spool);
	return code == 0 ? 0
			 : error_system(error, code, "cannot take a lease for task '%s' in spool '%s'%s",
					QUOTE(run->task_id), SPOOL_QUOTE(spool),
					code == -EMFILE
						? " (begin it without one, or raise the limit of open files)"
						: "");
}

int lease_take(struct cancel_spool *spool, const struct cancel_run *run, struct lease *lease,
	       struct cancel_error *error)
{
	char *text = text_of(spool, run);
	int code = text ? take_named(spool, run, text, lease, error)
			: error_system(error, -ENOMEM, "cannot take a lease for '%s'", QUOTE(run->task_id));

	free(text);
	return code;
}

/* --- holding and dropping ----------------------------------------------------------------------------- */

/* With the spool entered. */
static bool stands(const struct cancel_spool *spool, const struct lease *lease)
{
	struct stat mine, now;

	if (lease->fd < 0 || fstat(lease->fd, &mine) < 0)
		return false;
	if (fstatat(spool->fds[SPOOL_RUNS], lease->file, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno != ENOENT; /* where it cannot be looked at it is as good as there */
	return file_same(&mine, &now);
}

bool lease_stands(struct cancel_spool *spool, const struct lease *lease)
{
	bool is_there;

	spool_enter_unchecked(spool);
	is_there = stands(spool, lease);
	spool_leave(spool);
	return is_there;
}

void lease_let_go(struct lease *lease)
{
	file_close(lease->fd);
	lease->fd = -1;
}

/* Removed while it is locked: nobody finds it dead. In a directory that has taken the place of this one
 * stands another file, or none. */
void lease_drop_entered(const struct cancel_spool *spool, struct lease *lease)
{
	if (stands(spool, lease))
		(void)unlinkat(spool->fds[SPOOL_RUNS], lease->file, 0);
	lease_let_go(lease);
}

void lease_drop(struct cancel_spool *spool, struct lease *lease)
{
	if (lease->fd < 0)
		return;
	spool_enter_unchecked(spool);
	lease_drop_entered(spool, lease);
	spool_leave(spool);
}

/* --- reading ------------------------------------------------------------------------------------------ */

static const char *text_in(json_t *json, const char *field, size_t max)
{
	json_t *value = json_object_get(json, field);

	return json_is_string(value) && json_string_length(value) > 0 && json_string_length(value) <= max
		       ? json_string_value(value)
		       : NULL;
}

static int64_t number_in(json_t *json, const char *field)
{
	json_t *value = json_object_get(json, field);

	return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value) : -1;
}

static void read_also(json_t *json, struct cancel_run *run)
{
	json_t *list = json_object_get(json, "also"), *value;
	size_t index;

	json_array_foreach(list, index, value) if (json_is_string(value) && json_string_length(value) > 0 &&
						   json_string_length(value) <= CANCEL_TASK_ID_MAX &&
						   run->also_count < CANCEL_TASK_ALSO_MAX)
		run->also[run->also_count++] = json_string_value(value);
}

/* The name is what counts; the text must agree with it, or where it is of no use the name says what it can.
 */
static bool identify(json_t *json, const char *file, struct name_ids *ids, struct cancel_run *run)
{
	char name[NAME_SIZE];
	enum name_kind kind = decode(ids, file);

	if (kind == NAME_FOREIGN)
		return false;
	run->task_id = text_in(json, "task_id", CANCEL_TASK_ID_MAX);
	run->run = text_in(json, "run", CANCEL_RUN_ID_MAX);
	if (run->task_id) {
		name_encode(name, run->task_id, run->run);
		if (strlen(name) == name_length(file) && !memcmp(name, file, strlen(name)))
			return true;
	}
	if (kind != NAME_WHOLE)
		return false;
	run->task_id = ids->task_id;
	run->run = ids->has_run ? ids->run : NULL;
	return true;
}

static void describe(json_t *json, const struct stat *stat, struct cancel_run *run)
{
	const char *started = text_in(json, "started_at", CANCEL_TIME_SIZE);

	read_also(json, run);
	run->uid = stat->st_uid;
	run->pid = number_in(json, "pid");
	run->host = text_in(json, "host", CANCEL_PARTY_TEXT_MAX);
	run->program = text_in(json, "program", CANCEL_PARTY_TEXT_MAX);
	if (!started || cancel_time_parse(started, &run->started_at_us) < 0)
		run->started_at_us = 0;
}

static bool may_count(const struct cancel_spool *spool, const struct stat *stat)
{
	return stat->st_size <= CANCEL_RECORD_MAX &&
	       (!spool->options.trusted_count || spool_trusts(spool, stat->st_uid));
}

/* What it says; NULL where that is of no use. */
static json_t *read_json(int fd, const struct stat *stat)
{
	size_t size = (size_t)stat->st_size;
	char *text = malloc(size + 1);
	ssize_t length = text ? file_read(fd, text, size) : -ENOMEM;
	json_t *json = length < 0 ? NULL : json_loadb(text, (size_t)length, 0, NULL);

	free(text);
	return json;
}

/* Whether it is a lease that is alive. `json`, to be dropped then, holds its texts. */
static bool read_alive(const struct cancel_spool *spool, int dir_fd, const char *file, struct name_ids *ids,
		       struct cancel_run *run, json_t **json)
{
	struct stat stat;
	int fd = file_open_regular(dir_fd, file, &stat);
	bool alive = fd >= 0 && may_count(spool, &stat) && is_locked(fd);

	*run = (struct cancel_run){0};
	*json = alive ? read_json(fd, &stat) : NULL;
	file_close(fd);
	if (!alive)
		return false;
	if (!identify(*json, file, ids, run)) {
		json_decref(*json);
		return false;
	}
	describe(*json, &stat, run);
	return true;
}

static int show(struct cancel_spool *spool, const struct scan *scan, const char *file,
		cancel_run_visit *visit, void *arg)
{
	struct name_ids ids;
	struct cancel_run run;
	json_t *json = NULL;
	int code = 0;

	if (read_alive(spool, scan->fd, file, &ids, &run, &json)) {
		code = visit(arg, &run);
		json_decref(json);
	}
	return code;
}

int cancel_spool_runs(struct cancel_spool *spool, cancel_run_visit *visit, void *arg,
		      struct cancel_error *error)
{
	struct scan scan;
	const char *file;
	int code = spool_keep_runs(spool, error), ended = 0;

	if (code == 0)
		code = scan_begin(&scan, spool, SPOOL_RUNS, error);
	if (code < 0)
		return code;
	while (code == 0 && (file = scan_next(&scan, &ended)))
		code = show(spool, &scan, file, visit, arg);
	scan_close(&scan);
	if (code == 0 && ended < 0)
		code = error_system(error, ended, "cannot list the runs of spool '%s'", SPOOL_QUOTE(spool));
	return code;
}

/* --- others ------------------------------------------------------------------------------------------- */

static bool is_of_task(const struct cancel_spool *spool, int dir_fd, const char *file, const char *task_id)
{
	struct name_ids ids;
	struct cancel_run run;
	json_t *json = NULL;
	bool same;

	/* Most names tell; only those that are cut have to be opened. */
	if (decode(&ids, file) == NAME_WHOLE && strcmp(ids.task_id, task_id))
		return false;
	if (!read_alive(spool, dir_fd, file, &ids, &run, &json))
		return false;
	same = !strcmp(run.task_id, task_id);
	json_decref(json);
	return same;
}

int lease_held_by_another(const struct cancel_spool *spool, const char *task_id, const struct lease *mine,
			  struct cancel_error *error)
{
	struct scan scan;
	const char *file;
	int code = scan_open(&scan, spool, SPOOL_RUNS, error), ended = 0, held = 0;

	if (code < 0)
		return code;
	while (!held && (file = scan_next(&scan, &ended)))
		held = !(mine && mine->fd >= 0 && !strcmp(file, mine->file)) &&
		       is_of_task(spool, scan.fd, file, task_id);
	scan_close(&scan);
	if (ended < 0)
		return error_system(error, ended, "cannot list the runs of spool '%s'", SPOOL_QUOTE(spool));
	return held;
}

static bool same_text(const char *one, const char *other)
{
	return one == other || (one && other && !strcmp(one, other));
}

bool cancel_run_listens(const struct cancel_run *listener, const char *task_id, const char *run)
{
	if (!strcmp(listener->task_id, task_id))
		return !run || same_text(listener->run, run);
	for (size_t i = 0; !run && i < listener->also_count; i++)
		if (!strcmp(listener->also[i], task_id))
			return true;
	return false;
}
