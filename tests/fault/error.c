/*
 * Each system call of an operation fails in turn, with errors that a filesystem gives. The answer is success,
 * and then it is true, or a failure with a sentence that names the spool or the thing, and then nothing was
 * published and nothing is lost. A look-up that failed never says "no".
 *
 * Mutations that this catches: an unchecked write, sync, link or rename (success that is none); a draft that
 * is forgotten in pending; a reset that forgets the processed record while its litter stands; "cannot look"
 * taken for "is not there".
 */
#include "scene.h"
#include "strace.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TIMEOUT_S = 600,
	SAMPLE = 8,
	EXIT_DONE = 0,
	EXIT_NO = 1,
	EXIT_SYSTEM = 3,
	NAMES_MAX = 16,
};

TestSuite(error, .timeout = TIMEOUT_S);

/* What touches the disk. getrandom is not among them: without randomness the library aborts, by design. */
#define CALLS                                                                                            \
	"openat read write pwrite64 linkat renameat renameat2 unlinkat utimensat fsync fdatasync fcntl " \
	"newfstatat fchmod fchown mkdirat getdents64 lseek"

static const char *const errors[] = {"error=ENOSPC", "error=EIO"};

/* --- what there is ------------------------------------------------------------------------------------ */

/* The names of the files in a folder, sorted. */
struct listing {
	char names[NAMES_MAX][64];
	size_t count;
};

static int by_name(const void *one, const void *other)
{
	return strcmp(one, other);
}

static struct listing list_files(const char *folder)
{
	struct listing listing = {.count = 0};
	DIR *stream = opendir(scene_path(folder));
	struct dirent *entry;

	cr_assert_not_null(stream);
	while ((entry = readdir(stream)) && listing.count < NAMES_MAX)
		if (entry->d_name[0] != '.')
			(void)snprintf(listing.names[listing.count++], sizeof(listing.names[0]), "%.63s",
				       entry->d_name);
	(void)closedir(stream);
	qsort(listing.names, listing.count, sizeof(listing.names[0]), by_name);
	return listing;
}

static bool same_listing(const struct listing *one, const struct listing *other)
{
	return !memcmp(one, other, sizeof(*one));
}

/* --- what must be found after a success and a failure --------------------------------------------------- */

static void check_asked(int exit_code)
{
	int expected = exit_code == EXIT_DONE ? CANCEL_LOOKUP_PENDING : CANCEL_LOOKUP_NONE;
	struct cancel_request found;
	int code = scene_look(&found);

	cr_assert_eq(code, expected, "%s: exit code %d, but state %d", scene.where, exit_code, code);
	cancel_request_clear(&found);
}

/* Each of a batch stands, or its failure was told; here all of them, or one was told. */
static void check_batch(int exit_code)
{
	for (int i = 1; exit_code == EXIT_DONE && i <= 3; i++) {
		char task[16];

		(void)snprintf(task, sizeof(task), TASK "%d", i);
		cr_assert_eq(cancel_spool_lookup(scene.spool, task, NULL, NULL, &scene.error),
			     CANCEL_LOOKUP_PENDING, "%s: '%s' is lost", scene.where, task);
	}
}

static void check_asked_more(int exit_code)
{
	struct cancel_request found;
	int code = scene_look(&found);

	cr_assert(code == CANCEL_LOOKUP_PENDING && scene_is_accepted(&found), "%s: it is lost, state %d",
		  scene.where, code);
	cr_assert(exit_code != EXIT_DONE || found.expires_in_s == CANCEL_EXPIRES_NEVER,
		  "%s: success, but its terms were not merged", scene.where);
	cancel_request_clear(&found);
}

/* Decided if it says so. If it failed, pending as before, or decided: the sentence said so. */
static void check_acknowledged(int exit_code)
{
	struct cancel_request found;
	int code = scene_look(&found);
	bool decided = code == CANCEL_LOOKUP_PROCESSED && found.outcome == CANCEL_OUTCOME_STOPPED;

	cr_assert(scene_is_accepted(&found), "%s: it is lost, state %d", scene.where, code);
	cr_assert(exit_code == EXIT_DONE ? decided : code == CANCEL_LOOKUP_PENDING,
		  "%s: exit code %d, but state %d", scene.where, exit_code, code);
	cancel_request_clear(&found);
}

static void check_reset(int exit_code)
{
	struct cancel_request found;
	int code = scene_look(&found);
	bool ours = code == CANCEL_LOOKUP_NONE || scene_is_accepted(&found);

	cr_assert(exit_code == EXIT_DONE ? code == CANCEL_LOOKUP_NONE : ours,
		  "%s: exit code %d, but state %d", scene.where, exit_code, code);
	cancel_request_clear(&found);
}

static void check_not_alive(int exit_code)
{
	struct cancel_request found;
	int code = scene_look(&found);

	cr_assert(code != CANCEL_LOOKUP_PENDING || !scene_is_accepted(&found),
		  "%s: exit code %d, and the decided request is alive", scene.where, exit_code);
	cancel_request_clear(&found);
}

static void check_swept(int exit_code)
{
	struct cancel_request found;
	int code = scene_look(&found);

	(void)exit_code;
	cr_assert(scene_is_accepted(&found), "%s: it is lost, state %d", scene.where, code);
	cancel_request_clear(&found);
}

static void check_taken_in(int exit_code)
{
	struct cancel_sweep_result result;
	struct cancel_request found;
	int code;

	(void)exit_code;
	cr_assert_eq(cancel_spool_intake(scene.spool, NULL, NULL, &scene.error), 0, "%s", scene.where);
	cr_assert_eq(cancel_spool_sweep(scene.spool, NULL, NULL, NULL, &result, &scene.error), 0, "%s",
		     scene.where);
	code = scene_look(&found);
	cr_assert(code == CANCEL_LOOKUP_PENDING && !strcmp(found.reason, DROP_REASON),
		  "%s: the drop is lost, state %d", scene.where, code);
	cancel_request_clear(&found);
}

static void check_found(int exit_code)
{
	cr_assert_neq(exit_code, EXIT_NO, "%s: a failure said no", scene.where);
}

/* --- the walk ----------------------------------------------------------------------------------------- */

struct scenario {
	const char *name;
	const char *const *words;
	void (*prepare)(void);
	void (*check)(int exit_code);
	bool publishes; /* a failure leaves pending/ and processed/ as they were */
};

static void check_sentence(const struct process *process)
{
	cr_assert(process->exit_code == EXIT_DONE || process->exit_code == EXIT_NO ||
			  process->exit_code == EXIT_SYSTEM,
		  "%s: exit code %d: %s", scene.where, process->exit_code, process->err);
	if (process->exit_code == EXIT_SYSTEM)
		cr_assert(strstr(process->err, scene.dir.root) || strchr(process->err, '\''),
			  "%s: the sentence names nothing: %s", scene.where, process->err);
}

static void fail_at(const struct scenario *scenario, const struct strace_call *call, const char *how)
{
	struct listing pending, processed, pending_now, processed_now;
	struct process process;
	char text[160];

	(void)snprintf(text, sizeof(text), "%s, %s at %s %d", scenario->name, how, call->name, call->number);
	scene.where = text;
	scene_make();
	scene_prepare(scenario->prepare);
	pending = list_files("pending");
	processed = list_files("processed");
	strace_break(&process, scenario->words, scene_environment(), call, how);
	check_sentence(&process);
	/* Only the answer tells of a sync that failed: what stands looks well. */
	if (!strcmp(call->name, "fdatasync") || !strcmp(call->name, "fsync"))
		cr_assert_eq(process.exit_code, EXIT_SYSTEM, "%s: nobody was told", scene.where);
	pending_now = list_files("pending");
	processed_now = list_files("processed");
	if (scenario->publishes && process.exit_code == EXIT_SYSTEM)
		cr_assert(same_listing(&pending, &pending_now) && same_listing(&processed, &processed_now),
			  "%s: it failed, and something was published", scene.where);
	scene_open();
	scene_check_whole();
	scenario->check(process.exit_code);
	scene_check_works();
	scene_check_beside();
	scene_close();
	scene_remove();
	process_free(&process);
}

static int list_calls(const struct scenario *scenario, struct strace_call calls[STRACE_CALLS_MAX])
{
	struct process process;
	int count;

	scene.where = scenario->name;
	scene_make();
	scene_prepare(scenario->prepare);
	count = strace_list(&process, scenario->words, scene_environment(), CALLS, calls);
	scene_remove();
	if (count < 0)
		cr_skip_test("strace cannot run here: %s", process.err);
	cr_assert_eq(process.exit_code, EXIT_DONE, "%s: %s", scene.where, process.err);
	process_free(&process);
	return count;
}

static void walk(struct scenario scenario)
{
	static struct strace_call calls[STRACE_CALLS_MAX];
	int count = list_calls(&scenario, calls), step = 1, walked = 0;

	if (getenv("CANCEL_TEST_SLOW"))
		step = (count + SAMPLE - 1) / SAMPLE;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		for (int at = count - 1; at >= 0; at -= step, walked++)
			fail_at(&scenario, &calls[at], errors[i]);
	cr_assert_gt(walked, 0, "%s makes no calls", scenario.name);
	(void)printf("error: %s: %d failures at %d calls, nothing was lost or half published\n",
		     scenario.name, walked, count);
}

/* --- the operations ----------------------------------------------------------------------------------- */

#define DRIVEN(...) WORDS(DRIVE, __VA_ARGS__)

/* DESIGN.md, invariant 7 */
Test(error, asking_succeeds_or_publishes_nothing)
{
	walk((struct scenario){"ask", DRIVEN("ask", TASK), scene_nothing, check_asked, true});
}

Test(error, asking_with_syncs_succeeds_or_publishes_nothing)
{
	walk((struct scenario){"ask, synced", DRIVEN("--durability", "file", "ask", TASK), scene_nothing,
			       check_asked, true});
}

Test(error, asking_for_a_batch_succeeds_or_says_so)
{
	walk((struct scenario){"ask-batch", DRIVEN("--durability", "file", "ask-batch", TASK), scene_nothing,
			       check_batch, false});
}

Test(error, asking_for_more_never_loses_what_stands)
{
	walk((struct scenario){"ask-longer", DRIVEN("ask-longer", TASK), scene_pending, check_asked_more,
			       true});
}

Test(error, acknowledging_succeeds_or_changes_nothing)
{
	walk((struct scenario){"ack", DRIVEN("--durability", "file", "ack", TASK), scene_second,
			       check_acknowledged, true});
}

Test(error, resetting_succeeds_or_loses_nothing)
{
	walk((struct scenario){"reset", DRIVEN("reset", TASK), scene_second, check_reset, false});
}

Test(error, resetting_never_revives_litter)
{
	walk((struct scenario){"reset over litter", DRIVEN("reset", TASK), scene_litter, check_not_alive,
			       false});
}

Test(error, asking_never_revives_litter)
{
	walk((struct scenario){"ask over litter", DRIVEN("ask", TASK), scene_litter, check_not_alive, false});
}

Test(error, sweeping_loses_nothing_that_expires)
{
	walk((struct scenario){"sweep expiring", DRIVEN("sweep", "86400"), scene_expired, check_swept,
			       false});
}

Test(error, sweeping_never_revives_litter)
{
	walk((struct scenario){"sweep removing", DRIVEN("sweep", "0"), scene_litter, check_not_alive, false});
}

Test(error, taking_in_never_loses_a_drop)
{
	walk((struct scenario){"intake", DRIVEN("intake"), scene_drop, check_taken_in, false});
}

Test(error, looking_up_a_request_never_says_no)
{
	walk((struct scenario){"lookup", DRIVEN("lookup", TASK), scene_pending, check_found, false});
}

Test(error, checking_for_a_drop_never_says_no)
{
	walk((struct scenario){"check of a drop", DRIVEN("check", TASK), scene_drop, check_found, false});
}

Test(error, looking_up_a_drop_never_says_no)
{
	walk((struct scenario){"lookup of a drop", DRIVEN("lookup", TASK), scene_drop, check_found, false});
}

Test(error, looking_up_a_decision_never_says_no)
{
	walk((struct scenario){"lookup of a decision", DRIVEN("lookup", TASK), scene_litter, check_found,
			       false});
}
