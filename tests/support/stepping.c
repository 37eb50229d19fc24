#include "stepping.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ARGUMENTS_MAX = 24,
	GO_ON_MS = 100,
	OUT_SIZE = 256,
};

#define STOPPED "--- stopped by SIGSTOP ---"

/* Only its first thread is traced: the calls of others would be counted as its own. The signal stops them
 * all. */
void stepping_start(struct stepping *stepping, const char *const *arguments, const char *const *environment,
		    const struct strace_call *call)
{
	const char *all[ARGUMENTS_MAX] = {"strace", "-E", "LSAN_OPTIONS=detect_leaks=0", "-e"};
	char inject[96], only[40];
	int count = 4;

	(void)snprintf(inject, sizeof(inject), "inject=%s:signal=SIGSTOP:when=%d", call->name, call->number);
	(void)snprintf(only, sizeof(only), "trace=%s", call->name);
	all[count++] = only;
	all[count++] = "-e";
	all[count++] = inject;
	for (; *arguments && count < ARGUMENTS_MAX - 1; arguments++)
		all[count++] = *arguments;
	all[count] = NULL;
	stepping->pid = 0;
	process_start(&stepping->process, all, environment, NULL);
}

/* --- what it is doing --------------------------------------------------------------------------------- */

static void read_written(int fd, char text[OUT_SIZE])
{
	ssize_t length = pread(fd, text, OUT_SIZE - 1, 0);

	text[length > 0 ? length : 0] = '\0';
}

static pid_t read_pid(const struct stepping *stepping)
{
	char text[OUT_SIZE];
	const char *found;

	read_written(stepping->process.out_fd, text);
	found = strstr(text, "pid ");
	return found ? (pid_t)strtol(found + strlen("pid "), NULL, 10) : 0;
}

static bool has_said(const struct stepping *stepping, const char *word)
{
	char text[OUT_SIZE];

	read_written(stepping->process.out_fd, text);
	return strstr(text, word) != NULL;
}

/* A thread that stops tells it to strace first if it is traced, and is in state t then; others are in T. */
static bool thread_is_stopped(pid_t pid, const char *thread)
{
	char path[320], text[OUT_SIZE] = "";
	const char *state;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%ld/task/%s/stat", (long)pid, thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	(void)fclose(file);
	state = strrchr(text, ')');
	return state && tolower((unsigned char)state[2]) == 't';
}

static bool all_are_stopped(pid_t pid)
{
	struct dirent *entry;
	bool stopped = true;
	char path[48];
	DIR *stream;

	(void)snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
	stream = opendir(path);
	if (!stream)
		return false;
	while (stopped && (entry = readdir(stream)))
		stopped = entry->d_name[0] == '.' || thread_is_stopped(pid, entry->d_name);
	(void)closedir(stream);
	return stopped;
}

/* It has stopped, or it will not any more. */
static bool is_settled(void *arg)
{
	struct stepping *stepping = arg;

	if (stepping->process.pid == 0 || process_wait(&stepping->process, 0))
		return true;
	stepping->pid = read_pid(stepping);
	if (process_wait_err(&stepping->process, STOPPED, 0))
		return stepping->pid > 0 && all_are_stopped(stepping->pid);
	return has_said(stepping, "begun");
}

bool stepping_wait(struct stepping *stepping)
{
	(void)wait_until(is_settled, stepping, PROCESS_TIMEOUT_MS);
	return stepping->process.pid > 0 && has_said(stepping, "beginning") &&
	       process_wait_err(&stepping->process, STOPPED, 0);
}

bool stepping_finish(struct stepping *stepping)
{
	for (int waited_ms = 0; waited_ms < PROCESS_TIMEOUT_MS; waited_ms += GO_ON_MS) {
		if (stepping->pid > 0 && stepping->process.pid > 0)
			(void)kill(stepping->pid, SIGCONT);
		if (process_wait(&stepping->process, GO_ON_MS))
			return true;
	}
	return false;
}
