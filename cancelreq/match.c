/* Ask for every task that is running and matches: each once, whatever the number of its runs.
 *
 * Who is running is collected first, so that the listing is over before the first task reacts, and so that a
 * task is asked for once. That takes memory for each run that matches. */
#include "asked.h"
#include "options.h"
#include "output.h"
#include "running.h"
#include "verbs.h"

#include <cancel/batch.h>
#include <cancel/request.h>
#include <cancel/run.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct match {
	const struct options *options;
	struct runner *runners; /* by task, then by their beginning, once they are sorted */
	size_t count;
	size_t room;
	struct cancel_request template; /* what the command line says of every request */
	int64_t requested;
	int64_t already_pending;
	int64_t refused;
};

/* --- who is running ----------------------------------------------------------------------------------- */

/* Returns 0, or -ENOMEM. */
static int make_room(struct match *match)
{
	size_t room = match->room ? 2 * match->room : 64;
	struct runner *runners;

	if (match->count < match->room)
		return 0;
	runners = reallocarray(match->runners, room, sizeof(*runners));
	if (!runners)
		return -ENOMEM;
	(void)memset(runners + match->room, 0, (room - match->room) * sizeof(*runners));
	match->runners = runners;
	match->room = room;
	return 0;
}

/* Ends the listing when memory runs out. */
static int visit(void *arg, const struct cancel_run *run)
{
	struct match *match = arg;

	if (!run_matches(run, match->options->pattern))
		return 0;
	if (make_room(match) < 0 || runner_set(&match->runners[match->count], run) < 0)
		return 1;
	match->count++;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct runner *one = left;
	const struct runner *other = right;
	int order = strcmp(one->task_id, other->task_id);

	return order != 0 ? order : runner_compare_begin(one, other);
}

static int collect(struct match *match, struct cancel_spool *spool, struct cancel_error *error)
{
	int result = cancel_spool_runs(spool, visit, match, error);

	if (result > 0)
		result = no_memory(error, "the runs that match");
	if (result == 0 && match->count > 0)
		qsort(match->runners, match->count, sizeof(*match->runners), compare);
	return result;
}

/* The runs of the task whose first run stands at `begin`. Its strings stay the match's. */
static struct sighting task_at(const struct match *match, size_t begin)
{
	const struct runner *first = &match->runners[begin];
	size_t end = begin;

	while (end < match->count && strcmp(match->runners[end].task_id, first->task_id) == 0)
		end++;
	return (struct sighting){.count = (int64_t)(end - begin), .first = *first};
}

static void clear(struct match *match)
{
	for (size_t i = 0; i < match->count; i++)
		runner_clear(&match->runners[i]);
	free(match->runners);
}

/* --- asking ------------------------------------------------------------------------------------------- */

static void refuse(struct match *match, const char *task_id, const struct cancel_error *error)
{
	match->refused++;
	(void)fprintf(stderr, "cancelreq: task '%s': %s\n", escaped(task_id), error->text);
}

/* `tag` is where the task's runs begin. */
static void on_result(void *arg, int64_t tag, int result, const struct cancel_request *stands,
		      const struct cancel_error *error)
{
	struct match *match = arg;
	struct sighting runs = task_at(match, (size_t)tag);
	struct asked asked = {.result = result, .request = &match->template, .stands = stands, .runs = &runs};

	if (result < 0) {
		refuse(match, runs.first.task_id, error);
		return;
	}
	if (result == CANCEL_ALREADY_PENDING)
		match->already_pending++;
	else
		match->requested++;
	if (match->options->json)
		output_json(stands);
	else if (!match->options->quiet)
		say_asked(&asked);
}

static void say_summary(const struct match *match)
{
	char refused[40] = "";
	char text[128];

	if (match->options->quiet)
		return;
	if (match->refused > 0)
		(void)snprintf(refused, sizeof(refused), ", refused %" PRId64, match->refused);
	(void)snprintf(text, sizeof(text), "requested %" PRId64 ", already pending %" PRId64 "%s\n",
		       match->requested, match->already_pending, refused);
	if (match->options->json)
		(void)fputs(text, stderr);
	else
		output("%s", text);
}

static int ask(struct match *match, struct cancel_spool *spool)
{
	struct cancel_batch *requests;
	struct cancel_error error;
	int result;

	request_fill(&match->template, match->options);
	if (cancel_batch_open(&requests, spool, on_result, match, &error) < 0)
		return failure(&error);
	for (size_t i = 0; i < match->count; i += (size_t)task_at(match, i).count) {
		struct cancel_request request = match->template;

		request.task_id = match->runners[i].task_id;
		cancel_batch_add(requests, &request, (int64_t)i);
	}
	result = cancel_batch_close(requests, &error);
	if (result < 0)
		(void)failure(&error);
	say_summary(match);
	return result < 0 || match->refused > 0 ? EXIT_REFUSED : EXIT_DONE;
}

/* --- only looking ------------------------------------------------------------------------------------- */

static void say_would(const struct sighting *runs)
{
	output("would request ");
	output_task(runs->first.task_id, NULL);
	output(": ");
	output_process(runs->first.pid, runs->first.host);
	output_others(runs->count);
	output("\n");
}

static int only_say(const struct match *match)
{
	int64_t count = 0;

	if (match->options->quiet)
		return EXIT_DONE;
	for (size_t i = 0; i < match->count; count++) {
		struct sighting runs = task_at(match, i);

		say_would(&runs);
		i += (size_t)runs.count;
	}
	output("would request %" PRId64 "\n", count);
	return EXIT_DONE;
}

/* ------------------------------------------------------------------------------------------------------ */

static int nothing_matches(const struct options *options)
{
	if (options->quiet || options->json)
		return EXIT_NO;
	output("no task that is running matches ");
	output_escaped(options->pattern);
	output("\n");
	return EXIT_NO;
}

static int act(struct match *match, const struct verb_context *context)
{
	struct cancel_error error;

	if (collect(match, context->spool, &error) < 0)
		return failure(&error);
	if (match->count == 0)
		return nothing_matches(context->options);
	return context->options->dry_run ? only_say(match) : ask(match, context->spool);
}

int match_run(const struct verb_context *context)
{
	struct match match = {.options = context->options};
	int exit_code = act(&match, context);

	clear(&match);
	return exit_code;
}
