#include "held.h"

#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_of(const struct tracer_call *call, const char *path)
{
	char link[64], target[512];
	ssize_t length;

	(void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)call->process, (int)call->arguments[0]);
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return strcmp(target, path) == 0;
}

static struct tracer_order hold(void *arg, const struct tracer_call *call)
{
	struct held *held = arg;

	if (call->number != held->number || !is_of(call, held->path) || ++held->seen != held->at)
		return (struct tracer_order){.what = TRACER_PROCEED};
	return (struct tracer_order){.what = TRACER_HOLD};
}

bool held_start(struct held *held, const char *const *arguments, const char *const *environment)
{
	const struct tracer_options options = {.entering = hold, .arg = held};

	held->seen = 0;
	held->output_fd = memfd_create("held", MFD_CLOEXEC);
	if (held->output_fd < 0)
		abort();
	held->tracer = tracer_exec(&options, arguments, environment, held->output_fd);
	return held->tracer && tracer_go(held->tracer, PROCESS_TIMEOUT_MS) == TRACER_HELD;
}

int held_finish(struct held *held, char *output, size_t size)
{
	bool ended = tracer_go(held->tracer, PROCESS_TIMEOUT_MS) == TRACER_ENDED;
	int status = ended ? tracer_status(held->tracer) : -1;
	ssize_t length = pread(held->output_fd, output, size - 1, 0);

	output[length > 0 ? length : 0] = '\0';
	held_kill(held);
	return status;
}

void held_kill(struct held *held)
{
	if (!held->tracer)
		return;
	tracer_end(held->tracer);
	(void)close(held->output_fd);
	held->tracer = NULL;
}
