#include <cancel/fd.h>

#include "clock.h"
#include "delivery.h"
#include "dispatcher.h"
#include "registration.h"
#include "waiting.h"

#include <cancel/token.h>

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- a descriptor ------------------------------------------------------------------------------------- */

void fd_done(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
}

/* Under the source's lock, so that waiters wake before any callback is called. It cannot block: nobody writes
 * so often. */
void fd_ring(const struct cancel_registration *registration)
{
	const struct cancel_fd *fd = (const struct cancel_fd *)registration;
	uint64_t once = 1;

	/* After a fork it is the parent's, or what the child has opened in its place. */
	if (fd->forks != dispatcher_forks())
		return;
	/* Not write(2) of libc, where pthread_cancel could end the thread. */
	(void)syscall(SYS_write, fd->fd, &once, sizeof once);
}

int cancel_fd_open(struct cancel_fd *fd, struct cancel_token token)
{
	struct cancel_registration *registration = &fd->registration;

	fd->forks = dispatcher_forks();
	fd->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd->fd < 0)
		return -errno;
	if (registration_list(registration, token, fd_done, fd, true))
		fd_ring(registration);
	return 0;
}

void cancel_fd_close(struct cancel_fd *fd)
{
	int cancelability;

	if (fd->fd < 0)
		return;
	(void)registration_remove(&fd->registration, false);
	/* Not SYS_close: ThreadSanitizer would take the next descriptor of that number for this one. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelability);
	(void)close(fd->fd);
	(void)pthread_setcancelstate(cancelability, NULL);
	fd->fd = -1;
}

/* --- poll --------------------------------------------------------------------------------------------- */

static int poll_until(struct pollfd *fds, size_t count, const struct timespec *until)
{
	struct timespec left;
	int64_t left_ns;

	if (!until)
		return ppoll(fds, count, NULL, NULL);
	left_ns = timespec_ns(until) - clock_monotonic_ns();
	if (left_ns < 0)
		left_ns = 0;
	left = (struct timespec){left_ns / NS_PER_S, left_ns % NS_PER_S};
	return ppoll(fds, count, &left, NULL);
}

static void clear(struct pollfd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fds[i].revents = 0;
}

/* The caller's descriptors, with the token's at the end. */
static int poll_with(int token_fd, struct pollfd *fds, size_t count, const struct timespec *until)
{
	struct pollfd all[CANCEL_POLL_MAX + 1];
	int ready;

	for (size_t i = 0; i < count; i++)
		all[i] = fds[i];
	all[count] = (struct pollfd){.fd = token_fd, .events = POLLIN};
	ready = poll_until(all, count + 1, until);
	if (ready < 0)
		return -errno;
	for (size_t i = 0; i < count; i++)
		fds[i].revents = all[i].revents;
	return ready;
}

static int poll_open(struct cancel_token token, struct pollfd *fds, size_t count,
		     const struct timespec *until)
{
	struct cancel_fd stop;
	int result;

	if (!token.source) {
		result = poll_until(fds, count, until);
		return result < 0 ? -errno : result;
	}
	if (cancel_token_requested(token))
		return -ECANCELED;
	result = cancel_fd_open(&stop, token);
	if (result < 0)
		return result;
	result = poll_with(stop.fd, fds, count, until);
	cancel_fd_close(&stop);
	return cancel_token_requested(token) ? -ECANCELED : result;
}

int cancel_token_poll(struct cancel_token token, struct pollfd *fds, size_t count, int64_t timeout_ns)
{
	struct timespec end;
	int result = -EINVAL, cancelability;

	if (count <= CANCEL_POLL_MAX) {
		/* ppoll is a cancellation point, and would leave a registration on a stack that is gone. */
		(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelability);
		result = poll_open(token, fds, count, waiting_until(&end, timeout_ns));
		(void)pthread_setcancelstate(cancelability, NULL);
	}
	if (result < 0)
		clear(fds, count);
	return result;
}
