/* A second thread of a test, of which the others can see whether it sleeps or has ended. */
#ifndef SUPPORT_TOKEN_THREAD_H
#define SUPPORT_TOKEN_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

typedef int token_job(void *arg);

/* Do not copy it while it runs. */
struct token_thread {
	pthread_t thread;
	token_job *job;
	void *arg;
	_Atomic(pid_t) id; /* the kernel's number; 0 until it has begun */
	atomic_bool has_ended;
	int result;
};

/* Run `job(arg)` on a thread of its own. Aborts where there is none to be had. */
void token_thread_start(struct token_thread *thread, token_job *job, void *arg);

/* Wait until the kernel says that it sleeps: in a lock, a wait, a poll. False: it has ended instead. Aborts
 * when neither happens. */
bool token_thread_falls_asleep(struct token_thread *thread);

/* Has it ended by now, without waiting? */
bool token_thread_has_ended(struct token_thread *thread);

/* Wait until it has ended; what its job returned. */
int token_thread_join(struct token_thread *thread);

/* How many threads this process has, Criterion's own among them, but not one that was joined, and how many open
 * descriptors. */
int token_count_threads(void);
int token_count_descriptors(void);

/* Wait until there are so many threads; false: there never are. */
bool token_threads_become(int count);

#endif
