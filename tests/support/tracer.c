#include "tracer.h"

#include "process.h"

#include <stdlib.h>

#if defined(__x86_64__)

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_AGAIN_NS = 5000000, /* a SIGCHLD that another thread took costs this */
	EXIT_NOT_STARTED = 127,
	EXIT_SIGNAL_BASE = 128,
	CALL_STOP = SIGTRAP | 0x80,
	THREADS_MIN = 8,
	PAGE_BYTES = 4096,
	BODY_RETURNED = 0x7fffff, /* no call has this number: the child tells its tracer by it */
	WORKS_MS = 30000,
	ANSWER = 4711,
	OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
		  PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL,
	RESULT_AT = offsetof(struct user_regs_struct, rax),
	NUMBER_AT = offsetof(struct user_regs_struct, orig_rax),
	THIRD_ARGUMENT_AT = offsetof(struct user_regs_struct, rdx),
};

struct thread {
	struct tracer_call call; /* the latest */
	bool is_inside;          /* between entering and returning of a call that was asked about */
	bool is_answered;        /* it is not made; call.result is what it returns */
	bool is_spoiled;         /* it is made, and call.result is what it returns all the same */
	bool is_shortened;       /* the third argument is to be put back */
};

struct tracer {
	struct tracer *other; /* the next one that there is */
	struct tracer_options options;
	struct thread *threads; /* those that live */
	size_t thread_count, thread_room;
	size_t next; /* whose turn it is to be looked at */
	pid_t pid;
	int status;
	int count;
	pid_t held; /* 0: nobody */
	bool is_program;
	bool has_begun;       /* the first stop, and of a program its execve, is over */
	bool is_silent;       /* the body has returned: what follows is not its */
	bool may_have_strays; /* somebody died who may have been making a child */
};

static struct tracer *tracers;

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- the threads ---------------------------------------------------------------------------------------- */

/* "\nTgid:" and the like, of /proc; -1 if the thread is gone or there is no /proc. */
static pid_t read_status(pid_t thread, const char *key)
{
	char path[40], text[4096];
	ssize_t got;
	char *found;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	got = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (got < 0)
		return -1;
	text[got] = '\0';
	found = strstr(text, key);
	return found ? (pid_t)strtol(found + strlen(key), NULL, 10) : -1;
}

static struct thread *find_thread(struct tracer *tracer, pid_t id)
{
	for (size_t i = 0; i < tracer->thread_count; i++)
		if (tracer->threads[i].call.thread == id)
			return &tracer->threads[i];
	return NULL;
}

static void add_thread(struct tracer *tracer, pid_t id, pid_t process)
{
	if (find_thread(tracer, id))
		return;
	if (tracer->thread_count == tracer->thread_room) {
		size_t room = tracer->thread_room ? 2 * tracer->thread_room : THREADS_MIN;

		tracer->threads = realloc(tracer->threads, room * sizeof(*tracer->threads));
		if (!tracer->threads)
			give_up("realloc");
		tracer->thread_room = room;
	}
	tracer->threads[tracer->thread_count++] = (struct thread){
		.call = {
			.tracer = tracer, .thread = id, .process = process > 0 ? process : id, .number = -1}};
}

static bool makes_child(const struct thread *thread)
{
	long number = thread->call.number;

	return thread->is_inside &&
	       (number == SYS_clone || number == SYS_clone3 || number == SYS_fork || number == SYS_vfork);
}

static void remove_thread(struct tracer *tracer, pid_t id)
{
	struct thread *thread = find_thread(tracer, id);

	if (!thread)
		return;
	tracer->may_have_strays |= makes_child(thread);
	*thread = tracer->threads[--tracer->thread_count];
	if (tracer->held == id)
		tracer->held = 0;
}

/* A thread that is gone, or dying, is heard of by waitpid. */
static void resume(pid_t id, int signal)
{
	(void)ptrace(PTRACE_SYSCALL, id, NULL, (void *)(intptr_t)signal);
}

/* --- calls ---------------------------------------------------------------------------------------------- */

static void poke(pid_t id, size_t offset, uint64_t value)
{
	(void)ptrace(PTRACE_POKEUSER, id, (void *)offset, (void *)(uintptr_t)value);
}

static struct tracer_order ask(const struct tracer *tracer, const struct tracer_call *call)
{
	if (!tracer->options.entering)
		return (struct tracer_order){.what = TRACER_PROCEED};
	return tracer->options.entering(tracer->options.arg, call);
}

static void answer(struct thread *thread, int64_t result)
{
	poke(thread->call.thread, NUMBER_AT, UINT64_MAX);
	thread->is_answered = true;
	thread->call.result = result;
}

static void shorten(struct thread *thread, int64_t size)
{
	if (thread->call.arguments[2] <= (uint64_t)size)
		return;
	poke(thread->call.thread, THIRD_ARGUMENT_AT, (uint64_t)size);
	thread->is_shortened = true;
}

static void obey(struct tracer *tracer, struct thread *thread, struct tracer_order order)
{
	switch (order.what) {
	case TRACER_PROCEED:
		break;
	case TRACER_FAIL:
		answer(thread, -order.value);
		break;
	case TRACER_ANSWER:
		answer(thread, order.value);
		break;
	case TRACER_SPOIL:
		thread->is_spoiled = true;
		thread->call.result = -order.value;
		break;
	case TRACER_SHORTEN:
		shorten(thread, order.value);
		break;
	case TRACER_KILL:
		(void)kill(thread->call.process, SIGKILL);
		break;
	case TRACER_HOLD:
		tracer->held = thread->call.thread;
		break;
	}
}

static void enter(struct tracer *tracer, struct thread *thread, const struct __ptrace_syscall_info *info)
{
	thread->call.number = (long)info->entry.nr;
	memcpy(thread->call.arguments, info->entry.args, sizeof(thread->call.arguments));
	thread->call.result = 0;
	thread->is_answered = thread->is_spoiled = thread->is_shortened = false;
	if (thread->call.number == BODY_RETURNED)
		tracer->is_silent = true;
	thread->is_inside = !tracer->is_silent;
	if (!thread->is_inside)
		return;
	thread->call.index = tracer->count++;
	obey(tracer, thread, ask(tracer, &thread->call));
}

static void leave(struct tracer *tracer, struct thread *thread, const struct __ptrace_syscall_info *info)
{
	if (!thread->is_inside)
		return;
	thread->is_inside = false;
	if (thread->is_answered || thread->is_spoiled)
		poke(thread->call.thread, RESULT_AT, (uint64_t)thread->call.result);
	else
		thread->call.result = info->exit.rval;
	if (thread->is_shortened)
		poke(thread->call.thread, THIRD_ARGUMENT_AT, thread->call.arguments[2]);
	if (tracer->options.returned)
		tracer->options.returned(tracer->options.arg, &thread->call);
}

static void stop_at_call(struct tracer *tracer, struct thread *thread)
{
	struct __ptrace_syscall_info info;
	pid_t id = thread->call.thread;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, id, (void *)sizeof(info), &info) > 0) {
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			enter(tracer, thread, &info);
		else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
			leave(tracer, thread, &info);
	}
	if (tracer->held != id)
		resume(id, 0);
}

/* --- other stops ---------------------------------------------------------------------------------------- */

/* A child stops by itself before its first call, and is waited for from here on. */
static void meet_child(struct tracer *tracer, const struct thread *parent, bool may_share_process)
{
	unsigned long child = 0;
	pid_t process = 0;

	if (ptrace(PTRACE_GETEVENTMSG, parent->call.thread, NULL, &child) < 0)
		return;
	if (may_share_process)
		process = read_status((pid_t)child, "\nTgid:");
	add_thread(tracer, (pid_t)child, process);
}

/* A thread that is not the first and calls execve takes the first one's id. */
static void become_program(struct tracer *tracer, pid_t id)
{
	unsigned long former = 0;

	if (ptrace(PTRACE_GETEVENTMSG, id, NULL, &former) == 0 && (pid_t)former != id)
		remove_thread(tracer, (pid_t)former);
	tracer->has_begun = true;
}

static void stop_at_event(struct tracer *tracer, struct thread *thread, int event, int signal)
{
	pid_t id = thread->call.thread;

	switch (event) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		meet_child(tracer, thread, false);
		break;
	case PTRACE_EVENT_CLONE:
		meet_child(tracer, thread, true);
		break;
	case PTRACE_EVENT_EXEC:
		become_program(tracer, id);
		break;
	case PTRACE_EVENT_STOP:
		if (signal == SIGTRAP)
			break;
		(void)ptrace(PTRACE_LISTEN, id, NULL, NULL); /* stopped by a signal, until SIGCONT */
		return;
	default:
		break;
	}
	resume(id, 0);
}

/* It waits for us with a SIGSTOP of its own. A program is let run up to its execve. */
static void begin(struct tracer *tracer, pid_t id, int signal)
{
	if (signal != SIGSTOP) {
		(void)ptrace(PTRACE_CONT, id, NULL, (void *)(intptr_t)signal);
		return;
	}
	tracer->has_begun = !tracer->is_program;
	(void)ptrace(tracer->is_program ? PTRACE_CONT : PTRACE_SYSCALL, id, NULL, NULL);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? EXIT_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}

static void handle(struct tracer *tracer, struct thread *thread, int status)
{
	pid_t id = thread->call.thread;
	int event = status >> 16, signal = WSTOPSIG(status);

	if (!WIFSTOPPED(status)) {
		if (id == tracer->pid)
			tracer->status = exit_code(status);
		remove_thread(tracer, id);
	} else if (event) {
		stop_at_event(tracer, thread, event, signal);
	} else if (signal == CALL_STOP) {
		stop_at_call(tracer, thread);
	} else if (!tracer->has_begun) {
		begin(tracer, id, signal);
	} else {
		resume(id, signal);
	}
}

/* --- going on ------------------------------------------------------------------------------------------- */

/* Whether anybody had stopped or ended. By id: other children, and other tracers', are not ours to wait for.
 */
static bool handle_one(struct tracer *tracer)
{
	for (size_t i = 0; i < tracer->thread_count; i++) {
		struct thread *thread = &tracer->threads[(tracer->next + i) % tracer->thread_count];
		int status;
		pid_t got = waitpid(thread->call.thread, &status, __WALL | WNOHANG);

		if (got == 0)
			continue;
		tracer->next += i + 1;
		if (got > 0)
			handle(tracer, thread, status);
		else
			remove_thread(tracer, thread->call.thread);
		return true;
	}
	return false;
}

/* Some tracer's already, or it will be: of a parent that has yet to tell. */
static bool is_known(pid_t id, pid_t parent)
{
	for (struct tracer *tracer = tracers; tracer; tracer = tracer->other)
		if (find_thread(tracer, id) || find_thread(tracer, parent))
			return true;
	return false;
}

/* Who came of a process that was killed before it could tell would wait for us for ever. */
static void adopt_strays(struct tracer *tracer)
{
	pid_t self = (pid_t)syscall(SYS_gettid);
	struct dirent *entry;
	DIR *stream;

	tracer->may_have_strays = false;
	stream = opendir("/proc");
	if (!stream)
		return;
	while ((entry = readdir(stream))) {
		pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

		if (id > 0 && read_status(id, "\nTracerPid:") == self &&
		    !is_known(id, read_status(id, "\nPPid:")))
			add_thread(tracer, id, 0);
	}
	(void)closedir(stream);
}

/* And a thread of one that was killed before it could tell of it keeps all of that from ending. */
static void adopt_stray_threads(struct tracer *tracer)
{
	pid_t self = (pid_t)syscall(SYS_gettid);

	for (size_t i = 0; i < tracer->thread_count; i++) {
		pid_t process = tracer->threads[i].call.process;
		struct dirent *entry;
		char path[40];
		DIR *stream;

		(void)snprintf(path, sizeof(path), "/proc/%d/task", process);
		stream = opendir(path);
		while (stream && (entry = readdir(stream))) {
			pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

			if (id > 0 && !find_thread(tracer, id) && read_status(id, "\nTracerPid:") == self)
				add_thread(tracer, id, process);
		}
		if (stream)
			(void)closedir(stream);
	}
}

/* As far as it goes without waiting. */
static void handle_all(struct tracer *tracer)
{
	while (!tracer->held && handle_one(tracer))
		continue;
	if (tracer->thread_count == 0 && tracer->may_have_strays)
		adopt_strays(tracer);
}

static enum tracer_state go_until(struct tracer *tracer, int64_t deadline_ns, const sigset_t *child_signal)
{
	for (;;) {
		struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
		int64_t left_ns;

		handle_all(tracer);
		if (tracer->held)
			return TRACER_HELD;
		if (tracer->thread_count == 0)
			return TRACER_ENDED;
		left_ns = deadline_ns - now_ns();
		if (left_ns <= 0)
			return TRACER_LATE;
		if (left_ns < LOOK_AGAIN_NS)
			pause.tv_nsec = left_ns;
		if (sigtimedwait(child_signal, NULL, &pause) < 0)
			adopt_stray_threads(tracer);
	}
}

enum tracer_state tracer_go(struct tracer *tracer, int64_t timeout_ms)
{
	sigset_t child_signal, before;
	enum tracer_state state;
	pid_t held = tracer->held;

	(void)sigemptyset(&child_signal);
	(void)sigaddset(&child_signal, SIGCHLD);
	(void)pthread_sigmask(SIG_BLOCK, &child_signal, &before);
	tracer->held = 0;
	if (held)
		resume(held, 0);
	state = go_until(tracer, now_ns() + timeout_ms * 1000000, &child_signal);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return state;
}

/* --- starting ------------------------------------------------------------------------------------------- */

/* With SIGCHLD ignored, children would be reaped before we saw them end. */
static void mind_children(void)
{
	struct sigaction action;

	if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		(void)signal(SIGCHLD, SIG_DFL);
}

/* Wait until we are traced, and then for the first order. */
static void await_tracer(int gate_fd, int output)
{
	char letter;

	if (output >= 0 && (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0))
		_exit(EXIT_NOT_STARTED);
	while (read(gate_fd, &letter, 1) < 0 && errno == EINTR)
		continue;
	(void)close(gate_fd);
	(void)syscall(SYS_kill, getpid(), SIGSTOP);
}

static void seize(struct tracer *tracer)
{
	if (ptrace(PTRACE_SEIZE, tracer->pid, NULL, (void *)(uintptr_t)OPTIONS) < 0) {
		perror("ptrace");
		(void)kill(tracer->pid, SIGKILL);
	}
	add_thread(tracer, tracer->pid, tracer->pid);
	tracer->other = tracers;
	tracers = tracer;
}

/* The child returns from here too, as soon as it is traced; its `pid` is 0. */
static struct tracer *start(const struct tracer_options *options, int output, bool is_program)
{
	struct tracer *tracer = calloc(1, sizeof(*tracer));
	int gate[2];

	if (!tracer || pipe2(gate, O_CLOEXEC) < 0)
		give_up("tracer");
	*tracer = (struct tracer){.is_program = is_program, .status = -1};
	if (options)
		tracer->options = *options;
	mind_children();
	(void)fflush(NULL);
	tracer->pid = fork();
	if (tracer->pid < 0)
		give_up("fork");
	if (tracer->pid == 0) {
		(void)close(gate[1]);
		await_tracer(gate[0], output);
		return tracer;
	}
	(void)close(gate[0]);
	seize(tracer);
	(void)close(gate[1]);
	return tracer;
}

/* Where the program counts which of its lines were reached: _exit() alone would forget them. */
extern void __gcov_dump(void) __attribute__((weak));

struct tracer *tracer_fork(const struct tracer_options *options, int (*body)(void *arg), void *arg,
			   int output)
{
	struct tracer *tracer = start(options, output, false);
	int result;

	if (tracer->pid > 0)
		return tracer;
	free(tracer);
	result = body(arg);
	(void)syscall(BODY_RETURNED);
	if (__gcov_dump)
		__gcov_dump();
	_exit(result);
}

/* A program begins as from a shell, with nothing to read. */
static void prepare_program(void)
{
	int input_fd = memfd_create("input", MFD_CLOEXEC);
	sigset_t none;

	if (input_fd < 0 || dup2(input_fd, STDIN_FILENO) < 0)
		_exit(EXIT_NOT_STARTED);
	(void)close(input_fd);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
}

struct tracer *tracer_exec(const struct tracer_options *options, const char *const *arguments,
			   const char *const *environment, int output)
{
	struct tracer *tracer = start(options, output, true);

	if (tracer->pid > 0)
		return tracer;
	prepare_program();
	process_change_environment(environment);
	(void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	perror(arguments[0]);
	_exit(EXIT_NOT_STARTED);
}

/* --- what there is to know, and the end ----------------------------------------------------------------- */

pid_t tracer_pid(const struct tracer *tracer)
{
	return tracer->pid;
}

int tracer_status(const struct tracer *tracer)
{
	return tracer->status;
}

int tracer_count(const struct tracer *tracer)
{
	return tracer->count;
}

void tracer_signal(struct tracer *tracer, int signal)
{
	if (find_thread(tracer, tracer->pid))
		(void)kill(tracer->pid, signal);
}

static void kill_all(const struct tracer *tracer)
{
	for (size_t i = 0; i < tracer->thread_count; i++)
		(void)kill(tracer->threads[i].call.process, SIGKILL);
}

static void forget(const struct tracer *tracer)
{
	struct tracer **link = &tracers;

	while (*link != tracer)
		link = &(*link)->other;
	*link = tracer->other;
}

void tracer_end(struct tracer *tracer)
{
	if (!tracer)
		return;
	tracer->options = (struct tracer_options){.entering = NULL};
	while (tracer->thread_count > 0) {
		kill_all(tracer);
		(void)tracer_go(tracer, LOOK_AGAIN_NS / 1000000);
	}
	forget(tracer);
	free(tracer->threads);
	free(tracer);
}

/* --- memory --------------------------------------------------------------------------------------------- */

ssize_t tracer_read(const struct tracer_call *call, uint64_t address, void *into, size_t size)
{
	const struct iovec ours = {.iov_base = into, .iov_len = size};
	const struct iovec theirs = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};

	return process_vm_readv(call->thread, &ours, 1, &theirs, 1, 0);
}

/* Page by page: the next one may not be there. */
bool tracer_text(const struct tracer_call *call, uint64_t address, char *into, size_t size)
{
	size_t length = 0;

	while (length < size) {
		size_t part = PAGE_BYTES - (address + length) % PAGE_BYTES;
		ssize_t got;

		part = part < size - length ? part : size - length;
		got = tracer_read(call, address + length, into + length, part);
		if (got <= 0)
			break;
		if (memchr(into + length, '\0', (size_t)got))
			return true;
		length += (size_t)got;
	}
	if (size > 0)
		into[length < size ? length : size - 1] = '\0';
	return false;
}

/* --- whether it works ----------------------------------------------------------------------------------- */

static struct tracer_order answer_getppid(void *arg, const struct tracer_call *call)
{
	(void)arg;
	if (call->number == SYS_getppid)
		return (struct tracer_order){.what = TRACER_ANSWER, .value = ANSWER};
	return (struct tracer_order){.what = TRACER_PROCEED};
}

static int is_answered(void *arg)
{
	(void)arg;
	return syscall(SYS_getppid) == ANSWER;
}

bool tracer_works(void)
{
	static int works = -1;
	const struct tracer_options options = {.entering = answer_getppid};
	struct tracer *tracer;

	if (works >= 0)
		return works;
	tracer = tracer_fork(&options, is_answered, NULL, -1);
	works = tracer_go(tracer, WORKS_MS) == TRACER_ENDED && tracer_status(tracer) == 1;
	tracer_end(tracer);
	return works;
}

#else

/* Nobody calls the rest where this is false. */
bool tracer_works(void)
{
	return false;
}

struct tracer *tracer_fork(const struct tracer_options *options, int (*body)(void *arg), void *arg,
			   int output)
{
	(void)options, (void)body, (void)arg, (void)output;
	abort();
}

struct tracer *tracer_exec(const struct tracer_options *options, const char *const *arguments,
			   const char *const *environment, int output)
{
	(void)options, (void)arguments, (void)environment, (void)output;
	abort();
}

enum tracer_state tracer_go(struct tracer *tracer, int64_t timeout_ms)
{
	(void)tracer, (void)timeout_ms;
	abort();
}

pid_t tracer_pid(const struct tracer *tracer)
{
	(void)tracer;
	abort();
}

int tracer_status(const struct tracer *tracer)
{
	(void)tracer;
	abort();
}

int tracer_count(const struct tracer *tracer)
{
	(void)tracer;
	abort();
}

void tracer_signal(struct tracer *tracer, int signal)
{
	(void)tracer, (void)signal;
}

void tracer_end(struct tracer *tracer)
{
	(void)tracer;
}

ssize_t tracer_read(const struct tracer_call *call, uint64_t address, void *into, size_t size)
{
	(void)call, (void)address, (void)into, (void)size;
	return -1;
}

bool tracer_text(const struct tracer_call *call, uint64_t address, char *into, size_t size)
{
	(void)call, (void)address, (void)into, (void)size;
	return false;
}

#endif
