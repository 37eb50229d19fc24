#include "supervisor.h"

#include "command.h"
#include "descriptors.h"
#include "print.h"
#include "run_report.h"
#include "supervision.h"
#include "task_variables.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define END_WITHIN_NS (10 * CANCEL_SECOND) /* to decide the request, where something is in the way */
#define END_PAUSE_NS  (100 * CANCEL_MILLISECOND)

bool supervision_is_cancelled(const struct supervision *supervision)
{
	return cancel_token_requested(cancel_task_token(supervision->task));
}

/* --- beginning ---------------------------------------------------------------------------------------- */

static void on_trouble(void *arg, const struct cancel_error *what)
{
	say(arg, "%s", what->text);
}

/* Options of the manager, for a spool as the configuration and the command line say. */
static int open_manager(struct supervision *supervision, struct cancel_config *config,
			struct cancel_error *error)
{
	struct cancel_manager_options options;
	int result = cancel_config_load(config, supervision->options->config, error);

	if (result < 0)
		return result;
	if (supervision->options->spool != NULL)
		config->spool.path = supervision->options->spool;
	config->spool.create = true;
	cancel_manager_options_init(&options);
	options.spool = &config->spool;
	options.poll_interval_ms = config->watch.poll_interval_ms;
	options.report = on_trouble;
	options.arg = supervision;
	return cancel_manager_open(&supervision->manager, &options, error);
}

static int begin_task(struct supervision *supervision, struct cancel_error *error)
{
	const struct run_options *options = supervision->options;
	struct cancel_task_options terms;
	int result;

	cancel_task_options_init(&terms);
	terms.run = options->run;
	terms.also = options->also;
	terms.also_count = options->also_count;
	result = cancel_task_begin(&supervision->task, supervision->manager, options->task_id, &terms, error);
	if (result < 0)
		return result;
	result = cancel_fd_open(&supervision->stop, cancel_task_token(supervision->task));
	if (result < 0)
		*error = (struct cancel_error){result, "cannot listen for requests: no descriptor is left"};
	return result;
}

static void set_environment(const struct run_options *options, const struct cancel_config *config)
{
	task_variables_clear();
	task_variable_set(TASK_VARIABLE_TASK_ID, options->task_id);
	task_variable_set(TASK_VARIABLE_RUN_ID, options->run);
	task_variable_set(TASK_VARIABLE_SPOOL, config->spool.path);
}

static void judge_unable(struct supervision *supervision, const char *why)
{
	verdict_set(&supervision->verdict, VERDICT_NOT_STARTED, COMMAND_NOT_OURS, "%s", why);
	say_always("%s", why);
}

static int begin(struct supervision *supervision, int life_fd, pid_t group)
{
	struct cancel_config config;
	struct cancel_error error;
	int result = descriptors_make_room();

	if (result == 0)
		result = custody_open(&supervision->custody, life_fd);
	if (result < 0) {
		judge_unable(supervision,
			     "cannot begin: there are too few descriptors; raise the limit (ulimit -n)");
		return result;
	}
	supervision->custody.group = group;
	custody_keep_orphans(&supervision->custody);
	result = open_manager(supervision, &config, &error);
	if (result == 0)
		result = begin_task(supervision, &error);
	if (result < 0) {
		judge_unable(supervision, error.text);
		return result;
	}
	supervision->custody.stop_fd = supervision->stop.fd;
	set_environment(supervision->options, &config);
	return 0;
}

/* --- the end ------------------------------------------------------------------------------------------ */

static enum cancel_outcome outcome_of(const struct verdict *verdict, const struct cancel_why *why)
{
	/* It was to be stopped, and was, if not by those who were to. */
	if (verdict->kind == VERDICT_ORPHANED && why->kind != CANCEL_WHY_NOT)
		return CANCEL_OUTCOME_STOPPED;
	return verdict_outcome(verdict);
}

/* A request that cannot be decided stays pending, and would stop the next run. So it is worth trying again.
 */
static void end_task(struct supervision *supervision, enum cancel_outcome outcome)
{
	const struct timespec pause = {.tv_nsec = END_PAUSE_NS};
	int64_t until_ns = cancel_clock_now_ns() + END_WITHIN_NS;
	struct cancel_error error;

	while (cancel_task_end(supervision->task, outcome, supervision->verdict.detail, &error) < 0) {
		if (cancel_clock_now_ns() >= until_ns) {
			say_always("%s; a request for this task, if there is one, stays pending", error.text);
			return;
		}
		(void)nanosleep(&pause, NULL);
	}
}

static void say_unreported(const struct run_options *options, int error)
{
	char file[CANCEL_ERROR_TEXT_MAX / 2];

	if (options->report == NULL)
		say_always("cannot write to standard output: %s", strerror(-error));
	else
		say_always("cannot write '%s': %s",
			   cancel_text_escape(file, sizeof file, options->report, strlen(options->report)),
			   strerror(-error));
}

/* Nobody is kept waiting for a reader who does not read: what had to be done is done. */
static void report(struct supervision *supervision, const struct cancel_why *why)
{
	struct run_report report = {
		.options = supervision->options,
		.verdict = &supervision->verdict,
		.why = why,
		.usage = &supervision->custody.usage,
		.tries = supervision->tries,
		.started_at_us = supervision->started_at_us,
		.ended_at_us = wall_clock_us(),
		.took_ns = cancel_clock_now_ns() - supervision->started_ns,
	};
	char *text = supervision->options->json ? run_report_text(&report) : NULL;
	int error = 0;

	if (text != NULL)
		error = custody_write(&supervision->custody, supervision->report_fd, text, strlen(text));
	else if (supervision->options->json)
		error = -ENOMEM;
	if (error < 0)
		say_unreported(supervision->options, error);
	free(text);
}

/* The task has ended before it is reported; what is said of its request lives as long as its cause. */
static void finish(struct supervision *supervision)
{
	enum cancel_outcome outcome;
	struct cancel_why why;

	/* Before the listener stops, which cancels too. */
	cancel_task_why(supervision->task, &why);
	outcome = outcome_of(&supervision->verdict, &why);
	if (why.cause != NULL)
		cancel_cause_hold(why.cause);
	listener_stop(&supervision->listener);
	end_task(supervision, outcome);
	cgroup_remove(&supervision->custody.cgroup);
	report(supervision, &why);
	if (why.cause != NULL)
		cancel_cause_drop(why.cause);
}

/* In a group of its own nothing that the terminal, or the command, does to theirs hits it. Then its lines
 * come from the background, and shall come all the same. */
static pid_t leave_group(void)
{
	pid_t group = getpgrp();

	(void)setpgid(0, 0);
	(void)signal(SIGTTOU, SIG_IGN);
	return group;
}

int supervisor_run(const struct run_options *options, int life_fd)
{
	struct supervision supervision = {
		.options = options,
		.started_at_us = wall_clock_us(),
		.started_ns = cancel_clock_now_ns(),
	};
	pid_t group;

	group = leave_group();
	supervision.report_fd = options->json ? run_report_open(options) : -1;
	if (options->json && supervision.report_fd < 0) {
		say_unreported(options, supervision.report_fd);
		return COMMAND_NOT_OURS;
	}
	if (begin(&supervision, life_fd, group) == 0) {
		attempts_make(&supervision);
		finish(&supervision);
	} else {
		report(&supervision, &(struct cancel_why){0});
	}
	return supervision.verdict.exit_code;
}
