#include "report.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static struct report_row *rows;
static size_t row_count;

void report_add(const struct report_row *row)
{
	struct report_row *grown = realloc(rows, (row_count + 1) * sizeof *rows);

	if (!grown)
		bench_fail("out of memory");
	rows = grown;
	rows[row_count++] = *row;
}

/* --- the head ----------------------------------------------------------------------------------------- */

static void read_processor(char *model, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[512];

	(void)snprintf(model, size, "unknown processor");
	while (file && fgets(line, sizeof line, file)) {
		if (strncmp(line, "model name", strlen("model name")) || !strchr(line, ':'))
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(model, size, "%s", strchr(line, ':') + 2);
		break;
	}
	if (file)
		(void)fclose(file);
}

void report_machine(void)
{
	struct utsname system;
	char model[256];

	read_processor(model, sizeof model);
	(void)uname(&system);
	(void)printf("machine     %s (%s)\n", model, system.machine);
	(void)printf("cores       %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	(void)printf("kernel      %s %s\n", system.sysname, system.release);
	for (int kind = 0; kind < PLACE_COUNT; kind++)
		(void)printf("files       %s\n", place_of((enum place_kind)kind)->about);
	(void)fflush(stdout);
}

/* --- the table ---------------------------------------------------------------------------------------- */

static const char *figure(char text[32], double value, const char *unit)
{
	int places = value < 10 ? 2 : value < 100 ? 1 : 0;

	(void)snprintf(text, 32, "%.*f %s", places, value, unit);
	return text;
}

static const char *budget_text(char text[32], const struct report_row *row)
{
	switch (row->budget->kind) {
	case BUDGET_RATIO:
		(void)snprintf(text, 32, "%.4g x", row->budget->limit);
		return text;
	case BUDGET_VALUE:
		(void)snprintf(text, 32, "%.4g %s", row->budget->limit, row->unit);
		return text;
	default:
		return "-";
	}
}

static const char *ratio_text(char text[32], const struct report_row *row)
{
	if (!row->peer)
		return "-";
	(void)snprintf(text, 32, "%.2f", row->ratio);
	return text;
}

static const char *met_text(const struct report_row *row)
{
	if (row->budget->kind == BUDGET_NONE)
		return "-";
	return row->met ? "yes" : "NO";
}

void report_table(void)
{
	char ours[32], theirs[32], ratio[32], budget[32];

	(void)printf("\n%-52s %12s %12s  %-32s %7s %9s  %s\n", "operation", "libcancel", "peer", "", "ratio",
		     "budget", "met");
	for (size_t i = 0; i < row_count; i++) {
		const struct report_row *row = &rows[i];

		(void)printf(
			"%-52s %12s %12s  %-32s %7s %9s  %s\n", row->name, figure(ours, row->ours, row->unit),
			row->peer ? figure(theirs, row->theirs, row->unit) : "-", row->peer ? row->peer : "-",
			ratio_text(ratio, row), budget_text(budget, row), met_text(row));
	}
}

/* --- for programs ------------------------------------------------------------------------------------- */

/* Names, units and peers are ours and need no escaping. */
static void write_row(FILE *file, const struct report_row *row)
{
	char budget[32];
	bool limited = row->budget->kind != BUDGET_NONE;

	(void)fprintf(file, "  {\"name\": \"%s\", \"unit\": \"%s\", \"libcancel\": %.6g, ", row->name,
		      row->unit, row->ours);
	if (row->peer)
		(void)fprintf(file, "\"peer\": \"%s\", \"peer_value\": %.6g, \"ratio\": %.6g, ", row->peer,
			      row->theirs, row->ratio);
	else
		(void)fprintf(file, "\"peer\": null, \"peer_value\": null, \"ratio\": null, ");
	if (limited)
		(void)fprintf(file, "\"budget\": \"%s\", \"met\": %s}", budget_text(budget, row),
			      row->met ? "true" : "false");
	else
		(void)fprintf(file, "\"budget\": null, \"met\": null}");
}

void report_json(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		bench_fail("cannot write '%s': %s", path, strerror(errno));
	(void)fputs("[\n", file);
	for (size_t i = 0; i < row_count; i++) {
		write_row(file, &rows[i]);
		(void)fputs(i + 1 < row_count ? ",\n" : "\n", file);
	}
	(void)fputs("]\n", file);
	if (ferror(file) | fclose(file))
		bench_fail("cannot write '%s'", path);
}
