#include "custody.h"

#include "command.h"
#include "inherited.h"
#include "tree.h"

#include <cancel/clock.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIVE_UP_NS    (10 * CANCEL_SECOND) /* what lives that long after SIGKILL cannot be killed */
#define KILL_AGAIN_NS (20 * CANCEL_MILLISECOND)

/* --- signals ------------------------------------------------------------------------------------------ */

static const int event_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static void fill_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof event_signals / sizeof event_signals[0]; i++) {
		/* nohup(1), and a shell for what runs in the background, want them ignored. */
		if (!inherited_ignores(event_signals[i]))
			(void)sigaddset(set, event_signals[i]);
	}
}

void custody_block_signals(void)
{
	sigset_t set;

	/* Where it is ignored nobody could wait for a child. */
	(void)signal(SIGCHLD, SIG_DFL);
	fill_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int custody_open(struct custody *custody, int life_fd)
{
	sigset_t set;

	*custody = (struct custody){.life_fd = life_fd, .stop_fd = -1, .is_empty = true};
	custody->cgroup.fd = -1;
	fill_signals(&set);
	custody->signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return custody->signals_fd < 0 ? -errno : 0;
}

void custody_keep_orphans(struct custody *custody)
{
	custody->keeps_orphans = prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

/* A new one for each command: one that was killed kills whoever is put into it later. */
static void renew_cgroup(struct custody *custody)
{
	cgroup_remove(&custody->cgroup);
	if (!custody->avoids_cgroups)
		cgroup_make(&custody->cgroup);
}

int custody_start(struct custody *custody, char *const *arguments)
{
	pid_t pid;

	renew_cgroup(custody);
	pid = command_start(arguments, custody->group, custody->cgroup.fd);
	if (pid < 0)
		return (int)pid;
	custody->arguments = arguments;
	custody->command = pid;
	custody->is_empty = false;
	custody->sent = 0;
	custody->was_killed = false;
	return 0;
}

/* It died at its birth, and nobody wanted that. (While a hook runs it is the hook's birth that is known.)
 * Returns whether it has another life. */
static bool start_again(struct custody *custody)
{
	if (custody->cgroup.fd < 0 || custody->hook != 0 || command_was_born() || custody->sent != 0 ||
	    custody->was_killed)
		return false;
	custody->avoids_cgroups = true;
	return custody_start(custody, custody->arguments) == 0;
}

/* --- waiting ------------------------------------------------------------------------------------------ */

static void add_time(struct timeval *sum, const struct timeval *more)
{
	sum->tv_sec += more->tv_sec;
	sum->tv_usec += more->tv_usec;
	if (sum->tv_usec >= 1000000) {
		sum->tv_sec++;
		sum->tv_usec -= 1000000;
	}
}

static void add_usage(struct rusage *sum, const struct rusage *more)
{
	add_time(&sum->ru_utime, &more->ru_utime);
	add_time(&sum->ru_stime, &more->ru_stime);
	if (more->ru_maxrss > sum->ru_maxrss)
		sum->ru_maxrss = more->ru_maxrss;
}

static void reap(struct custody *custody)
{
	struct rusage usage;
	pid_t pid;
	int status;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		if (pid == custody->hook) {
			custody->hook = 0;
			continue;
		}
		add_usage(&custody->usage, &usage);
		if (pid == custody->command && !start_again(custody)) {
			custody->command = 0;
			custody->status = status;
		}
	}
	if (pid < 0 && errno == ECHILD)
		custody->is_empty = true;
}

/* All others are for all of it, and say that it shall end. */
static bool is_for_command(int number)
{
	return number == SIGUSR1 || number == SIGUSR2;
}

/* Returns whether there was one. */
static bool take_signal(struct custody *custody, enum custody_event *event)
{
	struct signalfd_siginfo info;

	if (read(custody->signals_fd, &info, sizeof info) != (ssize_t)sizeof info)
		return false;
	if (info.ssi_signo == SIGCHLD) {
		reap(custody);
		*event = CUSTODY_CHILD;
		return true;
	}
	custody->signal = (int)info.ssi_signo;
	custody->signal_sender = (pid_t)info.ssi_pid;
	custody->signal_is_kernels = info.ssi_code == SI_KERNEL;
	custody->signal_was_given =
		info.ssi_code == SI_QUEUE && (pid_t)info.ssi_pid == getppid() && info.ssi_int != 0;
	if (!is_for_command(custody->signal))
		custody->told_to_end = custody->signal;
	*event = CUSTODY_SIGNAL;
	return true;
}

static bool take_orphaned(struct custody *custody, enum custody_event *event)
{
	custody->life_fd = -1;
	custody->is_orphaned = true;
	*event = CUSTODY_ORPHANED;
	return true;
}

static bool take_stop(struct custody *custody, enum custody_event *event)
{
	custody->stop_fd = -1;
	custody->stop_at_ns = cancel_clock_now_ns();
	*event = CUSTODY_STOP;
	return true;
}

/* The more urgent first. */
static bool take_event(struct custody *custody, const struct pollfd fds[3], enum custody_event *event)
{
	if (fds[1].revents != 0)
		return take_orphaned(custody, event);
	if (fds[0].revents != 0)
		return take_signal(custody, event);
	return fds[2].revents != 0 && take_stop(custody, event);
}

static struct timespec left_until(int64_t until_ns)
{
	int64_t left_ns = until_ns - cancel_clock_now_ns();

	if (left_ns < 0)
		left_ns = 0;
	return (struct timespec){left_ns / CANCEL_SECOND, left_ns % CANCEL_SECOND};
}

enum custody_event custody_wait(struct custody *custody, int64_t until_ns)
{
	enum custody_event event;

	for (;;) {
		struct pollfd fds[] = {
			{custody->signals_fd, POLLIN, 0},
			{custody->life_fd, POLLIN, 0},
			{custody->stop_fd, POLLIN, 0},
		};
		struct timespec left = left_until(until_ns);
		int ready = ppoll(fds, 3, until_ns == CANCEL_FOREVER ? NULL : &left, NULL);

		if (ready > 0 && take_event(custody, fds, &event))
			return event;
		if (ready == 0)
			return CUSTODY_TIME;
	}
}

/* --- ending ------------------------------------------------------------------------------------------- */

static void send_to_all(struct custody *custody, int number, pid_t spared_group)
{
	struct tree tree = {.spared_group = spared_group};

	(void)tree_signal(&tree, number);
	/* Without /proc it is all that can be reached. As long as it was not waited for its number is its
	 * own. */
	if (custody->command > 0 && tree.count == 0 && spared_group == 0)
		(void)kill(custody->command, number);
	tree_free(&tree);
}

void custody_signal(struct custody *custody, int number)
{
	send_to_all(custody, number, 0);
}

/* What the terminal has sent to the command's group does not reach those of it that have another one. */
void custody_pass_signal(struct custody *custody)
{
	if (!is_for_command(custody->signal))
		send_to_all(custody, custody->signal, custody->signal_was_given ? custody->group : 0);
	else if (custody->command > 0)
		(void)kill(custody->command, custody->signal);
}

static int64_t sooner(int64_t one_ns, int64_t other_ns)
{
	return one_ns < other_ns ? one_ns : other_ns;
}

bool custody_kill(struct custody *custody)
{
	int64_t give_up_at_ns = cancel_clock_now_ns() + GIVE_UP_NS;

	reap(custody);
	/* Again and again, because who was killed leaves children that come to us only then. */
	while (!custody->is_empty && cancel_clock_now_ns() < give_up_at_ns) {
		int64_t again_at_ns = cancel_clock_now_ns() + KILL_AGAIN_NS;

		cgroup_kill(&custody->cgroup);
		custody_signal(custody, SIGKILL);
		custody->was_killed = true;
		while (!custody->is_empty &&
		       custody_wait(custody, sooner(again_at_ns, give_up_at_ns)) != CUSTODY_TIME)
			;
	}
	return custody->is_empty;
}

/* Returns whether the time is over. */
static bool wait_for_end(struct custody *custody, int64_t until_ns)
{
	while (!custody->is_empty) {
		switch (custody_wait(custody, until_ns)) {
		case CUSTODY_TIME:
			return true;
		case CUSTODY_ORPHANED:
			return false;
		case CUSTODY_SIGNAL:
			/* What it was sent already it may just be sending to its group, us included. */
			if (custody->signal != custody->sent)
				custody_pass_signal(custody);
			break;
		case CUSTODY_CHILD:
		case CUSTODY_STOP:
			break;
		}
	}
	return false;
}

bool custody_end(struct custody *custody, const struct custody_steps *steps)
{
	reap(custody);
	if (custody->is_empty)
		return true;
	if (!custody->is_orphaned) {
		custody->sent = steps->signal;
		custody_signal(custody, steps->signal);
		if (wait_for_end(custody, cancel_clock_now_ns() + steps->grace_ns) && steps->on_kill != NULL)
			steps->on_kill(steps->arg);
	}
	return custody_kill(custody);
}

int custody_write(struct custody *custody, int fd, const char *text, size_t length)
{
	custody->told_to_end = 0;
	while (length > 0 && !custody->is_orphaned && custody->told_to_end == 0) {
		struct pollfd fds[] = {
			{custody->signals_fd, POLLIN, 0},
			{custody->life_fd, POLLIN, 0},
			{fd, POLLOUT, 0},
		};
		enum custody_event event;
		ssize_t written;

		if (poll(fds, 3, -1) < 0 || fds[2].revents == 0) {
			(void)take_event(custody, (struct pollfd[]){fds[0], fds[1], {-1, 0, 0}}, &event);
			continue;
		}
		written = write(fd, text, length < PIPE_BUF ? length : PIPE_BUF);
		if (written < 0)
			return -errno;
		text += written;
		length -= (size_t)written;
	}
	return length == 0 ? 0 : -EINTR;
}
