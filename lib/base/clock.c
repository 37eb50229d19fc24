#include "clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static struct timespec clock_now(clockid_t clock)
{
	struct timespec now = {0, 0};

	(void)clock_gettime(clock, &now);
	return now;
}

int64_t timespec_us(const struct timespec *time)
{
	return (int64_t)time->tv_sec * US_PER_S + time->tv_nsec / NS_PER_US;
}

int64_t clock_realtime_us(void)
{
	struct timespec now = clock_now(CLOCK_REALTIME);

	return timespec_us(&now);
}

int64_t timespec_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

int64_t clock_boottime_ns(void)
{
	struct timespec now = clock_now(CLOCK_BOOTTIME);

	return timespec_ns(&now);
}

int64_t clock_monotonic_ns(void)
{
	struct timespec now = clock_now(CLOCK_MONOTONIC);

	return timespec_ns(&now);
}

int64_t clock_coarse_ns(void)
{
	struct timespec now = clock_now(CLOCK_MONOTONIC_COARSE);

	return timespec_ns(&now);
}

int64_t clock_monotonic_ms(void)
{
	struct timespec now = clock_now(CLOCK_MONOTONIC);

	return timespec_us(&now) / US_PER_MS;
}

int64_t clock_offset_ms(void)
{
	return clock_realtime_us() / US_PER_MS - clock_boottime_ns() / NS_PER_MS;
}

static char boot_id[CANCEL_BOOT_ID_LENGTH + 1];

static void boot_id_read(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, boot_id, CANCEL_BOOT_ID_LENGTH) != CANCEL_BOOT_ID_LENGTH)
		boot_id[0] = '\0';
	(void)close(fd);
}

const char *clock_boot_id(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, boot_id_read);
	return boot_id;
}
