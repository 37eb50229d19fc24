/**
 * Tokens: what asks.
 *
 * A token is a value of 8 bytes, copied freely, that says whether its source (cancel/source.h) was
 * cancelled. It borrows the source. The zero token belongs to no source and is never cancelled: pass it to
 * what must not be cancelled.
 *
 *     while (next_block(&block)) {
 *             if (cancel_token_requested(token))
 *                     return cancel_token_error(token);
 *             hash(&block);
 *     }
 *
 * Once true, always true.
 */
#ifndef CANCEL_TOKEN_H
#define CANCEL_TOKEN_H

#include <cancel/clock.h>
#include <cancel/export.h>
#include <cancel/limits.h>
#include <cancel/source.h>

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* The token that is never cancelled, as an argument or to assign; as a static initialiser write {0}. */
#ifdef __cplusplus
#define CANCEL_TOKEN_NONE (cancel_token())
#else
#define CANCEL_TOKEN_NONE ((struct cancel_token){0})
#endif

/**
 * Is it cancelled? The checkpoint's question: one load and a test of one bit.
 *
 * If true, everything that happened before the call that cancelled is visible.
 *
 * Does not block. Any thread, any signal handler, any process after fork.
 */
static inline bool cancel_token_requested(struct cancel_token token)
{
	return token.source && ((uintptr_t)__atomic_load_n(&token.source->word, __ATOMIC_ACQUIRE) & 1);
}

/**
 * Can it ever be cancelled? False for the zero token only.
 *
 * Any thread, any signal handler.
 */
static inline bool cancel_token_possible(struct cancel_token token)
{
	return token.source != 0;
}

/**
 * Is one of several cancelled? Asks each in turn, and needs no registration: for a loop that only polls.
 *
 * Does not block. Any thread, any signal handler.
 */
static inline bool cancel_token_requested_any(const struct cancel_token *tokens, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (cancel_token_requested(tokens[i]))
			return true;
	return false;
}

/**
 * Why it was cancelled: what the call that cancelled was given, through however many links.
 *
 * @return NULL until it is cancelled, never NULL afterwards. Valid as long as the token's source; longer if
 *         the cause is static, or held (cancel_cause_hold).
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API const struct cancel_cause *cancel_token_cause(struct cancel_token token);

/**
 * Which source was cancelled first, through however many links: the root.
 *
 * @return NULL until it is cancelled. An address to compare; the source behind it may have ended.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API const struct cancel_source *cancel_token_origin(struct cancel_token token);

/**
 * The token's state as something to return.
 *
 * @return 0: not cancelled; -ETIMEDOUT: cancelled, the cause's kind being CANCEL_KIND_DEADLINE;
 *         -ECANCELED: cancelled.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API int cancel_token_error(struct cancel_token token);

/**
 * Sleep until it is cancelled. Signals do not end the wait.
 *
 * @param timeout_ns  The longest wait, by CLOCK_MONOTONIC, never less; 0 or less: only look;
 *                    CANCEL_FOREVER: no limit.
 *
 * @return 1: it is cancelled; 0: not in time; or
 *         -EDEADLK  the zero token, and no limit: nobody could end the wait.
 *
 * Needs no descriptor and no memory. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_token_wait(struct cancel_token token, int64_t timeout_ns);

/**
 * Sleep until one of several is cancelled.
 *
 * @param tokens      Zero tokens among them are passed over.
 * @param count       At most CANCEL_WAIT_ANY_MAX.
 * @param timeout_ns  As in cancel_token_wait.
 *
 * @return The index of one that is cancelled, the lowest at the time of looking; or
 *         -ETIMEDOUT  not in time;
 *         -EINVAL     more than CANCEL_WAIT_ANY_MAX;
 *         -EDEADLK    none but zero tokens, and no limit.
 *
 * Before Linux 5.16, which lacks futex_waitv(2), it looks at least every 10 ms instead. Any thread; not in a
 * signal handler.
 */
CANCEL_API int cancel_token_wait_any(const struct cancel_token *tokens, size_t count, int64_t timeout_ns);

/**
 * poll(2) that ends when the token is cancelled.
 *
 * @param fds         As of poll(2). `revents` is set when the result is 0 or more, and cleared otherwise.
 * @param count       At most CANCEL_POLL_MAX.
 * @param timeout_ns  As in cancel_token_wait, not as in poll(2): 0 or less only looks.
 *
 * @return The number of descriptors that are ready, 0: not in time; or
 *         -ECANCELED  the token is cancelled, whatever its cause: it takes precedence;
 *         -EINTR      a signal handler ran, and the token is not cancelled;
 *         -EINVAL     more than CANCEL_POLL_MAX;
 *         -EMFILE, -ENFILE, -ENOMEM  no descriptor could be had; nothing was polled. cancel_token_wait
 *                     needs none.
 *
 * Not a cancellation point of pthread_cancel(3). Opens a descriptor for the call, if the token can be
 * cancelled. Whoever polls in a loop opens a cancel_fd once. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_token_poll(struct cancel_token token, struct pollfd *fds, size_t count,
				 int64_t timeout_ns);

CANCEL_END_DECLS

#endif
