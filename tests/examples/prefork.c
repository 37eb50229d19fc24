/*
 * A process with a manager forks its workers. What they inherit they close, which leaves the parent's own
 * task alone, and each opens a manager of its own. The parent sees them by their leases, and cancels one,
 * then all.
 *
 *     prefork
 */
#include <cancel/clock.h>
#include <cancel/manager.h>
#include <cancel/request.h>
#include <cancel/run.h>
#include <cancel/spool.h>
#include <cancel/task.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 3 };

struct worker {
	char task_id[16];
	pid_t pid;
};

static struct cancel_manager *manager;
static struct cancel_task *service;

static void give_up(const struct cancel_error *error)
{
	fprintf(stderr, "prefork: %s\n", error->text);
	exit(EXIT_FAILURE);
}

/* --- a worker --------------------------------------------------------------------------------------- */

/* Returns its exit status: how many requests it has decided. */
static int work(const char *task_id)
{
	const char *const also[] = {"service"};
	struct cancel_task_options options;
	struct cancel_manager *own;
	struct cancel_error error;
	struct cancel_task *task;
	int decided;

	if (cancel_task_begin(&task, manager, task_id, NULL, NULL) != -EPERM)
		return EXIT_FAILURE; /* nothing can be begun with what was inherited */
	cancel_manager_close(manager);
	cancel_task_options_init(&options);
	options.also = also;
	options.also_count = 1;
	if (cancel_manager_open(&own, NULL, &error) < 0 ||
	    cancel_task_begin(&task, own, task_id, &options, &error) < 0)
		give_up(&error);
	cancel_task_wait(task, CANCEL_FOREVER);
	decided = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &error);
	cancel_manager_close(own);
	return decided;
}

static void start(struct worker *worker, int number)
{
	snprintf(worker->task_id, sizeof worker->task_id, "job_%d", number);
	worker->pid = fork();
	if (worker->pid == 0)
		_exit(work(worker->task_id));
}

/* --- the parent ------------------------------------------------------------------------------------- */

static int count_run(void *count, const struct cancel_run *run)
{
	(void)run;
	++*(int *)count;
	return 0;
}

static int runs_alive(void)
{
	struct cancel_error error;
	int count = 0;

	if (cancel_spool_runs(cancel_manager_spool(manager), count_run, &count, &error) < 0)
		give_up(&error);
	return count;
}

static void wait_for_runs(int count)
{
	const struct timespec pause = {.tv_nsec = CANCEL_MILLISECOND};

	while (runs_alive() != count)
		nanosleep(&pause, NULL);
	printf("%d runs are alive\n", count);
}

static void ask(const char *id, const char *reason)
{
	struct cancel_error error;

	if (cancel_manager_cancel(manager, id, reason, &error) < 0)
		give_up(&error);
}

static void reap(const struct worker *worker)
{
	struct cancel_request request;
	struct cancel_error error;
	int status;

	waitpid(worker->pid, &status, 0);
	cancel_request_init(&request);
	if (cancel_spool_lookup(cancel_manager_spool(manager), worker->task_id, NULL, &request, &error) < 0)
		give_up(&error);
	printf("%s: %s for %s: %s; %d decided\n", worker->task_id, cancel_outcome_text(request.outcome),
	       request.group ? request.group : "itself", request.reason,
	       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	cancel_request_clear(&request);
}

static void serve(void)
{
	struct worker workers[WORKERS];

	for (int i = 0; i < WORKERS; i++)
		start(&workers[i], i + 1);
	wait_for_runs(WORKERS + 1);
	ask("job_2", "its user has gone");
	reap(&workers[1]);
	wait_for_runs(WORKERS);
	ask("service", "the machine goes down");
	reap(&workers[0]);
	reap(&workers[2]);
	printf("the service %s\n", cancel_task_checkpoint(service) ? "stops" : "goes on");
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *position)
{
	(void)stat;
	(void)type;
	(void)position;
	return remove(path);
}

int main(void)
{
	char directory[] = "/tmp/cancel-example-XXXXXX";
	struct cancel_error error;

	if (!mkdtemp(directory) || setenv(CANCEL_SPOOL_VARIABLE, directory, 1) < 0)
		return EXIT_FAILURE;
	if (cancel_manager_open(&manager, NULL, &error) < 0 ||
	    cancel_task_begin(&service, manager, "service", NULL, &error) < 0)
		give_up(&error);
	serve();
	printf("%d request decided\n", cancel_task_end(service, CANCEL_OUTCOME_STOPPED, NULL, &error));
	cancel_manager_close(manager);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return EXIT_SUCCESS;
}
