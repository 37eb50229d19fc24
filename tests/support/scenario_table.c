#include "scenario_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM(...)                   \
	.words = (const char *const[]) \
	{                              \
		__VA_ARGS__, NULL      \
	}
#define CANCELREQ   SCENARIO_CANCELREQ
#define CANCELWATCH SCENARIO_CANCELWATCH
#define TASK        SCENARIO_TASK
#define FILE_SYNCED .durability = CANCEL_DURABILITY_FILE

const struct scenario scenarios[] = {
	{"request", "request", state_nothing, operate_request, .check = check_asked, .publishes = true},
	{"request, synced", "request", state_nothing, operate_request, .check = check_asked, FILE_SYNCED,
	 .publishes = true},
	{"request by a named draft", "request", state_nothing, operate_request, .check = check_asked,
	 .publishes = true, .way = SCENARIO_WAY_NAMED},
	{"request by a named draft and a link", "request", state_nothing, operate_request,
	 .check = check_asked, .publishes = true, .way = SCENARIO_WAY_LINKED},
	{"request for longer", "request", state_pending, operate_request_longer, .check = check_longer,
	 .publishes = true},
	{"request over an expired one", "request", state_expired, operate_request, .check = check_replaced},
	{"request over litter", "request", state_litter, operate_request, .check = check_dead},
	{"batch", "batch", state_nothing, operate_batch, .check = check_batch},
	{"batch, synced", "batch", state_nothing, operate_batch, .check = check_batch, FILE_SYNCED},
	{"decide", "decide", state_second, operate_decide, .check = check_stopped, .publishes = true},
	{"decide, synced", "decide", state_second, operate_decide, .check = check_stopped, FILE_SYNCED,
	 .publishes = true},
	{"withdraw", "withdraw", state_pending, operate_withdraw, .check = check_withdrawn,
	 .publishes = true},
	{"reset", "reset", state_second, operate_reset, .check = check_reset},
	{"reset over litter", "reset", state_litter, operate_reset, .check = check_dead},
	{"sweep that expires", "sweep", state_expired, operate_sweep, .check = check_expired},
	{"sweep that removes", "sweep", state_litter, operate_sweep_all, .check = check_dead},
	{"sweep that puts back", "sweep", state_drop_left, operate_sweep, .check = check_taken_in},
	{"intake", "intake", state_drop, operate_intake, .check = check_taken_in},
	{"intake that merges", "intake", state_drop_on_pending, operate_intake, .check = check_merged},
	{"decide a drop", "decide", state_drop, operate_decide, .check = check_decided_drop},
	{"look at a request", "look", state_pending, operate_look, .check = check_found},
	{"look at a drop", "look", state_drop, operate_look, .check = check_found_drop},
	{"look at a decision", "look", state_litter, operate_look, .check = check_found_decided},
	{"question about a drop", "look", state_drop, operate_question, .check = check_found_drop},
	{"open", "open", NULL, operate_open, .check = check_opened, .makes_spool = true},
	{"begin", "begin", state_nothing, operate_begin, .set_up = set_up_manager, .check = check_run_free},
	{"begin, asked", "begin", state_second, operate_begin, .set_up = set_up_manager,
	 .check = check_begun_asked},
	{"begin with a thread, asked", "begin", state_second, operate_begin,
	 .set_up = set_up_manager_threaded, .check = check_begun_asked, .has_threads = true},
	{"checkpoint", "checkpoint", state_nothing, operate_checkpoint, .set_up = set_up_asked_run,
	 .check = check_checkpoint},
	{"end", "end", state_nothing, operate_end, .set_up = set_up_asked_run, .check = check_ended},
	{"end, finished", "end", state_nothing, operate_end_finished, .set_up = set_up_asked_run,
	 .check = check_ended_finished},
	{"run", "run", state_nothing, operate_run, .check = check_run_free},
	{"run, asked", "run", state_second, operate_run, .check = check_run_asked},
	{"run, group asked", "run", state_group, operate_run, .check = check_run_of_group},
	{"run with a thread", "run", state_nothing, operate_run_threaded, .check = check_run_free,
	 .has_threads = true},
	{"run with a thread, asked", "run", state_second, operate_run_threaded, .check = check_run_asked,
	 .has_threads = true},
	{"run with a thread, group asked", "run", state_group, operate_run_threaded,
	 .check = check_run_of_group, .has_threads = true},
	{"watch", "watch", state_pending, operate_watch, .check = check_found},
	{"cancelreq", "request", state_nothing, PROGRAM(CANCELREQ, TASK, SCENARIO_REASON),
	 .check = check_asked, .publishes = true},
	{"cancelreq --ack", "decide", state_second, PROGRAM(CANCELREQ, "--ack", TASK), .check = check_stopped,
	 .publishes = true},
	{"cancelreq --withdraw", "withdraw", state_pending, PROGRAM(CANCELREQ, "--withdraw", TASK),
	 .check = check_withdrawn, .publishes = true},
	{"cancelreq --reset", "reset", state_second, PROGRAM(CANCELREQ, "--reset", TASK),
	 .check = check_reset},
	{"cancelwatch sweep", "sweep", state_expired, PROGRAM(CANCELWATCH, "sweep"), .check = check_expired},
	{"cancelwatch run", "run", state_nothing, PROGRAM(CANCELWATCH, "run", TASK, "--", "true"),
	 .check = check_run_free, .has_threads = true},
	{"cancelwatch run, asked", "run", state_second, PROGRAM(CANCELWATCH, "run", TASK, "--", "true"),
	 .check = check_run_asked, .has_threads = true},
};

const int scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);

const struct scenario *scenario_named(const char *name)
{
	for (int i = 0; i < scenario_count; i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	(void)fprintf(stderr, "there is no scenario '%s'\n", name);
	abort();
}
