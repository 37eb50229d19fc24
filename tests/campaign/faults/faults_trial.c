#include "faults_trial.h"

#include "campaign.h"
#include "faults_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	GO_MS = 30000,
	OUTPUT_SIZE = 4096,
	EXIT_SIGNAL_BASE = 128,
	WHERE_MAX = 600,
};

/* What the operation's process measures once all is closed. A run that it had begun is ended for that. */
struct measure {
	bool is_taken;
	long live;
	int descriptors;
	int allocations;
	int failed_allocations;
};

struct
try {
	struct scenario_trial trial;
	struct faults_play play;
	struct measure *measure; /* shared */
	int allocation_at;       /* -1: none fails */
	bool allocation_on;
	int output_fd;
	bool is_measured; /* it closes all and measures; what stands in the spool is of no use then */
	char where[WHERE_MAX];
};

static int broken_count;

int faults_broken_count(void)
{
	return broken_count;
}

/* --- in the operation's process ------------------------------------------------------------------------- */

static int operate(void *arg)
{
	struct try *try = arg;
	long live = faults_memory_live();
	int status;

	faults_memory_plan(try->allocation_at, try->allocation_on);
	status = scenario_operate(&try->trial);
	try->measure->allocations = faults_memory_count();
	try->measure->failed_allocations = faults_memory_failures();
	try->measure->is_taken = true;
	if (!try->is_measured)
		return status;
	scenario_tear_down(&try->trial);
	try->measure->live = faults_memory_live() - live;
	try->measure->descriptors = scenario_count_descriptors();
	return status;
}

/* --- playing it ----------------------------------------------------------------------------------------- */

static void begin(struct try *try, const struct scenario *scenario)
{
	(void)scenario_begin(&try->trial, scenario);
	try->play.is_program = scenario->words != NULL;
	try->allocation_at = -1;
	try->output_fd = memfd_create("output", MFD_CLOEXEC);
	try->measure =
		mmap(NULL, sizeof(*try->measure), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (try->measure == MAP_FAILED || try->output_fd < 0)
		abort();
}

static void end(struct try *try)
{
	(void)close(try->output_fd);
	(void)munmap(try->measure, sizeof(*try->measure));
	scenario_end(&try->trial);
}

/* Its exit code; -1 when it does not end. */
static int play_traced(struct try *try)
{
	const struct tracer_options options = {.entering = faults_entering, .arg = &try->play};
	const struct scenario *scenario = try->trial.scenario;
	struct tracer *tracer;
	int status = -1;

	if (scenario->words)
		tracer = tracer_exec(&options, scenario_words(scenario), scenario_environment(&try->trial),
				     try->output_fd);
	else
		tracer = tracer_fork(&options, operate, try, try->output_fd);
	if (tracer_go(tracer, GO_MS) == TRACER_ENDED)
		status = tracer_status(tracer);
	tracer_end(tracer);
	return status;
}

/* Allocations fail without a tracer. An alarm ends who does not end. */
static int play_forked(struct try *try)
{
	int status = 0;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		(void)alarm(GO_MS / 1000);
		(void)dup2(try->output_fd, STDOUT_FILENO);
		(void)dup2(try->output_fd, STDERR_FILENO);
		_exit(operate(try));
	}
	(void)waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? EXIT_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- what must be true ---------------------------------------------------------------------------------- */

/* What it wrote; valid until the next. */
static const char *output_of(const struct try *try)
{
	static char text[OUTPUT_SIZE];
	ssize_t got = pread(try->output_fd, text, sizeof(text) - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static const char *answer_of(const struct try *try)
{
	return try->play.is_program ? output_of(try) : try->trial.result->error.text;
}

/* A program has things of its own that can fail, so it is asked for a sentence of its own. DESIGN.md,
 * invariant 11 */
static void check_sentence(const struct try *try)
{
	if (try->play.is_program)
		(void)scenario_expect(&try->trial, strstr(output_of(try), ": "),
				      "it failed, and said nothing");
	else
		(void)scenario_check_sentence(&try->trial, NULL);
}

static void check_told(const struct try *try, enum scenario_how how)
{
	const struct faults_call *broken = try->play.broken;

	if (how == SCENARIO_FAILED)
		check_sentence(try);
	/* Who reads and writes files tries again. */
	if (broken && try->play.fault.kind == FAULTS_ONCE && try->play.failed_with == EINTR &&
	    broken->has_size)
		(void)scenario_expect(&try->trial, how != SCENARIO_FAILED, "it was interrupted, and gave up");
	/* Only the answer tells of a sync that failed: what stands looks well. */
	if (broken && broken->is_sync && try->trial.scenario->durability != CANCEL_DURABILITY_NONE)
		(void)scenario_expect(&try->trial, how == SCENARIO_FAILED,
				      "a sync failed, and nobody was told");
}

static void check_drafts(const struct try *try)
{
	struct scenario_files files = scenario_list(&try->trial, "tmp");

	for (size_t i = 0; i < files.count && !try->play.has_failed_removal; i++)
		(void)scenario_expect(&try->trial, !strstr(files.names[i], ".draft"), "it left tmp/%s",
				      files.names[i]);
}

static void check_measure(const struct try *try, const struct faults_sound *sound)
{
	const struct measure *measure = try->measure;
	int kept = try->trial.result->descriptors;

	if (try->play.is_program ||
	    !scenario_expect(&try->trial, measure->is_taken, "it did not live on: %s", output_of(try)))
		return;
	/* What ends a run lets go of its lease, and may fail before that; a thread opens what it needs when
	 * it likes. */
	(void)scenario_expect(&try->trial,
			      kept <= sound->kept || kept <= 0 || try->trial.scenario->has_threads,
			      "%d descriptors were kept, unbroken %d", kept, sound->kept);
	if (!try->is_measured)
		return;
	(void)scenario_expect(&try->trial, measure->live <= sound->live,
			      "%ld allocations were left, unbroken %ld", measure->live, sound->live);
	(void)scenario_expect(&try->trial, measure->descriptors <= sound->descriptors,
			      "%d descriptors were left, unbroken %d", measure->descriptors,
			      sound->descriptors);
}

static bool is_run(const struct try *try)
{
	static const char *const operations[] = {"begin", "checkpoint", "end", "run"};

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(try->trial.scenario->operation, operations[i]))
			return true;
	return false;
}

/* What was answered is not for the scenario to judge where
 * - the kernel's answer was not true, "it is there" or "it is not there",
 * - a drop may not be read, which is refused, as a file of others,
 * - the sentence says that the request stands,
 * - a run was stopped, and had no memory to keep by whom,
 * - `cancelwatch run` exits as its command did, or because it was cancelled, whether or not it could write
 * that down. Nothing may be lost by it all the same. */
static enum scenario_how weigh(struct try *try, enum scenario_how how)
{
	bool is_done = how == SCENARIO_DONE && is_run(try);
	bool is_refused = how == SCENARIO_NO && try->play.failed_with == EACCES &&
			  strstr(try->trial.scenario->name, "drop");
	bool is_said = how == SCENARIO_FAILED && strstr(answer_of(try), "stands in");
	bool is_unexplained = is_done && try->measure->failed_allocations > 0 &&
			      try->trial.result->claim_count <= (try->trial.scenario->set_up != NULL);
	bool is_of_command = is_done && try->play.is_program && try->play.hits > 0;

	if (try->play.has_lied)
		try->trial.result->claim_count = 0;
	if (try->play.has_lied || is_refused || is_said || is_unexplained || is_of_command)
		return SCENARIO_KILLED;
	return how;
}

/* A run that could not remove its lease leaves it to a sweep. Here it is removed, so that none of those that
 * come after may leave any. */
static void clear_lease(const struct try *try)
{
	struct scenario_files runs = scenario_list(&try->trial, "runs");
	bool is_broken = try->play.hits > 0 || try->measure->failed_allocations > 0;
	char file[2 * SCENARIO_FILE_SIZE];

	if (!is_broken || !is_run(try) || runs.count != 1)
		return;
	(void)snprintf(file, sizeof(file), "runs/%s", runs.names[0]);
	(void)unlink(scenario_path(&try->trial, file));
}

/* What it answered is a part of where it broke. */
static void name_answer(struct try *try, enum scenario_how how)
{
	static const char *const answers[] = {[SCENARIO_DONE] = "done",
					      [SCENARIO_NO] = "no",
					      [SCENARIO_FAILED] = "",
					      [SCENARIO_KILLED] = "killed"};
	const char *sentence = answer_of(try);
	size_t used = strlen(try->where);

	(void)snprintf(try->where + used, sizeof(try->where) - used, ", answered [%s%.*s]", answers[how],
		       how == SCENARIO_FAILED ? (int)strcspn(sentence, "\n") : 0, sentence);
}

static void check(struct try *try, const struct faults_sound *sound, int status)
{
	enum scenario_how how;

	try->trial.where = try->where;
	if (!scenario_expect(&try->trial, status >= 0, "it does not end"))
		return;
	how = scenario_ended(&try->trial, status);
	name_answer(try, how);
	check_told(try, how);
	check_drafts(try);
	check_measure(try, sound);
	clear_lease(try);
	if (!try->is_measured || !try->trial.scenario->set_up)
		(void)scenario_check(&try->trial, weigh(try, how));
}

/* --- the trials ----------------------------------------------------------------------------------------- */

static void note_sound(const struct try *try, struct faults_sound *sound)
{
	memcpy(sound->calls, try->play.calls, sizeof(sound->calls));
	sound->call_count = try->play.seen < FAULTS_CALLS_MAX ? try->play.seen : FAULTS_CALLS_MAX;
	sound->allocation_count = try->measure->allocations;
	sound->kept = try->trial.result->descriptors;
	if (!try->is_measured)
		return;
	sound->live = try->measure->live;
	sound->descriptors = try->measure->descriptors;
}

static void play_sound(const struct scenario *scenario, struct faults_sound *sound, bool is_measured)
{
	static struct try try;
	int status;

	try = (struct try){.play = {.fault = {.kind = FAULTS_NONE}}, .is_measured = is_measured};
	begin(&try, scenario);
	status = play_traced(&try);
	note_sound(&try, sound);
	(void)snprintf(try.where, sizeof(try.where), "%s, unbroken", scenario->name);
	(void)campaign_expect(sound->call_count > 0, "%s: it makes no calls", scenario->name);
	check(&try, sound, status);
	end(&try);
}

bool faults_sound_run(const struct scenario *scenario, struct faults_sound *sound)
{
	long before = campaign_violations();

	if (scenario->set_up)
		play_sound(scenario, sound, true);
	play_sound(scenario, sound, !scenario->set_up);
	return campaign_violations() == before;
}

static void break_call(const struct scenario *scenario, const struct faults_sound *sound,
		       struct faults_fault fault, bool is_measured)
{
	static struct try try;
	char text[FAULTS_WHERE_SIZE];
	int status;

	try = (struct try){.play = {.fault = fault}, .is_measured = is_measured};
	begin(&try, scenario);
	status = play_traced(&try);
	(void)snprintf(try.where, sizeof(try.where), "%s", faults_where(&try.play, scenario->name, text));
	broken_count += try.play.hits > 0;
	check(&try, sound, status);
	end(&try);
}

/* Where a run is under way, what is left in the spool and what is left in memory are two runs. */
void faults_break_call(const struct scenario *scenario, const struct faults_sound *sound,
		       struct faults_fault fault)
{
	if (scenario->set_up)
		break_call(scenario, sound, fault, true);
	break_call(scenario, sound, fault, !scenario->set_up);
}

static void break_allocation(const struct scenario *scenario, const struct faults_sound *sound, int at,
			     bool on, bool is_measured)
{
	static struct try try;
	int status;

	try = (struct try){.play = {.fault = {.kind = FAULTS_NONE}}, .is_measured = is_measured};
	begin(&try, scenario);
	try.allocation_at = at;
	try.allocation_on = on;
	status = play_forked(&try);
	(void)snprintf(try.where, sizeof(try.where), "%s, no memory at allocation %d%s", scenario->name, at,
		       on ? " and after it" : "");
	broken_count += try.measure->failed_allocations > 0;
	check(&try, sound, status);
	end(&try);
}

void faults_break_allocation(const struct scenario *scenario, const struct faults_sound *sound, int at,
			     bool on)
{
	if (scenario->set_up)
		break_allocation(scenario, sound, at, on, true);
	break_allocation(scenario, sound, at, on, !scenario->set_up);
}
