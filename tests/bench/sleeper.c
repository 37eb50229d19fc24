#include "sleeper.h"

#include "harness.h"
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REST_NS     20000000 /* to become `sleep`, and for those who watch to fall asleep */
#define DEADLINE_MS 20000

static pid_t read_pid(FILE *output, const char *program)
{
	char line[32];
	long pid;

	if (!fgets(line, sizeof line, output) || sscanf(line, "%ld", &pid) != 1)
		bench_fail("'%s' did not start its command", program);
	return (pid_t)pid;
}

void sleeper_start(struct sleeper *sleeper, const char *const *arguments)
{
	bench_pin(true);
	sleeper->runner = process_start(arguments, &sleeper->output);
	bench_pin(false);
	sleeper->command = read_pid(sleeper->output, arguments[0]);
	sleeper->fd = (int)syscall(SYS_pidfd_open, sleeper->command, 0);
	if (sleeper->fd < 0)
		bench_fail("cannot watch a command: %s", strerror(errno));
	(void)nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
}

int64_t sleeper_await_death_ns(const struct sleeper *sleeper)
{
	struct pollfd death = {.fd = sleeper->fd, .events = POLLIN};

	if (poll(&death, 1, DEADLINE_MS) != 1)
		bench_fail("a command that was to be stopped lives");
	return bench_now_ns();
}

int sleeper_finish(struct sleeper *sleeper)
{
	(void)close(sleeper->fd);
	(void)fclose(sleeper->output);
	return process_wait(sleeper->runner);
}
