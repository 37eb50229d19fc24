/* A `cancelwatch run` beside the test: started, asked to stop, and judged by how it ended, what it wrote,
 * what the spool says of the request, and who is left alive. */
#ifndef SUPPORT_RUN_CASE_H
#define SUPPORT_RUN_CASE_H

#include "tool.h"
#include "tree.h"

#include <cancel/request.h>

#include <sys/types.h>

#define CANCELREQ  BUILD_DIR "/bin/cancelreq"
#define RUN_BINARY BUILD_DIR "/bin/cancelwatch"
#define HOSTILE    BUILD_DIR "/tests/hostile/hostile"

/* Short, where nothing is to end by itself; long, where nothing is to be killed. */
#define SOON  "--grace", "200ms"
#define LATER "--grace", "60s"

/* A command that says "ready" and then waits for ever, and one whom only SIGKILL ends. */
#define WAITING "sh", "-c", "echo ready; exec sleep 1000"
#define DEAF    HOSTILE

enum {
	RUN_CANCELLED = 123,
	RUN_TIMED_OUT = 124,
	RUN_FAILED = 125,
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
	RUN_SIGNAL_BASE = 128,
};

extern struct process run_process; /* the one that is beside the test; its pid is the face's */
extern struct canary run_canary;   /* in this test's process group */

/* For a suite's .init and .fini. The end says so, and aborts, when the canary was touched. */
void run_set_up(void);
void run_tear_down(void);

/* `cancelwatch run` with these words, to its end; what it said is in `tool`. */
#define RUN(...) tool_run(WORDS(RUN_BINARY, "run", __VA_ARGS__), NULL)

/* The same beside the test, and any other program that comes to it. */
#define RUN_START(...)    tool_start(&run_process, WORDS(RUN_BINARY, "run", __VA_ARGS__))
#define RUN_START_BY(...) tool_start(&run_process, WORDS(__VA_ARGS__))

/* Whether a control group can be made here for a command. */
bool run_has_groups(void);

/* A mount namespace is for root, and for who has a root directory that is a mount: in a plain chroot there is none. */
void run_skip_unless_mounts(void);

/* Wait until it has written this, to standard output or standard error. */
void run_await(const char *text);
void run_await_err(const char *text);

/* Wait until this file of the test's directory is there. */
void run_await_file(const char *name);

/* Wait until the supervisor is there, and the command. */
pid_t run_supervisor(void);
pid_t run_command(void);

/* Wait until somebody of the test's is `sleep`: a shell's child may still be on its way to it. */
pid_t run_await_sleep(void);

/* Wait until a process is in that state of /proc. */
void run_await_state(pid_t pid, char state);

/* Ask for a task, as alice, who says "why". */
void run_ask(const char *task_id);

/* Wait until it has ended; it is in `tool` then. */
void run_finish(void);
void run_expect_end(int exit_code);

/* Where the task's request stands. The detail with AGE and pid PID as in tool_plain; NULL: none. */
void run_expect_record(const char *task_id, enum cancel_outcome outcome, const char *detail);
void run_expect_pending(const char *task_id);
void run_expect_none(const char *task_id);

/* It has left no process behind, dead or alive. */
void run_expect_all_gone(void);

#endif
