/* `cancelwatch run` on a terminal: the keys that send signals, job control by an interactive shell, and the
 * end of the terminal. */
#include "run_case.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum {
	TEXT_MAX = 16384,
	CTRL_C = 3,
	CTRL_Q = 17,
	CTRL_S = 19,
	CTRL_BACKSLASH = 28,
	CTRL_Z = 26,
};

static struct {
	int fd;    /* the other end of the terminal; -1: closed */
	pid_t pid; /* what was started on it */
	size_t length, seen;
	char text[TEXT_MAX];
} terminal = {.fd = -1};

static void hang_up(void)
{
	if (terminal.fd >= 0)
		(void)close(terminal.fd);
	terminal.fd = -1;
}

static void tear_down(void)
{
	hang_up();
	if (terminal.pid > 0) {
		(void)kill(terminal.pid, SIGKILL);
		(void)waitpid(terminal.pid, NULL, 0);
	}
	run_tear_down();
}

TestSuite(run_terminal, .init = run_set_up, .fini = tear_down, .timeout = 120);

/* --- a terminal ------------------------------------------------------------------------------------ */

static _Noreturn void become(const char *const *words)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)setenv("TASK_CANCELLATION_DIR", tool_dir.path, 1);
	(void)setenv("CANCEL_CONFIG", tool_path("cancel.yaml"), 1);
	(void)setenv("PS1", "", 1);
	(void)setenv("TERM", "dumb", 1);
	(void)execvp(words[0], (char *const *)(uintptr_t)words);
	_exit(127);
}

/* Start a program as the leader of a session that has a terminal, which does not repeat what is typed. */
static void start_on_terminal(const char *const *words)
{
	struct termios mode = {
		.c_iflag = ICRNL, .c_oflag = 0, .c_cflag = CS8 | CREAD, .c_lflag = ISIG | ICANON};

	mode.c_cc[VINTR] = CTRL_C;
	mode.c_cc[VQUIT] = CTRL_BACKSLASH;
	mode.c_cc[VSUSP] = CTRL_Z;
	(void)cfsetspeed(&mode, B38400);
	terminal.pid = forkpty(&terminal.fd, NULL, &mode, NULL);
	if (terminal.pid < 0)
		cr_skip_test("there is no terminal to be had: %s", strerror(errno));
	if (terminal.pid == 0)
		become(words);
}

static void start_shell(void)
{
	start_on_terminal(WORDS("bash", "--norc", "--noprofile", "--noediting", "-i"));
}

static void type(const char *text)
{
	cr_assert_eq(write(terminal.fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void press(char key)
{
	cr_assert_eq(write(terminal.fd, &key, 1), 1);
}

static bool read_more(void)
{
	struct pollfd item = {.fd = terminal.fd, .events = POLLIN};
	ssize_t got = 0;

	if (poll(&item, 1, 10) > 0)
		got = read(terminal.fd, terminal.text + terminal.length, TEXT_MAX - 1 - terminal.length);
	if (got > 0)
		terminal.length += (size_t)got;
	terminal.text[terminal.length] = '\0';
	return got > 0;
}

/* After what was awaited before. */
static bool is_shown(void *arg)
{
	const char *text = arg;
	const char *found;

	(void)read_more();
	found = strstr(terminal.text + terminal.seen, text);
	if (found)
		terminal.seen = (size_t)(found - terminal.text) + strlen(text);
	return found != NULL;
}

static void await(const char *text)
{
	cr_assert(wait_until(is_shown, (void *)(uintptr_t)text, PROCESS_TIMEOUT_MS), "no '%s' in: %s", text,
		  terminal.text);
}

static pid_t face(void)
{
	return tree_named("cancelwatch");
}

static pid_t command(void)
{
	return tree_child(tree_child(face(), NULL), NULL);
}

static bool has_command(void *arg)
{
	(void)arg;
	return command() != 0;
}

#define RUN_LINE RUN_BINARY " run -k 60s task -- "
#define SAY_CODE "; echo code=$?\n"
#define COUNT                                                                                             \
	"perl -e '$| = 1; $n = 0; $SIG{INT} = $SIG{QUIT} = sub { $n++; print \"hit\\n\" }; $SIG{USR1} = " \
	"sub { "                                                                                          \
	"print \"n=$n\\n\"; exit 5 }; print \"ready\\n\"; sleep 1 while 1'"

/* --- keys ------------------------------------------------------------------------------------------ */

Test(run_terminal, ctrl_c_reaches_the_command_once)
{
	start_shell();
	type(RUN_LINE COUNT SAY_CODE);
	await("ready\n");
	press(CTRL_C);
	await("hit\n");
	press(CTRL_BACKSLASH);
	await("hit\n");
	cr_assert_eq(kill(face(), SIGUSR1), 0);
	await("n=2\n");
	await("code=5\n");
}

Test(run_terminal, ctrl_c_ends_the_command_and_us)
{
	start_shell();
	type(RUN_LINE "sh -c 'echo ready; exec sleep 1000'\n");
	await("ready\n");
	press(CTRL_C);
	type("echo code=$?\n");
	await("code=130\n");
	cr_assert(tree_wait(NULL, 1), "%s", tree_text());
}

Test(run_terminal, ctrl_c_reaches_a_command_in_a_script_if_it_is_in_the_foreground)
{
	start_on_terminal(WORDS("bash", "-c",
				"trap 'echo script' INT; " RUN_BINARY
				" run --foreground task -- " COUNT SAY_CODE));
	await("ready\n");
	press(CTRL_C);
	await("hit\n");
	cr_assert_eq(kill(face(), SIGUSR1), 0);
	await("n=1\n");
	await("code=5\n");
}

Test(run_terminal, the_leader_of_a_session_may_be_us)
{
	start_on_terminal(WORDS(RUN_BINARY, "run", "task", "--", "bash", "-c", COUNT SAY_CODE));
	await("ready\n");
	press(CTRL_C);
	await("hit\n");
	cr_assert_eq(kill(tree_named("perl"), SIGUSR1), 0);
	await("n=1\n");
}

/* The terminal knows nothing of them. */
static void interrupt_in_another_group(const char *line)
{
	start_shell();
	type(line);
	await("ready\n");
	press(CTRL_C);
	type("echo code=$?\n");
	await("code=130\n");
	cr_assert(tree_wait(NULL, 1), "%s", tree_text());
}

Test(run_terminal, ctrl_c_reaches_a_command_that_begins_a_session)
{
	interrupt_in_another_group(RUN_LINE "setsid -w sh -c 'echo ready; exec sleep 1000'\n");
}

Test(run_terminal, ctrl_c_reaches_a_command_that_makes_a_group_of_its_own)
{
	interrupt_in_another_group(RUN_LINE "timeout 1000 sh -c 'echo ready; exec sleep 1000'\n");
}

Test(run_terminal, ctrl_c_reaches_a_run_within_a_run)
{
	interrupt_in_another_group(RUN_LINE RUN_BINARY " run inner -- sh -c 'echo ready; exec sleep 1000'\n");
}

/* One of them is in the command's group, and has it from the terminal. */
Test(run_terminal, ctrl_c_reaches_each_of_the_tree_once)
{
	start_shell();
	type(RUN_LINE "perl -e '$| = 1; $SIG{INT} = sub { $n++; print \"hit\\n\" }; "
		      "$SIG{USR1} = sub { kill USR1 => $child if $child; wait; print \"n=$n\\n\"; exit 5 }; "
		      "$child = fork // die; setpgrp(0, 0) unless $child; "
		      "print \"ready\\n\"; sleep 1 while 1'\n");
	await("ready\n");
	await("ready\n");
	press(CTRL_C);
	await("hit\n");
	await("hit\n");
	cr_assert_eq(kill(face(), SIGUSR1), 0);
	await("n=1\n");
	await("n=1\n");
	type("echo code=$?\n");
	await("code=5\n");
}

/* --- input ----------------------------------------------------------------------------------------- */

#define READING "sh -c 'echo ready; read x; echo \"got $x\"; exit 5'"

Test(run_terminal, a_command_of_an_interactive_shell_may_read_from_the_terminal)
{
	start_shell();
	type(RUN_LINE READING SAY_CODE);
	await("ready\n");
	type("hello\n");
	await("got hello\n");
	await("code=5\n");
}

Test(run_terminal, a_command_of_a_script_may_read_if_it_is_in_the_foreground)
{
	start_on_terminal(WORDS("bash", "-c", RUN_BINARY " run --foreground task -- " READING SAY_CODE));
	await("ready\n");
	type("hello\n");
	await("got hello\n");
	await("code=5\n");
}

/* --- job control ----------------------------------------------------------------------------------- */

Test(run_terminal, ctrl_z_stops_and_fg_goes_on)
{
	start_shell();
	type(RUN_LINE READING "\n");
	await("ready\n");
	press(CTRL_Z);
	await("Stopped");
	run_await_state(command(), 'T');
	run_await_state(face(), 'T');
	type("fg\n");
	await("run");
	type("hello\n");
	await("got hello\n");
	type("echo code=$?\n");
	await("code=5\n");
}

Test(run_terminal, bg_goes_on_in_the_background)
{
	start_shell();
	type(RUN_LINE
	     "sh -c 'echo ready; until [ -e $TASK_CANCELLATION_DIR/../go ]; do sleep 0.02; done; echo "
	     "went; exit 5'\n");
	await("ready\n");
	press(CTRL_Z);
	await("Stopped");
	/* In one line: a job that ends before the next is read is forgotten. */
	type("bg; wait %1; echo code=$?\n");
	tool_write(tool_path("go"), "", 0);
	await("went\n");
	await("code=5\n");
}

static bool is_decided(void *arg)
{
	(void)arg;
	return tool_count("processed") == 1;
}

static void expect_stopped_behind_its_back(void)
{
	run_ask("task");
	cr_assert(wait_until(is_decided, NULL, PROCESS_TIMEOUT_MS), "%s", terminal.text);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	type("fg; echo code=$?\n");
	await("code=123\n");
	cr_assert(tree_wait(NULL, 1), "%s", tree_text());
}

Test(run_terminal, a_request_stops_a_job_that_ctrl_z_has_stopped)
{
	start_shell();
	type(RUN_LINE "sh -c 'echo ready; exec sleep 1000'\n");
	await("ready\n");
	press(CTRL_Z);
	await("Stopped");
	run_await_state(face(), 'T');
	expect_stopped_behind_its_back();
}

Test(run_terminal, a_request_stops_a_job_that_waits_in_the_background_for_the_terminal)
{
	start_shell();
	type(RUN_LINE "sh -c 'echo ready; exec cat' &\n");
	await("ready\n");
	cr_assert(wait_until(has_command, NULL, PROCESS_TIMEOUT_MS));
	run_await_state(command(), 'T');
	run_await_state(face(), 'T');
	type("jobs\n");
	await("Stopped");
	expect_stopped_behind_its_back();
}

Test(run_terminal, kill_of_a_job_ends_it)
{
	start_shell();
	type(RUN_LINE "sh -c 'echo ready; exec sleep 1000' &\n");
	await("ready\n");
	type("kill %1; wait %1; echo code=$?\n");
	await("code=143\n");
	cr_assert(tree_wait(NULL, 1), "%s", tree_text());
}

/* What is written to it then waits, until Ctrl-Q. */
Test(run_terminal, ctrl_s_holds_up_no_request)
{
	start_on_terminal(WORDS("sh", "-c",
				"stty ixon start ^Q stop ^S; " RUN_LINE
				"sh -c 'echo ready; exec sleep 1000'" SAY_CODE));
	await("ready\n");
	press(CTRL_S);
	run_ask("task");
	cr_assert(wait_until(is_decided, NULL, PROCESS_TIMEOUT_MS), "%s", terminal.text);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
	press(CTRL_Q);
	await("code=123\n");
}

/* --- the end of the terminal ----------------------------------------------------------------------- */

Test(run_terminal, the_end_of_the_terminal_ends_the_jobs_of_its_shell)
{
	start_shell();
	type(RUN_LINE "sh -c 'echo one; exec sleep 1000' &\n");
	await("one\n");
	type(RUN_LINE "sh -c 'echo two; exec sleep 1000'\n");
	await("two\n");
	hang_up();
	cr_assert(tree_wait(NULL, 0), "%s", tree_text());
}

/* The kernel tells the leader of the session, and nobody else. */
Test(run_terminal, the_end_of_the_terminal_ends_the_command)
{
	start_on_terminal(WORDS(RUN_BINARY, "run", "task", "--", WAITING));
	await("ready\n");
	hang_up();
	cr_assert(tree_wait(NULL, 0), "%s", tree_text());
}

Test(run_terminal, the_end_of_the_terminal_is_outlived_under_nohup)
{
	start_on_terminal(WORDS("sh", "-c",
				"cd $TASK_CANCELLATION_DIR/.. && exec nohup " RUN_BINARY
				" run -k 200ms task -- sh -c 'touch begun; exec sleep 1000'"));
	run_await_file("begun");
	hang_up();
	run_ask("task");
	cr_assert(wait_until(is_decided, NULL, PROCESS_TIMEOUT_MS));
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
}
