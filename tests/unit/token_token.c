/* Tokens: asking, sleeping until one is cancelled, and poll(2) that ends when one is. */
#include "process.h"
#include "token_absent.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");
static const struct cancel_cause late = CANCEL_CAUSE_INIT(CANCEL_KIND_DEADLINE, "the caller's time is up");
static const struct cancel_token none = {0};

static struct cancel_source source;

static struct cancel_token token_of_source(void)
{
	return cancel_source_token(&source);
}

static void forget_futex_waitv(void)
{
	token_absent_call(SYS_futex_waitv);
}

static int64_t monotonic_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * CANCEL_SECOND + now.tv_nsec;
}

/* --- asking ------------------------------------------------------------------------------------------- */

TestSuite(token_ask, .timeout = 60);

Test(token_ask, the_zero_token_is_never_cancelled)
{
	struct cancel_token zeroed;

	memset(&zeroed, 0, sizeof(zeroed));
	cr_assert(!cancel_token_possible(none) && !cancel_token_possible(zeroed));
	cr_assert(!cancel_token_requested(none) && !cancel_token_requested(zeroed));
	cr_assert_null(cancel_token_cause(none));
	cr_assert_null(cancel_token_origin(none));
	cr_assert_eq(cancel_token_error(none), 0);
}

/* DESIGN.md, invariant 23 */
Test(token_ask, flag_cause_origin_and_error_agree)
{
	cr_assert(cancel_token_possible(token_of_source()));
	cr_assert(!cancel_token_requested(token_of_source()));
	cr_assert_null(cancel_token_cause(token_of_source()));
	cr_assert_null(cancel_token_origin(token_of_source()));
	cr_assert_eq(cancel_token_error(token_of_source()), 0);
	cr_assert_eq(cancel_source_cancel(&source, &quota), 1);
	cr_assert(cancel_token_possible(token_of_source()));
	cr_assert(cancel_token_requested(token_of_source()));
	cr_assert_eq(cancel_token_cause(token_of_source()), &quota);
	cr_assert_eq(cancel_token_origin(token_of_source()), &source);
	cr_assert_eq(cancel_token_error(token_of_source()), -ECANCELED);
}

Test(token_ask, time_that_ran_out_is_another_error)
{
	cr_assert_eq(cancel_source_cancel(&source, &late), 1);
	cr_assert_eq(cancel_token_error(token_of_source()), -ETIMEDOUT);
}

Test(token_ask, one_of_several)
{
	struct cancel_source others[3] = {CANCEL_SOURCE_INIT, CANCEL_SOURCE_INIT, CANCEL_SOURCE_INIT};
	struct cancel_token tokens[4];

	for (int cancelled = 0; cancelled < 3; cancelled++) {
		for (int i = 0; i < 3; i++) {
			cancel_source_init(&others[i], NULL);
			tokens[i] = cancel_source_token(&others[i]);
		}
		tokens[3] = none;
		cr_assert(!cancel_token_requested_any(tokens, 4));
		cr_assert_eq(cancel_source_cancel(&others[cancelled], NULL), 1);
		cr_assert(cancel_token_requested_any(tokens, 4));
		cr_assert(!cancel_token_requested_any(tokens, (size_t)cancelled),
			  "behind the last that was asked");
	}
	cr_assert(!cancel_token_requested_any(NULL, 0));
}

/* --- a handler that only notes that it ran ------------------------------------------------------------ */

static volatile sig_atomic_t handled;

static void note_signal(int number)
{
	(void)number;
	handled++;
}

static bool is_handled(void *arg)
{
	(void)arg;
	return handled != 0;
}

/* Without SA_RESTART: whatever can be interrupted is. */
static void handle_signal(void (*handler)(int number))
{
	struct sigaction action = {.sa_handler = handler};

	handled = 0;
	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void interrupt(struct token_thread *thread)
{
	handled = 0;
	cr_assert_eq(pthread_kill(thread->thread, SIGUSR1), 0);
	cr_assert(wait_until(is_handled, NULL, PROCESS_TIMEOUT_MS), "the signal was not handled");
}

/* --- sleeping until it is cancelled ------------------------------------------------------------------- */

TestSuite(token_wait, .timeout = 60);

struct wait_case {
	struct cancel_token token;
	int64_t timeout_ns;
	struct token_thread thread;
};

static int wait_for_it(void *arg)
{
	struct wait_case *wait = arg;

	return cancel_token_wait(wait->token, wait->timeout_ns);
}

static void start_waiting(struct wait_case *wait, struct cancel_token token, int64_t timeout_ns)
{
	wait->token = token;
	wait->timeout_ns = timeout_ns;
	token_thread_start(&wait->thread, wait_for_it, wait);
	cr_assert(token_thread_falls_asleep(&wait->thread), "a wait of %lld ns did not sleep",
		  (long long)timeout_ns);
}

/* Times that are as good as none, up to the last: the sum with the time that it is must not run over. */
static const int64_t endless_ns[] = {CANCEL_FOREVER, CANCEL_FOREVER - 1, CANCEL_FOREVER / 2,
				     3600 * CANCEL_SECOND};

Test(token_wait, it_ends_when_the_token_is_cancelled)
{
	for (size_t i = 0; i < sizeof(endless_ns) / sizeof(endless_ns[0]); i++) {
		struct wait_case wait;

		cancel_source_init(&source, NULL);
		start_waiting(&wait, token_of_source(), endless_ns[i]);
		cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
		cr_assert_eq(token_thread_join(&wait.thread), 1);
		cr_assert_eq(cancel_source_fini(&source), 0);
	}
}

Test(token_wait, it_ends_for_all_who_wait)
{
	struct cancel_source child = CANCEL_SOURCE_INIT;
	struct cancel_link link;
	struct wait_case waits[6];

	cr_assert_eq(cancel_link_add(&link, &child, token_of_source()), 0);
	for (int i = 0; i < 6; i++)
		start_waiting(&waits[i], i % 2 ? cancel_source_token(&child) : token_of_source(),
			      CANCEL_FOREVER);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	for (int i = 0; i < 6; i++)
		cr_assert_eq(token_thread_join(&waits[i].thread), 1);
}

Test(token_wait, it_is_over_at_once_if_the_token_is_cancelled_already)
{
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_token_wait(token_of_source(), 0), 1);
	cr_assert_eq(cancel_token_wait(token_of_source(), INT64_MIN), 1);
}

Test(token_wait, without_time_it_only_looks)
{
	static const int64_t timeouts_ns[] = {0, -1, -CANCEL_SECOND, INT64_MIN};

	for (size_t i = 0; i < sizeof(timeouts_ns) / sizeof(timeouts_ns[0]); i++) {
		cr_assert_eq(cancel_token_wait(token_of_source(), timeouts_ns[i]), 0);
		cr_assert_eq(cancel_token_wait(none, timeouts_ns[i]), 0);
	}
}

static const int64_t delays_ns[] = {1, 999, 100000, CANCEL_MILLISECOND, 3333333, 20 * CANCEL_MILLISECOND};

static void expect_never_early(struct cancel_token token)
{
	for (size_t i = 0; i < sizeof(delays_ns) / sizeof(delays_ns[0]); i++) {
		int64_t before_ns = monotonic_ns();

		cr_assert_eq(cancel_token_wait(token, delays_ns[i]), 0);
		cr_assert_geq(monotonic_ns() - before_ns, delays_ns[i]);
	}
}

/* DESIGN.md, invariant 32 */
Test(token_wait, it_is_never_shorter_than_asked)
{
	expect_never_early(token_of_source());
	expect_never_early(none);
}

Test(token_wait, nobody_could_end_a_wait_for_the_zero_token)
{
	cr_assert_eq(cancel_token_wait(none, CANCEL_FOREVER), -EDEADLK);
}

Test(token_wait, signals_do_not_end_it)
{
	struct wait_case wait;

	handle_signal(note_signal);
	start_waiting(&wait, token_of_source(), CANCEL_FOREVER);
	for (int i = 0; i < 5; i++) {
		interrupt(&wait.thread);
		cr_assert(token_thread_falls_asleep(&wait.thread), "a signal ended the wait");
	}
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(token_thread_join(&wait.thread), 1);
}

/* By itself, with a signal that comes again and again. */
Test(token_wait, signals_do_not_shorten_it)
{
	const struct itimerspec every_3_ms = {{0, 3000000}, {0, 3000000}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	int64_t before_ns;
	timer_t timer;

	handle_signal(note_signal);
	cr_assert_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	cr_assert_eq(timer_settime(timer, 0, &every_3_ms, NULL), 0);
	before_ns = monotonic_ns();
	cr_assert_eq(cancel_token_wait(token_of_source(), 30 * CANCEL_MILLISECOND), 0);
	cr_assert_geq(monotonic_ns() - before_ns, 30 * CANCEL_MILLISECOND);
	before_ns = monotonic_ns();
	cr_assert_eq(cancel_token_wait(none, 30 * CANCEL_MILLISECOND), 0);
	cr_assert_geq(monotonic_ns() - before_ns, 30 * CANCEL_MILLISECOND);
	cr_assert_gt(handled, 0);
	(void)timer_delete(timer);
}

/* Who woke may end the source at once. */
static int wait_and_end(void *arg)
{
	struct cancel_source *heap = arg;
	int result = cancel_token_wait(cancel_source_token(heap), CANCEL_FOREVER);

	if (cancel_source_fini(heap) < 0)
		return -1;
	free(heap);
	return result;
}

Test(token_wait, who_woke_may_end_and_free_the_source)
{
	for (int i = 0; i < 50; i++) {
		struct cancel_source *heap = malloc(sizeof(*heap));
		struct token_thread thread;

		cancel_source_init(heap, NULL);
		token_thread_start(&thread, wait_and_end, heap);
		if (i % 2)
			cr_assert(token_thread_falls_asleep(&thread));
		cr_assert_eq(cancel_source_cancel(heap, NULL), 1);
		cr_assert_eq(token_thread_join(&thread), 1);
	}
}

/* --- sleeping until one of several is cancelled ------------------------------------------------------- */

TestSuite(token_wait_any, .timeout = 60);

static struct cancel_source many[CANCEL_WAIT_ANY_MAX];
static struct cancel_token tokens[CANCEL_WAIT_ANY_MAX + 1];

static void make_many(void)
{
	for (int i = 0; i < CANCEL_WAIT_ANY_MAX; i++) {
		cancel_source_init(&many[i], NULL);
		tokens[i] = cancel_source_token(&many[i]);
	}
	tokens[CANCEL_WAIT_ANY_MAX] = none;
}

struct wait_any_case {
	size_t count;
	int64_t timeout_ns;
	struct token_thread thread;
};

static int wait_for_any(void *arg)
{
	struct wait_any_case *wait = arg;

	return cancel_token_wait_any(tokens, wait->count, wait->timeout_ns);
}

static void expect_any(size_t count, int64_t timeout_ns, int cancelled, int expected)
{
	struct wait_any_case wait = {.count = count, .timeout_ns = timeout_ns};

	token_thread_start(&wait.thread, wait_for_any, &wait);
	cr_assert(token_thread_falls_asleep(&wait.thread), "it did not sleep");
	cr_assert_eq(cancel_source_cancel(&many[cancelled], NULL), 1);
	cr_assert_eq(token_thread_join(&wait.thread), expected);
	cr_assert_eq(cancel_source_fini(&many[cancelled]), 0);
}

Test(token_wait_any, whichever_is_cancelled_is_named)
{
	static const int cancelled[] = {0, 1, 63, 126, 127};

	for (size_t i = 0; i < sizeof(cancelled) / sizeof(cancelled[0]); i++) {
		make_many();
		expect_any(CANCEL_WAIT_ANY_MAX, CANCEL_FOREVER, cancelled[i], cancelled[i]);
	}
	make_many();
	expect_any(1, CANCEL_FOREVER, 0, 0);
	for (size_t i = 0; i < sizeof(endless_ns) / sizeof(endless_ns[0]); i++) {
		make_many();
		expect_any(2, endless_ns[i], 1, 1);
	}
}

Test(token_wait_any, the_lowest_of_those_that_are_cancelled_is_named)
{
	make_many();
	(void)cancel_source_cancel(&many[90], NULL);
	(void)cancel_source_cancel(&many[30], NULL);
	cr_assert_eq(cancel_token_wait_any(tokens, CANCEL_WAIT_ANY_MAX, CANCEL_FOREVER), 30);
	cr_assert_eq(cancel_token_wait_any(tokens, CANCEL_WAIT_ANY_MAX, 0), 30);
	cr_assert_eq(cancel_token_wait_any(tokens, CANCEL_WAIT_ANY_MAX, -1), 30);
	cr_assert_eq(cancel_token_wait_any(tokens, 30, 0), -ETIMEDOUT);
}

Test(token_wait_any, the_same_token_may_stand_there_twice)
{
	make_many();
	tokens[1] = tokens[2] = tokens[3];
	expect_any(4, CANCEL_FOREVER, 3, 1);
	make_many();
	for (int i = 0; i < CANCEL_WAIT_ANY_MAX; i++)
		tokens[i] = tokens[5];
	expect_any(CANCEL_WAIT_ANY_MAX, CANCEL_FOREVER, 5, 0);
}

Test(token_wait_any, zero_tokens_are_passed_over)
{
	make_many();
	tokens[0] = tokens[1] = tokens[3] = none;
	expect_any(5, CANCEL_FOREVER, 2, 2);
	make_many();
	for (int i = 0; i < CANCEL_WAIT_ANY_MAX - 1; i++)
		tokens[i] = none;
	expect_any(CANCEL_WAIT_ANY_MAX, CANCEL_FOREVER, CANCEL_WAIT_ANY_MAX - 1, CANCEL_WAIT_ANY_MAX - 1);
}

Test(token_wait_any, nobody_could_end_a_wait_for_zero_tokens)
{
	struct cancel_token zeros[CANCEL_WAIT_ANY_MAX];

	memset(zeros, 0, sizeof(zeros));
	cr_assert_eq(cancel_token_wait_any(zeros, CANCEL_WAIT_ANY_MAX, CANCEL_FOREVER), -EDEADLK);
	cr_assert_eq(cancel_token_wait_any(zeros, 1, CANCEL_FOREVER), -EDEADLK);
	cr_assert_eq(cancel_token_wait_any(NULL, 0, CANCEL_FOREVER), -EDEADLK);
}

Test(token_wait_any, there_is_a_limit)
{
	make_many();
	cr_assert_eq(cancel_token_wait_any(tokens, CANCEL_WAIT_ANY_MAX, 0), -ETIMEDOUT);
	cr_assert_eq(cancel_token_wait_any(tokens, CANCEL_WAIT_ANY_MAX + 1, 0), -EINVAL);
	(void)cancel_source_cancel(&many[0], NULL);
	cr_assert_eq(cancel_token_wait_any(tokens, CANCEL_WAIT_ANY_MAX + 1, CANCEL_FOREVER), -EINVAL);
}

Test(token_wait_any, it_is_never_shorter_than_asked)
{
	struct cancel_token zeros[2];

	make_many();
	memset(zeros, 0, sizeof(zeros));
	for (size_t i = 0; i < sizeof(delays_ns) / sizeof(delays_ns[0]); i++) {
		int64_t before_ns = monotonic_ns();

		cr_assert_eq(cancel_token_wait_any(tokens, CANCEL_WAIT_ANY_MAX, delays_ns[i]), -ETIMEDOUT);
		cr_assert_geq(monotonic_ns() - before_ns, delays_ns[i]);
		before_ns = monotonic_ns();
		cr_assert_eq(cancel_token_wait_any(zeros, 2, delays_ns[i]), -ETIMEDOUT);
		cr_assert_geq(monotonic_ns() - before_ns, delays_ns[i]);
		before_ns = monotonic_ns();
		cr_assert_eq(cancel_token_wait_any(NULL, 0, delays_ns[i]), -ETIMEDOUT);
		cr_assert_geq(monotonic_ns() - before_ns, delays_ns[i]);
	}
}

Test(token_wait_any, signals_do_not_end_it)
{
	struct wait_any_case wait = {.count = 3, .timeout_ns = CANCEL_FOREVER};

	make_many();
	handle_signal(note_signal);
	token_thread_start(&wait.thread, wait_for_any, &wait);
	for (int i = 0; i < 5; i++) {
		cr_assert(token_thread_falls_asleep(&wait.thread), "a signal ended the wait");
		interrupt(&wait.thread);
	}
	cr_assert_eq(cancel_source_cancel(&many[2], NULL), 1);
	cr_assert_eq(token_thread_join(&wait.thread), 2);
}

/* --- on a kernel without futex_waitv(2) --------------------------------------------------------------- */

TestSuite(token_wait_turns, .init = forget_futex_waitv, .timeout = 60);

Test(token_wait_turns, whichever_is_cancelled_is_named)
{
	static const int cancelled[] = {0, 1, 127};

	for (size_t i = 0; i < sizeof(cancelled) / sizeof(cancelled[0]); i++) {
		make_many();
		expect_any(CANCEL_WAIT_ANY_MAX, CANCEL_FOREVER, cancelled[i], cancelled[i]);
	}
	make_many();
	tokens[0] = none;
	expect_any(3, 3600 * CANCEL_SECOND, 2, 2);
}

Test(token_wait_turns, it_is_never_shorter_than_asked)
{
	static const int64_t around_a_turn_ns[] = {1, CANCEL_MILLISECOND, 25 * CANCEL_MILLISECOND};

	make_many();
	for (size_t i = 0; i < sizeof(around_a_turn_ns) / sizeof(around_a_turn_ns[0]); i++) {
		int64_t before_ns = monotonic_ns();

		cr_assert_eq(cancel_token_wait_any(tokens, 3, around_a_turn_ns[i]), -ETIMEDOUT);
		cr_assert_geq(monotonic_ns() - before_ns, around_a_turn_ns[i]);
	}
}

/* --- poll --------------------------------------------------------------------------------------------- */

enum {
	MARK = 0x5a5a,
};

static int pipe_ends[2], descriptors_before;
static struct pollfd fds[CANCEL_POLL_MAX + 1];

static void poll_set_up(void)
{
	cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
	for (int i = 0; i <= CANCEL_POLL_MAX; i++)
		fds[i] = (struct pollfd){pipe_ends[0], POLLIN, MARK};
	descriptors_before = token_count_descriptors();
}

TestSuite(token_poll, .init = poll_set_up, .timeout = 60);

static void expect_revents(size_t count, short revents)
{
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(fds[i].revents, revents, "revents of %zu: %x", i, (unsigned)fds[i].revents);
}

struct poll_case {
	struct cancel_token token;
	size_t count;
	int64_t timeout_ns;
	struct token_thread thread;
};

static int poll_it(void *arg)
{
	struct poll_case *poll_case = arg;

	return cancel_token_poll(poll_case->token, fds, poll_case->count, poll_case->timeout_ns);
}

static void start_polling(struct poll_case *poll_case, struct cancel_token token, size_t count,
			  int64_t timeout_ns)
{
	poll_case->token = token;
	poll_case->count = count;
	poll_case->timeout_ns = timeout_ns;
	token_thread_start(&poll_case->thread, poll_it, poll_case);
	cr_assert(token_thread_falls_asleep(&poll_case->thread), "it did not sleep");
}

Test(token_poll, it_tells_what_is_ready)
{
	fds[1].events = POLLPRI;
	fds[2].fd = -1;
	cr_assert_eq(write(pipe_ends[1], "x", 1), 1);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 4, CANCEL_FOREVER), 2);
	cr_assert_eq(fds[0].revents, POLLIN);
	cr_assert_eq(fds[1].revents, 0);
	cr_assert_eq(fds[2].revents, 0);
	cr_assert_eq(fds[3].revents, POLLIN);
	cr_assert_eq(fds[4].revents, MARK, "beyond those that were given");
}

Test(token_poll, a_descriptor_that_is_not_open_is_ready_as_with_poll)
{
	fds[0].fd = 1000;
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, CANCEL_FOREVER), 1);
	cr_assert_eq(fds[0].revents, POLLNVAL);
}

Test(token_poll, it_wakes_for_the_callers_descriptors)
{
	for (size_t i = 0; i < sizeof(endless_ns) / sizeof(endless_ns[0]); i++) {
		struct poll_case poll_case;
		char byte;

		start_polling(&poll_case, i % 2 ? token_of_source() : none, 1, endless_ns[i]);
		cr_assert_eq(write(pipe_ends[1], "x", 1), 1);
		cr_assert_eq(token_thread_join(&poll_case.thread), 1);
		expect_revents(1, POLLIN);
		cr_assert_eq(read(pipe_ends[0], &byte, 1), 1);
	}
}

Test(token_poll, it_ends_when_the_token_is_cancelled)
{
	static const size_t fd_counts[] = {0, 1, CANCEL_POLL_MAX};

	for (size_t i = 0; i < sizeof(fd_counts) / sizeof(fd_counts[0]); i++) {
		struct poll_case poll_case;

		cancel_source_init(&source, &late);
		start_polling(&poll_case, token_of_source(), fd_counts[i], CANCEL_FOREVER);
		cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
		cr_assert_eq(token_thread_join(&poll_case.thread), -ECANCELED, "whatever its cause");
		expect_revents(fd_counts[i], 0);
		cr_assert_eq(cancel_source_fini(&source), 0);
	}
}

Test(token_poll, it_ends_when_a_parent_is_cancelled)
{
	struct cancel_source child = CANCEL_SOURCE_INIT;
	struct poll_case poll_case;
	struct cancel_link link;

	cr_assert_eq(cancel_link_add(&link, &child, token_of_source()), 0);
	start_polling(&poll_case, cancel_source_token(&child), 1, CANCEL_FOREVER);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(token_thread_join(&poll_case.thread), -ECANCELED);
}

Test(token_poll, a_cancelled_token_comes_before_what_is_ready)
{
	cr_assert_eq(write(pipe_ends[1], "x", 1), 1);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 2, CANCEL_FOREVER), -ECANCELED);
	expect_revents(2, 0);
	fds[0].revents = MARK;
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, 0), -ECANCELED);
	expect_revents(1, 0);
	cr_assert_eq(cancel_token_poll(token_of_source(), NULL, 0, CANCEL_FOREVER), -ECANCELED);
}

Test(token_poll, it_is_never_shorter_than_asked)
{
	for (size_t i = 0; i < sizeof(delays_ns) / sizeof(delays_ns[0]); i++) {
		int64_t before_ns = monotonic_ns();

		fds[0].revents = MARK;
		cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, delays_ns[i]), 0);
		cr_assert_geq(monotonic_ns() - before_ns, delays_ns[i]);
		expect_revents(1, 0);
		before_ns = monotonic_ns();
		cr_assert_eq(cancel_token_poll(none, NULL, 0, delays_ns[i]), 0);
		cr_assert_geq(monotonic_ns() - before_ns, delays_ns[i]);
	}
}

Test(token_poll, without_time_it_only_looks)
{
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, 0), 0);
	expect_revents(1, 0);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, -1), 0);
	cr_assert_eq(cancel_token_poll(none, fds, 1, 0), 0);
	cr_assert_eq(cancel_token_poll(none, fds, 1, -1), 0);
	cr_assert_eq(write(pipe_ends[1], "x", 1), 1);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, 0), 1);
	expect_revents(1, POLLIN);
}

Test(token_poll, a_signal_handler_ends_it)
{
	struct poll_case poll_case;

	handle_signal(note_signal);
	start_polling(&poll_case, token_of_source(), 2, CANCEL_FOREVER);
	interrupt(&poll_case.thread);
	cr_assert_eq(token_thread_join(&poll_case.thread), -EINTR);
	expect_revents(2, 0);
	start_polling(&poll_case, none, 1, CANCEL_FOREVER);
	interrupt(&poll_case.thread);
	cr_assert_eq(token_thread_join(&poll_case.thread), -EINTR);
}

static void cancel_in_handler(int number)
{
	(void)number;
	(void)cancel_source_cancel_from_signal(&source, NULL);
	handled++;
}

Test(token_poll, a_signal_handler_that_cancels_is_a_cancellation)
{
	struct poll_case poll_case;

	handle_signal(cancel_in_handler);
	start_polling(&poll_case, token_of_source(), 1, CANCEL_FOREVER);
	interrupt(&poll_case.thread);
	cr_assert_eq(token_thread_join(&poll_case.thread), -ECANCELED);
	expect_revents(1, 0);
}

Test(token_poll, there_is_a_limit)
{
	cr_assert_eq(write(pipe_ends[1], "x", 1), 1);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, CANCEL_POLL_MAX, 0), CANCEL_POLL_MAX);
	expect_revents(CANCEL_POLL_MAX, POLLIN);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, CANCEL_POLL_MAX + 1, 0), -EINVAL);
	expect_revents(CANCEL_POLL_MAX + 1, 0);
	cr_assert_eq(cancel_token_poll(none, fds, CANCEL_POLL_MAX + 1, 0), -EINVAL);
}

/* Whatever came of it. */
Test(token_poll, no_descriptor_is_left_open)
{
	struct poll_case poll_case;

	(void)cancel_token_poll(token_of_source(), fds, 1, 0);
	cr_assert_eq(token_count_descriptors(), descriptors_before, "not in time");
	handle_signal(note_signal);
	start_polling(&poll_case, token_of_source(), 1, CANCEL_FOREVER);
	interrupt(&poll_case.thread);
	cr_assert_eq(token_thread_join(&poll_case.thread), -EINTR);
	cr_assert_eq(token_count_descriptors(), descriptors_before, "a signal");
	cr_assert_eq(write(pipe_ends[1], "x", 1), 1);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, 0), 1);
	cr_assert_eq(token_count_descriptors(), descriptors_before, "ready");
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, CANCEL_POLL_MAX + 1, 0), -EINVAL);
	cr_assert_eq(token_count_descriptors(), descriptors_before, "too many");
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, 0), -ECANCELED);
	cr_assert_eq(token_count_descriptors(), descriptors_before, "cancelled");
}

/* --- without descriptors ------------------------------------------------------------------------------ */

/* As many as there are, and no more. */
static void use_up_descriptors(struct rlimit *before)
{
	struct rlimit limit;
	int lowest = fcntl(pipe_ends[0], F_DUPFD_CLOEXEC, 0);

	cr_assert_geq(lowest, 0);
	(void)close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, before), 0);
	limit = *before;
	limit.rlim_cur = (rlim_t)lowest;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(dup(pipe_ends[0]), -1);
}

Test(token_poll, without_a_descriptor_it_says_so_and_waiting_works)
{
	struct rlimit before;
	struct poll_case poll_case;
	struct wait_case wait;
	struct cancel_fd fd;

	use_up_descriptors(&before);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, CANCEL_FOREVER), -EMFILE);
	expect_revents(1, 0);
	cr_assert_eq(cancel_fd_open(&fd, token_of_source()), -EMFILE);
	cr_assert_eq(fd.fd, -1);
	cancel_fd_close(&fd);
	cr_assert_eq(cancel_token_poll(none, fds, 1, 0), 0, "the zero token needs none");
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	start_polling(&poll_case, token_of_source(), 1, CANCEL_FOREVER);
	use_up_descriptors(&before);
	cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_MILLISECOND), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	start_waiting(&wait, token_of_source(), CANCEL_FOREVER);
	use_up_descriptors(&before);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(token_thread_join(&wait.thread), 1);
	cr_assert_eq(token_thread_join(&poll_case.thread), -ECANCELED);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

Test(token_poll, a_cancelled_token_comes_before_the_want_of_descriptors)
{
	struct rlimit before;

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	use_up_descriptors(&before);
	cr_assert_eq(cancel_token_poll(token_of_source(), fds, 1, CANCEL_FOREVER), -ECANCELED);
	expect_revents(1, 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
