#include "token_thread.h"

#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	THREADS_TIMEOUT_MS = 2000,
};

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static void *run(void *arg)
{
	struct token_thread *thread = arg;

	atomic_store(&thread->id, gettid());
	thread->result = thread->job(thread->arg);
	atomic_store(&thread->has_ended, true);
	return NULL;
}

void token_thread_start(struct token_thread *thread, token_job *job, void *arg)
{
	thread->job = job;
	thread->arg = arg;
	thread->result = 0;
	atomic_store(&thread->id, 0);
	atomic_store(&thread->has_ended, false);
	if (pthread_create(&thread->thread, NULL, run, thread))
		give_up("pthread_create");
}

/* The letter that the kernel has for what it does, which stands behind its name in brackets. */
static char state_of(pid_t id)
{
	char path[64], text[512];
	const char *behind_name;
	size_t length;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)id);
	file = fopen(path, "re");
	if (!file)
		return '?';
	length = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[length] = '\0';
	behind_name = strrchr(text, ')');
	return behind_name && behind_name[1] ? behind_name[2] : '?';
}

static bool sleeps_or_has_ended(void *arg)
{
	struct token_thread *thread = arg;
	pid_t id = atomic_load(&thread->id);

	return atomic_load(&thread->has_ended) || (id && state_of(id) == 'S');
}

bool token_thread_falls_asleep(struct token_thread *thread)
{
	if (!wait_until(sleeps_or_has_ended, thread, PROCESS_TIMEOUT_MS))
		give_up("a thread that neither sleeps nor ends");
	return !atomic_load(&thread->has_ended);
}

bool token_thread_has_ended(struct token_thread *thread)
{
	return atomic_load(&thread->has_ended);
}

int token_thread_join(struct token_thread *thread)
{
	if (pthread_join(thread->thread, NULL))
		give_up("pthread_join");
	return thread->result;
}

static int count_entries(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!stream)
		give_up(path);
	while ((entry = readdir(stream)))
		count += entry->d_name[0] != '.';
	(void)closedir(stream);
	return count;
}

int token_count_threads(void)
{
	return count_entries("/proc/self/task");
}

static bool are_so_many(void *count)
{
	return token_count_threads() == *(int *)count;
}

bool token_threads_become(int count)
{
	return wait_until(are_so_many, &count, THREADS_TIMEOUT_MS);
}

/* Without the one that looks. */
int token_count_descriptors(void)
{
	return count_entries("/proc/self/fd") - 1;
}
