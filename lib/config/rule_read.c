#include "rule_read.h"

#include "error.h"
#include "rule_list.h"
#include "rule_match.h"
#include "rule_text.h"

#include <cancel/text.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cancel_rule *latest(const struct rule_reader *reader)
{
	return &reader->rules->list[reader->rules->count - 1];
}

static int fail_memory(const char *file, struct cancel_error *error)
{
	return error_system(error, -ENOMEM, "cannot read configuration '%s'", QUOTE(file));
}

int rule_read_section(const struct document_node *node, struct cancel_error *error)
{
	char names[KEY_NAMES_SIZE], expected[KEY_NAMES_SIZE + 32];

	if (node->kind == DOCUMENT_LIST || document_is_nothing(node))
		return 0;
	(void)snprintf(expected, sizeof expected, "a list of rules (%s)", key_list_names(names, KEY_RULES));
	return document_expected(node, expected, error);
}

/* Of the latest rule as a whole, which is judged when it has ended. */
static int fail_rule(const struct rule_reader *reader, const char *file, const char *expected,
		     const char *found, struct cancel_error *error)
{
	return error_set(error, -EINVAL, "%s:%zu:%zu: rules[%zu]: expected %s, found %s", QUOTE(file),
			 reader->place.line, reader->place.column, reader->rules->count - 1, expected, found);
}

static int expect_complete(const struct rule_reader *reader, const char *file, struct cancel_error *error)
{
	const struct cancel_rule *rule = latest(reader);

	if (!rule->match)
		return fail_rule(reader, file, "the keys match and exec", "no match", error);
	if (!rule->exec)
		return fail_rule(reader, file, "the keys match and exec with a command",
				 "no exec, or an empty one", error);
	return 0;
}

static bool uses_match(const struct cancel_rule *rule)
{
	for (size_t i = 0; i < rule->exec_count; i++) {
		const char *text = rule->exec[i];
		struct rule_piece piece;

		while (rule_text_next(&text, &piece))
			if (piece.placeholder == RULE_MATCH)
				return true;
	}
	return false;
}

/* What a ? or a set takes would not be in {match}: of set-[0-9]*, set-417 would be 17. */
static bool is_plain(const char *pattern, const char *star)
{
	for (; pattern < star; pattern++) {
		if (*pattern == '?' || *pattern == '[')
			return false;
		pattern += *pattern == '\\';
	}
	return true;
}

static int expect_star(const struct rule_reader *reader, const char *file, struct cancel_error *error)
{
	const char *pattern = latest(reader)->match;
	const char *star = rule_match_star(pattern);

	if (!uses_match(latest(reader)))
		return 0;
	if (!star)
		return fail_rule(reader, file, "a * in match for {match} to stand for", "none", error);
	if (!is_plain(pattern, star))
		return fail_rule(reader, file, "plain text before the * that {match} stands for", "? or [",
				 error);
	return 0;
}

int rule_read_end(struct rule_reader *reader, const char *file, struct cancel_error *error)
{
	int result;

	if (!reader->rules->count)
		return 0;
	result = expect_complete(reader, file, error);
	return result < 0 ? result : expect_star(reader, file, error);
}

static int begin_rule(struct rule_reader *reader, const struct document_node *node,
		      struct cancel_error *error)
{
	char names[KEY_NAMES_SIZE], expected[KEY_NAMES_SIZE + 32];
	struct cancel_rule *rule;
	int result = rule_read_end(reader, node->file, error);

	if (result < 0)
		return result;
	if (reader->rules->count == CANCEL_RULES_MAX) {
		(void)snprintf(expected, sizeof expected, "at most %d rules", CANCEL_RULES_MAX);
		return document_expected(node, expected, error);
	}
	if (node->kind != DOCUMENT_MAP) {
		(void)snprintf(expected, sizeof expected, "keys (%s)", key_list_names(names, KEY_RULES));
		return document_expected(node, expected, error);
	}
	rule = rule_list_add(reader->rules);
	if (!rule)
		return fail_memory(node->file, error);
	rule->line = node->place.line;
	reader->place = node->place;
	memset(reader->key_line, 0, sizeof reader->key_line);
	return 0;
}

/* A NUL would cut the text, and nothing at all is more likely forgotten than meant: '' says that it is. */
static bool is_text(const struct document_node *node)
{
	return node->kind == DOCUMENT_TEXT && strlen(node->text) == node->length &&
	       !document_is_nothing(node);
}

static int read_match(struct cancel_rule *rule, const struct document_node *node, struct cancel_error *error)
{
	if (!is_text(node) || !node->length)
		return document_expected(node, "a pattern of task ids (like \"slurm-*\")", error);
	rule->match = strdup(node->text);
	return rule->match ? 0 : fail_memory(node->file, error);
}

static int read_key(struct rule_reader *reader, const struct document_node *node, struct cancel_error *error)
{
	struct cancel_rule *rule = latest(reader);
	size_t i = key_find(KEY_RULES, node);
	const struct key *key = key_at(i);

	if (!key)
		return key_fail_unknown(node, KEY_RULES, error);
	if (reader->key_line[i])
		return key_fail_twice(node, reader->key_line[i], error);
	reader->key_line[i] = node->key_place.line;
	if (key->kind == KEY_TEXT)
		return read_match(rule, node, error);
	if (key->kind == KEY_ONE)
		return key_read(node, &key->rule, (char *)rule + key->offset, error);
	if (node->kind == DOCUMENT_LIST)
		return 0;
	return document_expected(node, "a command as a list (like [scancel, \"{task_id}\"])", error);
}

static int fail_placeholder(const struct document_node *node, const struct rule_piece *piece,
			    struct cancel_error *error)
{
	char names[RULE_TEXT_NAMES_SIZE], path[DOCUMENT_PATH_SIZE], found[160];

	return error_set(error, -EINVAL, "%s:%zu:%zu: %s: expected %s, or {{ and }} for braces, found '%s'",
			 QUOTE(node->file), node->place.line, node->place.column, document_path(path, node),
			 rule_text_names(names),
			 cancel_text_escape(found, sizeof found, piece->begin, piece->length));
}

static int check_placeholders(const struct document_node *node, bool is_command, struct cancel_error *error)
{
	const char *text = node->text;
	struct rule_piece piece;

	while (rule_text_next(&text, &piece)) {
		if (piece.placeholder == RULE_WRONG)
			return fail_placeholder(node, &piece, error);
		if (is_command && piece.placeholder != RULE_LITERAL)
			return document_expected(node, "a command without placeholders", error);
	}
	return 0;
}

static int read_item(struct rule_reader *reader, const struct document_node *node, struct cancel_error *error)
{
	struct cancel_rule *rule = latest(reader);
	bool is_command = !rule->exec_count;
	char expected[64];
	int result;

	if (rule->exec_count == CANCEL_RULE_EXEC_MAX) {
		(void)snprintf(expected, sizeof expected, "at most %d elements", CANCEL_RULE_EXEC_MAX);
		return document_expected(node, expected, error);
	}
	if (is_command && (!is_text(node) || !node->length))
		return document_expected(node, "the name or path of a command", error);
	if (!is_text(node))
		return document_expected(node, "a text without NULs, quoted if it is empty", error);
	result = check_placeholders(node, is_command, error);
	if (result < 0)
		return result;
	return rule_add_exec(rule, node->text) < 0 ? fail_memory(node->file, error) : 0;
}

/* By depth, from that of a rule. What is below is refused with what holds it. */
static int (*const read_at[])(struct rule_reader *reader, const struct document_node *node,
			      struct cancel_error *error) = {begin_rule, read_key, read_item};

enum {
	RULE_DEPTH = 2,
};

int rule_read(struct rule_reader *reader, const struct document_node *node, struct cancel_error *error)
{
	return read_at[node->depth - RULE_DEPTH](reader, node, error);
}
