#include "config.h"

#include "document.h"
#include "error.h"
#include "source.h"
#include "value.h"

#include <cancel/text.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS    (60 * 1000LL)
#define HOUR_MS      (60 * MINUTE_MS)
#define DAY_MS       (24 * HOUR_MS)
#define PER_PASS_MAX 1000000000LL

/* The defaults stand once: in the init functions of spool, sweep and watch for what is theirs, below for the
 * rest. The table says only what may be written instead; a test holds conf/cancel.yaml to both. */
enum {
	SWEEP_INTERVAL_DEFAULT_MS = 60 * 1000,
};

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

struct key {
	const char *section; /* those of one section stand together */
	const char *name;
	struct value_rule rule; /* of the value, or of each in a list */
	size_t offset;
	size_t list_max; /* values in a list; 0: it is none */
	size_t count_offset;
};

#define PLACE(member) offsetof(struct cancel_config, member)
#define SIZE(member)  sizeof(((struct cancel_config *)NULL)->member)

/* For a value in `member`. */
#define ONE(member, kind, ...) {.type = (kind), .size = SIZE(member), __VA_ARGS__}, PLACE(member), 0, 0

static const struct key keys[] = {
	{"spool", "path", ONE(spool_path, VALUE_PATH, .words = NULL)},
	{"spool", "mode", ONE(spool.mode, VALUE_MODE, .words = NULL)},
	{"spool", "group", ONE(spool.group, VALUE_GROUP, .words = NULL)},
	{"spool", "owner", ONE(spool.owner, VALUE_USER, .words = NULL)},
	{"spool", "durability", ONE(spool.durability, VALUE_WORD, .words = durabilities)},
	{"spool",
	 "trusted_users",
	 {.type = VALUE_USER, .size = SIZE(spool.trusted_users[0])},
	 PLACE(spool.trusted_users),
	 CANCEL_TRUSTED_USERS_MAX,
	 PLACE(spool.trusted_count)},
	{"request", "expire_after",
	 ONE(spool.expire_after_s, VALUE_DURATION_S, .min = 1, .max = CANCEL_EXPIRES_MAX_S, .words = never)},
	{"request", "max_reason_bytes",
	 ONE(spool.max_reason_bytes, VALUE_NUMBER, .min = 0, .max = CANCEL_REASON_MAX)},
	{"processed", "keep_for",
	 ONE(sweep.keep_for_s, VALUE_DURATION_S, .min = 1, .max = CANCEL_EXPIRES_MAX_S)},
	{"watch", "mode", ONE(watch.mode, VALUE_WORD, .words = watch_modes)},
	{"watch", "poll_interval", ONE(watch.poll_interval_ms, VALUE_DURATION_MS, .min = 10, .max = HOUR_MS)},
	{"watch", "rescan_interval",
	 ONE(watch.rescan_interval_ms, VALUE_DURATION_MS, .min = 1000, .max = DAY_MS)},
	{"sweep", "interval", ONE(sweep_interval_ms, VALUE_DURATION_MS, .min = 1000, .max = DAY_MS)},
	{"sweep", "max_files_per_pass",
	 ONE(sweep.max_files_per_pass, VALUE_NUMBER, .min = 0, .max = PER_PASS_MAX)},
	{"log", "level", ONE(log_level, VALUE_WORD, .words = log_levels)},
	{"log", "format", ONE(log_json, VALUE_WORD, .words = log_formats)},
};

enum {
	KEY_COUNT = sizeof keys / sizeof keys[0],
	NAME_LENGTH_MAX = 32, /* nothing longer is close to a key's name */
	NAMES_SIZE = 160,
	FOUND_SIZE = 160,
};

struct reader {
	struct cancel_config *config;
	size_t section_line[KEY_COUNT]; /* by its first key: where the section was met; 0: not yet */
	size_t key_line[KEY_COUNT];
};

bool config_key(size_t index, const char **section, const char **name)
{
	if (index >= KEY_COUNT)
		return false;
	*section = keys[index].section;
	*name = keys[index].name;
	return true;
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

static void suggest(char suggestion[NAMES_SIZE], const char *section, const struct document_node *node)
{
	const char *nearest = nearest_name(section, node);
	const struct key *elsewhere = misplaced(node);

	suggestion[0] = '\0';
	if (elsewhere)
		(void)snprintf(suggestion, NAMES_SIZE, "; did you mean '%s' under '%s'?", elsewhere->name,
			       elsewhere->section);
	else if (nearest)
		(void)snprintf(suggestion, NAMES_SIZE, "; did you mean '%s'?", nearest);
}

static const char *list_names(char names[NAMES_SIZE], const char *section)
{
	const char *name;
	size_t index = 0, used = 0;

	while (used < NAMES_SIZE && (name = next_name(section, &index)))
		used += (size_t)snprintf(names + used, NAMES_SIZE - used, "%s%s", used ? ", " : "", name);
	return names;
}

static int fail_unknown(const struct document_node *node, const char *section, struct cancel_error *error)
{
	char names[NAMES_SIZE], suggestion[NAMES_SIZE], path[DOCUMENT_PATH_SIZE], found[FOUND_SIZE];

	suggest(suggestion, section, node);
	(void)document_path(path, node->parent);
	return error_set(error, -EINVAL, "%s:%zu:%zu: %s%sexpected one of the keys %s, found '%s'%s",
			 QUOTE(node->file), node->key_place.line, node->key_place.column, path,
			 *path ? ": " : "", list_names(names, section),
			 cancel_text_escape(found, sizeof found, node->key, node->key_length), suggestion);
}

static int fail_twice(const struct document_node *node, size_t first_line, struct cancel_error *error)
{
	char path[DOCUMENT_PATH_SIZE];

	return error_set(error, -EINVAL, "%s:%zu:%zu: %s: expected once, found again after line %zu",
			 QUOTE(node->file), node->key_place.line, node->key_place.column,
			 document_path(path, node), first_line);
}

/* Nothing is as good as no keys: what is left when all of a section is commented out. */
static int expect_keys(const struct document_node *node, const char *section, struct cancel_error *error)
{
	char names[NAMES_SIZE], expected[NAMES_SIZE + 32];

	if (node->kind == DOCUMENT_MAP || document_is_nothing(node))
		return 0;
	(void)snprintf(expected, sizeof expected, "keys (%s)", list_names(names, section));
	return document_expected(node, expected, error);
}

static int read_root(struct reader *reader, const struct document_node *node, struct cancel_error *error)
{
	(void)reader;
	return expect_keys(node, NULL, error);
}

static int read_section(struct reader *reader, const struct document_node *node, struct cancel_error *error)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (!begins_section(i) || !is_key(node, keys[i].section))
			continue;
		if (reader->section_line[i])
			return fail_twice(node, reader->section_line[i], error);
		reader->section_line[i] = node->key_place.line;
		return expect_keys(node, keys[i].section, error);
	}
	return fail_unknown(node, NULL, error);
}

static int fail_look_up(const struct document_node *node, int code, struct cancel_error *error)
{
	char path[DOCUMENT_PATH_SIZE];

	return error_system(error, code, "%s:%zu:%zu: %s: cannot look up '%s'", QUOTE(node->file),
			    node->place.line, node->place.column, document_path(path, node),
			    QUOTE(node->text));
}

static int read_value(const struct document_node *node, const struct value_rule *rule, void *target,
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

/* The key of a node whose section was read before it. */
static size_t find_key(const char *section, const struct document_node *node)
{
	size_t i = 0;

	while (i < KEY_COUNT && (strcmp(keys[i].section, section) != 0 || !is_key(node, keys[i].name)))
		i++;
	return i;
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
	size_t i = find_key(section, node);

	if (i == KEY_COUNT)
		return fail_unknown(node, section, error);
	if (reader->key_line[i])
		return fail_twice(node, reader->key_line[i], error);
	reader->key_line[i] = node->key_place.line;
	if (keys[i].list_max)
		return read_list(reader, &keys[i], node, error);
	return read_value(node, &keys[i].rule, target_of(reader, keys[i].offset), error);
}

static int read_item(struct reader *reader, const struct document_node *node, struct cancel_error *error)
{
	const struct key *key = &keys[find_key(node->parent->parent->key, node->parent)];
	size_t *count = target_of(reader, key->count_offset);
	char expected[VALUE_EXPECTED_SIZE];
	int result;

	if (*count == key->list_max) {
		(void)snprintf(expected, sizeof expected, "at most %zu values", key->list_max);
		return document_expected(node, expected, error);
	}
	result =
		read_value(node, &key->rule, target_of(reader, key->offset + *count * key->rule.size), error);
	if (result == 0)
		++*count;
	return result;
}

/* By depth. Each refuses what it does not know, so nothing lies deeper. */
static int (*const read_at[])(struct reader *reader, const struct document_node *node,
			      struct cancel_error *error) = {read_root, read_section, read_key, read_item};

static int visit(void *arg, const struct document_node *node, struct cancel_error *error)
{
	return read_at[node->depth](arg, node, error);
}

int config_read(struct cancel_config *config, const char *file, const char *text, size_t size,
		struct cancel_error *error)
{
	struct reader reader = {.config = config};

	return document_read(file, text, size, visit, &reader, error);
}

static int read_file(struct cancel_config *config, const char *file, struct cancel_error *error)
{
	struct source source = source_find(file);
	char *text;
	size_t size;
	int result = source_read(&source, &text, &size, error);

	if (result <= 0)
		return result;
	(void)snprintf(config->file, sizeof config->file, "%s", source.path);
	result = config_read(config, source.path, text, size, error);
	free(text);
	return result;
}

static int read_environment(struct cancel_config *config, struct cancel_error *error)
{
	static const struct value_rule rule = {.type = VALUE_PATH, .size = SIZE(spool_path)};
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

int cancel_config_load(struct cancel_config *config, const char *file, struct cancel_error *error)
{
	struct cancel_config loaded;
	int result;

	cancel_config_init(&loaded);
	result = read_file(&loaded, file, error);
	if (result >= 0)
		result = read_environment(&loaded, error);
	if (result < 0)
		return result;
	*config = loaded;
	config->spool.path = config->spool_path;
	return 0;
}
