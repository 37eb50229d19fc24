/* Beginning: remember what was decided, listen, take a lease, and only then look for the first time. */
#include "clock.h"
#include "due.h"
#include "error.h"
#include "look.h"
#include "registry.h"

#include <errno.h>

void cancel_task_options_init(struct cancel_task_options *options)
{
	*options = (struct cancel_task_options){.timeout_ns = CANCEL_FOREVER};
}

static int check_ids(const char *task_id, const struct cancel_task_options *options,
		     struct cancel_error *error)
{
	int code = name_check_id(task_id, CANCEL_TASK_ID_MAX, "task id", error);

	if (code == 0 && options->run)
		code = name_check_id(options->run, CANCEL_RUN_ID_MAX, "run id", error);
	if (code == 0 && options->also_count > CANCEL_TASK_ALSO_MAX)
		return error_set(error, -EINVAL,
				 "task '%s' listens to %zu further ids; at most %d are allowed",
				 QUOTE(task_id), options->also_count, CANCEL_TASK_ALSO_MAX);
	for (size_t i = 0; code == 0 && i < options->also_count; i++)
		code = name_check_id(options->also[i], CANCEL_TASK_ID_MAX, "further id", error);
	if (code == 0 && options->timeout_ns < 0)
		return error_set(error, -EINVAL, "the timeout of task '%s' is negative", QUOTE(task_id));
	return code;
}

static int set_deadline(struct task *task, int64_t timeout_ns)
{
	if (timeout_ns == CANCEL_FOREVER)
		return 0;
	if (task->manager->options.thread)
		return cancel_deadline_set(&task->deadline, &task->face.source, timeout_ns,
					   &task_deadline_cause);
	if (__builtin_add_overflow(clock_monotonic_ns(), timeout_ns, &task->deadline_ns))
		task->deadline_ns = CANCEL_FOREVER;
	return 0;
}

static int follow(struct task *task, const struct cancel_task_options *options, struct cancel_error *error)
{
	int code = set_deadline(task, options->timeout_ns);

	if (code < 0)
		return error_system(error, code, "cannot set the deadline of task '%s'",
				    QUOTE(task->listeners[0].id));
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

/* Nothing keeps a task from running that was accepted. */
void task_take_lease(struct task *task)
{
	struct cancel_error problem;
	int code;

	task->started_at_us = clock_realtime_us();
	code = take_lease(task, &problem);
	atomic_store(&task->keeps_lease, true);
	if (code < 0)
		trouble_note(task, TROUBLE_LEASE, &problem);
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

/* A lease is for others: a full disk keeps nobody from running, and is told. A want of descriptors does,
 * because the program would meet it again and again. */
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
	task_enter(task);
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
