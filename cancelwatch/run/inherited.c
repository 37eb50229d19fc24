#include "inherited.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

#define STREAMS 3

/* Those whose treatment we change, for whatever reason. All others pass through us as they are. */
static const int changed_signals[] = {SIGPIPE, SIGXFSZ, SIGCHLD, SIGTTOU, SIGTERM, SIGINT, SIGHUP};

#define CHANGED_COUNT (sizeof changed_signals / sizeof changed_signals[0])

static struct {
	struct sigaction actions[CHANGED_COUNT];
	sigset_t mask;
	struct rlimit descriptors;
	bool is_closed[STREAMS];
} kept;

void inherited_keep(void)
{
	for (size_t i = 0; i < CHANGED_COUNT; i++)
		(void)sigaction(changed_signals[i], NULL, &kept.actions[i]);
	(void)sigprocmask(SIG_SETMASK, NULL, &kept.mask);
	(void)getrlimit(RLIMIT_NOFILE, &kept.descriptors);
	for (int fd = 0; fd < STREAMS; fd++)
		kept.is_closed[fd] = fcntl(fd, F_GETFD) < 0;
}

bool inherited_ignores(int number)
{
	struct sigaction action;

	for (size_t i = 0; i < CHANGED_COUNT; i++) {
		if (changed_signals[i] == number)
			return kept.actions[i].sa_handler == SIG_IGN;
	}
	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void inherited_forget_streams(void)
{
	for (int fd = 0; fd < STREAMS; fd++)
		kept.is_closed[fd] = false;
}

void inherited_restore(void)
{
	for (size_t i = 0; i < CHANGED_COUNT; i++)
		(void)sigaction(changed_signals[i], &kept.actions[i], NULL);
	(void)setrlimit(RLIMIT_NOFILE, &kept.descriptors);
	for (int fd = 0; fd < STREAMS; fd++) {
		if (kept.is_closed[fd])
			(void)close(fd);
	}
	(void)sigprocmask(SIG_SETMASK, &kept.mask, NULL);
}
