#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_AGAIN_MS = 2,
	EXIT_NOT_STARTED = 127,
	EXIT_SIGNAL_BASE = 128,
};

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool wait_until(bool (*condition)(void *arg), void *arg, int64_t timeout_ms)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
	int64_t deadline_ms = now_ms() + timeout_ms;

	while (!condition(arg)) {
		if (now_ms() >= deadline_ms)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

static int memory_file(const char *content)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);
	size_t size = content ? strlen(content) : 0;

	if (fd < 0)
		give_up("memfd_create");
	while (size > 0) {
		ssize_t written = write(fd, content, size);

		if (written < 0)
			give_up("write");
		content += written;
		size -= (size_t)written;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		give_up("lseek");
	return fd;
}

void process_change_environment(const char *const *changes)
{
	for (; changes && *changes; changes++) {
		if (strchr(*changes, '='))
			(void)putenv(strdup(*changes));
		else
			(void)unsetenv(*changes);
	}
}

/* The test framework may have left signals blocked or ignored; a program must begin as from a shell. */
static void reset_signals(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
}

static void become(const char *const *arguments, const char *const *environment, int input_fd,
		   const struct process *process)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	reset_signals();
	process_change_environment(environment);
	if (dup2(input_fd, STDIN_FILENO) >= 0 && dup2(process->out_fd, STDOUT_FILENO) >= 0 &&
	    dup2(process->err_fd, STDERR_FILENO) >= 0)
		(void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	perror(arguments[0]);
	_exit(EXIT_NOT_STARTED);
}

void process_start(struct process *process, const char *const *arguments, const char *const *environment,
		   const char *input)
{
	int input_fd = memory_file(input);

	*process =
		(struct process){.exit_code = -1, .out_fd = memory_file(NULL), .err_fd = memory_file(NULL)};
	process->pid = fork();
	if (process->pid < 0)
		give_up("fork");
	if (process->pid == 0)
		become(arguments, environment, input_fd, process);
	(void)close(input_fd);
}

/* By position: the program writes through the same open file. */
static char *read_all(int fd, size_t *size)
{
	struct stat info;
	char *text;
	ssize_t got;

	if (fstat(fd, &info) < 0)
		give_up("fstat");
	text = malloc((size_t)info.st_size + 1);
	got = text ? pread(fd, text, (size_t)info.st_size, 0) : -1;
	if (got < 0)
		give_up("pread");
	text[got] = '\0';
	*size = (size_t)got;
	return text;
}

static void reap(struct process *process)
{
	struct rusage usage;
	int status;

	if (wait4(process->pid, &status, 0, &usage) < 0)
		give_up("wait4");
	process->pid = 0;
	process->max_rss_kb = usage.ru_maxrss;
	process->exit_code = WIFSIGNALED(status) ? EXIT_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
	process->out = read_all(process->out_fd, &process->out_size);
	process->err = read_all(process->err_fd, &process->err_size);
}

static bool wait_readable(int fd, int64_t timeout_ms)
{
	struct pollfd item = {.fd = fd, .events = POLLIN};
	int64_t deadline_ms = now_ms() + timeout_ms;

	for (;;) {
		int64_t left_ms = deadline_ms - now_ms();
		int ready = poll(&item, 1, left_ms > 0 ? (int)left_ms : 0);

		if (ready > 0 || (ready == 0 && left_ms <= 0))
			return ready > 0;
		if (ready < 0 && errno != EINTR)
			give_up("poll");
	}
}

bool process_wait(struct process *process, int64_t timeout_ms)
{
	bool ended;
	int fd;

	if (process->pid == 0)
		return true;
	fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	if (fd < 0)
		give_up("pidfd_open");
	ended = wait_readable(fd, timeout_ms);
	(void)close(fd);
	if (ended)
		reap(process);
	return ended;
}

void process_run(struct process *process, const char *const *arguments, const char *const *environment,
		 const char *input)
{
	process_start(process, arguments, environment, input);
	if (!process_wait(process, PROCESS_TIMEOUT_MS)) {
		(void)fprintf(stderr, "%s: still running after %d ms\n", arguments[0], PROCESS_TIMEOUT_MS);
		abort();
	}
}

struct sought {
	struct process *process;
	int fd;
	const char *text;
	bool found;
};

/* True also when the process has ended: nothing more will come. */
static bool text_is_there(void *arg)
{
	struct sought *sought = arg;
	bool ended = sought->process->pid == 0 || process_wait(sought->process, 0);
	size_t size;
	char *text = read_all(sought->fd, &size);

	sought->found = memmem(text, size, sought->text, strlen(sought->text)) != NULL;
	free(text);
	return sought->found || ended;
}

static bool wait_text(struct process *process, int fd, const char *text, int64_t timeout_ms)
{
	struct sought sought = {.process = process, .fd = fd, .text = text};

	(void)wait_until(text_is_there, &sought, timeout_ms);
	return sought.found;
}

bool process_wait_out(struct process *process, const char *text, int64_t timeout_ms)
{
	return wait_text(process, process->out_fd, text, timeout_ms);
}

bool process_wait_err(struct process *process, const char *text, int64_t timeout_ms)
{
	return wait_text(process, process->err_fd, text, timeout_ms);
}

static void close_stream(int fd)
{
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

void process_free(struct process *process)
{
	if (process->pid > 0) {
		(void)kill(process->pid, SIGKILL);
		reap(process);
	}
	close_stream(process->out_fd);
	close_stream(process->err_fd);
	free(process->out);
	free(process->err);
	*process = (struct process){.exit_code = -1};
}
