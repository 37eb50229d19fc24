#include "task_variables.h"

#include <cancel/spool.h>

#include <stdlib.h>

const char *const task_variables[TASK_VARIABLES] = {
	[TASK_VARIABLE_TASK_ID] = "CANCEL_TASK_ID",       [TASK_VARIABLE_RUN_ID] = "CANCEL_RUN_ID",
	[TASK_VARIABLE_REQUEST_ID] = "CANCEL_REQUEST_ID", [TASK_VARIABLE_REASON] = "CANCEL_REASON",
	[TASK_VARIABLE_REQUESTER] = "CANCEL_REQUESTER",   [TASK_VARIABLE_SPOOL] = CANCEL_SPOOL_VARIABLE,
};

void task_variable_set(enum task_variable variable, const char *value)
{
	if (value == NULL)
		(void)unsetenv(task_variables[variable]);
	else
		(void)setenv(task_variables[variable], value, 1);
}

void task_variables_clear(void)
{
	for (int variable = 0; variable < TASK_VARIABLE_SPOOL; variable++)
		task_variable_set((enum task_variable)variable, NULL);
}
