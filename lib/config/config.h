/* What tests and fuzzing need of the configuration besides cancel/config.h. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <cancel/config.h>
#include <cancel/error.h>

#include <stddef.h>

/* Put what `text` says into `config`, which must have been initialised; what it does not name stays. `file`
 * is for the sentences. On failure `config` may hold some of the values. 0, -EINVAL, or what kept a name from
 * being looked up. */
int config_read(struct cancel_config *config, const char *file, const char *text, size_t size,
		struct cancel_error *error);

/* The keys there are: 0 and up; false when there are no more. Static strings. */
bool config_key(size_t index, const char **section, const char **name);

#endif
