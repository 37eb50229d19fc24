/* A process id that `cancelwatch run` knew, and that somebody else has by the time it would be signalled. In
 * a process id namespace of the test's own the next number can be chosen. */
#include "run_case.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	EXIT_SKIPPED = 77,
	NAMES_SIZE = 64,
};

TestSuite(run_recycled, .init = run_set_up, .fini = run_tear_down, .timeout = 120);

/* --- within the namespace: its first process, where no assertion may fail -------------------------- */

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "%s; %s\n", what, strerror(errno));
	_exit(1);
}

/* The command ignores SIGTERM, does not keep its dead, and says which child it has. */
#define COMMAND                                                                                              \
	"perl", "-e",                                                                                        \
		"$| = 1; $SIG{TERM} = $SIG{CHLD} = 'IGNORE'; my $child = fork; if ($child) { print \"child " \
		"$child\\n\" } sleep 1000 while 1"

static pid_t read_child(void)
{
	char text[NAMES_SIZE] = "";
	int child = 0;

	check(process_wait_out(&run_process, "\n", PROCESS_TIMEOUT_MS), "the command does not begin");
	check(pread(run_process.out_fd, text, sizeof(text) - 1, 0) > 0, "nothing was written");
	check(sscanf(text, "child %d", &child) == 1, text);
	return child;
}

static bool is_gone(void *arg)
{
	return kill(*(pid_t *)arg, 0) < 0 && errno == ESRCH;
}

enum {
	ATTEMPTS = 100, /* threads take numbers too */
};

static void choose_next(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	char text[24];
	int length = snprintf(text, sizeof(text), "%d", (int)pid - 1);

	if (fd < 0 || write(fd, text, (size_t)length) != length)
		_exit(EXIT_SKIPPED);
	(void)close(fd);
}

/* The child is gone, and its number is a stranger's. */
static void replace(pid_t child, struct canary *stranger)
{
	check(kill(child, SIGKILL) == 0, "the child is gone already");
	check(wait_until(is_gone, &child, PROCESS_TIMEOUT_MS), "the child is not gone");
	for (int i = 0; i < ATTEMPTS; i++) {
		choose_next(child);
		canary_start(stranger);
		if (stranger->pid == child)
			return;
		canary_end(stranger);
	}
	_exit(EXIT_SKIPPED);
}

static void expect_stranger_untouched(const struct canary *stranger)
{
	check(process_wait(&run_process, PROCESS_TIMEOUT_MS), "the run does not end");
	check(run_process.exit_code == RUN_CANCELLED, run_process.err);
	check(canary_is_untouched(stranger), "the stranger was touched");
}

static void ask_within(void)
{
	struct process asker;

	tool_start(&asker, WORDS(CANCELREQ, "-q", "task"));
	check(process_wait(&asker, PROCESS_TIMEOUT_MS) && asker.exit_code == 0, "cannot ask");
	process_free(&asker);
}

static void replace_after_the_first_signal(void)
{
	struct canary stranger;
	pid_t child;

	RUN_START("--grace", "1s", "task", "--", COMMAND);
	child = read_child();
	ask_within();
	check(process_wait_err(&run_process, "sending SIGTERM\n", PROCESS_TIMEOUT_MS), "it is not stopped");
	replace(child, &stranger);
	expect_stranger_untouched(&stranger);
}

/* strace writes a call down before it holds it up. */
static bool is_opening(void *arg)
{
	char text[4096] = "";
	int fd = open(tool_path("trace"), O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	return got > 0 && strstr(text, arg);
}

/* Between the look that found it and the descriptor that is to hold it. */
static void replace_before_it_is_held(void)
{
	struct canary stranger;
	char call[NAMES_SIZE];
	pid_t child;

	RUN_START_BY("strace", "-f", "-E", "LSAN_OPTIONS=detect_leaks=0", "-o", tool_path("trace"), "-e",
		     "trace=pidfd_open", "-e", "inject=pidfd_open:delay_enter=500ms", RUN_BINARY, "run",
		     "--grace", "200ms", "task", "--", COMMAND);
	child = read_child();
	(void)snprintf(call, sizeof(call), "pidfd_open(%d,", (int)child);
	ask_within();
	check(wait_until(is_opening, call, PROCESS_TIMEOUT_MS), "the child is not looked at");
	replace(child, &stranger);
	expect_stranger_untouched(&stranger);
}

/* --- the namespace --------------------------------------------------------------------------------- */

static _Noreturn void be_first(void (*scene)(void))
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		_exit(EXIT_SKIPPED);
	scene();
	_exit(0);
}

static _Noreturn void enter(void (*scene)(void))
{
	int status;
	pid_t pid;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
		_exit(EXIT_SKIPPED);
	pid = fork();
	if (pid == 0)
		be_first(scene);
	_exit(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void play_in_namespace(void (*scene)(void))
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("only root can choose process ids");
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		enter(scene);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		cr_skip_test("there is no process id namespace to be had");
	cr_assert_eq(status, 0, "see above");
}

/* DESIGN.md, invariant 43 */
Test(run_recycled, who_got_a_number_after_the_first_signal_is_not_touched)
{
	play_in_namespace(replace_after_the_first_signal);
}

/* DESIGN.md, invariant 43 */
Test(run_recycled, who_got_a_number_before_it_was_held_is_not_touched)
{
	play_in_namespace(replace_before_it_is_held);
}
