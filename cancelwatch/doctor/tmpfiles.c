/*
 * The rules, as far as they decide about ageing:
 * - Files *.conf of all directories are read in the order of their names; a name in an earlier directory
 *   replaces the same name in a later one, and a link to /dev/null so hides it.
 * - A directory is cleaned by the rule that names it (d, D, v, q, Q and e) when that has an age. Cleaning
 * goes down into what lies below, but passes over whatever has a rule of its own, and over all below it.
 * - x protects a path and all below it from that, though not from a rule with an age for the very same path.
 *   X protects only the path itself: what is in it ages on.
 * - Of several rules that make the same path the first counts.
 * So the nearest rule on the way from the path up to the root decides.
 */
#include "tmpfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const directories[] = {
	"/etc/tmpfiles.d",
	"/run/tmpfiles.d",
	"/usr/local/lib/tmpfiles.d",
	"/usr/lib/tmpfiles.d",
};

#define DIRECTORY_COUNT (sizeof directories / sizeof directories[0])
#define FILES_MAX       4096 /* far more than any system has */
#define LINE_SIZE       4096
#define FIELD_SIZE      1024

struct conf_file {
	char name[NAME_MAX + 1];
	size_t directory; /* index; the lower wins */
};

struct conf_files {
	struct conf_file *list;
	size_t count;
};

/* For the rules of one path. */
struct search {
	const char *path;
	struct tmpfiles_verdict *verdict;
	bool made; /* a rule that makes it was met */
};

struct rule {
	char type;
	char path[FIELD_SIZE];
	bool has_age;
};

static bool is_conf(const char *name)
{
	size_t length = strlen(name);

	return length > 5 && strcmp(name + length - 5, ".conf") == 0;
}

static int add_directory(struct conf_files *files, size_t directory)
{
	DIR *dir = opendir(directories[directory]);
	const struct dirent *entry;

	if (dir == NULL)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir)) != NULL && files->count < FILES_MAX) {
		struct conf_file *file = &files->list[files->count];

		if (!is_conf(entry->d_name))
			continue;
		(void)snprintf(file->name, sizeof file->name, "%s", entry->d_name);
		file->directory = directory;
		files->count++;
	}
	(void)closedir(dir);
	return 0;
}

static int compare_files(const void *a, const void *b)
{
	const struct conf_file *one = a;
	const struct conf_file *other = b;
	int order = strcmp(one->name, other->name);

	if (order != 0)
		return order;
	return one->directory < other->directory ? -1 : one->directory > other->directory;
}

static int find_files(struct conf_files *files)
{
	int result = 0;

	files->count = 0;
	files->list = calloc(FILES_MAX, sizeof *files->list);
	if (files->list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < DIRECTORY_COUNT && result == 0; i++)
		result = add_directory(files, i);
	qsort(files->list, files->count, sizeof *files->list, compare_files);
	return result;
}

/* Take one field off a line, with quotes around it or without; false when there is none. */
static bool next_field(const char **line, char field[FIELD_SIZE])
{
	const char *from = *line + strspn(*line, " \t");
	const char *ends = *from == '"' ? "\"" : " \t";
	size_t length;

	from += *from == '"';
	length = strcspn(from, ends);
	if (length == 0 || length >= FIELD_SIZE)
		return false;
	memcpy(field, from, length);
	field[length] = '\0';
	*line = from + length + (from[length] == '"');
	return true;
}

/* %T and %V stand for the directories that are cleaned. Paths with other specifiers are not ours. */
static void expand(char path[FIELD_SIZE])
{
	static const struct {
		const char *specifier, *directory;
	} known[] = {{"%T", "/tmp"}, {"%V", "/var/tmp"}};
	char expanded[FIELD_SIZE + sizeof "/var/tmp"];

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strncmp(path, known[i].specifier, 2) != 0)
			continue;
		(void)snprintf(expanded, sizeof expanded, "%s%s", known[i].directory, path + 2);
		(void)snprintf(path, FIELD_SIZE, "%.*s", FIELD_SIZE - 1, expanded);
		return;
	}
}

static void trim_slashes(char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
}

/* Read "TYPE PATH MODE USER GROUP AGE ARGUMENT"; false when the line is no rule about ageing. */
static bool read_rule(const char *line, struct rule *rule)
{
	char field[FIELD_SIZE];

	if (!next_field(&line, field) || strchr("dDevqQxX", field[0]) == NULL)
		return false;
	rule->type = field[0];
	if (!next_field(&line, rule->path) || rule->path[0] == '#')
		return false;
	expand(rule->path);
	trim_slashes(rule->path);
	for (int i = 0; i < 3; i++) { /* mode, user, group */
		if (!next_field(&line, field))
			break;
	}
	rule->has_age = next_field(&line, field) && strcmp(field, "-") != 0;
	return true;
}

static bool rule_matches(const struct rule *rule, const char *path)
{
	/* X leaves the content of a directory to whatever ages its parent, so it decides nothing here. */
	if (rule->type == 'X')
		return false;
	if (rule->type == 'x' || rule->type == 'e')
		return fnmatch(rule->path, path, FNM_PATHNAME | FNM_PERIOD) == 0;
	return strcmp(rule->path, path) == 0;
}

static bool makes_path(const struct rule *rule)
{
	return rule->type != 'x' && rule->type != 'e';
}

/* Take a rule for the path that is searched for into account. One with an age decides; one without stands
 * until one with an age comes. */
static void consider(struct search *search, const char *file, const char *line, const struct rule *rule)
{
	struct tmpfiles_verdict *verdict = search->verdict;
	bool ages = rule->type != 'x' && rule->has_age;

	if (makes_path(rule) && search->made)
		return;
	search->made = search->made || makes_path(rule);
	if (verdict->file[0] != '\0' && !ages)
		return;
	(void)snprintf(verdict->path, sizeof verdict->path, "%s", rule->path);
	(void)snprintf(verdict->file, sizeof verdict->file, "%s", file);
	(void)snprintf(verdict->rule, sizeof verdict->rule, "%.*s", TMPFILES_RULE_MAX - 1, line);
	verdict->ages = ages;
}

static int search_file(struct search *search, const struct conf_file *conf)
{
	char name[PATH_MAX];
	char line[LINE_SIZE];
	struct rule rule;
	FILE *file;

	(void)snprintf(name, sizeof name, "%s/%s", directories[conf->directory], conf->name);
	file = fopen(name, "re");
	if (file == NULL)
		return errno == ENOENT ? 0 : -errno;
	while (!search->verdict->ages && fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (read_rule(line, &rule) && rule_matches(&rule, search->path))
			consider(search, name, line, &rule);
	}
	(void)fclose(file);
	return 0;
}

static int search_files(const struct conf_files *files, const char *path, struct tmpfiles_verdict *verdict)
{
	struct search search = {path, verdict, false};
	int result = 0;

	for (size_t i = 0; i < files->count && result == 0; i++) {
		if (i == 0 || strcmp(files->list[i].name, files->list[i - 1].name) != 0)
			result = search_file(&search, &files->list[i]);
	}
	return result;
}

int tmpfiles_judge(const char *path, struct tmpfiles_verdict *verdict)
{
	struct conf_files files;
	char ancestor[PATH_MAX];
	char *slash;
	int result = find_files(&files);

	*verdict = (struct tmpfiles_verdict){.ages = false};
	(void)snprintf(ancestor, sizeof ancestor, "%s", path);
	trim_slashes(ancestor);
	while (result == 0 && verdict->file[0] == '\0') {
		result = search_files(&files, ancestor, verdict);
		slash = strrchr(ancestor, '/');
		if (slash == NULL || slash == ancestor)
			break;
		*slash = '\0';
	}
	free(files.list);
	return result;
}
