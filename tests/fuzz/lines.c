/* Any bytes as the lines of a batch, read in pieces of any size: each line comes once, whole, in its order
 * and with its number; one that is too long is said to be, and costs its neighbours nothing. The first byte
 * says in which pieces. */
#include "fuzzing.h"

#include "../../cancelreq/lines.h"

#include <cancel/limits.h>

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	OUR_FD = 1 << 20, /* no descriptor */
	LONGEST = CANCEL_RECORD_MAX + 1,
	REPEATED = CANCEL_RECORD_MAX /
		   4, /* what one byte of 0xff in a line stands for: long lines from short inputs */
};

/* What is read. */
static struct {
	char *text;
	size_t size, at;
	unsigned piece; /* 0: as much as is asked for */
	bool interrupted;
} file;

/* In the place of libc's, for the reader alone: hidden from libraries. */
__attribute__((visibility("hidden"))) ssize_t read(int fd, void *buffer, size_t size);

ssize_t read(int fd, void *buffer, size_t size)
{
	size_t left = file.size - file.at;

	if (fd != OUR_FD)
		return syscall(SYS_read, fd, buffer, size);
	file.interrupted = !file.interrupted && file.piece % 2;
	if (file.interrupted) {
		errno = EINTR;
		return -1;
	}
	if (file.piece && size > file.piece)
		size = file.piece;
	if (size > left)
		size = left;
	memcpy(buffer, file.text + file.at, size);
	file.at += size;
	return (ssize_t)size;
}

static void fill_file(const uint8_t *data, size_t size)
{
	size_t more = 0;

	for (size_t i = 0; i < size; i++)
		more += data[i] == 0xff;
	more = more > 16 ? 16 : more;
	file.text = malloc(size + more * REPEATED + 1);
	file.size = file.at = 0;
	check(file.text != NULL);
	for (size_t i = 0; i < size; i++) {
		bool repeats = data[i] == 0xff && more;
		size_t count = repeats ? REPEATED : 1;

		memset(file.text + file.size, repeats ? 'x' : data[i], count);
		file.size += count;
		more -= repeats;
	}
}

/* The line that begins at `begin` has this length, and the next begins behind it. */
static size_t line_at(size_t begin, size_t *next)
{
	const char *newline = memchr(file.text + begin, '\n', file.size - begin);
	size_t end = newline ? (size_t)(newline - file.text) : file.size;

	*next = newline ? end + 1 : end;
	return end - begin;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size, 0};
	unsigned first = input_byte(&input);
	struct lines lines;
	size_t begin = 0, length, next;
	int64_t number = 0;
	char *text;
	int result;

	fill_file(data + input.at, size - input.at);
	file.piece = first * first * (first % 4 == 3); /* none, or 9 bytes to about LONGEST */
	check(lines_open(&lines, OUR_FD) == 0);
	while ((result = lines_next(&lines, &text, &length)) != LINES_END) {
		size_t expected = line_at(begin, &next);

		check(begin < file.size && lines.number == ++number);
		check(result == (expected > LONGEST ? LINES_TOO_LONG : LINES_LINE));
		check(result == LINES_TOO_LONG ||
		      (length == expected && !memcmp(text, file.text + begin, length) && !text[length]));
		begin = next;
	}
	check(begin == file.size && lines_next(&lines, &text, &length) == LINES_END);
	lines_close(&lines);
	free(file.text);
	return 0;
}
