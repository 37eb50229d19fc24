/* The dispatcher: what was cancelled deferred, or in a signal handler; its beginning and its end. */
#include "process.h"
#include "token_calls.h"
#include "token_gate.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int threads_before;

static void set_up(void)
{
	threads_before = token_count_threads();
}

TestSuite(token_dispatcher, .init = set_up, .timeout = 60);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

static struct cancel_source source, child;
static struct cancel_link link_of_child;
static struct token_calls calls;

static struct cancel_token token_of_source(void)
{
	return cancel_source_token(&source);
}

static bool is_cancelled(const struct cancel_source *one)
{
	return cancel_token_requested(cancel_source_token(one));
}

static void stop_at_gate(struct token_callee *callee)
{
	token_gate_pass(callee->arg);
}

/* --- its life ----------------------------------------------------------------------------------------- */

Test(token_dispatcher, it_is_one_thread_that_starts_once_and_ends)
{
	int descriptors = token_count_descriptors();

	for (int round = 0; round < 5; round++) {
		cr_assert_eq(cancel_dispatcher_start(), 0);
		cr_assert_eq(cancel_dispatcher_start(), 0);
		cr_assert_eq(token_count_threads(), threads_before + 1);
		cr_assert_eq(token_count_descriptors(), descriptors, "it needs no descriptor");
		cr_assert_eq(cancel_dispatcher_stop(), 0);
		cr_assert(token_threads_become(threads_before));
		cr_assert_eq(cancel_dispatcher_stop(), 0, "there is none");
	}
}

Test(token_dispatcher, it_is_started_by_what_needs_it)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;

	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	cr_assert_eq(token_count_threads(), threads_before + 1);
	cr_assert_eq(cancel_dispatcher_stop(), 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cancel_source_init(&source, NULL);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, 3600 * CANCEL_SECOND, NULL), 0);
	cr_assert_eq(token_count_threads(), threads_before + 1);
	cr_assert_eq(cancel_deadline_stop(&deadline), 1);
}

Test(token_dispatcher, it_does_not_end_while_a_deadline_is_armed)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;

	cr_assert_eq(cancel_deadline_set(&deadline, &source, 3600 * CANCEL_SECOND, NULL), 0);
	cr_assert_eq(cancel_dispatcher_stop(), -EBUSY);
	cr_assert_eq(token_count_threads(), threads_before + 1);
	cr_assert_eq(cancel_deadline_stop(&deadline), 1);
	cr_assert_eq(cancel_dispatcher_stop(), 0);
	cr_assert_eq(cancel_deadline_set(&deadline, &source, CANCEL_MILLISECOND, NULL), 0);
	cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_FOREVER), 1, "another one was started");
}

static void stop_dispatcher(struct token_callee *callee)
{
	callee->result = cancel_dispatcher_stop();
}

Test(token_dispatcher, its_own_callbacks_cannot_end_it)
{
	struct token_callee callee;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, stop_dispatcher, NULL);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	cr_assert_eq(callee.result, -EDEADLK);
	cr_assert_eq(cancel_dispatcher_stop(), 0);
}

static int stop_on_thread(void *arg)
{
	(void)arg;
	return cancel_dispatcher_stop();
}

Test(token_dispatcher, its_end_waits_for_what_it_does_and_has_to_do)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct cancel_source more[20];
	struct token_callee callees[21];
	struct token_thread stopper;

	(void)token_callee_add_act(&callees[20], token_of_source(), &calls, 20, stop_at_gate, &gate);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	token_gate_await(&gate, 1);
	for (int i = 0; i < 20; i++) {
		cancel_source_init(&more[i], NULL);
		(void)token_callee_add(&callees[i], cancel_source_token(&more[i]), &calls, i);
		cr_assert_eq(cancel_source_cancel_deferred(&more[i], NULL), 1);
	}
	token_thread_start(&stopper, stop_on_thread, NULL);
	cr_assert(token_thread_falls_asleep(&stopper), "a callback is still there");
	cr_assert_eq(cancel_dispatcher_stop(), -EBUSY, "another thread is ending it");
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&stopper), 0);
	cr_assert_eq(atomic_load(&calls.count), 21);
	cr_assert(token_threads_become(threads_before));
}

/* --- deferred ----------------------------------------------------------------------------------------- */

Test(token_dispatcher, all_is_marked_and_awake_before_a_deferred_cancel_returns)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct cancel_source blocker = CANCEL_SOURCE_INIT;
	struct token_callee blocking, callees[2];
	struct cancel_fd fd;
	struct pollfd one;

	cr_assert_eq(cancel_link_add(&link_of_child, &child, token_of_source()), 0);
	cr_assert_eq(cancel_fd_open(&fd, cancel_source_token(&child)), 0);
	(void)token_callee_add(&callees[0], token_of_source(), &calls, 0);
	(void)token_callee_add(&callees[1], cancel_source_token(&child), &calls, 1);
	(void)token_callee_add_act(&blocking, cancel_source_token(&blocker), &calls, 9, stop_at_gate, &gate);
	cr_assert_eq(cancel_source_cancel_deferred(&blocker, NULL), 1);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_source_cancel_deferred(&source, &quota), 1);
	cr_assert(is_cancelled(&source) && is_cancelled(&child));
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), &quota);
	cr_assert_eq(cancel_token_origin(cancel_source_token(&child)), &source);
	one = (struct pollfd){fd.fd, POLLIN, 0};
	cr_assert_eq(poll(&one, 1, 0), 1);
	cr_assert_eq(atomic_load(&calls.count), 1, "one after the other, and the first is still there");
	cr_assert_eq(cancel_source_quiesce(&source, 0), -ETIMEDOUT, "it waits to be delivered");
	cr_assert_eq(cancel_source_cancel(&source, NULL), 0);
	cr_assert_eq(atomic_load(&calls.count), 1);
	token_gate_open(&gate);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("9 0 1", &calls);
	cr_assert(!pthread_equal(calls.threads[1], pthread_self()));
	cr_assert(pthread_equal(calls.threads[1], calls.threads[0]));
	cancel_fd_close(&fd);
	cr_assert_eq(cancel_linked_fini(&child, &link_of_child, 1), 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert_eq(cancel_source_fini(&blocker), 0);
}

static int wait_for_it(void *arg)
{
	return cancel_token_wait(cancel_source_token(arg), CANCEL_FOREVER);
}

Test(token_dispatcher, who_waits_for_what_was_deferred_wakes)
{
	struct token_thread waiters[2];

	cr_assert_eq(cancel_link_add(&link_of_child, &child, token_of_source()), 0);
	token_thread_start(&waiters[0], wait_for_it, &source);
	token_thread_start(&waiters[1], wait_for_it, &child);
	for (int i = 0; i < 2; i++)
		cr_assert(token_thread_falls_asleep(&waiters[i]));
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&waiters[i]), 1);
}

/* What is registered after the mark comes too late, as always. */
Test(token_dispatcher, one_that_comes_after_a_deferred_cancel_is_called_here)
{
	struct token_callee callee;

	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	cr_assert_eq(token_callee_add(&callee, token_of_source(), &calls, 1), 1);
	cr_assert(pthread_equal(calls.threads[0], pthread_self()));
	cr_assert_eq(cancel_source_fini(&source), 0);
}

/* What waits to be delivered can be taken back. */
Test(token_dispatcher, what_is_deferred_can_be_removed)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct cancel_source blocker = CANCEL_SOURCE_INIT;
	struct token_callee blocking, callees[3];

	(void)token_callee_add_act(&blocking, cancel_source_token(&blocker), &calls, 9, stop_at_gate, &gate);
	cr_assert_eq(cancel_source_cancel_deferred(&blocker, NULL), 1);
	token_gate_await(&gate, 1);
	token_callees_add(callees, 3, token_of_source(), &calls);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	cr_assert_eq(cancel_registration_remove(&callees[1].registration), CANCEL_REMOVED);
	token_gate_open(&gate);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("9 2 0", &calls);
}

static int remove_on_thread(void *arg)
{
	return cancel_registration_remove(arg);
}

Test(token_dispatcher, removing_waits_for_a_callback_that_the_dispatcher_calls)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread remover;
	struct token_callee callee;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, stop_at_gate, &gate);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	token_gate_await(&gate, 1);
	token_thread_start(&remover, remove_on_thread, &callee.registration);
	cr_assert(token_thread_falls_asleep(&remover));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&remover), CANCEL_FINISHED);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

static int end_on_thread(void *arg)
{
	return cancel_source_fini(arg);
}

Test(token_dispatcher, the_end_of_a_source_waits_for_what_is_deferred)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_thread owner;
	struct token_callee callee;

	(void)token_callee_add_act(&callee, token_of_source(), &calls, 1, stop_at_gate, &gate);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	token_gate_await(&gate, 1);
	token_thread_start(&owner, end_on_thread, &source);
	cr_assert(token_thread_falls_asleep(&owner));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&owner), 0);
	memset(&source, 0xff, sizeof(source));
}

static void cancel_deferred_inside(struct token_callee *callee)
{
	callee->result = cancel_source_cancel_deferred(callee->arg, NULL);
}

Test(token_dispatcher, its_callbacks_can_defer_more)
{
	struct token_callee first, second;

	(void)token_callee_add_act(&first, token_of_source(), &calls, 1, cancel_deferred_inside, &child);
	(void)token_callee_add(&second, cancel_source_token(&child), &calls, 2);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	cr_assert_eq(first.result, 1);
	cr_assert_eq(cancel_source_quiesce(&child, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1 2", &calls);
}

static void end_of(struct token_callee *callee)
{
	callee->result = cancel_source_fini(callee->arg);
}

static void wait_for_the_next(struct token_callee *callee)
{
	struct cancel_source *next = callee->arg;

	callee->result = cancel_source_cancel_deferred(&next[0], NULL) == 1 &&
			 cancel_source_cancel_deferred(&next[1], NULL) == 1 &&
			 cancel_source_quiesce(&next[0], CANCEL_FOREVER) == 0 &&
			 token_calls_of(callee->calls, 2);
	(void)cancel_source_quiesce(&next[1], 0);
	callee->result = callee->result && !token_calls_of(callee->calls, 3);
}

/* It does itself what it waits for, and nothing that comes after that. */
Test(token_dispatcher, its_callbacks_that_wait_for_another_source_call_no_more_than_they_wait_for)
{
	struct cancel_source next[2] = {CANCEL_SOURCE_INIT, CANCEL_SOURCE_INIT};
	struct token_callee waits, first, second;

	(void)token_callee_add_act(&waits, token_of_source(), &calls, 1, wait_for_the_next, next);
	(void)token_callee_add(&first, cancel_source_token(&next[0]), &calls, 2);
	(void)token_callee_add(&second, cancel_source_token(&next[1]), &calls, 3);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	cr_assert(waits.result, "it called what it did not wait for, or not what it did");
	cr_assert_eq(cancel_source_quiesce(&next[1], CANCEL_FOREVER), 0);
	EXPECT_CALLS("1 2 3", &calls);
}

/* The other source waits for the very thread that waits for it: so that thread does it. */
Test(token_dispatcher, its_callbacks_can_end_a_source_that_it_has_still_to_deliver)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct cancel_source blocker = CANCEL_SOURCE_INIT;
	struct token_callee blocking, ending, ended;

	(void)token_callee_add_act(&blocking, cancel_source_token(&blocker), &calls, 9, stop_at_gate, &gate);
	(void)token_callee_add_act(&ending, token_of_source(), &calls, 1, end_of, &child);
	(void)token_callee_add(&ended, cancel_source_token(&child), &calls, 2);
	cr_assert_eq(cancel_source_cancel_deferred(&blocker, NULL), 1);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1);
	cr_assert_eq(cancel_source_cancel_deferred(&child, NULL), 1);
	token_gate_open(&gate);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	cr_assert(ending.result == 0 || ending.result == -EDEADLK);
	if (ending.result < 0)
		cr_assert_eq(cancel_source_fini(&child), 0);
	memset(&child, 0xff, sizeof(child));
	cr_assert_eq(cancel_dispatcher_stop(), 0);
	cr_assert_leq(token_calls_of(&calls, 2), 1);
}

/* --- where no thread can be had ----------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_WITHOUT_MEMORY() cr_skip_test("a sanitizer does not live without memory")
#else
#define SKIP_WITHOUT_MEMORY() (void)0
#endif

/* A new thread needs a stack. */
static void take_all_memory(struct rlimit *before)
{
	struct rlimit none;

	cr_assert_eq(getrlimit(RLIMIT_AS, before), 0);
	none = *before;
	none.rlim_cur = 1;
	cr_assert_eq(setrlimit(RLIMIT_AS, &none), 0);
}

Test(token_dispatcher, without_a_thread_nothing_is_done)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT, set_anew = CANCEL_DEADLINE_INIT;
	int deferred, set, set_at, at_once, started;
	struct token_callee callee;
	struct rlimit before;

	SKIP_WITHOUT_MEMORY();
	(void)token_callee_add(&callee, token_of_source(), &calls, 1);
	take_all_memory(&before);
	started = cancel_dispatcher_start();
	deferred = cancel_source_cancel_deferred(&source, NULL);
	set = cancel_deadline_set(&deadline, &source, 1, NULL);
	set_at = cancel_deadline_set_at(&set_anew, &source, cancel_clock_now_ns() + 1, NULL);
	at_once = cancel_deadline_set(&deadline, &source, 0, NULL);
	cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
	cr_assert(started == -EAGAIN || started == -ENOMEM, "%d", started);
	cr_assert_eq(deferred, started);
	cr_assert_eq(set, started);
	cr_assert_eq(set_at, started);
	cr_assert_eq(at_once, started);
	cr_assert(!is_cancelled(&source));
	cr_assert_eq(cancel_deadline_remaining_ns(&deadline), CANCEL_FOREVER);
	cr_assert_eq(cancel_source_cancel_deferred(&source, NULL), 1, "now there is one");
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1", &calls);
}

Test(token_dispatcher, once_started_nothing_fails_for_want_of_a_thread)
{
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	struct rlimit before;
	int deferred, set;

	SKIP_WITHOUT_MEMORY();
	cr_assert_eq(cancel_dispatcher_start(), 0);
	take_all_memory(&before);
	set = cancel_deadline_set(&deadline, &source, 3600 * CANCEL_SECOND, NULL);
	deferred = cancel_source_cancel_deferred(&source, NULL);
	cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
	cr_assert_eq(set, 0);
	cr_assert_eq(deferred, 1);
	cr_assert_eq(cancel_deadline_stop(&deadline), 1);
}

/* --- from a signal handler ---------------------------------------------------------------------------- */

enum {
	SOME_ERRNO = 4711,
};

static volatile sig_atomic_t handler_result, handler_errno, handler_saw;

static void cancel_in_handler(int number)
{
	int before = errno;

	(void)number;
	errno = SOME_ERRNO;
	handler_result = cancel_source_cancel_from_signal(&source, &quota);
	handler_errno = errno;
	handler_saw = cancel_token_requested(token_of_source()) && cancel_token_possible(token_of_source()) &&
		      cancel_token_cause(token_of_source()) == &quota &&
		      cancel_token_origin(token_of_source()) == &source &&
		      cancel_token_error(token_of_source()) == -ECANCELED;
	errno = before;
}

static void install_handler(void)
{
	struct sigaction action = {.sa_handler = cancel_in_handler};

	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void expect_handled(void)
{
	cr_assert_eq(handler_result, 1);
	cr_assert_eq(handler_errno, SOME_ERRNO, "errno is not as it was");
	cr_assert(handler_saw);
	cr_assert(is_cancelled(&source));
}

static void note_mask(struct token_callee *callee)
{
	sigset_t *blocked = callee->arg;

	callee->result = pthread_sigmask(SIG_SETMASK, NULL, blocked) == 0;
}

Test(token_dispatcher, a_signal_handler_cancels_and_the_dispatcher_calls)
{
	struct token_callee callees[2];
	sigset_t blocked;

	cr_assert_eq(cancel_dispatcher_start(), 0);
	cr_assert_eq(cancel_link_add(&link_of_child, &child, token_of_source()), 0);
	(void)token_callee_add(&callees[0], cancel_source_token(&child), &calls, 0);
	(void)token_callee_add_act(&callees[1], token_of_source(), &calls, 1, note_mask, &blocked);
	install_handler();
	cr_assert_eq(raise(SIGUSR1), 0);
	expect_handled();
	cr_assert_eq(cancel_token_wait(cancel_source_token(&child), CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_token_cause(cancel_source_token(&child)), &quota);
	cr_assert_eq(cancel_token_origin(cancel_source_token(&child)), &source);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1 0", &calls);
	cr_assert(!pthread_equal(calls.threads[0], pthread_self()));
	cr_assert(callees[1].result);
	for (int number = 1; number <= SIGRTMAX; number++)
		if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
			cr_assert(sigismember(&blocked, number), "signal %d is not blocked", number);
	cr_assert_eq(raise(SIGUSR1), 0);
	cr_assert_eq(handler_result, 0, "it was cancelled before");
	cr_assert_eq(handler_errno, SOME_ERRNO);
	cr_assert_eq(cancel_linked_fini(&child, &link_of_child, 1), 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

Test(token_dispatcher, a_signal_handler_wakes_who_waits)
{
	struct token_thread waiters[2];

	cr_assert_eq(cancel_dispatcher_start(), 0);
	cr_assert_eq(cancel_link_add(&link_of_child, &child, token_of_source()), 0);
	token_thread_start(&waiters[0], wait_for_it, &source);
	token_thread_start(&waiters[1], wait_for_it, &child);
	for (int i = 0; i < 2; i++)
		cr_assert(token_thread_falls_asleep(&waiters[i]));
	install_handler();
	cr_assert_eq(raise(SIGUSR1), 0);
	expect_handled();
	for (int i = 0; i < 2; i++)
		cr_assert_eq(token_thread_join(&waiters[i]), 1);
}

/* The handler runs on the thread that waits itself. */
Test(token_dispatcher, a_signal_handler_ends_the_wait_that_it_interrupts)
{
	struct token_thread waiter;

	install_handler();
	token_thread_start(&waiter, wait_for_it, &source);
	cr_assert(token_thread_falls_asleep(&waiter));
	cr_assert_eq(pthread_kill(waiter.thread, SIGUSR1), 0);
	cr_assert_eq(token_thread_join(&waiter), 1);
	expect_handled();
	cr_assert_eq(cancel_source_fini(&source), 0);
}

static int poll_descriptor(void *arg)
{
	struct pollfd one = {((struct cancel_fd *)arg)->fd, POLLIN, 0};

	return poll(&one, 1, -1);
}

Test(token_dispatcher, descriptors_follow_on_the_dispatcher)
{
	struct token_thread poller;
	struct cancel_fd fd;

	cr_assert_eq(cancel_dispatcher_start(), 0);
	cr_assert_eq(cancel_fd_open(&fd, token_of_source()), 0);
	token_thread_start(&poller, poll_descriptor, &fd);
	cr_assert(token_thread_falls_asleep(&poller));
	install_handler();
	cr_assert_eq(raise(SIGUSR1), 0);
	cr_assert_eq(token_thread_join(&poller), 1);
	cancel_fd_close(&fd);
}

/* --- from a signal handler, without a dispatcher ------------------------------------------------------ */

static void cancel_without_dispatcher(struct token_callee *callee)
{
	struct token_thread waiter;

	cr_assert_eq(cancel_link_add(&link_of_child, &child, token_of_source()), 0);
	(void)token_callee_add(callee, cancel_source_token(&child), &calls, 1);
	token_thread_start(&waiter, wait_for_it, &source);
	cr_assert(token_thread_falls_asleep(&waiter));
	install_handler();
	cr_assert_eq(raise(SIGUSR1), 0);
	expect_handled();
	cr_assert_eq(token_thread_join(&waiter), 1);
	cr_assert(token_threads_become(threads_before));
	EXPECT_CALLS("", &calls);
}

Test(token_dispatcher, without_one_callbacks_come_when_it_is_started)
{
	struct token_callee callee;

	cancel_without_dispatcher(&callee);
	cr_assert_eq(cancel_dispatcher_start(), 0);
	cr_assert_eq(cancel_token_wait(cancel_source_token(&child), CANCEL_FOREVER), 1);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1", &calls);
	cr_assert(!pthread_equal(calls.threads[0], pthread_self()));
}

Test(token_dispatcher, without_one_callbacks_come_when_somebody_waits_for_them)
{
	struct token_callee callee;

	cancel_without_dispatcher(&callee);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1", &calls);
	cr_assert(is_cancelled(&child));
	cr_assert(token_threads_become(threads_before));
	cr_assert_eq(cancel_linked_fini(&child, &link_of_child, 1), 0);
	cr_assert_eq(cancel_source_fini(&source), 0);
}

Test(token_dispatcher, without_one_callbacks_come_when_somebody_ends_the_source)
{
	struct token_callee callee;

	cancel_without_dispatcher(&callee);
	cr_assert_eq(cancel_source_fini(&source), 0);
	memset(&source, 0xff, sizeof(source));
	EXPECT_CALLS("1", &calls);
	cr_assert(is_cancelled(&child));
	cr_assert(token_threads_become(threads_before));
	cr_assert_eq(cancel_dispatcher_start(), 0);
	cr_assert_eq(cancel_dispatcher_stop(), 0);
	EXPECT_CALLS("1", &calls);
}

/* Whatever the handler interrupts: the calls that take the source's lock, most of all. */
/* DESIGN.md, invariant 33 */
Test(token_dispatcher, a_handler_may_interrupt_any_call_on_the_source)
{
	const struct itimerspec soon = {{0, 0}, {0, 50000}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t timer;

	cr_assert_eq(cancel_dispatcher_start(), 0);
	install_handler();
	cr_assert_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	for (int i = 0; i < 300; i++) {
		struct token_callee callee;
		int late;

		cancel_source_init(&source, NULL);
		cr_assert_eq(timer_settime(timer, 0, &soon, NULL), 0);
		do {
			late = token_callee_add(&callee, token_of_source(), &calls, 1);
			if (!late && cancel_registration_remove(&callee.registration) == CANCEL_REMOVED)
				atomic_store(&calls.count, 0);
		} while (!late && !is_cancelled(&source));
		cr_assert_eq(cancel_source_fini(&source), 0);
		cr_assert_leq(atomic_load(&calls.count), 1);
		atomic_store(&calls.count, 0);
	}
	(void)timer_delete(timer);
}

static void start_inside(struct token_callee *callee)
{
	callee->result = cancel_dispatcher_start();
}

/* What a handler cancels after the dispatcher's last look is delivered as everything is: its callback may
 * call what it likes. */
Test(token_dispatcher, a_handler_may_interrupt_its_end, .timeout = 20)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t timer;

	install_handler();
	cr_assert_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	for (int i = 0; i < 300; i++) {
		struct itimerspec soon = {{0, 0}, {0, 1000 + 137 * i}};
		struct token_callee callee;

		cancel_source_init(&source, NULL);
		(void)token_callee_add_act(&callee, token_of_source(), &calls, i, start_inside, NULL);
		cr_assert_eq(cancel_dispatcher_start(), 0);
		cr_assert_eq(timer_settime(timer, 0, &soon, NULL), 0);
		cr_assert_eq(cancel_dispatcher_stop(), 0);
		cr_assert_eq(cancel_token_wait(token_of_source(), CANCEL_FOREVER), 1);
		cr_assert_eq(cancel_source_fini(&source), 0);
		cr_assert_eq(atomic_load(&calls.count), i + 1);
		cr_assert_eq(callee.result, 0);
	}
	(void)timer_delete(timer);
}

/* --- ending it, in the middle of callbacks that wait for each other ----------------------------------- */

static struct cancel_source here, there;

static void remove_after_gate(struct token_callee *callee)
{
	struct token_callee *other_callee = callee->arg;

	callee->result = cancel_registration_remove(&other_callee->registration);
}

static int cancel_here(void *arg)
{
	(void)arg;
	return cancel_source_cancel(&here, NULL);
}

static void stop_it(struct token_callee *callee)
{
	token_gate_pass(callee->arg);
	callee->result = cancel_dispatcher_stop();
}

static bool is_in_removal(void *callee)
{
	return atomic_load(&((struct token_callee *)callee)->calls->count) == 2;
}

/* The dispatcher waits for a callback that ends the dispatcher. */
Test(token_dispatcher, a_callback_that_its_callbacks_wait_for_cannot_end_it)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_callee stopping, removing;
	struct token_thread canceller;

	(void)token_callee_add_act(&stopping, cancel_source_token(&here), &calls, 1, stop_it, &gate);
	(void)token_callee_add_act(&removing, cancel_source_token(&there), &calls, 2, remove_after_gate,
				   &stopping);
	token_thread_start(&canceller, cancel_here, NULL);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_source_cancel_deferred(&there, NULL), 1);
	cr_assert(wait_until(is_in_removal, &removing, PROCESS_TIMEOUT_MS));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(cancel_source_quiesce(&there, CANCEL_FOREVER), 0);
	cr_assert((stopping.result == -EDEADLK && removing.result == CANCEL_FINISHED) ||
			  (stopping.result == 0 && removing.result == -EDEADLK),
		  "%d, %d", stopping.result, removing.result);
	cr_assert_eq(cancel_dispatcher_stop(), 0);
}

static void defer_after_gate(struct token_callee *callee)
{
	token_gate_pass(callee->arg);
	callee->result = cancel_source_cancel_deferred(&source, NULL);
}

/* Somebody ends the dispatcher, which waits for a callback, which wants something of the dispatcher. */
Test(token_dispatcher, a_callback_that_its_callbacks_wait_for_can_defer_while_it_ends, .timeout = 20)
{
	struct token_gate gate = TOKEN_GATE_INIT;
	struct token_callee deferring, removing, deferred;
	struct token_thread canceller, stopper;

	(void)token_callee_add(&deferred, token_of_source(), &calls, 3);
	(void)token_callee_add_act(&deferring, cancel_source_token(&here), &calls, 1, defer_after_gate,
				   &gate);
	(void)token_callee_add_act(&removing, cancel_source_token(&there), &calls, 2, remove_after_gate,
				   &deferring);
	token_thread_start(&canceller, cancel_here, NULL);
	token_gate_await(&gate, 1);
	cr_assert_eq(cancel_source_cancel_deferred(&there, NULL), 1);
	cr_assert(wait_until(is_in_removal, &removing, PROCESS_TIMEOUT_MS));
	token_thread_start(&stopper, stop_on_thread, NULL);
	cr_assert(token_thread_falls_asleep(&stopper));
	token_gate_open(&gate);
	cr_assert_eq(token_thread_join(&canceller), 1);
	cr_assert_eq(token_thread_join(&stopper), 0);
	cr_assert_eq(deferring.result, 1);
	cr_assert_eq(removing.result, CANCEL_FINISHED);
	cr_assert_eq(cancel_source_quiesce(&source, CANCEL_FOREVER), 0);
	EXPECT_CALLS("1 2 3", &calls);
}
