#include <cancel/token.h>

#include "futex.h"
#include "waiting.h"
#include "word.h"

#include <errno.h>
#include <stddef.h>

/* --- what it says ------------------------------------------------------------------------------------- */

const struct cancel_cause *cancel_token_cause(struct cancel_token token)
{
	const struct cancel_cause *cause;

	if (!cancel_token_requested(token))
		return NULL;
	cause = word_cause(word_load(token.source));
	return cause ? cause : cancel_cause_requested();
}

const struct cancel_source *cancel_token_origin(struct cancel_token token)
{
	if (!cancel_token_requested(token))
		return NULL;
	return word_load(token.source) & WORD_BY_LINK ? token.source->root : token.source;
}

int cancel_token_error(struct cancel_token token)
{
	const struct cancel_cause *cause = cancel_token_cause(token);

	if (!cause)
		return 0;
	return cause->kind == CANCEL_KIND_DEADLINE ? -ETIMEDOUT : -ECANCELED;
}

/* --- waiting for it ----------------------------------------------------------------------------------- */

/* Nobody will ever cancel it: the wait is one for the time to pass. */
static int wait_for_nothing(int64_t timeout_ns)
{
	struct cancel_source nobody = CANCEL_SOURCE_INIT;

	return timeout_ns == CANCEL_FOREVER ? -EDEADLK
					    : cancel_token_wait(cancel_source_token(&nobody), timeout_ns);
}

int cancel_token_wait(struct cancel_token token, int64_t timeout_ns)
{
	struct timespec end;
	const struct timespec *until;

	if (cancel_token_requested(token))
		return 1;
	if (!token.source)
		return wait_for_nothing(timeout_ns);
	if (timeout_ns <= 0)
		return 0;
	until = waiting_until(&end, timeout_ns);
	for (;;) {
		uint32_t wakes = waiting_begin(token.source);

		if (word_is_cancelled(token.source))
			return 1;
		if (until && waiting_is_over(until))
			return 0;
		futex_sleep(&token.source->wakes, wakes, until);
	}
}

/* Before Linux 5.16, or where a sandbox knows nothing newer, it looks this often. */
#define TURN_NS (10 * CANCEL_MILLISECOND)

/* Those that can be cancelled, as futex_waitv(2) wants them. */
struct sleepers {
	struct futex_waitv waitv[CANCEL_WAIT_ANY_MAX];
	unsigned count;
};

/* Returns the index of the first that is cancelled, or -1 and all that there is to sleep on. */
static int look_at_all(struct sleepers *sleepers, const struct cancel_token *tokens, size_t count)
{
	sleepers->count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct cancel_source *source = tokens[i].source;

		if (!source)
			continue;
		if (cancel_token_requested(tokens[i]))
			return (int)i;
		sleepers->waitv[sleepers->count++] = (struct futex_waitv){
			.val = waiting_begin(source),
			.uaddr = (uintptr_t)&source->wakes,
			.flags = FUTEX_32 | FUTEX_PRIVATE_FLAG,
		};
	}
	for (size_t i = 0; i < count; i++)
		if (cancel_token_requested(tokens[i]))
			return (int)i;
	return -1;
}

static void sleep_on_all(const struct sleepers *sleepers, const struct timespec *until)
{
	const struct futex_waitv *first = &sleepers->waitv[0];
	struct timespec turn;

	if (syscall(SYS_futex_waitv, sleepers->waitv, sleepers->count, 0, until, CLOCK_MONOTONIC) >= 0 ||
	    errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT)
		return;
	futex_sleep((const uint32_t *)(uintptr_t)first->uaddr, (uint32_t)first->val,
		    waiting_until(&turn, TURN_NS));
}

int cancel_token_wait_any(const struct cancel_token *tokens, size_t count, int64_t timeout_ns)
{
	struct sleepers sleepers;
	struct timespec end;
	const struct timespec *until = waiting_until(&end, timeout_ns);
	int index;

	if (count > CANCEL_WAIT_ANY_MAX)
		return -EINVAL;
	while ((index = look_at_all(&sleepers, tokens, count)) < 0) {
		if (sleepers.count == 0)
			return wait_for_nothing(timeout_ns) < 0 ? -EDEADLK : -ETIMEDOUT;
		if (until && waiting_is_over(until))
			return -ETIMEDOUT;
		sleep_on_all(&sleepers, until);
	}
	return index;
}
