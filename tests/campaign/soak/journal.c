/*
 * The journal is a file in memory that everybody appends to, so it outlives whoever is killed. The judgement
 * is a law of conservation for each name: what was accepted was decided or is pending, once; and nothing was
 * decided that nobody tried to ask for.
 *
 *     accepted - removing <= decided <= tried - merged - removed + members
 *
 * A drop of a task that runs may go into a request that stands, so one decision is enough for both. At the
 * end nothing is pending.
 */
#include "soak.h"

#include "campaign.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 512,
};

static int journal_fd = -1;

void journal_open(void)
{
	journal_fd = open(scene.journal_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (journal_fd < 0)
		campaign_skip("cannot make a journal in %s", scene.dir.root);
}

static void append(const char *line, int length)
{
	if (write(journal_fd, line, (size_t)length) != length)
		abort();
}

void journal_note(enum journal_kind kind, const char *name)
{
	char line[LINE_MAX_BYTES];

	append(line, snprintf(line, sizeof(line), "%c %.400s\n", kind, name));
}

void journal_complain(const char *format, ...)
{
	char text[LINE_MAX_BYTES - 8];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = ' ';
	journal_note(JOURNAL_VIOLATION, text);
}

/* --- judging ------------------------------------------------------------------------------------------ */

static char *read_all(size_t *size)
{
	struct stat stat;
	char *text;

	if (fstat(journal_fd, &stat) < 0)
		abort();
	*size = (size_t)stat.st_size;
	text = malloc(*size + 1);
	if (!text || pread(journal_fd, text, *size, 0) != (ssize_t)*size)
		abort();
	text[*size] = '\0';
	return text;
}

/* By name; each line is "K NAME". */
static int by_name(const void *one, const void *other)
{
	return strcmp(*(char *const *)one + 2, *(char *const *)other + 2);
}

static char **split(char *text, size_t *count)
{
	size_t lines = 0;
	char **list, *rest = text;

	for (char *at = text; *at; at++)
		lines += *at == '\n';
	list = calloc(lines + 1, sizeof(*list));
	if (!list)
		abort();
	*count = 0;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		list[(*count)++] = line;
	qsort(list, *count, sizeof(*list), by_name);
	return list;
}

/* DESIGN.md, invariants 5, 7, 8 and 18 */
static void judge_name(const char *name, const long counts[128], bool overflowed)
{
	long least = counts[JOURNAL_ACCEPTED] - counts[JOURNAL_REMOVING];
	long dropped = counts[JOURNAL_DROPPED] > 0;
	long most = counts[JOURNAL_TRIED] - counts[JOURNAL_MERGED] - counts[JOURNAL_REMOVED] +
		    counts[JOURNAL_MEMBER];

	least = least > dropped ? least : dropped;
	if (!overflowed)
		(void)campaign_expect(counts[JOURNAL_DECIDED] >= least,
				      "'%s' is LOST: accepted %ld times, decided %ld times, and not pending",
				      name, counts[JOURNAL_ACCEPTED], counts[JOURNAL_DECIDED]);
	(void)campaign_expect(
		counts[JOURNAL_DECIDED] <= most,
		"'%s' was decided %ld times, and asked for %ld times (%ld merged, %ld removed, %ld members)",
		name, counts[JOURNAL_DECIDED], counts[JOURNAL_TRIED], counts[JOURNAL_MERGED],
		counts[JOURNAL_REMOVED], counts[JOURNAL_MEMBER]);
}

static bool has_overflowed(char *const *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (lines[i][0] == JOURNAL_OVERFLOW)
			return true;
	return false;
}

static long judge_lines(char *const *lines, size_t count)
{
	bool overflowed = has_overflowed(lines, count);
	long accepted = 0;

	for (size_t i = 0, next; i < count; i = next) {
		long counts[128] = {0};

		for (next = i; next < count && !strcmp(lines[next] + 2, lines[i] + 2); next++)
			counts[(unsigned char)lines[next][0] & 127]++;
		if (lines[i][0] == JOURNAL_VIOLATION)
			(void)campaign_expect(false, "%s", lines[i] + 2);
		else if (lines[i][0] != JOURNAL_OVERFLOW)
			judge_name(lines[i] + 2, counts, overflowed);
		accepted += counts[JOURNAL_ACCEPTED] + counts[JOURNAL_DROPPED];
	}
	return accepted;
}

long journal_judge(void)
{
	size_t size, count;
	char *text = read_all(&size), **lines = split(text, &count);
	long accepted = judge_lines(lines, count);

	free(lines);
	free(text);
	return accepted;
}
