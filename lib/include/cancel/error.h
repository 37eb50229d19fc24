/**
 * How a call says that it failed, and why.
 *
 * A function returns 0 or more on success and a negative errno on failure. Those that touch the outside
 * world also take a `struct cancel_error *`, which may be NULL. On failure it holds one sentence that names
 * the thing, what could not be done, why and, where a person can act, what to do. On success it is left
 * alone. The object is the caller's and nothing in it needs freeing.
 *
 *     struct cancel_error error;
 *
 *     if (cancel_spool_open(&spool, &options, &error) < 0)
 *             fprintf(stderr, "worker: %s\n", error.text);
 *
 * The sentence is safe to print: every byte that came from outside is escaped (cancel/text.h).
 */
#ifndef CANCEL_ERROR_H
#define CANCEL_ERROR_H

#include <cancel/export.h>
#include <cancel/limits.h>

CANCEL_BEGIN_DECLS

struct cancel_error {
	int code;                         /* the negative errno that the call returned */
	char text[CANCEL_ERROR_TEXT_MAX]; /* one sentence, no full stop, no newline */
};

CANCEL_END_DECLS

#endif
