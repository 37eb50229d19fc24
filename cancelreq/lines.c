#include "lines.h"

#include <cancel/limits.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* A line of JSON is a record, and a CR may follow it. */
	LINE_BYTES = CANCEL_RECORD_MAX + 1,
	/* Room for the longest line, its newline, and enough beside it that few bytes are moved. One byte
	 * more is there for the NUL of a last line that has no newline. */
	BUFFER_BYTES = 4 * CANCEL_RECORD_MAX,
};

int lines_open(struct lines *lines, int fd)
{
	*lines = (struct lines){.fd = fd, .buffer = malloc(BUFFER_BYTES + 1)};
	return lines->buffer ? 0 : -ENOMEM;
}

void lines_close(struct lines *lines)
{
	free(lines->buffer);
	lines->buffer = NULL;
}

/* Read more behind what is there. Returns 0, or a negative errno. */
static int fill(struct lines *lines)
{
	ssize_t got;

	(void)memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
	lines->end -= lines->begin;
	lines->begin = 0;
	do
		got = read(lines->fd, lines->buffer + lines->end, BUFFER_BYTES - lines->end);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	lines->end += (size_t)got;
	lines->at_end = got == 0;
	return 0;
}

/* Drop everything up to the next newline, that included. Returns 0, or a negative errno. */
static int skip_rest(struct lines *lines)
{
	for (;;) {
		char *newline = memchr(lines->buffer + lines->begin, '\n', lines->end - lines->begin);
		int result;

		if (newline) {
			lines->begin = (size_t)(newline + 1 - lines->buffer);
			return 0;
		}
		lines->begin = lines->end;
		if (lines->at_end)
			return 0;
		result = fill(lines);
		if (result < 0)
			return result;
	}
}

/* Returns the line's length without its newline, as far as it is in the buffer; `whole` says whether that is
 * all of it. */
static size_t find_end(const struct lines *lines, bool *whole)
{
	const char *text = lines->buffer + lines->begin;
	size_t length = lines->end - lines->begin;
	const char *newline = memchr(text, '\n', length);

	*whole = newline || lines->at_end;
	return newline ? (size_t)(newline - text) : length;
}

static int refuse_line(struct lines *lines)
{
	int result = skip_rest(lines);

	return result < 0 ? result : LINES_TOO_LONG;
}

int lines_next(struct lines *lines, char **text, size_t *length)
{
	bool whole;

	*length = find_end(lines, &whole);
	while (!whole && *length <= LINE_BYTES) {
		int result = fill(lines);

		if (result < 0)
			return result;
		*length = find_end(lines, &whole);
	}
	if (lines->at_end && lines->begin == lines->end)
		return LINES_END;
	lines->number++;
	if (*length > LINE_BYTES)
		return refuse_line(lines);

	*text = lines->buffer + lines->begin;
	(*text)[*length] = '\0';
	lines->begin += *length;
	if (lines->begin < lines->end)
		lines->begin++; /* the newline */
	return LINES_LINE;
}
