/* Many requests at once. */
#include "tool.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM  BUILD_DIR "/bin/cancelreq"
#define RUN(...) tool_run(WORDS(PROGRAM, __VA_ARGS__), NULL)

TestSuite(cancelreq_batch, .init = tool_set_up, .fini = tool_tear_down, .timeout = 600);

static void batch(const char *input, size_t length, const char *const *options)
{
	const char *arguments[16] = {PROGRAM, "--batch", tool_path("batch")};
	int count = 3;

	tool_write(tool_path("batch"), input, length);
	while (*options)
		arguments[count++] = *options++;
	arguments[count] = NULL;
	tool_run(arguments, NULL);
}

#define BATCH(input)           batch(input, sizeof(input) - 1, (const char *const[]){NULL})
#define BATCH_WITH(input, ...) batch(input, sizeof(input) - 1, WORDS(__VA_ARGS__))

Test(cancelreq_batch, batch_publishes_what_is_good_and_reports_each_bad_line)
{
	RUN("-q", "already");
	BATCH("one\n"
	      "\n"
	      "two\tdeleted\tby alice\n"
	      "\xff\n"
	      "already\r\n"
	      "{\"task_id\": \"three\", \"run\": \"7\"}\n"
	      "{\"task_id\": \n"
	      "{\"reason\": \"no id\"}\n"
	      "\tno id\n"
	      "nul\0byte\n"
	      "last");
	tool_expect_exit(1);
	cr_assert_str_eq(tool.out, "requested 4, already pending 1, refused 5\n");
	tool_expect_in(tool_plain(tool.err), "cancelreq: DIR/batch:4: ");
	tool_expect_in(tool_plain(tool.err), "cancelreq: DIR/batch:7: ");
	tool_expect_in(tool_plain(tool.err), "cancelreq: DIR/batch:8: no task_id\n");
	tool_expect_in(tool_plain(tool.err), "cancelreq: DIR/batch:9: ");
	tool_expect_in(tool_plain(tool.err), "cancelreq: DIR/batch:10: a NUL byte in the line\n");
	cr_assert(!strstr(tool.err, "batch:2:") && !strstr(tool.err, "batch:5:"));
	cr_assert_eq(tool_count("pending"), 5);
	RUN("--check", "two");
	tool_expect(0, "deleted\\tby alice\n", "");
	RUN("--check", "three", "--run", "7");
	tool_expect(0, "(none given)\n", "");
}

Test(cancelreq_batch, batch_completes_what_a_line_does_not_say)
{
	RUN("-q", "--reset", "x");
	BATCH_WITH(
		"plain\n"
		"{\"task_id\": \"own\", \"reason\": \"mine\", \"expires_in_s\": 60, "
		"\"requester\": {\"name\": \"bob\"}, \"ticket\": [1, \"x\"]}\n"
		"{\"task_id\": \"later\", \"cancel_at\": \"2999-01-01T00:00:00Z\", \"expires_in_s\": null}\n",
		"--json", "--by", "alice", "--expires", "2h", "many", "closed");
	tool_expect_exit(0);
	cr_assert_str_eq(tool.err, "requested 3, already pending 0, refused 0\n");
	tool_run(
		WORDS("jq", "-c", "[.task_id, .reason, .expires_in_s, .requester.name, .ticket, .cancel_at]"),
		strdupa(tool.out));
	cr_assert_str_eq(tool.out,
			 "[\"plain\",\"many closed\",7200,\"alice\",null,null]\n"
			 "[\"own\",\"mine\",60,\"bob\",[1,\"x\"],null]\n"
			 "[\"later\",\"many closed\",null,\"alice\",null,\"2999-01-01T00:00:00.000000Z\"]\n");
}

Test(cancelreq_batch, batch_reads_what_list_wrote)
{
	RUN("-q", "--by", "alice", "task/1", "why");
	RUN("--list", "--json");
	tool_run(WORDS(PROGRAM, "--spool", tool_path("other"), "--batch", "-"), strdupa(tool.out));
	tool_expect(0, "requested 1, already pending 0, refused 0\n", "");
	RUN("--spool", tool_path("other"), "--list");
	tool_expect(0, "pending    AGE  task/1  alice  why\n", "");
}

Test(cancelreq_batch, batch_drops_a_byte_order_mark_and_carriage_returns)
{
	BATCH("\xef\xbb\xbfone\tr\r\n\r\n{\"task_id\": \"two\"}\r\n");
	tool_expect(0, "requested 2, already pending 0, refused 0\n", "");
	RUN("--check", "one");
	tool_expect(0, "r\n", "");
}

Test(cancelreq_batch, batch_passes_over_a_line_that_is_too_long)
{
	size_t length = 300000;
	char *input = malloc(length + 16);

	(void)memset(input, 'x', length);
	(void)strcpy(input + length, "\ntask\n");
	batch(input, length + 6, WORDS("why"));
	free(input);
	tool_expect(1, "requested 1, already pending 0, refused 1\n",
		    "cancelreq: DIR/batch:1: over 65536 bytes in a line\n");
}

Test(cancelreq_batch, batch_quiet_says_only_what_is_bad)
{
	BATCH_WITH("one\n\xff\n", "-q");
	tool_expect_exit(1);
	cr_assert_str_eq(tool.out, "");
	tool_expect_in(tool.err, "batch:2: ");
	BATCH_WITH("", "-q");
	tool_expect(0, "", "");
}

Test(cancelreq_batch, batch_without_its_file_fails)
{
	RUN("--batch", tool_path("none"));
	tool_expect(3, "", "cancelreq: cannot open 'DIR/none': No such file or directory\n");
	RUN("--batch", tool_dir.root);
	tool_expect_exit(3);
	tool_expect_in(tool.err, "Is a directory");
}

/* Progress is shown ten times a second. */
enum {
	LONG_ENOUGH_MS = 500,
};

struct feed {
	struct process *batch; /* reads what is fed */
	int fd;
};

/* One line more; true once the batch has shown how far it is. */
static bool feed_until_shown(void *arg)
{
	static int count;
	const struct feed *feed = arg;

	(void)dprintf(feed->fd, "task_%d\n", ++count);
	return process_wait_out(feed->batch, " a second\033[K", 0);
}

/* script(1) lends a terminal. */
static bool shows_progress(const char *command, int64_t timeout_ms)
{
	struct process terminal;
	struct feed feed = {.batch = &terminal};
	bool shown;

	(void)unlink(tool_path("feed"));
	cr_assert_eq(mkfifo(tool_path("feed"), 0600), 0);
	tool_start(&terminal, WORDS("script", "-qec", command, "/dev/null"));
	feed.fd = open(tool_path("feed"), O_WRONLY | O_CLOEXEC);
	cr_assert(feed.fd >= 0);
	shown = wait_until(feed_until_shown, &feed, timeout_ms);
	(void)close(feed.fd);
	cr_assert(process_wait(&terminal, PROCESS_TIMEOUT_MS));
	cr_assert_eq(terminal.exit_code, 0, "%s", terminal.out);
	process_free(&terminal);
	return shown;
}

static bool terminals_are_there(void)
{
	int master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave_fd = -1;

	if (master_fd >= 0 && unlockpt(master_fd) == 0)
		slave_fd = open(ptsname(master_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave_fd >= 0)
		(void)close(slave_fd);
	if (master_fd >= 0)
		(void)close(master_fd);
	return slave_fd >= 0;
}

Test(cancelreq_batch, batch_shows_progress_on_a_terminal_only)
{
	char command[256];

	if (!terminals_are_there()) {
		tool_tear_down(); /* a skip passes the tear-down over */
		cr_skip_test("no terminal to be had: /dev/pts is not mounted");
	}
	(void)snprintf(command, sizeof(command), "%s --batch %s", PROGRAM, tool_path("feed"));
	cr_assert(shows_progress(command, PROCESS_TIMEOUT_MS));
	(void)snprintf(command, sizeof(command), "%s --batch %s 2>/dev/null", PROGRAM, tool_path("feed"));
	cr_assert_not(shows_progress(command, LONG_ENOUGH_MS));
	(void)snprintf(command, sizeof(command), "%s --quiet --batch %s", PROGRAM, tool_path("feed"));
	cr_assert_not(shows_progress(command, LONG_ENOUGH_MS));
}

#define MANY_TIMEOUT_MS (8 * PROCESS_TIMEOUT_MS) /* a quarter of a million requests on a busy machine */

static long batch_rss_kb(const char *spool, const char *count)
{
	char command[128];

	(void)snprintf(command, sizeof(command),
		       "seq -f 'task_%%.0f\tdeleted with the rest of tenant 7' %s >'%s'", count,
		       tool_path("lines"));
	tool_shell(command);
	process_free(&tool);
	tool_start(&tool, WORDS(PROGRAM, "--spool", tool_path(spool), "--batch", tool_path("lines")));
	cr_assert(process_wait(&tool, MANY_TIMEOUT_MS), "it still runs");
	tool_expect_exit(0);
	return tool.max_rss_kb;
}

Test(cancelreq_batch, batch_of_ten_megabytes_needs_no_more_memory_than_one_of_fifty_kilobytes)
{
	long few_kb = batch_rss_kb("few", "1000");
	long many_kb = batch_rss_kb("many", "200000");

	cr_assert(many_kb < few_kb + 1024, "%ld KB for 1,000 lines, %ld KB for 200,000", few_kb, many_kb);
}
