/*
 * A rule and a request, any texts: whichever rule fnmatch(3) says is taken; one element of exec becomes one
 * argument, which is the element with its placeholders replaced, once; and nothing of a request becomes an
 * option.
 *
 * The input is texts with NULs between them: flags, pattern, task id, run, reason, requester, and the
 * elements.
 */
#include "fuzzing.h"

#include "name.h"
#include "rule_match.h"
#include "rule_text.h"

#include <cancel/rule.h>

#include <errno.h>
#include <fnmatch.h>

enum {
	PATTERN_MAX = 40, /* fnmatch(3) takes its time for long ones */
	ELEMENTS_MAX = 8,
	TEXT_MAX = 1 << 20,
};

static struct given {
	char *flags, *pattern, *elements[ELEMENTS_MAX + 1];
	char *task_id, *run, *reason, *requester;
	struct cancel_rule rule;
	struct cancel_request request;
	size_t count;
} given;

/* --- what it should be -------------------------------------------------------------------------------- */

static const char *value_of(enum rule_placeholder placeholder, char scratch[NAME_SIZE], size_t *length)
{
	const char *part, *text = "";

	switch (placeholder) {
	case RULE_TASK_ID:
		text = given.task_id;
		break;
	case RULE_RUN:
		text = given.run;
		break;
	case RULE_REASON:
		text = given.reason;
		break;
	case RULE_REQUESTER:
		text = given.requester;
		break;
	case RULE_REQUEST_ID:
		text = given.request.request_id;
		break;
	case RULE_TASK_NAME:
		name_encode(scratch, given.task_id, NULL);
		text = scratch;
		break;
	case RULE_UID:
		(void)sprintf(scratch, "%ld", (long)given.request.requester.uid);
		text = given.request.requester.uid < 0 ? "" : scratch;
		break;
	case RULE_MATCH:
		check(rule_match_part(given.pattern, given.task_id, &part, length) == 0);
		check(part >= given.task_id && part + *length <= given.task_id + strlen(given.task_id));
		return part;
	default:
		break;
	}
	*length = strlen(text);
	return text;
}

static const struct {
	const char *text;
	enum rule_placeholder placeholder;
} placeholders[] = {
	{"{task_id}", RULE_TASK_ID},       {"{task_name}", RULE_TASK_NAME},
	{"{match}", RULE_MATCH},           {"{run}", RULE_RUN},
	{"{reason}", RULE_REASON},         {"{requester}", RULE_REQUESTER},
	{"{request_id}", RULE_REQUEST_ID}, {"{uid}", RULE_UID},
};

enum { PLACEHOLDERS = sizeof(placeholders) / sizeof(placeholders[0]) };

/* Replace what stands at `text`, a brace; its length, or 0 where it is wrong. */
static size_t replace(const char *text, char *target, size_t *used)
{
	char scratch[NAME_SIZE];
	const char *value;
	size_t length;

	if (text[1] == text[0]) {
		target[(*used)++] = text[0];
		return 2;
	}
	for (size_t i = 0; i < PLACEHOLDERS; i++)
		if (!strncmp(text, placeholders[i].text, strlen(placeholders[i].text))) {
			value = value_of(placeholders[i].placeholder, scratch, &length);
			memcpy(target + *used, value, length);
			*used += length;
			return strlen(placeholders[i].text);
		}
	return 0;
}

/* The argument, to be freed; NULL where a configuration with that element does not load. */
static char *expected_argument(const char *element)
{
	char *target = malloc(TEXT_MAX);
	size_t used = 0, length;

	check(target != NULL);
	while (*element) {
		if (*element != '{' && *element != '}') {
			target[used++] = *element++;
			continue;
		}
		length = used < TEXT_MAX - CANCEL_REASON_MAX ? replace(element, target, &used) : 0;
		if (!length) {
			free(target);
			return NULL;
		}
		element += length;
	}
	target[used] = '\0';
	return target;
}

static bool begins_with_value(const char *element)
{
	return element[0] == '{' && element[1] != '{';
}

/* --- what it is --------------------------------------------------------------------------------------- */

static bool would_be_option(char *const *expected)
{
	for (size_t i = 0; i < given.count && !given.rule.allow_options; i++) {
		if (expected[i][0] == '-' && begins_with_value(given.elements[i]))
			return true;
		if (!strcmp(given.elements[i], "--"))
			return false;
	}
	return false;
}

static void check_list(char *const *arguments, char *const *expected)
{
	for (size_t i = 0; i < given.count; i++)
		check(!strcmp(arguments[i], expected[i]));
	check(!arguments[given.count]);
}

static void check_arguments(char *const *expected, size_t size)
{
	struct cancel_error error = {.code = 0};
	char **arguments = NULL;
	int code = cancel_rule_arguments(&given.rule, &given.request, &arguments, &error);

	check(error.code == (code < 0 ? code : 0));
	if (code < 0)
		check_sentence(error.text);
	if (size > CANCEL_RULE_ARGUMENTS_MAX)
		check(code == -E2BIG);
	else if (would_be_option(expected))
		check(code == -EPERM); /* DESIGN.md, invariant 50 */
	else
		check(code == (int)given.count);
	if (code >= 0)
		check_list(arguments, expected);
	free(arguments);
}

static void check_expansion(void)
{
	char *expected[ELEMENTS_MAX] = {NULL};
	size_t size = 0, known = 0;

	while (known < given.count && (expected[known] = expected_argument(given.elements[known]))) {
		size += strlen(expected[known]) + 1;
		known++;
	}
	if (known == given.count)
		check_arguments(expected, size);
	for (size_t i = 0; i < known; i++)
		free(expected[i]);
}

static void check_match(void)
{
	struct cancel_rule any = {.match = "*"}, list[] = {given.rule, any};
	const struct cancel_rules rules = {.count = 2, .list = list};
	bool matches = fnmatch(given.pattern, given.task_id, 0) == 0;

	check(cancel_rules_match(&rules, given.task_id) == &list[matches ? 0 : 1]);
}

/* --- the input ---------------------------------------------------------------------------------------- */

static void take(struct input *input)
{
	given = (struct given){.flags = input_text(input, 2), .pattern = input_text(input, PATTERN_MAX)};
	given.task_id = input_text(input, CANCEL_TASK_ID_MAX);
	given.run = input_text(input, CANCEL_RUN_ID_MAX);
	given.reason = input_text(input, CANCEL_REASON_MAX);
	given.requester = input_text(input, CANCEL_PARTY_TEXT_MAX);
	while (given.count < ELEMENTS_MAX && (given.count == 0 || input->at < input->size))
		given.elements[given.count++] = input_text(input, CANCEL_REASON_MAX);
	given.rule = (struct cancel_rule){
		.match = given.pattern,
		.exec = (const char *const *)given.elements,
		.exec_count = given.count,
		.allow_options = given.flags[0] == 'o',
	};
	cancel_request_init(&given.request);
	given.request.task_id = given.task_id;
	given.request.run = given.run[0] ? given.run : NULL;
	given.request.reason = given.reason;
	given.request.requester.name = given.requester;
	given.request.requester.uid = given.flags[0] && given.flags[1] == 'u' ? 1000 : -1;
	(void)strcpy(given.request.request_id, "5b06a9b6f5fa6f9e3398ad7f52062850");
}

static void drop(void)
{
	free(given.flags);
	free(given.pattern);
	free(given.task_id);
	free(given.run);
	free(given.reason);
	free(given.requester);
	for (size_t i = 0; i < given.count; i++)
		free(given.elements[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size, 0};

	take(&input);
	if (name_check_id(given.task_id, CANCEL_TASK_ID_MAX, "task id", NULL) == 0) {
		check_match();
		check_expansion();
	}
	drop();
	return 0;
}
