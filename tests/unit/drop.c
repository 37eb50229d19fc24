/* Drops: plain files that foreign programs leave in the spool's directory. */
#include "drop.h"

#include "lock.h"
#include "shifted_clock.h"
#include "spool_case.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REPORTS = 64 };

static struct report {
	enum cancel_drop_result result;
	char file[256], task_id[CANCEL_TASK_ID_MAX + 1], refusal[CANCEL_ERROR_TEXT_MAX];
	bool malformed;
} reports[REPORTS];
static int report_count;

static void note(void *arg, enum cancel_drop_result result, const char *file, const struct cancel_request *request,
		 const struct cancel_error *refusal)
{
	struct report *report = &reports[report_count++];

	cr_assert_eq(arg, reports);
	cr_assert_eq(request != NULL, result == CANCEL_DROP_TAKEN || result == CANCEL_DROP_COALESCED);
	cr_assert_eq(refusal != NULL, result == CANCEL_DROP_REFUSED);
	report->result = result;
	(void)snprintf(report->file, sizeof(report->file), "%s", file);
	(void)snprintf(report->task_id, sizeof(report->task_id), "%s", request ? request->task_id : "");
	(void)snprintf(report->refusal, sizeof(report->refusal), "%s", refusal ? refusal->text : "");
	report->malformed = request && request->malformed;
}

static int intake(void)
{
	report_count = 0;
	return cancel_spool_intake(spool, note, reports, &error);
}

static void expect_report(enum cancel_drop_result result, const char *file)
{
	cr_assert_eq(report_count, 1, "%d reports", report_count);
	cr_assert_eq(reports[0].result, result, "%d: %s", reports[0].result, reports[0].refusal);
	cr_assert_str_eq(reports[0].file, file);
}

TestSuite(drop, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

Test(drop, a_record_is_published_and_removed)
{
	put("task_1.json", "{\"task_id\": \"task_1\", \"reason\": \"gone\", \"x\": 1}");
	EXPECT(0, intake());
	expect_report(CANCEL_DROP_TAKEN, "task_1.json");
	cr_assert_str_eq(reports[0].task_id, "task_1");
	cr_assert(!reports[0].malformed);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("task_1", NULL));
	cr_assert_str_eq(found.reason, "gone");
	cr_assert_eq(strlen(found.request_id), CANCEL_REQUEST_ID_LENGTH);
	cr_assert(!there("task_1.json"));
	cr_assert_eq(count_in("tmp"), 0);
	cr_assert_eq(stat_of("pending/task_1.json").st_mtim.tv_sec, found.requested_at_us / 1000000 + 24 * 3600,
		     "the mtime is not the expiry");
	EXPECT(0, intake());
	cr_assert_eq(report_count, 0);
}

Test(drop, an_empty_file_cancels_once_it_has_settled)
{
	put("a.json", "");
	EXPECT(1, intake());
	expect_report(CANCEL_DROP_UNSETTLED, "a.json");
	cr_assert(there("a.json"));
	time_passes(6);
	EXPECT(0, intake());
	expect_report(CANCEL_DROP_TAKEN, "a.json");
	cr_assert(reports[0].malformed);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.reason, "(none given)");
	cr_assert_eq(found.requester.uid, geteuid());
}

Test(drop, malformed_content_still_cancels_and_the_event_says_so)
{
	put("a.json", "cancel, please");
	put("b.json", "{\"reason\": 7}");
	put("c.json", "{\"reason\": \"x\", \"reason\": \"y\"}");
	EXPECT(3, intake());
	time_passes(6);
	EXPECT(0, intake());
	cr_assert_eq(report_count, 3);
	for (int i = 0; i < 3; i++)
		cr_assert(reports[i].result == CANCEL_DROP_TAKEN && reports[i].malformed);
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(1, check("b", NULL, NULL));
	EXPECT(1, check("c", NULL, NULL));
}

Test(drop, an_oversized_one_is_refused_and_left)
{
	put("a.json", "{}");
	cr_assert_eq(truncate(at("a.json"), CANCEL_RECORD_MAX + 1), 0);
	put("b.json", "{}");
	EXPECT(0, intake());
	cr_assert_eq(report_count, 2);
	cr_assert(there("a.json"));
	EXPECT(1, check("b", NULL, NULL));
	EXPECT(0, check("a", NULL, NULL));
}

/* DESIGN.md, invariant 16 */
Test(drop, what_is_no_regular_file_is_refused_left_and_not_blocked_on)
{
	put("../victim", "{}");
	cr_assert_eq(symlink(at("../victim"), at("a.json")), 0);
	cr_assert_eq(mkfifo(at("b.json"), 0600), 0);
	cr_assert_eq(mkdir(at("c.json"), 0700), 0);
	put("d.json", "{}");
	EXPECT(0, intake());
	cr_assert_eq(report_count, 4);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(reports[i].result == CANCEL_DROP_TAKEN, !strcmp(reports[i].file, "d.json"));
	cr_assert(there("a.json") && there("b.json") && there("c.json") && there("../victim"));
	EXPECT(1, check("d", NULL, NULL));
}

Test(drop, text_about_another_task_is_refused)
{
	put("a.json", "{\"task_id\": \"b\"}");
	EXPECT(0, intake());
	expect_report(CANCEL_DROP_REFUSED, "a.json");
	cr_assert_not_null(strstr(reports[0].refusal, "another task"));
	EXPECT(0, check("a", NULL, NULL));
	EXPECT(0, check("b", NULL, NULL));
	cr_assert(there("a.json"));
}

Test(drop, an_id_that_a_foreign_program_did_not_encode_is_understood)
{
	put("a b@c%.json", "{\"task_id\": \"a b@c%\"}");
	EXPECT(0, intake());
	expect_report(CANCEL_DROP_TAKEN, "a b@c%.json");
	EXPECT(1, check("a b@c%", NULL, NULL));
	put("100%.json", "{}");
	EXPECT(1, check("100%", NULL, NULL));
	put("%41.json", "{}");
	EXPECT(0, intake());
	EXPECT(1, check("%41", NULL, NULL));
}

Test(drop, names_outside_the_grammar_are_left)
{
	put(".a.json", "{}");
	put("a.txt", "{}");
	put("a.json.tmp", "{}");
	EXPECT(0, intake());
	cr_assert_eq(report_count, 0);
	cr_assert(there(".a.json") && there("a.txt") && there("a.json.tmp"));
}

Test(drop, beside_a_request_it_is_merged)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "first", id));
	put("a.json", "{\"reason\": \"second\", \"expires_in_s\": null}");
	EXPECT(0, intake());
	expect_report(CANCEL_DROP_COALESCED, "a.json");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.request_id, id);
	cr_assert_str_eq(found.reason, "first");
	cr_assert_eq(found.expires_in_s, CANCEL_EXPIRES_NEVER);
	cr_assert(!there("a.json"));
	cr_assert_eq(count_in("tmp"), 0);
}

Test(drop, a_copy_of_a_decided_record_is_a_new_request)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	copy("pending/a.json", "runs/kept");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	copy("runs/kept", "a.json");
	EXPECT(1, check("a", NULL, NULL));
	cr_assert_str_neq(found.request_id, id);
}

Test(drop, its_age_begins_when_it_is_taken_in)
{
	put("a.json", "{\"expires_in_s\": 60, \"requested_at\": \"2001-01-01T00:00:00Z\"}");
	set_mtime_ago("a.json", 86400);
	EXPECT(0, intake());
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert(!cancel_request_expired(&found));
}

Test(drop, a_record_that_grows_when_it_is_written_again_is_taken_in)
{
	char *text = malloc(CANCEL_RECORD_MAX + 1), *end = text;

	end += sprintf(end, "{\"reason\": \"big\", \"x\": [0.1");
	while (end - text < CANCEL_RECORD_MAX - 8)
		end += sprintf(end, ",0.1");
	(void)sprintf(end, "]}");
	put("a.json", text);
	put("b.json", "{}");
	EXPECT(0, intake());
	EXPECT(1, check("b", NULL, NULL));
	EXPECT(1, check("a", NULL, NULL));
	cr_assert_str_eq(found.reason, "big");
	free(text);
}

Test(drop, a_run_may_stand_in_the_name_or_in_the_text)
{
	put("a@r.json", "{}");
	put("b.json", "{\"run\": \"r\"}");
	EXPECT(0, intake());
	EXPECT(1, check("a", "r", NULL));
	EXPECT(0, check("a", NULL, NULL));
	EXPECT(1, check("b", "r", NULL));
	EXPECT(0, check("b", NULL, NULL));
}

/* --- a dead intake ---------------------------------------------------------------------------------------- */

/* Repair: one rename both publishes and removes, so what a dead intake left is published once.
 * Mutation: publish_finished() lets entry_publish() write a second file (NULL for `left`) and dies before its unlink:
 * shown here by the file's inode, which must be that of the finished record. */
/* DESIGN.md, invariant 18 */
Test(drop, repair_one_rename_both_publishes_and_removes)
{
	struct stat left;

	put("tmp/a.drop", "{\"task_id\": \"a\", \"reason\": \"left\"}");
	EXPECT(1, check("a", NULL, NULL));
	cr_assert_str_eq(found.reason, "left");
	cr_assert(!there("tmp/a.drop"));
	left = stat_of("pending/a.json");
	cr_assert_eq(left.st_nlink, 1);
	cr_assert_eq(count_in("tmp"), 0);
}

Test(drop, what_a_dead_intake_left_is_put_back_by_a_sweep)
{
	struct cancel_sweep_result result;

	put("tmp/a.drop", "");
	put("tmp/b@r.drop", "{\"reason\": \"left\"}");
	result = sweep(NULL);
	cr_assert_eq(result.put_back, 2);
	cr_assert_eq(result.strangers, 0);
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(1, check("b", "r", NULL));
	cr_assert_eq(count_in("tmp"), 0);
	cr_assert_eq(sweep(NULL).put_back, 0);
}

Test(drop, what_was_left_and_a_new_drop_are_both_taken_in_once)
{
	put("tmp/a.drop", "{\"reason\": \"left\"}");
	put("a.json", "{\"reason\": \"new\"}");
	EXPECT(0, intake());
	expect_report(CANCEL_DROP_COALESCED, "a.json");
	EXPECT(1, check("a", NULL, NULL));
	cr_assert_str_eq(found.reason, "left");
	cr_assert_eq(count_in("pending"), 1);
	cr_assert_eq(count_in("tmp"), 0);
}

Test(drop, what_was_left_and_names_nobody_is_kept_for_people)
{
	struct cancel_sweep_result result;
	char name[200];

	memset(name, 'x', sizeof(name));
	(void)memcpy(name, "tmp/", 4);
	(void)sprintf(name + 104, "%%~0123456789abcdef0123456789abcdef.drop"); /* a cut name, and no text */
	put(name, "no json");
	put("tmp/b.drop", "{}");
	result = sweep(NULL);
	cr_assert_eq(result.put_back, 1, "%ld", (long)result.put_back);
	cr_assert_eq(result.refused, 1);
	cr_assert(there(name));
	EXPECT(1, check("b", NULL, NULL));
}

/* An intake that waits is ended long before CANCEL_LOCK_WAIT_MS: with 1, the number of no signal. */
static void give_up(int signal_number)
{
	(void)signal_number;
	_exit(1);
}

static int intake_in_child(void *arg)
{
	(void)arg;
	(void)signal(SIGALRM, give_up);
	(void)alarm(1);
	(void)cancel_spool_intake(spool, NULL, NULL, NULL);
	return 0;
}

/* Repair: the name's lock is held throughout. While somebody holds it, an intake cannot begin, and a sweep leaves what
 * is in tmp/ alone.
 * Mutation: take_once() takes no lock. */
/* DESIGN.md, invariant 18 */
Test(drop, repair_an_intake_waits_for_the_names_lock)
{
	struct name_lock lock;

	EXPECT(0, lock_take(spool, "a", &lock, &error));
	put("a.json", "{}");
	cr_assert_eq(in_child_as(0, intake_in_child, NULL), 1);
	cr_assert(there("a.json"));
	cr_assert_eq(count_in("tmp"), 0);
	put("b.json", "{}");
	lock_drop(&lock);
	EXPECT(0, intake());
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(1, check("b", NULL, NULL));
}

static int intake_racing(void *arg)
{
	(void)arg;
	return cancel_spool_intake(spool, NULL, NULL, NULL) < 0 ? 1 : 0;
}

Test(drop, many_intakes_at_once_take_each_drop_once)
{
	int results[8];
	char name[32];

	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "task%d.json", i);
		put(name, "{}");
	}
	in_children(8, intake_racing, NULL, results);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(results[i], 0);
	cr_assert_eq(count_in("pending"), 200);
	cr_assert_eq(count_in("tmp"), 0);
	cr_assert_eq(count_in("refused"), 0);
}

/* DESIGN.md, invariant 21 */
Test(drop, the_owner_of_the_drop_is_the_requester)
{
	need_root();
	put("a.json", "{\"requester\": {\"name\": \"n\", \"uid\": 0}}");
	cr_assert_eq(chown(at("a.json"), SOMEBODY, (gid_t)-1), 0);
	EXPECT(0, intake());
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(found.requester.uid, SOMEBODY);
	cr_assert_str_eq(found.requester.name, "n");
}
