/* DESIGN.md's invariants are not words alone: each is cited by a test. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

static int count_lines(const char *command)
{
	FILE *output = popen(command, "r");
	int lines = 0, byte;

	cr_assert_not_null(output);
	while ((byte = fgetc(output)) != EOF)
		lines += byte == '\n';
	(void)pclose(output);
	return lines;
}

Test(design, every_invariant_is_cited_by_a_test)
{
	char command[512];
	int invariants = count_lines("sed -n '/^## Invariants/,/^## What/p' " SOURCE_DIR
				     "/DESIGN.md | grep -E '^[0-9]+\\. '");

	cr_assert_geq(invariants, 33);
	for (int i = 1; i <= invariants; i++) {
		(void)snprintf(command, sizeof command,
			       "grep -rhE 'DESIGN.md, invariants? (%d|.* and %d) \\*/' " SOURCE_DIR "/tests", i, i);
		cr_assert_geq(count_lines(command), 1, "invariant %d is cited by no test", i);
	}
}
