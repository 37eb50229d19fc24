/*
 * The end of a task. Deciding its request may fail, on a full disk say. Then it is tried again ENDINGS_MAX
 * times in all, after pauses that the keeper keeps; the task has not ended meanwhile, and nobody waits in a
 * thread. After that the task is let go of: its status is what it was to be, its request stays pending, and a
 * line says so.
 */
#include "clock.h"
#include "pool.h"

#include <stdio.h>

#define ENDINGS_MAX     5
#define ENDING_PAUSE_NS (100 * NS_PER_MS) /* the first one; each is twice the one before */
#define DETAIL_SIZE     64

static const char *times_text(unsigned count)
{
	return count == 1 ? "try" : "tries";
}

static const char *detail_of(char detail[DETAIL_SIZE], const struct job *job)
{
	unsigned tries = job->account->state.tries;

	switch (job->verdict) {
	case CANCEL_SCHEDULED_CANCELLED:
		if (!tries)
			return "it had not begun to run";
		(void)snprintf(detail, DETAIL_SIZE, "in %u %s", tries, times_text(tries));
		return detail;
	case CANCEL_SCHEDULED_FAILED:
		(void)snprintf(detail, DETAIL_SIZE, "failed in %u %s", tries, times_text(tries));
		return detail;
	case CANCEL_SCHEDULED_TIMED_OUT:
		(void)snprintf(detail, DETAIL_SIZE, "timed out in %u %s", tries, times_text(tries));
		return detail;
	default:
		return NULL;
	}
}

/* Who was cancelled and returned 0 had done all before noticing. */
static enum cancel_outcome outcome_of(const struct job *job)
{
	const struct cancel_scheduled *state = &job->account->state;

	switch (job->verdict) {
	case CANCEL_SCHEDULED_SUCCEEDED:
		return CANCEL_OUTCOME_FINISHED;
	case CANCEL_SCHEDULED_CANCELLED:
		return state->tries && state->result == 0 ? CANCEL_OUTCOME_FINISHED : CANCEL_OUTCOME_STOPPED;
	default:
		return CANCEL_OUTCOME_FAILED;
	}
}

/* Before the task ends: the reason is in it. */
static void tell_cancelled(struct job *job)
{
	struct account *account = job->account;
	const struct cancel_cause *cause = cancel_token_cause(cancel_task_token(job->task));

	if (!account->why)
		account->why = cause ? cause : &stopping_cause;
	line_cancelled(job->pool, account, account->state.status == CANCEL_SCHEDULED_RUNNING);
	line_stopped(job->pool, account);
}

static void rest(struct job *job)
{
	int64_t pause_ns = ENDING_PAUSE_NS << (job->endings - 1);

	pool_lock(job->pool);
	job_pause(job, PHASE_RESTING, clock_monotonic_ns() + pause_ns);
	pool_unlock(job->pool);
}

static void let_go(struct job *job)
{
	task_leave(task_of(job->task));
	task_abandon(task_of(job->task));
}

/* False: it will be tried again. */
static bool end(struct job *job)
{
	struct cancel_error problem;
	char detail[DETAIL_SIZE];
	bool is_given_up;

	if (cancel_task_end(job->task, outcome_of(job), detail_of(detail, job), &problem) >= 0)
		return true;
	is_given_up = ++job->endings == ENDINGS_MAX;
	line_not_ended(job, &problem, is_given_up);
	if (is_given_up)
		let_go(job);
	else
		rest(job);
	return is_given_up;
}

static struct cancel_scheduled conclude(struct job *job)
{
	struct cancel_scheduled state;

	pool_lock(job->pool);
	account_set_status(job->pool, job->account, job->verdict);
	job->account->state.ended_at_us = clock_realtime_us();
	state = job->account->state;
	pool_unlock(job->pool);
	return state;
}

void job_settle(struct job *job)
{
	struct cancel_scheduled state;

	pool_lock(job->pool);
	job_await_holders(job);
	pool_unlock(job->pool);
	if (job->verdict == CANCEL_SCHEDULED_CANCELLED && !job->endings)
		tell_cancelled(job);
	if (!end(job))
		return;
	state = conclude(job);
	if (job->ended)
		job->ended(job->arg, job->account->id, &state);
	job_leave(job);
}
