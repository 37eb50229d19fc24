#include "peer_redis.h"

#include "harness.h"
#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL     "cancellations"
#define START_NS    (5 * INT64_C(1000000000))
#define RETRY_NS    10000000
#define ANSWER_SIZE 512

static pid_t server;
static in_port_t port;

static struct sockaddr_in address_of(in_port_t number)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = number, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* One that is free now; whoever takes it before the server does makes the benchmark fail. */
static in_port_t free_port(void)
{
	struct sockaddr_in address = address_of(0);
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		bench_fail("cannot find a free port: %s", strerror(errno));
	(void)close(fd);
	return address.sin_port;
}

static int try_connect(void)
{
	struct sockaddr_in address = address_of(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
		bench_fail("cannot make a socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

int peer_redis_connect(void)
{
	int64_t deadline = bench_now_ns() + START_NS;
	int fd;

	while ((fd = try_connect()) < 0) {
		if (bench_now_ns() > deadline)
			bench_fail("redis-server does not answer");
		(void)nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
	}
	return fd;
}

void peer_redis_start(void)
{
	char number[8];
	FILE *output;

	port = free_port();
	(void)snprintf(number, sizeof number, "%u", ntohs(port));
	server =
		process_start(PROCESS_ARGUMENTS("redis-server", "--bind", "127.0.0.1", "--port", number,
						"--save", "", "--appendonly", "no", "--logfile", "/dev/null"),
			      &output);
	(void)fclose(output);
	(void)close(peer_redis_connect());
}

void peer_redis_end(void)
{
	process_end(server);
}

/* --- the protocol ------------------------------------------------------------------------------------- */

static void say(int fd, const char *text)
{
	size_t length = strlen(text);

	if (send(fd, text, length, MSG_NOSIGNAL) != (ssize_t)length)
		bench_fail("cannot write to redis-server: %s", strerror(errno));
}

/* Answers are short and come one at a time: one read has it whole, and `end` shows that. */
static void hear(int fd, const char *end)
{
	char answer[ANSWER_SIZE];
	ssize_t length = recv(fd, answer, sizeof answer - 1, 0);

	answer[length < 0 ? 0 : length] = '\0';
	if (length < (ssize_t)strlen(end) || strcmp(answer + length - strlen(end), end) != 0)
		bench_fail("redis-server answers '%s'", answer);
}

void peer_redis_subscribe(int fd)
{
	say(fd, "SUBSCRIBE " CHANNEL "\r\n");
	hear(fd, ":1\r\n");
}

void peer_redis_await(int fd)
{
	hear(fd, "\r\n");
}

void peer_redis_publish(int fd, const char *message)
{
	char text[ANSWER_SIZE];

	(void)snprintf(text, sizeof text, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
		       strlen(CHANNEL), CHANNEL, strlen(message), message);
	say(fd, text);
	hear(fd, ":1\r\n");
}
