/* List the runs that are alive, as they are met: nothing is sorted, so nothing is kept. */
#include "options.h"
#include "output.h"
#include "running.h"
#include "verbs.h"

#include <cancel/run.h>
#include <cancel/text.h>

#include <inttypes.h>

struct listing {
	const struct options *options;
};

static void say_also(const struct cancel_run *run)
{
	for (size_t i = 0; i < run->also_count; i++) {
		output("%s", i == 0 ? "  also " : ", ");
		output_escaped(run->also[i]);
	}
}

/* Task, process, since when, program, further ids; two blanks between columns. */
static void say_run(const struct cancel_run *run)
{
	output_task(run->task_id, run->run);
	output("  ");
	output_process(run->pid, run->host);
	if (run->started_at_us != 0)
		output(" ");
	output_since(run->started_at_us);
	output("  ");
	output_escaped(run->program ? run->program : "unknown program");
	say_also(run);
	output("\n");
}

static void write_text(const char *name, const char *text)
{
	output("\"%s\": ", name);
	output_json_string(text);
}

static void write_number(const char *name, int64_t number)
{
	if (number >= 0)
		output("\"%s\": %" PRId64, name, number);
	else
		output("\"%s\": null", name);
}

static void write_also(const struct cancel_run *run)
{
	output("\"also\": [");
	for (size_t i = 0; i < run->also_count; i++) {
		output("%s", i == 0 ? "" : ", ");
		output_json_string(run->also[i]);
	}
	output("]");
}

static void write_started(const struct cancel_run *run)
{
	char time[CANCEL_TIME_SIZE];

	write_text("started_at",
		   run->started_at_us == 0 ? NULL : cancel_time_format(time, run->started_at_us));
}

static void write_run(const struct cancel_run *run)
{
	output("{");
	write_text("task_id", run->task_id);
	output(", ");
	write_text("run", run->run);
	output(", ");
	write_also(run);
	output(", ");
	write_number("pid", run->pid);
	output(", ");
	write_number("uid", run->uid);
	output(", ");
	write_text("host", run->host);
	output(", ");
	write_text("program", run->program);
	output(", ");
	write_started(run);
	output("}\n");
}

/* Ends the listing when nobody takes its lines any more. */
static int visit(void *arg, const struct cancel_run *run)
{
	const struct listing *listing = arg;
	const struct options *options = listing->options;

	if (!run_matches(run, options->pattern))
		return 0;
	if (options->json)
		write_run(run);
	else
		say_run(run);
	return output_failed() ? 1 : 0;
}

int running_list(const struct verb_context *context)
{
	struct listing listing = {.options = context->options};
	struct cancel_error error;

	if (cancel_spool_runs(context->spool, visit, &listing, &error) < 0)
		return failure(&error);
	return EXIT_DONE;
}
