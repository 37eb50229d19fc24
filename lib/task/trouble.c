/* What keeps the manager from looking, told once. */
#include "hash.h"
#include "task.h"

void trouble_tell(const struct cancel_manager *manager, const struct cancel_error *what)
{
	if (manager->options.report)
		manager->options.report(manager->options.arg, what);
}

/* With the lock. A trouble of all tasks has the same words for each of them. */
static bool was_told(const struct cancel_manager *manager, uint64_t words)
{
	for (const struct task *task = manager->first; task; task = task->next)
		for (int sort = 0; sort < TROUBLES; sort++)
			if (task->troubles[sort] == words)
				return true;
	return false;
}

void trouble_note(struct task *task, enum trouble sort, const struct cancel_error *problem)
{
	struct cancel_manager *manager = task->manager;
	uint64_t words = hash_text(problem->text);
	bool is_new;

	manager_lock(manager);
	is_new = !was_told(manager, words);
	manager->troubles += task->troubles[sort] == 0;
	task->troubles[sort] = words;
	manager->trouble = *problem;
	atomic_store(&manager->is_troubled, true);
	manager_unlock(manager);
	if (is_new)
		trouble_tell(manager, problem);
}

/* With the lock. Returns whether it was the last. */
static bool forget(struct task *task, enum trouble sort)
{
	struct cancel_manager *manager = task->manager;

	if (!task->troubles[sort])
		return false;
	task->troubles[sort] = 0;
	if (--manager->troubles)
		return false;
	manager->trouble = (struct cancel_error){0, ""};
	atomic_store(&manager->is_troubled, false);
	return true;
}

void trouble_forget(struct task *task)
{
	for (int sort = 0; sort < TROUBLES; sort++)
		(void)forget(task, (enum trouble)sort);
}

void trouble_end(struct task *task, enum trouble sort)
{
	struct cancel_manager *manager = task->manager;
	struct cancel_error text;
	bool is_over;

	if (!atomic_load_explicit(&manager->is_troubled, memory_order_relaxed))
		return;
	manager_lock(manager);
	is_over = forget(task, sort);
	manager_unlock(manager);
	if (!is_over)
		return;
	(void)error_set(&text, 0, "spool '%s': whatever was wrong is over", SPOOL_QUOTE(manager->spool));
	trouble_tell(manager, &text);
}

void trouble_tell_replaced(struct cancel_manager *manager)
{
	unsigned replacements = atomic_load(&manager->spool->replacements);
	struct cancel_error text;
	bool is_new;

	manager_lock(manager);
	is_new = manager->replacements != replacements;
	manager->replacements = replacements;
	manager_unlock(manager);
	if (!is_new)
		return;
	(void)error_set(
		&text, 0,
		"another directory stands in place of spool '%s', or of a directory in it, and was looked at",
		SPOOL_QUOTE(manager->spool));
	trouble_tell(manager, &text);
}
