/* What cancelreq says when the system, the spool, the configuration or its reader refuses. */
#include "tool.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM  BUILD_DIR "/bin/cancelreq"
#define RUN(...) tool_run(WORDS(PROGRAM, __VA_ARGS__), NULL)
#define NOBODY   "; nobody is running it now; it will stop the next run that begins"

/* What a test mounted is in the way of the removal. */
static void tear_down(void)
{
	(void)umount2(tool_dir.path, MNT_DETACH);
	tool_tear_down();
}

TestSuite(cancelreq_refusal, .init = tool_set_up, .fini = tear_down, .timeout = 120);

Test(cancelreq_refusal, only_asking_makes_a_spool)
{
	static const char *const verbs[] = {"--check",    "--status", "--ack",
					    "--withdraw", "--reset",  "--list"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		RUN(verbs[i], "task");
		tool_expect_exit(3);
		cr_assert_str_eq(tool.out, "");
		tool_expect_in(tool.err, tool_dir.path);
		cr_assert(access(tool_dir.path, F_OK) < 0, "%s made a spool", verbs[i]);
	}
	tool_run(WORDS(PROGRAM, "--batch", "-"), "task\n");
	tool_expect(0, "requested 1, already pending 0, refused 0\n", "");
}

Test(cancelreq_refusal, an_unsafe_spool_is_refused_with_its_mode)
{
	cr_assert(mkdir(tool_dir.path, 0700) == 0 && chmod(tool_dir.path, 0777) == 0);
	RUN("task");
	tool_expect_exit(3);
	cr_assert_str_eq(tool.out, "");
	tool_expect_in(tool.err, tool_dir.path);
	tool_expect_in(tool.err, "777");
	RUN("--check", "task");
	tool_expect_exit(3);
	cr_assert(access(tool_path("spool/pending"), F_OK) < 0);
}

Test(cancelreq_refusal, spool_option_wins_over_the_environment)
{
	RUN("--spool", tool_path("other"), "task");
	tool_expect(0, "requested task (request ID)" NOBODY "\n", "");
	cr_assert(access(tool_path("other/pending/task.json"), F_OK) == 0);
	cr_assert(access(tool_dir.path, F_OK) < 0);
}

Test(cancelreq_refusal, a_bad_configuration_is_refused_with_its_place)
{
	static const char bad[] = "watch:\n  poll_interval: often\n";

	tool_write(tool_path("cancel.yaml"), bad, strlen(bad));
	RUN("task");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "cancel.yaml:2:");
	tool_expect_in(tool.err, "poll_interval");
	RUN("--check", "task");
	tool_expect_exit(3);
	cr_assert(access(tool_dir.path, F_OK) < 0);
}

Test(cancelreq_refusal, config_option_names_the_file_that_counts)
{
	static const char short_lived[] = "request:\n  expire_after: 90s\n";

	tool_write(tool_path("mine.yaml"), short_lived, strlen(short_lived));
	RUN("--config", tool_path("mine.yaml"), "--json", "task");
	tool_expect_field(".expires_in_s", "90");
	RUN("--config", tool_path("none.yaml"), "task");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "none.yaml");
}

Test(cancelreq_refusal, durability_full_is_refused_where_nothing_survives)
{
	RUN("--durability", "full", "task");
	tool_expect_exit(3);
	RUN("--durability", "file", "task");
	tool_expect(0, "requested task (request ID)" NOBODY "\n", "");
}

Test(cancelreq_refusal, a_full_disk_under_standard_output_is_a_failure)
{
	static const char *const commands[] = {"task",          "--list", "--check task",
					       "--status task", "--help", "--version"};
	char command[256];

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		(void)snprintf(command, sizeof(command), PROGRAM " %s >/dev/full", commands[i]);
		tool_shell(command);
		tool_expect(3, "", "cancelreq: cannot write to standard output: No space left on device\n");
	}
}

Test(cancelreq_refusal, a_batch_that_cannot_say_its_results_goes_on_and_fails)
{
	tool_shell("seq 1000 | " PROGRAM " --json --batch - >/dev/full");
	tool_expect(3, "",
		    "requested 1000, already pending 0, refused 0\n"
		    "cancelreq: cannot write to standard output: No space left on device\n");
	cr_assert_eq(tool_count("pending"), 1000);
}

Test(cancelreq_refusal, a_closed_pipe_ends_it_quietly)
{
	tool_run(WORDS("bash", "-c", "seq -f task_%05.0f 3000 | " PROGRAM " -q --batch -"), NULL);
	tool_expect(0, "", "");
	tool_shell(PROGRAM " --list | head -n 1 | wc -l; exit ${PIPESTATUS[0]}");
	tool_expect(0, "1\n", "");
	tool_shell(PROGRAM " --list --json | head -n 1 | jq -r .status; exit ${PIPESTATUS[0]}");
	tool_expect(0, "pending\n", "");
}

Test(cancelreq_refusal, a_closed_pipe_does_not_end_a_batch)
{
	tool_shell("seq -f task_%05.0f 3000 | " PROGRAM " --json --batch - 2>/dev/null | head -n 1 | wc -l");
	tool_expect(0, "1\n", "");
	cr_assert_eq(tool_count("pending"), 3000);
}

/* A mount of our own, in a namespace of our own: needs privilege. */
static void mount_small(const char *options)
{
	cr_assert(mkdir(tool_dir.path, 0700) == 0);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", tool_dir.path, "tmpfs", 0, options) < 0)
		cr_skip_test("no privilege to mount a filesystem");
}

static void fill(const char *path)
{
	static const char page[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0);
	while (write(fd, page, sizeof(page)) > 0)
		continue;
	cr_assert(errno == ENOSPC);
	(void)close(fd);
}

Test(cancelreq_refusal, a_full_spool_is_a_failure_and_nothing_half_published)
{
	mount_small("size=256k,mode=0700");
	RUN("-q", "first");
	tool_expect(0, "", "");
	fill(tool_path("spool/tmp/full"));
	RUN("second", "why");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "No space left on device");
	cr_assert_eq(tool_count("pending"), 1);
	cr_assert_eq(tool_count("tmp"), 1);
	tool_run(WORDS(PROGRAM, "--batch", "-"), "second\nthird\n");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "-:1: ");
	tool_expect_in(tool.err, "gave up at line ");
}

Test(cancelreq_refusal, a_read_only_spool_answers_and_refuses)
{
	mount_small("size=256k,mode=0700");
	RUN("-q", "first", "why");
	cr_assert(mount(NULL, tool_dir.path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	RUN("second");
	tool_expect_exit(3);
	tool_expect_in(tool.err, "Read-only file system");
	RUN("--ack", "first");
	tool_expect_exit(3);
	RUN("--check", "first");
	tool_expect(0, "why\n", "");
}
