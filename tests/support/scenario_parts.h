/* What the files of scenario.h share: states, operations and checks by name, for the table. */
#ifndef SUPPORT_SCENARIO_PARTS_H
#define SUPPORT_SCENARIO_PARTS_H

#include "scenario.h"

#define SCENARIO_OLD_ID "000000000000000000000000000001d0"

enum {
	SCENARIO_DROP_LIFE_S = 200 * 86400, /* longer than that of what is asked for */
	SCENARIO_BATCH = 3,                 /* requests, for SCENARIO_TASK "1" and on */
};

/* States of SCENARIO_TASK. */
void state_nothing(struct scenario_trial *trial);
void state_pending(struct scenario_trial *trial);
void state_second(struct scenario_trial *trial);  /* one was decided, and the next is pending */
void state_litter(struct scenario_trial *trial);  /* a decider was killed between its two steps */
void state_expired(struct scenario_trial *trial); /* pending and past its expiry; "task2" too */
void state_drop(struct scenario_trial *trial);
void state_drop_on_pending(struct scenario_trial *trial);
void state_drop_left(
	struct scenario_trial *trial); /* by an intake that was killed; and a lease by a run that was */
void state_group(struct scenario_trial *trial); /* one is pending for SCENARIO_GROUP */

int operate_request(struct scenario_trial *trial);
int operate_request_longer(struct scenario_trial *trial); /* without end */
int operate_batch(struct scenario_trial *trial);
int operate_decide(struct scenario_trial *trial); /* as stopped, what is pending */
int operate_withdraw(struct scenario_trial *trial);
int operate_reset(struct scenario_trial *trial);
int operate_sweep(struct scenario_trial *trial);
int operate_sweep_all(struct scenario_trial *trial); /* keeping no record */
int operate_intake(struct scenario_trial *trial);
int operate_look(struct scenario_trial *trial);
int operate_question(struct scenario_trial *trial); /* of a worker without a run */
int operate_open(struct scenario_trial *trial);
int operate_watch(struct scenario_trial *trial); /* until it has seen the task */

/* Runs listen to SCENARIO_TASK, to SCENARIO_RUN of it and to SCENARIO_GROUP. */
int set_up_manager(struct scenario_trial *trial);
int set_up_manager_threaded(struct scenario_trial *trial);
int set_up_asked_run(struct scenario_trial *trial);     /* it has begun, and then somebody asked */
void scenario_end_set_up(struct scenario_trial *trial); /* what is left of that */
int operate_begin(struct scenario_trial *trial);
int operate_checkpoint(struct scenario_trial *trial);
int operate_end(struct scenario_trial *trial);          /* as stopped */
int operate_end_finished(struct scenario_trial *trial); /* as finished, not having noticed */
int operate_run(struct scenario_trial *trial);          /* all of it; no: nobody stopped it */
int operate_run_threaded(struct scenario_trial *trial);

void check_asked(struct scenario_trial *trial, enum scenario_how how);
void check_batch(struct scenario_trial *trial, enum scenario_how how);
void check_longer(struct scenario_trial *trial, enum scenario_how how);
void check_replaced(struct scenario_trial *trial, enum scenario_how how);
void check_dead(struct scenario_trial *trial, enum scenario_how how); /* decided long ago, it stays so */
void check_stopped(struct scenario_trial *trial, enum scenario_how how);
void check_withdrawn(struct scenario_trial *trial, enum scenario_how how);
void check_expired(struct scenario_trial *trial, enum scenario_how how);
void check_reset(struct scenario_trial *trial, enum scenario_how how);
void check_taken_in(struct scenario_trial *trial, enum scenario_how how);
void check_decided_drop(struct scenario_trial *trial, enum scenario_how how);
void check_merged(struct scenario_trial *trial, enum scenario_how how);
void check_found(struct scenario_trial *trial, enum scenario_how how);
void check_found_drop(struct scenario_trial *trial, enum scenario_how how);
void check_found_decided(struct scenario_trial *trial, enum scenario_how how);
void check_begun_asked(struct scenario_trial *trial, enum scenario_how how);
void check_checkpoint(struct scenario_trial *trial, enum scenario_how how);
void check_ended(struct scenario_trial *trial, enum scenario_how how);
void check_ended_finished(struct scenario_trial *trial, enum scenario_how how);
void check_run_free(struct scenario_trial *trial, enum scenario_how how);
void check_run_asked(struct scenario_trial *trial, enum scenario_how how);
void check_run_of_group(struct scenario_trial *trial, enum scenario_how how);
void check_opened(struct scenario_trial *trial, enum scenario_how how);

/* For states and set-ups: counted as a violation unless it holds; aborts then, because there is nothing to
 * break. */
void scenario_require(const struct scenario_trial *trial, bool holds, const char *what);

/* What stands whatever the scenario. */
void scenario_check_whole(struct scenario_trial *trial);
void scenario_check_beside(struct scenario_trial *trial);
void scenario_check_no_runs(struct scenario_trial *trial);
void scenario_check_works(struct scenario_trial *trial);
void scenario_check_claims(struct scenario_trial *trial);

/* The next run begins, and ends as stopped. */
struct scenario_next_run scenario_run_next(struct scenario_trial *trial);

/* Open the trial's spool, making what is missing of it; and have a first sweep look into every file. */
void scenario_open(struct scenario_trial *trial);
void scenario_settle(struct scenario_trial *trial);

bool scenario_exists(const struct scenario_trial *trial, const char *file);
struct cancel_manager *scenario_manager(struct scenario_trial *trial,
					bool thread); /* NULL, and trial->error */
int scenario_begin_run(struct scenario_trial *trial, struct cancel_manager *manager,
		       struct cancel_task **task);

#endif
