#include "print.h"

#include <cancel/text.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

int print_open(struct printer *out, int fd, bool quiet)
{
	*out = (struct printer){.fd = fd, .quiet = quiet};
	out->line = open_memstream(&out->text, &out->length);
	return out->line == NULL ? -ENOMEM : 0;
}

void print_close(struct printer *out)
{
	if (out->line != NULL)
		(void)fclose(out->line);
	free(out->text);
	free(out->escaped);
	*out = (struct printer){.fd = -1};
}

void print_add(struct printer *out, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vfprintf(out->line, format, arguments);
	va_end(arguments);
}

/* The text escaped, or NULL when memory ran out, which then is the printer's error. */
static const char *escape(struct printer *out, const char *text)
{
	size_t length = strlen(text);

	if (out->escaped_size < CANCEL_ESCAPED_SIZE(length)) {
		char *room = realloc(out->escaped, CANCEL_ESCAPED_SIZE(length));

		if (room == NULL) {
			out->error = ENOMEM;
			return NULL;
		}
		out->escaped = room;
		out->escaped_size = CANCEL_ESCAPED_SIZE(length);
	}
	return cancel_text_escape(out->escaped, out->escaped_size, text, length);
}

void print_text(struct printer *out, const char *text)
{
	const char *escaped = text == NULL ? NULL : escape(out, text);

	if (escaped != NULL)
		(void)fputs(escaped, out->line);
}

void print_word(struct printer *out, const char *text)
{
	const char *escaped = text == NULL ? NULL : escape(out, text);

	for (; escaped != NULL && *escaped != '\0'; escaped++) {
		if (*escaped == ' ')
			(void)fputs("\\x20", out->line);
		else
			(void)fputc(*escaped, out->line);
	}
}

/* The character at `text`, which ends in NUL: its length in bytes, or 0 where it is not UTF-8. */
static size_t decode(const char *text, uint32_t *character)
{
	const unsigned char *byte = (const unsigned char *)text;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *byte < 0x80 ? 1 : *byte < 0xc0 ? 0 : *byte < 0xe0 ? 2 : *byte < 0xf0 ? 3 : 4;

	if (length <= 1) {
		*character = *byte;
		return length;
	}
	*character = *byte & (0xffU >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		*character = *character << 6 | (byte[i] & 0x3fU);
	}
	if (*byte > 0xf4 || *character < least[length] || *character > 0x10ffff ||
	    (*character >= 0xd800 && *character <= 0xdfff))
		return 0;
	return length;
}

/* Whether a terminal would obey the character: then the library escapes it, which knows them all. */
static bool steers(const char *text, size_t length)
{
	char escaped[CANCEL_ESCAPED_SIZE(4)];

	cancel_text_escape(escaped, sizeof escaped, text, length);
	return escaped[0] == '\\';
}

/* Write one character from outside as it may stand in a JSON string; returns how many bytes it took. */
static size_t put_character(FILE *line, const char *text)
{
	uint32_t character;
	size_t length = decode(text, &character);

	if (length == 0) {
		(void)fputs("\\ufffd", line);
		return 1;
	}
	/* No character beyond the first plane steers a terminal, so four digits do. */
	if (character == '\\' || (character >= ' ' && character < 0x7f) || !steers(text, length))
		(void)fwrite(text, 1, length, line);
	else
		(void)fprintf(line, "\\u%04" PRIx32, character);
	return length;
}

void print_json(struct printer *out, const char *json)
{
	while (*json != '\0')
		json += put_character(out->line, json);
}

void print_string(struct printer *out, const char *text)
{
	if (text == NULL) {
		(void)fputs("null", out->line);
		return;
	}
	(void)fputc('"', out->line);
	while (*text != '\0') {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', out->line);
		text += put_character(out->line, text);
	}
	(void)fputc('"', out->line);
}

void print_time(struct printer *out, int64_t time_us)
{
	char time[CANCEL_TIME_SIZE];

	print_string(out, time_us == 0 ? NULL : cancel_time_format(time, time_us));
}

/* Somebody who shares the terminal or pipe may have made it non-blocking for us too. */
static void await_room(int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLOUT};

	(void)poll(&polled, 1, -1);
}

/* One write for a line wherever the kernel takes it whole: up to PIPE_BUF into a pipe it is all or nothing,
 * even when the process is told to end while it waits for the reader. */
static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t count = write(fd, text, length);

		if (count < 0 && errno == EAGAIN)
			await_room(fd);
		else if (count < 0 && errno != EINTR)
			return errno;
		if (count > 0) {
			text += count;
			length -= (size_t)count;
		}
	}
	return 0;
}

void print_end(struct printer *out)
{
	int error;

	(void)fputc('\n', out->line);
	if (fflush(out->line) == EOF || ferror(out->line))
		out->error = ENOMEM;
	if (!out->quiet && !out->closed && out->error == 0) {
		error = write_all(out->fd, out->text, out->length);
		out->closed = error == EPIPE;
		out->error = error == EPIPE ? 0 : error;
	}
	rewind(out->line);
}

char *age_text(char target[AGE_SIZE], int64_t age_us)
{
	int64_t seconds = age_us > 0 ? age_us / 1000000 : 0;

	if (seconds < 120)
		(void)snprintf(target, AGE_SIZE, "%" PRId64 "s", seconds);
	else if (seconds < 120 * 60)
		(void)snprintf(target, AGE_SIZE, "%" PRId64 "m", seconds / 60);
	else if (seconds < 48 * 3600)
		(void)snprintf(target, AGE_SIZE, "%" PRId64 "h", seconds / 3600);
	else
		(void)snprintf(target, AGE_SIZE, "%" PRId64 "d", seconds / 86400);
	return target;
}

char *span_text(char target[SPAN_SIZE], int64_t span_ns)
{
	static const struct {
		const char *name;
		int64_t ns;
		int64_t least_ns; /* shorter spans are told in the next unit */
	} units[] = {
		{"d", 86400 * NS_PER_S, 2 * 86400 * NS_PER_S},
		{"h", 3600 * NS_PER_S, 2 * 3600 * NS_PER_S},
		{"min", 60 * NS_PER_S, 2 * 60 * NS_PER_S},
		{"s", NS_PER_S, NS_PER_S},
		{"ms", 1000000, 1000000},
		{"us", 1000, 1000},
		{"ns", 1, INT64_MIN},
	};
	size_t i = 0;

	while (span_ns < units[i].least_ns)
		i++;
	(void)snprintf(target, SPAN_SIZE, "%" PRId64 " %s",
		       span_ns / units[i].ns + (span_ns % units[i].ns * 2 >= units[i].ns), units[i].name);
	return target;
}

int64_t wall_clock_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
