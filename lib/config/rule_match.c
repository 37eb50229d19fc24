#include "rule_match.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Behind the set that begins at `pattern`, or behind its bracket when nothing ends it: then it stands for
 * itself. */
static const char *skip_set(const char *pattern)
{
	const char *at = pattern + 1;

	at += *at == '!' || *at == '^';
	at += *at == ']'; /* the first one is a member */
	while (*at && *at != ']') {
		/* [:digit:] and its like have a bracket of their own. */
		const char kind = (char)(*at == '[' ? at[1] : '\0');
		const char *end = kind == ':' || kind == '.' || kind == '='
					  ? strstr(at + 2, (char[]){kind, ']', '\0'})
					  : NULL;

		if (end)
			at = end + 2;
		else
			at += *at == '\\' && at[1] ? 2 : 1;
	}
	return *at ? at + 1 : pattern + 1;
}

const char *rule_match_star(const char *pattern)
{
	while (*pattern && *pattern != '*') {
		if (*pattern == '[')
			pattern = skip_set(pattern);
		else
			pattern += *pattern == '\\' && pattern[1] ? 2 : 1;
	}
	return *pattern ? pattern : NULL;
}

/* Where the id is cut so that what is before it matches `head`; without a * in it only one place does. */
static size_t head_length(const char *head, char *task_id)
{
	size_t length = strlen(task_id);

	for (size_t cut = 0; cut <= length; cut++) {
		char kept = task_id[cut];
		bool matches;

		task_id[cut] = '\0';
		matches = fnmatch(head, task_id, 0) == 0;
		task_id[cut] = kept;
		if (matches)
			return cut;
	}
	return length;
}

static size_t tail_begin(const char *tail, const char *task_id, size_t begin)
{
	size_t length = strlen(task_id);

	for (size_t at = begin; at <= length; at++)
		if (fnmatch(tail, task_id + at, 0) == 0)
			return at;
	return begin;
}

int rule_match_part(const char *pattern, const char *task_id, const char **part, size_t *length)
{
	const char *star = rule_match_star(pattern);
	char *head = star ? strndup(pattern, (size_t)(star - pattern)) : NULL;
	char *id = star ? strdup(task_id) : NULL;
	int result = star && (!head || !id) ? -ENOMEM : 0;

	*part = task_id;
	*length = 0;
	if (head && id) {
		size_t begin = head_length(head, id);

		*part = task_id + begin;
		*length = tail_begin(star + 1, id, begin) - begin;
	}
	free(head);
	free(id);
	return result;
}
