/* A spool in a state in which an operation is about to be broken, and questions about it afterwards: the
 * states and the checks of tests/support/scenario.h, as assertions of Criterion. TASK is what is operated on,
 * "beside" is pending and nobody touches it. */
#ifndef FAULT_SCENE_H
#define FAULT_SCENE_H

#include "scenario_trial.h"

#include <stdbool.h>

#define DRIVE       BUILD_DIR "/tests/drive/drive"
#define CANCELREQ   BUILD_DIR "/bin/cancelreq"
#define CANCELWATCH BUILD_DIR "/bin/cancelwatch"
#define TASK        SCENARIO_TASK
#define GROUP       SCENARIO_GROUP
#define RUN         SCENARIO_RUN
#define DROP_REASON SCENARIO_DROP_REASON

/* `accepted` is TASK's: the request that must not be lost. `where` says what was broken, for messages. */
extern struct scenario_trial scene;

/* A private directory, without a spool; and away with it. */
void scene_make(void);
void scene_remove(void);

/* Open the spool, making what is missing of it; and close it. */
void scene_open(void);
void scene_close(void);

/* Ask for "beside", then do what `prepare` says, in a spool that is open only meanwhile. */
void scene_prepare(void (*prepare)(void));

/* States of TASK. */
void scene_nothing(void);
void scene_pending(void);
void scene_second(void);  /* one was decided, and the next is pending */
void scene_litter(void);  /* a decider was killed between its two steps */
void scene_expired(void); /* pending and past its expiry; "task2" too */
void scene_drop(void);

/* Asking and deciding TASK, which must not fail here. */
int scene_ask(const char *task, char id[CANCEL_REQUEST_ID_LENGTH + 1]);
int scene_decide(const char *id, enum cancel_outcome outcome);

/* Where TASK stands; its record is in `found`, to be cleared. */
int scene_look(struct cancel_request *found);
bool scene_is_accepted(const struct cancel_request *found);

/* The next run of TASK begins, and ends as stopped. */
struct scenario_next_run scene_run_next(void);
/* No run is alive. */
void scene_check_no_runs(void);
int scene_count(const char *folder);

/* "beside" is pending. */
void scene_check_beside(void);
/* All that is listed is whole and one of ours; tmp/ holds drafts and drops on their way and nothing else. */
void scene_check_whole(void);
/* An operation of each kind on TASK does what it should. */
void scene_check_works(void);

/* Within the spool. Valid until the next is asked for. */
const char *scene_path(const char *file);
bool scene_exists(const char *file);
void scene_write(const char *file, const char *text, size_t length);

/* For a program: the scene's spool, and no configuration of this machine. */
const char *const *scene_environment(void);

#endif
