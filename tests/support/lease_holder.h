/* A process that is a run of a task, as the leases have it: it holds one, by the format of cancel-spool(5)
 * and nothing else, until it is killed or told to end. It dies with the test's process. */
#ifndef SUPPORT_LEASE_HOLDER_H
#define SUPPORT_LEASE_HOLDER_H

#include <stdint.h>
#include <sys/types.h>

/* What the lease says beside pid, uid and host. */
struct held_lease {
	const char *task_id;  /* safe as a name of a file, as it is */
	const char *run;      /* the same; or NULL */
	const char *also[4];  /* NULL-ended */
	const char *program;  /* NULL: not said */
	const char *mark;     /* eight hex digits, where a run of that name holds a lease already; or NULL */
	int64_t started_at_s; /* wall clock; 0: not said */
	const char *text;     /* what is in the file instead; NULL: the lease */
};

struct lease_holder {
	pid_t pid; /* 0: there is none */
};

/* Start one in a spool, which is made if it is missing. It holds the lease when this returns; aborts when it
 * cannot. */
void lease_holder_start(struct lease_holder *holder, const char *spool, const struct held_lease *lease);

/* End the process at once, as a crash does. A zeroed one, or one that has ended, is fine. */
void lease_holder_kill(struct lease_holder *holder);

/* Let it remove its lease and end, as a run does that is over. */
void lease_holder_end(struct lease_holder *holder);

#endif
