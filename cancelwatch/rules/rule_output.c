#include "rule_output.h"

#include <string.h>

static void end_line(struct rule_output *output, rule_output_show *show, void *arg)
{
	/* Lines of other systems end in CR LF. */
	while (output->used > 0 && strchr("\r \t", output->line[output->used - 1]) != NULL)
		output->used--;
	output->line[output->used] = '\0';
	if (output->used > 0) {
		memcpy(output->last, output->line, output->used + 1);
		if (output->count++ < RULE_LINES_MAX)
			show(arg, output->line);
	}
	output->used = 0;
}

void rule_output_take(struct rule_output *output, const char *bytes, size_t count, rule_output_show *show,
		      void *arg)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n')
			end_line(output, show, arg);
		else if (bytes[i] != '\0' && output->used < RULE_LINE_MAX)
			output->line[output->used++] = bytes[i];
	}
}

void rule_output_end(struct rule_output *output, rule_output_show *show, void *arg)
{
	end_line(output, show, arg);
}
