#include "command.h"

#include "inherited.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a child tells before it has become the program. Shared with it; NULL: not made yet. */
static struct {
	bool is_born;
	int error; /* it could not become the program */
} * shared;

static int share(void)
{
	void *page;

	if (shared == NULL) {
		page = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED)
			return -errno;
		shared = page;
	}
	shared->is_born = false;
	shared->error = 0;
	return 0;
}

/* As fork(2), into a cgroup if there is one. Without the C library's preparations for fork: there may be
 * other threads, and the child does nothing that could meet their locks. Not as vfork(2): an exec that waits
 * for a dead filesystem would keep us from hearing of a request. */
static pid_t clone_child(int cgroup_fd)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	if (cgroup_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

__attribute__((noreturn)) static void become(char *const *arguments, pid_t group, pid_t parent)
{
	shared->is_born = true;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have ended before it was asked for. */
	if (getppid() == parent) {
		if (group > 0)
			(void)setpgid(0, group);
		inherited_restore();
		(void)execvp(arguments[0], arguments);
		shared->error = -errno;
	}
	_exit(COMMAND_NOT_OURS);
}

pid_t command_start(char *const *arguments, pid_t group, int cgroup_fd)
{
	pid_t parent = getpid();
	int error = share();
	pid_t pid;

	if (error < 0)
		return error;
	pid = clone_child(cgroup_fd);
	/* A cgroup that was removed by somebody, or a system that cannot do this, is no reason not to run. */
	if (pid < 0)
		pid = fork();
	if (pid == 0)
		become(arguments, group, parent);
	return pid < 0 ? -errno : pid;
}

bool command_was_born(void)
{
	return shared->is_born;
}

int command_error(void)
{
	return shared->error;
}

int command_error_code(int error)
{
	return error == -ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_RUN;
}
