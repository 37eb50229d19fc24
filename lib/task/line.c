/* What the scheduler tells, a sentence at a time. */
#include "error.h"
#include "pool.h"

#include <cancel/text.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SYSTEM_ERROR_MAX 4095 /* what the kernel keeps for errors */
#define RESULT_SIZE      96
#define PART_SIZE        160

/* With the lock of lines. */
static void CANCEL_PRINTF(3, 4)
	say(struct cancel_scheduler *pool, enum cancel_log_level level, const char *format, ...)
{
	char text[CANCEL_ERROR_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	pool->options.log(pool->options.arg, level, text);
}

static bool begin(struct cancel_scheduler *pool)
{
	if (!pool->options.log)
		return false;
	(void)pthread_mutex_lock(&pool->lines);
	return true;
}

static void end(struct cancel_scheduler *pool)
{
	(void)pthread_mutex_unlock(&pool->lines);
}

/* --- cancelling --------------------------------------------------------------------------------------- */

/* The keeper, who was told by the token, or whose thread ends the task: whoever comes first. */
void line_cancelled(struct cancel_scheduler *pool, struct account *account, bool runs)
{
	if (!begin(pool))
		return;
	if (!account->is_told) {
		const char *reason = account->why->text;

		say(pool, CANCEL_LOG_INFO, "task %s: cancel request received, processing stops: %s",
		    QUOTE(account->id), *reason ? QUOTE(reason) : "(none given)");
		if (runs)
			say(pool, CANCEL_LOG_INFO, "task %s: cancel signal sent", QUOTE(account->id));
		account->is_told = true;
	}
	end(pool);
}

void line_stopped(struct cancel_scheduler *pool, const struct account *account)
{
	if (!begin(pool))
		return;
	say(pool, CANCEL_LOG_INFO, "task %s: cancel signal received, execution stopped", QUOTE(account->id));
	end(pool);
}

/* --- failing ------------------------------------------------------------------------------------------ */

static const char *result_text(char text[RESULT_SIZE], int result)
{
	char words[RESULT_SIZE / 2];

	if (result < 0 && result >= -SYSTEM_ERROR_MAX)
		(void)snprintf(text, RESULT_SIZE, "%d: %s", result, strerror_r(-result, words, sizeof words));
	else
		(void)snprintf(text, RESULT_SIZE, "%d", result);
	return text;
}

static const char *what_text(char text[PART_SIZE], const struct job *job, bool timed_out, int result)
{
	char duration[CANCEL_DURATION_SIZE], words[RESULT_SIZE];

	if (timed_out)
		(void)snprintf(text, PART_SIZE, "timed out after %s",
			       cancel_duration_format(duration, job->tries.timeout_ns / CANCEL_MILLISECOND));
	else
		(void)snprintf(text, PART_SIZE, "failed (%s)", result_text(words, result));
	return text;
}

void line_failed(const struct job *job, bool timed_out, int result, int64_t pause_ns)
{
	char what[PART_SIZE], next[PART_SIZE] = "and there is no other", pause[CANCEL_DURATION_SIZE];

	if (pause_ns >= 0)
		(void)snprintf(next, sizeof next, "the next one comes in %s",
			       cancel_duration_format(pause, pause_ns / CANCEL_MILLISECOND));
	if (!begin(job->pool))
		return;
	say(job->pool, CANCEL_LOG_WARNING, "task %s: try %u of %u %s, %s", QUOTE(job->account->id),
	    job->account->state.tries, job->tries.retries + 1, what_text(what, job, timed_out, result), next);
	end(job->pool);
}

/* --- what should not happen --------------------------------------------------------------------------- */

void line_unlimited(const struct job *job, int code)
{
	char words[RESULT_SIZE];

	if (!begin(job->pool))
		return;
	say(job->pool, CANCEL_LOG_WARNING, "task %s: its time is not limited: %s", QUOTE(job->account->id),
	    result_text(words, code));
	end(job->pool);
}

void line_not_ended(const struct job *job, const struct cancel_error *problem, bool is_given_up)
{
	if (!begin(job->pool))
		return;
	say(job->pool, is_given_up ? CANCEL_LOG_ERROR : CANCEL_LOG_WARNING, "task %s: %s: %s",
	    QUOTE(job->account->id),
	    is_given_up ? "let go of with its request, if there is one, still pending"
			: "its request cannot be decided yet",
	    problem->text);
	end(job->pool);
}
