#include "window.h"

#include "tracer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Between two of these nothing changes for the victim, whatever the attacker does. */
static const long calls[] = {
	SYS_getppid,
	SYS_chown,
	SYS_fchownat,
	SYS_chmod,
	SYS_fchmodat,
	SYS_open,
	SYS_openat,
	SYS_mkdirat,
	SYS_linkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_unlink,
	SYS_unlinkat,
	SYS_fstat,
	SYS_stat,
	SYS_lstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_mmap,
	SYS_fallocate,
	SYS_fchmod,
	SYS_fchown,
	SYS_fcntl,
	SYS_readlinkat,
	SYS_read,
	SYS_futex,
	SYS_pread64,
	SYS_getdents64,
	SYS_write,
	SYS_utimensat,
	SYS_inotify_add_watch,
};

struct view {
	const struct stage *stage;
	int operation;
	int hold_at; /* the window's number; -1: none, only count */
	int marks, seen;
	struct verdict *verdict; /* shared with the victim */
};

static bool is_window(long number)
{
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		if (calls[i] == number)
			return true;
	return false;
}

static struct tracer_order on_call(void *arg, const struct tracer_call *call)
{
	struct view *view = arg;

	view->marks += call->number == SYS_getppid;
	if (view->marks == 1 && is_window(call->number) && view->seen++ == view->hold_at)
		return (struct tracer_order){.what = TRACER_HOLD};
	return (struct tracer_order){.what = TRACER_PROCEED};
}

static int be_victim(void *arg)
{
	struct view *view = arg;

	stage_become(view->stage, stage_victim(view->stage));
	return victim_act(view->stage, view->operation, view->verdict);
}

static struct verdict *shared_verdict(void)
{
	static struct verdict *verdict;

	if (!verdict)
		verdict = mmap(NULL, sizeof *verdict, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			       0);
	if (verdict == MAP_FAILED)
		abort();
	*verdict = (struct verdict){0};
	return verdict;
}

int window_count(struct match *match, const struct form *form, int operation)
{
	static int counts[FORM_COUNT][OPERATION_LIBRARY_COUNT];
	int *count = &counts[form - forms][operation];
	struct view view = {.stage = match->stage, .operation = operation, .hold_at = -1};
	const struct tracer_options options = {.entering = on_call, .arg = &view};
	struct tracer *tracer;

	if (*count || !tracer_works())
		return *count;
	match_set(match, form, operation != OPERATION_MAKE);
	view.verdict = shared_verdict();
	tracer = tracer_fork(&options, be_victim, &view, -1);
	if (tracer_go(tracer, VICTIM_PATIENCE_MS) == TRACER_ENDED)
		*count = view.seen;
	else
		judge_end(match, "did not end, and nobody had done anything",
			  victim_operation_name(operation));
	tracer_end(tracer);
	return *count;
}

static enum tracer_state await_tracer(struct tracer *tracer)
{
	enum tracer_state state = TRACER_LATE;

	for (int i = 0; state == TRACER_LATE && i < VICTIM_PATIENCES; i++) {
		state = tracer_go(tracer, VICTIM_PATIENCE_MS);
		if (state == TRACER_LATE && victim_is_kept(tracer_pid(tracer)))
			break;
	}
	return state;
}

/* Until it ends: it may have been in another call than was expected, where the deed has changed its way. */
static void go_on(struct match *match, struct tracer *tracer, const char *circumstances)
{
	if (await_tracer(tracer) != TRACER_ENDED)
		judge_end(match, "did not end in time", circumstances);
	else if (tracer_status(tracer) != 0)
		judge_end(match, "died", circumstances);
}

void window_try(struct match *match, const struct form *form, int operation, int window, enum deed deed,
		enum target target)
{
	struct view view = {.stage = match->stage, .operation = operation, .hold_at = window};
	const struct tracer_options options = {.entering = on_call, .arg = &view};
	char circumstances[200];
	struct tracer *tracer;

	match_set(match, form, operation != OPERATION_MAKE);
	(void)snprintf(circumstances, sizeof circumstances, "%s before its call %d, '%s': %s",
		       victim_operation_name(operation), window, attacker_target_name(target),
		       attacker_deed_name(deed));
	view.verdict = shared_verdict();
	tracer = tracer_fork(&options, be_victim, &view, -1);
	attacker_face(match->attacker, tracer_pid(tracer));
	if (await_tracer(tracer) == TRACER_HELD)
		(void)attacker_do(match->attacker, deed, target);
	go_on(match, tracer, circumstances);
	tracer_end(tracer);
	judge(match, view.verdict, circumstances);
	attacker_face(match->attacker, victim_pid(match->victim));
	attacker_rest(match->attacker);
	tally.windows++;
}
