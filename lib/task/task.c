/* Beginning and ending. */
#include "task.h"

#include "clock.h"
#include "due.h"
#include "ending.h"
#include "hints.h"
#include "look.h"
#include "reason.h"
#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct cancel_cause task_deadline_cause =
	CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "the task's time is over");

void cancel_task_options_init(struct cancel_task_options *options)
{
	*options = (struct cancel_task_options){.timeout_ns = CANCEL_FOREVER};
}

/* --- its place in the manager ------------------------------------------------------------------------- */

/* With the lock. What the bell says is heard here, before the task is looked for the first time. */
static void insert(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	(void)hints_hear(manager, task);
	task->next = manager->first;
	if (task->next)
		task->next->link = &task->next;
	task->link = &manager->first;
	manager->first = task;
	manager->listeners += task->count;
	manager->watcher.has_begun_task = true;
	watcher_kick(manager);
}

static void enter(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	manager_lock(manager);
	task->next_alive = manager->alive;
	if (task->next_alive)
		task->next_alive->link_alive = &task->next_alive;
	task->link_alive = &manager->alive;
	manager->alive = task;
	insert(task);
	manager_unlock(manager);
}

/* Meanwhile a ring may have gone unheard. */
static void come_back(struct task *task)
{
	manager_lock(task->manager);
	task->is_due = true;
	task->look_at_ns = 0;
	insert(task);
	manager_unlock(task->manager);
}

static void vanish(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	if (!task->link_alive)
		return;
	manager_lock(manager);
	*task->link_alive = task->next_alive;
	if (task->next_alive)
		task->next_alive->link_alive = task->link_alive;
	manager_unlock(manager);
}

/* A thread that acts for a task may be in its callback, which ends it: it does not wait for itself. */
static _Thread_local struct task_use *uses_here;

unsigned task_uses_here(const struct task *task)
{
	unsigned count = 0;

	for (const struct task_use *use = uses_here; use; use = use->outer)
		count += use->task == task;
	return count;
}

static void forget_uses_here(const struct task *task)
{
	for (struct task_use *use = uses_here; use; use = use->outer)
		if (use->task == task)
			use->task = NULL;
}

void task_use_begin(struct task_use *use, struct task *task)
{
	*use = (struct task_use){task, uses_here};
	uses_here = use;
	task->users++;
}

void task_use_end(struct task_use *use)
{
	uses_here = use->outer;
	if (!use->task)
		return;
	use->task->users--;
	(void)pthread_cond_broadcast(&use->task->manager->unused);
}

void task_leave(struct task *task)
{
	struct cancel_manager *manager = task->manager;

	manager_lock(manager);
	while (task->users > task_uses_here(task))
		(void)pthread_cond_wait(&manager->unused, &manager->lock);
	*task->link = task->next;
	if (task->next)
		task->next->link = task->link;
	task->link = NULL;
	manager->listeners -= task->count;
	if (manager->cursor == task)
		manager->cursor = task->next;
	task->is_due = false;
	trouble_forget(task);
	manager_unlock(manager);
}

/* --- beginning ---------------------------------------------------------------------------------------- */

static int check_ids(const char *task_id, const struct cancel_task_options *options, struct cancel_error *error)
{
	int code = name_check_id(task_id, CANCEL_TASK_ID_MAX, "task id", error);

	if (code == 0 && options->run)
		code = name_check_id(options->run, CANCEL_RUN_ID_MAX, "run id", error);
	if (code == 0 && options->also_count > CANCEL_TASK_ALSO_MAX)
		return error_set(error, -EINVAL, "task '%s' listens to %zu further ids; at most %d are allowed",
				 QUOTE(task_id), options->also_count, CANCEL_TASK_ALSO_MAX);
	for (size_t i = 0; code == 0 && i < options->also_count; i++)
		code = name_check_id(options->also[i], CANCEL_TASK_ID_MAX, "further id", error);
	if (code == 0 && options->timeout_ns < 0)
		return error_set(error, -EINVAL, "the timeout of task '%s' is negative", QUOTE(task_id));
	return code;
}

static bool copy_ids(struct task *task, const char *task_id, const struct cancel_task_options *options)
{
	bool copied = true;

	for (size_t i = 0; i < task->count; i++) {
		const char *id = i == 0 ? task_id : options->also[i - 1];

		task->listeners[i].id = strdup(id);
		task->listeners[i].word_at = bell_word_at(id);
		copied = copied && task->listeners[i].id;
	}
	if (options->run)
		task->run = strdup(options->run);
	return copied && (!options->run || task->run);
}

static void task_free(struct task *task)
{
	for (size_t i = 0; i < task->count; i++)
		free(task->listeners[i].id);
	free(task->run);
	free(task);
}

static struct task *task_new(struct cancel_manager *manager, const char *task_id,
			     const struct cancel_task_options *options)
{
	size_t count = 1 + options->also_count;
	struct task *task = calloc(1, sizeof *task + count * sizeof task->listeners[0]);

	if (!task)
		return NULL;
	task->manager = manager;
	task->count = count;
	task->started_at_us = clock_realtime_us();
	task->started_boottime_ns = clock_boottime_ns();
	task->lease = (struct lease)LEASE_NONE;
	task->face.looks = !manager->options.thread;
	task->look_at_ns = clock_coarse_ns() + CANCEL_CHECKPOINT_LOOK_MS * NS_PER_MS;
	task->deadline_ns = CANCEL_FOREVER;
	cancel_source_init(&task->face.source, NULL);
	if (copy_ids(task, task_id, options))
		return task;
	task_free(task);
	return NULL;
}

static int set_deadline(struct task *task, int64_t timeout_ns)
{
	if (timeout_ns == CANCEL_FOREVER)
		return 0;
	if (task->manager->options.thread)
		return cancel_deadline_set(&task->deadline, &task->face.source, timeout_ns, &task_deadline_cause);
	if (__builtin_add_overflow(clock_monotonic_ns(), timeout_ns, &task->deadline_ns))
		task->deadline_ns = CANCEL_FOREVER;
	return 0;
}

static int follow(struct task *task, const struct cancel_task_options *options, struct cancel_error *error)
{
	int code = set_deadline(task, options->timeout_ns);

	if (code < 0)
		return error_system(error, code, "cannot set the deadline of task '%s'", QUOTE(task->listeners[0].id));
	task->has_parent = cancel_token_possible(options->parent);
	task->parent_token = options->parent;
	if (task->has_parent)
		code = cancel_link_add(&task->parent, &task->face.source, options->parent);
	return code < 0 ? error_set(error, code, "task '%s' would be linked too deep: at most %d",
				    QUOTE(task->listeners[0].id), CANCEL_LINK_DEPTH_MAX)
			: 0;
}

/* Before it is looked for the first time: what is decided from here on is news. */
static int remember(struct task *task, struct cancel_error *error)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < task->count; i++)
		code = cancel_spool_mark(task_spool(task), task->listeners[i].id, i == 0 ? task->run : NULL,
					 &task->listeners[i].mark, error);
	return code;
}

static int take_lease(struct task *task, struct cancel_error *error)
{
	struct cancel_run run = {.task_id = task->listeners[0].id,
				 .run = task->run,
				 .also_count = task->count - 1,
				 .started_at_us = task->started_at_us};
	int code;

	for (size_t i = 0; i < run.also_count; i++)
		run.also[i] = task->listeners[i + 1].id;
	/* A child that is forked in between would keep a copy that nobody knows of, or close another file. */
	registry_hold_forks();
	lease_let_go(&task->lease);
	code = lease_take(task_spool(task), &run, &task->lease, error);
	registry_allow_forks();
	return code;
}

int task_keep_lease(struct task *task, struct cancel_error *error)
{
	int code = 0;

	if (!atomic_load(&task->keeps_lease))
		return 0;
	(void)pthread_mutex_lock(&task->manager->leases);
	if (!lease_stands(task_spool(task), &task->lease))
		code = take_lease(task, error);
	(void)pthread_mutex_unlock(&task->manager->leases);
	return code;
}

/* What stands there and is no request is told, and keeps nobody from running. */
static int look_first(struct task *task, struct cancel_error *error)
{
	struct cancel_error problem;
	struct finding finding;
	int code;

	look_find(task, true, &finding);
	problem = finding.problem;
	code = look_act(task, &finding);
	if (code >= 0 || code == -EBADMSG)
		return 0;
	if (error)
		*error = problem;
	return code;
}

/* A lease is for others: a full disk keeps nobody from running, and is told. A want of descriptors does, because the program
 * would meet it again and again. */
static int begin_lease(struct task *task, struct cancel_error *error)
{
	struct cancel_error problem;
	int code = take_lease(task, &problem);

	atomic_store(&task->keeps_lease, true);
	if (code == 0)
		return 0;
	if (!error_is_want(code)) {
		trouble_note(task, TROUBLE_LEASE, &problem);
		return 0;
	}
	if (error)
		*error = problem;
	return code;
}

static int start(struct task *task, const struct cancel_task_options *options, struct cancel_error *error)
{
	int code = follow(task, options, error);

	if (code == 0)
		code = remember(task, error);
	if (code < 0)
		return code;
	enter(task);
	code = options->no_lease ? 0 : begin_lease(task, error);
	if (code == 0)
		code = look_first(task, error);
	if (code < 0)
		task_leave(task);
	else if (!task->manager->options.thread)
		(void)due_pass_deadline(task, clock_monotonic_ns());
	return code;
}

int cancel_task_begin(struct cancel_task **face, struct cancel_manager *manager, const char *task_id,
		      const struct cancel_task_options *options, struct cancel_error *error)
{
	struct cancel_task_options defaults;
	struct task *task;
	int code = manager_refuse_inherited(manager, error);

	cancel_task_options_init(&defaults);
	if (!options)
		options = &defaults;
	if (code == 0)
		code = check_ids(task_id, options, error);
	if (code < 0)
		return code;
	task = task_new(manager, task_id, options);
	if (!task)
		return error_system(error, -ENOMEM, "cannot begin task '%s'", QUOTE(task_id));
	code = start(task, options, error);
	if (code < 0) {
		task_abandon(task);
		return code;
	}
	manager_lock(manager);
	task->has_begun = true;
	manager_unlock(manager);
	*face = &task->face;
	return task_is_cancelled(task);
}

/* --- why ---------------------------------------------------------------------------------------------- */

int cancel_task_cancel(struct cancel_task *face, const struct cancel_cause *cause)
{
	if (task_of(face)->manager->is_inherited)
		return -EPERM;
	return cancel_source_cancel(&face->source, cause);
}

static enum cancel_why_kind kind_of(const struct task *task, const struct cancel_cause *cause)
{
	if (task->has_parent && cancel_link_fired(&task->parent))
		return CANCEL_WHY_PARENT;
	if (cause == &task_deadline_cause)
		return CANCEL_WHY_DEADLINE;
	return reason_id(cause) || cause == &reason_unknown ? CANCEL_WHY_REQUEST : CANCEL_WHY_PROGRAM;
}

void cancel_task_why(const struct cancel_task *face, struct cancel_why *why)
{
	const struct task *task = (const struct task *)face;
	const struct cancel_cause *cause = cancel_token_cause(cancel_task_token(face));

	*why = (struct cancel_why){.kind = CANCEL_WHY_NOT, .text = ""};
	if (!cause)
		return;
	why->kind = kind_of(task, cause);
	why->text = cause->text;
	why->cause = cause;
	if (why->kind != CANCEL_WHY_REQUEST)
		return;
	why->request = cancel_cause_request(cause);
	why->id = reason_id(cause);
}

/* --- ending ------------------------------------------------------------------------------------------- */

static int check_outcome(enum cancel_outcome outcome, struct cancel_error *error)
{
	switch (outcome) {
	case CANCEL_OUTCOME_NONE:
	case CANCEL_OUTCOME_STOPPED:
	case CANCEL_OUTCOME_FINISHED:
	case CANCEL_OUTCOME_FAILED:
	case CANCEL_OUTCOME_REFUSED:
		return 0;
	default:
		return error_set(error, -EINVAL, "a task does not end as '%s'", cancel_outcome_text(outcome));
	}
}

/* What a task was before it fell silent, so that it can be put back. */
struct silence {
	const struct cancel_cause *cause; /* held; NULL: it was not cancelled */
	bool by_parent;
	int64_t deadline_at_ns;
};

/* Everything that cancels it again. */
static int follow_again(struct task *task, const struct silence *before)
{
	if (task->has_parent)
		(void)cancel_link_add(&task->parent, &task->face.source, task->parent_token);
	return before->deadline_at_ns == CANCEL_FOREVER
		       ? 0
		       : cancel_deadline_set_at(&task->deadline, &task->face.source, before->deadline_at_ns,
						&task_deadline_cause);
}

static void forget_silence(const struct silence *before)
{
	if (before->cause)
		cancel_cause_drop(before->cause);
}

/* From here on nothing cancels it, and nothing is called for it. After a failure it is as it was. */
static int fall_silent(struct task *task, struct silence *before, struct cancel_error *error)
{
	int code;

	before->cause = cancel_token_cause(cancel_task_token(&task->face));
	before->by_parent = task->has_parent && cancel_link_fired(&task->parent);
	before->deadline_at_ns = cancel_deadline_at_ns(&task->deadline);
	if (before->cause)
		cancel_cause_hold(before->cause);
	if (!cancel_deadline_stop(&task->deadline))
		before->deadline_at_ns = CANCEL_FOREVER;
	if (task->has_parent)
		(void)cancel_link_remove(&task->parent);
	code = cancel_source_fini(&task->face.source);
	if (code == 0)
		return 0;
	(void)follow_again(task, before);
	forget_silence(before);
	return error_set(error, code, "task '%s' cannot end here: a callback waits for this one",
			 QUOTE(task->listeners[0].id));
}

static void break_silence(struct task *task, const struct silence *before)
{
	cancel_source_init(&task->face.source, NULL);
	if (before->cause && !before->by_parent)
		(void)cancel_source_cancel(&task->face.source, before->cause);
	(void)follow_again(task, before);
}

/* The request that cancelled it, if that was for one of its further ids. */
static const struct cancel_request *group_of(const struct task *task, const struct cancel_cause *cause)
{
	const char *id = reason_id(cause);

	return id && strcmp(id, task->listeners[0].id) ? cancel_cause_request(cause) : NULL;
}

static int tell(struct task *task, enum cancel_outcome outcome, const char *detail, const struct silence *silence,
		struct cancel_error *error)
{
	struct ending ending = {
		.task_id = task->listeners[0].id,
		.run = task->run,
		.outcome = outcome == CANCEL_OUTCOME_NONE ? CANCEL_OUTCOME_FAILED : outcome,
		.detail = detail,
		.lease = &task->lease,
		.group = silence->by_parent ? NULL : group_of(task, silence->cause),
	};

	return ending_tell(task_spool(task), &ending, NULL, error);
}

static void task_close(struct task *task)
{
	lease_drop(task_spool(task), &task->lease);
	vanish(task);
	forget_uses_here(task);
	task_free(task);
}

void task_abandon(struct task *task)
{
	struct silence silence;

	if (fall_silent(task, &silence, NULL) == 0)
		forget_silence(&silence);
	task_close(task);
}

/* In the child of a fork. The parent token's source may have a copy of the link, and a callback of the task may be what
 * forked: then its memory stays where it is. */
static int free_inherited(struct task *task)
{
	bool is_held = task->has_parent || task_is_cancelled(task);

	task_leave(task);
	vanish(task);
	forget_uses_here(task);
	if (!is_held)
		task_free(task);
	return 0;
}

static int end(struct task *task, enum cancel_outcome outcome, const char *detail, struct cancel_error *error)
{
	struct silence silence;
	int code = fall_silent(task, &silence, error);

	if (code < 0)
		return code;
	code = tell(task, outcome, detail, &silence, error);
	if (code < 0)
		break_silence(task, &silence);
	forget_silence(&silence);
	return code;
}

int cancel_task_end(struct cancel_task *face, enum cancel_outcome outcome, const char *detail,
		    struct cancel_error *error)
{
	struct task *task = task_of(face);
	int code;

	if (task->manager->is_inherited)
		return free_inherited(task);
	code = check_outcome(outcome, error);
	if (code < 0)
		return code;
	task_leave(task);
	code = end(task, outcome, detail, error);
	if (code < 0)
		come_back(task);
	else
		task_close(task);
	return code;
}
