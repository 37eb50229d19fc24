#include "scenario_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- pieces ------------------------------------------------------------------------------------------- */

int scenario_ask(struct scenario_trial *trial, const char *task, char id[CANCEL_REQUEST_ID_LENGTH + 1])
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = task;
	request.reason = SCENARIO_REASON;
	code = cancel_spool_request(trial->spool, &request, NULL, &trial->error);
	(void)scenario_expect(trial, code >= 0, "asking: %s", code < 0 ? trial->error.text : "");
	(void)strcpy(id, request.request_id);
	cancel_request_clear(&request);
	return code;
}

int scenario_decide(struct scenario_trial *trial, const char *id, enum cancel_outcome outcome)
{
	return cancel_spool_decide(trial->spool, SCENARIO_TASK, NULL, id, outcome, NULL, NULL, &trial->error);
}

static int look_at(struct scenario_trial *trial, const char *task, struct cancel_request *found)
{
	int code;

	cancel_request_init(found);
	code = cancel_spool_lookup(trial->spool, task, NULL, found, &trial->error);
	(void)scenario_expect(trial, code >= 0, "looking up '%s': %s", task,
			      code < 0 ? trial->error.text : "");
	/* DESIGN.md, invariant 1 */
	(void)scenario_expect_whole(trial, !found->malformed, "a part of a record is read");
	return code;
}

int scenario_look(struct scenario_trial *trial, struct cancel_request *found)
{
	return look_at(trial, SCENARIO_TASK, found);
}

static bool is_accepted(const struct scenario_trial *trial, const struct cancel_request *found)
{
	return !strcmp(found->request_id, trial->accepted);
}

static bool has_outcome(int code, const struct cancel_request *found, enum cancel_outcome outcome)
{
	return code == CANCEL_LOOKUP_PROCESSED && found->outcome == outcome;
}

static void expect(const struct scenario_trial *trial, bool holds, const char *what, int code,
		   const struct cancel_request *found)
{
	(void)scenario_expect_kept(trial, holds, "expected %s, found state %d, request '%s', outcome %s",
				   what, code, found->request_id, cancel_outcome_text(found->outcome));
}

/* --- whatever the scenario ---------------------------------------------------------------------------- */

static void check_tmp(struct scenario_trial *trial)
{
	struct scenario_files files = scenario_list(trial, "tmp");

	for (size_t i = 0; i < files.count; i++) {
		const char *end = strrchr(files.names[i], '.');

		(void)scenario_expect(trial, end && (!strcmp(end, ".draft") || !strcmp(end, ".drop")),
				      "tmp/ holds %s", files.names[i]);
	}
}

static int check_entry(void *arg, const struct cancel_list_entry *entry)
{
	struct scenario_trial *trial = arg;
	const char *task;

	if (!scenario_expect(trial, !entry->refusal, "%s", entry->refusal ? entry->refusal->text : ""))
		return 0;
	task = entry->request->task_id;
	(void)scenario_expect_whole(trial, !entry->request->malformed, "%s is a part of a record",
				    entry->file);
	(void)scenario_expect(
		trial, !strncmp(task, SCENARIO_TASK, strlen(SCENARIO_TASK)) || !strcmp(task, SCENARIO_BESIDE),
		"%s is nobody's request", entry->file);
	return 0;
}

/* As it is, because the library passes over what may still be being written. */
static void check_text(struct scenario_trial *trial, const char *file)
{
	static char text[CANCEL_RECORD_MAX];
	struct cancel_request request;
	struct cancel_error error = {0};
	int fd = open(scenario_path(trial, file), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));
	int code;

	if (fd >= 0)
		(void)close(fd);
	cancel_request_init(&request);
	code = cancel_request_parse(&request, text, length < 0 ? 0 : (size_t)length, &error);
	(void)scenario_expect_whole(trial, code == 0, "%s has %d bytes: %s", file, (int)length, error.text);
	cancel_request_clear(&request);
}

static void check_texts(struct scenario_trial *trial, const char *folder)
{
	struct scenario_files files = scenario_list(trial, folder);

	for (size_t i = 0; i < files.count; i++) {
		char file[SCENARIO_FILE_SIZE + 16];

		(void)snprintf(file, sizeof(file), "%s/%s", folder, files.names[i]);
		check_text(trial, file);
	}
}

/* DESIGN.md, invariant 1 */
void scenario_check_whole(struct scenario_trial *trial)
{
	int code;

	check_tmp(trial);
	check_texts(trial, "pending");
	check_texts(trial, "processed");
	code = cancel_spool_list(trial->spool, CANCEL_LIST_ALL, check_entry, trial, &trial->error);
	(void)scenario_expect(trial, code == 0, "listing: %s", code < 0 ? trial->error.text : "");
}

/* DESIGN.md, invariant 7 */
void scenario_check_beside(struct scenario_trial *trial)
{
	struct cancel_request found;
	int code = look_at(trial, SCENARIO_BESIDE, &found);

	expect(trial, code == CANCEL_LOOKUP_PENDING && !strcmp(found.request_id, trial->beside),
	       "the one beside pending", code, &found);
	cancel_request_clear(&found);
}

static int refuse_run(void *arg, const struct cancel_run *run)
{
	(void)scenario_expect(arg, false, "the lease of process %ld on '%s' is alive", (long)run->pid,
			      run->task_id);
	return 0;
}

/* DESIGN.md, invariant 38 */
void scenario_check_no_runs(struct scenario_trial *trial)
{
	int code = cancel_spool_runs(trial->spool, refuse_run, trial, &trial->error);

	(void)scenario_expect(trial, code == 0, "listing runs: %s", code < 0 ? trial->error.text : "");
}

static void expect_lookup(struct scenario_trial *trial, int expected)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);

	(void)scenario_expect(trial, code == expected, "a look-up answers %d, not %d", code, expected);
	cancel_request_clear(&found);
}

static void expect_code(struct scenario_trial *trial, const char *what, int code, int expected)
{
	(void)scenario_expect(trial, code == expected, "%s: %d, not %d%s%s", what, code, expected,
			      code < 0 ? ": " : "", code < 0 ? trial->error.text : "");
}

static void check_sweep(struct scenario_trial *trial)
{
	struct cancel_sweep_result result = {0};

	expect_code(trial, "a sweep",
		    cancel_spool_sweep(trial->spool, NULL, NULL, NULL, &result, &trial->error), 0);
	(void)scenario_expect(trial, result.strangers + result.refused + result.busy == 0,
			      "a sweep finds %d strangers, %d refused, %d locked", (int)result.strangers,
			      (int)result.refused, (int)result.busy);
}

void scenario_check_works(struct scenario_trial *trial)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], second[CANCEL_REQUEST_ID_LENGTH + 1];
	struct cancel_spool *spool = trial->spool;

	(void)scenario_expect(trial, cancel_spool_reset(spool, SCENARIO_TASK, NULL, &trial->error) >= 0,
			      "a reset: %s", trial->error.text);
	expect_lookup(trial, CANCEL_LOOKUP_NONE);
	expect_code(trial, "a request", scenario_ask(trial, SCENARIO_TASK, id), CANCEL_REQUESTED);
	expect_code(trial, "a second request", scenario_ask(trial, SCENARIO_TASK, second),
		    CANCEL_ALREADY_PENDING);
	expect_lookup(trial, CANCEL_LOOKUP_PENDING);
	expect_code(trial, "a decision", scenario_decide(trial, id, CANCEL_OUTCOME_STOPPED), CANCEL_DECIDED);
	expect_code(trial, "a second decision", scenario_decide(trial, id, CANCEL_OUTCOME_STOPPED),
		    CANCEL_ALREADY_DECIDED);
	expect_lookup(trial, CANCEL_LOOKUP_PROCESSED);
	expect_code(trial, "an intake", cancel_spool_intake(spool, NULL, NULL, &trial->error), 0);
	check_sweep(trial);
	expect_code(trial, "a last reset", cancel_spool_reset(spool, SCENARIO_TASK, NULL, &trial->error), 1);
}

/* What it was told before it ended stays true: nobody else was there. A run's decision comes as a number, so
 * what stopped it may be decided or not. */
static bool claim_holds(const struct scenario_claim *claim, int code, const struct cancel_request *found)
{
	bool same = !strcmp(found->request_id, claim->id);

	switch (claim->what) {
	case SCENARIO_TOLD_DECIDED:
		return same && has_outcome(code, found, claim->outcome);
	case SCENARIO_TOLD_RESET:
		return code == CANCEL_LOOKUP_NONE;
	case SCENARIO_TOLD_ALREADY_PENDING:
		return same && code == CANCEL_LOOKUP_PENDING;
	case SCENARIO_TOLD_REQUESTED:
	case SCENARIO_TOLD_ALREADY_DECIDED:
	case SCENARIO_TOLD_STOPPED:
		break;
	}
	return same && code != CANCEL_LOOKUP_NONE;
}

void scenario_check_claims(struct scenario_trial *trial)
{
	for (int i = 0; i < trial->result->claim_count; i++) {
		const struct scenario_claim *claim = &trial->result->claims[i];
		struct cancel_request found;
		int code = look_at(trial, claim->task, &found);

		(void)scenario_expect(
			trial, claim_holds(claim, code, &found),
			"it was told %d of '%s', request '%s'; found is state %d, request '%s', outcome %s",
			(int)claim->what, claim->task, claim->id, code, found.request_id,
			cancel_outcome_text(found.outcome));
		cancel_request_clear(&found);
	}
}

/* --- requests ----------------------------------------------------------------------------------------- */

static bool is_new(int code, const struct cancel_request *found)
{
	return code == CANCEL_LOOKUP_PENDING && found->reason && !strcmp(found->reason, SCENARIO_REASON);
}

/* DESIGN.md, invariants 1, 2 and 7 */
void check_asked(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);

	if (how == SCENARIO_DONE)
		expect(trial, is_new(code, &found), "the whole request", code, &found);
	else if (how == SCENARIO_KILLED)
		expect(trial, code == CANCEL_LOOKUP_NONE || is_new(code, &found),
		       "nothing, or the whole request", code, &found);
	else
		expect(trial, code == CANCEL_LOOKUP_NONE, "nothing", code, &found);
	cancel_request_clear(&found);
}

static void check_one_of_batch(struct scenario_trial *trial, const char *task, bool must_stand)
{
	struct cancel_request found;
	int code = look_at(trial, task, &found);

	expect(trial, is_new(code, &found) || (!must_stand && code == CANCEL_LOOKUP_NONE),
	       must_stand ? "the whole request" : "nothing, or the whole request", code, &found);
	cancel_request_clear(&found);
}

/* Each stands, or its failure was told. */
void check_batch(struct scenario_trial *trial, enum scenario_how how)
{
	for (int i = 1; i <= SCENARIO_BATCH; i++) {
		char task[16];

		(void)snprintf(task, sizeof(task), SCENARIO_TASK "%d", i);
		check_one_of_batch(trial, task, how == SCENARIO_DONE);
	}
}

/* DESIGN.md, invariants 7 and 9 */
void check_longer(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);

	expect(trial, code == CANCEL_LOOKUP_PENDING && is_accepted(trial, &found), "the request that stood",
	       code, &found);
	(void)scenario_expect(trial, how != SCENARIO_DONE || found.expires_in_s == CANCEL_EXPIRES_NEVER,
			      "it said so, and the terms were not merged");
	cancel_request_clear(&found);
}

/* Asked anew in the place of one that expired. DESIGN.md, invariant 8 */
void check_replaced(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);
	bool old = is_accepted(trial, &found),
	     expired = old && has_outcome(code, &found, CANCEL_OUTCOME_EXPIRED);

	if (how == SCENARIO_DONE)
		expect(trial, is_new(code, &found), "the new one", code, &found);
	else
		expect(trial, expired || (old && code == CANCEL_LOOKUP_PENDING) || is_new(code, &found),
		       "the old one, expired or not, or the new one", code, &found);
	cancel_request_clear(&found);
}

/* Decided long ago: it may be forgotten, and must not come back to life. DESIGN.md, invariant 6 */
void check_dead(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);

	expect(trial, code != CANCEL_LOOKUP_PENDING || !is_accepted(trial, &found),
	       "the decided request dead", code, &found);
	if (how == SCENARIO_DONE && !strcmp(trial->scenario->operation, "request"))
		expect(trial, is_new(code, &found), "the new request", code, &found);
	cancel_request_clear(&found);
}

/* --- decisions ---------------------------------------------------------------------------------------- */

/* It can be decided once more only if it was pending. DESIGN.md, invariants 4 and 5 */
static void check_once(struct scenario_trial *trial, bool decided)
{
	int first = scenario_decide(trial, trial->accepted, CANCEL_OUTCOME_FAILED);
	int second = scenario_decide(trial, trial->accepted, CANCEL_OUTCOME_FAILED);

	(void)scenario_expect_once(trial, first == (decided ? CANCEL_ALREADY_DECIDED : CANCEL_DECIDED),
				   "it was %sdecided, and deciding it gives %d", decided ? "" : "not ",
				   first);
	(void)scenario_expect_once(trial, second == CANCEL_ALREADY_DECIDED, "deciding it again gives %d",
				   second);
	(void)scenario_expect(trial, !scenario_exists(trial, "pending/" SCENARIO_TASK ".json"),
			      "litter was left");
}

/* DESIGN.md, invariants 4, 5 and 7 */
static void check_decided(struct scenario_trial *trial, enum scenario_how how, enum cancel_outcome outcome)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);
	bool decided = has_outcome(code, &found, outcome), pending = code == CANCEL_LOOKUP_PENDING;

	expect(trial, is_accepted(trial, &found), "the request", code, &found);
	if (how == SCENARIO_DONE)
		expect(trial, decided, "it decided", code, &found);
	else if (trial->scenario->publishes && how == SCENARIO_FAILED)
		expect(trial, pending, "it pending", code, &found);
	else
		expect(trial, decided || pending, "it pending, or decided", code, &found);
	(void)scenario_expect(trial, how != SCENARIO_NO, "it said that nothing is pending");
	cancel_request_clear(&found);
	check_once(trial, decided);
}

void check_stopped(struct scenario_trial *trial, enum scenario_how how)
{
	check_decided(trial, how, CANCEL_OUTCOME_STOPPED);
}

void check_withdrawn(struct scenario_trial *trial, enum scenario_how how)
{
	check_decided(trial, how, CANCEL_OUTCOME_WITHDRAWN);
}

/* A sweep that succeeded may have left it to the next. */
void check_expired(struct scenario_trial *trial, enum scenario_how how)
{
	check_decided(trial, how == SCENARIO_DONE ? SCENARIO_KILLED : how, CANCEL_OUTCOME_EXPIRED);
}

void check_reset(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);
	bool withdrawn = has_outcome(code, &found, CANCEL_OUTCOME_WITHDRAWN),
	     pending = code == CANCEL_LOOKUP_PENDING;

	expect(trial,
	       code == CANCEL_LOOKUP_NONE ||
		       (how != SCENARIO_DONE && is_accepted(trial, &found) && (withdrawn || pending)),
	       how == SCENARIO_DONE ? "nothing" : "it pending, withdrawn or gone", code, &found);
	cancel_request_clear(&found);
}

/* --- drops -------------------------------------------------------------------------------------------- */

/* By somebody who does not name it, so that the drop must have come back by the sweep. */
static void finish_intake(struct scenario_trial *trial)
{
	expect_code(trial, "the next intake", cancel_spool_intake(trial->spool, NULL, NULL, &trial->error),
		    0);
	check_sweep(trial);
	(void)scenario_expect(trial, !scenario_exists(trial, SCENARIO_TASK ".json"),
			      "the drop is still there");
	(void)scenario_expect(trial, !scenario_exists(trial, "tmp/" SCENARIO_TASK ".drop"),
			      "the drop is stuck in tmp/");
}

/* DESIGN.md, invariant 18 */
void check_taken_in(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code;

	(void)how;
	finish_intake(trial);
	code = scenario_look(trial, &found);
	expect(trial, code == CANCEL_LOOKUP_PENDING && !strcmp(found.reason, SCENARIO_DROP_REASON),
	       "the drop's request", code, &found);
	(void)scenario_expect(trial, found.expires_in_s == SCENARIO_DROP_LIFE_S, "the drop's terms are lost");
	cancel_request_clear(&found);
}

/* The drop is decided, or its request is pending, and not both. DESIGN.md, invariant 18 */
void check_decided_drop(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	bool decided, pending;
	int code;

	finish_intake(trial);
	code = scenario_look(trial, &found);
	decided = has_outcome(code, &found, CANCEL_OUTCOME_STOPPED);
	pending = code == CANCEL_LOOKUP_PENDING;
	expect(trial, (decided || pending) && !strcmp(found.reason, SCENARIO_DROP_REASON),
	       "the drop's request", code, &found);
	(void)scenario_expect_once(trial,
				   !pending || !scenario_exists(trial, "processed/" SCENARIO_TASK ".json"),
				   "the drop was decided, and is pending");
	expect(trial, how != SCENARIO_DONE || decided, "the drop's request decided", code, &found);
	cancel_request_clear(&found);
}

/* DESIGN.md, invariants 9 and 18 */
void check_merged(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code;

	(void)how;
	finish_intake(trial);
	code = scenario_look(trial, &found);
	expect(trial, code == CANCEL_LOOKUP_PENDING && is_accepted(trial, &found), "the request that stood",
	       code, &found);
	(void)scenario_expect(trial, found.expires_in_s >= SCENARIO_DROP_LIFE_S, "the drop's terms are lost");
	cancel_request_clear(&found);
}

/* --- looking ------------------------------------------------------------------------------------------ */

/* DESIGN.md, invariant 11 */
static void refuse_no(struct scenario_trial *trial, enum scenario_how how)
{
	(void)scenario_expect(trial, how != SCENARIO_NO, "it did not see what is there, and said no");
}

void check_found(struct scenario_trial *trial, enum scenario_how how)
{
	struct cancel_request found;
	int code = scenario_look(trial, &found);

	refuse_no(trial, how);
	expect(trial, code == CANCEL_LOOKUP_PENDING && is_accepted(trial, &found), "the request that stood",
	       code, &found);
	cancel_request_clear(&found);
}

void check_found_drop(struct scenario_trial *trial, enum scenario_how how)
{
	refuse_no(trial, how);
	check_taken_in(trial, how);
}

void check_found_decided(struct scenario_trial *trial, enum scenario_how how)
{
	refuse_no(trial, how);
	check_dead(trial, how);
}

void check_opened(struct scenario_trial *trial, enum scenario_how how)
{
	(void)how;
	expect_lookup(trial, CANCEL_LOOKUP_NONE);
}
