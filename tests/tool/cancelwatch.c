/* The verbs of cancelwatch that do one thing and end, and its command line. */
#include "asking.h"
#include "tool.h"
#include "watching.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN(...)  tool_run(WORDS(CANCELWATCH, __VA_ARGS__), NULL)
#define WORDS_MAX 8

TestSuite(cancelwatch, .init = tool_set_up, .fini = tool_tear_down, .timeout = 120);

static void ask(const char *task_id)
{
	asking_request(tool_dir.path, task_id, "why", CANCEL_EXPIRES_DEFAULT);
}

static void write_text(const char *path, const char *text)
{
	tool_write(path, text, strlen(text));
}

/* --- sweep -------------------------------------------------------------------------------------------- */

Test(cancelwatch, sweep_prints_what_it_did)
{
	ask("stays");
	asking_expired(tool_dir.path, "over");
	write_text(tool_path("spool/pending/notes.txt"), "not ours");
	RUN("sweep");
	tool_expect(0, "expired 1, removed 0, kept 2, strangers 1\n", "");
	cr_assert_eq(asking_lookup(tool_dir.path, "over"), CANCEL_LOOKUP_PROCESSED);
	cr_assert_eq(asking_lookup(tool_dir.path, "stays"), CANCEL_LOOKUP_PENDING);
}

Test(cancelwatch, sweep_dry_run_counts_and_changes_nothing)
{
	asking_expired(tool_dir.path, "over");
	write_text(tool_path("spool/dropped.json"), "{}");
	RUN("sweep", "--dry-run");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "expired 1, removed 0, ");
	tool_expect_in(tool.out, "dry run: nothing was changed\n");
	cr_assert_eq(access(tool_path("spool/dropped.json"), F_OK), 0);
	cr_assert_eq(asking_lookup(tool_dir.path, "over"), CANCEL_LOOKUP_PENDING);
}

Test(cancelwatch, sweep_takes_in_drops)
{
	asking_make(tool_dir.path);
	write_text(tool_path("spool/dropped.json"), "{}");
	RUN("sweep");
	tool_expect(0, "expired 0, removed 0, kept 1, strangers 0\ndrops taken in 1\n", "");
	cr_assert_eq(access(tool_path("spool/dropped.json"), F_OK), -1);
}

Test(cancelwatch, sweep_json_has_all_counters)
{
	asking_expired(tool_dir.path, "over");
	write_text(tool_path("spool/pending/notes.txt"), "not ours");
	RUN("sweep", "--json");
	tool_expect_exit(0);
	tool_expect_field("[.expired, .strangers, .limited, .dry_run]", "[1,1,false,false]");
	tool_expect_field("[.removed, .litter, .drafts, .leases, .put_back, .refused, .busy, .drops_taken, "
			  ".drops_unsettled, .drops_refused, .clock_step_ms]",
			  "[0,0,0,0,0,0,0,0,0,0,0]");
}

Test(cancelwatch, sweep_quiet_prints_nothing)
{
	ask("stays");
	RUN("sweep", "--quiet");
	tool_expect(0, "", "");
}

Test(cancelwatch, sweep_and_status_make_no_spool)
{
	static const char *const verbs[] = {"sweep", "status"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		RUN(verbs[i]);
		tool_expect_exit(3);
		tool_expect_in(tool.err, "cancelwatch: spool '");
		tool_expect_in(tool.err, "does not exist");
		cr_assert_eq(access(tool_dir.path, F_OK), -1);
	}
}

/* --- init --------------------------------------------------------------------------------------------- */

static mode_t mode_of(const char *path)
{
	struct stat info;

	cr_assert_eq(stat(path, &info), 0);
	return info.st_mode & 07777;
}

Test(cancelwatch, init_makes_the_spool_as_told)
{
	RUN("init", "--mode", "2770");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "made '");
	tool_expect_in(tool.out, "mode 2770");
	cr_assert_eq(mode_of(tool_dir.path), 02770);
	RUN("status");
	tool_expect_exit(0);
}

Test(cancelwatch, init_makes_the_spool_as_configured)
{
	write_text(tool_path("cancel.yaml"), "spool: {mode: 0770}\n");
	RUN("init");
	tool_expect_exit(0);
	cr_assert_eq(mode_of(tool_dir.path), 0770);
}

Test(cancelwatch, init_says_so_when_it_is_right_already)
{
	asking_make(tool_dir.path);
	RUN("init");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "exists as configured: '");
}

Test(cancelwatch, init_changes_no_spool_that_stands_but_says_how)
{
	asking_make(tool_dir.path);
	RUN("init", "--mode", "2770");
	tool_expect_exit(1);
	tool_expect_in(tool.out, "mode is 0700, configured is 2770; to change it: find ");
	cr_assert_eq(mode_of(tool_dir.path), 0700);
}

Test(cancelwatch, init_names_a_command_that_does_it)
{
	char command[1024];

	ask("stays");
	RUN("init", "--mode", "2770");
	cr_assert_eq(sscanf(tool.out, "%*[^;]; to change it: %1023[^\n]", command), 1, "%s", tool.out);
	tool_shell(command);
	tool_expect(0, "", "");
	cr_assert_eq(mode_of(tool_path("spool/lock")), 0660);
	cr_assert_eq(mode_of(tool_path("spool/pending/stays.json")), 0640);
	RUN("init", "--mode", "2770");
	tool_expect_exit(0);
	cr_assert_eq(asking_lookup(tool_dir.path, "stays"), CANCEL_LOOKUP_PENDING);
}

Test(cancelwatch, init_leaves_a_directory_that_is_something_else)
{
	cr_assert_eq(mkdir(tool_dir.path, 0700), 0);
	write_text(tool_path("spool/thesis.tex"), "years of work");
	RUN("init");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "thesis.tex");
	cr_assert_eq(tool_count("."), 1);
	/* Nor does it name a command that would change it. */
	cr_assert_eq(chmod(tool_dir.path, 0755), 0);
	RUN("init");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "thesis.tex");
	cr_assert_str_eq(tool.out, "");
}

/* --- status ------------------------------------------------------------------------------------------- */

static void fill_for_status(void)
{
	ask("oldest");
	ask("newer");
	ask("stopped");
	asking_decide(tool_dir.path, "stopped", CANCEL_OUTCOME_STOPPED, NULL);
	ask("withdrawn");
	asking_decide(tool_dir.path, "withdrawn", CANCEL_OUTCOME_WITHDRAWN, NULL);
}

Test(cancelwatch, status_counts_by_state_and_outcome)
{
	fill_for_status();
	RUN("status");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "\npending     2\n");
	tool_expect_in(tool.out, "\nscheduled   0\n");
	tool_expect_in(tool.out, "\nprocessed   2, stopped 1, withdrawn 1\n");
	tool_expect_in(tool.out, "\noldest      oldest, ");
	tool_expect_in(tool.out, "\nlast sweep  never\n");
	tool_expect_in(tool.out,
		       "\nversions    program " CANCEL_VERSION ", library " CANCEL_VERSION ", layout ");
}

Test(cancelwatch, status_json_parses)
{
	fill_for_status();
	RUN("status", "--json");
	tool_expect_exit(0);
	tool_expect_field("[.pending, .scheduled, .processed, .outcomes.stopped, .outcomes.failed]",
			  "[2,0,2,1,0]");
	tool_expect_field(".oldest_pending.task_id", "\"oldest\"");
	tool_expect_field("[.swept_at, .program_version]", "[null,\"" CANCEL_VERSION "\"]");
}

Test(cancelwatch, status_knows_the_last_sweep)
{
	ask("stays");
	RUN("sweep");
	RUN("status", "--json");
	tool_expect_field(".swept_at != null", "true");
}

/* --- check-config ------------------------------------------------------------------------------------- */

Test(cancelwatch, check_config_takes_what_is_understood)
{
	RUN("check-config", tool_path("cancel.yaml"));
	tool_expect(0, "DIR/cancel.yaml: ok\n", "");
	RUN("check-config");
	tool_expect(0, "DIR/cancel.yaml: ok\n", "");
	RUN("check-config", SOURCE_DIR "/conf/cancel.yaml");
	tool_expect_exit(0);
}

Test(cancelwatch, check_config_names_what_is_not_understood)
{
	write_text(tool_path("bad.yaml"), "sweep: {interval: often}\n");
	RUN("check-config", tool_path("bad.yaml"));
	tool_expect_exit(1);
	tool_expect_in(tool.err, "bad.yaml:1:19: sweep.interval: expected ");
	cr_assert_str_empty(tool.out);
}

Test(cancelwatch, check_config_does_not_judge_what_it_cannot_read)
{
	RUN("check-config", tool_path("missing.yaml"));
	tool_expect_exit(3);
	tool_expect_in(tool.err, "missing.yaml");
}

/* --- the command line --------------------------------------------------------------------------------- */

Test(cancelwatch, wrong_usage_exits_2_and_does_nothing)
{
	static const char *const wrong[][WORDS_MAX] = {
		{"nonsense"},
		{"--nonsense"},
		{"-x"},
		{"--spool"},
		{"--spool", "relative"},
		{"watch", "extra"},
		{"watch", "--dry-run"},
		{"sweep", "--mode", "0700"},
		{"status", "--dry-run"},
		{"init", "--json"},
		{"init", "--mode", "rwx"},
		{"init", "--mode", "99999"},
		{"init", "--group", "no such group"},
		{"init", "--owner", "no such user"},
		{"check-config", "one", "two"},
		{"check-config", "--spool", "/x"},
		{"--json=yes"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *arguments[WORDS_MAX + 1] = {CANCELWATCH};

		memcpy(arguments + 1, wrong[i], sizeof(wrong[i]) - sizeof(wrong[i][0]));
		tool_run(arguments, NULL);
		cr_assert_eq(tool.exit_code, 2, "%s %s: %d", wrong[i][0], wrong[i][1], tool.exit_code);
		tool_expect_in(tool.err, "; see 'cancelwatch --help'\n");
		cr_assert_str_empty(tool.out);
		cr_assert_eq(access(tool_dir.path, F_OK), -1);
	}
}

Test(cancelwatch, usage_errors_carry_nothing_raw)
{
	RUN("\x1b[31m");
	tool_expect(2, "", "cancelwatch: unknown verb '\\x1B[31m'; see 'cancelwatch --help'\n");
}

Test(cancelwatch, help_fits_a_screen_and_begins_with_an_example)
{
	size_t widest = 0;
	const char *line;

	RUN("--help");
	tool_expect_exit(0);
	cr_assert_eq(strncmp(tool.out, "cancelwatch --json | jq .", 25), 0);
	cr_assert_leq(watching_occurrences(tool.out, "\n"), 24);
	for (line = tool.out; *line != '\0'; line += strcspn(line, "\n") + 1)
		widest = strcspn(line, "\n") > widest ? strcspn(line, "\n") : widest;
	cr_assert_leq(widest, 80);
}

Test(cancelwatch, version_names_program_and_library)
{
	RUN("--version");
	tool_expect(0, "cancelwatch " CANCEL_VERSION " (libcancel " CANCEL_VERSION ")\n", "");
}
