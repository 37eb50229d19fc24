#include "strace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKER "getppid"

enum {
	ARGUMENTS_MAX = 24,
	NAMES_MAX = 64,
};

/* Leaks cannot be looked for under ptrace, and the attempt makes as many calls as it has to wait: then a walk
 * would not find the calls that the run before it made. */
#define WITHOUT_LEAKS "-E", "LSAN_OPTIONS=detect_leaks=0"

static void run(struct process *process, const char *const *options, const char *const *arguments,
		const char *const *environment)
{
	const char *all[ARGUMENTS_MAX];
	int count = 0;

	for (; *options; options++)
		all[count++] = *options;
	for (; *arguments && count < ARGUMENTS_MAX - 1; arguments++)
		all[count++] = *arguments;
	all[count] = NULL;
	process_run(process, all, environment, NULL);
}

/* --- listing ------------------------------------------------------------------------------------------ */

struct counter {
	struct strace_call names[NAMES_MAX];
	int used;
};

static int count_call(struct counter *counter, const char *name)
{
	for (int i = 0; i < counter->used; i++)
		if (!strcmp(counter->names[i].name, name))
			return ++counter->names[i].number;
	if (counter->used == NAMES_MAX)
		abort();
	(void)snprintf(counter->names[counter->used].name, sizeof(counter->names[0].name), "%s", name);
	return counter->names[counter->used++].number = 1;
}

static bool is_wanted(const char *name, const char *only)
{
	size_t length = strlen(name);

	if (!only)
		return strcmp(name, "execve") != 0 && strcmp(name, "exit_group") != 0;
	for (const char *at = only; (at = strstr(at, name)); at += length)
		if ((at == only || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
	return false;
}

static int read_trace(FILE *trace, const char *only, struct strace_call calls[STRACE_CALLS_MAX])
{
	struct counter counter = {.used = 0};
	struct strace_call call;
	int count = 0, lines = 0;
	char line[4096];

	while (fgets(line, sizeof(line), trace)) {
		if (!strchr(line, '(') || sscanf(line, "%23[a-z0-9_](", call.name) != 1)
			continue;
		lines++;
		call.number = count_call(&counter, call.name);
		if (count < STRACE_CALLS_MAX && is_wanted(call.name, only))
			calls[count++] = call;
		if (!strcmp(call.name, MARKER))
			count = 0;
	}
	return lines ? count : -1;
}

int strace_list(struct process *process, const char *const *arguments, const char *const *environment,
		const char *only, struct strace_call calls[STRACE_CALLS_MAX])
{
	char path[] = "/tmp/cancel-trace-XXXXXX";
	int fd = mkstemp(path), count;
	FILE *trace = fd < 0 ? NULL : fdopen(fd, "r");

	if (!trace) {
		perror(path);
		abort();
	}
	run(process, WORDS("strace", WITHOUT_LEAKS, "-o", path), arguments, environment);
	count = read_trace(trace, only, calls);
	(void)fclose(trace);
	(void)unlink(path);
	return count;
}
