#include "spool_case.h"

#include "in_child.h"
#include "spool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MARK = 4711,
	PATHS = 8,
	CHILD_FAILED = 120,
};

static const char mark_text[] = "left alone";

const char *place_root, *place_path;
struct cancel_spool *spool;
struct cancel_error error;
struct cancel_request found;

static struct spool_dir place;
static int descriptors_before;

static int count_entries(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!stream)
		return -1;
	while ((entry = readdir(stream)))
		count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	(void)closedir(stream);
	return count;
}

void spool_case_set_up_place(void)
{
	(void)unsetenv(CANCEL_SPOOL_VARIABLE);
	descriptors_before = count_entries("/proc/self/fd");
	spool_dir_make(&place);
	place_root = place.root;
	place_path = place.path;
	cancel_request_init(&found);
}

void spool_case_set_up(void)
{
	struct cancel_spool_options options;

	spool_case_set_up_place();
	cancel_spool_options_init(&options);
	options.create = true;
	EXPECT(0, spool_case_reopen(&options));
}

/* A failed assertion here would be printed and forgotten, so this aborts. */
void spool_case_tear_down(void)
{
	cancel_request_clear(&found);
	cancel_spool_close(spool);
	spool = NULL;
	spool_dir_remove(&place);
	if (count_entries("/proc/self/fd") != descriptors_before) {
		(void)fprintf(stderr, "descriptors leaked: %d were open, now %d\n", descriptors_before,
			      count_entries("/proc/self/fd"));
		abort();
	}
}

void spool_case_mark_error(void)
{
	error.code = MARK;
	(void)strcpy(error.text, mark_text);
}

void spool_case_check_error(int code, const char *call)
{
	size_t length = strlen(error.text);

	if (code >= 0) {
		cr_assert(error.code == MARK && !strcmp(error.text, mark_text),
			  "%s touched the error object on success: %s", call, error.text);
		return;
	}
	cr_assert_eq(error.code, code, "%s: the error's code is %d, not %d", call, error.code, code);
	cr_assert(length > 0 && length < sizeof(error.text) && error.text[length - 1] != '.' &&
			  !strpbrk(error.text, "\n\t\r\x1b"),
		  "%s: not one plain sentence: '%s'", call, error.text);
}

int spool_case_reopen(struct cancel_spool_options *options)
{
	struct cancel_spool *opened = NULL;
	int code;

	cancel_spool_close(spool);
	spool = NULL;
	if (!options->path)
		options->path = place.path;
	code = cancel_spool_open(&opened, options, &error);
	cr_assert_eq(code < 0, opened == NULL);
	spool = opened;
	return code;
}

int ask(const char *task_id, const char *run, const char *reason, char *id)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = task_id;
	request.run = run;
	request.reason = reason;
	code = cancel_spool_request(spool, &request, NULL, &error);
	if (id && code == CANCEL_REQUESTED)
		(void)strcpy(id, request.request_id);
	cancel_request_clear(&request);
	return code;
}

int ask_terms(const char *task_id, int64_t expires_in_s, int64_t cancel_at_us)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = task_id;
	request.expires_in_s = expires_in_s;
	request.cancel_at_us = cancel_at_us;
	code = cancel_spool_request(spool, &request, NULL, &error);
	cancel_request_clear(&request);
	return code;
}

int decide(const char *task_id, const char *run, const char *request_id, enum cancel_outcome outcome)
{
	return cancel_spool_decide(spool, task_id, run, request_id, outcome, NULL, NULL, &error);
}

int lookup(const char *task_id, const char *run)
{
	cancel_request_clear(&found);
	return cancel_spool_lookup(spool, task_id, run, &found, &error);
}

int check(const char *task_id, const char *run, const struct cancel_mark *mark)
{
	cancel_request_clear(&found);
	return cancel_spool_check(spool, task_id, run, mark, &found, &error);
}

struct cancel_sweep_result sweep(const struct cancel_sweep_options *options)
{
	struct cancel_sweep_result result;

	EXPECT(0, cancel_spool_sweep(spool, options, NULL, NULL, &result, &error));
	return result;
}

static const char *path_in(const char *directory, const char *file)
{
	static char paths[PATHS][512];
	static int next;
	char *path = paths[next++ % PATHS];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", directory, file);
	return path;
}

const char *at(const char *file)
{
	return path_in(place_path, file);
}

const char *beside(const char *file)
{
	return path_in(place_root, file);
}

void put_bytes(const char *file, const char *bytes, size_t length)
{
	int fd = open(at(file), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, bytes, length) == (ssize_t)length, "cannot write %s: %s", at(file),
		  strerror(errno));
	(void)close(fd);
}

void put(const char *file, const char *text)
{
	put_bytes(file, text, strlen(text));
}

char *get(const char *file)
{
	struct stat info = stat_of(file);
	char *text = malloc((size_t)info.st_size + 1);
	int fd = open(at(file), O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && read(fd, text, (size_t)info.st_size) == info.st_size, "cannot read %s", at(file));
	(void)close(fd);
	text[info.st_size] = '\0';
	return text;
}

bool there(const char *file)
{
	struct stat info;

	return lstat(at(file), &info) == 0;
}

struct stat stat_of(const char *file)
{
	struct stat info;

	cr_assert_eq(lstat(at(file), &info), 0, "no %s", at(file));
	return info;
}

int count_in(const char *dir)
{
	return count_entries(at(dir));
}

void copy(const char *source, const char *target)
{
	struct stat info = stat_of(source);
	struct timespec times[2] = {info.st_atim, info.st_mtim};
	char *text = get(source);

	put_bytes(target, text, (size_t)info.st_size);
	cr_assert_eq(utimensat(AT_FDCWD, at(target), times, 0), 0);
	free(text);
}

void set_mtime_ago(const char *file, int64_t seconds)
{
	struct timespec times[2];

	(void)clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	cr_assert_eq(utimensat(AT_FDCWD, at(file), times, AT_SYMLINK_NOFOLLOW), 0, "%s: %s", at(file),
		     strerror(errno));
}

static void become(uid_t uid)
{
	gid_t group = SHARED_GROUP;

	if (uid && (setgroups(1, &group) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
		_exit(CHILD_FAILED);
}

static int status_of_child_as(uid_t uid, int (*act)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	cr_assert(pid >= 0, "cannot fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)alarm(2 * CHILD_TIMEOUT_S); /* not all can be done again, so one that is slow is waited for */
		become(uid);
		_exit(act(arg));
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int result_of(int status)
{
	cr_assert(WIFEXITED(status), "a child was ended by signal %d", WTERMSIG(status));
	cr_assert_neq(WEXITSTATUS(status), CHILD_FAILED, "a child could not begin");
	return WEXITSTATUS(status);
}

int in_child_as(uid_t uid, int (*act)(void *arg), void *arg)
{
	int status = status_of_child_as(uid, act, arg);

	for (int attempt = 1; attempt < CHILD_ATTEMPTS && child_hung(status); attempt++)
		status = status_of_child_as(uid, act, arg);
	return result_of(status);
}

void in_children(int count, int (*act)(void *arg), void *arg, int results[])
{
	pid_t *pids = calloc((size_t)count, sizeof(*pids));
	int go[2];

	cr_assert(pids && pipe2(go, O_CLOEXEC) == 0);
	for (int i = 0; i < count; i++) {
		pids[i] = fork();
		cr_assert(pids[i] >= 0, "cannot fork");
		if (pids[i] == 0) {
			char byte;

			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)close(go[1]);
			/* All read the end of the pipe at the same moment. */
			_exit(read(go[0], &byte, 1) == 0 ? act(arg) : CHILD_FAILED);
		}
	}
	(void)close(go[0]);
	(void)close(go[1]);
	for (int i = 0; i < count; i++) {
		int status;

		cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
		results[i] = result_of(status);
	}
	free(pids);
}

void need_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root: other users, mounts or devices");
}

void need_mounts(void)
{
	need_root();
	/* Under valgrind neither mount(8), which is setuid, nor a namespace works as elsewhere. */
	if (getenv("CANCEL_TEST_SLOW"))
		cr_skip_test("nothing is mounted under a checker");
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("cannot have mounts of its own: %s", strerror(errno));
}
