#include "output.h"

#include <cancel/text.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_US INT64_C(1000000)

/* The first failure of standard output; stdio only remembers that there was one. */
static int output_errno;

/* Holds whatever a record or a command line of sane length can hold; longer text is cut. Costs nothing while
 * it is not touched. */
static char escape_buffer[CANCEL_ESCAPED_SIZE(CANCEL_RECORD_MAX)];

const char *escaped(const char *text)
{
	return cancel_text_escape(escape_buffer, sizeof(escape_buffer), text, strlen(text));
}

static void remember(int result)
{
	if (result < 0 && output_errno == 0)
		output_errno = errno;
}

void output(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	remember(vprintf(format, arguments));
	va_end(arguments);
}

void output_escaped(const char *text)
{
	remember(fputs(escaped(text), stdout));
}

bool output_failed(void)
{
	return output_errno != 0;
}

void output_flush(void)
{
	remember(fflush(stdout));
}

int output_end(int exit_code)
{
	output_flush();
	if (output_errno == 0 || output_errno == EPIPE)
		return exit_code;
	(void)fprintf(stderr, "cancelreq: cannot write to standard output: %s\n", strerror(output_errno));
	return EXIT_REFUSED;
}

void output_json(const struct cancel_request *request)
{
	char *text = cancel_request_json(request);

	if (!text) {
		errno = ENOMEM;
		remember(-1);
		return;
	}
	output("%s\n", text);
	free(text);
}

/* How many bytes of `text` stand in a string of JSON as they are. */
static size_t plain_length(const char *text)
{
	size_t length = 0;

	while ((unsigned char)text[length] >= ' ' && text[length] != '"' && text[length] != '\\')
		length++;
	return length;
}

void output_json_string(const char *text)
{
	if (!text) {
		output("null");
		return;
	}
	output("\"");
	for (size_t length; text[length = plain_length(text)]; text += length + 1)
		output("%.*s\\u%04x", (int)length, text, (unsigned int)text[length]);
	output("%s\"", text);
}

/* An '@' stands before a run's id, so one that belongs to the task's is escaped. */
static void output_task_id(const char *task_id)
{
	const char *text = escaped(task_id);

	for (size_t length; text[length = strcspn(text, "@")]; text += length + 1)
		output("%.*s\\x40", (int)length, text);
	output("%s", text);
}

void output_task(const char *task_id, const char *run)
{
	output_task_id(task_id);
	if (run) {
		output("@");
		output_escaped(run);
	}
}

void output_age(int64_t age_us)
{
	int64_t age_s = age_us / SECOND_US;

	if (age_s < 10)
		output("%" PRId64 ".%" PRId64 " s", age_s, age_us / (SECOND_US / 10) % 10);
	else if (age_s < 2 * 60)
		output("%" PRId64 " s", age_s);
	else if (age_s < 2 * 3600)
		output("%" PRId64 " min", age_s / 60);
	else if (age_s < 2 * 86400)
		output("%" PRId64 " h", age_s / 3600);
	else
		output("%" PRId64 " days", age_s / 86400);
}

void output_requester(const struct cancel_request *request)
{
	if (request->requester.name)
		output_escaped(request->requester.name);
	else if (request->requester.uid >= 0)
		output("uid %" PRId64, request->requester.uid);
	else
		output("somebody");
}

void output_reason(const struct cancel_request *request)
{
	output_escaped(request->reason && *request->reason ? request->reason : "(none given)");
}

void output_worker(const struct cancel_party *worker)
{
	if (worker->run) {
		output(" by run ");
		output_escaped(worker->run);
	}
	if (worker->pid >= 0)
		output("%s pid %" PRId64, worker->run ? "," : " by", worker->pid);
	if (worker->host) {
		output(" on ");
		output_escaped(worker->host);
	}
}

void output_group(const struct cancel_request *request)
{
	if (!request->group)
		return;
	output(" for ");
	output_task(request->group, NULL);
}

int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

static int64_t not_negative(int64_t age_us)
{
	return age_us > 0 ? age_us : 0;
}

int64_t request_age_us(const struct cancel_request *request)
{
	return not_negative(now_us() - request->requested_at_us);
}

int64_t decision_age_us(const struct cancel_request *request)
{
	if (request->boot_id[0] && strcmp(request->boot_id, request->processed_boot_id) == 0)
		return not_negative((request->processed_boottime_ns - request->boottime_ns) / 1000);
	return not_negative(request->processed_at_us - request->requested_at_us);
}

int no_memory(struct cancel_error *error, const char *what)
{
	error->code = -ENOMEM;
	(void)snprintf(error->text, sizeof(error->text), "no memory for %s", what);
	return error->code;
}

int failure(const struct cancel_error *error)
{
	(void)fprintf(stderr, "cancelreq: %s\n", error->text);
	return EXIT_REFUSED;
}

int failure_of_words(const struct cancel_error *error)
{
	int exit_code = failure(error);

	switch (error->code) {
	case -EINVAL:
	case -EILSEQ:
	case -ENAMETOOLONG:
	case -EMSGSIZE:
		return EXIT_USAGE;
	default:
		return exit_code;
	}
}
