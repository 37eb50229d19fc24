#include "tree.h"

#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK_NAME "CANCEL_TEST_TREE"

enum {
	TEXT_MAX = 2048,
	ENVIRONMENT_MAX = 64 * 1024,
};

static char mark[64];

static void give_up(const char *what)
{
	perror(what);
	abort();
}

void tree_begin(void)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%ld", (long)getpid());
	(void)snprintf(mark, sizeof(mark), MARK_NAME "=%s", value);
	if (setenv(MARK_NAME, value, 1) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		give_up(MARK_NAME);
}

/* --- one process ----------------------------------------------------------------------------------- */

/* A file of /proc; the length, 0 where it is gone or empty. */
static size_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 0;

	if (fd < 0)
		return 0;
	while (length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)got;
	(void)close(fd);
	text[length] = '\0';
	return length;
}

static bool has_line(const char *text, size_t length, const char *line)
{
	for (const char *at = text; at < text + length; at += strlen(at) + 1)
		if (!strcmp(at, line))
			return true;
	return false;
}

/* Of "NAME=VALUE"; NULL: there is none. */
static const char *value_of(const char *text, size_t length, const char *name)
{
	size_t name_length = strlen(name);

	for (const char *at = text; at < text + length; at += strlen(at) + 1)
		if (!strncmp(at, name, name_length) && at[name_length] == '=')
			return at + name_length + 1;
	return NULL;
}

/* Who changes its title may write over its environment; nobody here does. */
static bool carries_at(const char *path, const char *also)
{
	static char text[ENVIRONMENT_MAX];
	size_t length = read_file(path, text, sizeof(text));

	return has_line(text, length, mark) && (!also || has_line(text, length, also));
}

/* What a process whose first thread has ended was started with is shown by the others only. */
static bool carries_in_thread(const char *pid, const char *also)
{
	struct dirent *entry;
	bool found = false;
	char path[600];
	DIR *threads;

	(void)snprintf(path, sizeof(path), "/proc/%s/task", pid);
	threads = opendir(path);
	while (threads && !found && (entry = readdir(threads))) {
		if (!strcmp(entry->d_name, pid))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/task/%s/environ", pid, entry->d_name);
		found = carries_at(path, also);
	}
	if (threads)
		(void)closedir(threads);
	return found;
}

static bool carries(const char *pid, const char *also)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/%s/environ", pid);
	return carries_at(path, also) || carries_in_thread(pid, also);
}

struct stat_line {
	char name[32];
	char state;
	pid_t parent;
	unsigned long long started;
};

static bool read_stat(pid_t pid, struct stat_line *line)
{
	char path[64], text[1024];
	const char *open_bracket, *close_bracket;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if (read_file(path, text, sizeof(text)) == 0)
		return false;
	open_bracket = strchr(text, '(');
	close_bracket = strrchr(text, ')');
	if (!open_bracket || !close_bracket)
		return false;
	(void)snprintf(line->name, sizeof(line->name), "%.*s", (int)(close_bracket - open_bracket - 1),
		       open_bracket + 1);
	return sscanf(close_bracket + 1,
		      " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		      &line->state, &line->parent, &line->started) == 3;
}

char tree_state(pid_t pid)
{
	struct stat_line line;

	return read_stat(pid, &line) ? line.state : '\0';
}

/* --- all of them ----------------------------------------------------------------------------------- */

typedef void visitor(void *arg, pid_t pid);

static void for_each_process(visitor *visit, void *arg)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	if (!processes)
		give_up("/proc");
	while ((entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]))
			visit(arg, (pid_t)strtol(entry->d_name, NULL, 10));
	(void)closedir(processes);
}

struct carriers {
	const char *also;
	int count;
	char *text; /* or NULL */
	bool kill;
};

static void add_text(char *text, pid_t pid)
{
	struct stat_line line;
	size_t length = strlen(text);

	if (read_stat(pid, &line))
		(void)snprintf(text + length, TEXT_MAX - length, "%s%ld (%s, state %c, parent %ld)",
			       length ? ", " : "", (long)pid, line.name, line.state, (long)line.parent);
}

static void visit_carrier(void *arg, pid_t pid)
{
	struct carriers *carriers = arg;
	char text[24];

	(void)snprintf(text, sizeof(text), "%ld", (long)pid);
	if (!carries(text, carriers->also))
		return;
	carriers->count++;
	if (carriers->text)
		add_text(carriers->text, pid);
	if (carriers->kill)
		(void)kill(pid, SIGKILL);
}

struct values {
	const char *name;
	tree_visit *visit;
	void *arg;
};

static void visit_value(void *arg, pid_t pid)
{
	static char text[ENVIRONMENT_MAX];
	const struct values *values = arg;
	char path[64];
	const char *value;
	size_t length;

	(void)snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	length = read_file(path, text, sizeof(text));
	value = has_line(text, length, mark) ? value_of(text, length, values->name) : NULL;
	if (value)
		values->visit(values->arg, pid, value);
}

void tree_values(const char *name, tree_visit *visit, void *arg)
{
	struct values values = {name, visit, arg};

	for_each_process(visit_value, &values);
}

int tree_count(const char *also)
{
	struct carriers carriers = {.also = also};

	for_each_process(visit_carrier, &carriers);
	return carriers.count;
}

const char *tree_text(void)
{
	static char text[TEXT_MAX];
	struct carriers carriers = {.text = text};

	*text = '\0';
	for_each_process(visit_carrier, &carriers);
	return text;
}

struct wanted {
	const char *also;
	int count;
};

static bool is_so_many(void *arg)
{
	const struct wanted *wanted = arg;

	return tree_count(wanted->also) == wanted->count;
}

bool tree_wait(const char *also, int count)
{
	struct wanted wanted = {also, count};

	return wait_until(is_so_many, &wanted, PROCESS_TIMEOUT_MS);
}

bool tree_left_behind(void)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

/* Twice in a row nobody: who forks while it is looked at is seen in the second look. */
static bool is_ended(void *arg)
{
	struct carriers first = {.kill = true}, second = {.kill = true};

	(void)arg;
	for_each_process(visit_carrier, &first);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
	for_each_process(visit_carrier, &second);
	return first.count + second.count == 0;
}

void tree_end(void)
{
	if (!wait_until(is_ended, NULL, PROCESS_TIMEOUT_MS)) {
		(void)fprintf(stderr, "cannot be killed: %s\n", tree_text());
		abort();
	}
}

/* --- one of them ----------------------------------------------------------------------------------- */

struct sought_process {
	const char *name; /* or NULL */
	pid_t parent;     /* 0: anybody who carries the mark */
	pid_t pid;
	unsigned long long started;
};

static void visit_sought(void *arg, pid_t pid)
{
	struct sought_process *sought = arg;
	struct stat_line line;
	char text[24];

	(void)snprintf(text, sizeof(text), "%ld", (long)pid);
	if (!read_stat(pid, &line) || line.state == 'Z')
		return;
	if (sought->name && strcmp(line.name, sought->name) != 0)
		return;
	if (sought->parent ? line.parent != sought->parent : !carries(text, NULL))
		return;
	if (sought->pid && line.started >= sought->started)
		return;
	sought->pid = pid;
	sought->started = line.started;
}

pid_t tree_child(pid_t parent, const char *name)
{
	struct sought_process sought = {.name = name, .parent = parent};

	for_each_process(visit_sought, &sought);
	return sought.pid;
}

pid_t tree_named(const char *name)
{
	struct sought_process sought = {.name = name};

	for_each_process(visit_sought, &sought);
	return sought.pid;
}

struct children {
	pid_t parent;
	int all, zombies;
};

static void visit_child(void *arg, pid_t pid)
{
	struct children *children = arg;
	struct stat_line line;

	if (!read_stat(pid, &line) || line.parent != children->parent)
		return;
	children->all++;
	children->zombies += line.state == 'Z';
}

static struct children count_children(pid_t parent)
{
	struct children children = {.parent = parent};

	for_each_process(visit_child, &children);
	return children;
}

int tree_children(pid_t parent)
{
	return count_children(parent).all;
}

int tree_zombies(pid_t parent)
{
	return count_children(parent).zombies;
}

/* --- canary ---------------------------------------------------------------------------------------- */

static _Noreturn void sit(int ready_fd)
{
	sigset_t all;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	if (write(ready_fd, "", 1) != 1)
		_exit(1);
	for (;;)
		(void)pause();
}

void canary_start(struct canary *canary)
{
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		give_up("pipe2");
	canary->pid = fork();
	if (canary->pid < 0)
		give_up("fork");
	if (canary->pid == 0)
		sit(ready[1]);
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		give_up("the canary");
	(void)close(ready[0]);
}

bool canary_is_untouched(const struct canary *canary)
{
	char path[64], text[4096];

	(void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)canary->pid);
	return read_file(path, text, sizeof(text)) > 0 && strchr("SRD", tree_state(canary->pid)) &&
	       strstr(text, "\nSigPnd:\t0000000000000000\n") && strstr(text, "\nShdPnd:\t0000000000000000\n");
}

void canary_end(struct canary *canary)
{
	if (canary->pid == 0)
		return;
	(void)kill(canary->pid, SIGKILL);
	(void)waitpid(canary->pid, NULL, 0);
	canary->pid = 0;
}
