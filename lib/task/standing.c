/* How tasks stand: asked for one, counted, and waited for. */
#include "futex.h"
#include "pool.h"
#include "waiting.h"

#include <errno.h>

static void describe(const struct account *account, struct cancel_scheduled *state)
{
	*state = account->state;
	if (account->job && job_is_open(account->job))
		state->is_cancelled = job_is_cancelled(account->job);
}

int cancel_scheduler_status(struct cancel_scheduler *pool, const char *task_id,
			    struct cancel_scheduled *state)
{
	const struct account *account;

	if (pool->is_inherited)
		return -EPERM;
	pool_lock(pool);
	account = account_find_known(pool, task_id);
	if (account)
		describe(account, state);
	pool_unlock(pool);
	return account ? 0 : -ENOENT;
}

void cancel_scheduler_count(struct cancel_scheduler *pool, struct cancel_scheduler_statistics *statistics)
{
	*statistics = (struct cancel_scheduler_statistics){0};
	if (pool->is_inherited)
		return;
	pool_lock(pool);
	*statistics = (struct cancel_scheduler_statistics){
		.total = pool->total,
		.succeeded = pool->counts[CANCEL_SCHEDULED_SUCCEEDED],
		.failed = pool->counts[CANCEL_SCHEDULED_FAILED],
		.cancelled = pool->counts[CANCEL_SCHEDULED_CANCELLED],
		.timed_out = pool->counts[CANCEL_SCHEDULED_TIMED_OUT],
		.retried = pool->retried,
		.running = pool->counts[CANCEL_SCHEDULED_RUNNING],
		.queued = pool->counts[CANCEL_SCHEDULED_QUEUED],
	};
	pool_unlock(pool);
}

/* --- waiting ------------------------------------------------------------------------------------------ */

static struct account *find_and_hold(struct cancel_scheduler *pool, const char *task_id)
{
	struct account *account;

	pool_lock(pool);
	account = account_find_known(pool, task_id);
	if (account)
		account->holders++;
	pool_unlock(pool);
	return account;
}

static bool sleep_until_over(const struct account *account, int64_t timeout_ns)
{
	struct timespec time;
	const struct timespec *until = waiting_until(&time, timeout_ns);

	while (!__atomic_load_n(&account->is_over, __ATOMIC_ACQUIRE)) {
		if (until && waiting_is_over(until))
			return false;
		futex_sleep(&account->is_over, 0, until);
	}
	return true;
}

int cancel_scheduler_wait(struct cancel_scheduler *pool, const char *task_id, int64_t timeout_ns,
			  struct cancel_scheduled *state)
{
	struct account *account;
	bool is_over;

	if (pool->is_inherited)
		return -EPERM;
	account = find_and_hold(pool, task_id);
	if (!account)
		return -ENOENT;
	is_over = sleep_until_over(account, timeout_ns);
	pool_lock(pool);
	if (is_over && state)
		*state = account->state;
	account_drop(account);
	pool_unlock(pool);
	return is_over ? 0 : -ETIMEDOUT;
}
