/* What `cancelwatch run` says on standard error. */
#include "standard_error.h"
#include "supervision.h"

#include <cancel/text.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE (CANCEL_ERROR_TEXT_MAX + CANCEL_DETAIL_MAX)

static void say_about(const struct supervision *supervision, const char *format, va_list arguments)
{
	char id[CANCEL_ESCAPED_SIZE(CANCEL_TASK_ID_MAX)], text[TEXT_SIZE];
	const char *task_id = supervision->options->task_id;

	(void)vsnprintf(text, sizeof text, format, arguments);
	standard_error_line("%s: %s", cancel_text_escape(id, sizeof id, task_id, strlen(task_id)), text);
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
	va_list arguments;

	va_start(arguments, format);
	standard_error_line_of(format, arguments);
	va_end(arguments);
}
