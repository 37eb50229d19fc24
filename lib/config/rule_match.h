/* What of an id the wildcard of a rule's pattern stands for. */
#ifndef CONFIG_RULE_MATCH_H
#define CONFIG_RULE_MATCH_H

#include <stddef.h>

/* The first * of a pattern of fnmatch(3) that stands for any text, not in brackets nor behind a backslash;
 * NULL: there is none. */
const char *rule_match_star(const char *pattern);

/* The part of the id that it stands for: the shortest with which the id matches. None where there is no such
 * *, or the id does not match. 0 or -ENOMEM. */
int rule_match_part(const char *pattern, const char *task_id, const char **part, size_t *length);

#endif
