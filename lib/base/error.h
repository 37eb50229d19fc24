/* Fill a struct cancel_error: the one place where a failure gets its sentence. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <cancel/error.h>

#include <stdbool.h>
#include <stddef.h>

/* Give `error` (or nobody, when NULL) the code and a sentence; returns the code, a negative errno. Every
 * argument for %s that came from outside must have been escaped: quote() does it. */
int error_set(struct cancel_error *error, int code, const char *format, ...) CANCEL_PRINTF(3, 4);

/* The same, with ": " and the system's words for the code appended. */
int error_system(struct cancel_error *error, int code, const char *format, ...) CANCEL_PRINTF(3, 4);

/* Whether a failure is this process's own want (memory, descriptors), which the next file would meet too. */
bool error_is_want(int code);

/* Text from outside, escaped, for one sentence: cut after so many bytes that two fit into an error. */
#define QUOTE_SIZE 400
struct quote {
	char text[QUOTE_SIZE];
};
const char *quote_bytes(struct quote *quote, const char *text, size_t length);
/* For an argument list: error_set(error, -EINVAL, "bad id '%s'", QUOTE(id)). Lives to the end of the block. */
#define QUOTE(string) quote_bytes(&(struct quote){""}, (string), __builtin_strlen(string))

#endif
