/* `cancelwatch run` in the place of what it runs: signals that are sent to it, what the command inherits, and
 * what stays as it was without us. */
#include "run_case.h"

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(run_signals, .init = run_set_up, .fini = run_tear_down, .timeout = 120);

static void skip_unless_root(void)
{
	if (geteuid() != 0)
		cr_skip_test("only root can do that");
}

static void send_to_run(int number)
{
	cr_assert_eq(kill(run_process.pid, number), 0);
}

/* --- handing on ------------------------------------------------------------------------------------ */

/* Says which signals come, and how often; ends with 7 by SIGTERM. */
#define COUNTING                                                                                           \
	"perl", "-e",                                                                                      \
		"$| = 1; for my $s (qw(INT HUP QUIT USR1 USR2)) { $SIG{$s} = sub { $n{$s}++; print \"got " \
		"$s "                                                                                      \
		"$n{$s}\\n\" } } $SIG{TERM} = sub { print \"got TERM\\n\"; exit 7 }; print \"ready\\n\"; " \
		"sleep 1 while 1"

Test(run_signals, what_is_sent_to_us_reaches_the_command)
{
	static const struct {
		int number;
		const char *once, *twice;
	} signals[] = {
		{SIGINT, "got INT 1\n", "got INT 2\n"},    {SIGHUP, "got HUP 1\n", "got HUP 2\n"},
		{SIGQUIT, "got QUIT 1\n", "got QUIT 2\n"}, {SIGUSR1, "got USR1 1\n", "got USR1 2\n"},
		{SIGUSR2, "got USR2 1\n", "got USR2 2\n"},
	};

	RUN_START(LATER, "task", "--", COUNTING);
	run_await("ready\n");
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		send_to_run(signals[i].number);
		run_await(signals[i].once);
		send_to_run(signals[i].number);
		run_await(signals[i].twice);
	}
	send_to_run(SIGTERM);
	run_expect_end(7);
	cr_assert_null(strstr(tool.out, " 3\n"), "one came twice: %s", tool.out);
	run_expect_none("task");
	run_expect_all_gone();
}

Test(run_signals, a_command_that_dies_of_what_was_sent_to_us_shows_it)
{
	static const int numbers[] = {SIGINT, SIGHUP, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		RUN_START(LATER, "task", "--", WAITING);
		run_await("ready\n");
		send_to_run(numbers[i]);
		run_finish();
		tool_expect(RUN_SIGNAL_BASE + numbers[i], "ready\n", "");
		run_expect_all_gone();
	}
}

Test(run_signals, sigterm_ends_a_tree_that_ignores_it)
{
	RUN_START(SOON, "task", "--", HOSTILE, "child", "orphan", "session", "group");
	run_await("ready\n");
	send_to_run(SIGTERM);
	run_expect_end(RUN_SIGNAL_BASE + SIGKILL);
	run_expect_none("task");
	run_expect_all_gone();
}

Test(run_signals, sigint_and_its_like_end_nothing_that_ignores_them)
{
	RUN_START(
		SOON, "task", "--", "perl", "-e",
		"$| = 1; $SIG{$_} = 'IGNORE' for qw(INT HUP QUIT USR1 USR2); print \"ready\\n\"; sleep 1000");
	run_await("ready\n");
	send_to_run(SIGINT);
	send_to_run(SIGHUP);
	send_to_run(SIGQUIT);
	cr_assert_not(process_wait(&run_process, 400), "it was ended; %s", run_process.err);
	send_to_run(SIGTERM);
	run_expect_end(RUN_SIGNAL_BASE + SIGTERM);
}

Test(run_signals, sigusr1_reaches_the_command_alone)
{
	RUN_START(LATER, "task", "--", "sh", "-c",
		  "trap 'echo got' USR1; sleep 1000 & sleep 1000 & echo ready; while :; do wait; done");
	run_await("ready\n");
	send_to_run(SIGUSR1);
	run_await("got\n");
	cr_assert_eq(tree_count(NULL), 5, "%s", tree_text());
	send_to_run(SIGTERM);
	run_expect_end(RUN_SIGNAL_BASE + SIGTERM);
	run_expect_all_gone();
}

/* GNU timeout, before 8.1: it was gone before the command had cleaned up. */
Test(run_signals, we_do_not_end_before_the_command)
{
	RUN_START(LATER, "task", "--", "sh", "-c",
		  "trap 'sleep 0.3; echo cleaned; exit 4' TERM; echo ready; while :; do sleep 0.02; done");
	run_await("ready\n");
	send_to_run(SIGTERM);
	send_to_run(SIGTERM);
	run_expect_end(4);
	cr_assert_str_eq(tool.out, "ready\ncleaned\n");
}

/* What the command sends to its own group it knows of. */
Test(run_signals, what_the_command_sends_to_its_group_does_not_come_back)
{
	RUN_START(LATER, "task", "--", "perl", "-e",
		  "$| = 1; $SIG{INT} = sub { $n++ }; $SIG{USR1} = sub { print \"n=$n\\n\"; exit 5 }; "
		  "kill INT => 0; print \"ready\\n\"; sleep 1 while 1");
	run_await("ready\n");
	send_to_run(SIGUSR1);
	run_finish();
	tool_expect(5, "ready\nn=1\n", "");
}

Test(run_signals, a_request_after_sigterm_finds_the_truth)
{
	pid_t supervisor;

	RUN_START(SOON, "task", "--", HOSTILE);
	run_await("ready\n");
	supervisor = run_supervisor();
	cr_assert_eq(kill(supervisor, SIGSTOP), 0);
	run_await_state(supervisor, 'T');
	send_to_run(SIGTERM);
	run_ask("task");
	cr_assert_eq(kill(supervisor, SIGCONT), 0);
	run_finish();
	/* It was noticed, or came too late: both are told as they were. */
	if (tool.exit_code == RUN_CANCELLED)
		run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	else
		run_expect_record("task", CANCEL_OUTCOME_FINISHED, "died of SIGKILL");
	run_expect_all_gone();
}

/* --- what was ignored or blocked before us --------------------------------------------------------- */

#define WITH(...) RUN_START_BY("env", __VA_ARGS__)

Test(run_signals, what_was_ignored_before_us_stays_ignored)
{
	WITH("--ignore-signal=HUP,INT", RUN_BINARY, "run", LATER, "task", "--", "perl", "-e",
	     "$| = 1; $SIG{$_} = sub { print \"got $_[0]\\n\" } for qw(HUP INT USR1); print \"ready\\n\"; "
	     "sleep 1 while 1");
	run_await("ready\n");
	send_to_run(SIGHUP);
	send_to_run(SIGINT);
	send_to_run(SIGUSR1);
	run_await("got USR1\n");
	send_to_run(SIGTERM);
	run_finish();
	tool_expect(RUN_SIGNAL_BASE + SIGTERM, "ready\ngot USR1\n", "");
}

Test(run_signals, nohup_holds)
{
	RUN_START_BY("nohup", RUN_BINARY, "run", LATER, "task", "--", WAITING);
	run_await("ready\n");
	send_to_run(SIGHUP);
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGTERM after AGE");
}

Test(run_signals, where_sigterm_is_ignored_a_request_ends_by_sigkill)
{
	WITH("--ignore-signal=TERM", RUN_BINARY, "run", SOON, "task", "--", WAITING);
	run_await("ready\n");
	send_to_run(SIGTERM);
	cr_assert_not(process_wait(&run_process, 400), "SIGTERM was ignored before us");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
}

static const char *const legacies[] = {
	"--ignore-signal=CHLD", "--block-signal=CHLD",       "--block-signal=ALRM",
	"--block-signal",       "--ignore-signal=ALRM,CHLD",
};

/* GNU timeout, before 8.29: it waited for ever where SIGCHLD was blocked; and before 8.21 where SIGALRM was.
 */
Test(run_signals, the_end_of_the_command_is_seen_whatever_was_blocked_or_ignored)
{
	for (size_t i = 0; i < sizeof(legacies) / sizeof(legacies[0]); i++) {
		tool_run(WORDS("env", legacies[i], RUN_BINARY, "run", "task", "--", "sh", "-c", "exit 3"),
			 NULL);
		tool_expect(3, "", "");
	}
	run_expect_all_gone();
}

Test(run_signals, a_timeout_works_whatever_was_blocked_or_ignored)
{
	for (size_t i = 0; i < sizeof(legacies) / sizeof(legacies[0]); i++) {
		tool_run(WORDS("env", legacies[i], RUN_BINARY, "run", "-q", SOON, "--timeout", "100ms",
			       "task", "--", HOSTILE, "orphan"),
			 NULL);
		tool_expect(RUN_TIMED_OUT, "ready\n", "");
	}
	run_expect_all_gone();
}

Test(run_signals, a_request_works_whatever_was_blocked_or_ignored)
{
	for (size_t i = 0; i < sizeof(legacies) / sizeof(legacies[0]); i++) {
		WITH(legacies[i], RUN_BINARY, "run", SOON, "task", "--", WAITING);
		run_await("ready\n");
		run_ask("task");
		run_expect_end(RUN_CANCELLED);
	}
	run_expect_all_gone();
}

/* --- inheritance ----------------------------------------------------------------------------------- */

/* All that a program may inherit and can be shown in text, without what we are to change. */
static const char show[] =
	"grep -E '^(Sig(Pnd|Ign)|Shd|Cap|NoNew|Seccomp|Uid|Gid|Groups|Umask|Cpus|Mems|CoreD|THP)' "
	"/proc/$$/status\n"
	"cat /proc/$$/oom_score_adj /proc/$$/coredump_filter /proc/$$/limits /proc/$$/timerslack_ns\n"
	"pwd; nice; ps -o sid=,tty=,cls=,pri= -p $$\n"
	"for f in /proc/$$/fd/*; do echo \"${f##*/} $(readlink $f)\"; done | grep -v -e pipe: -e ' $'\n"
	"env | grep -vE '^(CANCEL_|TASK_CANC|_=|SHLVL=|OLDPWD=)' | sort\n";

/* Shown into a file of that name. */
static void show_into(const char *name, const char *wrapper)
{
	char line[1024];

	(void)snprintf(
		line, sizeof(line),
		"umask 027; ulimit -n 500; cd /usr; exec 7</dev/null 9>>/dev/null 2>%s 1>&2; exec nice -n 3 "
		"env --ignore-signal=USR1,CHLD,PIPE --block-signal=ALRM,WINCH,RTMIN+3 %s sh %s",
		tool_path(name), wrapper, tool_path("show"));
	tool_shell(line);
	tool_expect_exit(0);
}

static void expect_same(const char *one, const char *other)
{
	char line[256];

	(void)snprintf(line, sizeof(line),
		       "sed 's|/%s$|/it|' %s > %s-plain; sed 's|/%s$|/it|' %s | diff %s-plain -", one,
		       tool_path(one), tool_path(one), other, tool_path(other), tool_path(one));
	tool_shell(line);
	tool_expect(0, "", "");
}

/* DESIGN.md, invariant 48 */
Test(run_signals, the_command_inherits_what_it_would_inherit_without_us)
{
	tool_write(tool_path("show"), show, strlen(show));
	show_into("without", "");
	show_into("with", RUN_BINARY " run -q task --");
	show_into("foreground", RUN_BINARY " run --foreground --timeout 1h --retries 3 task --");
	tool_shell("grep -c -e '^9 /dev/null' -e '^SigIgn:.*1200$' $TASK_CANCELLATION_DIR/../without");
	tool_expect(0, "2\n", "");
	expect_same("without", "with");
	expect_same("without", "foreground");
}

/* The shell unblocks all signals for itself. */
Test(run_signals, the_command_inherits_blocked_signals)
{
	static const char *const wrappers[] = {"", RUN_BINARY " run task --",
					       RUN_BINARY " run --retries 2 -t 1h task --"};
	static const char masks[] = "SigBlk:\t0000000008016000\nSigIgn:\t";
	char line[512], *first = NULL;

	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
		(void)snprintf(
			line, sizeof(line),
			"exec env --ignore-signal=QUIT,TTOU,PIPE --block-signal=TERM,CHLD,ALRM,WINCH %s grep "
			"'^Sig[BI]' /proc/self/status",
			wrappers[i]);
		tool_shell(line);
		tool_expect_exit(0);
		if (!first)
			first = strdup(tool.out);
		cr_assert_str_eq(tool.out, first);
	}
	/* Who runs the test may have more of them ignored. */
	cr_assert_eq(strncmp(first, masks, sizeof masks - 1), 0, "%s", first);
	cr_assert_eq(strtoull(first + sizeof masks - 1, NULL, 16) & 0x201004, 0x201004, "%s", first);
	free(first);
}

/* The shell reads its first lines from where it is told, so that it needs no stream of its own. */
static void expect_closed(const char *redirections, const char *expected)
{
	char line[512];

	(void)snprintf(line, sizeof(line),
		       "exec " RUN_BINARY " run -s USR2 -k 200ms task -- sh -c 's=; for f in 0 1 2; do "
		       "[ -e /proc/$$/fd/$f ] || s=$s$f; done; touch %s/closed-$s; exec sleep 1000' %s",
		       tool_dir.root, redirections);
	RUN_START_BY("bash", "-c", line);
	(void)snprintf(line, sizeof(line), "closed-%s", expected);
	run_await_file(line);
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "terminated by SIGUSR2 after AGE");
	tool_shell("exec " CANCELREQ " -q --reset task");
	tool_expect_exit(0);
}

/* What we open must not take the place of a stream, where it would be read from and written to. */
/* DESIGN.md, invariant 48 */
Test(run_signals, closed_streams_stay_closed)
{
	expect_closed("<&-", "0");
	expect_closed(">&-", "1");
	expect_closed("2>&-", "2");
	expect_closed("<&- >&-", "01");
	expect_closed("<&- >&- 2>&-", "012");
	run_expect_all_gone();
}

Test(run_signals, an_object_that_cannot_be_written_is_told_and_the_status_stays)
{
	tool_shell("exec " RUN_BINARY " run --json task -- sh -c 'exit 3' > /dev/full");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "No space left on device");
}

#define GROUP_OF_COMMAND "sh", "-c", "cut -d ' ' -f 5 /proc/$$/stat; echo ready; exec sleep 1000"

static void expect_group(pid_t group)
{
	char expected[32];

	run_await("ready\n");
	(void)snprintf(expected, sizeof(expected), "%ld\nready\n", (long)group);
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	cr_assert_str_eq(tool.out, expected);
}

Test(run_signals, the_command_is_in_our_group_and_that_is_a_new_one)
{
	pid_t face;

	RUN_START(LATER, "task", "--", GROUP_OF_COMMAND);
	face = run_process.pid;
	expect_group(face);
}

Test(run_signals, in_the_foreground_the_group_stays_as_it_was)
{
	RUN_START(LATER, "--foreground", "task", "--", GROUP_OF_COMMAND);
	expect_group(getpgrp());
}

Test(run_signals, in_the_foreground_the_tree_is_stopped_and_the_rest_of_the_group_is_not)
{
	/* The canary is in this group. */
	RUN_START(SOON, "--foreground", "task", "--", HOSTILE, "child", "orphan", "session", "group");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	cr_assert(canary_is_untouched(&run_canary));
	run_expect_all_gone();
}

/* --- process 1 ------------------------------------------------------------------------------------- */

#define AS_PROCESS_1 "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", RUN_BINARY, "run"

Test(run_signals, as_process_1_it_gives_the_command_s_status)
{
	run_skip_unless_mounts();
	tool_run(WORDS(AS_PROCESS_1, "task", "--", "sh", "-c", "(sleep 0.01 &); (sleep 1000 &); exit 3"),
		 NULL);
	tool_expect(3, "", "");
	cr_assert(tree_wait(NULL, 0), "%s", tree_text());
}

Test(run_signals, as_process_1_it_can_be_asked_to_stop)
{
	run_skip_unless_mounts();
	RUN_START_BY(AS_PROCESS_1, SOON, "task", "--", HOSTILE, "orphan", "session", "reaper");
	run_await("ready\n");
	run_ask("task");
	run_expect_end(RUN_CANCELLED);
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
	run_expect_all_gone();
}

/* A sender outside of the namespace has no number in it. */
Test(run_signals, as_process_1_it_hands_on_what_comes_from_outside)
{
	run_skip_unless_mounts();
	RUN_START_BY(AS_PROCESS_1, LATER, "task", "--", COUNTING);
	run_await("ready\n");
	cr_assert_eq(kill(tree_child(run_process.pid, NULL), SIGUSR1), 0);
	run_await("got USR1 1\n");
	cr_assert_eq(kill(tree_child(run_process.pid, NULL), SIGINT), 0);
	run_await("got INT 1\n");
	cr_assert_eq(kill(tree_child(run_process.pid, NULL), SIGTERM), 0);
	run_expect_end(7);
}

/* /proc shows other numbers than ours there. What it names must not be taken for ours. */
Test(run_signals, with_another_namespace_s_proc_nobody_else_is_hit)
{
	skip_unless_root();
	if (!run_has_groups())
		cr_skip_test("no control group can be made here, and the tree cannot be seen");
	RUN_START_BY("unshare", "--pid", "--fork", "--kill-child", "sh", "-c",
		     "export LSAN_OPTIONS=detect_leaks=0; env --block-signal sleep 1000 & one=$!; env "
		     "--block-signal sleep 1000 & two=$!; " RUN_BINARY " run -k 200ms task -- " HOSTILE
		     " child orphan session; echo code=$?; kill -0 $one && kill "
		     "-0 $two && echo alive; exec sleep 1000");
	run_await("ready\n");
	run_ask("task");
	run_await("code=123\nalive\n");
	cr_assert(tree_wait(NULL, 4), "%s", tree_text());
	run_expect_record("task", CANCEL_OUTCOME_STOPPED, "killed by SIGKILL after AGE");
}
