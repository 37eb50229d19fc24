/* Rules: the command of another system is run for a request, again if it fails, and the request decided as it
 * says. With real processes, a real queue of task-spooler, and a real start-stop-daemon. */
#include "asking.h"
#include "tool.h"
#include "watching.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CANCELREQ BUILD_DIR "/bin/cancelreq"
#define EXAMPLES  SOURCE_DIR "/conf/rules/"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_MEMORY false
#else
#define HAS_OWN_MEMORY true
#endif

enum {
	TEXT_SIZE = 64 * 1024,
	/* More than a rule is given room for, which is half of all; and, where a process costs no more than
	   usual, than all. */
	MANY = HAS_OWN_MEMORY ? CANCEL_RULE_WAITING_MAX + 904 : CANCEL_RULE_WAITING_MAX / 2 + 452,
	MEMORY_GROWTH_MAX_KB = 8 * 1024,
	MANY_TIMEOUT_MS = 600 * 1000, /* as many processes, on a busy machine */
};

static void set_up(void)
{
	watching_set_up();
	/* What a daemon has. Scripts of rules find the test's folder in D. */
	(void)setenv("D", tool_dir.root, 1);
	(void)unsetenv("CANCEL_TASK_ID");
}

TestSuite(cancelwatch_rules, .init = set_up, .fini = watching_tear_down, .timeout = 900);

/* --- the scene ---------------------------------------------------------------------------------------- */

static void configure(const char *yaml)
{
	char text[TEXT_SIZE];

	(void)snprintf(text, sizeof text, "sweep: {interval: 1h}\n%s", yaml);
	watching_configure(text);
}

static void start(const char *yaml)
{
	configure(yaml);
	watching_start(WORDS(CANCELWATCH));
}

static void reload(const char *yaml)
{
	configure(yaml);
	cr_assert_eq(kill(watching.pid, SIGHUP), 0);
	watching_message("RELOADING=1");
	watching_message("READY=1");
}

static void ask(const char *task_id)
{
	asking_request(tool_dir.path, task_id, NULL, CANCEL_EXPIRES_DEFAULT);
}

static void ask_many(const char *prefix, int count)
{
	char task_id[64];

	for (int i = 0; i < count; i++) {
		(void)snprintf(task_id, sizeof task_id, "%s%d", prefix, i);
		ask(task_id);
	}
}

static void await_log(const char *text)
{
	cr_assert(process_wait_err(&watching, text, PROCESS_TIMEOUT_MS), "'%s' was not logged", text);
}

static void await_decided(const char *task_id, const char *outcome)
{
	char text[256];
	bool came;

	(void)snprintf(text, sizeof text, " decided %s %s (", task_id, outcome);
	came = process_wait_out(&watching, text, PROCESS_TIMEOUT_MS);
	if (!came && watching.pid != 0)
		watching_stop(SIGTERM);
	cr_assert(came, "not decided as %s: %s; out: %s err: %s", outcome, task_id, watching.out,
		  watching.err);
}

static void expect_pending(const char *task_id)
{
	cr_assert_eq(asking_lookup(tool_dir.path, task_id), CANCEL_LOOKUP_PENDING, "%s is not pending",
		     task_id);
}

static void expect_pending_later(const char *task_id)
{
	cr_assert_eq(asking_lookup(tool_dir.path, task_id), CANCEL_LOOKUP_SCHEDULED, "%s is not scheduled",
		     task_id);
}

/* A file in the test's folder; "" while it is not there. */
static char *content(const char *name)
{
	static char text[TEXT_SIZE];
	FILE *file = fopen(tool_path(name), "re");
	size_t length = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);

	if (file != NULL)
		(void)fclose(file);
	text[length] = '\0';
	return text;
}

static int lines_in(const char *name)
{
	return watching_occurrences(content(name), "\n");
}

struct wanted {
	const char *name;
	int lines;
};

static bool has_lines(void *arg)
{
	const struct wanted *wanted = arg;

	return lines_in(wanted->name) >= wanted->lines;
}

static void await_lines(const char *name, int lines)
{
	struct wanted wanted = {name, lines};

	cr_assert(wait_until(has_lines, &wanted, PROCESS_TIMEOUT_MS), "%s: %d lines, not %d", name,
		  lines_in(name), lines);
}

/* What a script of a rule waits for: `until test -e $D/NAME`. */
static void let_go(const char *name)
{
	tool_write(tool_path(name), "", 0);
}

#define AWAIT(name) "until test -e $D/" name "; do sleep 0.02; done"

static bool is_gone(void *arg)
{
	return kill(*(pid_t *)arg, 0) < 0 && errno == ESRCH;
}

/* Each process whose id is a line of a file. */
static void expect_all_gone(const char *name)
{
	char *line = content(name);

	cr_assert_str_not_empty(line);
	while (*line != '\0') {
		pid_t pid = (pid_t)strtol(line, &line, 10);

		cr_assert_gt(pid, 1);
		cr_assert(wait_until(is_gone, &pid, PROCESS_TIMEOUT_MS), "%d lives", pid);
		line += strspn(line, "\n");
	}
}

/* --- what is fired ------------------------------------------------------------------------------------ */

Test(cancelwatch_rules, a_request_fires_the_first_rule_that_matches)
{
	start("rules:\n"
	      "  - {match: 'a-*', exec: [sh, -c, 'echo first', sh]}\n"
	      "  - {match: '*', exec: [sh, -c, 'echo second', sh]}\n");
	ask("a-1");
	ask("b-1");
	await_decided("a-1", "stopped");
	await_decided("b-1", "stopped");
	watching_stop(SIGTERM);
	tool_expect_in(tool_plain(watching.out),
		       "decided a-1 stopped (request ID, uid 0, pid PID on HOST): sh exited with 0 "
		       "after AGE: first\n");
	tool_expect_in(watching.err, "info: rules: 2\n");
	tool_expect_in(watching.err, "info: rule 1 (a-*) for a-1: sh: first\n");
	tool_expect_in(tool_plain(watching.err),
		       "info: rule 1 (a-*) for a-1: sh exited with 0 after AGE: first; stopped\n");
	tool_expect_in(watching.err, "info: rule 2 (*) for b-1: sh: second\n");
}

Test(cancelwatch_rules, what_was_pending_before_the_start_fires_too)
{
	ask("a-1");
	start("rules: [{match: 'a-*', exec: ['true']}]\n");
	await_decided("a-1", "stopped");
	watching_stop(SIGTERM);
}

Test(cancelwatch_rules, what_no_rule_is_for_stays_pending)
{
	start("rules: [{match: 'a-*', exec: ['true']}]\n");
	ask("b-1");
	ask("a-1");
	await_decided("a-1", "stopped");
	watching_stop(SIGTERM);
	expect_pending("b-1");
	cr_assert_null(strstr(watching.err, "b-1"), "%s", watching.err);
}

Test(cancelwatch_rules, an_id_is_one_argument_to_the_byte)
{
	const char *id = "a b'c\"d\\e$(touch $D/oops)`id`;{task_id}\n%s*-\xC3\xA9 ";
	char expected[256];

	start("rules: [{match: '*', exec: [sh, -c, 'printf \"<%s>\" \"$@\" >$D/arguments', sh, '{task_id}', "
	      "'x{task_id}']}]\n");
	ask(id);
	watching_await(" decided ");
	watching_stop(SIGTERM);
	(void)snprintf(expected, sizeof expected, "<%s><x%s>", id, id);
	cr_assert_str_eq(content("arguments"), expected);
	cr_assert_eq(access(tool_path("oops"), F_OK), -1);
}

static void ask_with_all(void)
{
	const char *const arguments[] = {CANCELREQ, "--run", "r 7",  "--by", "bob",
					 "task_1",  "disk",  "full", NULL};

	tool_run(arguments, NULL);
	tool_expect_exit(0);
}

Test(cancelwatch_rules, a_command_finds_the_request_in_its_environment_and_nothing_of_ours)
{
	configure("rules: [{match: '*', exec: [sh, -c, 'env >$D/environment; wc -c >>$D/environment; ls "
		  "/proc/self/fd "
		  "| tr \"\\n\" \" \" >>$D/environment', sh]}]\n");
	watching_begin(WORDS(CANCELWATCH), WORDS("CANCEL_REASON=not this one", "WATCHDOG_USEC=60000000"));
	watching_message("READY=1");
	ask_with_all();
	watching_await(" decided ");
	ask("task_2");
	watching_await(" decided task_2 ");
	watching_stop(SIGTERM);
	cr_assert_null(strstr(content("environment"), "not this one"));
	cr_assert_null(strstr(content("environment"), "CANCEL_RUN_ID"));
	cr_assert_null(strstr(content("environment"), "NOTIFY_SOCKET"));
	cr_assert_null(strstr(content("environment"), "WATCHDOG_USEC"));
	tool_expect_in(content("environment"), "CANCEL_TASK_ID=task_2\n");
	/* Standard input is empty, and of descriptors there are the three, and the one with which ls looks.
	 */
	tool_expect_in(content("environment"), "\n0\n0 1 2 3 ");
	cr_assert_null(strstr(content("environment"), "0 1 2 3 4"));
}

Test(cancelwatch_rules, reason_requester_run_and_ids_are_there)
{
	char spool[128];

	start("rules: [{match: '*', exec: [sh, -c, 'env >$D/environment', sh]}]\n");
	ask_with_all();
	watching_await(" decided ");
	watching_stop(SIGTERM);
	(void)snprintf(spool, sizeof spool, "TASK_CANCELLATION_DIR=%s\n", tool_dir.path);
	tool_expect_in(content("environment"), "CANCEL_TASK_ID=task_1\n");
	tool_expect_in(content("environment"), "CANCEL_RUN_ID=r 7\n");
	tool_expect_in(content("environment"), "CANCEL_REASON=disk full\n");
	tool_expect_in(content("environment"), "CANCEL_REQUESTER=bob\n");
	tool_expect_in(tool_plain(content("environment")), "CANCEL_REQUEST_ID=ID\n");
	tool_expect_in(content("environment"), spool);
	/* The request for the run was decided, under its own name. */
	tool_expect_in(watching.out, " decided task_1 run r\\x207 stopped (");
	tool_expect_in(watching.err, "rule 1 (*) for task_1 run r\\x207: sh exited with 0");
}

Test(cancelwatch_rules, an_id_that_would_be_an_option_is_refused_and_stays_pending)
{
	start("rules: [{match: '*', exec: [sh, -c, 'echo \"$@\" >>$D/ran', sh, x, '{task_id}']}]\n");
	ask("-rf");
	await_log("rule 1 (*) for -rf: not fired, the request stays pending: the argument '-rf' for "
		  "'{task_id}'");
	ask("good");
	await_decided("good", "stopped");
	/* It is not tried again with each look at the spool. */
	watching_stop(SIGTERM);
	cr_assert_str_eq(content("ran"), "x good\n");
	cr_assert_eq(watching_occurrences(watching.err, "not fired"), 1, "%s", watching.err);
	expect_pending("-rf");
}

static void ask_at(const char *task_id, int64_t cancel_at_us)
{
	struct cancel_spool_options options;
	struct cancel_request request;
	struct cancel_spool *spool;

	cancel_spool_options_init(&options);
	options.path = tool_dir.path;
	cr_assert_eq(cancel_spool_open(&spool, &options, NULL), 0);
	cancel_request_init(&request);
	request.task_id = task_id;
	request.cancel_at_us = cancel_at_us;
	cr_assert_eq(cancel_spool_request(spool, &request, NULL, NULL), CANCEL_REQUESTED);
	cancel_request_clear(&request);
	cancel_spool_close(spool);
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

Test(cancelwatch_rules, a_scheduled_request_fires_when_it_takes_effect)
{
	int64_t due_us = now_us() + 2500000;

	/* It is looked at before: its terms might have become others. */
	start("watch: {rescan_interval: 1s}\nrules: [{match: '*', exec: [sh, -c, 'date +%s%N >>$D/when', "
	      "sh]}]\n");
	ask_at("task_1", due_us);
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
	cr_assert_geq(strtoll(content("when"), NULL, 10) / 1000, due_us);
}

/* --- what becomes of the request ---------------------------------------------------------------------- */

static const struct {
	const char *decide;
	int exit_code;
	const char *outcome; /* NULL: it stays pending */
	const char *said;
} ends[] = {
	{"by-exit-status", 0, "stopped", "exited with 0"},
	{"by-exit-status", 10, "finished", "exited with 10"},
	{"by-exit-status", 11, "refused", "exited with 11"},
	{"by-exit-status", 1, "failed", "given up after 1 try, decided as failed"},
	{"by-exit-status", 12, "failed", "exited with 12"},
	{"by-exit-status", 126, "failed", "exited with 126"},
	{"by-exit-status", 255, "failed", "exited with 255"},
	{"stopped", 0, "stopped", "exited with 0"},
	{"stopped", 1, NULL, "given up after 1 try, the request stays pending"},
	{"stopped", 10, NULL, "exited with 10"},
	{"stopped", 11, NULL, "exited with 11"},
	{"no", 0, NULL, "; the request stays pending"},
	{"no", 1, NULL, "given up after 1 try, the request stays pending"},
	{"no", 10, NULL, "exited with 10"},
};

enum {
	END_COUNT = sizeof ends / sizeof ends[0],
};

Test(cancelwatch_rules, each_way_to_decide_with_each_exit_status)
{
	char yaml[TEXT_SIZE] = "rules:\n", task_id[32], said[256];
	size_t used = strlen(yaml);

	for (int i = 0; i < END_COUNT; i++)
		used += (size_t)snprintf(
			yaml + used, sizeof yaml - used,
			" - {match: 't-%02d', exec: [sh, -c, 'exit %d'], decide: %s, retry: 0}\n", i,
			ends[i].exit_code, ends[i].decide);
	start(yaml);
	for (int i = 0; i < END_COUNT; i++) {
		(void)snprintf(task_id, sizeof task_id, "t-%02d", i);
		ask(task_id);
		if (ends[i].outcome != NULL)
			await_decided(task_id, ends[i].outcome);
		(void)snprintf(said, sizeof said, "rule %d (%s) for %s: sh exited with %d", i + 1, task_id,
			       task_id, ends[i].exit_code);
		await_log(said);
		await_log(ends[i].said);
		if (ends[i].outcome == NULL)
			expect_pending(task_id);
	}
	watching_stop(SIGTERM);
}

Test(cancelwatch_rules, a_command_that_is_not_there_or_dies_has_failed)
{
	start("rules:\n"
	      "  - {match: 'none', exec: [no-such-command], retry: 0}\n"
	      "  - {match: 'folder', exec: [/], retry: 0}\n"
	      "  - {match: 'died', exec: [sh, -c, 'kill -KILL $$'], retry: 0}\n");
	ask("none");
	await_decided("none", "failed");
	ask("folder");
	await_decided("folder", "failed");
	ask("died");
	await_decided("died", "failed");
	watching_stop(SIGTERM);
	tool_expect_in(tool_plain(watching.out),
		       "no-such-command exited with 127 after AGE: cannot run 'no-such-command': "
		       "No such file or directory\n");
	tool_expect_in(tool_plain(watching.out),
		       "/ exited with 126 after AGE: cannot run '/': Permission denied\n");
	tool_expect_in(tool_plain(watching.out), "sh exited with 137 (SIGKILL) after AGE\n");
}

Test(cancelwatch_rules, a_failure_is_told_and_tried_again_with_longer_and_longer_pauses)
{
	start("rules: [{match: '*', exec: [sh, -c, 'echo $CANCEL_REQUEST_ID >>$D/tries; test $(wc -l "
	      "<$D/tries) = 4 || "
	      "{{ echo not yet; exit 3; }}', sh], retry: 5, retry_interval: 20ms}]\n");
	ask("task_1");
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
	cr_assert_eq(lines_in("tries"), 4);
	tool_expect_in(
		tool_plain(watching.err),
		"error: rule 1 (*) for task_1: sh exited with 3 after AGE: not yet; next try in 20ms\n");
	tool_expect_in(watching.err, "; next try in 40ms\n");
	tool_expect_in(watching.err, "; next try in 80ms\n");
	cr_assert_eq(watching_occurrences(watching.err, "next try"), 3, "%s", watching.err);
}

Test(cancelwatch_rules, after_the_last_try_a_request_that_is_not_decided_is_left_alone_until_a_reload)
{
	static const char yaml[] =
		"watch: {mode: poll, poll_interval: 10ms, rescan_interval: 1s}\n"
		"rules:\n"
		"  - {match: 'bad', exec: [sh, -c, 'echo >>$D/tries; exit 1'], decide: stopped, retry: 2, "
		"retry_interval: 10ms}\n"
		"  - {match: '*', exec: ['true']}\n";

	start(yaml);
	ask("bad");
	await_log("given up after 3 tries, the request stays pending\n");
	ask("other");
	await_decided("other", "stopped");
	cr_assert_eq(lines_in("tries"), 3);
	reload(yaml);
	await_lines("tries", 6);
	watching_stop(SIGTERM);
	expect_pending("bad");
	cr_assert_eq(lines_in("tries"), 6);
}

Test(cancelwatch_rules, a_new_request_for_the_same_task_is_tried_anew)
{
	start("rules: [{match: '*', exec: [sh, -c, 'echo >>$D/tries; exit 1'], decide: stopped, retry: "
	      "0}]\n");
	ask("task_1");
	await_lines("tries", 1);
	await_log("given up after 1 try");
	asking_decide(tool_dir.path, "task_1", CANCEL_OUTCOME_WITHDRAWN, NULL);
	ask("task_1");
	await_lines("tries", 2);
	watching_stop(SIGTERM);
}

/* A rule whose first try fails and whose second comes later than those of the others that are awaited. */
#define LATER "  - {match: 'later', retry: 1, retry_interval: 500ms, exec: ['false'], decide: no}\n"

/* Each try looks the request up: this one is withdrawn by its own command, which then fails. */
Test(cancelwatch_rules, what_was_withdrawn_meanwhile_is_not_tried_again)
{
	start("rules:\n"
	      "  - {match: 'task_1', retry_interval: 10ms, exec: [sh, -c, 'echo >>$D/tries; " CANCELREQ
	      " --withdraw task_1; exit 1', sh]}\n" LATER);
	ask("task_1");
	await_log("next try in 10ms");
	ask("later");
	await_log("given up after 2 tries");
	watching_stop(SIGTERM);
	cr_assert_eq(lines_in("tries"), 1);
}

/* And it must be the same request: this one is withdrawn, and another one made for the same task. */
Test(cancelwatch_rules, a_request_that_took_another_ones_place_is_tried_by_itself)
{
	start("rules:\n"
	      "  - {match: 'task_1', retry_interval: 10ms, decide: no, exec: [sh, -c, 'echo "
	      "$CANCEL_REQUEST_ID >>$D/tries; "
	      "test $(wc -l <$D/tries) = 1 || exit 0; " CANCELREQ " --withdraw task_1; " CANCELREQ
	      " task_1; exit 1', sh]}\n" LATER);
	ask("task_1");
	await_log("next try in 10ms");
	await_lines("tries", 2);
	ask("later");
	await_log("given up after 2 tries");
	watching_stop(SIGTERM);
	cr_assert_eq(lines_in("tries"), 2, "%s", content("tries"));
}

/* Neither what was passed on nor what was given up, when all that is pending is looked at once more. */
Test(cancelwatch_rules, another_look_at_everything_fires_nothing_again)
{
	start("watch: {rescan_interval: 1s}\n"
	      "rules:\n"
	      "  - {match: 'bad', exec: [sh, -c, 'echo >>$D/tries; exit 1'], decide: stopped, retry: 0}\n"
	      "  - {match: 'passed', exec: [sh, -c, 'echo >>$D/tries'], decide: no}\n"
	      "  - {match: '*', exec: ['true']}\n");
	ask("bad");
	ask("passed");
	await_log("given up after 1 try, the request stays pending\n");
	await_log("; the request stays pending\n");
	await_lines("tries", 2);
	/* Another spool at the path, and the old one again. */
	cr_assert_eq(rename(tool_dir.path, tool_path("away")), 0);
	ask("other");
	await_decided("other", "stopped");
	cr_assert_eq(renameat2(AT_FDCWD, tool_path("away"), AT_FDCWD, tool_dir.path, RENAME_EXCHANGE), 0);
	watching_await(" rescanned ");
	ask("another");
	await_decided("another", "stopped");
	watching_stop(SIGTERM);
	cr_assert_eq(lines_in("tries"), 2);
}

Test(cancelwatch_rules, what_only_is_passed_on_is_passed_on_once_while_it_runs)
{
	static const char yaml[] =
		"rules: [{match: '*', exec: [sh, -c, 'echo $CANCEL_TASK_ID >>$D/passed'], decide: no}]\n";

	start(yaml);
	ask("task_1");
	await_log("; the request stays pending\n");
	reload(yaml);
	ask("task_2");
	await_lines("passed", 2);
	asking_decide(tool_dir.path, "task_2", CANCEL_OUTCOME_STOPPED, "by its own worker");
	await_decided("task_2", "stopped");
	watching_stop(SIGTERM);
	cr_assert_str_eq(content("passed"), "task_1\ntask_2\n");
	/* At least once: another cancelwatch passes it on again. */
	start(yaml);
	await_lines("passed", 3);
	watching_stop(SIGTERM);
}

Test(cancelwatch_rules, what_somebody_else_decides_first_is_decided_once)
{
	start("rules: [{match: '*', exec: [sh, -c, 'echo >>$D/begun; " AWAIT("go") "', sh]}]\n");
	ask("task_1");
	await_lines("begun", 1);
	asking_decide(tool_dir.path, "task_1", CANCEL_OUTCOME_FINISHED, "by its worker");
	let_go("go");
	await_log("not decided as stopped: ");
	watching_stop(SIGTERM);
	cr_assert_eq(watching_occurrences(watching.out, " decided task_1 "), 1, "%s", watching.out);
	tool_expect_in(watching.out, ": by its worker\n");
}

/* --- what a command writes ---------------------------------------------------------------------------- */

Test(cancelwatch_rules, output_is_escaped_bounded_and_its_last_line_kept)
{
	start("rules: [{match: '*', exec: [sh, -c, 'yes line | head -n 100000; printf \"\\033[31mred\\000 "
	      "\\377\\n\\n\"; "
	      "echo last words >&2', sh]}]\n");
	ask("task_1");
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
	cr_assert_eq(watching_occurrences(watching.err, ": sh: line\n"), 100, "%d",
		     watching_occurrences(watching.err, ": sh: line\n"));
	tool_expect_in(watching.out, ": last words\n");
	cr_assert_null(strchr(watching.err, '\x1b'));
}

Test(cancelwatch_rules, what_steers_a_terminal_is_shown_and_not_obeyed)
{
	start("rules: [{match: '*', exec: [sh, -c, 'printf \"\\033[31mred \\377\"', sh]}]\n");
	ask("task_1");
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
	tool_expect_in(watching.err, ": sh: \\x1B[31mred \\xFF\n");
	cr_assert_null(strchr(watching.out, '\x1b'));
}

Test(cancelwatch_rules, megabytes_without_a_line_end_are_read_and_cut)
{
	char line[1024 + 2];

	start("rules: [{match: '*', exec: [sh, -c, 'head -c 8000000 /dev/zero | tr \"\\000\" x', sh]}]\n");
	ask("task_1");
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	cr_assert_null(strstr(watching.err, line));
	line[sizeof line - 2] = '\0';
	tool_expect_in(watching.err, line);
	cr_assert_lt(strlen(watching.err), 16 * 1024);
	cr_assert_lt(strlen(watching.out), 16 * 1024);
}

Test(cancelwatch_rules, a_command_that_signals_its_process_group_does_not_meet_cancelwatch)
{
	start("rules:\n"
	      "  - {match: 'a', retry: 0, exec: [sh, -c, 'kill -TERM 0; kill -KILL 0', sh]}\n"
	      "  - {match: 'b', exec: ['true']}\n");
	ask("a");
	await_decided("a", "failed");
	ask("b");
	await_decided("b", "stopped");
	watching_stop(SIGTERM);
}

/* A daemon that a command leaves behind holds its output open, and is not waited for. */
Test(cancelwatch_rules, what_a_command_leaves_running_keeps_nobody_waiting)
{
	start("rules: [{match: '*', exec: [sh, -c, 'setsid sleep 1000 & echo $! >$D/left; echo started', "
	      "sh]}]\n");
	ask("task_1");
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
	(void)kill((pid_t)atoi(content("left")), SIGKILL);
}

/* --- how many, how long ------------------------------------------------------------------------------- */

static int most_at_once(const char *text)
{
	int now = 0, most = 0;

	for (; *text != '\0'; text++) {
		now += *text == '+';
		now -= *text == '-';
		most = now > most ? now : most;
	}
	return most;
}

Test(cancelwatch_rules, no_more_commands_of_a_rule_run_at_once_than_it_says)
{
	start("rules:\n"
	      "  - {match: 'a-*', max_parallel: 2, exec: [sh, -c, 'echo + >>$D/log; " AWAIT(
		      "go") "; echo - >>$D/log', sh]}\n"
			    "  - {match: 'b-*', max_parallel: 1, exec: ['true']}\n");
	ask_many("a-", 7);
	await_lines("log", 2);
	/* Those that wait keep no other rule waiting. */
	ask_many("b-", 3);
	await_decided("b-2", "stopped");
	cr_assert_eq(lines_in("log"), 2, "%s", content("log"));
	let_go("go");
	await_lines("log", 14);
	for (int i = 0; i < 7; i++) {
		char task_id[16];

		(void)snprintf(task_id, sizeof task_id, "a-%d", i);
		await_decided(task_id, "stopped");
	}
	watching_stop(SIGTERM);
	cr_assert_eq(most_at_once(content("log")), 2, "%s", content("log"));
}

/* It ignores SIGTERM, has children that fork away and lead sessions of their own, and closes its streams. */
#define STUBBORN                                                                                             \
	"trap \"\" TERM; (setsid sleep 1000 & echo $! >>$D/pids); sh -c \"setsid sh -c \\\"echo \\\\$\\\\$ " \
	">>$D/pids; "                                                                                        \
	"exec sleep 1000\\\" &\"; echo $$ >>$D/pids; exec >&- 2>&-; sleep 1000"

Test(cancelwatch_rules, a_command_whose_time_is_over_is_ended_with_all_that_came_of_it)
{
	start("rules: [{match: '*', timeout: 3s, retry: 0, exec: [sh, -c, '" STUBBORN "', sh]}]\n");
	ask("task_1");
	await_lines("pids", 3);
	await_decided("task_1", "failed");
	expect_all_gone("pids");
	watching_stop(SIGTERM);
	tool_expect_in(watching.out, ": sh was ended, its time of 3s was over\n");
}

Test(cancelwatch_rules, sigterm_ends_commands_and_leaves_their_requests_pending)
{
	start("rules: [{match: '*', exec: [sh, -c, '" STUBBORN "', sh]}]\n");
	ask("task_1");
	await_lines("pids", 3);
	watching_stop(SIGTERM);
	expect_all_gone("pids");
	expect_pending("task_1");
}

/* DESIGN.md, invariants 45 and 51 */
Test(cancelwatch_rules, a_killed_cancelwatch_takes_its_commands_along_and_the_next_one_fires_again)
{
	start("rules: [{match: '*', exec: [sh, -c, '" STUBBORN "', sh]}]\n");
	ask("task_1");
	await_lines("pids", 3);
	cr_assert_eq(kill(watching.pid, SIGKILL), 0);
	watching_end(128 + SIGKILL);
	expect_all_gone("pids");
	expect_pending("task_1");
	start("rules: [{match: '*', exec: ['true']}]\n");
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
}

static bool is_in_a_cgroup(const char *pid)
{
	char path[64], text[1024];
	FILE *file;
	size_t length;

	(void)snprintf(path, sizeof path, "/proc/%d/cgroup", atoi(pid));
	file = fopen(path, "re");
	cr_assert(file, "%s", path);
	length = fread(text, 1, sizeof text - 1, file);
	(void)fclose(file);
	text[length] = '\0';
	return strstr(text, "cancelwatch-") != NULL;
}

/* DESIGN.md, invariant 45 */
Test(cancelwatch_rules, a_killed_guard_leaves_nothing_beside_which_another_try_would_run)
{
	start("rules: [{match: '*', retry: 0, exec: [sh, -c, 'setsid sleep 1000 & echo $! >>$D/pids; echo $$ "
	      ">>$D/pids; "
	      "echo $PPID >$D/guard; wait', sh]}]\n");
	ask("task_1");
	await_lines("guard", 1);
	if (!is_in_a_cgroup(content("pids"))) {
		watching_stop(SIGTERM);
		cr_skip_test("no cgroup can be made here");
	}
	cr_assert_eq(kill((pid_t)atoi(content("guard")), SIGKILL), 0);
	await_decided("task_1", "failed");
	expect_all_gone("pids");
	watching_stop(SIGTERM);
	tool_expect_in(watching.out, ": sh exited with 137 (SIGKILL) after ");
}

/* Another process holds every lock of the spool, and does not let go. */
static void hold_locks(struct process *holder)
{
	tool_start(holder, WORDS("python3", "-c",
				 "import fcntl, os, signal\n"
				 "lock = open(os.environ['D'] + '/spool/lock', 'r+')\n"
				 "fcntl.lockf(lock, fcntl.LOCK_EX)\n"
				 "print('held', flush=True)\n"
				 "signal.pause()\n"));
	cr_assert(process_wait_out(holder, "held", PROCESS_TIMEOUT_MS), "%s", holder->err);
}

#define ENDS_WHEN_LET_GO "rules: [{match: '*', exec: [sh, -c, 'echo >>$D/begun; " AWAIT("go") "', sh]}]\n"

Test(cancelwatch_rules, a_lock_that_is_not_let_go_keeps_it_from_deciding_and_not_from_ending)
{
	struct process holder;

	start(ENDS_WHEN_LET_GO);
	ask("task_1");
	await_lines("begun", 1);
	hold_locks(&holder);
	let_go("go");
	await_log("for task_1: sh exited with 0");
	/* It does not wait until the lock is given up on. */
	cr_assert_eq(kill(watching.pid, SIGTERM), 0);
	cr_assert(process_wait(&watching, PROCESS_TIMEOUT_MS));
	cr_assert_eq(watching.exit_code, 0);
	cr_assert_null(strstr(watching.err, "cannot decide"), "%s", watching.err);
	process_free(&holder);
	expect_pending("task_1");
}

/* The command has said that the task has stopped: that is kept until it can be written, also when its rule is
 * gone by then. While the lock is held nothing else waits for it: of four decisions one is tried. */
Test(cancelwatch_rules, a_decision_that_could_not_be_made_is_made_later_whatever_becomes_of_its_rule)
{
	struct process holder;

	start(ENDS_WHEN_LET_GO);
	ask_many("task_", 4);
	await_lines("begun", 4);
	hold_locks(&holder);
	let_go("go");
	await_log("cannot decide as stopped, next try in 5s: ");
	reload("log: {level: info}\n");
	process_free(&holder);
	for (int i = 0; i < 4; i++) {
		char task_id[32];

		(void)snprintf(task_id, sizeof task_id, "task_%d", i);
		await_decided(task_id, "stopped");
	}
	watching_stop(SIGTERM);
	cr_assert_eq(lines_in("begun"), 4);
	cr_assert_eq(watching_occurrences(watching.err, "cannot decide as stopped"), 1, "%s", watching.err);
}

/* --- reload ------------------------------------------------------------------------------------------- */

Test(cancelwatch_rules, sighup_takes_new_rules_and_finds_what_they_are_for)
{
	start("log: {level: info}\n");
	ask("task_1");
	watching_await(" requested task_1 ");
	reload("rules: [{match: 'task_*', exec: ['true']}]\n");
	await_decided("task_1", "stopped");
	ask("task_2");
	await_decided("task_2", "stopped");
	reload("rules:\n");
	ask("task_3");
	watching_await(" requested task_3 ");
	watching_stop(SIGTERM);
	expect_pending("task_3");
}

Test(cancelwatch_rules, a_running_command_goes_on_under_the_rule_that_started_it)
{
	start("rules: [{match: '*', exec: [sh, -c, 'echo >>$D/begun; " AWAIT("go") "; exit 10', sh]}]\n");
	ask("task_1");
	await_lines("begun", 1);
	reload("rules: [{match: '*', decide: stopped, retry: 0, exec: [sh, -c, 'echo >>$D/begun', sh]}]\n");
	ask("task_2");
	await_decided("task_2", "stopped");
	let_go("go");
	await_decided("task_1", "finished");
	watching_stop(SIGTERM);
	cr_assert_eq(lines_in("begun"), 2, "%s", content("begun"));
}

Test(cancelwatch_rules, a_command_that_fails_after_its_rule_is_gone_is_not_tried_again)
{
	start("rules: [{match: 'a', retry_interval: 10ms, exec: [sh, -c, 'echo >>$D/begun; " AWAIT(
		"go") "; exit 1', sh]}]\n");
	ask("a");
	await_lines("begun", 1);
	reload("rules: [{match: 'b', exec: ['true']}]\n");
	let_go("go");
	await_log("; no rule matches any more\n");
	ask("b");
	await_decided("b", "stopped");
	watching_stop(SIGTERM);
	cr_assert_eq(lines_in("begun"), 1);
	expect_pending("a");
}

Test(cancelwatch_rules, a_bad_configuration_leaves_the_rules_that_there_are)
{
	start("rules: [{match: '*', exec: ['true']}]\n");
	reload("rules: [{match: '*', exec: ['{task_id}']}]\n");
	ask("task_1");
	await_decided("task_1", "stopped");
	watching_stop(SIGTERM);
	tool_expect_in(watching.err, "rules[0].exec[0]: expected a command without placeholders");
}

Test(cancelwatch_rules, another_spool_ends_the_commands_for_the_one_before)
{
	char yaml[512];

	(void)snprintf(yaml, sizeof yaml,
		       "spool: {path: %s}\nrules: [{match: '*', exec: [sh, -c, 'echo $$ >>$D/pids; exec "
		       "sleep 1000', sh]}]\n",
		       tool_dir.path);
	configure(yaml);
	watching_begin(WORDS(CANCELWATCH), WORDS("TASK_CANCELLATION_DIR"));
	watching_message("READY=1");
	ask("task_1");
	await_lines("pids", 1);
	(void)snprintf(yaml, sizeof yaml, "spool: {path: %s}\nrules: [{match: '*', exec: ['true']}]\n",
		       tool_path("other"));
	reload(yaml);
	expect_all_gone("pids");
	asking_request(tool_path("other"), "task_2", NULL, CANCEL_EXPIRES_DEFAULT);
	await_decided("task_2", "stopped");
	watching_stop(SIGTERM);
	expect_pending("task_1");
}

/* --- many --------------------------------------------------------------------------------------------- */

static long status_kb(const char *field)
{
	char path[64], line[256];
	long value = -1;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/status", watching.pid);
	file = fopen(path, "re");
	cr_assert(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, field, strlen(field)) == 0)
			value = strtol(line + strlen(field), NULL, 10);
	(void)fclose(file);
	return value;
}

static bool all_are_processed(void *arg)
{
	return tool_count("processed") >= *(int *)arg && tool_count("pending") == 0;
}

/* More than is kept in mind, half of it there before the start: all are found, each is run once. */
/* DESIGN.md, invariant 51 */
Test(cancelwatch_rules, more_requests_than_are_kept_in_mind_are_all_decided)
{
	int count = MANY;
	long before_kb;

	asking_make(tool_dir.path);
	ask_many("early-", MANY / 2);
	start("watch: {rescan_interval: 1s}\nlog: {level: error}\n"
	      "rules: [{match: '*', max_parallel: 8, exec: [sh, -c, 'echo >>$D/ran', sh]}]\n");
	before_kb = status_kb("VmRSS:");
	ask_many("late-", MANY / 2);
	cr_assert(wait_until(all_are_processed, &count, MANY_TIMEOUT_MS), "%d of %d", tool_count("processed"),
		  MANY);
	if (HAS_OWN_MEMORY)
		cr_assert_lt(status_kb("VmHWM:") - before_kb, MEMORY_GROWTH_MAX_KB);
	watching_stop(SIGTERM);
	cr_assert_eq(tool_count("pending"), 0);
	cr_assert_eq(lines_in("ran") > 0 ? (int)strlen(content("ran")) : 0, MANY);
}

/* A rule whose every command fails, with more requests than are kept in mind: those of another rule find
 * room. */
Test(cancelwatch_rules, a_rule_that_fails_keeps_no_room_from_the_others)
{
	asking_make(tool_dir.path);
	ask_many("bad-", MANY);
	start("log: {level: error}\n"
	      "rules:\n"
	      "  - {match: 'bad-*', retry: 1000, retry_interval: 1h, exec: ['false']}\n"
	      "  - {match: 'good-*', exec: ['true']}\n");
	await_log("next try in 1h");
	ask_many("good-", 3);
	for (int i = 0; i < 3; i++) {
		char task_id[32];

		(void)snprintf(task_id, sizeof task_id, "good-%d", i);
		await_decided(task_id, "stopped");
	}
	watching_stop(SIGTERM);
}

/* So many lines were printed. */
static bool all_are_reported(void *arg)
{
	char text[16 * 1024];
	ssize_t length;
	off_t at = 0;
	int lines = 0;

	while ((length = pread(watching.out_fd, text, sizeof text, at)) > 0) {
		for (ssize_t i = 0; i < length; i++)
			lines += text[i] == '\n';
		at += length;
	}
	return lines >= *(int *)arg;
}

/* How many bytes cancelwatch has read since it began. */
static long bytes_read(void)
{
	char path[64], line[256];
	long count = -1;
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/io", watching.pid);
	file = fopen(path, "re");
	cr_assert(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, "rchar: ", 7) == 0)
			count = strtol(line + 7, NULL, 10);
	(void)fclose(file);
	return count;
}

/* What stands is not listed again and again: a listing reads hundreds of kilobytes. */
static void expect_little_is_read(void)
{
	long before = bytes_read();
	char task_id[32];

	for (int i = 0; i < 30; i++) {
		(void)snprintf(task_id, sizeof task_id, "now-%d", i);
		ask(task_id);
		await_decided(task_id, "stopped");
	}
	cr_assert_lt(bytes_read() - before, 400 * 1024);
}

/* Nor do requests that take effect later, of which there are more than are kept in mind. */
Test(cancelwatch_rules, requests_for_later_keep_no_room_from_those_for_now_and_none_is_forgotten)
{
	int count = CANCEL_RULE_WAITING_MAX / 2 + 100;
	char task_id[32];

	asking_make(tool_dir.path);
	for (int i = 0; i < count; i++) {
		(void)snprintf(task_id, sizeof task_id, "later-%d", i);
		ask_at(task_id, now_us() + INT64_C(3600) * 1000000);
	}
	start("rules: [{match: '*', exec: ['true']}]\n");
	cr_assert(wait_until(all_are_reported, &count, PROCESS_TIMEOUT_MS));
	ask("now");
	await_decided("now", "stopped");
	expect_little_is_read();
	/* This one finds no room, and is found when it is due. */
	ask_at("soon", now_us() + 1500000);
	await_decided("soon", "stopped");
	watching_stop(SIGTERM);
	expect_pending_later("later-0");
}

/* --- the verb ----------------------------------------------------------------------------------------- */

#define TWO_RULES                                                      \
	"rules:\n"                                                     \
	"  - match: \"slurm-*\"\n"                                     \
	"    exec: [\"scancel\", \"--\", \"{match}\", \"{reason}\"]\n" \
	"    timeout: 10s\n"                                           \
	"  - {match: 'job [a-z]*', exec: [/bin/stop it, '{task_id}'], decide: stopped}\n"

static void expect_rules(const char *task_id, int exit_code, const char *out, const char *err)
{
	if (task_id == NULL)
		tool_run(WORDS(CANCELWATCH, "rules"), NULL);
	else
		tool_run(WORDS(CANCELWATCH, "rules", "--", task_id), NULL);
	tool_expect(exit_code, out, err);
}

Test(cancelwatch_rules, the_verb_lists_the_rules)
{
	watching_configure(TWO_RULES);
	expect_rules(NULL, 0,
		     "1 DIR/cancel.yaml:2 slurm-* by-exit-status 10s scancel -- '{match}' '{reason}'\n"
		     "2 DIR/cancel.yaml:5 job\\x20[a-z]* stopped 30s '/bin/stop it' '{task_id}'\n",
		     "");
	watching_configure("log: {level: info}\n");
	expect_rules(NULL, 1, "no rules\n", "");
}

Test(cancelwatch_rules, the_verb_shows_the_command_as_a_shell_needs_it)
{
	watching_configure(TWO_RULES);
	expect_rules("slurm-7", 0, "1 DIR/cancel.yaml:2 slurm-* by-exit-status 10s scancel -- 7 ''\n", "");
	expect_rules("slurm-it's $(x)", 0,
		     "1 DIR/cancel.yaml:2 slurm-* by-exit-status 10s scancel -- 'it'\\''s $(x)' ''\n", "");
	expect_rules("slurm-\n\x1b[2J'\\", 0,
		     "1 DIR/cancel.yaml:2 slurm-* by-exit-status 10s scancel -- $'\\n\\x1B[2J\\'\\\\' ''\n",
		     "");
	expect_rules("job x", 0, "2 DIR/cancel.yaml:5 job\\x20[a-z]* stopped 30s '/bin/stop it' 'job x'\n",
		     "");
}

Test(cancelwatch_rules, the_verb_shows_the_rule_to_who_may_not_look_into_the_spool)
{
	if (geteuid() != 0)
		cr_skip_test("only root can be somebody else");
	watching_configure(TWO_RULES);
	ask("slurm-7");
	cr_assert_eq(chmod(tool_dir.root, 0755), 0);
	cr_assert_eq(chmod(tool_path("cancel.yaml"), 0644), 0);
	tool_run(WORDS("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", CANCELWATCH, "rules", "slurm-7"),
		 NULL);
	tool_expect_exit(0);
	tool_expect_in(tool.out, " slurm-* by-exit-status 10s scancel -- 7 ''\n");
	tool_expect_in(tool.err, "cancelwatch: whether a request is pending cannot be seen: ");
}

/* Who asks is told so, because nobody who runs it has a lease. */
Test(cancelwatch_rules, who_asks_for_what_a_rule_is_for_is_told_which)
{
	configure("rules: [{match: other-*, exec: [false]}, {match: 'tsp *', exec: [tsp, -k, '{match}']}]\n");
	tool_run(WORDS(CANCELREQ, "tsp 7", "why"), NULL);
	tool_expect(0, "requested tsp 7 (request ID); no run of it is known; rule 2 (tsp *) of cancelwatch is for it\n", "");
	tool_run(WORDS(CANCELREQ, "task", "why"), NULL);
	tool_expect(0, "requested task (request ID); nobody is running it now; it will stop the next run that begins\n", "");
	tool_run(WORDS(CANCELREQ, "--json", "tsp 8", "why"), NULL);
	tool_expect_field(".task_id", "\"tsp 8\"");
}

/* The line is one that a shell takes apart into the very arguments. */
Test(cancelwatch_rules, what_the_verb_quotes_a_shell_reads_as_it_was)
{
	static const char *const ids[] = {
		"plain", "a b", "it's", "$x `y` \\", "\n\t\x1b\x7f", "\xC3\xA9\xE2\x80\xAE", "*", "~", "#"};

	watching_configure("rules: [{match: '*', exec: [printf, '<%s>', '{task_id}']}]\n");
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		char expected[64];

		(void)setenv("ID", ids[i], 1);
		tool_shell("eval \"$(" CANCELWATCH " rules -- \"$ID\" | cut -d ' ' -f 6-)\"");
		(void)snprintf(expected, sizeof expected, "<%s>", ids[i]);
		cr_assert_str_eq(tool.out, expected, "%s", tool.err);
	}
}

Test(cancelwatch_rules, the_verb_says_that_none_fires_and_why_one_would_not)
{
	asking_make(tool_dir.path);
	watching_configure("rules: [{match: '-*', exec: [rm, '{task_id}']}, {match: 'x', exec: [x]}]\n");
	expect_rules("other one", 1, "no rule for other\\x20one\n", "");
	expect_rules("-rf", 1, "",
		     "cancelwatch: the argument '-rf' for '{task_id}' of the rule in line 1 would be an "
		     "option; write \"--\" "
		     "before it in exec if the command knows that, or allow_options: yes\n");
	expect_rules("", 2, "", "cancelwatch: the task id is empty; give 1 to 1024 bytes\n");
	watching_configure("rules: [{match: x}]\n");
	tool_run(WORDS(CANCELWATCH, "rules"), NULL);
	tool_expect_exit(3);
}

Test(cancelwatch_rules, the_verb_fills_in_the_pending_request)
{
	watching_configure(
		"rules: [{match: '*', exec: [stop, '{task_id}', 'r={run}', '{requester}: {reason}']}]\n");
	ask_with_all();
	expect_rules("task_1", 0, "1 DIR/cancel.yaml:1 * by-exit-status 30s stop task_1 r= ': '\n", "");
	tool_run(WORDS(CANCELWATCH, "rules", "--run", "r 7", "task_1"), NULL);
	tool_expect(0, "1 DIR/cancel.yaml:1 * by-exit-status 30s stop task_1 'r=r 7' 'bob: disk full'\n", "");
}

Test(cancelwatch_rules, the_verb_writes_objects)
{
	watching_configure(TWO_RULES);
	tool_run(WORDS(CANCELWATCH, "rules", "--json", "slurm-7"), NULL);
	tool_expect_exit(0);
	tool_expect_field(".command", "[\"scancel\",\"--\",\"7\",\"\"]");
	tool_expect_field("[.rule, .line, .match, .decide, .timeout_ms, .task_id, .run, .request_id]",
			  "[1,2,\"slurm-*\",\"by-exit-status\",10000,\"slurm-7\",null,null]");
	tool_expect_field("[.max_parallel, .retry, .retry_interval_ms, .allow_options]", "[4,5,1000,false]");
	ask("slurm-7");
	tool_run(WORDS(CANCELWATCH, "rules", "--json", "slurm-7"), NULL);
	tool_expect_field(".request_id | length", "32");
	tool_run(WORDS(CANCELWATCH, "rules", "--json", "none"), NULL);
	tool_expect_exit(1);
	tool_expect_field("[.task_id, .rule]", "[\"none\",null]");
	tool_run(WORDS(CANCELWATCH, "rules", "--json"), NULL);
	tool_expect_exit(0);
	cr_assert_eq(watching_occurrences(tool.out, "\n"), 2);
	watching_configure("rules: [{match: '*', exec: [rm, '{task_id}']}]\n");
	tool_run(WORDS(CANCELWATCH, "rules", "--json", "--", "-rf"), NULL);
	tool_expect_exit(1);
	tool_expect_field("[.command, (.error | length > 20)]", "[null,true]");
}

/* --- the examples that are shipped --------------------------------------------------------------------- */

static char *example(const char *name)
{
	static char text[TEXT_SIZE];
	char path[256];
	FILE *file;
	size_t length;

	(void)snprintf(path, sizeof path, EXAMPLES "%s.yaml", name);
	file = fopen(path, "re");
	cr_assert(file, "%s", path);
	length = fread(text, 1, sizeof text - 1, file);
	(void)fclose(file);
	text[length] = '\0';
	return text;
}

/* Put one text in the place of another, which must be there. */
static char *with(char *text, const char *part, const char *other)
{
	static char changed[TEXT_SIZE];
	char *at = strstr(text, part);

	cr_assert(at, "'%s' is not in: %s", part, text);
	(void)snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, other, at + strlen(part));
	return strcpy(text, changed);
}

static void need(const char *program)
{
	char line[64];

	(void)snprintf(line, sizeof line, "command -v %s", program);
	tool_shell(line);
	if (tool.exit_code != 0)
		cr_skip_test("%s is not installed", program);
}

/* A stand-in on PATH, which notes how it was called. */
static void stand_in(const char *name, const char *script)
{
	char path[4096];

	(void)mkdir(tool_path("bin"), 0755);
	(void)snprintf(path, sizeof path, "%s/%s", tool_path("bin"), name);
	tool_write(path, script, strlen(script));
	cr_assert_eq(chmod(path, 0755), 0);
	if (strstr(getenv("PATH"), tool_path("bin")) == NULL) {
		(void)snprintf(path, sizeof path, "%s:%s", tool_path("bin"), getenv("PATH"));
		(void)setenv("PATH", path, 1);
	}
}

/* A queue of this test's own, with TS_SOCKET in the environment of all that is started. */
static void begin_queue(void)
{
	need("tsp");
	(void)setenv("TS_SOCKET", tool_path("tsp.socket"), 1);
	(void)setenv("TMPDIR", tool_dir.root, 1);
	start(example("task-spooler"));
}

static void end_queue(void)
{
	watching_stop(SIGTERM);
	tool_shell("tsp -K");
}

/* Returns the job's task id. */
static const char *queue(const char *command)
{
	static char task_ids[4][32];
	static int next;
	char *task_id = task_ids[next++ % 4], line[512];

	(void)snprintf(line, sizeof line, "exec tsp %s", command);
	tool_shell(line);
	tool_expect_exit(0);
	(void)snprintf(task_id, sizeof task_ids[0], "tsp-%d", atoi(tool.out));
	return task_id;
}

Test(cancelwatch_rules, a_job_of_task_spooler_is_stopped)
{
	const char *running, *queued;

	begin_queue();
	running = queue("sh -c 'echo $$ >>$D/pids; sleep 1000 & echo $! >>$D/pids; wait'");
	queued = queue("touch $D/ran");
	await_lines("pids", 2);
	ask(queued);
	await_decided(queued, "stopped");
	await_log("removed from the queue");
	ask(running);
	await_decided(running, "stopped");
	expect_all_gone("pids");
	end_queue();
	cr_assert_eq(access(tool_path("ran"), F_OK), -1);
}

Test(cancelwatch_rules, a_job_of_task_spooler_that_ignores_sigterm_is_killed)
{
	const char *running;

	begin_queue();
	running = queue("sh -c 'trap \"\" TERM; echo $$ >>$D/pids; while :; do sleep 1; done'");
	await_lines("pids", 1);
	ask(running);
	await_decided(running, "stopped");
	expect_all_gone("pids");
	end_queue();
}

/* One that has ended is left alone, whoever has its number now. */
Test(cancelwatch_rules, a_job_of_task_spooler_that_has_ended_is_finished_and_an_unknown_one_refused)
{
	const char *ended;

	begin_queue();
	ended = queue("true");
	tool_shell("tsp -w");
	ask(ended);
	await_decided(ended, "finished");
	ask("tsp-77");
	await_decided("tsp-77", "refused");
	end_queue();
}

/* No answer is not the answer that there is no such job. */
Test(cancelwatch_rules, a_queue_of_task_spooler_that_gives_no_answer_decides_nothing)
{
	begin_queue();
	ask("tsp-0");
	await_log("no queue at ");
	await_log("next try in 1s\n");
	watching_stop(SIGTERM);
	expect_pending("tsp-0");
	stand_in("tsp", "#!/bin/sh\necho \"The server didn't come up.\" >&2\nexit 255\n");
	tool_shell("exec python3 -c 'import socket, os; "
		   "socket.socket(socket.AF_UNIX).bind(os.environ[\"TS_SOCKET\"])'");
	tool_expect_exit(0);
	start(example("task-spooler"));
	await_log("tsp-0: sh exited with 1 after ");
	await_log(" s: The server didn't come up.; next try in 1s\n");
	watching_stop(SIGTERM);
	expect_pending("tsp-0");
}

/* tsp would take each of these for a job there is. */
Test(cancelwatch_rules, what_is_no_number_meets_no_job_of_task_spooler)
{
	static const char *const ids[] = {"tsp-",    "tsp-x",       "tsp-0x",         "tsp- 0",
					  "tsp-+0",  "tsp--1",      "tsp-4294967295", "tsp-4294967296",
					  "tsp-0\n", "tsp-\xD9\xA0"};

	int count = sizeof ids / sizeof ids[0];

	begin_queue();
	(void)queue("sh -c 'echo $$ >$D/pid; exec sleep 1000'");
	await_lines("pid", 1);
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		ask(ids[i]);
	cr_assert(wait_until(all_are_processed, &count, PROCESS_TIMEOUT_MS), "%d of %d",
		  tool_count("processed"), count);
	ask("tsp-0");
	await_decided("tsp-0", "stopped");
	end_queue();
	cr_assert_eq(watching_occurrences(watching.out, " refused (request "), count, "%s", watching.out);
	cr_assert_eq(watching_occurrences(watching.out, " stopped (request "), 1);
}

static void begin_pid_files(void)
{
	char folder[128];

	need("start-stop-daemon");
	cr_assert_eq(mkdir(tool_path("jobs"), 0755), 0);
	(void)snprintf(folder, sizeof folder, "- \"%s/", tool_path("jobs"));
	start(with(with(example("pidfile"), "--user worker", "--quiet"), "- \"/run/jobs/", folder));
}

static void start_job(const char *name)
{
	char line[512];

	(void)snprintf(line, sizeof line,
		       "exec start-stop-daemon --start --background --make-pidfile --pidfile "
		       "'%s/jobs/%s.pid' --startas "
		       "/bin/sleep -- 1000",
		       tool_dir.root, name);
	tool_shell(line);
	tool_expect_exit(0);
}

Test(cancelwatch_rules, a_process_with_a_pid_file_is_stopped)
{
	begin_pid_files();
	start_job("job-a%2Fb");
	await_lines("jobs/job-a%2Fb.pid", 1);
	tool_shell("cp $D/jobs/job-a%2Fb.pid $D/pids");
	ask("job-a/b");
	await_decided("job-a/b", "stopped");
	expect_all_gone("pids");
	cr_assert_eq(access(tool_path("jobs/job-a%2Fb.pid"), F_OK), -1);
	ask("job-a/b");
	await_decided("job-a/b", "finished");
	watching_stop(SIGTERM);
}

Test(cancelwatch_rules, no_id_leads_out_of_the_folder_of_pid_files)
{
	char pid[16];
	int length = snprintf(pid, sizeof pid, "%d\n", getpid());

	begin_pid_files();
	tool_write(tool_path("other.pid"), pid, (size_t)length);
	ask("job-/../../other");
	await_decided("job-/../../other", "finished");
	watching_stop(SIGTERM);
}

Test(cancelwatch_rules, the_example_for_slurm_cancels_one_job)
{
	stand_in("scancel", "#!/bin/sh\necho \"$@\" >>$D/calls\n");
	start(example("slurm"));
	ask("slurm-4711");
	await_decided("slurm-4711", "stopped");
	ask("slurm-[1-9]");
	await_decided("slurm-[1-9]", "refused");
	ask("slurm-");
	await_decided("slurm-", "refused");
	ask("slurm-4294967297");
	await_decided("slurm-4294967297", "refused");
	ask("slurm-17_3");
	await_decided("slurm-17_3", "stopped");
	watching_stop(SIGTERM);
	cr_assert_str_eq(content("calls"), "-- 4711\n-- 17_3\n");
}

Test(cancelwatch_rules, the_example_for_systemd_stops_one_unit)
{
	stand_in("systemctl", "#!/bin/sh\necho \"$@\" >>$D/calls\n"
			      "case \"$*\" in *ended*) echo inactive ;; show*) echo active ;; esac\n");
	start(example("systemd"));
	ask("job-17");
	await_decided("job-17", "stopped");
	ask("job-*");
	await_decided("job-*", "refused");
	ask("job-ended");
	await_decided("job-ended", "finished");
	watching_stop(SIGTERM);
	cr_assert_str_eq(content("calls"), "show --property ActiveState --value -- job-17.service\n"
					   "stop -- job-17.service\n"
					   "show --property ActiveState --value -- job-ended.service\n");
}
