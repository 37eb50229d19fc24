/* What a test does in the child of a fork. */
#ifndef SUPPORT_IN_CHILD_H
#define SUPPORT_IN_CHILD_H

#include <criterion/criterion.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The runtime of AddressSanitizer in gcc 12 does not prepare its allocator for a fork: a child of a process one of whose
 * threads is allocating at that moment hangs at its first malloc, whatever we do. Then it is forked once more. */
#ifdef __SANITIZE_ADDRESS__
#define CHILD_TIMEOUT_S 15
#define CHILD_ATTEMPTS  3
#else
#define CHILD_TIMEOUT_S 30
#define CHILD_ATTEMPTS  1
#endif

/* In the child, where an assertion of Criterion's would be lost. */
#define CHECK(condition)                                                                                 \
	do {                                                                                             \
		if (!(condition)) {                                                                      \
			(void)fprintf(stderr, "%s:%d: in the child: not true: %s\n", __FILE__, __LINE__, \
				      #condition);                                                       \
			return 1;                                                                        \
		}                                                                                        \
	} while (0)

/* Was it ended by its alarm, and is to be forked once more? */
static inline bool child_hung(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
}

static inline int status_of_child(int (*job)(void))
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
	return status;
}

/* Do it in a child; what it ended with. */
static inline int result_in_child(int (*job)(void))
{
	int status = status_of_child(job);

	for (int attempt = 1; attempt < CHILD_ATTEMPTS && child_hung(status); attempt++)
		status = status_of_child(job);
	cr_assert(!WIFSIGNALED(status), "the child was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* The same, and it must end with 0. */
static inline void expect_in_child(int (*job)(void))
{
	cr_assert_eq(result_in_child(job), 0);
}

#endif
