#include "operations.h"

#include "scenario_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOREIGN_TEXT  "{\"task_id\": \"" SCENARIO_TASK "\", \"reason\": \"" FOREIGN_REASON "\"}\n"
#define FOREIGN_DRAFT "tmp/00000000000000000000000000000f00.draft"

/* Litter is cleared away, and nothing is pending. */
const struct pair_state pair_states[] = {
	{"nothing", state_nothing, NULL},
	{"pending", state_pending, NULL},
	{"decided before", state_second, NULL},
	{"litter", state_litter, operate_decide},
	{"expired", state_expired, NULL},
	{"a drop", state_drop, operate_look},
	{"a drop on pending", state_drop_on_pending, operate_look},
};
const int pair_state_count = sizeof(pair_states) / sizeof(pair_states[0]);

/* --- as another language or a shell does it, by cancel-spool(5) ----------------------------------------- */

static int write_text(const char *path, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
	bool written =
		fd >= 0 && write(fd, FOREIGN_TEXT, strlen(FOREIGN_TEXT)) == (ssize_t)strlen(FOREIGN_TEXT);

	if (fd >= 0)
		(void)close(fd);
	return written ? 0 : -1;
}

/* printf > task.json */
static int drop_in_place(struct scenario_trial *trial)
{
	return write_text(scenario_path(trial, SCENARIO_TASK ".json"), O_TRUNC);
}

/* Written under another name, which becomes the task's by `give`. */
static int write_and(struct scenario_trial *trial, const char *draft, const char *file,
		     int (*give)(const char *from, const char *to))
{
	char from[128];
	int code;

	(void)snprintf(from, sizeof(from), "%s", scenario_path(trial, draft));
	code = write_text(from, O_EXCL);
	if (code == 0 && give(from, scenario_path(trial, file)) < 0)
		code = 1;
	(void)unlink(from);
	return code;
}

static int drop_by_rename(struct scenario_trial *trial)
{
	return write_and(trial, ".foreign.json", SCENARIO_TASK ".json", rename);
}

static int publish_by_link(struct scenario_trial *trial)
{
	return write_and(trial, FOREIGN_DRAFT, "pending/" SCENARIO_TASK ".json", link);
}

static int rename_if_absent(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

static int publish_by_rename(struct scenario_trial *trial)
{
	return write_and(trial, FOREIGN_DRAFT, "pending/" SCENARIO_TASK ".json", rename_if_absent);
}

/* --- all ------------------------------------------------------------------------------------------------ */

/* A sweep leaves a name that is locked to the next one. */
static int do_nothing(struct scenario_trial *trial)
{
	(void)trial;
	return 0;
}

/* A name that is taken may be taken by litter: who publishes without the lock cannot tell, and gets a no. */
static int say_no(struct scenario_trial *trial)
{
	(void)trial;
	return 1;
}

/* A request in the place of one that expired has decided that one first. */
const struct pair_operation pair_operations[] = {
	{"request", operate_request, .half = operate_sweep, .is_atomic = true},
	{"request for longer", operate_request_longer, .half = operate_sweep, .is_atomic = true},
	{"decide", operate_decide, .is_atomic = true},
	{"withdraw", operate_withdraw, .is_atomic = true},
	{"reset", operate_reset, .half = operate_withdraw, .is_atomic = true, .decides = true,
	 .forgets = true},
	{"intake", operate_intake, .half = operate_sweep, .is_atomic = true},
	{"look", operate_look, .is_atomic = true},
	{"sweep", operate_sweep, .refused = do_nothing},
	{"sweep that keeps nothing", operate_sweep_all, .refused = do_nothing, .forgets = true},
	{"run", operate_run, .decides = true},
	{"run with a thread", operate_run_threaded, .decides = true},
	{"end of a run", operate_end_finished, .set_up = set_up_asked_run, .decides = true},
	{"drop by printf", drop_in_place, .is_atomic = true, .is_foreign = true},
	{"drop by rename", drop_by_rename, .is_atomic = true, .is_foreign = true},
	{"publish by link", publish_by_link, .refused = say_no, .is_atomic = true, .is_foreign = true},
	{"publish by rename", publish_by_rename, .refused = say_no, .is_atomic = true, .is_foreign = true},
};

enum { FOREIGN = 4 };

const int pair_operation_count = sizeof(pair_operations) / sizeof(pair_operations[0]);
const int pair_own_count = sizeof(pair_operations) / sizeof(pair_operations[0]) - FOREIGN;
