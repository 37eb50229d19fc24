#include "signals.h"
#include "options.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const struct notify *handler_notify;
static sigset_t end_signals; /* SIGTERM and SIGINT */

static void leave(int number)
{
	(void)number;
	notify_stopping(handler_notify);
	_exit(EXIT_YES);
}

int signals_open(const struct notify *notify)
{
	struct sigaction action = {.sa_handler = leave};
	sigset_t all;
	int fd;

	handler_notify = notify;
	(void)sigemptyset(&end_signals);
	(void)sigaddset(&end_signals, SIGTERM);
	(void)sigaddset(&end_signals, SIGINT);
	all = end_signals;
	(void)sigaddset(&all, SIGHUP);
	/* Held back first: a handler that is there a moment before would miss nothing, a default action
	 * would end us without order. */
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)sigfillset(&action.sa_mask);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	/* An ignored signal never reaches a descriptor, and nohup(1) leaves SIGHUP ignored. */
	(void)signal(SIGHUP, SIG_DFL);
	fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

void signals_busy(bool busy)
{
	(void)sigprocmask(busy ? SIG_UNBLOCK : SIG_BLOCK, &end_signals, NULL);
}

int signals_read(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}
