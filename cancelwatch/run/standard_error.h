/* Lines on standard error that never wait for a reader: who has to stop a command must not hang because the
 * command has filled the pipe that both write to, or because somebody holds the terminal. */
#ifndef CANCELWATCH_STANDARD_ERROR_H
#define CANCELWATCH_STANDARD_ERROR_H

#include <cancel/export.h>

#include <stdarg.h>

/* "cancelwatch: " and the line, in one write; nothing, if it cannot go out at once. What came from outside
 * must have been escaped. */
void standard_error_line(const char *format, ...) CANCEL_PRINTF(1, 2);
void standard_error_line_of(const char *format, va_list arguments);

#endif
