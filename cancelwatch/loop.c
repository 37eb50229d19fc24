#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SOURCES_MAX 8

static struct timespec us_timespec(int64_t time_us)
{
	return (struct timespec){.tv_sec = time_us / 1000000, .tv_nsec = time_us % 1000000 * 1000};
}

int loop_run(struct loop_source *sources, size_t count, void *arg)
{
	struct pollfd polled[SOURCES_MAX];

	for (;;) {
		for (size_t i = 0; i < count; i++)
			polled[i] = (struct pollfd){.fd = sources[i].fd, .events = sources[i].events};
		if (poll(polled, (nfds_t)count, -1) < 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			int result = polled[i].revents == 0 ? LOOP_GO_ON : sources[i].handle(arg);

			if (result != LOOP_GO_ON)
				return result;
		}
	}
}

int loop_timer_open(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void loop_timer_set(int fd, int64_t first_us, int64_t interval_us)
{
	const struct itimerspec times = {
		.it_value = us_timespec(first_us),
		.it_interval = us_timespec(interval_us),
	};

	(void)timerfd_settime(fd, 0, &times, NULL);
}

void loop_timer_read(int fd)
{
	uint64_t expirations;

	(void)!read(fd, &expirations, sizeof expirations);
}
