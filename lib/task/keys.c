/* Tasks by their key: for programs that know no more of them. */
#include "clock.h"
#include "due.h"
#include "look.h"

#include <errno.h>
#include <string.h>

/* With the lock. */
static struct task *find(const struct cancel_manager *manager, const char *task_id)
{
	struct task *task = manager->first;

	while (task && (!task->has_begun || task->run || strcmp(task->listeners[0].id, task_id)))
		task = task->next;
	return task;
}

static struct task *find_locked(struct cancel_manager *manager, const char *task_id)
{
	struct task *task;

	manager_lock(manager);
	task = find(manager, task_id);
	manager_unlock(manager);
	return task;
}

int cancel_manager_get(struct cancel_manager *manager, const char *task_id, struct cancel_task **face,
		       struct cancel_error *error)
{
	int code = manager_refuse_inherited(manager, error);
	struct task *task;

	if (code < 0)
		return code;
	(void)pthread_mutex_lock(&manager->keys);
	task = find_locked(manager, task_id);
	if (task)
		code = task_is_cancelled(task) || due_pass_deadline(task, clock_monotonic_ns());
	else
		code = cancel_task_begin(face, manager, task_id, NULL, error);
	(void)pthread_mutex_unlock(&manager->keys);
	if (task)
		*face = &task->face;
	return code;
}

static int look_now(struct task *task, struct cancel_error *error)
{
	bool has_thread = task->manager->options.thread;
	struct finding finding;
	int answer;

	if (due_pass_deadline(task, clock_monotonic_ns()))
		return 1;
	look_find(task, true, &finding);
	answer = finding.answer;
	if (answer < 0 && error)
		*error = finding.problem;
	if (has_thread)
		(void)look_act_deferred(task, &finding);
	else
		(void)look_act(task, &finding);
	return answer;
}

/* With the lock, which is let go of meanwhile, so that its owner may end the task only after that. As
 * cancel_task_check. */
static int look_for(struct task *task, struct cancel_error *error)
{
	struct cancel_manager *manager = task->manager;
	struct task_use use;
	int answer;

	if (task_is_cancelled(task))
		return 1;
	task_use_begin(&use, task);
	manager_unlock(manager);
	answer = look_now(task, error);
	manager_lock(manager);
	task_use_end(&use);
	return answer;
}

/* --- cancelling --------------------------------------------------------------------------------------- */

/* The bell's word first, as to compare it touches no other memory. */
static bool listens(const struct task *task, const char *task_id, size_t word_at)
{
	for (size_t i = 0; i < task->count; i++)
		if (task->listeners[i].word_at == word_at && !strcmp(task->listeners[i].id, task_id))
			return true;
	return false;
}

/* With the lock: one that listens, and was not visited since: whoever came later saw what was asked before.
 */
static struct task *next_listener(const struct cancel_manager *manager, const char *task_id, size_t word_at,
				  unsigned visit)
{
	struct task *task = manager->first;

	while (task && (task->visit >= visit || task_is_cancelled(task) || !listens(task, task_id, word_at)))
		task = task->next;
	return task;
}

/* Those of this process need not wait for the bell. */
static void look_for_listeners(struct cancel_manager *manager, const char *task_id)
{
	size_t word_at = bell_word_at(task_id);
	struct task *task;
	unsigned visit;

	manager_lock(manager);
	visit = ++manager->visits;
	while ((task = next_listener(manager, task_id, word_at, visit))) {
		task->visit = visit;
		(void)look_for(task, NULL);
	}
	manager_unlock(manager);
}

int cancel_manager_cancel(struct cancel_manager *manager, const char *task_id, const char *reason,
			  struct cancel_error *error)
{
	int code = manager_refuse_inherited(manager, error);
	struct cancel_request request;

	if (code < 0)
		return code;
	cancel_request_init(&request);
	request.task_id = task_id;
	request.reason = reason;
	code = cancel_spool_request(manager->spool, &request, NULL, error);
	if (code >= 0)
		look_for_listeners(manager, task_id);
	return code;
}

/* --- asking and forgetting ---------------------------------------------------------------------------- */

int cancel_manager_is_cancelled(struct cancel_manager *manager, const char *task_id,
				struct cancel_error *error)
{
	int code = manager_refuse_inherited(manager, error);
	struct task *task;

	if (code < 0)
		return code;
	manager_lock(manager);
	task = find(manager, task_id);
	if (task)
		code = look_for(task, error);
	manager_unlock(manager);
	if (task)
		return code;
	code = cancel_spool_check(manager->spool, task_id, NULL, NULL, NULL, error);
	return code == 2 ? 0 : code;
}

int cancel_manager_delete(struct cancel_manager *manager, const char *task_id, struct cancel_error *error)
{
	int code = manager_refuse_inherited(manager, error), reset;
	struct task *task;

	if (code < 0)
		return code;
	task = find_locked(manager, task_id);
	if (task)
		code = cancel_task_end(&task->face, CANCEL_OUTCOME_NONE, NULL, error);
	if (code < 0)
		return code;
	reset = cancel_spool_reset(manager->spool, task_id, NULL, error);
	return reset < 0 ? reset : task || reset;
}
