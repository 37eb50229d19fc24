/* The section `rules` of a configuration, node by node. */
#ifndef CONFIG_RULE_READ_H
#define CONFIG_RULE_READ_H

#include "document.h"
#include "key.h"

#include <cancel/error.h>
#include <cancel/rule.h>

#include <stddef.h>

struct rule_reader {
	struct cancel_rules *rules;     /* zeroed at the beginning */
	struct document_place place;    /* where the latest rule begins */
	size_t key_line[KEY_COUNT_MAX]; /* of it: where the key stands; 0: not met yet */
};

/* The section's own value: 0, or -EINVAL when it is neither a list nor nothing. */
int rule_read_section(const struct document_node *node, struct cancel_error *error);

/* A value below it. 0, -EINVAL or -ENOMEM. */
int rule_read(struct rule_reader *reader, const struct document_node *node, struct cancel_error *error);

/* All was read: is the latest rule complete? */
int rule_read_end(struct rule_reader *reader, const char *file, struct cancel_error *error);

#endif
