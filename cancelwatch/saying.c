/* What `cancelwatch run` says on standard error. */
#include "supervision.h"

#include <cancel/text.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_SIZE (CANCEL_ERROR_TEXT_MAX + CANCEL_DETAIL_MAX)

static void say_about(const struct supervision *supervision, const char *format, va_list arguments)
{
	char id[CANCEL_ESCAPED_SIZE(CANCEL_TASK_ID_MAX)], text[LINE_SIZE];
	const char *task_id = supervision->options->task_id;

	(void)vsnprintf(text, sizeof text, format, arguments);
	(void)fprintf(stderr, "cancelwatch: %s: %s\n",
		      cancel_text_escape(id, sizeof id, task_id, strlen(task_id)), text);
}

void say(const struct supervision *supervision, const char *format, ...)
{
	va_list arguments;

	if (supervision->options->quiet)
		return;
	va_start(arguments, format);
	say_about(supervision, format, arguments);
	va_end(arguments);
}

void say_failure(const struct supervision *supervision, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_about(supervision, format, arguments);
	va_end(arguments);
}

void say_always(const char *format, ...)
{
	char line[LINE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, "cancelwatch: %s\n", line);
}
