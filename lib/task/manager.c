#include "manager.h"

#include "hints.h"
#include "look.h"
#include "registry.h"

#include <cancel/dispatcher.h>

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_POLL_MS 1000
#define POLL_MAX_MS     3600000

void manager_lock(struct cancel_manager *manager)
{
	(void)pthread_mutex_lock(&manager->lock);
}

void manager_unlock(struct cancel_manager *manager)
{
	(void)pthread_mutex_unlock(&manager->lock);
}

int manager_refuse_inherited(const struct cancel_manager *manager, struct cancel_error *error)
{
	if (!manager->is_inherited)
		return 0;
	return error_set(error, -EPERM,
			 "the manager of spool '%s' is that of the process that forked this one; open one "
			 "here",
			 SPOOL_QUOTE(manager->spool));
}

/* --- opening ------------------------------------------------------------------------------------------ */

void cancel_manager_options_init(struct cancel_manager_options *options)
{
	*options = (struct cancel_manager_options){.poll_interval_ms = DEFAULT_POLL_MS};
}

static int check_options(const struct cancel_manager_options *options, struct cancel_error *error)
{
	if (options->notice < CANCEL_NOTICE_AUTO || options->notice > CANCEL_NOTICE_POLL)
		return error_set(error, -EINVAL,
				 "manager option 'notice': expected auto, bell, inotify or poll");
	if (options->notice == CANCEL_NOTICE_INOTIFY && !options->thread)
		return error_set(error, -EINVAL, "manager option 'notice': inotify needs a thread");
	if (options->poll_interval_ms < CANCEL_ROUND_MIN_MS || options->poll_interval_ms > POLL_MAX_MS)
		return error_set(error, -EINVAL, "manager option 'poll_interval': expected 10 ms to 1 hour");
	return 0;
}

static int open_spool(struct cancel_spool **spool, const struct cancel_spool_options *options,
		      struct cancel_error *error)
{
	struct cancel_spool_options defaults;

	cancel_spool_options_init(&defaults);
	defaults.create = true;
	return cancel_spool_open(spool, options ? options : &defaults, error);
}

static struct cancel_manager *manager_new(const struct cancel_manager_options *options)
{
	struct cancel_manager *manager = calloc(1, sizeof *manager);

	if (!manager)
		return NULL;
	manager->options = *options;
	manager->options.spool = NULL;
	manager->hints.kick_fd = -1;
	(void)pthread_mutex_init(&manager->leases, NULL);
	(void)pthread_mutex_init(&manager->keys, NULL);
	(void)pthread_mutex_init(&manager->lock, NULL);
	(void)pthread_cond_init(&manager->unused, NULL);
	return manager;
}

static void manager_free(struct cancel_manager *manager)
{
	hints_close(manager);
	cancel_spool_close(manager->spool);
	(void)pthread_cond_destroy(&manager->unused);
	(void)pthread_mutex_destroy(&manager->lock);
	(void)pthread_mutex_destroy(&manager->keys);
	(void)pthread_mutex_destroy(&manager->leases);
	free(manager);
}

/* The dispatcher first: the thread leaves the callbacks to it. */
static int start_thread(struct cancel_manager *manager, struct cancel_error *error)
{
	int code = cancel_dispatcher_start();

	if (code == 0)
		code = watcher_start(manager);
	return code == 0 ? 0
			 : error_system(error, code, "cannot start a thread for spool '%s'",
					SPOOL_QUOTE(manager->spool));
}

static int begin(struct cancel_manager *manager, const struct cancel_spool_options *spool_options,
		 struct cancel_error *error)
{
	int code = open_spool(&manager->spool, spool_options, error);

	if (code == 0)
		code = hints_open(manager, error);
	if (code < 0)
		return code;
	code = registry_add(manager);
	if (code < 0)
		return error_system(error, code, "cannot prepare for fork");
	if (manager->options.thread)
		code = start_thread(manager, error);
	if (code < 0)
		registry_remove(manager);
	return code;
}

int cancel_manager_open(struct cancel_manager **manager, const struct cancel_manager_options *options,
			struct cancel_error *error)
{
	struct cancel_manager_options defaults;
	struct cancel_manager *opened;
	int code;

	cancel_manager_options_init(&defaults);
	if (!options)
		options = &defaults;
	code = check_options(options, error);
	if (code < 0)
		return code;
	opened = manager_new(options);
	if (!opened)
		return error_system(error, -ENOMEM, "cannot open a manager of spool '%s'",
				    options->spool && options->spool->path ? QUOTE(options->spool->path) : "by default");
	code = begin(opened, options->spool, error);
	if (code < 0) {
		manager_free(opened);
		return code;
	}
	*manager = opened;
	return 0;
}

/* --- closing ------------------------------------------------------------------------------------------ */

static int end_first(struct cancel_manager *manager)
{
	struct task *task = manager->first;
	int code = cancel_task_end(&task->face, CANCEL_OUTCOME_NONE, NULL, NULL);

	if (code < 0) {
		task_leave(task);
		task_abandon(task);
	}
	return code < 0 ? code : 0;
}

int cancel_manager_close(struct cancel_manager *manager)
{
	int code = 0;

	if (!manager)
		return 0;
	if (!manager->is_inherited)
		watcher_stop(manager);
	while (manager->first) {
		int ended = end_first(manager);

		code = code < 0 ? code : ended;
	}
	registry_remove(manager);
	manager_free(manager);
	return code;
}

/* --- asking it ---------------------------------------------------------------------------------------- */

struct cancel_spool *cancel_manager_spool(struct cancel_manager *manager)
{
	return manager->spool;
}

enum cancel_notice cancel_manager_notice(struct cancel_manager *manager, const char **why)
{
	enum cancel_notice way;

	manager_lock(manager);
	way = manager->hints.way;
	if (why)
		*why = manager->hints.why;
	manager_unlock(manager);
	return way;
}

int cancel_manager_trouble(struct cancel_manager *manager, struct cancel_error *trouble)
{
	int code;

	manager_lock(manager);
	code = manager->trouble.code;
	if (code < 0 && trouble)
		*trouble = manager->trouble;
	manager_unlock(manager);
	return code;
}
