#include "scenario_parts.h"

#include "campaign.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	EXIT_NO = 1,
	EXIT_SYSTEM = 3,
	EXIT_UNPREPARED = 70,
	EXIT_RUN_CANCELLED = 123,
	EXIT_RUN_FAILED = 125,
	EXIT_KILLED = 128 + 9,
	WORDS_MAX = 16,
};

/* --- what does not hold ------------------------------------------------------------------------------- */

struct scenario_harm scenario_harm;

static bool violate(const struct scenario_trial *trial, const char *format, va_list arguments)
{
	char text[1024];

	(void)vsnprintf(text, sizeof(text), format, arguments);
	return campaign_expect(false, "%s: %s", trial->where, text);
}

#define VIOLATE_UNLESS(holds, counter)                   \
	do {                                             \
		va_list arguments;                       \
                                                         \
		if (holds)                               \
			return true;                     \
		(counter)++;                             \
		va_start(arguments, format);             \
		(void)violate(trial, format, arguments); \
		va_end(arguments);                       \
		return false;                            \
	} while (0)

bool scenario_expect(const struct scenario_trial *trial, bool holds, const char *format, ...)
{
	long others = 0;

	VIOLATE_UNLESS(holds, others);
}

bool scenario_expect_kept(const struct scenario_trial *trial, bool holds, const char *format, ...)
{
	VIOLATE_UNLESS(holds, scenario_harm.lost);
}

bool scenario_expect_once(const struct scenario_trial *trial, bool holds, const char *format, ...)
{
	VIOLATE_UNLESS(holds, scenario_harm.decided_twice);
}

bool scenario_expect_whole(const struct scenario_trial *trial, bool holds, const char *format, ...)
{
	VIOLATE_UNLESS(holds, scenario_harm.torn);
}

void scenario_require(const struct scenario_trial *trial, bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "%s: %s failed: %s\n", trial->where, what, trial->error.text);
	abort();
}

/* --- files -------------------------------------------------------------------------------------------- */

const char *scenario_path(const struct scenario_trial *trial, const char *file)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", trial->dir.path, file);
	return path;
}

bool scenario_exists(const struct scenario_trial *trial, const char *file)
{
	struct stat stat;

	return lstat(scenario_path(trial, file), &stat) == 0;
}

static int by_name(const void *one, const void *other)
{
	return strcmp(one, other);
}

struct scenario_files scenario_list(const struct scenario_trial *trial, const char *folder)
{
	struct scenario_files files = {.count = 0};
	DIR *stream = opendir(scenario_path(trial, folder));
	struct dirent *entry;

	while (stream && (entry = readdir(stream)) && files.count < SCENARIO_FILES_MAX)
		if (entry->d_name[0] != '.')
			(void)snprintf(files.names[files.count++], SCENARIO_FILE_SIZE, "%.63s",
				       entry->d_name);
	if (stream)
		(void)closedir(stream);
	qsort(files.names, files.count, sizeof(files.names[0]), by_name);
	return files;
}

static bool same_files(const struct scenario_files *one, const struct scenario_files *other)
{
	return !memcmp(one, other, sizeof(*one));
}

/* --- a trial ------------------------------------------------------------------------------------------ */

void scenario_open(struct scenario_trial *trial)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	options.path = trial->dir.path;
	options.create = true;
	options.durability = trial->scenario->durability;
	scenario_require(trial, cancel_spool_open(&trial->spool, &options, &trial->error) == 0,
			 "opening the spool");
	scenario_use_way(trial->spool, trial->scenario->way);
}

/* The first pass of all looks into every file. Whether a run just began or ended makes a program look once
 * more, and what is broken must not depend on how long ago that was. */
void scenario_settle(struct scenario_trial *trial)
{
	const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	struct cancel_sweep_result result;

	scenario_require(trial,
			 cancel_spool_sweep(trial->spool, NULL, NULL, NULL, &result, &trial->error) == 0,
			 "sweeping");
	scenario_require(trial, utimensat(AT_FDCWD, scenario_path(trial, "runs"), long_ago, 0) == 0,
			 "dating runs/");
}

static void prepare(struct scenario_trial *trial)
{
	scenario_open(trial);
	scenario_settle(trial);
	scenario_require(trial, scenario_ask(trial, SCENARIO_BESIDE, trial->beside) == CANCEL_REQUESTED,
			 "asking");
	trial->scenario->prepare(trial);
	trial->pending = scenario_list(trial, "pending");
	trial->processed = scenario_list(trial, "processed");
}

void scenario_begin(struct scenario_trial *trial, const struct scenario *scenario)
{
	*trial = (struct scenario_trial){.scenario = scenario, .where = scenario->name};
	trial->result =
		mmap(NULL, sizeof(*trial->result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	scenario_require(trial, trial->result != MAP_FAILED, "sharing memory");
	spool_dir_make(&trial->dir);
	if (!scenario->makes_spool)
		prepare(trial);
}

void scenario_end(struct scenario_trial *trial)
{
	cancel_spool_close(trial->spool);
	spool_dir_remove(&trial->dir);
	(void)munmap(trial->result, sizeof(*trial->result));
}

/* --- the process that is to be broken ----------------------------------------------------------------- */

int scenario_count_descriptors(void)
{
	DIR *stream = opendir("/proc/self/fd");
	int count = 0;

	while (stream && readdir(stream))
		count++;
	if (stream)
		(void)closedir(stream);
	return count;
}

static void mark(void)
{
	(void)getppid();
}

static int exit_code_of(int code)
{
	return code < 0 ? EXIT_SYSTEM : code;
}

int scenario_operate(void *arg)
{
	struct scenario_trial *trial = arg;
	struct scenario_result *result = trial->result;
	int before, code = 0;

	if (trial->scenario->set_up)
		code = trial->scenario->set_up(trial);
	if (code < 0) {
		(void)fprintf(stderr, "%s: not set up: %s\n", trial->where, trial->error.text);
		return EXIT_UNPREPARED;
	}
	before = scenario_count_descriptors();
	mark();
	code = trial->scenario->operate(trial);
	mark();
	result->code = code;
	result->error = trial->error;
	result->returned = true;
	result->descriptors = scenario_count_descriptors() - before;
	return exit_code_of(code);
}

/* --- programs ----------------------------------------------------------------------------------------- */

static const char *program_path(const char *name)
{
	const char *path = getenv(!strcmp(name, SCENARIO_CANCELREQ) ? "CANCELREQ" : "CANCELWATCH");

	if (path)
		return path;
	return !strcmp(name, SCENARIO_CANCELREQ) ? BUILD_DIR "/bin/cancelreq" : BUILD_DIR "/bin/cancelwatch";
}

const char *const *scenario_words(const struct scenario *scenario)
{
	static const char *words[WORDS_MAX];
	int count = 0;

	for (; scenario->words[count] && count < WORDS_MAX - 1; count++)
		words[count] = scenario->words[count];
	words[count] = NULL;
	words[0] = program_path(words[0]);
	return words;
}

const char *const *scenario_environment(const struct scenario_trial *trial)
{
	static const char *words[4];
	static char spool[80];

	(void)snprintf(spool, sizeof(spool), "TASK_CANCELLATION_DIR=%s", trial->dir.path);
	words[0] = spool;
	words[1] = "CANCEL_CONFIG=";
	words[2] = "ASAN_OPTIONS=detect_leaks=0"; /* which cannot work while being traced */
	return words;
}

enum scenario_how scenario_ended(struct scenario_trial *trial, int status)
{
	switch (status) {
	case 0:
	case EXIT_RUN_CANCELLED:
		return SCENARIO_DONE;
	case EXIT_NO:
		return SCENARIO_NO;
	case EXIT_KILLED:
		return SCENARIO_KILLED;
	default:
		(void)scenario_expect(trial, status == EXIT_SYSTEM || status == EXIT_RUN_FAILED,
				      "it ended with %d", status);
		return SCENARIO_FAILED;
	}
}

/* --- the whole check ---------------------------------------------------------------------------------- */

bool scenario_check_sentence(const struct scenario_trial *trial, const char *text)
{
	const char *sentence = text ? text : trial->result->error.text;

	return scenario_expect(trial, strstr(sentence, trial->dir.root) || strchr(sentence, '\''),
			       "the sentence names nothing: %s", sentence);
}

static void check_unchanged(struct scenario_trial *trial)
{
	struct scenario_files pending = scenario_list(trial, "pending"),
			      processed = scenario_list(trial, "processed");

	(void)scenario_expect(
		trial, same_files(&pending, &trial->pending) && same_files(&processed, &trial->processed),
		"it failed, and something was published");
}

/* What was told is known now, so that a set-up's request counts as accepted. */
static void accept_claimed(struct scenario_trial *trial)
{
	const struct scenario_result *result = trial->result;

	for (int i = 0; i < result->claim_count && !trial->accepted[0]; i++)
		if (trial->scenario->set_up && result->claims[i].what == SCENARIO_TOLD_REQUESTED)
			(void)strcpy(trial->accepted, result->claims[i].id);
}

/* As somebody who comes later; and there may not have been a spool before. */
static void open_anew(struct scenario_trial *trial)
{
	cancel_spool_close(trial->spool);
	scenario_open(trial);
	if (trial->scenario->makes_spool)
		(void)scenario_ask(trial, SCENARIO_BESIDE, trial->beside);
}

/* First what changes nothing, then what the scenario must find, then everything else. */
bool scenario_check(struct scenario_trial *trial, enum scenario_how how)
{
	long before = campaign_violations();

	accept_claimed(trial);
	if (trial->scenario->publishes && how == SCENARIO_FAILED)
		check_unchanged(trial);
	open_anew(trial);
	scenario_check_no_runs(trial);
	scenario_check_whole(trial);
	scenario_check_claims(trial);
	trial->scenario->check(trial, how);
	scenario_check_works(trial);
	scenario_check_beside(trial);
	scenario_check_whole(trial);
	return campaign_violations() == before;
}
