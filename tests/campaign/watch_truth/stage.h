/* Where one row is played: a spool of its own, writers and observers. */
#ifndef WATCH_TRUTH_STAGE_H
#define WATCH_TRUTH_STAGE_H

#include "truth.h"

#include <cancel/cancel.h>

#include <stdbool.h>
#include <sys/types.h>

enum observer_kind {
	OBSERVER_NONE,
	OBSERVER_WATCH,  /* cancel_watch in a process */
	OBSERVER_TOOL,   /* cancelwatch watch --json */
	OBSERVER_THREAD, /* a task of a manager with a thread */
	OBSERVER_LOOP,   /* one without, at its checkpoints */
	OBSERVER_WAIT,   /* one without, in cancel_task_wait */
	OBSERVER_RUN,    /* cancelwatch run */
};

struct observer {
	const char *name;
	enum observer_kind kind;
	enum cancel_watch_mode mode; /* a watch's */
	enum cancel_notice notice;   /* a worker's */
};

struct stage;

struct row {
	const char *name;
	void (*play)(struct stage *stage);
	struct observer observers[OBSERVERS_MAX];
	int64_t poll_ms;   /* of watches */
	int64_t rescan_ms; /* the same */
	int64_t look_ms;   /* of workers: their poll_interval_ms; 0: 200 */
	/* `cancelwatch` polls too seldom to ring for others: workers rely on themselves where a directory is
	 * replaced. */
	bool tool_is_slow;
	unsigned rounds; /* at least, whatever time it takes; 0: one */
	bool may_double;
	/* The first spool comes back, and with it what was decided in it for names that have begun in another
	 * one meanwhile: workers use each name once. */
	bool has_two_spools;
};

#define STANDING_MAX 32

struct stage {
	const struct row *row;
	struct truth *truth;
	const char *root; /* a private directory */
	char path[128];   /* the spool */
	uid_t owner;      /* who else may own the way to it, in a user namespace; (uid_t)-1: nobody */
	bool is_stopped;
	unsigned rounds;
	uint32_t watchers; /* observers, by bits */
	struct cancel_spool *spool;
	int root_fd;   /* the spool's directory: foreign writers go on with it wherever it is moved */
	int behind_fd; /* the same directory where the kernel tells nobody; -1: there is none */
	char pending[RECORDS / 4][TASK_ID_SIZE]; /* to be decided once they were seen */
	unsigned pending_count;
	unsigned once;     /* names that are used once */
	unsigned standing; /* that were left undecided */
};

/* --- a row's life ----------------------------------------------------------------------------------- */

void stage_leave_out(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Make the spool, or find it, and be ready to write to it. */
void stage_open(struct stage *stage);
void stage_close(struct stage *stage);

/* Start all observers, or one, and wait until it is ready. */
void stage_start(struct stage *stage);
void stage_start_observer(struct stage *stage, unsigned index);

/* Is there time for another round? The first is always played, and none after a violation. */
bool stage_goes_on(struct stage *stage);

/* SIGSTOP and SIGCONT to all observers; the former waits until they have stopped. */
void stage_stop(struct stage *stage);
void stage_continue(struct stage *stage);
/* SIGKILL to the watches, which are started again by stage_restart. */
void stage_kill_watches(struct stage *stage);
void stage_restart_watches(struct stage *stage);

/* --- publishing ------------------------------------------------------------------------------------- */

/* By any writer, for watchers; for them and for workers that have begun, or are about to. */
void stage_publish(struct stage *stage);
/* For watchers, by writers who hold the spool's directory and need no path. */
void stage_publish_by_directory(struct stage *stage);
/* The same, by link(2) only: nothing but pending/ and tmp/ is changed, and by nobody else. */
void stage_publish_links(struct stage *stage);
/* By both, where the kernel tells nobody. */
void stage_publish_behind(struct stage *stage);

/* pending/ changes once more, by a stranger, long after the latest request: what a look at the latest changes
 * would find by chance is not among them any more. */
void stage_change_later(struct stage *stage);
/* For a task that nobody runs or watches. */
void stage_publish_for_nobody(struct stage *stage);

/* Until everybody has seen what he must; then most of it is decided, and its names used again. */
void stage_await(struct stage *stage);
/* The same, and all is left as it is. */
void stage_await_only(struct stage *stage);

/* All three. */
void stage_round(struct stage *stage);

/* A worker's task, in his n-th turn: names come again. */
void stage_worker_name(const struct stage *stage, unsigned index, unsigned turn, char task_id[TASK_ID_SIZE]);

/* --- helpers ---------------------------------------------------------------------------------------- */

void stage_spool_options(const struct stage *stage, struct cancel_spool_options *options);
const char *stage_config(const struct stage *stage, char path[160]); /* of the programs */
int stage_event_count(const struct stage *stage, unsigned observer, enum cancel_event_type type);
/* Wait until an observer has told of an event more than `count` times. */
bool stage_await_event(struct stage *stage, unsigned observer, enum cancel_event_type type, int count);
bool stage_wait_until(bool (*condition)(void *arg), void *arg);
_Noreturn void stage_die(const char *what);
/* Fork a child that dies with its parent. */
pid_t stage_fork(void);

#endif
