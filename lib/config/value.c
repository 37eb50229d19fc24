#include "value.h"

#include <cancel/text.h>

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	MODE_DIGITS_MAX = 5,    /* 02770 */
	NUMBER_DIGITS_MAX = 18, /* so that no number overflows */
	ENTRY_SIZE_MIN = 1024,
	ENTRY_SIZE_MAX = 16 * 1024 * 1024, /* a group entry lists all its members */
};

#define ID_MAX (UINT32_MAX - 1) /* the last one means "nobody" to the kernel */

static void store(const struct value_rule *rule, void *target, int64_t value)
{
	uint8_t byte = (uint8_t)value;
	uint32_t word = (uint32_t)value;

	if (rule->size == sizeof byte)
		memcpy(target, &byte, sizeof byte);
	else if (rule->size == sizeof word)
		memcpy(target, &word, sizeof word);
	else
		memcpy(target, &value, sizeof value);
}

static int read_path(const struct value_rule *rule, const char *text, void *target)
{
	if (text[0] != '/' || strlen(text) >= rule->size)
		return -EINVAL;
	(void)strcpy(target, text);
	return 0;
}

/* What cancel_spool_open accepts. It would refuse the rest too, but without a line to look at. */
static bool mode_is_allowed(mode_t mode)
{
	return (mode & S_IRWXU) == S_IRWXU && !(mode & ~(mode_t)(S_ISGID | S_IRWXU | S_IRWXG));
}

static int read_mode(const struct value_rule *rule, const char *text, void *target)
{
	size_t length = strspn(text, "01234567");
	mode_t mode;

	if (text[length] || !length || length > MODE_DIGITS_MAX)
		return -EINVAL;
	mode = (mode_t)strtoul(text, NULL, 8);
	if (!mode_is_allowed(mode))
		return -EINVAL;
	store(rule, target, mode);
	return 0;
}

/* A leading zero is refused: other readers of YAML would take the number for octal. */
static int parse_number(const char *text, int64_t min, int64_t max, int64_t *number)
{
	size_t length = strspn(text, "0123456789");
	int64_t value;

	if (text[length] || !length || length > NUMBER_DIGITS_MAX || (text[0] == '0' && length > 1))
		return -EINVAL;
	value = strtoll(text, NULL, 10);
	if (value < min || value > max)
		return -EINVAL;
	*number = value;
	return 0;
}

static int read_number(const struct value_rule *rule, const char *text, void *target)
{
	int64_t value;
	int result = parse_number(text, rule->min, rule->max, &value);

	if (result == 0)
		store(rule, target, value);
	return result;
}

/* Ask the user database once; 0, -ERANGE when the buffer is too small, -EINVAL when there is no such name. */
typedef int ask_database(const char *name, char *entry, size_t size, int64_t *id);

static int answer(int code, const void *found)
{
	/* Which of these "not found" is depends on where the database is: getpwnam_r(3). */
	if (code == ENOENT || code == ESRCH || code == EBADF || code == EPERM || (!code && !found))
		return -EINVAL;
	return -code;
}

static int ask_user(const char *name, char *entry, size_t size, int64_t *id)
{
	struct passwd user, *found = NULL;
	int result = getpwnam_r(name, &user, entry, size, &found);

	result = answer(result, found);
	if (result == 0)
		*id = user.pw_uid;
	return result;
}

static int ask_group(const char *name, char *entry, size_t size, int64_t *id)
{
	struct group group, *found = NULL;
	int result = getgrnam_r(name, &group, entry, size, &found);

	result = answer(result, found);
	if (result == 0)
		*id = group.gr_gid;
	return result;
}

static int look_up(ask_database *ask, const char *name, int64_t *id)
{
	int result = -ERANGE;

	for (size_t size = ENTRY_SIZE_MIN; result == -ERANGE && size <= ENTRY_SIZE_MAX; size *= 4) {
		char *entry = malloc(size);

		if (!entry)
			return -ENOMEM;
		result = ask(name, entry, size, id);
		free(entry);
	}
	return result;
}

static int read_id(const struct value_rule *rule, const char *text, void *target, ask_database *ask)
{
	int64_t id;
	int result;

	if (!text[0])
		return -EINVAL;
	if (text[strspn(text, "0123456789")] == '\0')
		result = parse_number(text, 0, ID_MAX, &id);
	else
		result = look_up(ask, text, &id);
	if (result == 0)
		store(rule, target, id);
	return result;
}

static int read_user(const struct value_rule *rule, const char *text, void *target)
{
	return read_id(rule, text, target, ask_user);
}

static int read_group(const struct value_rule *rule, const char *text, void *target)
{
	return read_id(rule, text, target, ask_group);
}

static int read_word(const struct value_rule *rule, const char *text, void *target)
{
	for (const struct value_word *word = rule->words; word && word->text; word++)
		if (!strcmp(word->text, text)) {
			store(rule, target, word->value);
			return 0;
		}
	return -EINVAL;
}

static int64_t unit_ms(const struct value_rule *rule)
{
	return rule->type == VALUE_DURATION_S ? 1000 : 1;
}

static int read_duration(const struct value_rule *rule, const char *text, void *target)
{
	int64_t ms, value;

	if (read_word(rule, text, target) == 0)
		return 0;
	if (cancel_duration_parse(text, &ms) < 0 || ms % unit_ms(rule))
		return -EINVAL;
	value = ms / unit_ms(rule);
	if (value < rule->min || value > rule->max)
		return -EINVAL;
	store(rule, target, value);
	return 0;
}

static void expect_path(char *expected, const struct value_rule *rule, const char *text)
{
	if (strlen(text) < rule->size)
		(void)strcpy(expected, "an absolute path");
	else
		(void)snprintf(expected, VALUE_EXPECTED_SIZE, "an absolute path of at most %zu bytes",
			       rule->size - 1);
}

static void expect_mode(char *expected, const struct value_rule *rule, const char *text)
{
	(void)rule;
	(void)text;
	(void)strcpy(expected, "an octal mode with all for the owner and nothing for others: 0700, or 2770 "
			       "to share with a group");
}

static void expect_user(char *expected, const struct value_rule *rule, const char *text)
{
	(void)rule;
	(void)text;
	(void)strcpy(expected, "an existing user's name, or a uid");
}

static void expect_group(char *expected, const struct value_rule *rule, const char *text)
{
	(void)rule;
	(void)text;
	(void)strcpy(expected, "an existing group's name, or a gid");
}

static void expect_word(char *expected, const struct value_rule *rule, const char *text)
{
	size_t used = 0;

	(void)text;
	for (const struct value_word *word = rule->words; word->text && used < VALUE_EXPECTED_SIZE; word++)
		used += (size_t)snprintf(expected + used, VALUE_EXPECTED_SIZE - used, "%s%s", word->text,
					 !word[1].text   ? ""
					 : !word[2].text ? " or "
							 : ", ");
}

static void expect_number(char *expected, const struct value_rule *rule, const char *text)
{
	(void)text;
	(void)snprintf(expected, VALUE_EXPECTED_SIZE, "a whole number from %" PRId64 " to %" PRId64,
		       rule->min, rule->max);
}

static void expect_duration(char *expected, const struct value_rule *rule, const char *text)
{
	bool whole = rule->type == VALUE_DURATION_S;
	char min[CANCEL_DURATION_SIZE], max[CANCEL_DURATION_SIZE];

	(void)text;
	(void)snprintf(expected, VALUE_EXPECTED_SIZE, "a duration %sfrom %s to %s (like %s)%s%s",
		       whole ? "in whole seconds " : "",
		       cancel_duration_format(min, rule->min * unit_ms(rule)),
		       cancel_duration_format(max, rule->max * unit_ms(rule)),
		       whole ? "30s, 10m, 24h" : "500ms, 30s, 10m", rule->words ? " or " : "",
		       rule->words ? rule->words->text : "");
}

static const struct type {
	int (*read)(const struct value_rule *rule, const char *text, void *target);
	void (*expect)(char *expected, const struct value_rule *rule, const char *text);
} types[] = {
	[VALUE_PATH] = {read_path, expect_path},
	[VALUE_MODE] = {read_mode, expect_mode},
	[VALUE_USER] = {read_user, expect_user},
	[VALUE_GROUP] = {read_group, expect_group},
	[VALUE_WORD] = {read_word, expect_word},
	[VALUE_NUMBER] = {read_number, expect_number},
	[VALUE_DURATION_MS] = {read_duration, expect_duration},
	[VALUE_DURATION_S] = {read_duration, expect_duration},
};

int value_read(const struct value_rule *rule, const char *text, void *target)
{
	return types[rule->type].read(rule, text, target);
}

const char *value_expected(char expected[VALUE_EXPECTED_SIZE], const struct value_rule *rule,
			   const char *text)
{
	types[rule->type].expect(expected, rule, text);
	return expected;
}
