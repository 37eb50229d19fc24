/* Ask for many tasks: a line is TASK_ID[<TAB>REASON], or a JSON object. What is good is published, what is
 * bad is reported with its line's number, and only the spool or the system can end it early. */
#include "lines.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "verbs.h"

#include <cancel/batch.h>
#include <cancel/limits.h>
#include <cancel/request.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct batch {
	const struct options *options;
	struct cancel_request template; /* what the command line says of every request */
	struct cancel_batch *requests;
	struct lines lines;
	struct progress progress;
	int64_t requested;
	int64_t already_pending;
	int64_t refused;
	bool ended_early; /* the system or the spool refused; the rest would fare no better */
};

static bool is_standard_input(const struct batch *batch)
{
	return strcmp(batch->options->batch_file, "-") == 0;
}

static void refuse_line(struct batch *batch, int64_t number, const char *sentence)
{
	batch->refused++;
	progress_hide(&batch->progress);
	(void)fprintf(stderr, "cancelreq: %s:%" PRId64 ": %s\n", escaped(batch->options->batch_file), number,
		      sentence);
}

static void refuse_long_line(struct batch *batch)
{
	char sentence[64];

	(void)snprintf(sentence, sizeof(sentence), "over %d bytes in a line", CANCEL_RECORD_MAX);
	refuse_line(batch, batch->lines.number, sentence);
}

/* Is this one line's fault, or would every line fail like it? */
static bool is_line_at_fault(int result)
{
	switch (result) {
	case -EINVAL:
	case -EILSEQ:
	case -ENAMETOOLONG:
	case -EMSGSIZE:
	case -EBADMSG:
	case -EBUSY:
	case -EACCES: /* of what stands there; it may be somebody else's */
		return true;
	default:
		return false;
	}
}

static void on_result(void *arg, int64_t tag, int result, const struct cancel_request *request,
		      const struct cancel_error *error)
{
	struct batch *batch = arg;

	if (result < 0) {
		refuse_line(batch, tag, error->text);
		batch->ended_early |= !is_line_at_fault(result);
		return;
	}
	if (result == CANCEL_ALREADY_PENDING)
		batch->already_pending++;
	else
		batch->requested++;
	if (batch->options->json)
		output_json(request);
}

/* The line's bytes are ours until the next one is read, and the library copies what it needs longer. */
static void add_text_line(struct batch *batch, char *text)
{
	struct cancel_request request = batch->template;
	char *tab = strchr(text, '\t');

	request.task_id = text;
	if (tab) {
		*tab = '\0';
		if (tab[1])
			request.reason = tab + 1;
	}
	cancel_batch_add(batch->requests, &request, batch->lines.number);
}

/* What a line does not say, the command line says. Who asks from where is not the line's to say. */
static void complete(struct cancel_request *request, const struct cancel_request *template)
{
	const char *name = request->requester.name;

	request->requester = template->requester;
	if (name)
		request->requester.name = name;
	if (!request->reason)
		request->reason = template->reason;
	if (request->expires_in_s == CANCEL_EXPIRES_DEFAULT)
		request->expires_in_s = template->expires_in_s;
	if (request->cancel_at_us == 0)
		request->cancel_at_us = template->cancel_at_us;
}

static void add_json_line(struct batch *batch, const char *text, size_t length)
{
	struct cancel_request request;
	struct cancel_error error;

	cancel_request_init(&request);
	if (cancel_request_parse(&request, text, length, &error) < 0) {
		refuse_line(batch, batch->lines.number, error.text);
		return;
	}
	if (request.task_id) {
		complete(&request, &batch->template);
		cancel_batch_add(batch->requests, &request, batch->lines.number);
	} else {
		refuse_line(batch, batch->lines.number, "no task_id");
	}
	cancel_request_clear(&request);
}

static bool is_json(const char *text, size_t length)
{
	size_t blanks = 0;

	while (blanks < length && (text[blanks] == ' ' || text[blanks] == '\t'))
		blanks++;
	return blanks < length && text[blanks] == '{';
}

/* Other systems end a line with CR LF, and begin a file with a byte order mark. */
static void strip(const struct batch *batch, char **text, size_t *length)
{
	static const char mark[] = "\xef\xbb\xbf";

	if (*length > 0 && (*text)[*length - 1] == '\r')
		(*text)[--*length] = '\0';
	if (batch->lines.number == 1 && *length >= strlen(mark) && memcmp(*text, mark, strlen(mark)) == 0) {
		*text += strlen(mark);
		*length -= strlen(mark);
	}
}

static void add_line(struct batch *batch, char *text, size_t length)
{
	strip(batch, &text, &length);
	if (length == 0)
		return;
	if (length > CANCEL_RECORD_MAX)
		refuse_long_line(batch);
	else if (memchr(text, '\0', length))
		refuse_line(batch, batch->lines.number, "a NUL byte in the line");
	else if (is_json(text, length))
		add_json_line(batch, text, length);
	else
		add_text_line(batch, text);
}

static void add_lines(struct batch *batch)
{
	char *text;
	size_t length;
	int result;

	while (!batch->ended_early && (result = lines_next(&batch->lines, &text, &length)) != LINES_END) {
		if (result < 0) {
			progress_hide(&batch->progress);
			(void)fprintf(stderr, "cancelreq: cannot read '%s': %s\n",
				      escaped(batch->options->batch_file), strerror(-result));
			batch->ended_early = true;
		} else if (result == LINES_TOO_LONG) {
			refuse_long_line(batch);
		} else {
			add_line(batch, text, length);
		}
		progress_show(&batch->progress, batch->lines.number);
	}
}

static void say_summary(const struct batch *batch)
{
	static const char format[] =
		"requested %" PRId64 ", already pending %" PRId64 ", refused %" PRId64 "\n";

	if (batch->options->quiet)
		return;
	if (batch->options->json)
		(void)fprintf(stderr, format, batch->requested, batch->already_pending, batch->refused);
	else
		output(format, batch->requested, batch->already_pending, batch->refused);
}

static int finish(struct batch *batch)
{
	struct cancel_error error;
	int result = cancel_batch_close(batch->requests, &error);

	progress_hide(&batch->progress);
	if (result < 0)
		(void)failure(&error);
	if (batch->ended_early)
		(void)fprintf(stderr,
			      "cancelreq: gave up at line %" PRId64 "; what was requested before stands\n",
			      batch->lines.number);
	say_summary(batch);
	if (result < 0 || batch->ended_early)
		return EXIT_REFUSED;
	return batch->refused > 0 ? EXIT_NO : EXIT_DONE;
}

static int open_input(const struct batch *batch)
{
	const char *path = batch->options->batch_file;
	int fd = is_standard_input(batch) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		(void)fprintf(stderr, "cancelreq: cannot open '%s': %s\n", escaped(path), strerror(errno));
	return fd;
}

static int run(struct batch *batch, struct cancel_spool *spool, int fd)
{
	struct cancel_error error;

	if (lines_open(&batch->lines, fd) < 0) {
		(void)fputs("cancelreq: no memory for the batch\n", stderr);
		return EXIT_REFUSED;
	}
	if (cancel_batch_open(&batch->requests, spool, on_result, batch, &error) < 0)
		return failure(&error);
	progress_begin(&batch->progress, batch->options->quiet);
	add_lines(batch);
	return finish(batch);
}

int batch_run(const struct verb_context *context)
{
	struct batch batch = {.options = context->options};
	int fd = open_input(&batch);
	int exit_code;

	if (fd < 0)
		return EXIT_REFUSED;
	request_fill(&batch.template, context->options);
	exit_code = run(&batch, context->spool, fd);
	lines_close(&batch.lines);
	if (fd != STDIN_FILENO)
		(void)close(fd);
	return exit_code;
}
