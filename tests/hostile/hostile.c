/* A command that does not want to end: `hostile KIND...`. It ignores every signal that can be ignored, and so
 * does all that it starts, a branch for each KIND. When all of them have come to where they stay it prints
 * "ready"; what it starts is bounded, and does not end by itself while a test runs. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	STORM_FORKS = 1000, /* in all, and then they stay */
	STORM_WIDTH = 16,           /* alive at once, about */
	HOPS = 1000,
	RESPAWNS = 500,
	NAP_US = 2000,
	STAY_S = 600, /* longer than any test; where nobody ends it, it does not stay for ever */
};

static int ready_fd;
static atomic_int *forks; /* of a storm; shared by all */

static void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static void ignore_signals(void)
{
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
}

static _Noreturn void stay(void)
{
	struct timespec left = {.tv_sec = STAY_S};

	while (nanosleep(&left, &left) < 0)
		continue;
	_exit(0);
}

static void say_ready(void)
{
	if (write(ready_fd, "", 1) != 1)
		give_up("write");
}

static bool is_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork");
	return pid == 0;
}

/* --- kinds: each runs in a child of its own, says ready and never returns -------------------------- */

static void be_child(void)
{
	say_ready();
}

/* Forked away twice: its parent is gone. */
static void be_orphan(void)
{
	if (!is_child())
		_exit(0);
	say_ready();
}

static void be_session(void)
{
	if (!is_child())
		_exit(0);
	if (setsid() < 0)
		give_up("setsid");
	if (!is_child())
		_exit(0);
	say_ready();
}

static void be_group(void)
{
	if (setpgid(0, 0) < 0)
		give_up("setpgid");
	say_ready();
}

/* What it forks away comes to it, and to nobody above. */
static void be_reaper(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		give_up("prctl");
	if (is_child())
		be_session();
	else
		(void)wait(NULL);
}

static void be_stopped(void)
{
	say_ready();
	(void)raise(SIGSTOP);
}

static void be_silent(void)
{
	for (int fd = 0; fd < 64; fd++)
		if (fd != ready_fd)
			(void)close(fd);
	say_ready();
}

static void *stay_as_thread(void *arg)
{
	(void)arg;
	say_ready();
	stay();
}

/* In /proc it is a zombie, and it lives. */
static void be_leaderless(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, stay_as_thread, NULL) != 0)
		give_up("pthread_create");
	pthread_exit(NULL);
}

/* Another one for each that is killed. */
static void be_respawning(void)
{
	for (int i = 0; i < RESPAWNS; i++) {
		if (is_child()) {
			if (i == 0)
				say_ready();
			return;
		}
		(void)wait(NULL);
	}
}

static bool may_fork(void)
{
	return atomic_fetch_add(forks, 1) < STORM_FORKS;
}

/* All fork, and half of them end. */
static void be_storm(void)
{
	say_ready();
	for (int generation = 0;; generation++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		if (!may_fork())
			return;
		if (is_child())
			continue;
		if (generation % STORM_WIDTH != 0) {
			(void)usleep(NAP_US);
			_exit(0);
		}
	}
}

/* It is another process each time that somebody looks. */
static void be_hopping(void)
{
	say_ready();
	for (int i = 0; i < HOPS; i++)
		if (!is_child())
			_exit(0);
}

/* For a file with the set-user-ID bit: whoever started it may not signal it any more. */
static void be_owner(void)
{
	if (setresuid(geteuid(), geteuid(), geteuid()) < 0)
		give_up("setresuid");
	say_ready();
}

static const struct {
	const char *name;
	void (*be)(void);
} kinds[] = {
	{"child", be_child},   {"orphan", be_orphan},         {"session", be_session},
	{"group", be_group},   {"reaper", be_reaper},         {"stopped", be_stopped},
	{"silent", be_silent}, {"leaderless", be_leaderless}, {"respawning", be_respawning},
	{"storm", be_storm},   {"hopping", be_hopping},       {"owner", be_owner},
};

static void start(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name)) {
			if (is_child()) {
				kinds[i].be();
				stay();
			}
			return;
		}
	(void)fprintf(stderr, "hostile: unknown kind '%s'\n", name);
	exit(2);
}

static void await(int count, int fd)
{
	char byte;

	while (count > 0) {
		ssize_t got = read(fd, &byte, 1);

		if (got == 0 || (got < 0 && errno != EINTR))
			give_up("the tree");
		count -= got == 1;
	}
}

int main(int argc, char **argv)
{
	int ready[2];

	ignore_signals();
	forks = mmap(NULL, sizeof(*forks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (forks == MAP_FAILED || pipe2(ready, O_CLOEXEC) < 0)
		give_up("hostile");
	ready_fd = ready[1];
	for (int i = 1; i < argc; i++)
		start(argv[i]);
	await(argc - 1, ready[0]);
	(void)puts("ready");
	(void)fflush(stdout);
	stay();
}
