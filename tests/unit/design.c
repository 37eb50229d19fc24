/* DESIGN.md's invariants are not words alone: each is cited by a test, and a campaign is said to show those that it
 * cites. */
#include <criterion/criterion.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TESTS SOURCE_DIR "/tests/"

enum {
	INVARIANTS_MAX = 100,
	LINE_SIZE = 1024,
};

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

/* --- the campaigns -------------------------------------------------------------------------------------- */

static const struct row {
	const char *target, *sources;
} rows[] = {
	{"faults", TESTS "campaign/faults/*.[ch] " TESTS "support/scenario*.[ch]"},
	{"kills", TESTS "campaign/kills/*.[ch] " TESTS "support/scenario*.[ch]"},
	{"powercut", TESTS "campaign/powercut/*.[ch]"},
	{"model", TESTS "model/*.pml"},
	{"fuzz", TESTS "fuzz/*.[ch]"},
	{"hostile", TESTS "campaign/hostile/*.[ch]"},
	{"watch-truth", TESTS "campaign/watch_truth/*.[ch]"},
	{"soak", TESTS "campaign/soak/*.[ch]"},
};

/* "1, 4 to 8 and 18", up to whatever else comes. */
static void read_numbers(const char *text, bool numbers[INVARIANTS_MAX])
{
	int from, to, length;

	while (sscanf(text, "%d%n", &from, &length) == 1) {
		to = from;
		text += length;
		if (sscanf(text, " to %d%n", &to, &length) == 1)
			text += length;
		cr_assert(from > 0 && from <= to && to < INVARIANTS_MAX, "invariants %d to %d", from, to);
		while (from <= to)
			numbers[from++] = true;
		text += strspn(text, ",");
		text += strncmp(text, " and ", 5) ? 0 : 5;
	}
}

static void read_table(const char *target, bool numbers[INVARIANTS_MAX])
{
	FILE *design = fopen(SOURCE_DIR "/DESIGN.md", "r");
	char line[LINE_SIZE], begin[64];
	int found = 0;

	cr_assert_not_null(design);
	(void)snprintf(begin, sizeof begin, "| `%s` |", target);
	while (fgets(line, sizeof line, design)) {
		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		found++;
		line[strlen(line) - strlen(" |\n")] = '\0';
		read_numbers(strrchr(line, '|') + 1, numbers);
	}
	(void)fclose(design);
	cr_assert_eq(found, 1, "%d rows of %s", found, target);
}

static void read_citations(const char *sources, bool numbers[INVARIANTS_MAX])
{
	char command[LINE_SIZE], line[LINE_SIZE];
	FILE *lines;

	(void)snprintf(command, sizeof command, "grep -ohE 'DESIGN.md, invariants? .*' %s | grep -oE '[0-9].*'", sources);
	lines = popen(command, "r");
	cr_assert_not_null(lines);
	while (fgets(line, sizeof line, lines))
		read_numbers(line, numbers);
	(void)pclose(lines);
}

Test(design, the_code_is_broken_in_as_many_ways_as_it_says)
{
	cr_assert_eq(count_lines("grep -F 'breaks the code in a hundred ways' " SOURCE_DIR "/DESIGN.md"), 1);
	cr_assert_geq(count_lines("ls " TESTS "campaign/*/mutants/*.patch " TESTS "fuzz/mutants/*.patch"), 100);
}

Test(design, a_campaign_is_said_to_show_what_it_cites)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool said[INVARIANTS_MAX] = {false}, cited[INVARIANTS_MAX] = {false};

		read_table(rows[i].target, said);
		read_citations(rows[i].sources, cited);
		for (int number = 1; number < INVARIANTS_MAX; number++)
			cr_expect_eq(said[number], cited[number], "%s: invariant %d is %s", rows[i].target, number,
				     cited[number] ? "cited, and not in the table" : "in the table, and not cited");
	}
}
