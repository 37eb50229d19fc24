/* The one who is to be harmed: every operation of the library, and our programs, as the victim's user does
 * them. */
#ifndef HOSTILE_VICTIM_H
#define HOSTILE_VICTIM_H

#include "stage.h"

#include <stdbool.h>
#include <sys/types.h>

enum operation {
	OPERATION_ASK,
	OPERATION_MERGE,
	OPERATION_BATCH,
	OPERATION_DECIDE,
	OPERATION_WITHDRAW,
	OPERATION_RESET,
	OPERATION_LOOK_UP,
	OPERATION_SWEEP,
	OPERATION_INTAKE,
	OPERATION_OPEN,
	OPERATION_MAKE, /* where there is none yet */
	OPERATION_RUN,  /* begin, checkpoint, end */
	OPERATION_WATCH,
	OPERATION_LIST,
	OPERATION_QUIET, /* is the task cancelled that nobody asked to stop? */
	OPERATION_KEEP,  /* ask for something that must then stand */
	OPERATION_LIBRARY_COUNT,
	OPERATION_PROGRAM = OPERATION_LIBRARY_COUNT, /* and all that follow: cancelreq and cancelwatch */
};

enum {
	OPERATION_PROGRAM_COUNT = 11,
	OPERATION_COUNT = OPERATION_PROGRAM + OPERATION_PROGRAM_COUNT,
};

/* What came of an operation. */
struct verdict {
	int code;            /* 0 or more, or a negative errno */
	int kept;            /* OPERATION_KEEP that was accepted: its number; else 0 */
	long took_ms;        /* as its judge saw it */
	char violation[300]; /* what the victim saw that must not be; or "" */
	char text[1024];     /* what it was told */
};

/* A process that does them one by one, each with the spool opened anew. */
struct victim;

struct victim *victim_start(const struct stage *stage);
pid_t victim_pid(const struct victim *victim);

/* False: it has ended, or was not done within VICTIM_PATIENCE_MS. */
bool victim_do(struct victim *victim, int operation, struct verdict *verdict);
void victim_end(struct victim *victim);

/* Open the programs, which the victim's user may not reach by their paths. False: one is not there. */
bool victim_find_programs(void);

/* As victim_do(), but in this process, which is the victim's already: prepares, calls getppid, and acts. For
 * a process that is traced. */
int victim_act(const struct stage *stage, int operation, struct verdict *verdict);

const char *victim_operation_name(int operation);

/* The longest wait for a lock, and what a busy machine takes; less than what the kernel gives the holder of a
 * lease. A machine can be busier than that: who is not in the middle of opening something then has more of
 * it. */
enum {
	VICTIM_PATIENCE_MS = 40000,
	VICTIM_PATIENCES = 5,
};

/* Is this process kept waiting by what it opens? */
bool victim_is_kept(pid_t pid);

#endif
