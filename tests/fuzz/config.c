/* Any bytes as a configuration: they are read or refused with one sentence, what was read is in range, and
 * what a rule makes of a hostile request is what its text says. */
#include "config.h"

#include "fuzzing.h"

#include "rule_list.h"
#include "rule_match.h"

#include <errno.h>

static void check_read(const struct cancel_config *config)
{
	check(config->spool.path == config->spool_path && config->spool_path[0] == '/');
	check((config->spool.mode & ~(mode_t)02770) == 0 && (config->spool.mode & 0700) == 0700);
	check(config->spool.trusted_count <= CANCEL_TRUSTED_USERS_MAX);
	check(config->spool.max_reason_bytes <= CANCEL_REASON_MAX);
	check(config->spool.expire_after_s == CANCEL_EXPIRES_NEVER ||
	      (config->spool.expire_after_s > 0 && config->spool.expire_after_s <= CANCEL_EXPIRES_MAX_S));
	check(config->sweep.keep_for_s > 0 && config->sweep.keep_for_s <= CANCEL_EXPIRES_MAX_S);
	check(config->watch.poll_interval_ms >= 10 && config->watch.rescan_interval_ms >= 1000);
	check(config->sweep_interval_ms >= 1000);
}

/* The part that a wildcard stands for lies within the id, whatever the pattern. */
static void check_match(const struct cancel_rule *rule, const char *task_id)
{
	const char *part;
	size_t length;

	check(rule_match_part(rule->match, task_id, &part, &length) == 0);
	check(part >= task_id && part + length <= task_id + strlen(task_id));
	check(length == 0 || rule_match_star(rule->match));
}

static void check_arguments(const struct cancel_rule *rule, const struct cancel_request *request)
{
	struct cancel_error error = {.code = 0};
	char **arguments = NULL;
	int count = cancel_rule_arguments(rule, request, &arguments, &error);

	if (count < 0) {
		check(!arguments && error.code == count && (count == -EPERM || count == -E2BIG));
		return;
	}
	check((size_t)count == rule->exec_count && !arguments[count]);
	/* What comes from the request is no part of the command, and begins no argument that may be an
	 * option. */
	check(strpbrk(rule->exec[0], "{}") || !strcmp(arguments[0], rule->exec[0]));
	for (int i = 1; i < count && strcmp(arguments[i - 1], "--"); i++)
		check(arguments[i][0] != '-' || rule->allow_options || rule->exec[i][0] == '-');
	free(arguments);
}

static void check_rule(const struct cancel_rule *rule)
{
	static const char *const task_ids[] = {"-rf\n{task_id}", "slurm-17", "../..", "*[]\\"};
	struct cancel_request request;

	check(rule->match && rule->match[0] && rule->exec_count && rule->exec_count <= CANCEL_RULE_EXEC_MAX);
	check(rule->exec[0][0] && !rule->exec[rule->exec_count] && rule->line);
	check(rule->timeout_ms >= 1000 && rule->retries <= 1000 && rule->retry_interval_ms >= 10);
	check(rule->max_parallel >= 1 && rule->max_parallel <= CANCEL_RULE_PARALLEL_MAX);
	check(strcmp(cancel_rule_decide_text(rule->decide), "unknown") != 0);
	cancel_request_init(&request);
	request.reason = "--reason\n";
	request.run = "-r";
	for (size_t i = 0; i < sizeof task_ids / sizeof task_ids[0]; i++) {
		request.task_id = task_ids[i];
		check_match(rule, task_ids[i]);
		check_arguments(rule, &request);
	}
}

static void check_refused(const struct cancel_error *error, int result)
{
	check(error->code == result);
	check(!strncmp(error->text, "f.yaml:", 7));
	for (const char *at = error->text; *at; at++)
		check((unsigned char)*at >= 0x20 && *at != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cancel_config config;
	struct cancel_rules rules = {.count = 0};
	struct cancel_error error = {.code = 0};
	int result;

	cancel_config_init(&config);
	result = config_read_rules(&config, &rules, "f.yaml", (const char *)data, size, &error);
	if (result == 0)
		check_read(&config);
	else
		check_refused(&error, result);
	check(rules.count <= CANCEL_RULES_MAX);
	for (size_t i = 0; result == 0 && i < rules.count; i++)
		check_rule(&rules.list[i]);
	rule_list_free(&rules);
	return 0;
}
