#include "rule_text.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
	[RULE_TASK_ID] = "{task_id}",       [RULE_TASK_NAME] = "{task_name}",
	[RULE_MATCH] = "{match}",           [RULE_RUN] = "{run}",
	[RULE_REASON] = "{reason}",         [RULE_REQUESTER] = "{requester}",
	[RULE_REQUEST_ID] = "{request_id}", [RULE_UID] = "{uid}",
};

enum {
	NAME_COUNT = sizeof names / sizeof names[0],
};

/* Which placeholder the text begins with; NAME_COUNT: none. */
static size_t find_name(const char *text)
{
	size_t i = 0;

	while (i < NAME_COUNT && strncmp(text, names[i], strlen(names[i])) != 0)
		i++;
	return i;
}

/* A brace: one of a doubled pair, a placeholder, or wrong. */
static size_t take_brace(const char *text, struct rule_piece *piece)
{
	size_t i = find_name(text);

	if (text[1] == text[0]) {
		*piece = (struct rule_piece){RULE_LITERAL, text, 1};
		return 2;
	}
	if (i < NAME_COUNT) {
		*piece = (struct rule_piece){(enum rule_placeholder)i, NULL, 0};
		return strlen(names[i]);
	}
	*piece = (struct rule_piece){RULE_WRONG, text, text[0] == '{' ? strcspn(text, "}") : 1};
	piece->length += text[0] == '{' && text[piece->length] == '}';
	return piece->length;
}

bool rule_text_next(const char **text, struct rule_piece *piece)
{
	size_t length = strcspn(*text, "{}");

	if (!**text)
		return false;
	if (length)
		*piece = (struct rule_piece){RULE_LITERAL, *text, length};
	else
		length = take_brace(*text, piece);
	*text += length;
	return true;
}

const char *rule_text_names(char list[RULE_TEXT_NAMES_SIZE])
{
	size_t used = 0;

	for (size_t i = 0; i < NAME_COUNT && used < RULE_TEXT_NAMES_SIZE; i++)
		used += (size_t)snprintf(list + used, RULE_TEXT_NAMES_SIZE - used, "%s%s", i ? ", " : "",
					 names[i]);
	return list;
}
