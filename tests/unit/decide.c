/* Deciding and resetting. */
#include "clock.h"
#include "shifted_clock.h"
#include "spool_case.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(decide, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

static char id[CANCEL_REQUEST_ID_LENGTH + 1];

static int decide_in(struct cancel_request *decided, const char *request_id, enum cancel_outcome outcome,
		     const char *detail)
{
	cancel_request_clear(decided);
	return cancel_spool_decide(spool, "a", NULL, request_id, outcome, detail, decided, &error);
}

Test(decide, the_processed_record_says_by_whom_when_and_how)
{
	int64_t before_us = clock_realtime_us();

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", id));
	EXPECT(CANCEL_DECIDED, decide_in(&found, id, CANCEL_OUTCOME_FAILED, "disk \"full\"\n"));
	for (int look = 0; look < 2; look++) {
		cr_assert_eq(found.status, CANCEL_STATUS_PROCESSED);
		cr_assert_eq(found.outcome, CANCEL_OUTCOME_FAILED);
		cr_assert_str_eq(found.detail, "disk \"full\"\n");
		cr_assert_str_eq(found.request_id, id);
		cr_assert_str_eq(found.reason, "why");
		cr_assert(found.processed_at_us >= before_us && found.processed_at_us <= clock_realtime_us());
		cr_assert_str_eq(found.processed_boot_id, clock_boot_id());
		cr_assert_gt(found.processed_boottime_ns, 0);
		cr_assert_eq(found.worker.uid, geteuid());
		cr_assert_eq(found.worker.pid, getpid());
		cr_assert_not_null(found.worker.host);
		cr_assert_null(found.worker.run);
		cr_assert_str_eq(found.last_cancel_id, id);
		EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	}
	cr_assert_eq(count_in("pending") + count_in("tmp"), 0);
	cr_assert_eq(stat_of("processed/a.json").st_mtim.tv_sec, found.processed_at_us / 1000000);
}

Test(decide, a_runs_decision_names_the_run)
{
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
	EXPECT(-ENOENT, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_DECIDED, decide("a", "r", NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", "r"));
	cr_assert_str_eq(found.worker.run, "r");
	cr_assert_str_eq(found.run, "r");
}

Test(decide, each_outcome_is_kept)
{
	for (int outcome = CANCEL_OUTCOME_STOPPED; outcome <= CANCEL_OUTCOME_EXPIRED; outcome++) {
		EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
		EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, (enum cancel_outcome)outcome));
		EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
		cr_assert_eq((int)found.outcome, outcome);
	}
}

Test(decide, arguments_out_of_range_decide_nothing)
{
	static char detail[CANCEL_DETAIL_MAX + 2];

	memset(detail, 'x', CANCEL_DETAIL_MAX + 1);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(-EINVAL, decide_in(&found, NULL, CANCEL_OUTCOME_NONE, NULL));
	EXPECT(-EINVAL, decide_in(&found, NULL, (enum cancel_outcome)7, NULL));
	EXPECT(-EMSGSIZE, decide_in(&found, NULL, CANCEL_OUTCOME_STOPPED, detail));
	EXPECT(-EILSEQ, decide_in(&found, NULL, CANCEL_OUTCOME_STOPPED, "\xff"));
	cr_assert_null(found.json, "a failure set the result");
	cr_assert_eq(count_in("processed"), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.request_id, id);
}

Test(decide, nothing_pending_is_told)
{
	EXPECT(-ENOENT, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT_WORDS("nothing is pending for 'a'");
	EXPECT(-ENOENT, decide("a", NULL, "0123456789abcdef0123456789abcdef", CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(count_in("processed"), 0);
}

Test(decide, another_request_than_the_pending_one_is_not_decided)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(-ENOENT, decide("a", NULL, "0123456789abcdef0123456789abcdef", CANCEL_OUTCOME_STOPPED));
	EXPECT_WORDS(id);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

Test(decide, already_decided_answers_by_whom_and_how)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide_in(&found, id, CANCEL_OUTCOME_FINISHED, "first"));
	EXPECT(CANCEL_ALREADY_DECIDED, decide_in(&found, id, CANCEL_OUTCOME_STOPPED, "second"));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_FINISHED);
	cr_assert_str_eq(found.detail, "first");
	cr_assert_eq(found.worker.pid, getpid());
	EXPECT(CANCEL_ALREADY_DECIDED,
	       cancel_spool_decide(spool, "a", NULL, id, CANCEL_OUTCOME_STOPPED, NULL, NULL, &error));
	EXPECT(-ENOENT, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
}

/* Repair: decide reads processed first.
 * Mutation: entry_read() does not read processed, or decide_standing() does not look at standing->litter. */
/* DESIGN.md, invariant 4 */
Test(decide, repair_a_request_decided_before_a_kill_is_not_decided_again)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_FINISHED));
	copy("processed/a.json", "pending/a.json"); /* the kill came before the unlink */
	EXPECT(CANCEL_ALREADY_DECIDED, decide_in(&found, id, CANCEL_OUTCOME_STOPPED, NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_FINISHED);
	cr_assert(!there("pending/a.json"), "litter was left");
	copy("processed/a.json", "pending/a.json");
	EXPECT(-ENOENT, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert(!there("pending/a.json"), "litter was left");
}

Test(decide, the_request_after_a_decided_one_is_decided_on_its_own)
{
	char second[CANCEL_REQUEST_ID_LENGTH + 1];

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, second));
	EXPECT(CANCEL_ALREADY_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, second, CANCEL_OUTCOME_STOPPED));
	EXPECT(-ENOENT, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED)); /* the latest only is remembered */
}

/* Repair: withdrawn and expired keep the previous cancel id.
 * Mutation: fill_decision() always takes the request's own id. */
/* DESIGN.md, invariant 10 */
Test(decide, repair_withdrawn_and_expired_keep_the_previous_cancel_id)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_WITHDRAWN, CANCEL_OUTCOME_EXPIRED};

	for (int i = 0; i < 2; i++) {
		EXPECT(CANCEL_REQUESTED, ask("b", NULL, NULL, NULL));
		EXPECT(CANCEL_DECIDED, decide("b", NULL, NULL, outcomes[i]));
		EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("b", NULL));
		cr_assert_str_eq(found.last_cancel_id, "");
	}
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_REFUSED));
	for (int i = 0; i < 2; i++) {
		EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
		EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, outcomes[i]));
		EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
		cr_assert_str_eq(found.last_cancel_id, id);
	}
}

/* --- one of many ---------------------------------------------------------------------------------------- */

static int decide_in_child(void *arg)
{
	return decide("a", NULL, arg, CANCEL_OUTCOME_STOPPED) + 10;
}

/* DESIGN.md, invariant 5 */
Test(decide, exactly_one_of_many_processes_wins)
{
	enum { DECIDERS = 16 };
	int results[DECIDERS];

	for (int round = 0; round < 10; round++) {
		int won = 0;

		EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
		in_children(DECIDERS, decide_in_child, id, results);
		for (int i = 0; i < DECIDERS; i++) {
			won += results[i] == 10 + CANCEL_DECIDED;
			cr_assert(results[i] == 10 + CANCEL_DECIDED || results[i] == 10 + CANCEL_ALREADY_DECIDED, "%d",
				  results[i] - 10);
		}
		cr_assert_eq(won, 1);
	}
}

static void *decide_in_thread(void *arg)
{
	*(int *)arg = cancel_spool_decide(spool, "a", NULL, id, CANCEL_OUTCOME_STOPPED, NULL, NULL, NULL);
	return NULL;
}

/* DESIGN.md, invariant 5 */
Test(decide, exactly_one_of_many_threads_wins)
{
	enum { THREADS = 16 };
	pthread_t threads[THREADS];
	int results[THREADS], won = 0;

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, decide_in_thread, &results[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
		won += results[i] == CANCEL_DECIDED;
	}
	cr_assert_eq(won, 1);
}

/* --- what stands in the way ------------------------------------------------------------------------------- */

Test(decide, what_is_no_request_is_not_decided)
{
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(-EBADMSG, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert(there("pending/a.json"));
	cr_assert_eq(count_in("processed"), 0);
}

Test(decide, what_stands_in_the_processed_records_place_is_moved_aside_and_not_deleted)
{
	put("../victim", "kept");
	cr_assert_eq(symlink(at("../victim"), at("processed/a.json")), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(stat_of("../victim").st_size, 4);
	cr_assert_eq(count_in("refused"), 1, "the link was deleted");
	cr_assert_eq(mkdir(at("processed/b.json"), 0700), 0);
	EXPECT(CANCEL_REQUESTED, ask("b", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("b", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(count_in("refused"), 2);
}

Test(decide, an_empty_processed_record_is_as_good_as_none)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	put("processed/a.json", "");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
}


Test(decide, a_drop_of_the_name_is_taken_in_and_decided)
{
	put("a.json", "{\"reason\": \"dropped\"}");
	EXPECT(CANCEL_DECIDED, decide_in(&found, NULL, CANCEL_OUTCOME_STOPPED, NULL));
	cr_assert_str_eq(found.reason, "dropped");
	cr_assert(!there("a.json"));
}

/* --- reset ------------------------------------------------------------------------------------------------ */

static int reset(const char *task_id, const char *run)
{
	return cancel_spool_reset(spool, task_id, run, &error);
}

Test(decide, reset_makes_a_name_fresh)
{
	struct cancel_mark mark;

	EXPECT(0, reset("a", NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(1, reset("a", NULL));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(1, reset("a", NULL));
	EXPECT(0, reset("a", NULL));
	EXPECT(0, cancel_spool_mark(spool, "a", NULL, &mark, &error));
	cr_assert_str_eq(mark.task_cancel_id, "");
	cr_assert_eq(count_in("pending") + count_in("processed") + count_in("tmp"), 0);
}

Test(decide, reset_is_of_the_exact_name)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
	EXPECT(1, reset("a", "r"));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", "r"));
}

Test(decide, reset_removes_litter_and_drops_too)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	copy("processed/a.json", "pending/a.json");
	EXPECT(1, reset("a", NULL));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	put("a.json", "{}");
	EXPECT(1, reset("a", NULL));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	cr_assert(!there("a.json"));
}

static int reset_in_child(void *arg)
{
	(void)arg;
	return cancel_spool_reset(spool, "a", NULL, &error) < 0 ? 1 : 0;
}

/* Repair: reset removes the processed record last, and not before litter is out. Here nobody but root may remove the
 * litter, which is a kill at that moment, over and over.
 * Mutation: reset_locked() does not call clear_litter(), or removes processed first. */
/* DESIGN.md, invariant 4 */
Test(decide, repair_reset_keeps_the_processed_record_while_litter_stands)
{
	struct cancel_spool_options options;

	need_root();
	cr_assert_eq(chmod(place_root, 0755), 0);
	cancel_spool_close(spool);
	spool = NULL;
	cr_assert_eq(chmod(place_path, 0777), 0);
	cancel_spool_options_init(&options);
	cr_assert_eq(chmod(place_path, 02770), 0);
	for (int i = 0; i < 5; i++) {
		static const char *const dirs[] = {"pending", "processed", "tmp", "refused", "runs"};

		cr_assert_eq(chown(at(dirs[i]), 0, SHARED_GROUP), 0);
		cr_assert_eq(chmod(at(dirs[i]), 02770), 0);
	}
	cr_assert_eq(chown(at("lock"), 0, SHARED_GROUP), 0);
	cr_assert_eq(chmod(at("lock"), 0660), 0);
	cr_assert_eq(chmod(at("version"), 0644), 0);
	cr_assert_eq(chown(place_path, 0, SHARED_GROUP), 0);
	cr_assert_eq(chmod(place_path, 02770), 0);
	EXPECT(0, spool_case_reopen(&options));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	/* Sticky: the other user may put files here and not remove root's. */
	cr_assert_eq(chmod(at("pending"), 03770), 0);
	cr_assert_eq(in_child_as(SOMEBODY, reset_in_child, NULL), 1, "a reset that could not was told as done");
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	EXPECT(0, check("a", NULL, NULL));
}

Test(decide, what_was_decided_is_known_though_something_else_stands_in_pending)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(CANCEL_ALREADY_DECIDED, decide_in(&found, id, CANCEL_OUTCOME_FAILED, NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_STOPPED);
	EXPECT(CANCEL_ALREADY_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_FAILED));
	EXPECT(-EBADMSG, decide("a", NULL, NULL, CANCEL_OUTCOME_FAILED));
}

Test(decide, nothing_is_pending_while_its_file_is_being_written)
{
	put("pending/a.json", "");
	EXPECT(-ENOENT, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT_WORDS("still being written");
	cr_assert(there("pending/a.json"));
}
