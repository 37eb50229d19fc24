#include "victim.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PROGRAM_WORDS = 7,
	EXIT_NOT_STARTED = 127,
	EXIT_SIGNALLED = 128,
};

/* One operation that is going on. */
struct work {
	const struct stage *stage;
	struct cancel_spool *spool;
	struct cancel_error error;
	struct verdict *verdict;
	const char *what;
};

static void __attribute__((format(printf, 2, 3))) tell(struct work *work, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(work->verdict->violation, sizeof work->verdict->violation, format, arguments);
	va_end(arguments);
}

/* --- what the operations need to be about ------------------------------------------------------------- */

static int ask_for(struct work *work, const char *task, int64_t expires_in_s)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = task;
	request.reason = "asked by the victim";
	request.expires_in_s = expires_in_s;
	code = cancel_spool_request(work->spool, &request, NULL, &work->error);
	cancel_request_clear(&request);
	return code;
}

/* As careful as a user of a directory that is not only his must be: the harm that is looked for is the
 * library's. */
static int open_directory(const struct work *work, const char *name)
{
	int spool_fd = open(work->stage->spool, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = spool_fd < 0 ? -1 : openat(spool_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (spool_fd >= 0)
		(void)close(spool_fd);
	return fd;
}

static void put(struct work *work, const char *directory, const char *name, const char *text)
{
	int dir_fd = open_directory(work, directory), fd;

	if (dir_fd < 0)
		return;
	fd = openat(dir_fd, ".draft", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0 ||
		    renameat2(dir_fd, ".draft", dir_fd, name, RENAME_NOREPLACE) < 0)
			(void)unlinkat(dir_fd, ".draft", 0);
		(void)close(fd);
	}
	(void)close(dir_fd);
}

static void remove_bell(struct work *work)
{
	int dir_fd = open_directory(work, ".");

	if (dir_fd < 0)
		return;
	(void)unlinkat(dir_fd, "bell", 0);
	(void)close(dir_fd);
}

/* The bell is made by whoever rings where there is none. */
static void prepare_ask(struct work *work)
{
	(void)cancel_spool_reset(work->spool, "task", NULL, NULL);
	remove_bell(work);
}

static void prepare_standing(struct work *work)
{
	(void)ask_for(work, "task", 3600);
}

static void prepare_sweep(struct work *work)
{
	put(work, "pending", "old.json",
	    "{\"task_id\": \"old\", \"requested_at\": \"2020-01-01T00:00:00Z\", \"expires_in_s\": 1}");
	prepare_standing(work);
	(void)cancel_spool_decide(work->spool, "task", NULL, NULL, CANCEL_OUTCOME_STOPPED, NULL, NULL, NULL);
	put(work, "tmp", "task.drop", "{\"reason\": \"left\"}");
	remove_bell(work);
}

/* So that who looks at its size, and then reads something else, reads the whole of that. */
#define ROOM_FOR_A_SECRET                                                                                  \
	"                                                                                                " \
	"                                                                                                "

static void prepare_intake(struct work *work)
{
	(void)cancel_spool_reset(work->spool, "task", NULL, NULL);
	put(work, ".", "task.json", "{\"reason\": \"dropped\"" ROOM_FOR_A_SECRET "}");
}

/* --- the operations ----------------------------------------------------------------------------------- */

static int act_ask(struct work *work)
{
	return ask_for(work, "task", 3600);
}

static int act_merge(struct work *work)
{
	return ask_for(work, "task", CANCEL_EXPIRES_NEVER);
}

static void on_result(void *arg, int64_t tag, int result, const struct cancel_request *request,
		      const struct cancel_error *error)
{
	(void)arg, (void)tag, (void)result, (void)request, (void)error;
}

static int act_batch(struct work *work)
{
	static const char *const tasks[] = {"task", "task2", "task3"};
	struct cancel_batch *batch;
	int code = cancel_batch_open(&batch, work->spool, on_result, NULL, &work->error);

	if (code < 0)
		return code;
	for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
		struct cancel_request request;

		cancel_request_init(&request);
		request.task_id = tasks[i];
		cancel_batch_add(batch, &request, (int64_t)i);
	}
	return cancel_batch_close(batch, &work->error);
}

static int decide(struct work *work, enum cancel_outcome outcome)
{
	return cancel_spool_decide(work->spool, "task", NULL, NULL, outcome, "by the victim", NULL,
				   &work->error);
}

static int act_decide(struct work *work)
{
	return decide(work, CANCEL_OUTCOME_STOPPED);
}

static int act_withdraw(struct work *work)
{
	return decide(work, CANCEL_OUTCOME_WITHDRAWN);
}

static int act_reset(struct work *work)
{
	return cancel_spool_reset(work->spool, "task", NULL, &work->error);
}

static int act_look_up(struct work *work)
{
	return cancel_spool_lookup(work->spool, "task", NULL, NULL, &work->error);
}

static int act_sweep(struct work *work)
{
	struct cancel_sweep_options options = {.keep_for_s = 0};
	struct cancel_sweep_result result;

	return cancel_spool_sweep(work->spool, &options, NULL, NULL, &result, &work->error);
}

static int act_intake(struct work *work)
{
	return cancel_spool_intake(work->spool, NULL, NULL, &work->error);
}

static int act_nothing(struct work *work)
{
	(void)work;
	return 0;
}

static int open_manager(struct work *work, struct cancel_manager **manager)
{
	struct cancel_spool_options spool;
	struct cancel_manager_options options;

	stage_options(work->stage, &spool);
	cancel_manager_options_init(&options);
	options.spool = &spool;
	return cancel_manager_open(manager, &options, &work->error);
}

static int run_task(struct work *work, const char *task_id, bool *cancelled)
{
	struct cancel_manager *manager;
	struct cancel_task *task;
	int code = open_manager(work, &manager);

	if (code < 0)
		return code;
	code = cancel_task_begin(&task, manager, task_id, NULL, &work->error);
	if (code >= 0) {
		*cancelled = cancel_task_check(task, &work->error) == 1 || cancel_task_checkpoint(task);
		code = cancel_task_end(task, *cancelled ? CANCEL_OUTCOME_STOPPED : CANCEL_OUTCOME_FINISHED,
				       NULL, &work->error);
	}
	(void)cancel_manager_close(manager);
	return code;
}

static int act_run(struct work *work)
{
	bool cancelled = false;

	return run_task(work, "task", &cancelled);
}

static void on_event(void *arg, const struct cancel_event *event)
{
	(void)arg;
	(void)event;
}

static int act_watch(struct work *work)
{
	struct cancel_watch *watch;
	int code = cancel_watch_open(&watch, work->spool, NULL, &work->error);

	if (code < 0)
		return code;
	for (int i = 0; i < 2 && code >= 0; i++)
		code = cancel_watch_dispatch(watch, on_event, NULL, &work->error);
	cancel_watch_close(watch);
	return code;
}

/* DESIGN.md, invariant 21: the attacker alone asks for "claim", and his text says that the victim did. */
static int check_requester(void *arg, const struct cancel_list_entry *entry)
{
	struct work *work = arg;
	const struct cancel_request *request = entry->request;

	if (work->stage->form->attributes && request && request->task_id &&
	    !strcmp(request->task_id, "claim") && request->requester.uid != (int64_t)work->stage->attacker)
		tell(work, "a request that uid %u made is told as one of uid %lld", work->stage->attacker,
		     (long long)request->requester.uid);
	if (request && request->reason && strstr(request->reason, STAGE_SECRET))
		tell(work, "the secret is in the reason of '%s'", request->task_id);
	return 0;
}

static int visit_run(void *arg, const struct cancel_run *run)
{
	(void)arg;
	(void)run;
	return 0;
}

static int act_list(struct work *work)
{
	struct cancel_statistics statistics;
	struct cancel_spool_info info;
	int code = cancel_spool_list(work->spool, CANCEL_LIST_ALL, check_requester, work, &work->error);

	(void)cancel_spool_runs(work->spool, visit_run, work, NULL);
	(void)cancel_spool_statistics(work->spool, &statistics, NULL);
	(void)cancel_spool_info(work->spool, &info, NULL);
	return code;
}

static int look_at_quiet(struct work *work)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	code = cancel_spool_check(work->spool, "quiet", NULL, NULL, &request, &work->error);
	if (code > 0 && work->stage->form->quiet)
		tell(work, "a task was cancelled on the word of somebody who is not trusted (uid %lld: %s)",
		     (long long)request.requester.uid, request.reason);
	cancel_request_clear(&request);
	return code;
}

/* DESIGN.md, invariant 16: whom we do not trust cancels nobody. */
static int act_quiet(struct work *work)
{
	bool cancelled = false;
	int code = look_at_quiet(work);

	(void)run_task(work, "quiet", &cancelled);
	if (cancelled && work->stage->form->quiet)
		tell(work, "a run was cancelled on the word of somebody who is not trusted");
	return code;
}

static int act_keep(struct work *work)
{
	static int number;
	char task[32];
	int code;

	(void)snprintf(task, sizeof task, "kept-%d", ++number);
	code = ask_for(work, task, CANCEL_EXPIRES_NEVER);
	if (code >= 0)
		work->verdict->kept = number;
	return code;
}

static const struct act {
	const char *name;
	void (*prepare)(struct work *work);
	int (*act)(struct work *work);
} acts[OPERATION_LIBRARY_COUNT] = {
	[OPERATION_ASK] = {"request", prepare_ask, act_ask},
	[OPERATION_MERGE] = {"merge", prepare_standing, act_merge},
	[OPERATION_BATCH] = {"batch", prepare_ask, act_batch},
	[OPERATION_DECIDE] = {"decide", prepare_standing, act_decide},
	[OPERATION_WITHDRAW] = {"withdraw", prepare_standing, act_withdraw},
	[OPERATION_RESET] = {"reset", prepare_standing, act_reset},
	[OPERATION_LOOK_UP] = {"lookup", prepare_standing, act_look_up},
	[OPERATION_SWEEP] = {"sweep", prepare_sweep, act_sweep},
	[OPERATION_INTAKE] = {"intake", prepare_intake, act_intake},
	[OPERATION_OPEN] = {"open", NULL, act_nothing},
	[OPERATION_MAKE] = {"make", NULL, act_nothing},
	[OPERATION_RUN] = {"begin, checkpoint, end", prepare_standing, act_run},
	[OPERATION_WATCH] = {"watch", prepare_standing, act_watch},
	[OPERATION_LIST] = {"list", prepare_standing, act_list},
	[OPERATION_QUIET] = {"check", NULL, act_quiet},
	[OPERATION_KEEP] = {"request to keep", NULL, act_keep},
};

static const char *const programs[OPERATION_PROGRAM_COUNT][PROGRAM_WORDS] = {
	{"cancelreq", "task", "because"},
	{"cancelreq", "--status", "task"},
	{"cancelreq", "--check", "task"},
	{"cancelreq", "--list"},
	{"cancelreq", "--list", "--running"},
	{"cancelreq", "--ack", "task"},
	{"cancelreq", "--withdraw", "task"},
	{"cancelwatch", "sweep"},
	{"cancelwatch", "status"},
	{"cancelwatch", "doctor"},
	{"cancelwatch", "run", "task", "--", "true"},
};

const char *victim_operation_name(int operation)
{
	static char name[64];

	if (operation < OPERATION_PROGRAM)
		return acts[operation].name;
	(void)snprintf(name, sizeof name, "%s %s", programs[operation - OPERATION_PROGRAM][0],
		       programs[operation - OPERATION_PROGRAM][1]);
	return name;
}

/* --- doing one ---------------------------------------------------------------------------------------- */

static int act_in_library(struct work *work, const struct act *act)
{
	struct cancel_spool_options options;
	bool opens = act->act == act_nothing;
	int code;

	stage_options(work->stage, &options);
	if (opens)
		(void)getppid();
	code = cancel_spool_open(&work->spool, &options, &work->error);
	if (code < 0)
		return code;
	if (act->prepare)
		act->prepare(work);
	if (!opens)
		(void)getppid();
	code = act->act(work);
	(void)getppid();
	cancel_spool_close(work->spool);
	return code;
}

static int program_fds[2];

static bool find_program(int *fd, const char *variable, const char *path)
{
	const char *other = getenv(variable);

	*fd = open(other ? other : path, O_PATH | O_CLOEXEC);
	return *fd >= 0;
}

bool victim_find_programs(void)
{
	return find_program(&program_fds[0], "CANCELREQ", BUILD_DIR "/bin/cancelreq") &&
	       find_program(&program_fds[1], "CANCELWATCH", BUILD_DIR "/bin/cancelwatch");
}

static void become_program(const struct work *work, const char *const *words)
{
	int null_fd = open("/dev/null", O_RDWR);

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		(void)dup2(null_fd, fd);
	(void)setenv("CANCEL_CONFIG", work->stage->config, 1);
	(void)unsetenv("TASK_CANCELLATION_DIR");
	(void)execveat(program_fds[!strcmp(words[0], "cancelwatch")], "", (char *const *)(uintptr_t)words,
		       environ, AT_EMPTY_PATH);
	_exit(EXIT_NOT_STARTED);
}

static int act_by_program(struct work *work, const char *const *words)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		become_program(work, words);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFSIGNALED(status))
		tell(work, "%s was killed by signal %d", words[0], WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_STARTED)
		tell(work, "%s could not be started", words[0]);
	return WIFSIGNALED(status) ? -EIO : -WEXITSTATUS(status);
}

int victim_act(const struct stage *stage, int operation, struct verdict *verdict)
{
	struct work work = {.stage = stage, .verdict = verdict, .what = victim_operation_name(operation)};

	*verdict = (struct verdict){0};
	verdict->code = operation < OPERATION_PROGRAM
				? act_in_library(&work, &acts[operation])
				: act_by_program(&work, programs[operation - OPERATION_PROGRAM]);
	(void)snprintf(verdict->text, sizeof verdict->text, "%s", work.error.text);
	if (strstr(verdict->text, STAGE_SECRET))
		tell(&work, "the secret is in a sentence: %s", verdict->text);
	return 0;
}

/* --- one after the other ------------------------------------------------------------------------------ */

struct victim {
	const struct stage *stage;
	pid_t pid;
	int fd;
};

static void live(const struct victim *victim)
{
	struct verdict verdict;
	int operation;

	stage_become(victim->stage, stage_victim(victim->stage));
	while (recv(victim->fd, &operation, sizeof operation, 0) == (ssize_t)sizeof operation) {
		(void)victim_act(victim->stage, operation, &verdict);
		(void)send(victim->fd, &verdict, sizeof verdict, 0);
	}
	_exit(0);
}

struct victim *victim_start(const struct stage *stage)
{
	struct victim *victim = calloc(1, sizeof *victim);
	int fds[2];

	if (!victim || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	victim->stage = stage;
	victim->pid = fork();
	victim->fd = fds[victim->pid == 0];
	(void)close(fds[victim->pid != 0]);
	if (victim->pid == 0)
		live(victim);
	return victim;
}

pid_t victim_pid(const struct victim *victim)
{
	return victim->pid;
}

static long now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool victim_is_kept(pid_t pid)
{
	char path[64], text[32] = "";
	FILE *file;

	(void)snprintf(path, sizeof path, "/proc/%d/syscall", pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	(void)fgets(text, sizeof text, file);
	(void)fclose(file);
	return strtol(text, NULL, 10) == SYS_openat;
}

static bool await_answer(const struct victim *victim)
{
	struct pollfd item = {.fd = victim->fd, .events = POLLIN};

	for (int i = 0; i < VICTIM_PATIENCES; i++) {
		if (poll(&item, 1, VICTIM_PATIENCE_MS) == 1)
			return true;
		if (victim_is_kept(victim->pid))
			return false;
	}
	return false;
}

bool victim_do(struct victim *victim, int operation, struct verdict *verdict)
{
	long begun_ms = now_ms();
	bool answered =
		send(victim->fd, &operation, sizeof operation, MSG_NOSIGNAL) == (ssize_t)sizeof operation &&
		await_answer(victim) &&
		recv(victim->fd, verdict, sizeof *verdict, 0) == (ssize_t)sizeof *verdict;

	verdict->took_ms = now_ms() - begun_ms;
	return answered;
}

void victim_end(struct victim *victim)
{
	(void)close(victim->fd);
	(void)kill(victim->pid, SIGKILL);
	(void)waitpid(victim->pid, NULL, 0);
	free(victim);
}
