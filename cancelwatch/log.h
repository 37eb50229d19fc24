/* Log lines, to standard error. */
#ifndef CANCELWATCH_LOG_H
#define CANCELWATCH_LOG_H

#include "print.h"

#include <cancel/config.h>
#include <cancel/error.h>
#include <cancel/export.h>

struct log {
	struct printer out;
	enum cancel_log_level level;
	bool json;
};

/* Returns 0 or -ENOMEM. */
int log_open(struct log *log);
void log_close(struct log *log);
/* Write what, and how, the configuration says. */
void log_configure(struct log *log, const struct cancel_config *config);
/* Every %s from outside must have been escaped; the sentence of a cancel_error is. */
void log_line(struct log *log, enum cancel_log_level level, const char *format, ...) CANCEL_PRINTF(3, 4);

/* A failure that ends the program: its one line, in the form of every program. Returns EXIT_SYSTEM. */
int fail(const struct cancel_error *error);

#endif
