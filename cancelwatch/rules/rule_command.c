#include "rule_command.h"

#include "run/command.h"
#include "run/guard.h"
#include "run/verdict.h"
#include "task_variables.h"

#include <cancel/clock.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	GRACE_MS = 5000,
	READ_SIZE = 16 * 1024,
	READ_MAX = 256 * 1024, /* at once: others want to be heard too */
	READ_LAST_MAX =
		1024 * 1024, /* of what is left at the end: something may have stayed that writes on */
	LIFE_FD = STDERR_FILENO + 1,
	CLOSE_MAX = 65536,
};

/* --- in the child ------------------------------------------------------------------------------------- */

/* What is about us, and would be wrong for the command; and what is set for it where the request has it. */
static void clean_environment(void)
{
	static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		(void)unsetenv(names[i]);
	task_variables_clear();
}

static void close_from(int first)
{
	if (close_range((unsigned)first, ~0U, 0) == 0)
		return;
	for (int fd = first; fd < CLOSE_MAX; fd++)
		(void)close(fd);
}

/* The guard must not hold what is ours: locks, the spool, and above all the other end of its life. All of
 * these numbers are above those of the standard streams, which are open since main began. */
static bool set_descriptors(int out_fd, int life_fd)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0 ||
	    dup2(out_fd, STDERR_FILENO) < 0)
		return false;
	if (life_fd != LIFE_FD && dup3(life_fd, LIFE_FD, O_CLOEXEC) < 0)
		return false;
	close_from(LIFE_FD + 1);
	return true;
}

__attribute__((noreturn)) static void be_guard(const struct rule_start *start, int out_fd)
{
	const struct guard_options options = {
		.arguments = start->arguments,
		.environment = start->environment,
		.timeout_ms = start->timeout_ms,
		.grace_ms = GRACE_MS,
		.life_fd = LIFE_FD,
	};

	clean_environment();
	if (!set_descriptors(out_fd, start->life[0]))
		_exit(COMMAND_NOT_OURS);
	_exit(guard_run(&options));
}

/* --- here --------------------------------------------------------------------------------------------- */

static int await(const struct rule_command *command, int fd, uint64_t event)
{
	struct epoll_event awaited = {.events = EPOLLIN, .data.u64 = event};

	return epoll_ctl(command->epoll_fd, EPOLL_CTL_ADD, fd, &awaited) < 0 ? -errno : 0;
}

/* Not waited for any more first: a child that was forked just now may still hold it, and then closing would
 * not end that. */
static void close_fd(const struct rule_command *command, int *fd)
{
	if (*fd < 0)
		return;
	(void)epoll_ctl(command->epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
	(void)close(*fd);
	*fd = -1;
}

static int start_guard(struct rule_command *command, const struct rule_start *start, int out_fd)
{
	int error;

	cgroup_choose_name(command->cgroup);
	command->pid = fork();
	if (command->pid == 0)
		be_guard(start, out_fd);
	if (command->pid < 0)
		return -errno;
	command->pid_fd = pidfd_open(command->pid, 0);
	error = command->pid_fd < 0 ? -errno : await(command, command->pid_fd, start->event);
	if (error == 0)
		return 0;
	close_fd(command, &command->pid_fd);
	/* The command, if there is one by now, is killed with the guard that it is a child of. */
	(void)kill(command->pid, SIGKILL);
	(void)waitpid(command->pid, NULL, 0);
	return error;
}

int rule_command_start(struct rule_command *command, const struct rule_start *start)
{
	int ends[2], result;

	*command = (struct rule_command){
		.pid_fd = -1,
		.out_fd = -1,
		.epoll_fd = start->epoll_fd,
		.timeout_ms = start->timeout_ms,
	};
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	command->out_fd = ends[0];
	/* Only this end: the command's is for it to choose. */
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	command->started_ns = cancel_clock_now_ns();
	result = await(command, ends[0], start->event);
	if (result == 0)
		result = start_guard(command, start, ends[1]);
	(void)close(ends[1]);
	if (result < 0)
		close_fd(command, &command->out_fd);
	return result;
}

static void read_some(struct rule_command *command, size_t max, rule_output_show *show, void *arg)
{
	char bytes[READ_SIZE];

	for (size_t taken = 0; command->out_fd >= 0 && taken < max;) {
		ssize_t count = read(command->out_fd, bytes, sizeof bytes);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return;
		if (count == 0)
			close_fd(command, &command->out_fd);
		rule_output_take(&command->output, bytes, (size_t)count, show, arg);
		taken += (size_t)count;
	}
}

void rule_command_read(struct rule_command *command, rule_output_show *show, void *arg)
{
	read_some(command, READ_MAX, show, arg);
}

bool rule_command_ended(struct rule_command *command, rule_output_show *show, void *arg)
{
	int status;
	pid_t pid;

	do {
		pid = waitpid(command->pid, &status, WNOHANG);
	} while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return false;
	command->took_ns = cancel_clock_now_ns() - command->started_ns;
	command->exit_code = pid < 0 ? (int)COMMAND_NOT_OURS : status_exit_code(status);
	/* A guard that was killed has killed its command with it, but not what that had started. */
	if (pid > 0 && WIFSIGNALED(status))
		cgroup_end(command->cgroup);
	read_some(command, READ_LAST_MAX, show, arg);
	rule_output_end(&command->output, show, arg);
	rule_command_drop(command);
	return true;
}

void rule_command_drop(struct rule_command *command)
{
	close_fd(command, &command->out_fd);
	close_fd(command, &command->pid_fd);
}

bool rule_command_timed_out(const struct rule_command *command)
{
	return command->exit_code == VERDICT_EXIT_TIMED_OUT &&
	       command->took_ns >= command->timeout_ms * CANCEL_MILLISECOND;
}
