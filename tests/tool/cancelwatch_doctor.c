/* cancelwatch doctor: each thing that can be wrong, made wrong. */
#include "asking.h"
#include "tool.h"
#include "watching.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN(...)  tool_run(WORDS(CANCELWATCH, __VA_ARGS__), NULL)
#define TEXT_SIZE 512

TestSuite(cancelwatch_doctor, .init = tool_set_up, .fini = tool_tear_down, .timeout = 120);

/* What the check found begins so. */
static void expect_level(const char *level, const char *check)
{
	char start[TEXT_SIZE];

	(void)snprintf(start, sizeof(start), "%-8s %s: ", level, check);
	tool_expect_in(tool.out, start);
}

Test(cancelwatch_doctor, finds_nothing_wrong_and_leaves_nothing)
{
	asking_make(tool_dir.path);
	RUN("doctor");
	tool_expect_exit(0);
	expect_level("ok", "configuration");
	expect_level("ok", "directory");
	expect_level("ok", "round trip");
	tool_expect_in(tool.out, "the two sides can meet (problems 0, ");
	cr_assert_eq(asking_count(tool_dir.path), 0);
}

Test(cancelwatch_doctor, json_has_every_check)
{
	asking_make(tool_dir.path);
	RUN("doctor", "--json");
	tool_expect_exit(0);
	tool_expect_field("[.meet, .problems]", "[true,0]");
	tool_expect_field("[.checks[].check] | length", "21");
	tool_expect_field(".checks[] | select(.check == \"round trip\") | [.level, .remedy]",
			  "[\"ok\",null]");
}

Test(cancelwatch_doctor, tells_an_unsafe_spool)
{
	asking_make(tool_dir.path);
	cr_assert_eq(chmod(tool_dir.path, 0777), 0);
	RUN("doctor");
	tool_expect_exit(1);
	expect_level("problem", "spool");
	tool_expect_in(tool.out, "0777");
	tool_expect_in(tool.out, "something keeps the two sides apart (problems 1, ");
}

Test(cancelwatch_doctor, tells_a_missing_spool_and_makes_none)
{
	RUN("doctor");
	tool_expect_exit(1);
	expect_level("problem", "spool");
	tool_expect_in(tool.out, "to do: run 'cancelwatch init'");
	cr_assert_eq(access(tool_dir.path, F_OK), -1);
}

Test(cancelwatch_doctor, tells_a_configuration_that_is_not_understood)
{
	asking_make(tool_dir.path);
	watching_configure("watch: {mode: telepathy}\n");
	RUN("doctor", "--spool", tool_dir.path);
	tool_expect_exit(1);
	expect_level("problem", "configuration");
	expect_level("ok", "round trip");
}

Test(cancelwatch_doctor, warns_of_a_variable_that_names_another_spool)
{
	asking_make(tool_path("other"));
	RUN("doctor", "--spool", tool_path("other"));
	tool_expect_exit(0);
	expect_level("warning", "path");
	tool_expect_in(tool_plain(tool.out), "TASK_CANCELLATION_DIR is 'DIR/spool'");
}

Test(cancelwatch_doctor, warns_of_a_spool_that_is_not_as_configured)
{
	asking_make(tool_dir.path);
	watching_configure("spool: {mode: 2770}\n");
	RUN("doctor");
	tool_expect_exit(0);
	expect_level("warning", "mode");
}

Test(cancelwatch_doctor, warns_of_what_waits_for_a_sweep)
{
	asking_expired(tool_dir.path, "over");
	RUN("doctor");
	tool_expect_exit(0);
	expect_level("warning", "pending");
	expect_level("warning", "sweep");
	RUN("sweep");
	RUN("doctor");
	expect_level("ok", "pending");
	expect_level("ok", "sweep");
}

Test(cancelwatch_doctor, warns_of_what_was_moved_aside)
{
	asking_make(tool_dir.path);
	tool_write(tool_path("spool/refused/strange"), "x", 1);
	RUN("doctor");
	tool_expect_exit(0);
	expect_level("warning", "refused");
}

Test(cancelwatch_doctor, warns_when_it_polls_though_it_need_not)
{
	asking_make(tool_dir.path);
	watching_configure("watch: {mode: poll, poll_interval: 10ms}\n");
	RUN("doctor");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "watch: by poll");
	expect_level("ok", "round trip");
}

/* --- in a mount namespace of its own ------------------------------------------------------------------- */

/* Root can have one; others need a user namespace with it, in which the files of root belong to nobody. */
static const char *apart_option(void)
{
	return geteuid() == 0 ? "--mount" : "--map-root-user";
}

/* Run a script there. Its arguments: the program, the private directory, the spool, and `text`. False when
 * the machine lets us have no namespace. */
static bool run_apart(const char *script, const char *text)
{
	tool_run(WORDS("unshare", apart_option(), "--mount", "true"), NULL);
	if (tool.exit_code != 0)
		return false;
	tool_run(WORDS("unshare", apart_option(), "--mount", "sh", "-ec", script, "sh", CANCELWATCH,
		       tool_dir.root, tool_dir.path, text),
		 NULL);
	return true;
}

/* A test that is skipped does not come to its .fini. */
#define SKIP(why)                  \
	do {                       \
		tool_tear_down();  \
		cr_skip_test(why); \
	} while (0)

#define NO_NAMESPACE "no mount namespace to be had"

Test(cancelwatch_doctor, tells_a_read_only_filesystem)
{
	if (geteuid() != 0)
		SKIP("no spool is safe where '/' belongs to nobody");
	asking_make(tool_dir.path);
	if (!run_apart("mount --bind \"$2\" \"$2\"\n"
		       "mount -o remount,bind,ro,nosuid,nodev \"$2\"\n"
		       "exec \"$1\" doctor",
		       ""))
		SKIP(NO_NAMESPACE);
	tool_expect_exit(1);
	expect_level("problem", "space");
	tool_expect_in(tool.out, "read-only");
	tool_expect_in(tool.out, "problem  round trip: ");
}

/* doctor with these rules of systemd-tmpfiles and none of the machine's in /run; SPOOL and ROOT stand for the
 * spool and its parent. */
static bool doctor_with_rules(const char *rules)
{
	return run_apart("mount -t tmpfs none /run\n"
			 "mkdir /run/tmpfiles.d\n"
			 "printf '%b' \"$4\" | sed \"s,SPOOL,$3,; s,ROOT,$2,\" >/run/tmpfiles.d/test.conf\n"
			 "exec \"$1\" doctor",
			 rules);
}

#define AGEING "# old files\\nd ROOT 0700 root root 10d\\n"

Test(cancelwatch_doctor, warns_of_ageing_and_names_the_line_that_prevents_it)
{
	asking_make(tool_dir.path);
	if (!doctor_with_rules(AGEING))
		SKIP(NO_NAMESPACE);
	expect_level("warning", "tmpfiles");
	tool_expect_in(tool_plain(tool.out),
		       "to do: put this line into /etc/tmpfiles.d/cancel.conf: x DIR/spool\n");
}

/* Which of these rules age, systemd-tmpfiles --clean of systemd 252 was asked. */
static const struct {
	const char *rules;
	const char *level;
} rulings[] = {
	{AGEING "x SPOOL", "ok"},
	{AGEING "x ROOT/sp*", "ok"},
	{AGEING "X SPOOL", "warning"},
	{AGEING "d SPOOL 0700 root root -", "ok"},
	{AGEING "d SPOOL 0700 root root", "ok"},
	{AGEING "d SPOOL 0700 root root 1d", "warning"},
	{AGEING "x SPOOL\\nd SPOOL 0700 root root 1d", "warning"},
	{AGEING "d SPOOL 0700 root root -\\nd SPOOL 0700 root root 1d", "ok"},
	{AGEING "e SPOOL - - - -", "ok"},
	{AGEING "x SPOOL\\ne ROOT/sp* - - - 1d", "warning"},
	{"d ROOT 0700 root root -", "ok"},
	{"f ROOT 0700 root root 1d", "ok"},
};

Test(cancelwatch_doctor, knows_what_ages_and_what_prevents_it)
{
	asking_make(tool_dir.path);
	for (size_t i = 0; i < sizeof(rulings) / sizeof(rulings[0]); i++) {
		char start[TEXT_SIZE];

		if (!doctor_with_rules(rulings[i].rules))
			SKIP(NO_NAMESPACE);
		(void)snprintf(start, sizeof(start), "\n%-8s tmpfiles: ", rulings[i].level);
		cr_assert_not_null(strstr(tool.out, start), "%s: %s", rulings[i].rules, tool.out);
	}
}

Test(cancelwatch_doctor, tells_a_private_tmp)
{
	if (!run_apart("mkdir -p \"$2/systemd-private-0-x.service-y/tmp\" \"$2/tmp\"\n"
		       "mount --bind \"$2/systemd-private-0-x.service-y/tmp\" \"$2/tmp\"\n"
		       "exec \"$1\" --spool \"$2/tmp/spool\" doctor",
		       ""))
		SKIP(NO_NAMESPACE);
	tool_expect_exit(1);
	expect_level("problem", "private tmp");
	tool_expect_in(tool.out, "to do: set PrivateTmp=false in that service");
	tool_expect_in(tool.out, " mount namespace: mnt:[");
}
