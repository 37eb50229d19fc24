#include "process.h"

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static bool is_in(char path[PROCESS_PATH_SIZE], const char *dir, size_t length, const char *program)
{
	(void)snprintf(path, PROCESS_PATH_SIZE, "%.*s/%s", (int)length, dir, program);
	return access(path, X_OK) == 0;
}

bool process_find(char path[PROCESS_PATH_SIZE], const char *program)
{
	const char *dirs = getenv("PATH");

	if (strchr(program, '/')) {
		(void)snprintf(path, PROCESS_PATH_SIZE, "%s", program);
		return access(path, X_OK) == 0;
	}
	for (; dirs && *dirs; dirs += strcspn(dirs, ":"), dirs += *dirs == ':')
		if (is_in(path, dirs, strcspn(dirs, ":"), program))
			return true;
	return false;
}

static pid_t spawn(const char *const *arguments, const posix_spawn_file_actions_t *actions)
{
	pid_t pid;
	int code = posix_spawnp(&pid, arguments[0], actions, NULL, (char *const *)arguments, environ);

	if (code)
		bench_fail("cannot run '%s': %s", arguments[0], strerror(code));
	return pid;
}

int process_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const posix_spawn_file_actions_t *quiet(void)
{
	static posix_spawn_file_actions_t actions;
	static bool is_made;

	if (!is_made && (posix_spawn_file_actions_init(&actions) ||
			 posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)))
		bench_fail("cannot prepare to run programs");
	is_made = true;
	return &actions;
}

int process_run(const char *const *arguments)
{
	return process_wait(spawn(arguments, quiet()));
}

void process_must(const char *const *arguments)
{
	int status = process_run(arguments);

	if (status)
		bench_fail("'%s' ended with %d", arguments[0], status);
}

int64_t process_time_ns(const char *const *arguments)
{
	int64_t start = bench_now_ns();

	process_must(arguments);
	return bench_now_ns() - start;
}

/* --- with output -------------------------------------------------------------------------------------- */

pid_t process_start(const char *const *arguments, FILE **output)
{
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || posix_spawn_file_actions_init(&actions) ||
	    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO))
		bench_fail("cannot prepare to run '%s'", arguments[0]);
	pid = spawn(arguments, &actions);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	*output = fdopen(ends[0], "re");
	if (!*output)
		bench_fail("cannot read from '%s': %s", arguments[0], strerror(errno));
	return pid;
}

void process_end(pid_t pid)
{
	(void)kill(pid, SIGTERM);
	(void)process_wait(pid);
}

/* --- functions in a child ----------------------------------------------------------------------------- */

pid_t process_fork(void (*function)(const void *arg), const void *arg)
{
	pid_t parent = getpid(), pid;

	(void)fflush(NULL); /* else the child would write it again */
	pid = fork();
	if (pid < 0)
		bench_fail("cannot fork: %s", strerror(errno));
	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		function(arg);
	(void)fflush(NULL);
	_exit(0);
}

int64_t process_fork_time_ns(void (*function)(const void *arg), const void *arg)
{
	int64_t start = bench_now_ns();
	int status = process_wait(process_fork(function, arg));

	if (status)
		bench_fail("a child ended with %d", status);
	return bench_now_ns() - start;
}
