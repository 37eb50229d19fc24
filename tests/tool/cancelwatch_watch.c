/* cancelwatch watch: what it prints, how it ends, how it takes a new configuration, what it tells systemd. */
#include "asking.h"
#include "tool.h"
#include "watching.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CANCELREQ  BUILD_DIR "/bin/cancelreq"
#define START(...) watching_start(WORDS(CANCELWATCH, __VA_ARGS__))

enum {
	MORE_LINES_THAN_A_PIPE_HOLDS = 600,
	PIPE_BYTES = 65536,
};

TestSuite(cancelwatch_watch, .init = watching_set_up, .fini = watching_tear_down, .timeout = 120);

static void ask(const char *task_id, const char *reason)
{
	asking_request(tool_dir.path, task_id, reason, CANCEL_EXPIRES_DEFAULT);
}

static void expect_lacks(const char *text, const char *part)
{
	cr_assert_null(strstr(text, part), "'%s' is in: %s", part, text);
}

/* --- events ------------------------------------------------------------------------------------------- */

Test(cancelwatch_watch, shows_what_cancelreq_asks)
{
	START("watch");
	tool_run(WORDS(CANCELREQ, "--by", "bob", "task_1", "deleted", "by", "bob"), NULL);
	tool_expect_exit(0);
	watching_await(": deleted by bob\n");
	watching_stop(SIGTERM);
	tool_expect_in(tool_plain(watching.out), "TIME requested task_1 (request ID, by bob, uid ");
}

Test(cancelwatch_watch, is_the_default_and_makes_the_spool)
{
	struct stat info;

	watching_start(WORDS(CANCELWATCH));
	cr_assert_eq(stat(tool_dir.path, &info), 0);
	cr_assert_eq(info.st_mode & 07777, 0700);
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, reports_what_is_pending_already)
{
	ask("before", "from before");
	START("watch");
	watching_await(" requested before (request ");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, shows_decisions_with_outcome_and_detail)
{
	START("watch");
	ask("task_1", "why");
	watching_await(" requested task_1 ");
	asking_decide(tool_dir.path, "task_1", CANCEL_OUTCOME_STOPPED, "cleaned up");
	watching_await(": cleaned up\n");
	watching_stop(SIGTERM);
	tool_expect_in(tool_plain(watching.out), "TIME decided task_1 stopped (request ID, uid ");
}

Test(cancelwatch_watch, takes_drops_in_and_reports_them_as_requests)
{
	const char *text = "{\"reason\": \"dropped by hand\"}";

	START("watch");
	/* As foreign programs should: written elsewhere on the filesystem, then moved into place. */
	tool_write(tool_path("draft"), text, strlen(text));
	cr_assert_eq(rename(tool_path("draft"), tool_path("spool/drop_1.json")), 0);
	watching_await(": dropped by hand\n");
	watching_stop(SIGTERM);
	tool_expect_in(watching.out, " dropped drop_1 (file drop_1.json)\n");
	tool_expect_in(watching.out, " requested drop_1 (request ");
	cr_assert_eq(access(tool_path("spool/drop_1.json"), F_OK), -1);
	cr_assert_eq(asking_lookup(tool_dir.path, "drop_1"), CANCEL_LOOKUP_PENDING);
}

Test(cancelwatch_watch, tells_why_a_drop_is_malformed)
{
	asking_make(tool_dir.path);
	/* Two values of one key: whole, so nobody waits for the rest of it, but no record. */
	tool_write(tool_path("spool/drop_1.json"), "{\"reason\": 1, \"reason\": 2}", 26);
	START("watch");
	watching_await(" dropped drop_1 (file drop_1.json, malformed): ");
	watching_await(" requested drop_1 (request ");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, two_of_them_both_report_a_request)
{
	struct process other;

	START("watch");
	tool_start(&other, WORDS(CANCELWATCH, "watch"));
	ask("shared", "for both");
	watching_await(" requested shared ");
	cr_assert(process_wait_out(&other, " requested shared ", PROCESS_TIMEOUT_MS));
	cr_assert_eq(kill(other.pid, SIGTERM), 0);
	cr_assert(process_wait(&other, PROCESS_TIMEOUT_MS));
	cr_assert_eq(other.exit_code, 0);
	watching_stop(SIGTERM);
	process_free(&other);
}

Test(cancelwatch_watch, goes_on_with_the_directory_that_stands_at_the_path)
{
	START("watch");
	cr_assert_eq(rename(tool_dir.path, tool_path("moved_away")), 0);
	ask("task_1", "why");
	watching_await(" requested task_1 ");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, sweeps_by_itself_and_tells_each_expiry_once)
{
	asking_expired(tool_dir.path, "over");
	START("watch");
	watching_await(" decided over expired ");
	/* Whatever would tell it twice comes before what is asked now. */
	ask("later", "why");
	watching_await(" requested later ");
	watching_stop(SIGTERM);
	cr_assert_eq(watching_occurrences(watching.out, " decided over "), 1, "%s", watching.out);
	tool_expect_in(watching.err, "swept: expired 1");
}

Test(cancelwatch_watch, quiet_prints_no_events)
{
	asking_expired(tool_dir.path, "over");
	START("watch", "--quiet");
	cr_assert(process_wait_err(&watching, "swept: expired 1", PROCESS_TIMEOUT_MS),
		  "exit code %d; err: %s", watching.exit_code, watching.err);
	watching_stop(SIGTERM);
	cr_assert_str_empty(watching.out);
}

/* --- what comes from outside -------------------------------------------------------------------------- */

/* ESC, BEL, a C1 control in UTF-8, a mark that turns the direction of writing, newline, quotes, backslash. */
#define NASTY                                                                                 \
	"esc \x1b[31m bel \a c1 \xc2\x9b turn \xe2\x80\xae line\nend \"quoted\" back\\slash " \
	"\xf0\x9f\x9b\x91"

static void expect_nothing_raw(const char *text)
{
	expect_lacks(text, "\x1b");
	expect_lacks(text, "\a");
	expect_lacks(text, "\xc2\x9b");
	expect_lacks(text, "\xe2\x80\xae");
}

Test(cancelwatch_watch, text_carries_nothing_raw)
{
	ask("one word", NASTY);
	START("watch");
	watching_await("\n");
	watching_stop(SIGTERM);
	expect_nothing_raw(watching.out);
	tool_expect_in(watching.out, " requested one\\x20word (request ");
	tool_expect_in(watching.out, ": esc \\x1B[31m bel \\x07 c1 \\xC2\\x9B ");
	cr_assert_eq(watching_occurrences(watching.out, "\n"), 1, "%s", watching.out);
}

Test(cancelwatch_watch, json_carries_nothing_raw_and_nothing_wrong)
{
	ask("task \x1b", NASTY);
	/* A name that is not UTF-8 (a stray byte, a surrogate), in a request's place and none. */
	cr_assert_eq(mkdir(tool_path("spool/pending/\xff\xed\xa0\x80.json"), 0700), 0);
	START("watch", "--json");
	watching_await("\"requested\"");
	asking_decide(tool_dir.path, "task \x1b", CANCEL_OUTCOME_FAILED, NASTY);
	watching_await("\"decided\"");
	watching_stop(SIGTERM);
	expect_nothing_raw(watching.out);
	watching_python(watching.out,
			"import json, sys\n"
			"nasty = 'esc \\x1B[31m bel \\x07 c1 \\x9b turn \\u202e line\\nend \"quoted\" '\\\n"
			"        'back\\\\slash \\U0001f6d1'\n"
			"events = [json.loads(line) for line in sys.stdin]\n"
			"asked, = [e for e in events if e['event'] == 'requested']\n"
			"decided, = [e for e in events if e['event'] == 'decided']\n"
			"assert asked['request']['task_id'] == 'task \\x1b', asked\n"
			"assert asked['request']['reason'] == nasty, asked\n"
			"assert decided['request']['outcome'] == 'failed', decided\n"
			"assert decided['request']['detail'] == nasty, decided\n"
			"refused, = [e for e in events if e['event'] == 'refused']\n"
			"assert refused['file'] == 'pending/' + 4 * '\\ufffd' + '.json', refused\n"
			"assert all(e['time'].endswith('Z') for e in events)\n");
}

Test(cancelwatch_watch, refused_files_are_named_with_a_reason)
{
	asking_make(tool_dir.path);
	cr_assert_eq(mkdir(tool_path("spool/pending/folder.json"), 0700), 0);
	START("watch");
	watching_await(" refused - pending/folder.json: ");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, log_lines_are_json_where_configured)
{
	watching_configure("log: {format: json, level: info}\n");
	START("watch");
	watching_stop(SIGTERM);
	watching_python(watching.err,
			"import json, sys\n"
			"lines = [json.loads(line) for line in sys.stdin]\n"
			"assert lines[0]['level'] == 'info' and 'watching' in lines[0]['text'], lines\n");
}

Test(cancelwatch_watch, log_level_leaves_out_what_matters_less)
{
	watching_configure("log: {level: error}\n");
	START("watch");
	watching_stop(SIGTERM);
	cr_assert_str_empty(watching.err);
}

/* --- how it ends -------------------------------------------------------------------------------------- */

Test(cancelwatch_watch, sigterm_and_sigint_end_it_with_0)
{
	static const int numbers[] = {SIGTERM, SIGINT};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		START("watch");
		watching_stop(numbers[i]);
		watching_message("STOPPING=1");
	}
}

/* A watch that prints into a FIFO of which the test holds the reading end. */
static int start_into_fifo(void)
{
	const char *fifo = tool_path("fifo");
	int fd;

	cr_assert_eq(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	watching_start(WORDS("sh", "-c", "exec \"$1\" watch >\"$2\"", "sh", CANCELWATCH, fifo));
	return fd;
}

static void ask_many(void)
{
	char task_id[32];

	for (int i = 0; i < MORE_LINES_THAN_A_PIPE_HOLDS; i++) {
		(void)snprintf(task_id, sizeof(task_id), "task_%d", i);
		ask(task_id, "one of many, with a reason long enough to fill a line and then a pipe");
	}
}

/* Another line may not fit into the pipe any more: a write waits, or will soon. */
static bool is_full(void *arg)
{
	int waiting = 0;

	return ioctl(*(int *)arg, FIONREAD, &waiting) == 0 && waiting > PIPE_BYTES - 4096;
}

static void expect_whole_lines(int fd)
{
	char text[PIPE_BYTES];
	char last = '\0';
	ssize_t length;

	while ((length = read(fd, text, sizeof(text))) > 0)
		last = text[length - 1];
	cr_assert_eq(last, '\n');
}

Test(cancelwatch_watch, sigterm_ends_it_in_the_middle_of_a_look_that_takes_long)
{
	int fd;

	ask_many();
	fd = start_into_fifo();
	cr_assert(wait_until(is_full, &fd, PROCESS_TIMEOUT_MS), "the pipe does not fill");
	watching_stop(SIGTERM);
	watching_message("STOPPING=1");
	expect_whole_lines(fd);
	(void)close(fd);
}

Test(cancelwatch_watch, closed_pipe_ends_it_quietly_while_it_writes)
{
	int fd;

	ask_many();
	fd = start_into_fifo();
	cr_assert(wait_until(is_full, &fd, PROCESS_TIMEOUT_MS), "the pipe does not fill");
	(void)close(fd);
	watching_end(0);
	expect_lacks(watching.err, "error");
}

Test(cancelwatch_watch, closed_pipe_ends_it_quietly_while_it_waits)
{
	int fd = start_into_fifo();

	(void)close(fd);
	watching_end(0);
	expect_lacks(watching.err, "error");
}

Test(cancelwatch_watch, output_that_cannot_be_written_is_told)
{
	ask("task_1", "why");
	tool_run(WORDS("sh", "-c", "exec \"$1\" watch >/dev/full", "sh", CANCELWATCH), NULL);
	tool_expect_exit(3);
	tool_expect_in(tool.err, "cancelwatch: cannot write to standard output: No space left on device\n");
}

Test(cancelwatch_watch, output_that_is_closed_is_told)
{
	ask("task_1", "why");
	tool_run(WORDS("sh", "-c", "exec \"$1\" watch >&-", "sh", CANCELWATCH), NULL);
	tool_expect_exit(3);
	tool_expect_in(tool.err, "cancelwatch: cannot write to standard output: Bad file descriptor\n");
}

Test(cancelwatch_watch, unsafe_spool_is_refused)
{
	cr_assert_eq(mkdir(tool_dir.path, 0700), 0);
	cr_assert_eq(chmod(tool_dir.path, 0777), 0);
	tool_run(WORDS(CANCELWATCH, "watch"), NULL);
	tool_expect_exit(3);
	tool_expect_in(tool.err, "0777");
	cr_assert_str_empty(tool.out);
}

/* --- a new configuration ------------------------------------------------------------------------------ */

static void configure_spool(const char *path)
{
	char yaml[512];

	(void)snprintf(yaml, sizeof(yaml), "spool: {path: %s}\nsweep: {interval: 1h}\n", path);
	watching_configure(yaml);
}

/* A watch whose spool only the configuration names. */
static void start_configured(void)
{
	configure_spool(tool_dir.path);
	watching_begin(WORDS(CANCELWATCH), WORDS("TASK_CANCELLATION_DIR"));
	watching_message("READY=1");
}

static void reload(void)
{
	cr_assert_eq(kill(watching.pid, SIGHUP), 0);
	watching_message("RELOADING=1\nMONOTONIC_USEC=");
	watching_message("READY=1");
}

static void expect_it_still_watches(void)
{
	ask("after", "why");
	watching_await(" requested after ");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, sighup_moves_it_to_the_spool_that_is_configured_now)
{
	start_configured();
	configure_spool(tool_path("other"));
	reload();
	asking_request(tool_path("other"), "elsewhere", "why", CANCEL_EXPIRES_DEFAULT);
	watching_await(" requested elsewhere ");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, sighup_with_a_bad_configuration_keeps_the_old_one_and_says_why)
{
	START("watch");
	watching_configure("spool: {pth: /x}\n");
	reload();
	expect_it_still_watches();
	tool_expect_in(watching.err, "cannot reload, the old configuration stays: ");
	tool_expect_in(watching.err, "cancel.yaml:1:");
}

Test(cancelwatch_watch, sighup_to_a_spool_that_cannot_be_opened_keeps_the_old_one)
{
	start_configured();
	configure_spool("/proc/no/such/spool");
	reload();
	expect_it_still_watches();
	tool_expect_in(watching.err, "cannot reload, the old configuration stays: ");
}

Test(cancelwatch_watch, sighup_that_changes_nothing_of_the_spool_reports_nothing_twice)
{
	ask("task_1", "why");
	START("watch");
	watching_await(" requested task_1 ");
	watching_configure("sweep: {interval: 2h}\n");
	reload();
	expect_it_still_watches();
	cr_assert_eq(watching_occurrences(watching.out, " requested task_1 "), 1, "%s", watching.out);
	tool_expect_in(watching.err, "configuration reloaded");
}

/* --- systemd ------------------------------------------------------------------------------------------ */

Test(cancelwatch_watch, ready_names_the_spool_and_the_way_of_watching)
{
	char message[WATCHING_MESSAGE_SIZE];

	watching_begin(WORDS(CANCELWATCH), NULL);
	watching_next_message(message);
	watching_stop(SIGTERM);
	tool_expect_in(tool_plain(message), "READY=1\nSTATUS=watching 'DIR/spool' by ");
}

Test(cancelwatch_watch, ready_reaches_an_abstract_socket)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[sizeof(address.sun_path)];
	int length = snprintf(name, sizeof(name), "@cancelwatch-test-%d", (int)getpid());

	memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
	watching_listen(&address, offsetof(struct sockaddr_un, sun_path) + (size_t)length, name);
	START("watch");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, watchdog_gets_signs_of_life)
{
	watching_begin(WORDS(CANCELWATCH), WORDS("WATCHDOG_USEC=100000"));
	for (int i = 0; i < 3; i++)
		watching_message("WATCHDOG=1");
	watching_stop(SIGTERM);
}

Test(cancelwatch_watch, watchdog_of_another_process_gets_none)
{
	char message[WATCHING_MESSAGE_SIZE];

	watching_begin(WORDS(CANCELWATCH), WORDS("WATCHDOG_USEC=2", "WATCHDOG_PID=1"));
	ask("task_1", "why");
	watching_await(" requested task_1 ");
	watching_stop(SIGTERM);
	do {
		watching_next_message(message);
		expect_lacks(message, "WATCHDOG");
	} while (strcmp(message, "STOPPING=1") != 0);
}
