/* Which rules there are, and which command one of them would run for a task. */
#include "log.h"
#include "settings.h"
#include "shell_quote.h"
#include "verbs.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What the verb is about: a task, and what is asked of it. */
struct subject {
	const struct options *options;
	struct printer *out;
	struct cancel_rules *rules;
	struct cancel_request request; /* empty but for the ids when none is pending */
	bool is_pending;
};

/* --- text --------------------------------------------------------------------------------------------- */

/* One word each, but for the command, which is the rest of the line. */
static void print_rule(const struct subject *subject, const struct cancel_rule *rule)
{
	char timeout[CANCEL_DURATION_SIZE];
	struct printer *out = subject->out;

	print_add(out, "%td ", rule - subject->rules->list + 1);
	print_word(out, subject->rules->file);
	print_add(out, ":%zu ", rule->line);
	print_word(out, rule->match);
	print_add(out, " %s %s ", cancel_rule_decide_text(rule->decide),
		  cancel_duration_format(timeout, rule->timeout_ms));
}

static void print_listed(const struct subject *subject, const struct cancel_rule *rule)
{
	print_rule(subject, rule);
	shell_quote_list(subject->out, rule->exec);
	print_end(subject->out);
}

static void print_fired(const struct subject *subject, const struct cancel_rule *rule, char *const *arguments)
{
	print_rule(subject, rule);
	shell_quote_list(subject->out, (const char *const *)arguments);
	print_end(subject->out);
}

static void print_none(const struct subject *subject)
{
	print_add(subject->out, "no rule for ");
	print_word(subject->out, subject->request.task_id);
	print_end(subject->out);
}

/* --- objects ------------------------------------------------------------------------------------------ */

static void add_list(struct printer *out, const char *const *words)
{
	print_add(out, "[");
	for (size_t i = 0; words[i] != NULL; i++) {
		print_add(out, "%s", i == 0 ? "" : ", ");
		print_string(out, words[i]);
	}
	print_add(out, "]");
}

static void add_rule(const struct subject *subject, const struct cancel_rule *rule)
{
	struct printer *out = subject->out;

	print_add(out, "\"rule\": %td, \"file\": ", rule - subject->rules->list + 1);
	print_string(out, subject->rules->file);
	print_add(out, ", \"line\": %zu, \"match\": ", rule->line);
	print_string(out, rule->match);
	print_add(out, ", \"exec\": ");
	add_list(out, rule->exec);
	print_add(out,
		  ", \"timeout_ms\": %" PRId64 ", \"decide\": \"%s\", \"max_parallel\": %u, \"retry\": %u, "
		  "\"retry_interval_ms\": %" PRId64 ", \"allow_options\": %s",
		  rule->timeout_ms, cancel_rule_decide_text(rule->decide), rule->max_parallel, rule->retries,
		  rule->retry_interval_ms, rule->allow_options ? "true" : "false");
}

static void add_subject(const struct subject *subject)
{
	struct printer *out = subject->out;

	print_add(out, "{\"task_id\": ");
	print_string(out, subject->request.task_id);
	print_add(out, ", \"run\": ");
	print_string(out, subject->request.run);
	print_add(out, ", \"request_id\": ");
	print_string(out, subject->is_pending ? subject->request.request_id : NULL);
	print_add(out, ", ");
}

static void print_listed_json(const struct subject *subject, const struct cancel_rule *rule)
{
	print_add(subject->out, "{");
	add_rule(subject, rule);
	print_add(subject->out, "}");
	print_end(subject->out);
}

static void print_fired_json(const struct subject *subject, const struct cancel_rule *rule,
			     char *const *arguments, const struct cancel_error *error)
{
	struct printer *out = subject->out;

	add_subject(subject);
	add_rule(subject, rule);
	print_add(out, ", \"command\": ");
	if (arguments != NULL) {
		add_list(out, (const char *const *)arguments);
	} else {
		print_add(out, "null, \"error\": ");
		print_string(out, error->text);
	}
	print_add(out, "}");
	print_end(out);
}

static void print_none_json(const struct subject *subject)
{
	add_subject(subject);
	print_add(subject->out, "\"rule\": null}");
	print_end(subject->out);
}

/* --- the verb ----------------------------------------------------------------------------------------- */

static int show_all(const struct subject *subject)
{
	for (size_t i = 0; i < subject->rules->count; i++) {
		if (subject->options->json)
			print_listed_json(subject, &subject->rules->list[i]);
		else
			print_listed(subject, &subject->rules->list[i]);
	}
	if (subject->rules->count == 0 && !subject->options->json) {
		print_add(subject->out, "no rules");
		print_end(subject->out);
	}
	return subject->rules->count > 0 ? EXIT_YES : EXIT_NO;
}

static int show_none(const struct subject *subject)
{
	if (subject->options->json)
		print_none_json(subject);
	else
		print_none(subject);
	return EXIT_NO;
}

static int show_fired(const struct subject *subject, const struct cancel_rule *rule)
{
	char **arguments = NULL;
	struct cancel_error error;
	int result = cancel_rule_arguments(rule, &subject->request, &arguments, &error);

	if (result < 0)
		(void)fail(&error);
	if (subject->options->json)
		print_fired_json(subject, rule, arguments, &error);
	else if (arguments != NULL)
		print_fired(subject, rule, arguments);
	free(arguments);
	return result == -ENOMEM ? EXIT_SYSTEM : result < 0 ? EXIT_NO : EXIT_YES;
}

/* The rule and its command do not need the spool; without it they are shown as for a request that is made
 * now. */
static int do_without(const struct cancel_error *error)
{
	(void)fprintf(stderr, "cancelwatch: whether a request is pending cannot be seen: %s\n", error->text);
	return 0;
}

/* A rule may be tried before there is a spool. */
static int look_up(struct subject *subject, struct cancel_error *error)
{
	struct cancel_config config;
	struct cancel_spool *spool;
	struct cancel_request found;
	int result = settings_open(&config, subject->options, &spool, error);

	if (result == -ENOENT)
		return 0;
	if (result == -EACCES)
		return do_without(error);
	if (result < 0)
		return result;
	cancel_request_init(&found);
	result = cancel_spool_lookup(spool, subject->options->operand, subject->options->run, &found, error);
	cancel_spool_close(spool);
	subject->is_pending = result == CANCEL_LOOKUP_PENDING || result == CANCEL_LOOKUP_SCHEDULED;
	if (subject->is_pending)
		subject->request = found;
	else
		cancel_request_clear(&found);
	return result;
}

static bool is_wrong_id(int result)
{
	return result == -EINVAL || result == -EILSEQ || result == -ENAMETOOLONG;
}

static int show_task(struct subject *subject)
{
	const struct cancel_rule *rule;
	struct cancel_error error;
	int result;

	subject->request.task_id = subject->options->operand;
	subject->request.run = subject->options->run;
	result = look_up(subject, &error);
	if (result < 0) {
		(void)fail(&error);
		return is_wrong_id(result) ? EXIT_USAGE : EXIT_SYSTEM;
	}
	rule = cancel_rules_match(subject->rules, subject->request.task_id);
	return rule == NULL ? show_none(subject) : show_fired(subject, rule);
}

int rules_run(const struct options *options, struct printer *out)
{
	struct subject subject = {.options = options, .out = out};
	struct cancel_error error;
	int exit_code;

	if (cancel_rules_load(&subject.rules, options->config, &error) < 0)
		return fail(&error);
	cancel_request_init(&subject.request);
	exit_code = options->operand != NULL ? show_task(&subject) : show_all(&subject);
	cancel_request_clear(&subject.request);
	cancel_rules_free(subject.rules);
	return exit_code;
}
