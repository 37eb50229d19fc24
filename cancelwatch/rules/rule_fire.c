#include "rule_fire.h"

#include "rule_environment.h"
#include "rule_label.h"
#include "rule_result.h"
#include "rule_runs.h"
#include "signals.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define US_NS           INT64_C(1000)
#define PAUSE_MAX_NS    (300 * CANCEL_SECOND) /* the longest that backing off leads to */
#define RUN_LOOK_NS     CANCEL_SECOND         /* whether a run is alive that decides itself */
#define TROUBLE_NS      (5 * CANCEL_SECOND)   /* after the spool could not be read or written */
#define SHOWN_LINE_SIZE 3000

/* --- deciding ----------------------------------------------------------------------------------------- */

static enum rule_fate fail_to_decide(struct rule_fire *fire, struct rule_entry *entry, int result,
				     const struct cancel_error *error)
{
	/* What was asked for is not there any more, or cannot be judged by this process: nothing will change
	 * that. */
	if (result == -ENOENT || result == -EBADMSG) {
		log_line(fire->log, CANCEL_LOG_INFO, "%s: not decided as %s: %s", entry->label,
			 cancel_outcome_text(entry->outcome), error->text);
		return RULE_LEAVES;
	}
	log_line(fire->log, CANCEL_LOG_ERROR, "%s: cannot decide as %s, next try in 5s: %s", entry->label,
		 cancel_outcome_text(entry->outcome), error->text);
	entry->due_ns = cancel_clock_now_ns() + TROUBLE_NS;
	return RULE_WAITS;
}

/* Around each call that may wait for a lock of the spool: that must not keep us from ending, nor count as our
 * death. */
static void begin_call(const struct rule_fire *fire)
{
	notify_alive(fire->notify);
	signals_busy(true);
}

static void end_call(struct rule_fire *fire, int result)
{
	signals_busy(false);
	notify_alive(fire->notify);
	if (result == -EBUSY)
		fire->locked_until_ns = cancel_clock_now_ns() + TROUBLE_NS;
}

static bool is_locked(const struct rule_fire *fire, struct rule_entry *entry)
{
	if (cancel_clock_now_ns() >= fire->locked_until_ns)
		return false;
	entry->due_ns = fire->locked_until_ns;
	return true;
}

/* "Stopped" is for who runs it to say. Should that die without a word it is decided here after all. */
static bool is_left_to_run(const struct rule_fire *fire, struct rule_entry *entry)
{
	if (!rule_runs_has(fire->spool, entry->task_id, entry->run))
		return false;
	if (!entry->is_left_to_run)
		log_line(fire->log, CANCEL_LOG_INFO,
			 "%s: not decided as %s yet: a run of it is alive, or may be, which decides itself",
			 entry->label, cancel_outcome_text(entry->outcome));
	entry->is_left_to_run = true;
	entry->due_ns = cancel_clock_now_ns() + RUN_LOOK_NS;
	return true;
}

static enum rule_fate decide(struct rule_fire *fire, struct rule_entry *entry)
{
	struct cancel_error error;
	int result;

	if (is_locked(fire, entry) || is_left_to_run(fire, entry))
		return RULE_WAITS;
	begin_call(fire);
	result = cancel_spool_decide(fire->spool, entry->task_id, entry->run, entry->request_id,
				     entry->outcome, entry->detail, NULL, &error);
	end_call(fire, result);
	if (result == CANCEL_ALREADY_DECIDED)
		log_line(fire->log, CANCEL_LOG_INFO, "%s: not decided as %s: somebody else has decided it",
			 entry->label, cancel_outcome_text(entry->outcome));
	return result < 0 ? fail_to_decide(fire, entry, result, &error) : RULE_LEAVES;
}

static enum rule_fate decide_as(struct rule_fire *fire, struct rule_entry *entry, enum cancel_outcome outcome,
				const char *detail)
{
	entry->outcome = outcome;
	/* Without it the decision is still true. */
	entry->detail = strdup(detail);
	return decide(fire, entry);
}

/* --- a try -------------------------------------------------------------------------------------------- */

int64_t rule_fire_due(const struct rule_fire *fire, const struct cancel_request *request)
{
	int64_t now_ns = cancel_clock_now_ns();
	int64_t left_ns;

	if (cancel_request_in_effect(request))
		return now_ns;
	left_ns = (request->cancel_at_us - wall_clock_us()) * US_NS;
	return now_ns + (left_ns < fire->look_again_ns ? left_ns : fire->look_again_ns);
}

static enum rule_fate refuse(struct rule_fire *fire, const struct rule_entry *entry,
			     const struct cancel_error *error)
{
	log_line(fire->log, CANCEL_LOG_ERROR, "%s: not fired, the request stays pending: %s", entry->label,
		 error->text);
	return RULE_GIVEN_UP;
}

static enum rule_fate hold_up(struct rule_fire *fire, struct rule_entry *entry, int error)
{
	log_line(fire->log, CANCEL_LOG_ERROR, "%s: cannot start a command now: %s",
		 entry->label == NULL ? "rules" : entry->label, strerror(-error));
	free(entry->command);
	entry->command = NULL;
	return RULE_HELD_UP;
}

static int open_life(struct rule_fire *fire)
{
	if (fire->life[1] >= 0)
		return 0;
	return pipe2(fire->life, O_CLOEXEC) < 0 ? -errno : 0;
}

static enum rule_fate start(struct rule_fire *fire, struct rule_entry *entry,
			    const struct cancel_request *request, char *const *arguments)
{
	struct rule_environment environment;
	const struct rule_start what = {
		.arguments = arguments,
		.environment = environment.list,
		.timeout_ms = fire->rules->list[entry->rule].timeout_ms,
		.life = fire->life,
		.epoll_fd = fire->epoll_fd,
		.event = entry->key,
	};
	int result = rule_environment_make(&environment, request, fire->spool_path);

	entry->command = calloc(1, sizeof *entry->command);
	if (entry->command == NULL)
		result = -ENOMEM;
	if (result == 0)
		result = open_life(fire);
	if (result == 0)
		result = rule_command_start(entry->command, &what);
	rule_environment_free(&environment);
	return result < 0 ? hold_up(fire, entry, result) : RULE_RUNS;
}

/* Once more for each try: the rule may be another one by now. */
static int name_it(const struct rule_fire *fire, struct rule_entry *entry)
{
	const struct cancel_rule *rule = &fire->rules->list[entry->rule];

	free(entry->label);
	free(entry->name);
	entry->label = rule_label(rule, entry->rule + 1, entry->task_id, entry->run);
	entry->name = rule_label_command(rule);
	entry->decide = rule->decide;
	return entry->label == NULL || entry->name == NULL ? -ENOMEM : 0;
}

static enum rule_fate fire_for(struct rule_fire *fire, struct rule_entry *entry,
			       const struct cancel_request *request)
{
	char **arguments = NULL;
	struct cancel_error error;
	enum rule_fate fate;
	int result = name_it(fire, entry);

	if (result < 0)
		return hold_up(fire, entry, result);
	result = cancel_rule_arguments(&fire->rules->list[entry->rule], request, &arguments, &error);
	if (result == -ENOMEM)
		return hold_up(fire, entry, result);
	if (result < 0)
		return refuse(fire, entry, &error);
	fate = start(fire, entry, request, arguments);
	free(arguments);
	return fate;
}

static enum rule_fate fail_to_look_up(struct rule_fire *fire, struct rule_entry *entry,
				      const struct cancel_error *error)
{
	/* The watch tells of what stands in a request's place and is none. */
	if (error->code == -EBADMSG)
		return RULE_LEAVES;
	log_line(fire->log, CANCEL_LOG_ERROR, "rules: cannot look a request up, next try in 5s: %s",
		 error->text);
	entry->due_ns = cancel_clock_now_ns() + TROUBLE_NS;
	return RULE_WAITS;
}

static enum rule_fate try_pending(struct rule_fire *fire, struct rule_entry *entry,
				  const struct cancel_request *request)
{
	/* Another one has taken its place, and will be reported by itself. */
	if (strcmp(request->request_id, entry->request_id) != 0)
		return RULE_LEAVES;
	entry->is_scheduled = !cancel_request_in_effect(request);
	if (!entry->is_scheduled)
		return fire_for(fire, entry, request);
	entry->due_ns = rule_fire_due(fire, request);
	return RULE_WAITS;
}

enum rule_fate rule_fire_try(struct rule_fire *fire, struct rule_entry *entry)
{
	struct cancel_request request;
	struct cancel_error error;
	enum rule_fate fate = RULE_LEAVES;
	int result;

	if (entry->outcome != CANCEL_OUTCOME_NONE)
		return decide(fire, entry);
	if (is_locked(fire, entry))
		return RULE_WAITS;
	cancel_request_init(&request);
	begin_call(fire);
	result = cancel_spool_lookup(fire->spool, entry->task_id, entry->run, &request, &error);
	end_call(fire, result);
	if (result < 0)
		return fail_to_look_up(fire, entry, &error);
	if (result == CANCEL_LOOKUP_PENDING || result == CANCEL_LOOKUP_SCHEDULED)
		fate = try_pending(fire, entry, &request);
	cancel_request_clear(&request);
	return fate;
}

/* --- its end ------------------------------------------------------------------------------------------ */

struct telling {
	struct log *log;
	const struct rule_entry *entry;
};

static void tell_line(void *arg, const char *line)
{
	char escaped[SHOWN_LINE_SIZE];
	const struct telling *telling = arg;

	cancel_text_escape(escaped, sizeof escaped, line, strlen(line));
	log_line(telling->log, CANCEL_LOG_INFO, "%s: %s: %s", telling->entry->label, telling->entry->name,
		 escaped);
}

static int64_t pause_ns(const struct cancel_rule *rule, unsigned failed)
{
	struct cancel_tries tries = {.retry_interval_ns = rule->retry_interval_ms * CANCEL_MILLISECOND,
				     .backs_off = true};
	int64_t pause = cancel_tries_pause_ns(&tries, failed);
	/* An interval that is longer itself is what was asked for. */
	int64_t most = tries.retry_interval_ns > PAUSE_MAX_NS ? tries.retry_interval_ns : PAUSE_MAX_NS;

	return pause < most ? pause : most;
}

static enum rule_fate try_again(struct rule_fire *fire, struct rule_entry *entry, const char *text)
{
	char shown[CANCEL_DURATION_SIZE];
	int64_t pause = pause_ns(&fire->rules->list[entry->rule], entry->tries);

	log_line(fire->log, CANCEL_LOG_ERROR, "%s: %s; next try in %s", entry->label, text,
		 cancel_duration_format(shown, pause / CANCEL_MILLISECOND));
	entry->due_ns = cancel_clock_now_ns() + pause;
	return RULE_WAITS;
}

static enum rule_fate give_up(struct rule_fire *fire, struct rule_entry *entry, const char *text)
{
	bool is_decided = entry->decide == CANCEL_RULE_BY_EXIT_STATUS;

	log_line(fire->log, CANCEL_LOG_ERROR, "%s: %s; given up after %u %s, %s", entry->label, text,
		 entry->tries, entry->tries == 1 ? "try" : "tries",
		 is_decided ? "decided as failed" : "the request stays pending");
	return is_decided ? decide_as(fire, entry, CANCEL_OUTCOME_FAILED, text) : RULE_GIVEN_UP;
}

static enum rule_fate failed(struct rule_fire *fire, struct rule_entry *entry, const char *text)
{
	entry->tries++;
	if (entry->rule == RULE_NONE) {
		log_line(fire->log, CANCEL_LOG_ERROR, "%s: %s; no rule matches any more", entry->label, text);
		return RULE_LEAVES;
	}
	if (entry->tries <= fire->rules->list[entry->rule].retries)
		return try_again(fire, entry, text);
	return give_up(fire, entry, text);
}

static enum rule_fate ended(struct rule_fire *fire, struct rule_entry *entry)
{
	char text[RULE_RESULT_SIZE];
	enum cancel_outcome outcome;
	enum rule_result result = rule_result(entry->command, entry->decide, &outcome);

	rule_result_text(text, entry->command, entry->name);
	free(entry->command);
	entry->command = NULL;
	if (entry->is_left)
		return RULE_LEAVES;
	if (result == RULE_RESULT_FAILED)
		return failed(fire, entry, text);
	log_line(fire->log, CANCEL_LOG_INFO, "%s: %s; %s", entry->label, text,
		 result == RULE_RESULT_DECIDE ? cancel_outcome_text(outcome) : "the request stays pending");
	return result == RULE_RESULT_DECIDE ? decide_as(fire, entry, outcome, text) : RULE_IS_DONE;
}

enum rule_fate rule_fire_hear(struct rule_fire *fire, struct rule_entry *entry)
{
	struct telling telling = {fire->log, entry};

	rule_command_read(entry->command, tell_line, &telling);
	return rule_command_ended(entry->command, tell_line, &telling) ? ended(fire, entry) : RULE_RUNS;
}
