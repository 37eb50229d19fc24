/* How a command of a rule ended: in words, and what follows for the request. */
#ifndef CANCELWATCH_RULE_RESULT_H
#define CANCELWATCH_RULE_RESULT_H

#include "rule_command.h"

#include <cancel/request.h>
#include <cancel/rule.h>

#define RULE_RESULT_SIZE 2048 /* less than CANCEL_DETAIL_MAX, and than a line of the log */

/* "scancel exited with 0 after 0.2 s: LAST LINE", escaped. `name` must be escaped. */
const char *rule_result_text(char text[RULE_RESULT_SIZE], const struct rule_command *command,
			     const char *name);

enum rule_result {
	RULE_RESULT_DECIDE, /* with `outcome` */
	RULE_RESULT_DONE,   /* somebody else decides */
	RULE_RESULT_FAILED, /* to be tried again */
};

enum rule_result rule_result(const struct rule_command *command, enum cancel_rule_decide decide,
			     enum cancel_outcome *outcome);

#endif
