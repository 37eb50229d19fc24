#include "found.h"

#include "clock.h"
#include "error.h"
#include "file.h"
#include "record.h"
#include "sha256.h"
#include "terms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool spool_speaks_for_others(const struct cancel_spool *spool, uid_t uid)
{
	return uid == 0 || uid == spool->owner;
}

bool spool_trusts(const struct cancel_spool *spool, uid_t uid)
{
	if (spool_speaks_for_others(spool, uid) || uid == geteuid())
		return true;
	for (size_t i = 0; i < spool->options.trusted_count; i++)
		if (spool->options.trusted_users[i] == uid)
			return true;
	return false;
}

static int refuse(struct cancel_error *error, const char *dir, const char *file, const char *why)
{
	return error_set(error, -EBADMSG, "'%s/%s' is refused: %s", dir, QUOTE(file), why);
}

static int refuse_kind(struct cancel_error *error, int dir_fd, const char *dir, const char *file)
{
	struct stat stat;

	if (fstatat(dir_fd, file, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(error, -errno, "cannot look at '%s/%s'", dir, QUOTE(file));
	return error_set(error, -EBADMSG, "'%s/%s' is refused: it is a %s, not a regular file", dir, QUOTE(file),
			 file_kind(stat.st_mode));
}

/* Whether all who may read the spool's records may read this file too. What it says goes into records. */
static bool tells_nothing_new(const struct cancel_spool *spool, const struct stat *stat)
{
	bool everybody = stat->st_mode & 0004;
	bool group = (stat->st_mode & 0040) && stat->st_gid == spool->group;

	return everybody || group || (stat->st_uid == spool->owner && !(spool->file_mode & 0040));
}

/* Who may be heard, and how much of it. With a list of trusted users only they are; without one, whoever the
 * directory lets in. A second link may have been made by anybody who can reach the file, so it proves nothing
 * about who put this name here, unless we would believe the owner anyway; and it may be to a secret of his. */
static int judge_file(const struct cancel_spool *spool, const char *dir, const char *file,
		      const struct stat *stat, struct cancel_error *error)
{
	bool trusted = spool_trusts(spool, stat->st_uid);

	if (!trusted && spool->options.trusted_count)
		return error_set(error, -EBADMSG,
				 "'%s/%s' is refused: it is owned by uid %u, who is not among the trusted users",
				 dir, QUOTE(file), stat->st_uid);
	if (!trusted && stat->st_nlink > 1)
		return error_set(error, -EBADMSG,
				 "'%s/%s' is refused: it has %lu links, and uid %u is not trusted to have made "
				 "them", dir, QUOTE(file), (unsigned long)stat->st_nlink, stat->st_uid);
	if (stat->st_nlink > 1 && !tells_nothing_new(spool, stat))
		return error_set(error, -EBADMSG,
				 "'%s/%s' is refused: it has %lu links, uid %u, mode %04o, and not all who may read the "
				 "spool may read it", dir, QUOTE(file), (unsigned long)stat->st_nlink, stat->st_uid,
				 stat->st_mode & 07777);
	if (stat->st_size > CANCEL_RECORD_MAX)
		return error_set(error, -EBADMSG, "'%s/%s' is refused: it has %lld bytes, at most %d are read",
				 dir, QUOTE(file), (long long)stat->st_size, CANCEL_RECORD_MAX);
	return 0;
}

/* A filesystem in user space may give less than there is; the end is there where nothing more comes. */
static ssize_t read_expected(int fd, char *text, size_t expected)
{
	size_t used = 0;

	for (;;) {
		ssize_t got = file_read(fd, text + used, expected + 1 - used);

		if (got < 0)
			return got;
		used += (size_t)got;
		if (got == 0 || used >= expected)
			return (ssize_t)used;
	}
}

static ssize_t read_text(int fd, const char *dir, const char *file, char **text, size_t expected,
			 struct cancel_error *error)
{
	/* One byte more than it should have, so that a file that grew meanwhile shows. */
	char *room = malloc(expected + 2);
	ssize_t length;

	if (!room)
		return error_system(error, -ENOMEM, "cannot read '%s/%s'", dir, QUOTE(file));
	length = read_expected(fd, room, expected);
	if (length < 0) {
		free(room);
		return error_system(error, (int)length, "cannot read '%s/%s'", dir, QUOTE(file));
	}
	room[length] = '\0';
	*text = room;
	return length;
}

ssize_t found_text(const struct cancel_spool *spool, int dir_fd, const char *dir, const char *file,
		   char **text, struct stat *stat, struct cancel_error *error)
{
	int fd = file_open_regular(dir_fd, file, stat);
	ssize_t length;

	if (fd == -ENOENT)
		return -ENOENT;
	if (fd == -ELOOP || fd == -EISDIR || fd == -ENXIO)
		return refuse_kind(error, dir_fd, dir, file);
	if (fd == -EAGAIN) /* to break it would take its holder's time: try again later, and see to the others meanwhile */
		return error_set(error, -EACCES, "cannot open '%s/%s': somebody holds a lease (F_SETLEASE) on it", dir,
				 QUOTE(file));
	if (fd < 0)
		return error_system(error, fd, "cannot open '%s/%s'", dir, QUOTE(file));
	length = judge_file(spool, dir, file, stat, error);
	if (length == 0)
		length = read_text(fd, dir, file, text, (size_t)stat->st_size, error);
	file_close(fd);
	return length;
}

/* By the change time: who writes sets it, and nobody can set it to what he likes. */
bool found_is_fresh(const struct stat *stat)
{
	int64_t age_us = clock_realtime_us() - timespec_us(&stat->st_ctim);

	/* A file from the future is one from before the clock was set back. */
	return age_us < CANCEL_SETTLE_MS * US_PER_MS && age_us > -CANCEL_SETTLE_MS * US_PER_MS;
}

void found_derive_id(char id[CANCEL_REQUEST_ID_LENGTH + 1], const struct stat *stat)
{
	unsigned char digest[SHA256_SIZE];
	char seed[96];
	int length = snprintf(seed, sizeof seed, "%llu:%llu:%lld.%09ld", (unsigned long long)stat->st_dev,
			      (unsigned long long)stat->st_ino, (long long)stat->st_ctim.tv_sec,
			      stat->st_ctim.tv_nsec);

	sha256(digest, seed, (size_t)length);
	for (int i = 0; i < CANCEL_REQUEST_ID_LENGTH / 2; i++)
		(void)sprintf(id + 2 * i, "%02x", digest[i]);
}

/* The file's owner proves who made it; its text proves nothing, unless he may speak for others. */
static void prove_party(const struct cancel_spool *spool, struct cancel_party *party, const struct stat *stat)
{
	bool proven = party->uid == (int64_t)stat->st_uid;

	if (proven || (party->uid >= 0 && spool_speaks_for_others(spool, stat->st_uid)))
		return;
	/* What the text says of another's process does not go with this uid. */
	if (party->uid >= 0)
		party->pid = -1;
	party->uid = stat->st_uid;
	party->gid = -1;
}

/* Fill in what the file says and its text does not: the id, the time, whose it is. */
static void complete(const struct cancel_spool *spool, struct cancel_request *request, const struct stat *stat,
		     bool decided)
{
	if (!request->request_id[0])
		found_derive_id(request->request_id, stat);
	if (!request->reason || !*request->reason)
		request->reason = NONE_GIVEN;
	if (!request->requested_at_us) {
		request->requested_at_us = timespec_us(&stat->st_ctim);
		request->boot_id[0] = '\0';
	}
	if (!request->boottime_ns)
		request->boot_id[0] = '\0'; /* without its other half it would make a request as old as the boot */
	if (request->expires_in_s == CANCEL_EXPIRES_DEFAULT)
		terms_default_life(request, spool->options.expire_after_s);
	/* A processed record was written by who decided: for the requester there is his word only. */
	prove_party(spool, decided ? &request->worker : &request->requester, stat);
}

/* A malformed request has nothing but what its name says; that lives in `storage`. */
static int name_from(struct cancel_request *request, const char *dir, const struct wanted *wanted,
		     struct cancel_error *error)
{
	const char *task_id, *run = NULL;
	struct name_ids ids;
	size_t task_size, run_size;

	if (wanted->task_id) {
		task_id = wanted->task_id;
		run = wanted->run;
	} else if (name_decode(&ids, wanted->file, name_of_file(wanted->file)) == NAME_WHOLE) {
		task_id = ids.task_id;
		run = ids.has_run ? ids.run : NULL;
	} else {
		return refuse(error, dir, wanted->file,
			      "neither its name nor its text says which task it is for");
	}
	/* A request for one run must not become one for all. */
	if (request->run && (!run || strcmp(request->run, run)))
		return refuse(error, dir, wanted->file, "its text names another run than its name");
	task_size = strlen(task_id) + 1;
	run_size = run ? strlen(run) + 1 : 0;
	request->storage = malloc(task_size + run_size);
	if (!request->storage)
		return error_system(error, -ENOMEM, "cannot read '%s/%s'", dir, QUOTE(wanted->file));
	request->task_id = memcpy(request->storage, task_id, task_size);
	request->run = run ? memcpy(request->storage + task_size, run, run_size) : NULL;
	return 0;
}

/* The record's ids are the truth, the name an index: where they disagree nobody is cancelled. */
static int match_name(struct cancel_request *request, const char *dir, const struct wanted *wanted,
		      struct cancel_error *error)
{
	char name[NAME_SIZE];
	size_t length = name_of_file(wanted->file);

	if (!request->task_id)
		return name_from(request, dir, wanted, error);
	name_encode(name, request->task_id, request->run);
	if (strlen(name) == length && !memcmp(name, wanted->file, length))
		return 0;
	return error_set(error, -EBADMSG, "'%s/%s' is refused: its text is about task '%s'%s", dir,
			 QUOTE(wanted->file), QUOTE(request->task_id),
			 request->run ? ", and names a run" : " of any run");
}

int found_read(const struct cancel_spool *spool, int dir_fd, const char *dir, const struct wanted *wanted,
	       struct cancel_request *request, struct stat *stat, struct cancel_error *error)
{
	struct cancel_request read;
	struct stat own;
	char *text = NULL;
	ssize_t length;
	int code;

	if (!stat)
		stat = &own;
	length = found_text(spool, dir_fd, dir, wanted->stored ? wanted->stored : wanted->file, &text, stat,
			    error);
	if (length < 0)
		return (int)length;
	cancel_request_init(&read);
	code = cancel_request_parse(&read, text, (size_t)length, NULL);
	free(text);
	if (code == -ENOMEM)
		return error_system(error, code, "cannot read '%s/%s'", dir, QUOTE(wanted->file));
	if (code < 0 && !wanted->settled && found_is_fresh(stat))
		return -EINPROGRESS;
	read.malformed = code < 0;
	code = match_name(&read, dir, wanted, error);
	if (code < 0) {
		cancel_request_clear(&read);
		return code;
	}
	complete(spool, &read, stat, dir_fd == spool->fds[SPOOL_PROCESSED]);
	*request = read;
	return 0;
}
