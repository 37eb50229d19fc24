/* A token as a descriptor: readable from the cancellation on, for every program's own loop. */
#include "token_calls.h"
#include "token_thread.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

static struct cancel_source source, child;
static struct token_calls calls;

TestSuite(token_fd, .timeout = 60);

static bool is_readable(const struct cancel_fd *fd)
{
	struct pollfd one = {fd->fd, POLLIN, 0};

	return poll(&one, 1, 0) == 1 && one.revents == POLLIN;
}

static void open_it(struct cancel_fd *fd, const struct cancel_source *of)
{
	memset(fd, 0xff, sizeof(*fd));
	cr_assert_eq(cancel_fd_open(fd, cancel_source_token(of)), 0);
	cr_assert_geq(fd->fd, 0);
}

Test(token_fd, it_becomes_readable_and_stays_so)
{
	struct cancel_fd fd;

	open_it(&fd, &source);
	cr_assert(!is_readable(&fd));
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	for (int i = 0; i < 3; i++)
		cr_assert(is_readable(&fd));
	cr_assert_eq(cancel_source_fini(&source), 0);
	cr_assert(is_readable(&fd), "from then on");
	cancel_fd_close(&fd);
}

Test(token_fd, it_is_readable_at_once_if_the_token_is_cancelled)
{
	struct cancel_fd fd;

	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	open_it(&fd, &source);
	cr_assert(is_readable(&fd));
	cancel_fd_close(&fd);
}

Test(token_fd, that_of_the_zero_token_never_is)
{
	struct cancel_token none = CANCEL_TOKEN_NONE;
	struct cancel_fd fd;

	cr_assert_eq(cancel_fd_open(&fd, none), 0);
	cr_assert_geq(fd.fd, 0);
	cr_assert(!is_readable(&fd));
	cancel_fd_close(&fd);
}

Test(token_fd, several_of_one_token_become_readable)
{
	struct cancel_fd fds[20];

	for (int i = 0; i < 20; i++)
		open_it(&fds[i], &source);
	cancel_fd_close(&fds[3]);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	for (int i = 0; i < 20; i++)
		if (i != 3)
			cr_assert(is_readable(&fds[i]), "descriptor %d", i);
	for (int i = 0; i < 20; i++)
		cancel_fd_close(&fds[i]);
}

Test(token_fd, it_follows_the_links)
{
	struct cancel_link link;
	struct cancel_fd fd;

	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&source)), 0);
	open_it(&fd, &child);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert(is_readable(&fd));
	cancel_fd_close(&fd);
}

Test(token_fd, epoll_and_select_see_it)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 4711},
			   edge = {.events = EPOLLIN | EPOLLET}, seen;
	int epoll = epoll_create1(EPOLL_CLOEXEC), edge_epoll = epoll_create1(EPOLL_CLOEXEC);
	struct timeval at_once = {0, 0};
	struct cancel_fd fd;
	fd_set set;

	open_it(&fd, &source);
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd.fd, &event), 0);
	cr_assert_eq(epoll_ctl(edge_epoll, EPOLL_CTL_ADD, fd.fd, &edge), 0);
	cr_assert_eq(epoll_wait(epoll, &seen, 1, 0), 0);
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(epoll_wait(epoll, &seen, 1, -1), 1);
		cr_assert_eq(seen.data.u32, 4711);
	}
	cr_assert_eq(epoll_wait(edge_epoll, &seen, 1, -1), 1);
	cr_assert_eq(epoll_wait(edge_epoll, &seen, 1, 0), 0);
	FD_ZERO(&set);
	FD_SET(fd.fd, &set);
	cr_assert_eq(select(fd.fd + 1, &set, NULL, NULL, &at_once), 1);
	cancel_fd_close(&fd);
	(void)close(epoll);
	(void)close(edge_epoll);
}

static int wait_on_descriptor(void *arg)
{
	struct pollfd one = {((struct cancel_fd *)arg)->fd, POLLIN, 0};

	return poll(&one, 1, -1);
}

Test(token_fd, who_polls_it_wakes)
{
	struct token_thread thread;
	struct cancel_fd fd;

	open_it(&fd, &source);
	token_thread_start(&thread, wait_on_descriptor, &fd);
	cr_assert(token_thread_falls_asleep(&thread));
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	cr_assert_eq(token_thread_join(&thread), 1);
	cancel_fd_close(&fd);
}

static void look_at_descriptors(struct token_callee *callee)
{
	struct cancel_fd *fds = callee->arg;

	callee->result = is_readable(&fds[0]) + is_readable(&fds[1]) + is_readable(&fds[2]);
}

/* Wherever they stand in the order, and at whichever level. */
Test(token_fd, they_are_readable_before_the_first_callback)
{
	struct token_callee callees[20];
	struct cancel_fd fds[3];
	struct cancel_link link;

	open_it(&fds[0], &source);
	cr_assert_eq(cancel_link_add(&link, &child, cancel_source_token(&source)), 0);
	token_callees_add(callees, 20, cancel_source_token(&source), &calls);
	open_it(&fds[1], &source);
	open_it(&fds[2], &child);
	for (int i = 0; i < 20; i++) {
		callees[i].act = look_at_descriptors;
		callees[i].arg = fds;
	}
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(callees[i].result, 3, "callback %d saw %d", i, callees[i].result);
	for (int i = 0; i < 3; i++)
		cancel_fd_close(&fds[i]);
}

static void close_it(struct token_callee *callee)
{
	cancel_fd_close(callee->arg);
}

Test(token_fd, a_callback_can_close_it)
{
	struct token_callee callees[10];
	struct cancel_fd fds[2];

	open_it(&fds[0], &source);
	token_callees_add(callees, 10, cancel_source_token(&source), &calls);
	open_it(&fds[1], &source);
	for (int i = 0; i < 2; i++) {
		callees[4 + i].act = close_it;
		callees[4 + i].arg = &fds[i];
	}
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
	EXPECT_CALLS("9 8 7 6 5 4 3 2 1 0", &calls);
}

Test(token_fd, closing_it_takes_it_back)
{
	int before = token_count_descriptors();
	struct cancel_fd fd;

	open_it(&fd, &source);
	cr_assert_eq(token_count_descriptors(), before + 1);
	cancel_fd_close(&fd);
	cr_assert_eq(token_count_descriptors(), before);
	cr_assert_eq(cancel_source_try_reset(&source, NULL), 1);
	memset(&fd, 0xff, sizeof(fd));
	cr_assert_eq(cancel_source_cancel(&source, NULL), 1);
}

Test(token_fd, closing_it_again_is_harmless)
{
	struct cancel_fd fd;
	int reused;

	open_it(&fd, &source);
	cancel_fd_close(&fd);
	reused = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cancel_fd_close(&fd);
	cr_assert_geq(fcntl(reused, F_GETFD), 0, "somebody else's descriptor was closed");
	(void)close(reused);
}

Test(token_fd, it_is_closed_in_programs_that_are_executed)
{
	struct cancel_fd fd;

	open_it(&fd, &source);
	cr_assert(fcntl(fd.fd, F_GETFD) & FD_CLOEXEC);
	cancel_fd_close(&fd);
}

/* A source may end before its descriptor is closed, like any registration on it. */
Test(token_fd, it_can_be_closed_after_the_source)
{
	struct cancel_fd fd;

	open_it(&fd, &source);
	cr_assert_eq(cancel_source_fini(&source), 0);
	memset(&source, 0xff, sizeof(source));
	cancel_fd_close(&fd);
}
