#include "hook.h"

#include "command.h"
#include "task_variables.h"

#include <signal.h>

void hook_set_environment(const struct cancel_why *why)
{
	const struct cancel_request *request = why->request;

	task_variable_set(TASK_VARIABLE_REASON, why->text);
	task_variable_set(TASK_VARIABLE_REQUESTER, request == NULL ? NULL : request->requester.name);
	task_variable_set(TASK_VARIABLE_REQUEST_ID, request == NULL ? NULL : request->request_id);
}

void hook_run(struct custody *custody, const char *line, int64_t until_ns)
{
	char shell[] = "sh", option[] = "-c";
	char *const arguments[] = {shell, option, (char *)line, NULL};
	pid_t pid = command_start(arguments, custody->group, -1);

	if (pid < 0)
		return;
	custody->hook = pid;
	custody->is_empty = false;
	while (custody->hook != 0) {
		enum custody_event event = custody_wait(custody, until_ns);

		if (event == CUSTODY_SIGNAL)
			custody_pass_signal(custody);
		/* It may just have ended, and 0 would be our own group. */
		if ((event == CUSTODY_TIME || custody->is_orphaned) && custody->hook != 0) {
			(void)kill(custody->hook, SIGKILL);
			until_ns = CANCEL_FOREVER;
		}
	}
}
