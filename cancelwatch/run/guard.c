#include "guard.h"

#include "command.h"
#include "custody.h"
#include "inherited.h"
#include "verdict.h"

#include <cancel/clock.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set_environment(char *const *environment)
{
	for (; *environment != NULL; environment++)
		(void)putenv(*environment);
}

static int fail(const struct guard_options *options, int error)
{
	(void)fprintf(stderr, "cannot run '%s': %s\n", options->arguments[0], strerror(-error));
	return command_error_code(error);
}

static int end_code(const struct custody *custody, const struct guard_options *options)
{
	int error = command_error();

	return error < 0 ? fail(options, error) : status_exit_code(custody->status);
}

/* Until the command has ended, or is to be ended. */
static int watch_over(struct custody *custody, const struct guard_options *options, int64_t until_ns)
{
	const struct custody_steps steps = {
		.signal = SIGTERM,
		.grace_ns = options->grace_ms * CANCEL_MILLISECOND,
	};

	for (;;) {
		switch (custody_wait(custody, until_ns)) {
		case CUSTODY_CHILD:
			if (custody->command == 0)
				return end_code(custody, options);
			break;
		case CUSTODY_TIME:
			return custody_end(custody, &steps) ? VERDICT_EXIT_TIMED_OUT : COMMAND_NOT_OURS;
		case CUSTODY_SIGNAL:
			custody_pass_signal(custody);
			break;
		case CUSTODY_ORPHANED:
			(void)custody_kill(custody);
			return COMMAND_NOT_OURS;
		case CUSTODY_STOP:
			break;
		}
	}
}

int guard_run(const struct guard_options *options)
{
	struct custody custody;
	int64_t until_ns = cancel_clock_now_ns() + options->timeout_ms * CANCEL_MILLISECOND;
	int result;

	/* What the command does to its group shall not meet who started us. */
	(void)setpgid(0, 0);
	custody_block_signals();
	result = custody_open(&custody, options->life_fd);
	custody_keep_orphans(&custody);
	inherited_forget_streams();
	set_environment(options->environment);
	if (result == 0)
		result = custody_start(&custody, options->arguments);
	if (result < 0) {
		(void)fail(options, result);
		return COMMAND_NOT_OURS;
	}
	result = watch_over(&custody, options, until_ns);
	cgroup_remove(&custody.cgroup);
	return result;
}
