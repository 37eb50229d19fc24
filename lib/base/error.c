#include "error.h"

#include <cancel/text.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void sentence(struct cancel_error *error, int code, const char *format, va_list arguments)
{
	error->code = code;
	(void)vsnprintf(error->text, sizeof error->text, format, arguments);
}

int error_set(struct cancel_error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return code;
	va_start(arguments, format);
	sentence(error, code, format, arguments);
	va_end(arguments);
	return code;
}

int error_system(struct cancel_error *error, int code, const char *format, ...)
{
	char words[128];
	va_list arguments;
	size_t used;

	if (!error)
		return code;
	va_start(arguments, format);
	sentence(error, code, format, arguments);
	va_end(arguments);
	used = strlen(error->text);
	(void)snprintf(error->text + used, sizeof error->text - used, ": %s",
		       strerror_r(-code, words, sizeof words));
	return code;
}

bool error_is_want(int code)
{
	return code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}

const char *quote_bytes(struct quote *quote, const char *text, size_t length)
{
	return cancel_text_escape(quote->text, sizeof quote->text, text, length);
}
