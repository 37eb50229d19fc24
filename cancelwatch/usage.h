/* What is said of a command line that is not understood, and what is shown when somebody asks. */
#ifndef CANCELWATCH_USAGE_H
#define CANCELWATCH_USAGE_H

#include <stdbool.h>

/* "cancelwatch: WHAT 'TEXT'; see 'HELP'", the text escaped. */
void usage_complain(const char *help, const char *what, const char *text);

/* To standard output; false, and said, when that cannot be written to. */
bool usage_show(const char *text);
bool usage_show_version(void);

#endif
