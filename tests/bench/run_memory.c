/* What watching over a command takes in memory while the command runs: of all processes but the command,
 * beside timeout(1), which is one. */
#include "bare.h"
#include "fixture.h"
#include "harness.h"
#include "memory.h"
#include "process.h"
#include "sleeper.h"

#include <signal.h>

#define REPETITIONS 21

static const struct place *spool_place;
static struct cancel_spool *spool;
static char program_timeout[PROCESS_PATH_SIZE];
static long number;

static void set_up(const struct place *place)
{
	(void)place;
	place_renew(place_of(PLACE_MEMORY));
	spool_place = place_of(PLACE_MEMORY);
	spool = fixture_open(spool_place, "spool");
	(void)process_find(program_timeout, "timeout");
}

static void tear_down(void)
{
	cancel_spool_close(spool);
}

/* --- who is looked at --------------------------------------------------------------------------------- */

typedef double measure_process(pid_t pid);

/* The largest that was resident so far. Pages that two processes share count twice. */
static double peak_kib(pid_t pid)
{
	return memory_field(pid, "status", "VmHWM:");
}

/* Shared pages are divided by those who share them. */
static double share_kib(pid_t pid)
{
	return memory_field(pid, "smaps_rollup", "Pss:");
}

/* What would be free again if it ended. */
static double private_kib(pid_t pid)
{
	return memory_field(pid, "smaps_rollup", "Private_Clean:") +
	       memory_field(pid, "smaps_rollup", "Private_Dirty:");
}

static pid_t parent_of(pid_t pid)
{
	return (pid_t)memory_field(pid, "status", "PPid:");
}

/* Those who watch are the command's ancestors, up to the one that we started. */
static double sum(const struct sleeper *sleeper, measure_process *measure)
{
	double total = 0;
	pid_t pid = sleeper->command;

	do {
		pid = parent_of(pid);
		total += measure(pid);
	} while (pid != sleeper->runner);
	return total;
}

static double measure(const char *const *arguments, measure_process *measure_one)
{
	struct sleeper sleeper;
	double total;

	sleeper_start(&sleeper, arguments);
	total = sum(&sleeper, measure_one);
	(void)kill(sleeper.runner, SIGTERM);
	(void)sleeper_finish(&sleeper);
	return total;
}

/* --- both sides --------------------------------------------------------------------------------------- */

static double of_run(measure_process *measure_one)
{
	char path[160], task[32];

	(void)snprintf(path, sizeof path, "%s/spool", spool_place->dir);
	bare_task(task, number++);
	return measure(PROCESS_ARGUMENTS(CANCELWATCH, "run", "--quiet", "--spool", path, task, "--",
					 SLEEPER_COMMAND),
		       measure_one);
}

static double of_timeout(measure_process *measure_one)
{
	return measure(PROCESS_ARGUMENTS(program_timeout, "10", SLEEPER_COMMAND), measure_one);
}

#define SIDES(what)                                             \
	static double run_##what(const struct place *place)     \
	{                                                       \
		(void)place;                                    \
		return of_run(what);                            \
	}                                                       \
	static double timeout_##what(const struct place *place) \
	{                                                       \
		(void)place;                                    \
		return of_timeout(what);                        \
	}

SIDES(peak_kib)
SIDES(share_kib)
SIDES(private_kib)

static const struct bench rows[] = {
	{.name = "run: peak memory (VmHWM), two processes",
	 .unit = "KiB",
	 .peer = "timeout 10",
	 .needs = "timeout",
	 .repetitions = REPETITIONS,
	 .ours = run_peak_kib,
	 .theirs = timeout_peak_kib},
	{.name = "run: memory, shared pages by share (Pss)",
	 .unit = "KiB",
	 .peer = "timeout 10",
	 .needs = "timeout",
	 .repetitions = REPETITIONS,
	 .ours = run_share_kib,
	 .theirs = timeout_share_kib},
	{.name = "run: memory of its own",
	 .unit = "KiB",
	 .peer = "timeout 10",
	 .needs = "timeout",
	 .repetitions = REPETITIONS,
	 .ours = run_private_kib,
	 .theirs = timeout_private_kib},
};
static struct bench_group group = {
	.rows = rows, .count = COUNT(rows), .set_up = set_up, .tear_down = tear_down};
BENCH_GROUP(group)
