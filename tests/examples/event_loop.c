/*
 * A program's own loop, with a token in it: poll(2) waits for messages and, through one more descriptor, for
 * whatever may end the loop. It listens to two sources, linked into one, so that one descriptor is enough.
 *
 *     event_loop
 */
#include <cancel/cause.h>
#include <cancel/fd.h>
#include <cancel/link.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct cancel_cause shut_down = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "the program ends");

enum { PROGRAM, SESSION, PARENTS };
enum { MESSAGES, STOP, DESCRIPTORS };

struct loop {
	int messages_fd;
	struct cancel_source handled; /* cancelled: the last message was handled */
	struct cancel_source stop;
	struct cancel_link links[PARENTS];
	struct cancel_fd stop_fd;
};

static int loop_begin(struct loop *loop, int messages_fd, const struct cancel_token parents[PARENTS])
{
	int result = cancel_linked_init(&loop->stop, NULL, loop->links, parents, PARENTS);

	if (result < 0)
		return result;
	cancel_source_init(&loop->handled, NULL);
	loop->messages_fd = messages_fd;
	result = cancel_fd_open(&loop->stop_fd, cancel_source_token(&loop->stop));
	if (result < 0)
		cancel_linked_fini(&loop->stop, loop->links, PARENTS);
	return result;
}

static void loop_end(struct loop *loop)
{
	cancel_fd_close(&loop->stop_fd);
	cancel_linked_fini(&loop->stop, loop->links, PARENTS);
	cancel_source_fini(&loop->handled);
}

/* A message is one letter; z is the last. */
static void handle_message(struct loop *loop)
{
	char letter;

	if (read(loop->messages_fd, &letter, 1) != 1)
		return;
	printf("message %c\n", letter);
	if (letter == 'z')
		cancel_source_cancel(&loop->handled, NULL);
}

static int loop_run(struct loop *loop)
{
	struct pollfd fds[DESCRIPTORS] = {
		[MESSAGES] = {.fd = loop->messages_fd, .events = POLLIN},
		[STOP] = {.fd = loop->stop_fd.fd, .events = POLLIN},
	};

	while (!fds[STOP].revents) {
		if (poll(fds, DESCRIPTORS, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[MESSAGES].revents)
			handle_message(loop);
	}
	printf("the loop ends: %s\n", cancel_token_cause(cancel_source_token(&loop->stop))->text);
	return 0;
}

struct sender {
	int fd;
	struct cancel_token handled;
	struct cancel_source *program;
};

static void *send_messages(void *arg)
{
	const struct sender *sender = arg;

	if (write(sender->fd, "xyz", 3) == 3)
		cancel_token_wait(sender->handled, CANCEL_FOREVER);
	cancel_source_cancel(sender->program, &shut_down);
	return NULL;
}

int main(void)
{
	struct cancel_source program = CANCEL_SOURCE_INIT, session = CANCEL_SOURCE_INIT;
	struct cancel_token parents[PARENTS] = {
		[PROGRAM] = cancel_source_token(&program), [SESSION] = cancel_source_token(&session)};
	struct sender sender = {.program = &program};
	struct loop loop;
	pthread_t thread;
	int pipe_fds[2], result;

	if (pipe(pipe_fds) < 0 || loop_begin(&loop, pipe_fds[0], parents) < 0)
		return EXIT_FAILURE;
	sender.fd = pipe_fds[1];
	sender.handled = cancel_source_token(&loop.handled);
	if (pthread_create(&thread, NULL, send_messages, &sender) != 0)
		return EXIT_FAILURE;
	result = loop_run(&loop);
	pthread_join(thread, NULL);
	loop_end(&loop);
	cancel_source_fini(&session);
	cancel_source_fini(&program);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
