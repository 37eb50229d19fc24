/* Which configuration file, and what is in it. */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <cancel/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
	SOURCE_SIZE_MAX = 1024 * 1024, /* bytes in a configuration file */
};

struct source {
	const char *path;
	const char *named_by; /* the environment variable that named it; NULL: none did */
	bool may_miss;        /* nobody asked for it: that it is not there is no failure */
};

/* The file given, or, when that is NULL, the one to read instead; see cancel/config.h. */
struct source source_find(const char *given);

/* May a process of this effective uid believe what the file says? Root only what nobody else can write: the
 * configuration says whose requests root's workers obey and where root makes directories. */
bool source_is_safe(const struct stat *stat, uid_t reader);

/* Read all of it into memory that the caller frees. Returns 1, 0 when it is missing and may be, or a negative
 * errno; `text` and `size` are set for 1 only. */
int source_read(const struct source *source, char **text, size_t *size, struct cancel_error *error);

#endif
