/* What tests and fuzzing need of the configuration besides cancel/config.h and cancel/rule.h. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <cancel/config.h>
#include <cancel/error.h>
#include <cancel/rule.h>

#include <stddef.h>

/* Put what `text` says into `config`, which must have been initialised; what it does not name stays. `file`
 * is for the sentences. On failure `config` may hold some of the values. 0, -EINVAL, -ENOMEM, or what kept a
 * name from being looked up. */
int config_read(struct cancel_config *config, const char *file, const char *text, size_t size,
		struct cancel_error *error);

/* The same, and put the rules into `rules`, which must be zeroed. They are to be freed with rule_list_free,
 * on failure too. */
int config_read_rules(struct cancel_config *config, struct cancel_rules *rules, const char *file,
		      const char *text, size_t size, struct cancel_error *error);

/* The keys there are: 0 and up; false when there are no more. Static strings. */
bool config_key(size_t index, const char **section, const char **name);

#endif
