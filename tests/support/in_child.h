/* What a test does in the child of a fork. */
#ifndef SUPPORT_IN_CHILD_H
#define SUPPORT_IN_CHILD_H

#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_TIMEOUT_S 30

/* In the child, where an assertion of Criterion's would be lost. */
#define CHECK(condition)                                                                                 \
	do {                                                                                             \
		if (!(condition)) {                                                                      \
			(void)fprintf(stderr, "%s:%d: in the child: not true: %s\n", __FILE__, __LINE__, \
				      #condition);                                                       \
			return 1;                                                                        \
		}                                                                                        \
	} while (0)

/* Do it in a child, which must end with 0. */
static inline void expect_in_child(int (*job)(void))
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)alarm(CHILD_TIMEOUT_S);
		_exit(job());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(!WIFSIGNALED(status), "the child was ended by signal %d", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}

#endif
