/* Processes stopped at each of their system calls: counted, failed, cut short, killed, held or written down.
 *
 * By ptrace(2), from one thread: who starts a tracer drives it. x86-64 only; tracer_works() says whether it
 * can be done here. All threads and children of the process are followed, in any order that the kernel lets
 * them run. */
#ifndef SUPPORT_TRACER_H
#define SUPPORT_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tracer;

struct tracer_call {
	struct tracer *tracer;
	pid_t thread;
	pid_t process; /* whose thread it is */
	int index;     /* 0 for the first call of all that are traced, in the order of entering */
	long number;   /* SYS_... */
	uint64_t arguments[6];
	int64_t result; /* when it has returned: as the kernel gives it, -errno for a failure */
};

/* What to do with a call that a thread is about to make. */
struct tracer_order {
	enum {
		TRACER_PROCEED,
		TRACER_FAIL,    /* not made; returns -value */
		TRACER_ANSWER,  /* not made; returns value */
		TRACER_SPOIL,   /* made, and returns -value all the same, as close(2) may */
		TRACER_SHORTEN, /* a read or write of at most `value` bytes (the third argument) */
		TRACER_KILL,    /* not made; the thread's process dies of SIGKILL */
		TRACER_HOLD,    /* not made yet; tracer_go() returns TRACER_HELD, and the next one makes it */
	} what;
	int64_t value;
};

typedef struct tracer_order tracer_entering(void *arg, const struct tracer_call *call);
typedef void tracer_returned(void *arg, const struct tracer_call *call);

struct tracer_options {
	tracer_entering *entering; /* NULL: all proceed */
	tracer_returned *returned; /* NULL: nobody wants to know */
	void *arg;
};

bool tracer_works(void);

/* Start a child that calls body(arg) and exits with what that returns: traced from its first call on. Its
 * standard output and error go to `output`, a descriptor, or where ours go if that is -1. */
struct tracer *tracer_fork(const struct tracer_options *options, int (*body)(void *arg), void *arg,
			   int output);

/* Start a program, as in process.h; traced from the first call after its execve on. */
struct tracer *tracer_exec(const struct tracer_options *options, const char *const *arguments,
			   const char *const *environment, int output);

enum tracer_state {
	TRACER_ENDED, /* the process, and all that is traced with it, has ended */
	TRACER_HELD,  /* one of its calls is held; all else of it that runs stops at its next call */
	TRACER_LATE,  /* the time ran out; all is as it was */
};

/* Let it go on until it ends or a call is held. */
enum tracer_state tracer_go(struct tracer *tracer, int64_t timeout_ms);

/* The first process's, and how it ended: its exit code, or 128 and the signal's number. */
pid_t tracer_pid(const struct tracer *tracer);
int tracer_status(const struct tracer *tracer);
int tracer_count(const struct tracer *tracer); /* calls so far */

/* A signal to the first process. */
void tracer_signal(struct tracer *tracer, int signal);

/* Kill what is left, and free it. */
void tracer_end(struct tracer *tracer);

/* Memory of the calling process, during entering and returned: how much was read, up to `size`; -1 for a bad
 * address. tracer_text reads up to the NUL. */
ssize_t tracer_read(const struct tracer_call *call, uint64_t address, void *into, size_t size);
bool tracer_text(const struct tracer_call *call, uint64_t address, char *into, size_t size);

/* "openat"; "call 451" where the name is not known. */
const char *tracer_call_name(long number);

#endif
