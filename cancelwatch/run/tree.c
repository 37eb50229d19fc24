#include "tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_SIZE 64

/* --- the list ----------------------------------------------------------------------------------------- */

static bool is_known(const struct tree *tree, const struct tree_process *process)
{
	for (size_t i = tree->count; i > 0; i--) {
		const struct process_stat *known = &tree->list[i - 1].stat;

		if (known->pid == process->stat.pid && known->started == process->stat.started)
			return true;
	}
	return false;
}

static int add(struct tree *tree, const struct tree_process *process)
{
	size_t room = tree->room ? 2 * tree->room : 16;
	struct tree_process *list;

	if (tree->count == tree->room) {
		list = reallocarray(tree->list, room, sizeof *list);
		if (list == NULL)
			return -ENOMEM;
		tree->list = list;
		tree->room = room;
	}
	tree->list[tree->count++] = *process;
	return 0;
}

void tree_free(struct tree *tree)
{
	free(tree->list);
	*tree = (struct tree){0};
}

/* --- whose children they are -------------------------------------------------------------------------- */

typedef void visit_child(void *arg, pid_t child);

/* Calls `visit` for each number in a file. Returns 0, or a negative errno. */
static int read_children(const char *path, visit_child *visit, void *arg)
{
	FILE *file = fopen(path, "re");
	int child;

	if (file == NULL)
		return -errno;
	while (fscanf(file, "%d", &child) == 1)
		visit(arg, child);
	(void)fclose(file);
	return 0;
}

/* Calls `visit` for each folder of /proc, or of a process's threads, that is a number. */
static int read_numbers(const char *path, visit_child *visit, void *arg)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (dir == NULL)
		return -errno;
	while ((entry = readdir(dir)) != NULL) {
		if (isdigit((unsigned char)entry->d_name[0]))
			visit(arg, atoi(entry->d_name));
	}
	(void)closedir(dir);
	return 0;
}

/* Children are listed by the thread that they are of. */
struct thread_walk {
	pid_t pid;
	visit_child *visit;
	void *arg;
	bool is_missing; /* the kernel keeps no such lists */
};

static void visit_thread(void *arg, pid_t thread)
{
	struct thread_walk *walk = arg;
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)walk->pid, (int)thread);
	if (read_children(path, walk->visit, walk->arg) == -ENOENT && thread == walk->pid)
		walk->is_missing = true;
}

/* Where there are no such lists: everybody whose parent it is. */
struct scan {
	pid_t parent;
	visit_child *visit;
	void *arg;
};

static void visit_everybody(void *arg, pid_t pid)
{
	const struct scan *scan = arg;
	struct process_stat stat;

	if (process_stat_read(&stat, pid) == 0 && stat.parent == scan->parent)
		scan->visit(scan->arg, pid);
}

static int for_children(pid_t pid, visit_child *visit, void *arg)
{
	struct thread_walk walk = {pid, visit, arg, false};
	struct scan scan = {pid, visit, arg};
	struct process_stat stat;
	char path[PATH_SIZE];
	int error;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	error = read_numbers(path, visit_thread, &walk);
	/* The list of a process that has just ended is missing too. */
	if (walk.is_missing && process_stat_read(&stat, pid) == 0)
		error = read_numbers("/proc", visit_everybody, &scan);
	return error;
}

/* --- signalling --------------------------------------------------------------------------------------- */

/* One walk over what is below us, from the top down. */
struct walk {
	pid_t root;
	int signal;
	struct tree *known;
	struct tree found;                 /* in this walk */
	struct process_stat parent; /* whose children come now; pid 0: the root's */
	size_t added;                      /* to `known` */
	int error;
};

static int send_one(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 ? 0 : -errno;
}

/* A stopped process takes nothing but SIGKILL before it is continued. One that has ended is fine. */
static int send_to(int pidfd, int signal)
{
	int error = send_one(pidfd, signal);

	if (error == 0 && signal != SIGKILL && signal != SIGSTOP)
		(void)send_one(pidfd, SIGCONT);
	return error == -ESRCH ? 0 : error;
}

/* Now that a descriptor of it is held: is it below us still? Its number may have been used again before that,
 * and then its parent is another one; its parent's number too, and then that has begun at another time. */
static bool is_ours(const struct walk *walk, const struct process_stat *stat)
{
	if (stat->parent == walk->root)
		return true;
	return walk->parent.pid != 0 && stat->parent == walk->parent.pid && process_stat_is_same(&walk->parent);
}

static void note(struct walk *walk, int error)
{
	if (error < 0 && error != -ESRCH && error != -ENOENT)
		walk->error = error;
}

static void signal_new(struct walk *walk, struct tree_process *process, int pidfd)
{
	if (is_known(walk->known, process))
		return;
	if (process->stat.group != walk->known->spared_group)
		process->error = send_to(pidfd, walk->signal);
	note(walk, add(walk->known, process));
	walk->added++;
}

static void visit(void *arg, pid_t child)
{
	struct walk *walk = arg;
	struct tree_process process = {.error = 0};
	int pidfd = (int)syscall(SYS_pidfd_open, child, 0);

	if (pidfd < 0) {
		note(walk, -errno);
		return;
	}
	if (process_stat_read(&process.stat, child) == 0 && is_ours(walk, &process.stat)) {
		note(walk, add(&walk->found, &process));
		signal_new(walk, &process, pidfd);
	}
	(void)close(pidfd);
}

/* What is found is added to the end of the list that is walked over, so that the walk goes on to the last
 * leaf. */
static void walk_down(struct walk *walk)
{
	note(walk, for_children(walk->root, visit, walk));
	for (size_t i = 0; i < walk->found.count; i++) {
		walk->parent = walk->found.list[i].stat;
		note(walk, for_children(walk->parent.pid, visit, walk));
	}
	tree_free(&walk->found);
}

#define WALKS_MAX 64 /* for who forks faster than we walk; the caller comes back */

int tree_signal(struct tree *tree, int signal)
{
	struct walk walk;
	int walks = 0;

	if (!process_stat_is_ours())
		return -ENOSYS;

	do {
		walk = (struct walk){.root = getpid(), .signal = signal, .known = tree};
		walk_down(&walk);
	} while (walk.added > 0 && ++walks < WALKS_MAX);
	return walk.error;
}

bool tree_descends(pid_t pid, pid_t ancestor)
{
	struct process_stat stat;

	if (!process_stat_is_ours())
		return false;
	while (pid > 1 && pid != ancestor) {
		if (process_stat_read(&stat, pid) < 0)
			return false;
		pid = stat.parent;
	}
	return pid == ancestor;
}
