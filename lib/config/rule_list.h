/* Rules in memory: a list that grows, and owns its texts. */
#ifndef CONFIG_RULE_LIST_H
#define CONFIG_RULE_LIST_H

#include <cancel/rule.h>

/* A further rule, with the defaults and without texts; NULL when memory ran out. Moves those before it. */
struct cancel_rule *rule_list_add(struct cancel_rules *rules);

/* A further element of a rule's exec, of which there may be CANCEL_RULE_EXEC_MAX; 0 or -ENOMEM. */
int rule_add_exec(struct cancel_rule *rule, const char *text);

/* Free what is in the list, and leave it empty. */
void rule_list_free(struct cancel_rules *rules);

#endif
