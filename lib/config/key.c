#include "key.h"

#include "error.h"

#include <cancel/config.h>
#include <cancel/rule.h>
#include <cancel/text.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MINUTE_MS    (60 * 1000LL)
#define HOUR_MS      (60 * MINUTE_MS)
#define DAY_MS       (24 * HOUR_MS)
#define PER_PASS_MAX 1000000000LL
#define RETRIES_MAX  1000

static const struct value_word durabilities[] = {
	{"none", CANCEL_DURABILITY_NONE},
	{"file", CANCEL_DURABILITY_FILE},
	{"full", CANCEL_DURABILITY_FULL},
	{NULL, 0},
};

static const struct value_word watch_modes[] = {
	{"auto", CANCEL_WATCH_AUTO},
	{"inotify", CANCEL_WATCH_INOTIFY},
	{"poll", CANCEL_WATCH_POLL},
	{NULL, 0},
};

static const struct value_word log_levels[] = {
	{"error", CANCEL_LOG_ERROR},
	{"warning", CANCEL_LOG_WARNING},
	{"info", CANCEL_LOG_INFO},
	{"debug", CANCEL_LOG_DEBUG},
	{NULL, 0},
};

static const struct value_word log_formats[] = {
	{"text", false},
	{"json", true},
	{NULL, 0},
};

static const struct value_word never[] = {
	{"never", CANCEL_EXPIRES_NEVER},
	{NULL, 0},
};

static const struct value_word decisions[] = {
	{"by-exit-status", CANCEL_RULE_BY_EXIT_STATUS},
	{"stopped", CANCEL_RULE_STOPPED},
	{"no", CANCEL_RULE_NO},
	{NULL, 0},
};

static const struct value_word yes_or_no[] = {
	{"yes", true},
	{"no", false},
	{NULL, 0},
};

/* The defaults stand elsewhere, each once: in the init functions of spool, sweep and watch for what is
 * theirs, in config.c and rule_read.c for the rest. The table says only what may be written instead; a test
 * holds conf/cancel.yaml to both. */
#define PLACE(structure, member) offsetof(struct structure, member)
#define SIZE(structure, member)  sizeof(((struct structure *)NULL)->member)

/* For a value in `member`. */
#define ONE(structure, member, value, ...)                                                                  \
	KEY_ONE, {.type = (value), .size = SIZE(structure, member), __VA_ARGS__}, PLACE(structure, member), \
		0, 0
#define CONFIG(member, ...) ONE(cancel_config, member, __VA_ARGS__)
#define RULE(member, ...)   ONE(cancel_rule, member, __VA_ARGS__)

static const struct key keys[] = {
	{"spool", "path", CONFIG(spool_path, VALUE_PATH, .words = NULL)},
	{"spool", "mode", CONFIG(spool.mode, VALUE_MODE, .words = NULL)},
	{"spool", "group", CONFIG(spool.group, VALUE_GROUP, .words = NULL)},
	{"spool", "owner", CONFIG(spool.owner, VALUE_USER, .words = NULL)},
	{"spool", "durability", CONFIG(spool.durability, VALUE_WORD, .words = durabilities)},
	{"spool",
	 "trusted_users",
	 KEY_MANY,
	 {.type = VALUE_USER, .size = SIZE(cancel_config, spool.trusted_users[0])},
	 PLACE(cancel_config, spool.trusted_users),
	 CANCEL_TRUSTED_USERS_MAX,
	 PLACE(cancel_config, spool.trusted_count)},
	{"request", "expire_after",
	 CONFIG(spool.expire_after_s, VALUE_DURATION_S, .min = 1, .max = CANCEL_EXPIRES_MAX_S,
		.words = never)},
	{"request", "max_reason_bytes",
	 CONFIG(spool.max_reason_bytes, VALUE_NUMBER, .min = 0, .max = CANCEL_REASON_MAX)},
	{"processed", "keep_for",
	 CONFIG(sweep.keep_for_s, VALUE_DURATION_S, .min = 1, .max = CANCEL_EXPIRES_MAX_S)},
	{"watch", "mode", CONFIG(watch.mode, VALUE_WORD, .words = watch_modes)},
	{"watch", "poll_interval",
	 CONFIG(watch.poll_interval_ms, VALUE_DURATION_MS, .min = 10, .max = HOUR_MS)},
	{"watch", "rescan_interval",
	 CONFIG(watch.rescan_interval_ms, VALUE_DURATION_MS, .min = 1000, .max = DAY_MS)},
	{"sweep", "interval", CONFIG(sweep_interval_ms, VALUE_DURATION_MS, .min = 1000, .max = DAY_MS)},
	{"sweep", "max_files_per_pass",
	 CONFIG(sweep.max_files_per_pass, VALUE_NUMBER, .min = 0, .max = PER_PASS_MAX)},
	{"log", "level", CONFIG(log_level, VALUE_WORD, .words = log_levels)},
	{"log", "format", CONFIG(log_json, VALUE_WORD, .words = log_formats)},
	{KEY_RULES, "match", KEY_TEXT, {.words = NULL}, PLACE(cancel_rule, match), 0, 0},
	{KEY_RULES,
	 "exec",
	 KEY_TEXTS,
	 {.words = NULL},
	 PLACE(cancel_rule, exec),
	 CANCEL_RULE_EXEC_MAX,
	 PLACE(cancel_rule, exec_count)},
	{KEY_RULES, "timeout", RULE(timeout_ms, VALUE_DURATION_MS, .min = 1000, .max = HOUR_MS)},
	{KEY_RULES, "decide", RULE(decide, VALUE_WORD, .words = decisions)},
	{KEY_RULES, "max_parallel",
	 RULE(max_parallel, VALUE_NUMBER, .min = 1, .max = CANCEL_RULE_PARALLEL_MAX)},
	{KEY_RULES, "retry", RULE(retries, VALUE_NUMBER, .min = 0, .max = RETRIES_MAX)},
	{KEY_RULES, "retry_interval", RULE(retry_interval_ms, VALUE_DURATION_MS, .min = 10, .max = HOUR_MS)},
	{KEY_RULES, "allow_options", RULE(allow_options, VALUE_WORD, .words = yes_or_no)},
};

enum {
	KEY_COUNT = sizeof keys / sizeof keys[0],
	NAME_LENGTH_MAX = 32, /* nothing longer is close to a key's name */
	FOUND_SIZE = 160,
};

_Static_assert((int)KEY_COUNT < (int)KEY_COUNT_MAX, "every key has a number");

const struct key *key_at(size_t index)
{
	return index < KEY_COUNT ? &keys[index] : NULL;
}

static bool begins_section(size_t index)
{
	return !index || strcmp(keys[index].section, keys[index - 1].section) != 0;
}

/* What may stand in a section, or in the root (NULL): the next of them from `index` on, or NULL. */
static const char *next_name(const char *section, size_t *index)
{
	while (*index < KEY_COUNT) {
		size_t i = (*index)++;

		if (!section && begins_section(i))
			return keys[i].section;
		if (section && !strcmp(keys[i].section, section))
			return keys[i].name;
	}
	return NULL;
}

static bool is_key(const struct document_node *node, const char *name)
{
	return node->key_length == strlen(name) && !memcmp(node->key, name, node->key_length);
}

size_t key_find(const char *section, const struct document_node *node)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (!strcmp(keys[i].section, section) && is_key(node, keys[i].name))
			return i;
	return KEY_COUNT_MAX;
}

size_t key_find_section(const struct document_node *node)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (begins_section(i) && is_key(node, keys[i].section))
			return i;
	return KEY_COUNT_MAX;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many characters must be put in, taken out or changed to make one name of the other. */
static size_t distance(const char *one, const char *other)
{
	size_t row[NAME_LENGTH_MAX + 1];
	size_t length = strlen(other);

	for (size_t i = 0; i <= length; i++)
		row[i] = i;
	for (size_t at = 1; *one; one++, at++) {
		size_t corner = row[0];

		row[0] = at;
		for (size_t i = 1; i <= length; i++) {
			size_t above = row[i];

			row[i] = smallest(row[i] + 1, row[i - 1] + 1, corner + (*one != other[i - 1]));
			corner = above;
		}
	}
	return row[length];
}

static const char *nearest_name(const char *section, const struct document_node *node)
{
	size_t best = node->key_length < 5 ? 1 : (node->key_length + 1) / 3;
	const char *nearest = NULL, *name;
	size_t index = 0;

	if (node->key_length > NAME_LENGTH_MAX || strlen(node->key) != node->key_length)
		return NULL;
	while ((name = next_name(section, &index))) {
		size_t distant = distance(node->key, name);

		if (distant <= best && (!nearest || distant < best)) {
			best = distant;
			nearest = name;
		}
	}
	return nearest;
}

/* A right key in a wrong place: under another section, at the root, or at the root as `spool.path`. */
static const struct key *misplaced(const struct document_node *node)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		char whole[2 * NAME_LENGTH_MAX];

		(void)snprintf(whole, sizeof whole, "%s.%s", keys[i].section, keys[i].name);
		if (is_key(node, keys[i].name) || is_key(node, whole))
			return &keys[i];
	}
	return NULL;
}

static void suggest(char suggestion[KEY_NAMES_SIZE], const char *section, const struct document_node *node)
{
	const char *nearest = nearest_name(section, node);
	const struct key *elsewhere = misplaced(node);

	suggestion[0] = '\0';
	if (elsewhere)
		(void)snprintf(suggestion, KEY_NAMES_SIZE, "; did you mean '%s' under '%s'?", elsewhere->name,
			       elsewhere->section);
	else if (nearest)
		(void)snprintf(suggestion, KEY_NAMES_SIZE, "; did you mean '%s'?", nearest);
}

const char *key_list_names(char names[KEY_NAMES_SIZE], const char *section)
{
	const char *name;
	size_t index = 0, used = 0;

	while (used < KEY_NAMES_SIZE && (name = next_name(section, &index)))
		used += (size_t)snprintf(names + used, KEY_NAMES_SIZE - used, "%s%s", used ? ", " : "", name);
	return names;
}

int key_fail_unknown(const struct document_node *node, const char *section, struct cancel_error *error)
{
	char names[KEY_NAMES_SIZE], suggestion[KEY_NAMES_SIZE], path[DOCUMENT_PATH_SIZE], found[FOUND_SIZE];

	suggest(suggestion, section, node);
	(void)document_path(path, node->parent);
	return error_set(error, -EINVAL, "%s:%zu:%zu: %s%sexpected one of the keys %s, found '%s'%s",
			 QUOTE(node->file), node->key_place.line, node->key_place.column, path,
			 *path ? ": " : "", key_list_names(names, section),
			 cancel_text_escape(found, sizeof found, node->key, node->key_length), suggestion);
}

int key_fail_twice(const struct document_node *node, size_t first_line, struct cancel_error *error)
{
	char path[DOCUMENT_PATH_SIZE];

	return error_set(error, -EINVAL, "%s:%zu:%zu: %s: expected once, found again after line %zu",
			 QUOTE(node->file), node->key_place.line, node->key_place.column,
			 document_path(path, node), first_line);
}

int key_expect_map(const struct document_node *node, const char *section, struct cancel_error *error)
{
	char names[KEY_NAMES_SIZE], expected[KEY_NAMES_SIZE + 32];

	if (node->kind == DOCUMENT_MAP || document_is_nothing(node))
		return 0;
	(void)snprintf(expected, sizeof expected, "keys (%s)", key_list_names(names, section));
	return document_expected(node, expected, error);
}

static int fail_look_up(const struct document_node *node, int code, struct cancel_error *error)
{
	char path[DOCUMENT_PATH_SIZE];

	return error_system(error, code, "%s:%zu:%zu: %s: cannot look up '%s'", QUOTE(node->file),
			    node->place.line, node->place.column, document_path(path, node),
			    QUOTE(node->text));
}

int key_read(const struct document_node *node, const struct value_rule *rule, void *target,
	     struct cancel_error *error)
{
	char expected[VALUE_EXPECTED_SIZE];
	const char *text = node->kind == DOCUMENT_TEXT ? node->text : "";
	int result = -EINVAL;

	/* A NUL would cut the text, and another value than the one in the file would be judged. */
	if (node->kind == DOCUMENT_TEXT && strlen(text) == node->length)
		result = value_read(rule, text, target);
	if (result == -EINVAL)
		return document_expected(node, value_expected(expected, rule, text), error);
	return result < 0 ? fail_look_up(node, result, error) : 0;
}
