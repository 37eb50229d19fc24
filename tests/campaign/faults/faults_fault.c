#include "faults_fault.h"

#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct tracer_order proceed(void)
{
	return (struct tracer_order){.what = TRACER_PROCEED};
}

/* --- which calls ---------------------------------------------------------------------------------------- */

static bool is_command(struct faults_play *play, const struct tracer_call *call)
{
	for (int i = 0; i < play->command_count; i++)
		if (play->commands[i] == call->process)
			return true;
	if (call->number == SYS_execve && play->command_count < FAULTS_COMMANDS_MAX)
		play->commands[play->command_count++] = call->process;
	return call->number == SYS_execve;
}

/* A program's loader has its own sentences. The last that it does is to let go of its cache. */
static bool arms(struct faults_play *play, const struct tracer_call *call)
{
	if (play->is_program) {
		bool was_armed = play->is_armed;

		play->is_armed |= call->number == SYS_munmap;
		return was_armed;
	}
	if (call->number == SCENARIO_MARK) {
		play->is_armed = !play->is_armed;
		return false;
	}
	return play->is_armed;
}

/* Threads take turns as they like, and a look depends on the time, so another call than the one that was
 * planned for may be met. */
static int error_of(const struct faults_play *play, const struct faults_call *call)
{
	return call->errors[call == play->fault.call ? play->fault.error : 0];
}

/* What a program says is how it is judged, and its streams are not what fails here. */
static bool is_speech(const struct faults_play *play, const struct tracer_call *call)
{
	return play->is_program && (int)call->arguments[0] >= 0 && call->arguments[0] <= STDERR_FILENO &&
	       (call->number == SYS_write || call->number == SYS_newfstatat);
}

/* --- what to do with one -------------------------------------------------------------------------------- */

static struct tracer_order fail(struct faults_play *play, const struct faults_call *kind, int error)
{
	if (!play->broken) {
		play->broken = kind;
		play->failed_with = error;
	}
	play->hits++;
	play->has_failed_removal |= kind->removes;
	play->has_lied |= kind->may_lie && (error == EEXIST || error == ENOENT);
	if (kind->number == SYS_brk) /* it tells where the end is: before all that was asked for */
		return (struct tracer_order){.what = TRACER_ANSWER, .value = 0};
	return (struct tracer_order){.what = kind->is_made ? TRACER_SPOIL : TRACER_FAIL, .value = error};
}

static struct tracer_order cut(struct faults_play *play, const struct faults_call *kind,
			       const struct tracer_call *call)
{
	int64_t size = (int64_t)call->arguments[2];

	if (size < 2)
		return proceed();
	if (!play->broken)
		play->broken = kind;
	play->hits++;
	return (struct tracer_order){.what = TRACER_SHORTEN,
				     .value = play->fault.kind == FAULTS_CUT ? 1 : (size + 1) / 2};
}

static struct tracer_order break_call(struct faults_play *play, const struct faults_call *kind,
				      const struct tracer_call *call, bool is_first)
{
	switch (play->fault.kind) {
	case FAULTS_NONE:
		break;
	case FAULTS_ONCE:
		return is_first ? fail(play, kind, error_of(play, kind)) : proceed();
	case FAULTS_ON:
		if (is_first)
			return fail(play, kind, error_of(play, kind));
		if (play->broken && !strcmp(play->broken->name, kind->name) &&
		    faults_error_lasts(kind, play->failed_with))
			return fail(play, kind, play->failed_with);
		break;
	case FAULTS_FULL:
		return kind->needs_room ? fail(play, kind, ENOSPC) : proceed();
	case FAULTS_STARVED:
		return kind->makes_descriptor ? fail(play, kind, EMFILE) : proceed();
	case FAULTS_EXHAUSTED:
		return kind->takes_memory ? fail(play, kind, ENOMEM) : proceed();
	case FAULTS_CUT:
		return is_first && kind->has_size ? cut(play, kind, call) : proceed();
	case FAULTS_CUT_ON:
		return kind->has_size ? cut(play, kind, call) : proceed();
	}
	return proceed();
}

struct tracer_order faults_entering(void *arg, const struct tracer_call *call)
{
	struct faults_play *play = arg;
	const struct faults_call *kind;
	int index;

	if (is_command(play, call) || !arms(play, call))
		return proceed();
	kind = is_speech(play, call) ? NULL : faults_call_of(call);
	if (!kind)
		return proceed();
	index = play->seen++;
	if (play->fault.kind == FAULTS_NONE && index < FAULTS_CALLS_MAX)
		play->calls[index] = kind;
	if (index < play->fault.at)
		return proceed();
	return break_call(play, kind, call, index == play->fault.at);
}

/* --- in words ------------------------------------------------------------------------------------------- */

const char *faults_where(const struct faults_play *play, const char *scenario, char text[FAULTS_WHERE_SIZE])
{
	static const char *const kinds[] = {
		[FAULTS_NONE] = "unbroken",
		[FAULTS_ONCE] = "once",
		[FAULTS_ON] = "from there on",
		[FAULTS_FULL] = "the disk full from there on",
		[FAULTS_STARVED] = "no descriptors from there on",
		[FAULTS_EXHAUSTED] = "no memory from there on",
		[FAULTS_CUT] = "one byte only",
		[FAULTS_CUT_ON] = "half of it from there on",
	};
	const char *error = play->failed_with ? strerrorname_np(play->failed_with) : "";

	(void)snprintf(text, FAULTS_WHERE_SIZE, "%s, call %d (%s), %s%s%s", scenario, play->fault.at,
		       play->broken ? play->broken->name : "not met", error, *error ? " " : "",
		       kinds[play->fault.kind]);
	return text;
}
