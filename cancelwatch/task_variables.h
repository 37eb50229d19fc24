/* The variables in which a command, and a hook, find what they are about. */
#ifndef CANCELWATCH_TASK_VARIABLES_H
#define CANCELWATCH_TASK_VARIABLES_H

#include <stddef.h>

enum task_variable {
	TASK_VARIABLE_TASK_ID,
	TASK_VARIABLE_RUN_ID,
	TASK_VARIABLE_REQUEST_ID,
	TASK_VARIABLE_REASON,
	TASK_VARIABLE_REQUESTER,
	TASK_VARIABLE_SPOOL,
};

#define TASK_VARIABLES 6

/* By enum task_variable. */
extern const char *const task_variables[TASK_VARIABLES];

/* In the environment of this process; NULL removes it. */
void task_variable_set(enum task_variable variable, const char *value);

/* What somebody around us has set there is about another task. The spool stays. */
void task_variables_clear(void);

#endif
