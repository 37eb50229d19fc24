/* What cancelreq takes for wrong usage, and its help. */
#include "tool.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM  BUILD_DIR "/bin/cancelreq"
#define RUN(...) tool_run(WORDS(PROGRAM, __VA_ARGS__), NULL)

TestSuite(cancelreq_usage, .init = tool_set_up, .fini = tool_tear_down, .timeout = 120);

static const struct {
	const char *const arguments[6];
	const char *message;
} wrong_usages[] = {
	{{NULL}, "no TASK_ID given"},
	{{"--check"}, "--check needs a TASK_ID"},
	{{"--ack"}, "--ack needs a TASK_ID"},
	{{"--status", "--"}, "--status needs a TASK_ID"},
	{{"--batch"}, "--batch needs a value"},
	{{"--check", "--ack", "x"}, "--check and --ack do not go together"},
	{{"--list", "--batch", "-"}, "--list and --batch do not go together"},
	{{"--check", "x", "y"}, "--check: unexpected word 'y'"},
	{{"--reset", "x", "y\n"}, "--reset: unexpected word 'y\\n'"},
	{{"--list", "x", "y"}, "--list: unexpected word 'y'"},
	{{"--frobnicate"}, "unknown or ambiguous option '--frobnicate'"},
	{{"--sta", "x"}, "unknown or ambiguous option '--sta'"},
	{{"-x", "y"}, "unknown option '-x'"},
	{{"-q", "--json", "x"}, "--json and --quiet do not go together"},
	{{"--json=1", "x"}, "--json takes no value"},
	{{"--check=x"}, "--check takes no value"},
	{{"x", "--spool"}, "--spool needs a value"},
	{{"x", "--spool", "tmp"}, "--spool: expected an absolute path, found 'tmp'"},
	{{"x", "--outcome", "stopped"}, "--outcome does not go with a request"},
	{{"x", "--detail", "y"}, "--detail does not go with a request"},
	{{"x", "--state", "all"}, "--state does not go with a request"},
	{{"--check", "x", "--wait"}, "--wait does not go with --check"},
	{{"--ack", "x", "--by", "me"}, "--by does not go with --ack"},
	{{"--batch", "-", "--run", "r"}, "--run does not go with --batch"},
	{{"--batch", "-", "--wait"}, "--wait does not go with --batch"},
	{{"--list", "-q"}, "--quiet does not go with --list"},
	{{"--list", "--running", "--state", "all"}, "--state and --running do not go together"},
	{{"--list", "--running", "x", "y"}, "--list: unexpected word 'y'"},
	{{"x", "--running"}, "--running does not go with a request"},
	{{"--match", "x", "--running"}, "--running does not go with --match"},
	{{"--match"}, "--match needs a value"},
	{{"--match", ""}, "--match: expected a pattern, found ''"},
	{{"--match", "x", "--check"}, "--match and --check do not go together"},
	{{"--match", "x", "--run", "r"}, "--run does not go with --match"},
	{{"--match", "x", "--wait"}, "--wait does not go with --match"},
	{{"--match", "x", "--state", "all"}, "--state does not go with --match"},
	{{"--match", "x", "--dry-run", "--json"}, "--dry-run and --json do not go together"},
	{{"--match", "x", "-q", "--json"}, "--json and --quiet do not go together"},
	{{"x", "--dry-run"}, "--dry-run does not go with a request"},
	{{"--batch", "-", "--dry-run"}, "--dry-run does not go with --batch"},
	{{"--reset", "x", "--json"}, "--json does not go with --reset"},
	{{"--status", "x", "--durability", "file"}, "--durability does not go with --status"},
	{{"x", "--durability", "most"}, "--durability: expected one of none, file, full, found 'most'"},
	{{"--list", "--state", "old"}, "--state: expected one of pending, processed, all, found 'old'"},
	{{"--ack", "x", "--outcome", "withdrawn"},
	 "--outcome: expected one of stopped, finished, failed, refused, found 'withdrawn'"},
	{{"x", "--after", "soon"},
	 "--after: expected a duration up to ten years (like 500ms, 30s, 10m, 24h, 7d), found 'soon'"},
	{{"x", "--wait=5"},
	 "--wait: expected a duration up to ten years (like 500ms, 30s, 10m, 24h, 7d), found '5'"},
	{{"x", "--expires", "-1s"},
	 "--expires: expected a duration up to ten years (like 500ms, 30s, 10m, 24h, 7d), found '-1s'"},
	{{"x", "--expires", "0s"}, "--expires: expected at least 1s, or never, found '0s'"},
	{{"--wait", "5s", "task"}, "--wait 5s: write --wait=5s, or -- before a TASK_ID that is a duration"},
	{{"x", "--by", ""}, "--by: expected a name, found ''"},
	{{"x", "--after", "2h", "--expires", "1h"},
	 "--after 2h: the request would expire first, in 1h; give a longer --expires"},
};

Test(cancelreq_usage, wrong_usage_is_one_line_that_names_the_option)
{
	for (size_t i = 0; i < sizeof(wrong_usages) / sizeof(wrong_usages[0]); i++) {
		const char *arguments[8] = {PROGRAM};
		char message[256];

		(void)memcpy(arguments + 1, wrong_usages[i].arguments, sizeof(wrong_usages[i].arguments));
		(void)snprintf(message, sizeof(message), "cancelreq: %s; try 'cancelreq --help'\n",
			       wrong_usages[i].message);
		tool_run(arguments, NULL);
		tool_expect(2, "", message);
	}
	cr_assert(access(tool_dir.path, F_OK) < 0, "wrong usage makes no spool");
}

Test(cancelreq_usage, help_fits_a_screen_and_begins_with_an_example)
{
	int lines = 0;

	RUN("--help");
	tool_expect_exit(0);
	cr_assert(strncmp(tool.out, "Example: cancelreq ", 19) == 0);
	for (const char *line = tool.out; *line; line += strcspn(line, "\n") + 1, lines++)
		cr_assert(strcspn(line, "\n") <= 80, "too long: %.80s", line);
	cr_assert(lines <= 24, "%d lines", lines);
	RUN("--version");
	tool_expect(0, "cancelreq 0.1.0\n", "");
}

/* What an id may not be. */

static void expect_bad_id(const char *id)
{
	RUN(id, "why");
	tool_expect_exit(2);
	cr_assert_str_eq(tool.out, "");
	tool_expect_in(tool.err, "cancelreq: ");
	cr_assert_eq(tool_count("pending"), 0);
	RUN("--check", id);
	tool_expect_exit(2);
}

Test(cancelreq_usage, an_id_that_cannot_be_one_is_wrong_usage)
{
	char id[1026];

	(void)memset(id, 'x', 1025);
	id[1025] = '\0';
	expect_bad_id("");
	expect_bad_id(id);
	expect_bad_id("\xff\xfe");
	id[1024] = '\0';
	RUN("-q", id);
	tool_expect(0, "", "");
}
