#include "token_thread.h"

#include "process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PF_EXITING = 0x4, /* of the kernel's flags */
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

/* What the kernel says of a thread. */
struct standing {
	char state; /* '?': there is none */
	unsigned flags;
};

/* It stands behind the name in brackets. */
static struct standing standing_of(const char *id)
{
	struct standing standing = {'?', PF_EXITING};
	char path[64], text[512];
	const char *behind_name;
	size_t length;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", id);
	file = fopen(path, "re");
	if (!file)
		return standing;
	length = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	text[length] = '\0';
	behind_name = strrchr(text, ')');
	if (behind_name)
		(void)sscanf(behind_name, ") %c %*d %*d %*d %*d %*d %u", &standing.state, &standing.flags);
	return standing;
}

static bool sleeps_or_has_ended(void *arg)
{
	struct token_thread *thread = arg;
	char id[16];

	(void)snprintf(id, sizeof(id), "%d", (int)atomic_load(&thread->id));
	return atomic_load(&thread->has_ended) || standing_of(id).state == 'S';
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

static bool is_shown(const char *name)
{
	return name[0] != '.';
}

static bool is_alive(const char *name)
{
	return is_shown(name) && !(standing_of(name).flags & PF_EXITING);
}

static int count_entries(const char *path, bool (*counts)(const char *name))
{
	DIR *stream = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (!stream)
		give_up(path);
	while ((entry = readdir(stream)))
		count += counts(entry->d_name);
	(void)closedir(stream);
	return count;
}

int token_count_threads(void)
{
	return count_entries("/proc/self/task", is_alive);
}

static bool are_so_many(void *count)
{
	return token_count_threads() == *(int *)count;
}

bool token_threads_become(int count)
{
	return wait_until(are_so_many, &count, PROCESS_TIMEOUT_MS);
}

/* Without the one that looks. */
int token_count_descriptors(void)
{
	return count_entries("/proc/self/fd", is_shown) - 1;
}
