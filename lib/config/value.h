/* One value of the configuration: its text, and the rule it obeys. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
	VALUE_PATH,        /* char[]: absolute */
	VALUE_MODE,        /* octal digits, quoted or not: what struct cancel_spool_options allows */
	VALUE_USER,        /* a name or a number */
	VALUE_GROUP,       /* a name or a number */
	VALUE_WORD,        /* one of `words` */
	VALUE_NUMBER,      /* from `min` to `max` */
	VALUE_DURATION_MS, /* from `min` to `max`; kept in milliseconds */
	VALUE_DURATION_S,  /* from `min` to `max`, whole seconds; kept in seconds */
};

struct value_word {
	const char *text; /* NULL: the end of the list */
	int64_t value;
};

struct value_rule {
	enum value_type type;
	size_t size;                    /* bytes at the target; its type is an integer but for VALUE_PATH */
	int64_t min, max;               /* in the unit in which the value is kept */
	const struct value_word *words; /* besides a duration: other texts that stand for a value; or NULL */
};

/* Read `text` into `target`. 0, -EINVAL when it breaks the rule, or what kept a name from being looked up;
 * on failure the target is left alone. */
int value_read(const struct value_rule *rule, const char *text, void *target);

#define VALUE_EXPECTED_SIZE 256

/* Say what the rule expects, to somebody who wrote `text`. */
const char *value_expected(char expected[VALUE_EXPECTED_SIZE], const struct value_rule *rule,
			   const char *text);

#endif
