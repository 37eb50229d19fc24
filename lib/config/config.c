#include "config.h"

#include "document.h"
#include "error.h"
#include "key.h"
#include "rule_list.h"
#include "rule_read.h"
#include "source.h"
#include "value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SWEEP_INTERVAL_DEFAULT_MS = 60 * 1000,
};

struct reader {
	struct cancel_config *config;
	struct rule_reader rules;
	size_t section_line[KEY_COUNT_MAX]; /* by its first key: where the section was met; 0: not yet */
	size_t key_line[KEY_COUNT_MAX];
};

bool config_key(size_t index, const char **section, const char **name)
{
	const struct key *key = key_at(index);

	if (!key)
		return false;
	*section = key->section;
	*name = key->name;
	return true;
}

static bool is_rules(const struct document_node *section)
{
	size_t i = key_find_section(section);

	return i < KEY_COUNT_MAX && !strcmp(key_at(i)->section, KEY_RULES);
}

static int read_root(struct reader *reader, const struct document_node *node, struct cancel_error *error)
{
	(void)reader;
	return key_expect_map(node, NULL, error);
}

static int read_section(struct reader *reader, const struct document_node *node, struct cancel_error *error)
{
	size_t i = key_find_section(node);

	if (i == KEY_COUNT_MAX)
		return key_fail_unknown(node, NULL, error);
	if (reader->section_line[i])
		return key_fail_twice(node, reader->section_line[i], error);
	reader->section_line[i] = node->key_place.line;
	return is_rules(node) ? rule_read_section(node, error)
			      : key_expect_map(node, key_at(i)->section, error);
}

static void *target_of(const struct reader *reader, size_t offset)
{
	return (char *)reader->config + offset;
}

/* A list given takes the place of the default, and does not add to it. */
static int read_list(const struct reader *reader, const struct key *key, const struct document_node *node,
		     struct cancel_error *error)
{
	if (node->kind != DOCUMENT_LIST)
		return document_expected(node, "a list of users' names or uids (like [alice, 1001])", error);
	*(size_t *)target_of(reader, key->count_offset) = 0;
	return 0;
}

static int read_key(struct reader *reader, const struct document_node *node, struct cancel_error *error)
{
	const char *section = node->parent->key;
	size_t i = key_find(section, node);

	if (i == KEY_COUNT_MAX)
		return key_fail_unknown(node, section, error);
	if (reader->key_line[i])
		return key_fail_twice(node, reader->key_line[i], error);
	reader->key_line[i] = node->key_place.line;
	if (key_at(i)->kind == KEY_MANY)
		return read_list(reader, key_at(i), node, error);
	return key_read(node, &key_at(i)->rule, target_of(reader, key_at(i)->offset), error);
}

static int read_item(struct reader *reader, const struct document_node *node, struct cancel_error *error)
{
	const struct key *key = key_at(key_find(node->parent->parent->key, node->parent));
	size_t *count = target_of(reader, key->count_offset);
	char expected[VALUE_EXPECTED_SIZE];
	int result;

	if (*count == key->list_max) {
		(void)snprintf(expected, sizeof expected, "at most %zu values", key->list_max);
		return document_expected(node, expected, error);
	}
	result = key_read(node, &key->rule, target_of(reader, key->offset + *count * key->rule.size), error);
	if (result == 0)
		++*count;
	return result;
}

/* By depth. Each refuses what it does not know, so nothing lies deeper. */
static int (*const read_at[])(struct reader *reader, const struct document_node *node,
			      struct cancel_error *error) = {read_root, read_section, read_key, read_item};

static bool is_in_rules(const struct document_node *node)
{
	while (node->depth > 1)
		node = node->parent;
	return node->depth == 1 && is_rules(node);
}

static int visit(void *arg, const struct document_node *node, struct cancel_error *error)
{
	struct reader *reader = arg;

	if (node->depth > 1 && is_in_rules(node))
		return rule_read(&reader->rules, node, error);
	return read_at[node->depth](reader, node, error);
}

int config_read_rules(struct cancel_config *config, struct cancel_rules *rules, const char *file,
		      const char *text, size_t size, struct cancel_error *error)
{
	struct reader reader = {.config = config};
	int result;

	reader.rules.rules = rules;
	result = document_read(file, text, size, visit, &reader, error);
	return result < 0 ? result : rule_read_end(&reader.rules, file, error);
}

int config_read(struct cancel_config *config, const char *file, const char *text, size_t size,
		struct cancel_error *error)
{
	struct cancel_rules rules = {.count = 0};
	int result = config_read_rules(config, &rules, file, text, size, error);

	rule_list_free(&rules);
	return result;
}

static int read_file(struct cancel_config *config, struct cancel_rules *rules, const char *file,
		     struct cancel_error *error)
{
	struct source source = source_find(file);
	char *text;
	size_t size;
	int result = source_read(&source, &text, &size, error);

	if (result <= 0)
		return result;
	(void)snprintf(config->file, sizeof config->file, "%s", source.path);
	result = config_read_rules(config, rules, source.path, text, size, error);
	free(text);
	return result;
}

static int read_environment(struct cancel_config *config, struct cancel_error *error)
{
	static const struct value_rule rule = {.type = VALUE_PATH, .size = sizeof config->spool_path};
	const char *path = secure_getenv(CANCEL_SPOOL_VARIABLE);
	char expected[VALUE_EXPECTED_SIZE];

	if (!path || !*path || value_read(&rule, path, config->spool_path) == 0)
		return 0;
	return error_set(error, -EINVAL, "%s: expected %s, found '%s'", CANCEL_SPOOL_VARIABLE,
			 value_expected(expected, &rule, path), QUOTE(path));
}

void cancel_config_init(struct cancel_config *config)
{
	memset(config, 0, sizeof *config);
	cancel_spool_options_init(&config->spool);
	cancel_sweep_options_init(&config->sweep);
	cancel_watch_options_init(&config->watch);
	(void)strcpy(config->spool_path, CANCEL_SPOOL_DEFAULT);
	config->spool.path = config->spool_path;
	config->sweep_interval_ms = SWEEP_INTERVAL_DEFAULT_MS;
	config->log_level = CANCEL_LOG_INFO;
}

static int load(struct cancel_config *config, struct cancel_rules *rules, const char *file,
		struct cancel_error *error)
{
	int result;

	cancel_config_init(config);
	result = read_file(config, rules, file, error);
	return result < 0 ? result : read_environment(config, error);
}

int cancel_config_load(struct cancel_config *config, const char *file, struct cancel_error *error)
{
	struct cancel_config loaded;
	struct cancel_rules rules = {.count = 0};
	int result = load(&loaded, &rules, file, error);

	rule_list_free(&rules);
	if (result < 0)
		return result;
	*config = loaded;
	config->spool.path = config->spool_path;
	return 0;
}

int cancel_rules_load(struct cancel_rules **rules, const char *file, struct cancel_error *error)
{
	struct cancel_rules *loaded = calloc(1, sizeof *loaded);
	struct cancel_config config;
	int result;

	if (!loaded)
		return error_system(error, -ENOMEM, "cannot load the rules");
	result = load(&config, loaded, file, error);
	if (result < 0) {
		cancel_rules_free(loaded);
		return result;
	}
	memcpy(loaded->file, config.file, sizeof loaded->file);
	*rules = loaded;
	return 0;
}
