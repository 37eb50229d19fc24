#include "calls.h"

#include "harness.h"
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

/* A call that nobody makes by chance: the kernel refuses it at once. */
#define MARK_OPTION (-0x6d61726b)

struct called {
	void (*function)(const void *arg);
	const void *arg;
};

void calls_mark(void)
{
	(void)syscall(SYS_membarrier, MARK_OPTION, 0, 0);
}

/* Stopped until the parent follows. */
static void run(const void *arg)
{
	const struct called *called = arg;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)
		_exit(1);
	called->function(called->arg);
}

static void follow(pid_t pid)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL, options) < 0 || ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
		bench_fail("cannot follow a child: %s", strerror(errno));
}

static bool is_entry(pid_t pid, uint64_t *number, uint64_t *first_argument)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	*number = info.entry.nr;
	*first_argument = info.entry.args[0];
	return true;
}

static bool is_mark(uint64_t number, uint64_t first_argument)
{
	return number == SYS_membarrier && (int)first_argument == MARK_OPTION;
}

/* A signal to hand on, but for the stops that come of following. */
static long signal_of(int status)
{
	int signal = WSTOPSIG(status);

	return signal == (SIGTRAP | 0x80) || signal == SIGTRAP || signal == SIGSTOP ? 0 : signal;
}

long calls_count(void (*function)(const void *arg), const void *arg)
{
	pid_t leader = process_fork(run, &(struct called){function, arg}), pid;
	uint64_t number, first_argument;
	long count = 0, marks = 0;
	int status;

	follow(leader);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (!WIFSTOPPED(status)) {
			if (pid != leader)
				continue;
			break;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && is_entry(pid, &number, &first_argument)) {
			if (is_mark(number, first_argument))
				marks++;
			else
				count += marks == 1;
		}
		(void)ptrace(PTRACE_SYSCALL, pid, NULL, signal_of(status));
	}
	if (pid != leader || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || marks != 2)
		bench_fail("a child that was followed did not end well");
	return count;
}
