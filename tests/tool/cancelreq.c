/* cancelreq asks, answers and decides: standard output, standard error and exit code. */
#include "tool.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM  BUILD_DIR "/bin/cancelreq"
#define RUN(...) tool_run(WORDS(PROGRAM, __VA_ARGS__), NULL)
#define NOBODY   "; nobody is running it now; it will stop the next run that begins"

TestSuite(cancelreq, .init = tool_set_up, .fini = tool_tear_down, .timeout = 120);

/* Asking. */

Test(cancelreq, ask_makes_the_spool_and_prints_the_request)
{
	RUN("task_123", "deleted", "by", "alice");
	tool_expect(0, "requested task_123 (request ID)" NOBODY "\n", "");
	cr_assert(access(tool_path("spool/pending/task_123.json"), F_OK) == 0);
}

Test(cancelreq, ask_joins_the_words_of_the_reason)
{
	RUN("--json", "task_123", "deleted", "by  alice", "now");
	tool_expect_field(".reason", "\"deleted by  alice now\"");
}

Test(cancelreq, ask_prints_the_id_that_stands_on_disk)
{
	char *printed;

	RUN("task_123");
	printed = strdup(tool.out);
	tool_run(WORDS("jq", "-r", "\"requested task_123 (request \\(.request_id))" NOBODY "\"",
		       tool_path("spool/pending/task_123.json")),
		 NULL);
	tool_expect(0, tool_plain(printed), "");
	cr_assert_str_eq(tool.out, printed);
	free(printed);
}

Test(cancelreq, asking_for_what_is_pending_tells_who_when_and_why)
{
	RUN("--by", "alice", "task_123", "deleted", "by", "alice");
	RUN("--by", "bob", "task_123", "deleted by bob");
	tool_expect(0,
		    "already pending task_123 (request ID, by alice, AGE ago: deleted by alice)" NOBODY "\n",
		    "");
	cr_assert_eq(tool_count("pending"), 1);
}

Test(cancelreq, an_empty_reason_is_none_given)
{
	RUN("--by", "alice", "task_123", "");
	RUN("task_123");
	tool_expect(0, "already pending task_123 (request ID, by alice, AGE ago: (none given))" NOBODY "\n",
		    "");
}

Test(cancelreq, a_task_id_may_start_with_a_dash_behind_two)
{
	RUN("--by", "alice", "--", "-rf", "--json", "-q");
	tool_expect(0, "requested -rf (request ID)" NOBODY "\n", "");
	RUN("--", "-rf");
	tool_expect(0, "already pending -rf (request ID, by alice, AGE ago: --json -q)" NOBODY "\n", "");
	RUN("--check", "--", "-rf");
	tool_expect(0, "--json -q\n", "");
	RUN("--ack", "--", "-rf");
	tool_expect(0, "stopped -rf (request ID, by alice, AGE ago: --json -q)\n", "");
}

Test(cancelreq, options_may_stand_behind_the_task_id)
{
	RUN("task_123", "--json", "deleted", "--by", "bob", "by bob");
	tool_expect_field("[.task_id, .reason, .requester.name]",
			  "[\"task_123\",\"deleted by bob\",\"bob\"]");
}

Test(cancelreq, what_comes_from_outside_is_escaped)
{
	static const char id[] = "jobs/7\n\x1b[2J\\\xf0\x9f\x98\x80";
	static const char shown[] = "jobs/7\\n\\x1B[2J\\\\\xf0\x9f\x98\x80";
	char text[256];

	RUN("--by", "a\tb", id, "bye\r");
	(void)snprintf(text, sizeof(text), "requested %s (request ID)" NOBODY "\n", shown);
	tool_expect(0, text, "");
	RUN(id);
	(void)snprintf(text, sizeof(text),
		       "already pending %s (request ID, by a\\tb, AGE ago: bye\\r)" NOBODY "\n", shown);
	tool_expect(0, text, "");
	RUN("--list");
	(void)snprintf(text, sizeof(text), "pending    AGE  %s  a\\tb  bye\\r\n", shown);
	tool_expect(0, text, "");
	RUN("--check", id);
	tool_expect(0, "bye\\r\n", "");
	RUN("--reset", id);
	(void)snprintf(text, sizeof(text), "reset %s\n", shown);
	tool_expect(0, text, "");
}

Test(cancelreq, an_at_sign_of_a_task_id_is_told_from_that_before_a_run)
{
	RUN("--by", "alice", "multi", "--run", "r@9");
	tool_expect_in(tool.out, "requested multi@r@9 (request ");
	RUN("--by", "alice", "multi@r@9", "why");
	tool_expect(0, "requested multi\\x40r\\x409 (request ID)" NOBODY "\n", "");
	RUN("--status", "multi@r@9");
	tool_expect_in(tool.out, "task      multi@r@9\n");
	RUN("--list", "multi@*");
	tool_expect(0, "pending    AGE  multi\\x40r\\x409  alice  why\n", "");
}

Test(cancelreq, json_is_read_by_python_and_jq_and_is_exact)
{
	static const char id[] = "jobs/7\n\\\"\xf0\x9f\x98\x80";
	char *record;

	RUN("--json", id, "bye");
	tool_expect_field(".task_id", "\"jobs/7\\n\\\\\\\"\xf0\x9f\x98\x80\"");
	record = strdup(tool.out);
	tool_run(WORDS("python3", "-c",
		       "import json, sys\n"
		       "lines = sys.stdin.read().splitlines()\n"
		       "assert len(lines) == 1, lines\n"
		       "record = json.loads(lines[0])\n"
		       "assert record['task_id'] == 'jobs/7\\n\\\\\"\\U0001f600', record\n"
		       "assert record['status'] == 'pending', record\n"),
		 record);
	tool_expect(0, "", "");
	free(record);
}

Test(cancelreq, json_is_the_record_as_on_disk)
{
	struct stat info;
	char text[4096];
	int fd;

	RUN("--json", "task_123", "why");
	fd = open(tool_path("spool/pending/task_123.json"), O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && fstat(fd, &info) == 0 && info.st_size < (off_t)sizeof(text));
	text[read(fd, text, sizeof(text) - 1)] = '\0';
	(void)close(fd);
	cr_assert_str_eq(tool.out, text);
	RUN("--json", "task_123", "again");
	cr_assert_str_eq(tool.out, text, "the one that stands");
}

Test(cancelreq, the_requester_is_the_login_name_unless_another_is_given)
{
	const struct passwd *user = getpwuid(geteuid());
	char name[300];

	RUN("--json", "task_123");
	(void)snprintf(name, sizeof(name), "\"%s\"", user->pw_name);
	tool_expect_field(".requester.name", name);
	RUN("--json", "--by", "intake", "task_124");
	tool_expect_field(".requester.name", "\"intake\"");
	tool_expect_field(".requester.program", "\"cancelreq\"");
}

Test(cancelreq, run_means_one_run_of_the_task)
{
	RUN("task", "--run", "7/1", "why");
	tool_expect(0,
		    "requested task@7/1 (request ID); nobody is running it now; it will stop that run when "
		    "it begins\n",
		    "");
	RUN("--check", "task");
	tool_expect(1, "", "");
	RUN("--check", "task", "--run", "7/1");
	tool_expect(0, "why\n", "");
	RUN("--check", "task", "--run", "7/2");
	tool_expect(1, "", "");
}

Test(cancelreq, after_is_a_request_that_takes_effect_later)
{
	RUN("--by", "alice", "--after", "2h", "task", "soon");
	tool_expect(0, "requested task (request ID), takes effect at TIME; nobody is running it now\n", "");
	RUN("--check", "task");
	tool_expect(1, "takes effect at TIME: soon\n", "");
	RUN("task");
	tool_expect(0, "already pending task (request ID, by alice, AGE ago: soon)" NOBODY "\n", "");
	RUN("--check", "task");
	tool_expect(0, "soon\n", ""); /* the sooner of both */
}

Test(cancelreq, after_is_told_by_everyone)
{
	RUN("--by", "alice", "--after", "2h", "task", "soon");
	RUN("--after", "3h", "task");
	tool_expect(0,
		    "already pending task (request ID, by alice, AGE ago: soon), takes effect at TIME; "
		    "nobody is running it now\n",
		    "");
	RUN("--check", "task");
	tool_expect(1, "takes effect at TIME: soon\n", "");
	RUN("--check", "--json", "task");
	tool_expect_exit(1);
	tool_expect_field(".cancel_at | type", "\"string\"");
	RUN("--list");
	tool_expect(0, "scheduled  AGE  task  alice  soon\n", "");
}

Test(cancelreq, after_zero_is_at_once)
{
	RUN("--after", "0s", "task");
	tool_expect(0, "requested task (request ID)" NOBODY "\n", "");
}

Test(cancelreq, expires_is_rounded_up_to_seconds)
{
	RUN("--json", "--expires", "1500ms", "a");
	tool_expect_field(".expires_in_s", "2");
	RUN("--json", "--expires", "2m", "b");
	tool_expect_field(".expires_in_s", "120");
	RUN("--json", "--expires", "never", "c");
	tool_expect_field(".expires_in_s", "null");
	RUN("--json", "d");
	tool_expect_field(".expires_in_s", "86400");
}

Test(cancelreq, quiet_says_nothing_but_failures)
{
	RUN("-q", "task");
	tool_expect(0, "", "");
	RUN("--quiet", "task");
	tool_expect(0, "", "");
	RUN("-q", "--check", "task");
	tool_expect(0, "", "");
	RUN("-q", "--status", "task");
	tool_expect(0, "", "");
	RUN("-q", "--ack", "task");
	tool_expect(0, "", "");
	RUN("-q", "--ack", "task");
	tool_expect(1, "", "");
	RUN("-q", "--withdraw", "task");
	tool_expect(1, "", "");
	RUN("-q", "--reset", "task");
	tool_expect(0, "", "");
	RUN("-q", "");
	tool_expect_exit(2);
	cr_assert_str_eq(tool.out, "");
	cr_assert(strlen(tool.err) > 0);
}

/* Answering. */

Test(cancelreq, check_says_yes_with_the_reason_and_no)
{
	RUN("task", "deleted by alice");
	RUN("--check", "task");
	tool_expect(0, "deleted by alice\n", "");
	RUN("--check", "--json", "task");
	tool_expect_field(".reason", "\"deleted by alice\"");
	RUN("--check", "other");
	tool_expect(1, "", "");
	RUN("--ack", "task");
	RUN("--check", "task");
	tool_expect(1, "", "");
}

Test(cancelreq, check_is_no_no_when_something_else_stands_there)
{
	RUN("-q", "task");
	cr_assert(mkfifo(tool_path("spool/pending/other.json"), 0600) == 0);
	RUN("--check", "other");
	tool_expect_exit(3);
	cr_assert_str_eq(tool.out, "");
}

Test(cancelreq, ack_decides_with_outcome_and_detail)
{
	static const char *const outcomes[] = {"stopped", "finished", "failed", "refused"};

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		RUN("-q", "task");
		RUN("--ack", "task", "--json", "--outcome", outcomes[i], "--detail", "half of it");
		tool_expect_exit(0);
		cr_assert_str_eq(tool_field("[.status, .detail] | join(\" \")"), "\"processed half of it\"");
		RUN("--status", "task", "--json");
		tool_expect_in(tool_field(".outcome"), outcomes[i]);
	}
}

Test(cancelreq, ack_of_nothing_is_no_and_tells_the_latest)
{
	RUN("-q", "other");
	RUN("--ack", "task");
	tool_expect(1, "nothing pending for task\n", "");
	RUN("--by", "alice", "task", "why");
	RUN("--ack", "task", "--detail", "3 of 4\n");
	tool_expect(0, "stopped task (request ID, by alice, AGE ago: why)\n", "");
	RUN("--ack", "task");
	tool_expect(1,
		    "nothing pending for task; the latest request: stopped by pid PID on HOST AGE ago: 3 of "
		    "4\\n\n",
		    "");
	RUN("--ack", "task", "--json");
	tool_expect(1, "", "");
}

Test(cancelreq, ack_of_a_run_decides_the_task_and_that_run)
{
	RUN("-q", "task");
	RUN("-q", "task", "--run", "1");
	RUN("-q", "task", "--run", "2");
	RUN("--ack", "task", "--run", "1", "--json");
	tool_expect_exit(0);
	tool_run(WORDS("jq", "-c", ".run"), strdupa(tool.out));
	tool_expect(0, "null\n\"1\"\n", "");
	RUN("--ack", "task", "--run", "1");
	tool_expect_exit(1);
	RUN("-q", "task", "--run", "1");
	RUN("-q", "--ack", "task", "--run", "1");
	tool_expect(0, "", "");
	RUN("--check", "task", "--run", "2");
	tool_expect(0, "(none given)\n", "");
}

Test(cancelreq, withdraw_takes_back_the_exact_name)
{
	RUN("--by", "alice", "task", "why");
	RUN("--withdraw", "task", "--run", "1");
	tool_expect(1, "nothing pending for task@1\n", "");
	RUN("--withdraw", "task");
	tool_expect(0, "withdrawn task (request ID, by alice, AGE ago: why)\n", "");
	RUN("--withdraw", "task");
	tool_expect(1, "nothing pending for task; the latest request: withdrawn by pid PID on HOST AGE ago\n",
		    "");
}

Test(cancelreq, reset_makes_fresh_and_says_whether_it_was)
{
	RUN("-q", "task");
	RUN("--reset", "task");
	tool_expect(0, "reset task\n", "");
	RUN("--reset", "task");
	tool_expect(0, "task was fresh already\n", "");
	RUN("--status", "task");
	tool_expect(1, "nothing known of task\n", "");
	RUN("--status", "task", "--json");
	tool_expect(1, "", "");
}

Test(cancelreq, reset_means_the_exact_name)
{
	RUN("-q", "task");
	RUN("-q", "task", "--run", "1");
	RUN("--reset", "task", "--run", "1");
	tool_expect(0, "reset task@1\n", "");
	RUN("--check", "task", "-q");
	tool_expect(0, "", "");
	RUN("--status", "task", "--run", "1");
	tool_expect(1, "nothing known of task@1\n", "");
}

Test(cancelreq, status_shows_everything_that_is_known)
{
	RUN("--by", "alice", "task", "--expires", "1h", "--after", "30m", "deleted\n");
	RUN("--status", "task");
	tool_expect_exit(0);
	tool_expect_in(tool_plain(tool.out),
		       "task      task\nstatus    pending\nrequest   ID\nreason    deleted\\n\n");
	tool_expect_in(tool_plain(tool.out),
		       "asked     TIME (AGE ago)\nby        alice, program cancelreq, uid ");
	tool_expect_in(tool_plain(tool.out), "effective TIME (in 29 min)\nexpires   1h after it was asked\n");
	RUN("-q", "--ack", "task", "--outcome", "failed", "--detail", "disk");
	RUN("--status", "task");
	tool_expect_in(tool.out, "status    processed\n");
	tool_expect_in(tool_plain(tool.out), "outcome   failed\ndecided   TIME (AGE ago)\nworker    uid ");
	tool_expect_in(tool.out, "detail    disk\n");
}

Test(cancelreq, list_picks_by_state_and_pattern)
{
	RUN("-q", "--by", "alice", "nightly-1", "why");
	RUN("-q", "--by", "bob", "nightly-2", "--run", "7");
	RUN("-q", "--by", "bob", "hourly");
	RUN("-q", "--ack", "nightly-1", "--outcome", "finished");
	RUN("--list", "nightly-*");
	tool_expect(0, "pending    AGE  nightly-2@7  bob  (none given)\n", "");
	RUN("--list", "--state", "processed");
	tool_expect(0, "finished   AGE  nightly-1  alice  why\n", "");
	RUN("--list", "--state", "all", "nightly-?");
	tool_expect(0,
		    "pending    AGE  nightly-2@7  bob  (none given)\nfinished   AGE  nightly-1  alice  why\n",
		    "");
	RUN("--list", "none-*");
	tool_expect(0, "", "");
	RUN("--list", "--json", "--state", "all");
	tool_expect_exit(0);
	tool_run(WORDS("python3", "-c",
		       "import json, sys\n"
		       "print(sorted(json.loads(line)['task_id'] for line in sys.stdin))"),
		 strdupa(tool.out));
	tool_expect(0, "['hourly', 'nightly-1', 'nightly-2']\n", "");
}

Test(cancelreq, list_reports_what_is_no_request_and_goes_on)
{
	RUN("-q", "--by", "alice", "task", "why");
	cr_assert(mkfifo(tool_path("spool/pending/pipe.json"), 0600) == 0);
	RUN("--list");
	tool_expect_exit(0);
	cr_assert_str_eq(tool_plain(tool.out), "pending    AGE  task  alice  why\n");
	tool_expect_in(tool.err, "pipe.json");
	tool_expect_in(tool.err, "cancelreq: 1 entry refused; see cancelwatch doctor\n");
}
