/* What a rule's try is called in the log. */
#ifndef CANCELWATCH_RULE_LABEL_H
#define CANCELWATCH_RULE_LABEL_H

#include <cancel/rule.h>

#include <stddef.h>

/* "rule 2 (slurm-*) for slurm-7 run 3", escaped; `run` may be NULL. To be freed; NULL when memory ran out. */
char *rule_label(const struct cancel_rule *rule, size_t number, const char *task_id, const char *run);

/* The name of its command, escaped. As above. */
char *rule_label_command(const struct cancel_rule *rule);

#endif
