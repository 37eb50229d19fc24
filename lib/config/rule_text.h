/* The text of an element of a rule's exec: literal pieces and placeholders. */
#ifndef CONFIG_RULE_TEXT_H
#define CONFIG_RULE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum rule_placeholder {
	RULE_TASK_ID,
	RULE_TASK_NAME,
	RULE_MATCH,
	RULE_RUN,
	RULE_REASON,
	RULE_REQUESTER,
	RULE_REQUEST_ID,
	RULE_UID,
	RULE_LITERAL, /* none: bytes as they stand */
	RULE_WRONG,   /* a brace that is not doubled, or the name in it is none */
};

struct rule_piece {
	enum rule_placeholder placeholder;
	const char *begin; /* of RULE_LITERAL and RULE_WRONG */
	size_t length;
};

/* Take the piece at *text, and move *text behind it; false at the end. */
bool rule_text_next(const char **text, struct rule_piece *piece);

/* The placeholders there are, for a sentence. */
#define RULE_TEXT_NAMES_SIZE 160
const char *rule_text_names(char names[RULE_TEXT_NAMES_SIZE]);

#endif
