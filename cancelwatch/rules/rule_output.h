/* What a command writes, as lines. */
#ifndef CANCELWATCH_RULE_OUTPUT_H
#define CANCELWATCH_RULE_OUTPUT_H

#include <stddef.h>

#define RULE_LINE_MAX  1024 /* bytes of a line that are kept; the rest of it is dropped */
#define RULE_LINES_MAX 100  /* lines of a command that are shown; of the others only the last counts */

struct rule_output {
	char line[RULE_LINE_MAX + 1]; /* that has not ended yet */
	size_t used;
	char last[RULE_LINE_MAX + 1]; /* that was not empty */
	unsigned count;               /* of lines that were not empty */
};

/* Called for a line that is not empty: without its end, with whatever bytes it has but NULs. Not called any
 * more behind RULE_LINES_MAX. */
typedef void rule_output_show(void *arg, const char *line);

void rule_output_take(struct rule_output *output, const char *bytes, size_t count, rule_output_show *show,
		      void *arg);
/* Nothing more comes: what has no end is a line too. */
void rule_output_end(struct rule_output *output, rule_output_show *show, void *arg);

#endif
