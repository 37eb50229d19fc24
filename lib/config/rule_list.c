#include "rule_list.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const struct cancel_rule defaults = {
	.timeout_ms = 30 * 1000,
	.decide = CANCEL_RULE_BY_EXIT_STATUS,
	.max_parallel = 4,
	.retries = 5,
	.retry_interval_ms = 1000,
};

struct cancel_rule *rule_list_add(struct cancel_rules *rules)
{
	struct cancel_rule *list = realloc(rules->list, (rules->count + 1) * sizeof *list);

	if (!list)
		return NULL;
	rules->list = list;
	list[rules->count] = defaults;
	return &list[rules->count++];
}

int rule_add_exec(struct cancel_rule *rule, const char *text)
{
	const char **list = (const char **)(uintptr_t)rule->exec;
	char *copy = strdup(text);

	if (!list)
		list = calloc(CANCEL_RULE_EXEC_MAX + 1, sizeof *list);
	rule->exec = list;
	if (!list || !copy) {
		free(copy);
		return -ENOMEM;
	}
	list[rule->exec_count++] = copy;
	return 0;
}

static void free_text(const char *text)
{
	free((void *)(uintptr_t)text);
}

void rule_list_free(struct cancel_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		struct cancel_rule *rule = &rules->list[i];

		for (size_t j = 0; j < rule->exec_count; j++)
			free_text(rule->exec[j]);
		free((void *)(uintptr_t)rule->exec);
		free_text(rule->match);
	}
	free(rules->list);
	rules->list = NULL;
	rules->count = 0;
}

void cancel_rules_free(struct cancel_rules *rules)
{
	if (!rules)
		return;
	rule_list_free(rules);
	free(rules);
}

const struct cancel_rule *cancel_rules_match(const struct cancel_rules *rules, const char *task_id)
{
	for (size_t i = 0; i < rules->count; i++)
		if (fnmatch(rules->list[i].match, task_id, 0) == 0)
			return &rules->list[i];
	return NULL;
}

const char *cancel_rule_decide_text(enum cancel_rule_decide decide)
{
	static const char *const texts[] = {
		[CANCEL_RULE_BY_EXIT_STATUS] = "by-exit-status",
		[CANCEL_RULE_STOPPED] = "stopped",
		[CANCEL_RULE_NO] = "no",
	};

	return (size_t)decide < sizeof texts / sizeof texts[0] ? texts[decide] : "unknown";
}
