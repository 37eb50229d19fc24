/*
 * SIGKILL at each system call of each operation in turn, before the call is done; a walk goes over all of
 * them, so it covers every gap. Whatever is found then, the spool opens, nothing that was accepted is lost,
 * what was decided is decided once, no draft is read as a request, and every kind of operation works.
 *
 * Mutations that this catches: pending removed before processed is written (nothing left in between); a
 * record written in its place instead of renamed there (a part is read); the processed record removed before
 * its litter (decided comes back); a drop copied instead of renamed (doubled) or removed before it is
 * published (lost); a lease that is kept alive by nobody; a run that decides what is for a group.
 *
 * Under a checker that makes everything slow ($CANCEL_TEST_SLOW) about SAMPLE calls of each operation are
 * taken.
 */
#include "scene.h"
#include "strace.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TIMEOUT_S = 600,
	SAMPLE = 8,
	SURVIVORS_SHARE = 20,
	ATTEMPTS = 5,
	LISTINGS = 5, /* at most one in so many */
	KILLED = 128 + 9,
};

TestSuite(kill, .timeout = TIMEOUT_S);

/* --- what is found afterwards ------------------------------------------------------------------------- */

static void expect(bool holds, const char *what, int code, const struct cancel_request *found)
{
	cr_assert(holds, "%s: expected %s, found state %d, request '%s', outcome %s", scene.where, what, code,
		  found->request_id, cancel_outcome_text(found->outcome));
}

static void check_new_or_none(void)
{
	struct cancel_request found;
	int code = scene_look(&found);

	expect(code == CANCEL_LOOKUP_NONE ||
		       (code == CANCEL_LOOKUP_PENDING && !strcmp(found.reason, "because")),
	       "nothing, or the whole request", code, &found);
	cancel_request_clear(&found);
}

static void check_standing(void)
{
	struct cancel_request found;
	int code = scene_look(&found);

	expect(code == CANCEL_LOOKUP_PENDING && scene_is_accepted(&found), "the request pending", code,
	       &found);
	cancel_request_clear(&found);
}

/* Pending, or decided with this outcome; and it can be decided once more only if it was pending. */
static void check_decided_once(enum cancel_outcome outcome)
{
	struct cancel_request found;
	int code = scene_look(&found), again;
	bool decided = code == CANCEL_LOOKUP_PROCESSED && found.outcome == outcome;

	expect(scene_is_accepted(&found) && (decided || code == CANCEL_LOOKUP_PENDING),
	       "it pending, or decided", code, &found);
	again = scene_decide(scene.accepted, CANCEL_OUTCOME_FAILED);
	cr_assert_eq(again, decided ? CANCEL_ALREADY_DECIDED : CANCEL_DECIDED, "%s: %d after state %d",
		     scene.where, again, code);
	cr_assert_eq(scene_decide(scene.accepted, CANCEL_OUTCOME_FAILED), CANCEL_ALREADY_DECIDED,
		     "%s: decided twice", scene.where);
	cr_assert_neq(access(scene_path("pending/" TASK ".json"), F_OK), 0, "%s: litter was left",
		      scene.where);
	cancel_request_clear(&found);
}

static void check_acknowledged(void)
{
	check_decided_once(CANCEL_OUTCOME_STOPPED);
}

static void check_withdrawn(void)
{
	check_decided_once(CANCEL_OUTCOME_WITHDRAWN);
}

static void check_expired(void)
{
	check_decided_once(CANCEL_OUTCOME_EXPIRED);
}

static void check_reset(void)
{
	struct cancel_request found;
	int code = scene_look(&found);
	bool withdrawn = code == CANCEL_LOOKUP_PROCESSED && found.outcome == CANCEL_OUTCOME_WITHDRAWN;

	expect(code == CANCEL_LOOKUP_NONE ||
		       (scene_is_accepted(&found) && (withdrawn || code == CANCEL_LOOKUP_PENDING)),
	       "it pending, withdrawn or gone", code, &found);
	cancel_request_clear(&found);
}

/* Decided long ago: it may be forgotten, and must not come back to life. */
static void check_not_alive(void)
{
	struct cancel_request found;
	int code = scene_look(&found);

	expect(code != CANCEL_LOOKUP_PENDING || !scene_is_accepted(&found), "the decided request dead", code,
	       &found);
	cancel_request_clear(&found);
}

/* Asked anew in the place of one that expired, and of one that was decided. */
static void check_replaced(void)
{
	struct cancel_request found;
	int code = scene_look(&found);
	bool expired = code == CANCEL_LOOKUP_PROCESSED && found.outcome == CANCEL_OUTCOME_EXPIRED;

	expect(code == CANCEL_LOOKUP_PENDING || (expired && scene_is_accepted(&found)), "old, expired or new",
	       code, &found);
	cancel_request_clear(&found);
}

static void finish_intake(void)
{
	struct cancel_sweep_result result;

	cr_assert_eq(cancel_spool_intake(scene.spool, NULL, NULL, &scene.error), 0, "%s: %s", scene.where,
		     scene.error.text);
	cr_assert_eq(cancel_spool_sweep(scene.spool, NULL, NULL, NULL, &result, &scene.error), 0, "%s: %s",
		     scene.where, scene.error.text);
	cr_assert_neq(access(scene_path(TASK ".json"), F_OK), 0, "%s: the drop is still there", scene.where);
	cr_assert_neq(access(scene_path("tmp/" TASK ".drop"), F_OK), 0, "%s: the drop is stuck in tmp",
		      scene.where);
}

/* By somebody who does not name it, so that the drop must have come back by the sweep. */
static void check_taken_in(void)
{
	struct cancel_request found;
	int code;

	finish_intake();
	code = scene_look(&found);
	expect(code == CANCEL_LOOKUP_PENDING && !strcmp(found.reason, DROP_REASON), "the drop's request",
	       code, &found);
	cr_assert_eq(found.expires_in_s, DROP_LIFE_S, "%s: the drop's terms are lost", scene.where);
	cancel_request_clear(&found);
}

static void check_merged(void)
{
	struct cancel_request found;
	int code;

	finish_intake();
	code = scene_look(&found);
	expect(code == CANCEL_LOOKUP_PENDING && scene_is_accepted(&found), "the standing request", code,
	       &found);
	cr_assert_geq(found.expires_in_s, DROP_LIFE_S, "%s: the drop's terms are lost", scene.where);
	cancel_request_clear(&found);
}

/* --- what is found after a run ------------------------------------------------------------------------ */

/* Its lease is dead, whatever it was about to do. The next run took it over, or left it to a sweep because it
 * is young, and left none of its own. */
static void check_leases(void)
{
	scene_check_no_runs();
	cr_assert_leq(scene_count("runs"), 1, "%s: the next run left a lease", scene.where);
}

/* Nobody asked, so nobody is stopped, and nothing is decided. */
static void check_run_free(void)
{
	struct cancel_request found;
	struct scene_run next;
	int code;

	scene_check_no_runs();
	next = scene_run_next(false);
	code = scene_look(&found);
	expect(code == CANCEL_LOOKUP_NONE && !next.stopped && next.decided == 0, "nothing", code, &found);
	cancel_request_clear(&found);
	check_leases();
}

/* What the run left pending stops the next one. */
static void check_run_asked(void)
{
	struct cancel_request found;
	struct scene_run next;
	bool pending;
	int code;

	scene_check_no_runs();
	code = scene_look(&found);
	pending = code == CANCEL_LOOKUP_PENDING;
	expect(scene_is_accepted(&found) && (pending || found.outcome == CANCEL_OUTCOME_STOPPED),
	       "it pending, or decided as stopped", code, &found);
	cancel_request_clear(&found);
	next = scene_run_next(true);
	cr_assert_eq(next.stopped, pending, "%s: the next run is %sstopped", scene.where,
		     next.stopped ? "" : "not ");
	cr_assert(!pending || !strcmp(next.id, scene.accepted), "%s: stopped by '%s'", scene.where, next.id);
	cr_assert_eq(next.decided, pending, "%s: the next run decided %d", scene.where, next.decided);
	check_decided_once(CANCEL_OUTCOME_STOPPED);
	check_leases();
}

/* A member's record may be there or not; the group's request stays and stops all. */
static void check_run_of_group(void)
{
	struct cancel_request found;
	struct scene_run next;

	scene_check_no_runs();
	next = scene_run_next(false);
	cr_assert(next.stopped && !strcmp(next.id, scene.accepted) && next.decided == 0,
		  "%s: the next run is %sstopped, by '%s', and decided %d", scene.where,
		  next.stopped ? "" : "not ", next.id, next.decided);
	cancel_request_init(&found);
	cr_assert_eq(cancel_spool_lookup(scene.spool, GROUP, NULL, &found, &scene.error),
		     CANCEL_LOOKUP_PENDING, "%s: the group's request is gone", scene.where);
	cr_assert(scene_is_accepted(&found), "%s: the group's request is another one", scene.where);
	cancel_request_clear(&found);
	check_leases();
}

/* --- the walk ----------------------------------------------------------------------------------------- */

struct scenario {
	const char *name;
	const char *const *words;
	void (*prepare)(void);
	void (*check)(void);
	bool makes_spool;
};

static void prepare(const struct scenario *scenario)
{
	scene_make();
	if (!scenario->makes_spool)
		scene_prepare(scenario->prepare);
}

/* First what changes nothing, then what the scenario must find, then everything else. */
static void check(const struct scenario *scenario)
{
	scene_open();
	scene_check_whole();
	if (scenario->makes_spool)
		(void)scene_ask("beside", scene.beside);
	scenario->check();
	scene_check_works();
	scene_check_beside();
	scene_check_whole();
	scene_close();
	scene_remove();
}

/* Returns whether somebody was killed. */
static bool kill_at(const struct scenario *scenario, const struct strace_call *call)
{
	struct process process;
	char text[120];
	bool killed;

	(void)snprintf(text, sizeof(text), "%s, killed at %s %d", scenario->name, call->name, call->number);
	scene.where = text;
	prepare(scenario);
	strace_break(&process, scenario->words, scene_environment(), call, "signal=SIGKILL");
	killed = process.exit_code == KILLED;
	cr_assert(killed || process.exit_code == 0, "%s: exit code %d: %s", scene.where, process.exit_code,
		  process.err);
	process_free(&process);
	check(scenario);
	return killed;
}

/* Once unbroken: how many calls there are. */
static int list_calls(const struct scenario *scenario, struct strace_call calls[STRACE_CALLS_MAX])
{
	struct process process;
	int count;

	scene.where = scenario->name;
	prepare(scenario);
	count = strace_list(&process, scenario->words, scene_environment(), NULL, calls);
	if (count < 0) {
		scene_remove();
		cr_skip_test("strace cannot run here: %s", process.err);
	}
	cr_assert_eq(process.exit_code, 0, "%s: %s", scene.where, process.err);
	process_free(&process);
	check(scenario);
	return count;
}

/* A ring looks at the bell if the last one was some time ago, so on a busy machine a program may do without a call that it
 * made when it was listed. Then it did not survive that call: it is tried again. */
static bool kill_at_last(const struct scenario *scenario, const struct strace_call *call)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++)
		if (kill_at(scenario, call))
			return true;
	return false;
}

/* A thread that had to wait makes calls that it does not need: the shortest of several runs is walked. */
static int list_fewest_calls(const struct scenario *scenario, struct strace_call calls[STRACE_CALLS_MAX])
{
	static struct strace_call others[STRACE_CALLS_MAX];
	int count = list_calls(scenario, calls);

	for (int again = 1; again < LISTINGS; again++) {
		int other = list_calls(scenario, others);

		if (other < count)
			memcpy(calls, others, (size_t)other * sizeof(calls[0]));
		count = other < count ? other : count;
	}
	return count;
}

/* One in `share` calls may not be met; 0: all are. */
static void walk_all_but(struct scenario scenario, int share)
{
	static struct strace_call calls[STRACE_CALLS_MAX];
	int count = share ? list_fewest_calls(&scenario, calls) : list_calls(&scenario, calls);
	int step = 1, killed = 0, walked = 0;

	if (getenv("CANCEL_TEST_SLOW"))
		step = (count + SAMPLE - 1) / SAMPLE;
	for (int i = count - 1; i >= 0; i -= step, walked++)
		killed += kill_at_last(&scenario, &calls[i]);
	cr_assert_gt(walked, 0, "%s makes no calls", scenario.name);
	cr_assert_leq(walked - killed, share ? walked / share : 0, "%s: %d of %d survived", scenario.name,
		      walked - killed, walked);
	(void)printf("kill: %s: killed at %d of %d calls, the spool was whole each time\n", scenario.name,
		     killed, count);
}

static void walk(struct scenario scenario)
{
	walk_all_but(scenario, 0);
}

/* Of a run: its threads, and how long it takes, make it do without a call at times, or make one more. */
static void walk_run(struct scenario scenario)
{
	walk_all_but(scenario, SURVIVORS_SHARE);
}

/* --- the operations ----------------------------------------------------------------------------------- */

#define DRIVEN(...) WORDS(DRIVE, __VA_ARGS__)
#define ASKED(...)  WORDS(CANCELREQ, __VA_ARGS__)

Test(kill, making_a_spool_leaves_one_that_the_next_can_finish)
{
	walk((struct scenario){"open", DRIVEN("open"), scene_nothing, check_new_or_none, true});
}

/* DESIGN.md, invariant 7 */
Test(kill, asking_leaves_nothing_or_a_whole_request)
{
	walk((struct scenario){"ask", DRIVEN("ask", TASK), scene_nothing, check_new_or_none, false});
}

Test(kill, asking_with_syncs_leaves_nothing_or_a_whole_request)
{
	walk((struct scenario){"ask, synced", DRIVEN("--durability", "file", "ask", TASK), scene_nothing,
			       check_new_or_none, false});
}

Test(kill, asking_for_a_batch_leaves_whole_requests)
{
	walk((struct scenario){"ask-batch", DRIVEN("ask-batch", TASK), scene_nothing, check_new_or_none,
			       false});
}

Test(kill, asking_for_more_keeps_the_request_that_stands)
{
	walk((struct scenario){"ask-longer", DRIVEN("ask-longer", TASK), scene_pending, check_standing,
			       false});
}

Test(kill, asking_where_one_has_expired_decides_that_once)
{
	walk((struct scenario){"ask over expired", DRIVEN("ask", TASK), scene_expired, check_replaced,
			       false});
}

Test(kill, asking_over_litter_never_revives_it)
{
	walk((struct scenario){"ask over litter", DRIVEN("ask", TASK), scene_litter, check_not_alive, false});
}

/* DESIGN.md, invariant 7 */
Test(kill, acknowledging_decides_once)
{
	walk((struct scenario){"ack", DRIVEN("ack", TASK), scene_second, check_acknowledged, false});
}

Test(kill, withdrawing_decides_once)
{
	walk((struct scenario){"withdraw", DRIVEN("withdraw", TASK), scene_pending, check_withdrawn, false});
}

Test(kill, resetting_withdraws_before_it_forgets)
{
	walk((struct scenario){"reset", DRIVEN("reset", TASK), scene_second, check_reset, false});
}

Test(kill, resetting_over_litter_never_revives_it)
{
	walk((struct scenario){"reset over litter", DRIVEN("reset", TASK), scene_litter, check_not_alive,
			       false});
}

Test(kill, sweeping_expires_once)
{
	walk((struct scenario){"sweep expiring", DRIVEN("sweep", "86400"), scene_expired, check_expired,
			       false});
}

Test(kill, sweeping_removes_litter_before_its_record)
{
	walk((struct scenario){"sweep removing", DRIVEN("sweep", "0"), scene_litter, check_not_alive, false});
}

/* DESIGN.md, invariant 18 */
Test(kill, taking_in_neither_loses_nor_doubles_a_drop)
{
	walk((struct scenario){"intake", DRIVEN("intake"), scene_drop, check_taken_in, false});
}

Test(kill, taking_in_over_a_request_merges_its_terms)
{
	walk((struct scenario){"intake merging", DRIVEN("intake"), scene_drop_on_pending, check_merged,
			       false});
}

Test(kill, cancelreq_asking_leaves_nothing_or_a_whole_request)
{
	walk((struct scenario){"cancelreq", ASKED(TASK, "because"), scene_nothing, check_new_or_none, false});
}

Test(kill, cancelreq_acknowledging_decides_once)
{
	walk((struct scenario){"cancelreq --ack", ASKED("--ack", TASK), scene_second, check_acknowledged,
			       false});
}

Test(kill, cancelreq_withdrawing_decides_once)
{
	walk((struct scenario){"cancelreq --withdraw", ASKED("--withdraw", TASK), scene_pending,
			       check_withdrawn, false});
}

Test(kill, cancelreq_resetting_withdraws_before_it_forgets)
{
	walk((struct scenario){"cancelreq --reset", ASKED("--reset", TASK), scene_second, check_reset,
			       false});
}

Test(kill, cancelwatch_sweeping_expires_once)
{
	walk((struct scenario){"cancelwatch sweep", WORDS(CANCELWATCH, "sweep"), scene_expired, check_expired,
			       false});
}

/* DESIGN.md, invariants 7 and 10 */
Test(kill, running_leaves_nothing_and_a_dead_lease)
{
	walk_run((struct scenario){"run", DRIVEN("run", TASK), scene_nothing, check_run_free, false});
}

Test(kill, running_where_one_stands_decides_it_once_or_leaves_it_to_the_next)
{
	walk_run((struct scenario){"run, asked", DRIVEN("run", TASK), scene_second, check_run_asked, false});
}

Test(kill, running_in_a_group_leaves_its_request)
{
	walk_run((struct scenario){"run, group asked", DRIVEN("run", TASK), scene_group, check_run_of_group,
				   false});
}

Test(kill, running_with_a_thread_leaves_nothing_and_a_dead_lease)
{
	walk_run((struct scenario){"run-thread", DRIVEN("run-thread", TASK), scene_nothing, check_run_free,
				   false});
}

Test(kill, running_with_a_thread_decides_once_or_leaves_it_to_the_next)
{
	walk_run((struct scenario){"run-thread, asked", DRIVEN("run-thread", TASK), scene_second,
				   check_run_asked, false});
}

Test(kill, running_with_a_thread_in_a_group_leaves_its_request)
{
	walk_run((struct scenario){"run-thread, group asked", DRIVEN("run-thread", TASK), scene_group,
				   check_run_of_group, false});
}
