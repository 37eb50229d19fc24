/* The version of the headers, and of the library that is running. */
#ifndef CANCEL_VERSION_H
#define CANCEL_VERSION_H

#include <cancel/export.h>

#define CANCEL_VERSION "0.1.0"

CANCEL_BEGIN_DECLS

/**
 * The version of the library that is running: CANCEL_VERSION of the headers it was built with.
 *
 * @return A static string. Any thread, any signal handler.
 */
CANCEL_API const char *cancel_version(void);

CANCEL_END_DECLS

#endif
