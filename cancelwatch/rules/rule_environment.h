/* What a command of a rule finds in its environment about the request. */
#ifndef CANCELWATCH_RULE_ENVIRONMENT_H
#define CANCELWATCH_RULE_ENVIRONMENT_H

#include "task_variables.h"

#include <cancel/request.h>

struct rule_environment {
	char *list[TASK_VARIABLES + 1]; /* "NAME=VALUE" for what the request has; ends with NULL */
};

/* Returns 0 or -ENOMEM. Either way it is to be freed. */
int rule_environment_make(struct rule_environment *environment, const struct cancel_request *request,
			  const char *spool_path);
void rule_environment_free(struct rule_environment *environment);

#endif
