/* A scheduler, as its files share it. */
#ifndef TASK_POOL_H
#define TASK_POOL_H

#include "ranking.h"
#include "task.h"

#include <cancel/scheduler.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a job is, and so who may move it on. With the pool's lock. */
enum phase {
	PHASE_BEGINNING, /* its submission's: not accepted yet */
	PHASE_QUEUED,    /* among `turns` */
	PHASE_PAUSED,    /* among `pauses`, for another try */
	PHASE_STARTING,  /* a worker's: it gets ready for a try */
	PHASE_RUNNING,   /* a worker's: its function is called */
	PHASE_DOOMED,    /* among `doomed`: to be ended, once or again */
	PHASE_ENDING,    /* whose thread ends it */
	PHASE_RESTING,   /* among `pauses`: it could not be ended, and will be tried to be again */
};

#define STATUSES (CANCEL_SCHEDULED_TIMED_OUT + 1)

/* What is known of a task by its id; it outlives the job. With the pool's lock. */
struct account {
	struct account *next_in_bucket;
	uint64_t hash;
	struct job *job;               /* NULL: it has ended */
	struct account *older, *newer; /* among those that have ended */
	struct account *next_news;     /* among those of whom something is to be told */
	unsigned holders;              /* the table, the news, and who waits for it */
	uint32_t is_over;              /* atomic, slept on: `ended` has returned too */
	const struct cancel_cause
		*why; /* why it is cancelled, once noticed; the task's, until that has ended */
	bool is_told; /* that; with the lock of lines */
	struct cancel_scheduled state;
	char id[];
};

/* A task that has not ended. */
struct job {
	struct account *account;
	struct cancel_task *task;
	struct cancel_registration registration; /* on the task's token, to be noticed while it waits */
	struct cancel_scheduler *pool;
	cancel_scheduler_function *function;
	cancel_scheduler_ended *ended;
	void *arg;
	struct cancel_tries tries;
	int priority;
	bool has_lease;

	/* With the lock. */
	enum phase phase;
	uint64_t sequence;
	size_t rank_at;
	struct job *next_doomed;
	struct job *next, **link; /* among those alive, the latest last */
	unsigned cancels;         /* threads that cancel it, and need it for that */

	/* Of who ends it. */
	enum cancel_scheduled_status verdict;
	unsigned endings; /* that have failed */
};

struct doomed {
	struct job *first, **last;
};

struct news {
	struct account *first, **last;
};

struct cancel_scheduler {
	struct cancel_manager *manager;
	struct cancel_scheduler_options options;
	bool is_inherited; /* by fork */

	pthread_mutex_t lines; /* held while one is told; never with the lock */
	pthread_mutex_t lock;  /* everything below; never while a file is touched, or the program called */
	pthread_cond_t work;   /* there is some, or there never will be */
	pthread_cond_t time;   /* the keeper shall look */
	pthread_cond_t ends;   /* the ender shall */
	pthread_cond_t idle;   /* nobody is alive */
	pthread_cond_t freed;  /* nobody cancels some job any more */

	struct ranking turns, pauses;
	struct doomed doomed;
	struct news news;
	struct job *first, **last; /* those alive that were accepted */
	struct job *cursor;        /* the next that a shutdown comes to */
	size_t alive, beginning;   /* with those that are being submitted; these alone */
	uint64_t sequence;

	/* The table of accounts. */
	struct account **buckets;
	size_t bucket_count, account_count;
	uint64_t seed;
	struct account *oldest, *newest; /* of those that have ended */
	size_t ended;

	uint64_t counts[STATUSES], total, retried;
	bool drains, shuts, closes;

	size_t thread_count;
	pthread_t keeper, ender, *threads;

	struct cancel_scheduler *next_in_process;
};

/* tries.c: in their ranges? */
int tries_check(const struct cancel_tries *tries, struct cancel_error *error);

/* account.c. With the lock. */
bool account_open(struct cancel_scheduler *pool);
void account_close(struct cancel_scheduler *pool);
/* Without the lock; NULL where memory has run out. */
struct account *account_new(const struct cancel_scheduler *pool, const char *task_id);
struct account *account_find_alive(const struct cancel_scheduler *pool, const char *task_id);
/* Accepted and alive, else the latest that has ended. */
struct account *account_find_known(const struct cancel_scheduler *pool, const char *task_id);
void account_insert(struct cancel_scheduler *pool, struct account *account);
void account_remove(struct cancel_scheduler *pool, struct account *account);
/* A task of this id was accepted: forget how the one before it has ended. */
void account_supersede(struct cancel_scheduler *pool, const struct account *account);
/* It has ended: be among those that have, as long as there is room. */
void account_retire(struct cancel_scheduler *pool, struct account *account);
void account_drop(struct account *account);
void account_set_status(struct cancel_scheduler *pool, struct account *account,
			enum cancel_scheduled_status status);

/* job.c: how jobs come and go. With the lock, but for the first two. */
struct job *job_new(struct cancel_scheduler *pool, const char *task_id);
void job_free(struct job *job);
void job_accept(struct job *job);
void job_queue(struct job *job);
/* Until `at_ns` of CLOCK_MONOTONIC, as `phase` says. */
void job_pause(struct job *job, enum phase phase, int64_t at_ns);
void job_doom(struct job *job);
/* How it will have ended. */
void job_judge(struct job *job, enum cancel_scheduled_status verdict);
/* Whose turn it is; NULL: nobody's. */
struct job *job_take_doomed(struct cancel_scheduler *pool);
struct job *job_take_turn(struct cancel_scheduler *pool);
bool job_is_cancelled(const struct job *job);
/* It can still be cancelled: it waits or runs, and nothing is decided. */
bool job_is_open(const struct job *job);
/* Keep it from ending; and no longer. */
void job_hold(struct job *job);
void job_let_go(struct job *job);
void job_await_holders(struct job *job);
/* The callback of its token. */
void job_notice(void *job, struct cancel_token token);
/* It is nobody's any more: forget it, and free it. Without the lock. */
void job_leave(struct job *job);

/* settle.c. End it as its verdict says, tell the program, and free it; or have that tried again. Without the
 * lock, by who has taken it. */
void job_settle(struct job *job);

/* stopping.c: of a shutdown. */
extern const struct cancel_cause stopping_cause;

/* line.c: what is told. Without any lock. A task is cancelled; it runs, and its token says so. */
void line_cancelled(struct cancel_scheduler *pool, struct account *account, bool runs);
void line_stopped(struct cancel_scheduler *pool, const struct account *account);
/* A try has come to nothing; the next one comes after `pause_ns`; negative: none does. */
void line_failed(const struct job *job, bool timed_out, int result, int64_t pause_ns);
void line_unlimited(const struct job *job, int code);
void line_not_ended(const struct job *job, const struct cancel_error *problem, bool is_given_up);

/* worker.c, keeper.c, ender.c: the threads. */
void *worker_run(void *pool);
void *keeper_run(void *pool);
void *ender_run(void *pool);

/* pools.c: all of the process, for fork. 0, or what pthread_atfork(3) said. */
int pools_add(struct cancel_scheduler *pool);
void pools_remove(struct cancel_scheduler *pool);

/* scheduler.c. In the child of a fork: as if nobody else had ever used them. */
void pool_init_locks(struct cancel_scheduler *pool);

static inline void pool_lock(struct cancel_scheduler *pool)
{
	(void)pthread_mutex_lock(&pool->lock);
}

static inline void pool_unlock(struct cancel_scheduler *pool)
{
	(void)pthread_mutex_unlock(&pool->lock);
}

#endif
