/* What is promised to cost neither memory nor a system call: each is done in a child whose first system call
 * ends it, and once more while allocations are counted. */
#include "token_calls.h"
#include "token_malloc.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CALLBACKS = 100,
	NO_SECCOMP = 77,
	NO_SYSTEM_CALL = -1,
	WITHOUT_SECCOMP = -2,
};

TestSuite(token_cost, .timeout = 60);

static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");

static struct cancel_source source, child, children[CALLBACKS];
static struct cancel_link links[CALLBACKS];
static struct cancel_deadline deadlines[CALLBACKS], earliest;
static struct token_callee callees[CALLBACKS];
static struct token_calls calls;

static struct cancel_token token_of_source(void)
{
	return cancel_source_token(&source);
}

/* --- what is promised --------------------------------------------------------------------------------- */

static void init_and_end(void)
{
	for (int i = 0; i < CALLBACKS; i++) {
		cancel_source_init(&source, &quota);
		(void)cancel_source_fini(&source);
	}
}

static void register_and_remove(void)
{
	token_callees_add(callees, CALLBACKS, token_of_source(), &calls);
	for (int i = 0; i < CALLBACKS; i += 2)
		(void)cancel_registration_remove(&callees[i].registration);
	for (int i = 1; i < CALLBACKS; i += 2)
		(void)cancel_registration_remove_nowait(&callees[i].registration);
	if (!cancel_registration_try_add(&callees[0].registration, token_of_source(), token_callee_callback,
					 &callees[0]))
		(void)cancel_registration_remove(&callees[0].registration);
}

static void cancel_a_hundred(void)
{
	token_callees_add(callees, CALLBACKS, token_of_source(), &calls);
	(void)cancel_source_cancel(&source, &quota);
	(void)cancel_source_cancel(&source, NULL);
	for (int i = 0; i < CALLBACKS; i++)
		(void)cancel_registration_remove(&callees[i].registration);
	(void)token_callee_add(&callees[0], token_of_source(), &calls, 0);
	(void)cancel_source_quiesce(&source, CANCEL_FOREVER);
	(void)cancel_source_fini(&source);
}

static void remove_all(struct token_callee *callee)
{
	for (int i = 0; i < CALLBACKS; i++)
		(void)cancel_registration_remove(&callees[i].registration);
	(void)callee;
}

static void cancel_and_remove_inside(void)
{
	token_callees_add(callees, CALLBACKS, token_of_source(), &calls);
	callees[CALLBACKS - 3].act = remove_all;
	(void)cancel_source_cancel(&source, NULL);
	(void)cancel_source_fini(&source);
}

static void end_inside(struct token_callee *callee)
{
	(void)cancel_source_fini(&source);
	(void)callee;
}

static void cancel_and_end_inside(void)
{
	token_callees_add(callees, CALLBACKS, token_of_source(), &calls);
	callees[CALLBACKS / 2].act = end_inside;
	(void)cancel_source_cancel(&source, NULL);
}

static void link_and_unlink(void)
{
	struct cancel_token parents[2] = {token_of_source(), cancel_source_token(&children[1])};

	(void)cancel_link_add(&links[0], &children[0], token_of_source());
	(void)cancel_link_remove(&links[0]);
	(void)cancel_linked_init(&child, &quota, links, parents, 2);
	(void)cancel_linked_which(links, 2);
	(void)cancel_linked_fini(&child, links, 2);
}

static void cancel_a_tree(void)
{
	for (int i = 0; i < CALLBACKS; i++) {
		(void)cancel_link_add(&links[i], &children[i],
				      i < 10 ? token_of_source()
					     : cancel_source_token(&children[i / 10 - 1]));
		(void)token_callee_add(&callees[i], cancel_source_token(&children[i]), &calls, i);
	}
	(void)cancel_source_cancel(&source, NULL);
	for (int i = CALLBACKS; i-- > 0;)
		(void)cancel_linked_fini(&children[i], &links[i], 1);
	(void)cancel_source_fini(&source);
}

static void ask(void)
{
	struct cancel_token tokens[3] = {token_of_source(), {NULL}, cancel_source_token(&child)};

	for (int i = 0; i < 2; i++) {
		(void)cancel_token_requested(token_of_source());
		(void)cancel_token_requested_any(tokens, 3);
		(void)cancel_token_possible(token_of_source());
		(void)cancel_token_cause(token_of_source());
		(void)cancel_token_origin(token_of_source());
		(void)cancel_token_error(token_of_source());
		(void)cancel_token_wait(token_of_source(), 0);
		(void)cancel_source_cancel(&source, NULL);
	}
	(void)cancel_token_wait(token_of_source(), CANCEL_FOREVER);
}

static void count_causes(void)
{
	struct cancel_cause counted = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "counted");

	cancel_cause_hold(&counted);
	cancel_cause_drop(&counted);
	cancel_cause_hold(cancel_cause_requested());
	cancel_cause_drop(cancel_cause_deadline());
}

static void serve_again(void)
{
	(void)cancel_source_try_reset(&source, NULL);
}

static void set_and_stop(void)
{
	int64_t now_ns = cancel_clock_now_ns();

	for (int i = 0; i < CALLBACKS; i++) {
		(void)cancel_deadline_set(&deadlines[i], &source, (1000 + (i * 37) % 100) * CANCEL_SECOND,
					  NULL);
		(void)cancel_deadline_set_at(&deadlines[i], &source, now_ns + 2000 * CANCEL_SECOND, NULL);
		(void)cancel_deadline_remaining_ns(&deadlines[i]);
	}
	for (int i = 0; i < CALLBACKS; i++)
		(void)cancel_deadline_stop(&deadlines[i]);
}

/* One that is due before all others. */
static void arm_earliest(void)
{
	(void)cancel_deadline_set(&earliest, &child, 500 * CANCEL_SECOND, NULL);
}

static void disarm_earliest(void)
{
	(void)cancel_deadline_stop(&earliest);
}

struct promise {
	const char *name;
	void (*act)(void);
	void (*before)(void); /* what may cost something; may be NULL */
	void (*after)(void);
};

static const struct promise promises[] = {
	{"init and end", init_and_end, NULL, NULL},
	{"register and remove", register_and_remove, NULL, NULL},
	{"cancel with callbacks", cancel_a_hundred, NULL, NULL},
	{"cancel, and remove in a callback", cancel_and_remove_inside, NULL, NULL},
	{"cancel, and end in a callback", cancel_and_end_inside, NULL, NULL},
	{"link and unlink", link_and_unlink, NULL, NULL},
	{"cancel a tree", cancel_a_tree, NULL, NULL},
	{"ask", ask, NULL, NULL},
	{"hold and drop causes", count_causes, NULL, NULL},
	{"serve again", serve_again, NULL, NULL},
	{"set and stop deadlines", set_and_stop, arm_earliest, disarm_earliest},
};

enum {
	PROMISES = sizeof(promises) / sizeof(promises[0]),
};

static void start_fresh(void)
{
	memset(children, 0, sizeof(children));
	cancel_source_init(&source, NULL);
	cancel_source_init(&child, NULL);
	atomic_store(&calls.count, 0);
}

/* --- system calls ------------------------------------------------------------------------------------- */

static int report_fd;

/* A sanitizer has an _exit of its own, which looks for leaks. */
static void leave(int status)
{
	(void)syscall(SYS_exit_group, status);
}

static void report_call(int number, siginfo_t *info, void *context)
{
	int call = info->si_syscall;
	ssize_t written = write(report_fd, &call, sizeof(call));

	(void)number;
	(void)context;
	leave(written != sizeof(call));
}

/* Every system call is a SIGSYS, but for what tells of it, what ends the process, and, where the kernel's own
 * page does not tell the time, what does. */
static bool forbid_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	struct sigaction action = {.sa_sigaction = report_call, .sa_flags = SA_SIGINFO};

	return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The number of the first system call that `promise` makes, or NO_SYSTEM_CALL. */
static int first_system_call(const struct promise *promise)
{
	int ends[2], call = NO_SYSTEM_CALL, status;
	pid_t pid;

	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		report_fd = ends[1];
		if (promise->before)
			promise->before();
		if (!forbid_system_calls())
			leave(NO_SECCOMP);
		promise->act();
		leave(0);
	}
	(void)close(ends[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (read(ends[0], &call, sizeof(call)) != sizeof(call))
		call = NO_SYSTEM_CALL;
	(void)close(ends[0]);
	cr_assert(WIFEXITED(status), "%s: ended by signal %d", promise->name, WTERMSIG(status));
	return WEXITSTATUS(status) == NO_SECCOMP ? WITHOUT_SECCOMP : call;
}

static void call_the_system(void)
{
	(void)syscall(SYS_getppid);
}

/* DESIGN.md, invariant 29 */
Test(token_cost, no_system_call_where_none_is_needed)
{
	static const struct promise broken = {"a system call", call_the_system, NULL, NULL};
	int seen = first_system_call(&broken);

	if (seen == WITHOUT_SECCOMP)
		cr_skip_test("no seccomp here");
	cr_assert_eq(seen, SYS_getppid, "this test sees nothing");
	for (int i = 0; i < PROMISES; i++) {
		start_fresh();
		seen = first_system_call(&promises[i]);
		cr_assert_eq(seen, NO_SYSTEM_CALL, "%s: system call %d", promises[i].name, seen);
	}
}

/* --- allocations -------------------------------------------------------------------------------------- */

static void *volatile allocated;

static bool allocations_are_counted(void)
{
	long before = token_malloc_count();

	allocated = malloc(1);
	free(allocated);
	return token_malloc_count() > before;
}

/* What may sleep, and what has the dispatcher or the kernel do something. */
static void wait_and_poll(void)
{
	struct cancel_token tokens[3] = {token_of_source(), {NULL}, cancel_source_token(&child)};
	struct pollfd one = {.fd = -1};
	struct cancel_fd fd;

	(void)cancel_token_wait(token_of_source(), 1000);
	(void)cancel_token_wait_any(tokens, 3, 1000);
	(void)cancel_token_poll(token_of_source(), &one, 1, 1000);
	if (!cancel_fd_open(&fd, token_of_source()))
		cancel_fd_close(&fd);
}

static void start_dispatcher(void)
{
	(void)cancel_dispatcher_start();
}

static void let_the_dispatcher_cancel(void)
{
	token_callees_add(callees, CALLBACKS, token_of_source(), &calls);
	if (cancel_source_cancel_deferred(&source, NULL) > 0)
		(void)cancel_source_fini(&source);
	(void)cancel_deadline_set(&earliest, &child, 1000, NULL);
	(void)cancel_token_wait(cancel_source_token(&child), CANCEL_FOREVER);
	(void)cancel_source_fini(&child);
	cancel_source_init(&source, NULL);
	(void)cancel_source_cancel_from_signal(&source, NULL);
	(void)cancel_source_fini(&source);
}

static const struct promise without_memory[] = {
	{"wait and poll", wait_and_poll, NULL, NULL},
	{"deferred, deadline, signal", let_the_dispatcher_cancel, start_dispatcher, NULL},
};

static void expect_no_allocation(const struct promise *promise)
{
	long before;

	start_fresh();
	if (promise->before)
		promise->before();
	before = token_malloc_count();
	promise->act();
	cr_assert_eq(token_malloc_count(), before, "%s: %ld allocations", promise->name,
		     token_malloc_count() - before);
	if (promise->after)
		promise->after();
}

/* DESIGN.md, invariant 29 */
Test(token_cost, no_allocation)
{
	if (!allocations_are_counted())
		cr_skip_test("something else stands in for malloc here");
	for (int i = 0; i < PROMISES; i++)
		expect_no_allocation(&promises[i]);
	for (size_t i = 0; i < sizeof(without_memory) / sizeof(without_memory[0]); i++)
		expect_no_allocation(&without_memory[i]);
}

Test(token_cost, a_source_on_the_heap_is_one_allocation)
{
	struct cancel_source *heap;
	long before;

	if (!allocations_are_counted())
		cr_skip_test("something else stands in for malloc here");
	before = token_malloc_count();
	heap = cancel_source_new(NULL);
	cr_assert_eq(token_malloc_count(), before + 1);
	cr_assert_eq(cancel_source_drop(heap), 0);
}
