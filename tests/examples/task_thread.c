/*
 * Tasks that do not ask: they sleep in read(2) and in poll(2), or wait, and a manager with a thread wakes
 * them. One has a callback that shuts its connection down, one a descriptor in its loop, one a deadline.
 *
 *     task_thread
 */
#include <cancel/clock.h>
#include <cancel/fd.h>
#include <cancel/manager.h>
#include <cancel/registration.h>
#include <cancel/spool.h>
#include <cancel/task.h>

#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct cancel_manager *manager;
static char download_id[] = "download", server_id[] = "server";

static void give_up(const char *what)
{
	fprintf(stderr, "task_thread: %s\n", what);
	exit(EXIT_FAILURE);
}

/* Any thread, or any other process, may ask; here it is one that does nothing else. */
static void *ask(void *task_id)
{
	struct cancel_error error;

	if (cancel_manager_cancel(manager, task_id, "the client has gone", &error) < 0)
		give_up(error.text);
	return NULL;
}

static struct cancel_task *begin(const char *task_id, const struct cancel_task_options *options)
{
	struct cancel_error error;
	struct cancel_task *task;

	if (cancel_task_begin(&task, manager, task_id, options, &error) < 0)
		give_up(error.text);
	return task;
}

static void end(const char *task_id, struct cancel_task *task)
{
	struct cancel_error error;
	struct cancel_why why;
	int decided;

	cancel_task_why(task, &why);
	printf("%s: %s", task_id, why.text);
	decided = cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &error);
	if (decided < 0)
		give_up(error.text);
	printf(", %d decided\n", decided);
}

/* --- a callback ------------------------------------------------------------------------------------- */

static void shut_down(void *socket_fd, struct cancel_token token)
{
	(void)token;
	shutdown(*(int *)socket_fd, SHUT_RDWR);
}

/* Blocks in read(2) until the callback ends that. */
static void download(void)
{
	struct cancel_task *task = begin(download_id, NULL);
	struct cancel_registration registration;
	pthread_t asking;
	int fds[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
	    pthread_create(&asking, NULL, ask, download_id) != 0)
		give_up("no socket or thread");
	cancel_registration_add(&registration, cancel_task_token(task), shut_down, &fds[0]);
	while (read(fds[0], &byte, 1) > 0)
		;
	cancel_registration_remove(&registration);
	pthread_join(asking, NULL);
	end(download_id, task);
	close(fds[0]);
	close(fds[1]);
}

/* --- a descriptor ----------------------------------------------------------------------------------- */

enum { MESSAGES, STOP, DESCRIPTORS };

static void serve(void)
{
	struct cancel_task *task = begin(server_id, NULL);
	struct pollfd fds[DESCRIPTORS];
	struct cancel_fd stop;
	pthread_t asking;
	int pipe_fds[2];

	if (pipe(pipe_fds) < 0 || cancel_fd_open(&stop, cancel_task_token(task)) < 0 ||
	    pthread_create(&asking, NULL, ask, server_id) != 0)
		give_up("no descriptor or thread");
	fds[MESSAGES] = (struct pollfd){.fd = pipe_fds[0], .events = POLLIN};
	fds[STOP] = (struct pollfd){.fd = stop.fd, .events = POLLIN};
	do
		poll(fds, DESCRIPTORS, -1);
	while (!fds[STOP].revents);
	pthread_join(asking, NULL);
	cancel_fd_close(&stop);
	end(server_id, task);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* --- a deadline ------------------------------------------------------------------------------------- */

static void answer_in_time(void)
{
	struct cancel_task_options options;
	struct cancel_task *task;

	cancel_task_options_init(&options);
	options.timeout_ns = 20 * CANCEL_MILLISECOND;
	task = begin("answer", &options);
	cancel_task_wait(task, CANCEL_FOREVER);
	end("answer", task);
}

/* --- the spool -------------------------------------------------------------------------------------- */

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
	struct cancel_manager_options options;
	struct cancel_error error;

	if (!mkdtemp(directory) || setenv(CANCEL_SPOOL_VARIABLE, directory, 1) < 0)
		return EXIT_FAILURE;
	cancel_manager_options_init(&options);
	options.thread = true;
	if (cancel_manager_open(&manager, &options, &error) < 0)
		give_up(error.text);
	download();
	serve();
	answer_in_time();
	cancel_manager_close(manager);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return EXIT_SUCCESS;
}
