#include "rule_environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int rule_environment_make(struct rule_environment *environment, const struct cancel_request *request,
			  const char *spool_path)
{
	const char *const values[TASK_VARIABLES] = {
		[TASK_VARIABLE_TASK_ID] = request->task_id,
		[TASK_VARIABLE_RUN_ID] = request->run,
		[TASK_VARIABLE_REQUEST_ID] = request->request_id,
		[TASK_VARIABLE_REASON] = request->reason,
		[TASK_VARIABLE_REQUESTER] = request->requester.name,
		[TASK_VARIABLE_SPOOL] = spool_path,
	};
	size_t count = 0;

	*environment = (struct rule_environment){{NULL}};
	for (size_t i = 0; i < TASK_VARIABLES; i++) {
		if (values[i] == NULL)
			continue;
		if (asprintf(&environment->list[count], "%s=%s", task_variables[i], values[i]) < 0) {
			environment->list[count] = NULL;
			return -ENOMEM;
		}
		count++;
	}
	return 0;
}

void rule_environment_free(struct rule_environment *environment)
{
	for (size_t i = 0; i < TASK_VARIABLES; i++)
		free(environment->list[i]);
}
