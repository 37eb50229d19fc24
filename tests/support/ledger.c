/*
 * The rules:
 *   1. a request is accepted once: asked for or admitted, never both, never twice;
 *   2. an accepted request was decided exactly once, or is pending at the end, and not both;
 *   3. nobody decides what was never accepted, and exactly one caller is told that he did;
 *   4. no call that began after a request was decided answers that it is pending;
 *   5. a drop became one request or went into one that stood.
 */
#include "ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	COMPLAINTS_MAX = 20, /* one lost lock breaks a thousand rules */
};

static void give_up(const char *what)
{
	perror(what);
	abort();
}

int64_t ledger_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int ledger_open(const char *directory, const char *actor)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, actor);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		give_up(path);
	return fd;
}

void ledger_note(int ledger, enum ledger_kind kind, int64_t before_ns, const char *id)
{
	struct ledger_event event = {
		.before_ns = before_ns, .after_ns = ledger_now_ns(), .kind = (int32_t)kind};

	if (ledger < 0)
		return;
	(void)snprintf(event.id, sizeof(event.id), "%s", id);
	if (write(ledger, &event, sizeof(event)) != sizeof(event))
		give_up("the ledger");
}

/* --- merging ------------------------------------------------------------------------------------------ */

struct book {
	struct ledger_event *events;
	size_t count;
};

static void add_file(struct book *book, int directory_fd, const char *name)
{
	int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	size_t count;

	if (fd < 0 || fstat(fd, &stat) < 0)
		give_up(name);
	count = (size_t)stat.st_size / sizeof(*book->events);
	book->events = realloc(book->events, (book->count + count + 1) * sizeof(*book->events));
	if (!book->events ||
	    read(fd, book->events + book->count, count * sizeof(*book->events)) != stat.st_size)
		give_up(name);
	book->count += count;
	(void)close(fd);
}

static int by_id(const void *one, const void *other)
{
	return strcmp(((const struct ledger_event *)one)->id, ((const struct ledger_event *)other)->id);
}

static struct book merge(const char *directory)
{
	struct book book = {NULL, 0};
	DIR *stream = opendir(directory);
	struct dirent *entry;

	if (!stream)
		give_up(directory);
	while ((entry = readdir(stream)))
		if (entry->d_name[0] != '.')
			add_file(&book, dirfd(stream), entry->d_name);
	(void)closedir(stream);
	if (book.count)
		qsort(book.events, book.count, sizeof(*book.events), by_id);
	return book;
}

/* --- judging ------------------------------------------------------------------------------------------ */

/* All that is known of one request or drop. */
struct story {
	const char *id;
	const struct ledger_event *events;
	size_t count;
	long times[LEDGER_KINDS];
	int64_t decided_ns; /* by then it had been; INT64_MAX: never */
	struct ledger_verdict *verdict;
	FILE *complaints;
};

static void must(struct story *story, bool holds, const char *rule)
{
	const long *times = story->times;

	if (holds || story->verdict->violations++ >= COMPLAINTS_MAX || !story->complaints)
		return;
	(void)fprintf(story->complaints,
		      "%s: %s (asked %ld, admitted %ld, decided %ld, won %ld, pending %ld, taken %ld, merged "
		      "%ld)\n",
		      story->id, rule, times[LEDGER_ASKED], times[LEDGER_ADMITTED], times[LEDGER_DECIDED],
		      times[LEDGER_WON], times[LEDGER_PENDING], times[LEDGER_TAKEN], times[LEDGER_MERGED]);
}

static void tell(struct story *story)
{
	story->decided_ns = INT64_MAX;
	for (size_t i = 0; i < story->count; i++) {
		const struct ledger_event *event = &story->events[i];

		story->times[event->kind]++;
		story->verdict->events[event->kind]++;
		if (event->kind == LEDGER_DECIDED && event->after_ns < story->decided_ns)
			story->decided_ns = event->after_ns;
	}
}

static void judge_answers(struct story *story)
{
	for (size_t i = 0; i < story->count; i++)
		if (story->events[i].kind == LEDGER_STANDING)
			must(story, story->events[i].before_ns <= story->decided_ns,
			     "said to be pending by a call that began after it was decided");
}

static void judge_request(struct story *story)
{
	long accepted = story->times[LEDGER_ASKED] + story->times[LEDGER_ADMITTED];
	long ends = story->times[LEDGER_DECIDED] + story->times[LEDGER_PENDING];
	bool answered = story->times[LEDGER_STANDING] || story->times[LEDGER_TOLD];

	story->verdict->accepted += accepted > 0;
	must(story, accepted <= 1, "accepted more than once");
	must(story, accepted || (!ends && !answered), "answered or decided, and never accepted");
	must(story, !accepted || ends, "lost");
	must(story, ends <= 1, "decided more than once, or decided and pending");
	must(story, story->times[LEDGER_WON] <= story->times[LEDGER_DECIDED], "won by more than one");
	must(story, !story->times[LEDGER_TOLD] || story->times[LEDGER_DECIDED], "told decided, and was not");
	judge_answers(story);
}

static void judge_drop(struct story *story)
{
	long ends = story->times[LEDGER_TAKEN] + story->times[LEDGER_MERGED] + story->times[LEDGER_WASTED];

	must(story, !story->times[LEDGER_WASTED], "a drop was removed, and nothing as strong stood");
	if (story->times[LEDGER_DROPPED])
		must(story, ends == 1, "a drop was lost or taken in twice");
}

struct ledger_verdict ledger_judge(const char *directory, FILE *complaints)
{
	struct ledger_verdict verdict = {{0}, 0, 0};
	struct book book = merge(directory);

	for (size_t start = 0, end; start < book.count; start = end) {
		struct story story = {.id = book.events[start].id,
				      .events = &book.events[start],
				      .verdict = &verdict,
				      .complaints = complaints};

		for (end = start; end < book.count && !strcmp(book.events[end].id, story.id); end++)
			story.count++;
		tell(&story);
		if (story.times[LEDGER_FAILED]) {
			must(&story, false, "failed");
			continue;
		}
		judge_request(&story);
		judge_drop(&story);
	}
	free(book.events);
	return verdict;
}
