#include "lease_holder.h"

#include <cancel/spool.h>
#include <cancel/text.h>

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static void make_spool(const char *path)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool;
	struct cancel_error error;

	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	if (cancel_spool_open(&spool, &options, &error) < 0) {
		(void)fprintf(stderr, "%s\n", error.text);
		abort();
	}
	cancel_spool_close(spool);
}

static json_t *also_of(const struct held_lease *lease)
{
	json_t *list = json_array();

	for (int i = 0; lease->also[i]; i++)
		(void)json_array_append_new(list, json_string(lease->also[i]));
	return list;
}

static char *text_of(const struct held_lease *lease)
{
	char started[CANCEL_TIME_SIZE] = "";
	char host[256];
	json_t *json;
	char *text;

	if (gethostname(host, sizeof(host)) < 0)
		give_up("gethostname");
	if (lease->started_at_s != 0)
		(void)cancel_time_format(started, lease->started_at_s * 1000000);
	json = json_pack("{s:s, s:s?, s:o, s:i, s:i, s:s, s:s?, s:s?}", "task_id", lease->task_id, "run",
			 lease->run, "also", also_of(lease), "pid", getpid(), "uid", (int)geteuid(), "host",
			 host, "program", lease->program, "started_at", *started ? started : NULL);
	text = json_dumps(json, 0);
	json_decref(json);
	return text;
}

/* Locked and written before it stands where others look. Returns the descriptor that holds the lock. */
static int take(const char *spool, const struct held_lease *lease, char *path, size_t size)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char *text = lease->text ? strdup(lease->text) : text_of(lease);
	char draft[256];
	int fd;

	(void)snprintf(path, size, "%s/runs/%s%s%s%s%s", spool, lease->task_id, lease->run ? "@" : "",
		       lease->run ? lease->run : "", lease->mark ? "@@" : "", lease->mark ? lease->mark : "");
	(void)snprintf(draft, sizeof(draft), "%s/tmp/lease-%d", spool, (int)getpid());
	fd = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0 || !text ||
	    write(fd, text, strlen(text)) != (ssize_t)strlen(text) || rename(draft, path) < 0)
		give_up(path);
	free(text);
	return fd;
}

/* The life of a run: it says when it holds its lease, and ends in order when it is told to. */
static _Noreturn void hold(const char *spool, const struct held_lease *lease, int ready_fd)
{
	char path[256];
	sigset_t end;
	int number;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&end);
	(void)sigaddset(&end, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &end, NULL);
	(void)take(spool, lease, path, sizeof(path));
	if (write(ready_fd, "", 1) != 1)
		give_up("write");
	(void)sigwait(&end, &number);
	(void)unlink(path);
	_exit(0);
}

void lease_holder_start(struct lease_holder *holder, const char *spool, const struct held_lease *lease)
{
	int ready[2];
	char byte;

	make_spool(spool);
	if (pipe2(ready, O_CLOEXEC) < 0)
		give_up("pipe2");
	holder->pid = fork();
	if (holder->pid < 0)
		give_up("fork");
	if (holder->pid == 0)
		hold(spool, lease, ready[1]);
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		give_up("the holder of a lease");
	(void)close(ready[0]);
}

static void end_by(struct lease_holder *holder, int number)
{
	if (holder->pid == 0)
		return;
	if (kill(holder->pid, number) < 0 || waitpid(holder->pid, NULL, 0) < 0)
		give_up("kill");
	holder->pid = 0;
}

void lease_holder_kill(struct lease_holder *holder)
{
	end_by(holder, SIGKILL);
}

void lease_holder_end(struct lease_holder *holder)
{
	end_by(holder, SIGTERM);
}
