#include "error.h"
#include "name.h"
#include "rule_match.h"
#include "rule_text.h"

#include <cancel/rule.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What each placeholder stands for, for one request. */
struct values {
	struct value {
		const char *text;
		size_t length;
	} of[RULE_LITERAL];
	char task_name[NAME_SIZE];
	char uid[24];
};

/* Where arguments are written to; nowhere while they are only measured. */
struct target {
	char *text;
	size_t used;
};

static struct value value_of(const char *text)
{
	return (struct value){text ? text : "", text ? strlen(text) : 0};
}

static int set_values(struct values *values, const struct cancel_rule *rule,
		      const struct cancel_request *request)
{
	struct value *match = &values->of[RULE_MATCH];

	name_encode(values->task_name, request->task_id, NULL);
	(void)snprintf(values->uid, sizeof values->uid, "%" PRId64, request->requester.uid);
	values->of[RULE_TASK_ID] = value_of(request->task_id);
	values->of[RULE_TASK_NAME] = value_of(values->task_name);
	values->of[RULE_RUN] = value_of(request->run);
	values->of[RULE_REASON] = value_of(request->reason);
	values->of[RULE_REQUESTER] = value_of(request->requester.name);
	values->of[RULE_REQUEST_ID] = value_of(request->request_id);
	values->of[RULE_UID] = value_of(request->requester.uid < 0 ? NULL : values->uid);
	return rule_match_part(rule->match, request->task_id, &match->text, &match->length);
}

static void put(struct target *target, const char *text, size_t length)
{
	if (target->text)
		memcpy(target->text + target->used, text, length);
	target->used += length;
}

/* One argument with its NUL. Stops early when it is too long anyway: a text of placeholders may stand for a
 * thousand times its length. What is no placeholder stays as it is; a configuration with such a text does not
 * load. */
static void put_argument(struct target *target, const struct values *values, const char *text)
{
	struct rule_piece piece;

	while (target->used <= CANCEL_RULE_ARGUMENTS_MAX && rule_text_next(&text, &piece)) {
		if (piece.placeholder < RULE_LITERAL)
			put(target, values->of[piece.placeholder].text, values->of[piece.placeholder].length);
		else
			put(target, piece.begin, piece.length);
	}
	put(target, "", 1);
}

static bool begins_with_placeholder(const char *text)
{
	struct rule_piece piece;

	return rule_text_next(&text, &piece) && piece.placeholder < RULE_LITERAL;
}

/* Arguments behind one that is `--` are no options. */
static bool may_be_option(const struct cancel_rule *rule, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (!strcmp(rule->exec[i], "--"))
			return false;
	return !rule->allow_options && begins_with_placeholder(rule->exec[index]);
}

static int fail_memory(const struct cancel_rule *rule, struct cancel_error *error)
{
	return error_system(error, -ENOMEM, "cannot make the arguments of the rule in line %zu", rule->line);
}

static int fail_option(const struct cancel_rule *rule, size_t index, const char *argument,
		       struct cancel_error *error)
{
	return error_set(error, -EPERM,
			 "the argument '%s' for '%s' of the rule in line %zu would be an option; write "
			 "\"--\" before it "
			 "in exec if the command knows that, or allow_options: yes",
			 QUOTE(argument), QUOTE(rule->exec[index]), rule->line);
}

static int measure(const struct cancel_rule *rule, const struct values *values, size_t *size,
		   struct cancel_error *error)
{
	struct target target = {.text = NULL};

	for (size_t i = 0; i < rule->exec_count; i++)
		put_argument(&target, values, rule->exec[i]);
	if (target.used > CANCEL_RULE_ARGUMENTS_MAX)
		return error_set(error, -E2BIG,
				 "the arguments of the rule in line %zu are over %d bytes together",
				 rule->line, CANCEL_RULE_ARGUMENTS_MAX);
	*size = target.used;
	return 0;
}

static int check_options(const struct cancel_rule *rule, char *const *list, struct cancel_error *error)
{
	for (size_t i = 0; i < rule->exec_count; i++)
		if (list[i][0] == '-' && may_be_option(rule, i))
			return fail_option(rule, i, list[i], error);
	return 0;
}

/* The list and the texts in one piece of memory. */
static char **make_list(const struct cancel_rule *rule, const struct values *values, size_t size)
{
	size_t list_size = (rule->exec_count + 1) * sizeof(char *);
	char **list = malloc(list_size + size);
	struct target target = {.text = list ? (char *)list + list_size : NULL};

	if (!list)
		return NULL;
	for (size_t i = 0; i < rule->exec_count; i++) {
		list[i] = target.text + target.used;
		put_argument(&target, values, rule->exec[i]);
	}
	list[rule->exec_count] = NULL;
	return list;
}

int cancel_rule_arguments(const struct cancel_rule *rule, const struct cancel_request *request,
			  char ***arguments, struct cancel_error *error)
{
	struct values values;
	char **list = NULL;
	size_t size = 0;
	int result = name_check_id(request->task_id, CANCEL_TASK_ID_MAX, "task id", error);

	if (result < 0)
		return result;
	result = set_values(&values, rule, request);
	if (result < 0)
		return fail_memory(rule, error);
	result = measure(rule, &values, &size, error);
	if (result < 0)
		return result;
	list = make_list(rule, &values, size);
	if (!list)
		return fail_memory(rule, error);
	result = check_options(rule, list, error);
	if (result < 0) {
		free(list);
		return result;
	}
	*arguments = list;
	return (int)rule->exec_count;
}
