#include "standard_error.h"

#include <cancel/limits.h>

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SIZE (CANCEL_ERROR_TEXT_MAX + CANCEL_DETAIL_MAX)

/* Ours must not become non-blocking, because others share it. A second way to the same pipe or terminal may
 * be. */
static int open_again(void)
{
	return open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void write_at_once(int fd, const char *line, size_t length)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};

	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0)
		(void)!write(fd, line, length);
}

static void put(const char *line, size_t length)
{
	struct stat about;
	int fd;

	if (fstat(STDERR_FILENO, &about) < 0)
		return;
	if (S_ISREG(about.st_mode)) {
		(void)!write(STDERR_FILENO, line, length);
	} else if (S_ISSOCK(about.st_mode)) {
		(void)send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		fd = open_again();
		write_at_once(fd < 0 ? STDERR_FILENO : fd, line, length);
		if (fd >= 0)
			(void)close(fd);
	}
}

void standard_error_line_of(const char *format, va_list arguments)
{
	char text[LINE_SIZE], line[LINE_SIZE + sizeof "cancelwatch: \n"];
	int length;

	(void)vsnprintf(text, sizeof text, format, arguments);
	length = snprintf(line, sizeof line, "cancelwatch: %s\n", text);
	put(line, (size_t)length);
}

void standard_error_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	standard_error_line_of(format, arguments);
	va_end(arguments);
}
