/*
 * A name's lock goes with its holder, whatever becomes of him.
 *
 * Mutations that this catches: a lock of the process kind (F_SETLK), which any other descriptor of the
 * process gives away; a lock that is only closed and not unlocked, which a forked child keeps; a lock file
 * that marks by existing.
 */
#include "holder.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TIMEOUT_S = 20,
};

static void set_up(void)
{
	scene_make();
	scene_prepare(scene_pending);
	scene_open();
}

static void tear_down(void)
{
	scene_close();
	scene_remove();
}

TestSuite(lock, .init = set_up, .fini = tear_down, .timeout = TIMEOUT_S);

/* A child that says when it is ready, and then waits to be killed. */
static pid_t start_child(int (*prepare)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (prepare() < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1, "the child failed");
	(void)close(ready[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static int do_nothing(void)
{
	return 0;
}

static int hold(void)
{
	return holder_take(scene.spool, TASK);
}

static int hold_all(void)
{
	return holder_take_all(scene.spool);
}

Test(lock, a_killed_holder_frees_it)
{
	pid_t child = start_child(hold);

	cr_assert_eq(holder_try(scene.spool, TASK), -EAGAIN, "it does not exclude");
	cr_assert_eq(holder_try(scene.spool, "beside"), 0, "it excludes others");
	end_child(child);
	cr_assert_eq(holder_try(scene.spool, TASK), 0);
	scene_check_works();
}

Test(lock, a_killed_holder_of_all_frees_all)
{
	pid_t child = start_child(hold_all);

	cr_assert_eq(holder_try(scene.spool, TASK), -EAGAIN);
	cr_assert_eq(holder_try(scene.spool, "beside"), -EAGAIN);
	end_child(child);
	cr_assert_eq(holder_try(scene.spool, TASK), 0);
	scene_check_works();
}

Test(lock, two_in_one_process_exclude_each_other)
{
	cr_assert_eq(hold(), 0);
	cr_assert_eq(holder_try(scene.spool, TASK), -EAGAIN);
	cr_assert_eq(holder_try(scene.spool, TASK), -EAGAIN, "the first attempt gave it away");
	holder_drop();
	cr_assert_eq(holder_try(scene.spool, TASK), 0);
}

Test(lock, a_forked_child_does_not_keep_it)
{
	pid_t child;

	cr_assert_eq(hold(), 0);
	child = start_child(do_nothing);
	cr_assert_eq(holder_try(scene.spool, TASK), -EAGAIN);
	holder_drop();
	cr_assert_eq(holder_try(scene.spool, TASK), 0, "the child keeps it");
	scene_check_works();
	end_child(child);
}
