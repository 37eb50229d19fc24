#include "stress_crew.h"

#include "environment.h"
#include "stress_run.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PATIENCE_DEFAULT_S = 90,
	LOOK_AGAIN_NS = 2000000,
	COMPLAINTS_MAX = 20, /* then it is clear enough */
};

#define SECOND_NS 1000000000LL

static struct book {
	atomic_int complaints;
	atomic_ulong steps;
} * book;

static const char *program = "stress";
static uint64_t seed;

void *crew_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		abort();
	}
	return memory;
}

void crew_begin(const char *name)
{
	const char *text = getenv("SEED");

	program = name;
	seed = text ? strtoull(text, NULL, 10) : (uint64_t)stress_now_ns() % 1000000007;
	book = crew_share(sizeof(*book));
}

int crew_end(const char *format, ...)
{
	int complaints = atomic_load(&book->complaints);
	va_list arguments;

	(void)printf("%s: seed %llu, ", program, (unsigned long long)seed);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)printf("; %d wrong\n", complaints);
	return complaints != 0;
}

void crew_expect(bool holds, const char *format, ...)
{
	va_list arguments;
	char text[1024];
	int length;

	if (holds)
		return;
	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, "%s: SEED=%llu, process %ld: %.*s\n", program, (unsigned long long)seed,
		      (long)getpid(), length, text);
	if (atomic_fetch_add(&book->complaints, 1) + 1 >= COMPLAINTS_MAX)
		_exit(1);
}

uint64_t crew_seed(unsigned stream)
{
	uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15U + (stream + 1) * 0xd1b54a32d192ed03U;

	for (int i = 0; i < 8; i++)
		(void)stress_chance(&state);
	return state;
}

long crew_number(const char *name, long otherwise)
{
	const char *text = getenv(name);
	long number = text ? strtol(text, NULL, 10) : 0;

	return number > 0 ? number : otherwise;
}

void crew_step(void)
{
	(void)atomic_fetch_add(&book->steps, 1);
}

pid_t crew_fork(void)
{
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		abort();
	}
	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void judge_end(pid_t pid, int status)
{
	crew_expect(!WIFSIGNALED(status), "process %ld was ended by signal %d", (long)pid, WTERMSIG(status));
	crew_expect(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "process %ld ended with %d", (long)pid,
		    WEXITSTATUS(status));
}

void crew_reap(pid_t pid)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	int64_t patience_ns = environment_number("WATCHDOG_SECONDS", PATIENCE_DEFAULT_S) * SECOND_NS;
	int64_t seen_ns = stress_now_ns();
	unsigned long seen = 0;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		unsigned long steps = atomic_load(&book->steps);

		if (steps != seen)
			seen_ns = stress_now_ns();
		seen = steps;
		if (stress_now_ns() - seen_ns > patience_ns) {
			(void)fprintf(stderr, "%s: SEED=%llu: process %ld hangs\n", program,
				      (unsigned long long)seed, (long)pid);
			abort();
		}
		(void)nanosleep(&pause, NULL);
	}
	judge_end(pid, status);
}

void crew_kill(pid_t pid)
{
	int status;

	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
}
