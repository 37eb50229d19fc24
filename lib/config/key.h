/* The keys that a configuration may have: what each takes, and the sentences about wrong ones. */
#ifndef CONFIG_KEY_H
#define CONFIG_KEY_H

#include "document.h"
#include "value.h"

#include <cancel/error.h>

#include <stddef.h>

#define KEY_RULES "rules" /* the one section that is a list: each of its values has these keys */

enum key_kind {
	KEY_ONE,   /* a value that obeys `rule` */
	KEY_MANY,  /* a list of such values, in an array */
	KEY_TEXT,  /* any text that is not empty; char * */
	KEY_TEXTS, /* a list of texts */
};

struct key {
	const char *section; /* those of one section stand together */
	const char *name;
	enum key_kind kind;
	struct value_rule rule;
	size_t offset; /* in struct cancel_config; of KEY_RULES, in struct cancel_rule */
	size_t list_max;
	size_t count_offset;
};

enum {
	KEY_COUNT_MAX = 32,
};

/* All of them: 0 and up; NULL when there are no more. */
const struct key *key_at(size_t index);

/* Where the key of a node is, or where its section begins; KEY_COUNT_MAX: there is none of that name. */
size_t key_find(const char *section, const struct document_node *node);
size_t key_find_section(const struct document_node *node);

/* Read the value of a key, or one of its list, into `target`. */
int key_read(const struct document_node *node, const struct value_rule *rule, void *target,
	     struct cancel_error *error);

/* What is wrong with a node; each returns -EINVAL. `section` NULL: it stands at the root. */
int key_fail_unknown(const struct document_node *node, const char *section, struct cancel_error *error);
int key_fail_twice(const struct document_node *node, size_t first_line, struct cancel_error *error);

/* Is it a map of keys of this section? 0 if it is, or nothing at all: what is left when all of it is
 * commented out. */
int key_expect_map(const struct document_node *node, const char *section, struct cancel_error *error);

#define KEY_NAMES_SIZE 160

/* The names that may stand in a section, for a sentence. */
const char *key_list_names(char names[KEY_NAMES_SIZE], const char *section);

#endif
