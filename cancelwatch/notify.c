#include "notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 2048

/* How long a full socket may hold us up: less than the 100 ms in which SIGTERM ends us. */
#define SEND_TIMEOUT_US 50000

static int64_t monotonic_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int read_positive(const char *text, int64_t *number)
{
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno != 0 || *end != '\0' || *number == 0 ? -EINVAL : 0;
}

/* A path, or a name in the abstract namespace, which is written with '@' for its leading NUL. */
static int read_address(struct notify *notify, const char *text)
{
	size_t length = text == NULL ? 0 : strlen(text);

	if (length < 2 || length >= sizeof notify->address.sun_path || (*text != '/' && *text != '@'))
		return -EINVAL;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, text, length + 1);
	notify->address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (*text == '@')
		notify->address.sun_path[0] = '\0';
	else
		notify->address_length++;
	return 0;
}

/* The watchdog of a parent that forgot to clear its environment is not ours. */
static int64_t read_watchdog(void)
{
	const char *pid_text = getenv("WATCHDOG_PID");
	int64_t pid, timeout_us;

	if (read_positive(getenv("WATCHDOG_USEC"), &timeout_us) < 0)
		return 0;
	if (pid_text != NULL && (read_positive(pid_text, &pid) < 0 || pid != getpid()))
		return 0;
	return timeout_us / 2 > 0 ? timeout_us / 2 : 1;
}

void notify_open(struct notify *notify)
{
	const struct timeval timeout = {.tv_usec = SEND_TIMEOUT_US};

	*notify = (struct notify){.fd = -1};
	if (read_address(notify, getenv("NOTIFY_SOCKET")) < 0)
		return;
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		return;
	(void)setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
	notify->watchdog_us = read_watchdog();
}

void notify_close(struct notify *notify)
{
	if (notify->fd >= 0)
		(void)close(notify->fd);
	notify->fd = -1;
}

/* Whether it arrived is systemd's affair: it restarts what does not speak. */
static void say(const struct notify *notify, const char *message, size_t length)
{
	if (notify->fd >= 0)
		(void)sendto(notify->fd, message, length, MSG_NOSIGNAL,
			     (const struct sockaddr *)&notify->address, notify->address_length);
}

static void say_status(const struct notify *notify, const char *first, const char *format, va_list arguments)
{
	char message[MESSAGE_SIZE];
	size_t length = (size_t)snprintf(message, sizeof message, "%sSTATUS=", first);

	(void)vsnprintf(message + length, sizeof message - length, format, arguments);
	say(notify, message, strlen(message));
}

void notify_ready(const struct notify *notify, const char *status_format, ...)
{
	va_list arguments;

	va_start(arguments, status_format);
	say_status(notify, "READY=1\n", status_format, arguments);
	va_end(arguments);
}

void notify_status(const struct notify *notify, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_status(notify, "", format, arguments);
	va_end(arguments);
}

void notify_reloading(const struct notify *notify)
{
	char message[MESSAGE_SIZE];
	int length =
		snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, monotonic_us());

	say(notify, message, (size_t)length);
}

void notify_stopping(const struct notify *notify)
{
	static const char message[] = "STOPPING=1";

	say(notify, message, sizeof message - 1);
}

void notify_alive(struct notify *notify)
{
	static const char message[] = "WATCHDOG=1";
	int64_t now_us;

	if (notify->watchdog_us == 0)
		return;
	now_us = monotonic_us();
	if (notify->last_sign_us != 0 && now_us - notify->last_sign_us < notify->watchdog_us)
		return;
	notify->last_sign_us = now_us;
	say(notify, message, sizeof message - 1);
}
