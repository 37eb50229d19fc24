#include "command.h"

#include "campaign.h"
#include "scenario_parts.h"
#include "tracer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_MS = 10,
	ROUNDS = WALK_TIMEOUT_MS / LOOK_MS,
	NEVER = -1,
	WHILE_IT_WAITS = -2,
	EXIT_CANCELLED = 123,
	EXIT_FAILED = 125,
	EXIT_KILLED = 128 + 9,
	OUTPUT_SIZE = 512,
};

#define READY "ready\n"

/* It ignores what can be ignored, and so does an orphan of its in a session of its own. */
#define COMMAND                                                                        \
	"sh", "-c",                                                                    \
		"trap '' HUP INT TERM; (setsid sleep 600 &); echo ready; while :; do " \
		"sleep 600; done"

static const struct scenario scenario = {
	.name = "cancelwatch run of a command",
	.operation = "run",
	.prepare = state_nothing,
	.words = (const char *const[]){SCENARIO_CANCELWATCH, "run", "-q", "--grace", "20ms", SCENARIO_TASK,
				       "--", COMMAND, NULL},
};

enum who {
	FACE,
	SUPERVISOR,
	WHO_COUNT,
};

static const char *const names[] = {"face", "supervisor"};

struct run {
	struct scenario_trial trial;
	struct tracer *tracer;
	pid_t processes[WHO_COUNT];
	int seen[WHO_COUNT];
	enum who target;
	int target_call;
	long call; /* at which it was killed; or -1 */
	bool was_killed;
	int output_fd;
	char where[160];
};

static bool identify(struct run *run, pid_t process, enum who *who)
{
	for (int i = 0; i < WHO_COUNT; i++) {
		if (!run->processes[i])
			run->processes[i] = process;
		if (run->processes[i] == process) {
			*who = (enum who)i;
			return true;
		}
	}
	return false; /* the command's */
}

static struct tracer_order kill_at_target(void *arg, const struct tracer_call *call)
{
	static const struct tracer_order proceed = {TRACER_PROCEED, 0}, order = {TRACER_KILL, 0};
	struct run *run = arg;
	enum who who;

	if (!identify(run, call->process, &who) || run->seen[who]++ != run->target_call || who != run->target)
		return proceed;
	run->call = call->number;
	run->was_killed = true;
	return order;
}

/* --- one run -------------------------------------------------------------------------------------------- */

static bool is_ready(const struct run *run)
{
	char text[OUTPUT_SIZE] = "";

	return pread(run->output_fd, text, sizeof(text) - 1, 0) > 0 && strstr(text, READY);
}

/* Until the command says so, or all has ended. */
static enum tracer_state await_ready(struct run *run)
{
	enum tracer_state state = TRACER_LATE;

	for (int round = 0; round < ROUNDS && state == TRACER_LATE && !is_ready(run); round++)
		state = tracer_go(run->tracer, LOOK_MS);
	return state;
}

/* And nobody asks: it is its death alone that ends the command. */
static void kill_waiting(struct run *run)
{
	run->was_killed = kill(run->processes[run->target], SIGKILL) == 0;
}

static void run_to_its_end(struct run *run)
{
	struct tracer_options options = {.entering = kill_at_target, .arg = run};

	run->tracer = tracer_exec(&options, scenario_words(&scenario), scenario_environment(&run->trial),
				  run->output_fd);
	if (await_ready(run) != TRACER_ENDED) {
		if (run->target_call == WHILE_IT_WAITS)
			kill_waiting(run);
		else
			(void)scenario_ask(&run->trial, SCENARIO_TASK, run->trial.accepted);
		/* DESIGN.md, invariants 44 and 45 */
		(void)scenario_expect(&run->trial, tracer_go(run->tracer, WALK_TIMEOUT_MS) == TRACER_ENDED,
				      "somebody is left alive");
	}
}

static void name_call(struct run *run)
{
	if (run->call >= 0)
		(void)snprintf(run->where, sizeof(run->where), "%s, %s killed at %s, call %d", scenario.name,
			       names[run->target], tracer_call_name(run->call), run->target_call);
}

/* --- what must be true ---------------------------------------------------------------------------------- */

/* Told as stopped, or as failed by a supervisor that had not noticed it when its face died; else it is
 * pending. */
static bool may_be(const struct run *run, int status, int code, const struct cancel_request *found)
{
	bool pending = code == CANCEL_LOOKUP_PENDING, decided = code == CANCEL_LOOKUP_PROCESSED;
	bool stopped = decided && found->outcome == CANCEL_OUTCOME_STOPPED;
	bool failed = decided && found->outcome == CANCEL_OUTCOME_FAILED;

	if (status == EXIT_CANCELLED)
		return stopped;
	return pending || stopped || (failed && run->was_killed && run->target == FACE);
}

/* DESIGN.md, invariants 7 and 45 */
static void check_request(struct run *run, int status)
{
	struct cancel_request found;
	int code;

	if (!run->trial.accepted[0])
		return;
	code = scenario_look(&run->trial, &found);
	(void)scenario_expect_kept(&run->trial,
				   !strcmp(found.request_id, run->trial.accepted) &&
					   may_be(run, status, code, &found),
				   "it ended with %d, and found is state %d, request '%s', outcome %s",
				   status, code, found.request_id, cancel_outcome_text(found.outcome));
	cancel_request_clear(&found);
}

static void check(struct run *run)
{
	int status = tracer_status(run->tracer);

	(void)scenario_expect(&run->trial,
			      status == EXIT_CANCELLED ||
				      (run->was_killed && (status == EXIT_FAILED || status == EXIT_KILLED)),
			      "it ended with %d", status);
	scenario_check_no_runs(&run->trial);
	scenario_check_whole(&run->trial);
	check_request(run, status);
	scenario_check_works(&run->trial);
	scenario_check_beside(&run->trial);
	walk_check_cleared(&run->trial);
}

/* --- the walk ------------------------------------------------------------------------------------------- */

static void name_trial(struct run *run)
{
	const char *who = names[run->target];

	if (run->target_call == NEVER)
		(void)snprintf(run->where, sizeof(run->where), "%s, unbroken", scenario.name);
	else if (run->target_call == WHILE_IT_WAITS)
		(void)snprintf(run->where, sizeof(run->where), "%s, %s killed while it waits", scenario.name,
			       who);
	else
		(void)snprintf(run->where, sizeof(run->where), "%s, %s to be killed at call %d",
			       scenario.name, who, run->target_call);
}

/* How many calls each of the two made is in `seen`. */
static void kill_once(enum who target, int target_call, int seen[WHO_COUNT], struct walk_figures *figures)
{
	struct run run = {.target = target, .target_call = target_call, .call = -1};

	scenario_begin(&run.trial, &scenario);
	name_trial(&run);
	run.trial.where = run.where;
	run.output_fd = memfd_create("output", MFD_CLOEXEC);
	run_to_its_end(&run);
	name_call(&run);
	check(&run);
	memcpy(seen, run.seen, sizeof(run.seen));
	figures->calls++;
	figures->killed += run.was_killed;
	tracer_end(run.tracer);
	(void)close(run.output_fd);
	scenario_end(&run.trial);
}

static void kill_some(const int counts[WHO_COUNT], int sample, struct walk_figures *figures)
{
	int seen[WHO_COUNT];

	for (int i = 0; i < sample; i++) {
		enum who who = (enum who)(i % WHO_COUNT);

		kill_once(who, (int)campaign_pick((unsigned)counts[who]), seen, figures);
	}
}

/* By turns, and by steps that meet all in the end, so that a short time is spread over all of them. */
static void kill_all(const int counts[WHO_COUNT], int seconds, struct walk_figures *figures)
{
	const int step = 97; /* a prime */
	long end_s = walk_now_s() + seconds;
	int most = counts[FACE] > counts[SUPERVISOR] ? counts[FACE] : counts[SUPERVISOR], seen[WHO_COUNT];

	for (int i = 0; i < most && walk_now_s() < end_s; i++)
		for (int who = 0; who < WHO_COUNT; who++) {
			campaign_progress("a command's run: %d of %d calls", i, most);
			if (i < counts[who])
				kill_once((enum who)who, (int)((long)i * step % counts[who]), seen, figures);
		}
}

void command_walk(int sample, int seconds, struct walk_figures *figures)
{
	int counts[WHO_COUNT];

	kill_once(FACE, WHILE_IT_WAITS, counts, figures);
	kill_once(SUPERVISOR, WHILE_IT_WAITS, counts, figures);
	kill_once(FACE, NEVER, counts, figures);
	if (sample)
		kill_some(counts, sample, figures);
	else
		kill_all(counts, seconds, figures);
}
