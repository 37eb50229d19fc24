/* A name's lock. */
#include "lock.h"

#include "clock.h"
#include "spool_case.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(lock, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

/* DESIGN.md, invariant 3 */
Test(lock, one_holds_it_at_a_time_even_in_one_process)
{
	struct name_lock one, other;

	EXPECT(0, lock_take(spool, "a", &one, &error));
	EXPECT(-EAGAIN, lock_try(spool, "a", &other, &error));
	EXPECT(-EAGAIN, lock_try_all(spool, &other, &error));
	lock_drop(&one);
	EXPECT(0, lock_try(spool, "a", &one, &error));
	lock_drop(&one);
}

Test(lock, other_names_are_not_blocked)
{
	struct name_lock one, other;

	EXPECT(0, lock_take(spool, "a", &one, &error));
	EXPECT(0, lock_take(spool, "b", &other, &error));
	lock_drop(&other);
	EXPECT(CANCEL_REQUESTED, ask("b", NULL, NULL, NULL));
	EXPECT(CANCEL_ALREADY_PENDING, ask("b", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("b", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	lock_drop(&one);
}

/* DESIGN.md, invariant 2 */
Test(lock, the_first_request_and_looks_need_none)
{
	struct name_lock all;

	EXPECT(0, lock_try_all(spool, &all, &error));
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(1, check("a", NULL, NULL));
	lock_drop(&all);
}

Test(lock, all_of_them_exclude_each)
{
	struct name_lock all, one;

	EXPECT(0, lock_try_all(spool, &all, &error));
	EXPECT(-EAGAIN, lock_try(spool, "a", &one, &error));
	lock_drop(&all);
}

/* A copy of the descriptor in a child does not keep it. */
Test(lock, a_forked_child_inherits_nothing_that_lasts)
{
	struct name_lock one, other;
	pid_t pid;

	EXPECT(0, lock_take(spool, "a", &one, &error));
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)pause();
		_exit(0);
	}
	lock_drop(&one);
	EXPECT(0, lock_try(spool, "a", &other, &error));
	lock_drop(&other);
	(void)kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* A child that holds the lock of "a" until it is told otherwise. */
static pid_t start_holder(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct name_lock held;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (lock_take(spool, "a", &held, NULL) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

Test(lock, the_kernel_frees_it_with_its_holder)
{
	struct name_lock one;
	pid_t pid = start_holder();

	EXPECT(-EAGAIN, lock_try(spool, "a", &one, &error));
	(void)kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	EXPECT(0, lock_try(spool, "a", &one, &error));
	lock_drop(&one);
}

/* The one test that waits for CANCEL_LOCK_WAIT_MS. */
Test(lock, a_stopped_holder_makes_others_fail_in_the_end_and_says_how_to_find_him)
{
	pid_t pid;
	int64_t before_ms;

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	pid = start_holder();
	(void)kill(pid, SIGSTOP);
	before_ms = clock_monotonic_ms();
	EXPECT(-EBUSY, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_geq(clock_monotonic_ms() - before_ms, CANCEL_LOCK_WAIT_MS);
	EXPECT_WORDS("fuser");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	(void)kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
}

Test(lock, a_file_that_was_deleted_is_made_again)
{
	cr_assert_eq(unlink(at("lock")), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert(there("lock"));
}

Test(lock, a_link_in_its_place_is_not_followed)
{
	struct name_lock one;

	cr_assert_eq(unlink(at("lock")), 0);
	cr_assert_eq(symlink(beside("victim"), at("lock")), 0);
	EXPECT(-ELOOP, lock_take(spool, "a", &one, &error));
	cr_assert_eq(access(beside("victim"), F_OK), -1);
}
