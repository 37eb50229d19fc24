#include "face.h"

#include "command.h"
#include "custody.h"
#include "standard_error.h"
#include "supervisor.h"
#include "tree.h"
#include "verdict.h"

#include <cancel/text.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether there were children before us, of the program that became this one: they are nobody's to kill. */
static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static int fail(const char *what, int error)
{
	standard_error_line("%s: %s", what, strerror(error));
	return COMMAND_NOT_OURS;
}

/* What the command sends to its group we get too, and it has it already. But SIGTERM is an order to us,
 * whoever gives it. */
static bool is_echo(const struct custody *face, pid_t supervisor)
{
	return face->signal != SIGTERM && tree_descends(face->signal_sender, supervisor);
}

/* What the terminal sends it sends to the whole group, the command included. But the end of a terminal is
 * told to the leader of the session alone, if there is one. */
static void hand_on(const struct custody *face, pid_t supervisor)
{
	bool is_for_us_alone = face->signal == SIGHUP && getsid(0) == getpid();
	union sigval value = {.sival_int = face->signal_is_kernels && !is_for_us_alone};

	if (!is_echo(face, supervisor))
		(void)sigqueue(supervisor, face->signal, value);
}

/* It was killed, or has crashed. What it had started has come to us. */
static int survive(struct custody *face, const char *task_id, const char *cgroup, int status)
{
	char id[CANCEL_ESCAPED_SIZE(CANCEL_TASK_ID_MAX)];
	char text[STATUS_TEXT_SIZE];
	bool is_clean;

	cgroup_end(cgroup);
	is_clean = !face->keeps_orphans || custody_kill(face);
	standard_error_line("%s: the supervisor %s; %s; a request for it stays pending",
			    cancel_text_escape(id, sizeof id, task_id, strlen(task_id)),
			    status_text(text, status),
			    !face->keeps_orphans ? "the command was killed, what it had started may run on"
			    : is_clean           ? "the command was killed"
						 : "the command could not be killed");
	return COMMAND_NOT_OURS;
}

static int wait_for(struct custody *face, pid_t supervisor, const char *task_id, const char *cgroup)
{
	face->command = supervisor;
	face->is_empty = false;
	for (;;) {
		switch (custody_wait(face, CANCEL_FOREVER)) {
		case CUSTODY_SIGNAL:
			hand_on(face, supervisor);
			break;
		case CUSTODY_CHILD:
			if (face->command == 0)
				return WIFEXITED(face->status) ? WEXITSTATUS(face->status)
							       : survive(face, task_id, cgroup, face->status);
			break;
		default:
			break;
		}
	}
}

/* A group of our own, as timeout(1) has it: what the command does to its group then meets nobody else. */
static void leave_group(const struct run_options *options)
{
	if (!options->foreground)
		(void)setpgid(0, 0);
}

static int supervise(const struct run_options *options, const int life_fds[2])
{
	(void)close(life_fds[1]);
	return supervisor_run(options, life_fds[0]);
}

int face_run(const struct run_options *options)
{
	char cgroup[CGROUP_NAME_SIZE];
	struct custody face;
	int life_fds[2];
	int error;
	pid_t supervisor;

	custody_block_signals();
	error = custody_open(&face, -1);
	if (error < 0 || pipe2(life_fds, O_CLOEXEC) < 0)
		return fail("cannot begin", error < 0 ? -error : errno);
	if (!has_children())
		custody_keep_orphans(&face);
	leave_group(options);
	cgroup_choose_name(cgroup);
	supervisor = fork();
	if (supervisor < 0)
		return fail("cannot start the supervisor", errno);
	if (supervisor == 0)
		_exit(supervise(options, life_fds));
	(void)close(life_fds[0]);
	return wait_for(&face, supervisor, options->task_id, cgroup);
}
