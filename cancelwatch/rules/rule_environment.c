#include "rule_environment.h"

#include <cancel/spool.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int rule_environment_make(struct rule_environment *environment, const struct cancel_request *request,
			  const char *spool_path)
{
	const struct {
		const char *name, *value;
	} variables[RULE_ENVIRONMENT_COUNT] = {
		{"CANCEL_TASK_ID", request->task_id},          {"CANCEL_RUN_ID", request->run},
		{"CANCEL_REQUEST_ID", request->request_id},    {"CANCEL_REASON", request->reason},
		{"CANCEL_REQUESTER", request->requester.name}, {CANCEL_SPOOL_VARIABLE, spool_path},
	};
	size_t count = 0;

	*environment = (struct rule_environment){{NULL}};
	for (size_t i = 0; i < RULE_ENVIRONMENT_COUNT; i++) {
		if (variables[i].value == NULL)
			continue;
		if (asprintf(&environment->list[count], "%s=%s", variables[i].name, variables[i].value) < 0) {
			environment->list[count] = NULL;
			return -ENOMEM;
		}
		count++;
	}
	return 0;
}

void rule_environment_free(struct rule_environment *environment)
{
	for (size_t i = 0; i < RULE_ENVIRONMENT_COUNT; i++)
		free(environment->list[i]);
}
