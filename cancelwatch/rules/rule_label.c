#include "rule_label.h"

#include <cancel/text.h>

#include <stdio.h>
#include <string.h>

#define SHOWN_ID_SIZE   400
#define SHOWN_NAME_SIZE 100

/* As one word: with blanks in it an id could look like what follows it on the line. */
static void escape_word(char *target, size_t size, const char *text)
{
	size_t used = 0;

	for (size_t length; *text != '\0' && used + sizeof "\\x20" <= size; text += length) {
		length = strcspn(text, " ");
		cancel_text_escape(target + used, size - used, text, length);
		used += strlen(target + used);
		if (text[length] == ' ' && used + sizeof "\\x20" <= size) {
			(void)strcpy(target + used, "\\x20");
			used += sizeof "\\x20" - 1;
			length++;
		}
	}
	target[used] = '\0';
}

char *rule_label(const struct cancel_rule *rule, size_t number, const char *task_id, const char *run)
{
	char match[SHOWN_NAME_SIZE], task[SHOWN_ID_SIZE], run_id[SHOWN_NAME_SIZE];
	char *label;

	cancel_text_escape(match, sizeof match, rule->match, strlen(rule->match));
	escape_word(task, sizeof task, task_id);
	escape_word(run_id, sizeof run_id, run == NULL ? "" : run);
	if (asprintf(&label, "rule %zu (%s) for %s%s%s", number, match, task, run == NULL ? "" : " run ",
		     run_id) < 0)
		return NULL;
	return label;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

char *rule_label_command(const struct cancel_rule *rule)
{
	char name[SHOWN_NAME_SIZE];
	const char *part = last_part(rule->exec[0]);

	return strdup(cancel_text_escape(name, sizeof name, part, strlen(part)));
}
