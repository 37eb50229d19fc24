/* A manager, as the files of this folder share it. */
#ifndef TASK_MANAGER_H
#define TASK_MANAGER_H

#include "bell.h"
#include "dirwatch.h"
#include "error.h"
#include "pace.h"
#include "store.h"

#include <cancel/manager.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct task;

/* What may go wrong with a task, apart from the other. */
enum trouble {
	TROUBLE_LOOK,  /* it cannot be looked for */
	TROUBLE_LEASE, /* its lease was removed, and it cannot have another */
	TROUBLES,
};

/* How it learns that it should look. */
struct hints {
	enum cancel_notice wanted, way;
	const char *why; /* why it is not what was wanted; NULL: it is. Static */
	struct bell *bell;
	uint32_t *words;     /* all of the bell's at once, for who listens to many; NULL: not needed so far */
	bool words_are_read; /* for this turn */
	unsigned asleep;     /* threads that hold it while they sleep */
	bool is_blind;       /* others may write to the spool without any kernel of ours knowing */
	struct dirwatch *dirwatch;
	int kick_fd;       /* with inotify: an eventfd, which its sleeper polls too */
	bool is_deaf;      /* with inotify: the directories could not be watched */
	bool is_gone;      /* inotify said that a directory was removed, moved or unmounted */
	unsigned armed_at; /* the spool's replacements when the bell was held, or the directories watched */
};

/* The thread, if there is one. */
struct watcher {
	bool runs;
	bool stops;
	bool has_begun_task; /* since its last turn */
	uint32_t kicks;      /* goes up when it shall look at what it sleeps for */
	pthread_t thread;
	struct pace pace;
};

struct cancel_manager {
	struct cancel_spool *spool;
	struct cancel_manager_options options; /* `spool` is NULL here */
	bool is_inherited;                     /* by fork */

	pthread_mutex_t leases; /* held while one is looked at and taken anew */
	pthread_mutex_t keys;   /* held while a key's task is looked for and begun */
	pthread_mutex_t lock;   /* everything below; never while a file is touched, but for the bell */
	pthread_cond_t unused;
	struct task *alive;  /* all, from before they have a lease until they have none, for fork */
	struct task *first;  /* those that are looked for */
	struct task *cursor; /* the next that the thread comes to */
	size_t listeners;    /* ids that all tasks listen to */
	struct hints hints;
	struct watcher watcher;
	unsigned visits;
	unsigned replacements;       /* of the spool's directory, that were told */
	unsigned troubles;           /* of all tasks */
	struct cancel_error trouble; /* the latest; code 0: none */
	atomic_bool is_troubled;

	struct cancel_manager *next_in_process;
};

/* manager.c */
void manager_lock(struct cancel_manager *manager);
void manager_unlock(struct cancel_manager *manager);
/* -EPERM, with a sentence, for what was inherited by fork. */
int manager_refuse_inherited(const struct cancel_manager *manager, struct cancel_error *error);

/* trouble.c: tell the program, without the lock. Something is wrong with a task, or is not any more. */
void trouble_note(struct task *task, enum trouble sort, const struct cancel_error *problem);
void trouble_end(struct task *task, enum trouble sort);
/* A task ends: it is nobody's trouble any more. With the lock. */
void trouble_forget(struct task *task);
/* Something is worth knowing. */
void trouble_tell(const struct cancel_manager *manager, const struct cancel_error *what);
/* Notice that the spool's directory is another one, and tell. */
void trouble_tell_replaced(struct cancel_manager *manager);

/* watcher.c: the thread. */
int watcher_start(struct cancel_manager *manager);
void watcher_stop(struct cancel_manager *manager);
/* With the lock: a task has begun, or ended. */
void watcher_kick(struct cancel_manager *manager);

#endif
