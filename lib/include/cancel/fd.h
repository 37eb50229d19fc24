/**
 * A token as a descriptor, for a program's own poll, epoll or select.
 *
 *     struct cancel_fd stop;
 *
 *     if (cancel_fd_open(&stop, token) < 0)
 *             ...
 *     struct pollfd fds[] = {{stop.fd, POLLIN, 0}, {socket, POLLIN, 0}};
 *
 * In the child of a fork it is the parent's: it is not made readable there, and close(2) closes it.
 *
 * Nobody pays for a descriptor who does not ask for one. One per thread or loop is enough: link what it
 * should listen to into one source.
 */
#ifndef CANCEL_FD_H
#define CANCEL_FD_H

#include <cancel/export.h>
#include <cancel/registration.h>
#include <cancel/source.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

struct cancel_fd {
	struct cancel_registration registration; /* the library's */
	int fd;         /* readable once the token is cancelled, and from then on; do nothing but poll it */
	uint32_t forks; /* the library's: in which process it was opened */
};

/**
 * Open a descriptor that becomes readable when the token is cancelled; if it is already, at once. With the
 * zero token it never does.
 *
 * @param fd  Borrowed until cancel_fd_close. On failure fd->fd is -1 and closing it is harmless.
 *
 * @return 0, or -EMFILE, -ENFILE, -ENOMEM as of eventfd(2).
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_fd_open(struct cancel_fd *fd, struct cancel_token token);

/**
 * Close it. What cancel_fd_open refused, or what is closed already, is fine.
 *
 * Blocks for no longer than another thread takes to make it readable. Its owner only.
 */
CANCEL_API void cancel_fd_close(struct cancel_fd *fd);

CANCEL_END_DECLS

#endif
