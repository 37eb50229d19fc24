#include "scenario_parts.h"

#include <string.h>

static void note_why(struct scenario_trial *trial, struct cancel_task *task, struct scenario_next_run *run)
{
	struct cancel_why why;

	cancel_task_why(task, &why);
	(void)scenario_expect(trial, (why.request != NULL) == run->stopped,
			      "the next run is stopped, and not by a request");
	if (why.request)
		(void)strcpy(run->id, why.request->request_id);
}

struct scenario_next_run scenario_run_next(struct scenario_trial *trial)
{
	struct cancel_manager *manager = scenario_manager(trial, false);
	struct scenario_next_run run = {.stopped = false};
	struct cancel_task *task = NULL;
	int code;

	if (!scenario_expect(trial, manager != NULL, "the next manager: %s", trial->error.text))
		return run;
	code = scenario_begin_run(trial, manager, &task);
	if (scenario_expect(trial, code >= 0, "the next run does not begin: %s", trial->error.text)) {
		run.stopped = code == 1;
		note_why(trial, task, &run);
		run.decided = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &trial->error);
		(void)scenario_expect(trial, run.decided >= 0, "the next run does not end: %s",
				      trial->error.text);
	}
	(void)scenario_expect(trial, cancel_manager_close(manager) == 0, "the next manager does not close");
	return run;
}

/* The broken run's lease is dead, whatever it was about to do. The next run took it over, or left it to a
 * sweep because it is young, and left none of its own. DESIGN.md, invariant 38 */
static void check_leases(struct scenario_trial *trial, enum scenario_how how)
{
	struct scenario_files runs = scenario_list(trial, "runs");

	scenario_check_no_runs(trial);
	(void)scenario_expect(trial, runs.count <= (how != SCENARIO_DONE && how != SCENARIO_NO),
			      "%d leases were left", (int)runs.count);
}

/* A run that was left while it ran leaves its lease. */
static void check_leases_left(struct scenario_trial *trial)
{
	check_leases(trial, SCENARIO_KILLED);
}

static void expect_next(struct scenario_trial *trial, bool stopped)
{
	struct scenario_next_run next = scenario_run_next(trial);

	/* DESIGN.md, invariant 10 */
	(void)scenario_expect(trial, next.stopped == stopped, "the next run is %sstopped",
			      next.stopped ? "" : "not ");
	(void)scenario_expect(trial, !stopped || !strcmp(next.id, trial->accepted),
			      "the next run is stopped by '%s'", next.id);
	(void)scenario_expect(trial, next.decided == stopped, "the next run decided %d", next.decided);
}

/* Nobody asked, so nobody is stopped, and nothing is decided. */
static void check_free(struct scenario_trial *trial)
{
	struct cancel_request found;
	int code;

	expect_next(trial, false);
	code = scenario_look(trial, &found);
	(void)scenario_expect(trial, code == CANCEL_LOOKUP_NONE,
			      "nobody asked, and found is state %d, request '%s'", code, found.request_id);
	cancel_request_clear(&found);
}

void check_run_free(struct scenario_trial *trial, enum scenario_how how)
{
	check_free(trial);
	if (!strcmp(trial->scenario->operation, "begin"))
		check_leases_left(trial);
	else
		check_leases(trial, how);
}

/* --- asked -------------------------------------------------------------------------------------------- */

enum {
	MAY_BE_PENDING = 1,
	MAY_BE_DECIDED = 2,
	MAY_BE_FAILED = 4, /* decided so, because its manager was closed before it ended */
};

static void check_once(struct scenario_trial *trial)
{
	int code = scenario_decide(trial, trial->accepted, CANCEL_OUTCOME_FAILED);

	/* DESIGN.md, invariant 5 */
	(void)scenario_expect_once(trial, code == CANCEL_ALREADY_DECIDED, "it can be decided again: %d",
				   code);
	(void)scenario_expect(trial, !scenario_exists(trial, "pending/" SCENARIO_TASK ".json"),
			      "litter was left");
}

/* It is decided as this, or what the run left pending stops the next one. DESIGN.md, invariants 7 and 10 */
static void check_request_of_run(struct scenario_trial *trial, int allowed, enum cancel_outcome outcome)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);
	bool pending = code == CANCEL_LOOKUP_PENDING;
	bool decided = code == CANCEL_LOOKUP_PROCESSED &&
		       (found.outcome == outcome ||
			(allowed & MAY_BE_FAILED && found.outcome == CANCEL_OUTCOME_FAILED));

	(void)scenario_expect_kept(
		trial,
		!strcmp(found.request_id, trial->accepted) &&
			((pending && allowed & MAY_BE_PENDING) || (decided && allowed & MAY_BE_DECIDED)),
		"expected it%s%s, found state %d, request '%s', outcome %s",
		allowed & MAY_BE_PENDING ? " pending" : "", allowed & MAY_BE_DECIDED ? " decided" : "", code,
		found.request_id, cancel_outcome_text(found.outcome));
	cancel_request_clear(&found);
	expect_next(trial, pending);
	check_once(trial);
}

static bool was_told(const struct scenario_trial *trial, int what)
{
	const struct scenario_result *result = trial->result;

	for (int i = 0; i < result->claim_count; i++)
		if ((int)result->claims[i].what == what && !strcmp(result->claims[i].id, trial->accepted))
			return true;
	return false;
}

static void expect_stop_told(struct scenario_trial *trial)
{
	if (!trial->scenario->words)
		(void)scenario_expect(trial, was_told(trial, SCENARIO_TOLD_STOPPED),
				      "the run was not stopped by the request");
}

/* DESIGN.md, invariants 11 and 34 */
void check_begun_asked(struct scenario_trial *trial, enum scenario_how how)
{
	if (how == SCENARIO_DONE)
		expect_stop_told(trial);
	check_request_of_run(trial, MAY_BE_PENDING, CANCEL_OUTCOME_STOPPED);
	check_leases_left(trial);
}

void check_checkpoint(struct scenario_trial *trial, enum scenario_how how)
{
	(void)scenario_expect(trial, how != SCENARIO_NO, "it did not see what is there, and said no");
	check_begun_asked(trial, how);
}

static int allowed_after(enum scenario_how how)
{
	return how == SCENARIO_DONE ? MAY_BE_DECIDED : MAY_BE_DECIDED | MAY_BE_PENDING;
}

void check_ended(struct scenario_trial *trial, enum scenario_how how)
{
	(void)scenario_expect(trial, how != SCENARIO_NO, "it decided nothing, and did not say why");
	check_request_of_run(trial, allowed_after(how), CANCEL_OUTCOME_STOPPED);
	check_leases(trial, how);
}

void check_ended_finished(struct scenario_trial *trial, enum scenario_how how)
{
	(void)scenario_expect(trial, how != SCENARIO_NO, "it decided nothing, and did not say why");
	check_request_of_run(trial, allowed_after(how), CANCEL_OUTCOME_FINISHED);
	check_leases(trial, how);
}

void check_run_asked(struct scenario_trial *trial, enum scenario_how how)
{
	(void)scenario_expect(trial, how != SCENARIO_NO, "the run was not stopped");
	if (how == SCENARIO_DONE)
		expect_stop_told(trial);
	check_request_of_run(trial, allowed_after(how) | (how == SCENARIO_FAILED ? MAY_BE_FAILED : 0),
			     CANCEL_OUTCOME_STOPPED);
	check_leases(trial, how);
}

/* A member's record may be there or not; the group's request stays and stops all. DESIGN.md, invariant 39 */
void check_run_of_group(struct scenario_trial *trial, enum scenario_how how)
{
	struct scenario_next_run next = scenario_run_next(trial);
	struct cancel_request found;
	int code;

	(void)scenario_expect(trial, how != SCENARIO_NO, "the run was not stopped");
	(void)scenario_expect(trial, next.stopped && !strcmp(next.id, trial->accepted) && next.decided == 0,
			      "the next run is %sstopped, by '%s', and decided %d",
			      next.stopped ? "" : "not ", next.id, next.decided);
	cancel_request_init(&found);
	code = cancel_spool_lookup(trial->spool, SCENARIO_GROUP, NULL, &found, &trial->error);
	(void)scenario_expect(trial,
			      code == CANCEL_LOOKUP_PENDING && !strcmp(found.request_id, trial->accepted),
			      "the group's request is gone: state %d, '%s'", code, found.request_id);
	cancel_request_clear(&found);
	check_leases(trial, how);
}
