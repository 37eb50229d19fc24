/*
 * A task that another process can cancel, in five calls: open a manager, begin, ask at checkpoints, end with
 * an outcome, close. The other process is a child here, and asks as soon as the task has begun to work.
 *
 *     task
 */
#include <cancel/manager.h>
#include <cancel/request.h>
#include <cancel/spool.h>
#include <cancel/task.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASK "report_42"

/* --- the task --------------------------------------------------------------------------------------- */

static unsigned long blocks;

/* The first block done is told to the other process, which waits for it. */
static void hash_a_block(int told_fd)
{
	if (blocks++ == 0 && write(told_fd, "", 1) != 1)
		perror("write");
}

static void tell_why(const struct cancel_task *task)
{
	struct cancel_why why;

	cancel_task_why(task, &why);
	printf("stopped by a request for %s of %s: %s\n", why.id, why.request->requester.name, why.text);
}

static int work(int told_fd, struct cancel_error *error)
{
	struct cancel_manager *manager;
	struct cancel_task *task;
	int decided;

	if (cancel_manager_open(&manager, NULL, error) < 0 ||
	    cancel_task_begin(&task, manager, TASK, NULL, error) < 0)
		return error->code;
	while (!cancel_task_checkpoint(task))
		hash_a_block(told_fd);
	tell_why(task);
	decided = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, "no report was written", error);
	cancel_manager_close(manager);
	return decided;
}

/* --- the other process ------------------------------------------------------------------------------ */

static int ask(struct cancel_error *error)
{
	struct cancel_request request;
	struct cancel_spool *spool;
	int result;

	if (cancel_spool_open(&spool, NULL, error) < 0)
		return error->code;
	cancel_request_init(&request);
	request.task_id = TASK;
	request.reason = "deleted by its owner";
	request.requester.name = "alice";
	result = cancel_spool_request(spool, &request, NULL, error);
	cancel_request_clear(&request);
	cancel_spool_close(spool);
	return result;
}

static pid_t start_asking(int begun_fd)
{
	struct cancel_error error;
	pid_t pid = fork();
	char byte;

	if (pid != 0)
		return pid;
	if (read(begun_fd, &byte, 1) == 1 && ask(&error) < 0)
		fprintf(stderr, "task: %s\n", error.text);
	_exit(0);
}

/* --- the spool -------------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *position)
{
	(void)stat;
	(void)type;
	(void)position;
	return remove(path);
}

/* Both processes find it by this variable. Without it, it is CANCEL_SPOOL_DEFAULT. */
static int make_spool(char *directory)
{
	return mkdtemp(directory) && setenv(CANCEL_SPOOL_VARIABLE, directory, 1) == 0 ? 0 : -1;
}

int main(void)
{
	char directory[] = "/tmp/cancel-example-XXXXXX";
	struct cancel_error error;
	int pipe_fds[2], decided;
	pid_t pid;

	if (make_spool(directory) < 0 || pipe(pipe_fds) < 0)
		return EXIT_FAILURE;
	pid = start_asking(pipe_fds[0]);
	decided = work(pipe_fds[1], &error);
	if (decided < 0)
		fprintf(stderr, "task: %s\n", error.text);
	else
		printf("%d request decided\n", decided);
	waitpid(pid, NULL, 0);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return decided < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
