#include "tasking.h"

#include "in_child.h"
#include "process.h"
#include "token_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WORKER_FAILED = 120,
	ORDER_WAIT = 100,
	ORDER_STOP_AT_THE_LEASE = 200, /* and the outcome */
	LET_THROUGH = 4711,
	ID_MAX = 64,
};

static struct tasking_way ways[] = {
	{.thread = false, .waits = false, .notice = CANCEL_NOTICE_BELL},
	{.thread = false, .waits = false, .notice = CANCEL_NOTICE_POLL},
	{.thread = false, .waits = true, .notice = CANCEL_NOTICE_BELL},
	{.thread = false, .waits = true, .notice = CANCEL_NOTICE_POLL},
	{.thread = true, .waits = true, .notice = CANCEL_NOTICE_BELL},
	{.thread = true, .waits = true, .notice = CANCEL_NOTICE_INOTIFY},
	{.thread = true, .waits = true, .notice = CANCEL_NOTICE_POLL},
};

static struct tasking_way modes[] = {
	{.thread = false, .waits = false, .notice = CANCEL_NOTICE_AUTO},
	{.thread = true, .waits = true, .notice = CANCEL_NOTICE_AUTO},
};

struct criterion_test_params tasking_every_way(void)
{
	return cr_make_param_array(struct tasking_way, ways, sizeof(ways) / sizeof(ways[0]));
}

struct criterion_test_params tasking_both_modes(void)
{
	return cr_make_param_array(struct tasking_way, modes, sizeof(modes) / sizeof(modes[0]));
}

const char *tasking_way_text(const struct tasking_way *way)
{
	static char text[80];

	(void)snprintf(text, sizeof(text), "%s, %s, by %s",
		       way->thread ? "with a thread" : "without a thread",
		       way->waits ? "waiting" : "at checkpoints", cancel_notice_text(way->notice));
	return text;
}

/* --- the manager -------------------------------------------------------------------------------------- */

struct cancel_manager *manager;
struct cancel_manager_options manager_options;
struct cancel_task *task;
struct cancel_task_options terms;

static struct cancel_spool_options spool_options;
static int threads_before;

static pthread_mutex_t reports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cancel_error reports[TASKING_REPORTS_MAX];
static int report_count;

static void note_report(void *arg, const struct cancel_error *what)
{
	(void)arg;
	(void)pthread_mutex_lock(&reports_lock);
	if (report_count < TASKING_REPORTS_MAX)
		reports[report_count++] = *what;
	(void)pthread_mutex_unlock(&reports_lock);
}

int tasking_report_count(void)
{
	int count;

	(void)pthread_mutex_lock(&reports_lock);
	count = report_count;
	(void)pthread_mutex_unlock(&reports_lock);
	return count;
}

struct cancel_error tasking_report_at(int index)
{
	struct cancel_error report;

	cr_assert(index >= 0 && index < tasking_report_count(), "no report %d", index);
	(void)pthread_mutex_lock(&reports_lock);
	report = reports[index];
	(void)pthread_mutex_unlock(&reports_lock);
	return report;
}

void tasking_set_up(void)
{
	threads_before = token_count_threads();
	spool_case_set_up();
	cancel_spool_options_init(&spool_options);
	spool_options.path = place_path;
	spool_options.create = true;
	cancel_manager_options_init(&manager_options);
	manager_options.spool = &spool_options;
	manager_options.poll_interval_ms = TASKING_POLL_MS;
	manager_options.report = note_report;
	cancel_task_options_init(&terms);
}

/* A failed assertion here would be printed and forgotten, so this aborts. */
void tasking_tear_down(void)
{
	(void)tasking_close();
	(void)cancel_dispatcher_stop();
	if (!token_threads_become(threads_before)) {
		(void)fprintf(stderr, "threads left: %d were there, now %d\n", threads_before,
			      token_count_threads());
		abort();
	}
	spool_case_tear_down();
}

void tasking_open(const struct tasking_way *way)
{
	static const struct tasking_way plain = {.notice = CANCEL_NOTICE_AUTO};

	if (!way)
		way = &plain;
	manager_options.thread = way->thread;
	manager_options.notice = way->notice;
	EXPECT(0, cancel_manager_open(&manager, &manager_options, &error));
}

int tasking_close(void)
{
	struct cancel_manager *closed = manager;

	manager = NULL;
	task = NULL;
	return cancel_manager_close(closed);
}

int tasking_begin(const char *task_id)
{
	struct cancel_task *before = task, *begun = before;
	int code = cancel_task_begin(&begun, manager, task_id, &terms, &error);

	cr_assert_eq(code < 0, begun == before, "a failure sets no task, and a success does");
	task = begun;
	return code;
}

void tasking_begin_in_time(const char *task_id)
{
	int code;

	while ((code = tasking_begin(task_id)) == 1) {
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
		terms.timeout_ns *= 2;
	}
	cr_assert_eq(code, 0, "%s", error.text);
}

int tasking_begin_run(const char *task_id, const char *run)
{
	int code;

	terms.run = run;
	code = tasking_begin(task_id);
	terms.run = NULL;
	return code;
}

int tasking_begin_also(const char *task_id, const char *also)
{
	int code;

	terms.also = &also;
	terms.also_count = 1;
	code = tasking_begin(task_id);
	terms.also = NULL;
	terms.also_count = 0;
	return code;
}

int tasking_end(enum cancel_outcome outcome)
{
	int code = cancel_task_end(task, outcome, NULL, &error);

	if (code >= 0)
		task = NULL;
	return code;
}

/* --- noticing ----------------------------------------------------------------------------------------- */

static bool asks_yes(void *arg)
{
	return cancel_task_checkpoint(arg);
}

bool tasking_notices(const struct tasking_way *way, struct cancel_task *one)
{
	if (way->waits)
		return cancel_task_wait(one, TASKING_PATIENCE_S * CANCEL_SECOND) == 1 &&
		       cancel_task_checkpoint(one);
	return wait_until(asks_yes, one, TASKING_PATIENCE_S * 1000);
}

/* A second task, asked for after all that should not matter, shows that it was looked at. */
bool tasking_is_untouched(const struct tasking_way *way, struct cancel_task *one)
{
	struct cancel_task *fence = NULL;
	bool came;

	cr_assert_eq(cancel_task_begin(&fence, manager, "fence", NULL, &error), 0, "%s", error.text);
	tasking_ask("fence");
	came = tasking_notices(way, fence);
	cr_assert(came, "the fence was not noticed %s", tasking_way_text(way));
	cr_assert_eq(cancel_task_end(fence, CANCEL_OUTCOME_STOPPED, NULL, &error), 1);
	EXPECT(1, cancel_spool_reset(spool, "fence", NULL, &error));
	return !cancel_task_checkpoint(one) && cancel_task_check(one, NULL) == 0 &&
	       !cancel_token_requested(cancel_task_token(one));
}

/* --- what others do ----------------------------------------------------------------------------------- */

void tasking_ask(const char *task_id)
{
	EXPECT(CANCEL_REQUESTED, ask(task_id, NULL, "why", NULL));
}

void tasking_ask_at(const char *task_id, int64_t cancel_at_us)
{
	EXPECT(CANCEL_REQUESTED, ask_terms(task_id, 0, cancel_at_us));
}

void tasking_decide(const char *task_id, const char *run, enum cancel_outcome outcome)
{
	EXPECT(CANCEL_REQUESTED, ask(task_id, run, "why", NULL));
	EXPECT(CANCEL_DECIDED, decide(task_id, run, NULL, outcome));
}

void tasking_prepare_decision(const char *task_id, const char *run, enum cancel_outcome outcome)
{
	char file[ID_MAX * 2];

	(void)snprintf(file, sizeof(file), "processed/%s%s%s.json", task_id, run ? "@" : "", run ? run : "");
	tasking_decide(task_id, run, outcome);
	cr_assert_eq(rename(at(file), beside("prepared")), 0);
	EXPECT(0, cancel_spool_reset(spool, task_id, run, &error));
}

void tasking_put_decision(const char *file)
{
	cr_assert_eq(rename(beside("prepared"), at(file)), 0);
}

struct telling {
	const struct tasking_way *way;
	struct cancel_task *task;
	int count;
};

/* Without a thread reports come from the calls that look. */
static bool is_told(void *arg)
{
	struct telling *telling = arg;

	if (!telling->way->thread && telling->way->waits)
		(void)cancel_task_wait(telling->task, CANCEL_MILLISECOND);
	else
		(void)cancel_task_checkpoint(telling->task);
	return tasking_report_count() >= telling->count;
}

bool tasking_is_told(const struct tasking_way *way, struct cancel_task *one, int count)
{
	struct telling telling = {way, one, count};

	return wait_until(is_told, &telling, TASKING_PATIENCE_S * 1000);
}

struct counting {
	const char *task_id;
	int count;
};

static int count_run(void *arg, const struct cancel_run *run)
{
	struct counting *counting = arg;

	counting->count += !counting->task_id || !strcmp(counting->task_id, run->task_id);
	return 0;
}

int tasking_count_runs(const char *task_id)
{
	struct counting counting = {.task_id = task_id};

	EXPECT(0, cancel_spool_runs(spool, count_run, &counting, &error));
	return counting.count;
}

/* --- another process ---------------------------------------------------------------------------------- */

static void answer(int fd, int result)
{
	if (write(fd, &result, sizeof(result)) != sizeof(result))
		_exit(WORKER_FAILED);
}

static int open_and_begin(struct cancel_task **own, const char *task_id, const char *run, const char *also)
{
	struct cancel_manager *other = NULL;
	struct cancel_task_options other_terms;

	cancel_task_options_init(&other_terms);
	other_terms.run = run;
	other_terms.also = &also;
	other_terms.also_count = also ? 1 : 0;
	manager_options.thread = false;
	manager_options.notice = CANCEL_NOTICE_AUTO;
	if (cancel_manager_open(&other, &manager_options, NULL) < 0)
		_exit(WORKER_FAILED);
	return cancel_task_begin(own, other, task_id, &other_terms, NULL);
}

/* In the place of unlinkat(2): stop, and make the call when it goes on. */
static void stop_and_remove(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	long code;

	(void)number;
	(void)info;
	(void)raise(SIGSTOP);
	code = syscall(SYS_unlinkat, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], LET_THROUGH);
	registers[REG_RAX] = code < 0 ? -errno : code;
}

/* The kernel looks at three arguments; the fourth tells the handler's own call from the others. */
static bool stop_at_removals(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unlinkat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LET_THROUGH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	struct sigaction action = {.sa_sigaction = stop_and_remove, .sa_flags = SA_SIGINFO};

	return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void work(const char *task_id, const char *run, const char *also, int order_fd, int answer_fd)
{
	struct cancel_task *own = NULL;
	int order;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)alarm(CHILD_TIMEOUT_S);
	answer(answer_fd, open_and_begin(&own, task_id, run, also));
	(void)alarm(2 * TASKING_PATIENCE_S);
	while (read(order_fd, &order, sizeof(order)) == sizeof(order)) {
		if (order == ORDER_WAIT) {
			answer(answer_fd, cancel_task_wait(own, TASKING_PATIENCE_S * CANCEL_SECOND));
			continue;
		}
		if (order >= ORDER_STOP_AT_THE_LEASE) {
			order -= ORDER_STOP_AT_THE_LEASE;
			if (!stop_at_removals())
				_exit(WORKER_FAILED);
		}
		answer(answer_fd, cancel_task_end(own, (enum cancel_outcome)order, NULL, NULL));
		break;
	}
	_exit(0);
}

static int hear(struct tasking_worker *worker)
{
	int result;

	cr_assert_eq(read(worker->answer_fd, &result, sizeof(result)), sizeof(result), "the worker is gone");
	return result;
}

static int bury(struct tasking_worker *worker)
{
	int status;

	cr_assert_eq(waitpid(worker->pid, &status, 0), worker->pid);
	(void)close(worker->order_fd);
	(void)close(worker->answer_fd);
	return status;
}

/* False: it is gone. */
static bool worker_begins(struct tasking_worker *worker, const char *task_id, const char *run,
			  const char *also)
{
	int orders[2], answers[2];

	cr_assert(pipe2(orders, O_CLOEXEC) == 0 && pipe2(answers, O_CLOEXEC) == 0);
	worker->pid = fork();
	cr_assert_geq(worker->pid, 0);
	if (worker->pid == 0) {
		(void)close(orders[1]);
		(void)close(answers[0]);
		work(task_id, run, also, orders[0], answers[1]);
	}
	(void)close(orders[0]);
	(void)close(answers[1]);
	worker->order_fd = orders[1];
	worker->answer_fd = answers[0];
	return read(worker->answer_fd, &worker->begun, sizeof(worker->begun)) == sizeof(worker->begun);
}

void tasking_worker_start(struct tasking_worker *worker, const char *task_id, const char *run,
			  const char *also)
{
	bool begins = worker_begins(worker, task_id, run, also);

	for (int attempt = 1; attempt < CHILD_ATTEMPTS && !begins && child_hung(bury(worker)); attempt++)
		begins = worker_begins(worker, task_id, run, also);
	cr_assert(begins, "the worker is gone");
}

static void order(struct tasking_worker *worker, int number)
{
	cr_assert_eq(write(worker->order_fd, &number, sizeof(number)), sizeof(number));
}

static int command(struct tasking_worker *worker, int number)
{
	order(worker, number);
	return hear(worker);
}

int tasking_worker_wait(struct tasking_worker *worker)
{
	return command(worker, ORDER_WAIT);
}

int tasking_worker_end(struct tasking_worker *worker, enum cancel_outcome outcome)
{
	int result = command(worker, (int)outcome);

	(void)bury(worker);
	return result;
}

void tasking_worker_end_to_the_lease(struct tasking_worker *worker, enum cancel_outcome outcome)
{
	int status;

	order(worker, ORDER_STOP_AT_THE_LEASE + (int)outcome);
	cr_assert_eq(waitpid(worker->pid, &status, WUNTRACED), worker->pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_FAILED)
		cr_skip_test("no seccomp here");
	cr_assert(WIFSTOPPED(status), "it has ended without removing its lease");
}

int tasking_worker_go_on(struct tasking_worker *worker)
{
	int result;

	cr_assert_eq(kill(worker->pid, SIGCONT), 0);
	result = hear(worker);
	(void)bury(worker);
	return result;
}

void tasking_worker_kill(struct tasking_worker *worker)
{
	cr_assert_eq(kill(worker->pid, SIGKILL), 0);
	(void)bury(worker);
}
