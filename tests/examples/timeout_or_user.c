/*
 * A download that ends when the user says so, or when it takes too long, and knows which of the two it was.
 *
 *     timeout_or_user
 */
#include <cancel/deadline.h>
#include <cancel/link.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR (3600 * CANCEL_SECOND)

enum { USER, TIMEOUT, PARENTS };

/* Read until the server closes, or the token is cancelled. */
static int receive(int server_fd, struct cancel_token token)
{
	struct pollfd server = {.fd = server_fd, .events = POLLIN};
	char block[512];
	ssize_t length;

	do {
		int ready = cancel_token_poll(token, &server, 1, CANCEL_FOREVER);

		if (ready == -ECANCELED)
			return cancel_token_error(token); /* which also tells a deadline from a wish */
		if (ready < 0)
			return ready;
		length = read(server_fd, block, sizeof block);
	} while (length > 0);
	return length < 0 ? -errno : 0;
}

static int download(int server_fd, int64_t timeout_ns, struct cancel_token user)
{
	struct cancel_source timeout = CANCEL_SOURCE_INIT, either;
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	struct cancel_token parents[PARENTS] = {[USER] = user, [TIMEOUT] = cancel_source_token(&timeout)};
	struct cancel_link links[PARENTS];
	int result = cancel_linked_init(&either, NULL, links, parents, PARENTS);

	if (result < 0)
		return result;
	result = cancel_deadline_set(&deadline, &timeout, timeout_ns, NULL);
	if (result == 0)
		result = receive(server_fd, cancel_source_token(&either));
	switch (cancel_linked_which(links, PARENTS)) {
	case USER:
		printf("  the user did not want it any more\n");
		break;
	case TIMEOUT:
		printf("  it took too long\n");
		break;
	}
	cancel_deadline_stop(&deadline);
	cancel_linked_fini(&either, links, PARENTS);
	cancel_source_fini(&timeout);
	return result;
}

static void *press_cancel(void *user)
{
	cancel_source_cancel(user, NULL);
	return NULL;
}

static void report(const char *what, int result)
{
	printf("  %s: %s\n", what, result < 0 ? strerror(-result) : "done");
}

/* A server that answers and closes. */
static int from_good_server(struct cancel_token user)
{
	int pipe_fds[2], result;

	if (pipe(pipe_fds) < 0)
		return -errno;
	result = write(pipe_fds[1], "content", 7) == 7 ? 0 : -EIO;
	close(pipe_fds[1]);
	if (result == 0)
		result = download(pipe_fds[0], HOUR, user);
	close(pipe_fds[0]);
	return result;
}

/* One that never says a word. */
static int from_silent_server(int64_t timeout_ns, struct cancel_token user)
{
	int pipe_fds[2], result;

	if (pipe(pipe_fds) < 0)
		return -errno;
	result = download(pipe_fds[0], timeout_ns, user);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return result;
}

int main(void)
{
	struct cancel_source user = CANCEL_SOURCE_INIT;
	struct cancel_token token = cancel_source_token(&user);
	pthread_t thread;

	printf("from a server that answers\n");
	report("download", from_good_server(token));

	printf("from a silent server, for at most 10 ms\n");
	report("download", from_silent_server(10 * CANCEL_MILLISECOND, token));

	printf("from a silent server, for at most an hour\n");
	if (pthread_create(&thread, NULL, press_cancel, &user) != 0) {
		fprintf(stderr, "timeout_or_user: no thread for the user\n");
		return EXIT_FAILURE;
	}
	report("download", from_silent_server(HOUR, token));
	pthread_join(thread, NULL);
	cancel_source_fini(&user);
	return EXIT_SUCCESS;
}
