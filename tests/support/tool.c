#include "tool.h"

#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct spool_dir tool_dir;
struct process tool;

static char environment_spool[96];
static char environment_config[96];

void tool_write(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, text, length) == (ssize_t)length, "cannot write %s", path);
	(void)close(fd);
}

void tool_set_up(void)
{
	spool_dir_make(&tool_dir);
	tool_write(tool_path("cancel.yaml"), "{}\n", 3);
	(void)snprintf(environment_spool, sizeof(environment_spool), "TASK_CANCELLATION_DIR=%s",
		       tool_dir.path);
	(void)snprintf(environment_config, sizeof(environment_config), "CANCEL_CONFIG=%s/cancel.yaml",
		       tool_dir.root);
}

void tool_tear_down(void)
{
	process_free(&tool);
	spool_dir_remove(&tool_dir);
}

const char *const *tool_environment(void)
{
	/* Leaks cannot be looked for in what is being traced. */
	static const char *const words[] = {environment_spool, environment_config, "LSAN_OPTIONS=detect_leaks=0", NULL};

	return words;
}

void tool_run(const char *const *arguments, const char *input)
{
	process_free(&tool);
	process_run(&tool, arguments, WORDS(environment_spool, environment_config), input);
}

void tool_shell(const char *line)
{
	tool_run(WORDS("bash", "-c", line), NULL);
}

void tool_start(struct process *process, const char *const *arguments)
{
	process_start(process, arguments, WORDS(environment_spool, environment_config), NULL);
}

/* What differs from run to run, and what it is compared as. */
static const struct {
	const char *pattern;
	const char *replacement;
} varying[] = {
	{"/dev/shm/cancel-[A-Za-z0-9]{6}", "DIR"},
	{"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "TIME"},
	{"[0-9a-f]{32}", "ID"},
	{"pid [0-9]+", "pid PID"},
	{"[0-9]+\\.[0-9] s", "AGE"},
};

static void replace_all(char *text, size_t size, const char *pattern, const char *replacement)
{
	regmatch_t match;
	regex_t regex;
	char *at = text;

	cr_assert(regcomp(&regex, pattern, REG_EXTENDED) == 0);
	while (regexec(&regex, at, 1, &match, 0) == 0) {
		char *rest = strdup(at + match.rm_eo);

		at += match.rm_so;
		(void)snprintf(at, size - (size_t)(at - text), "%s%s", replacement, rest);
		at += strlen(replacement);
		free(rest);
	}
	regfree(&regex);
}

const char *tool_plain(const char *text)
{
	static char buffers[4][16384];
	static int next;
	char *buffer = buffers[next++ % 4];
	char host[300] = " on ";

	(void)snprintf(buffer, sizeof(buffers[0]), "%s", text);
	for (size_t i = 0; i < sizeof(varying) / sizeof(varying[0]); i++)
		replace_all(buffer, sizeof(buffers[0]), varying[i].pattern, varying[i].replacement);
	cr_assert(gethostname(host + 4, sizeof(host) - 5) == 0);
	replace_all(buffer, sizeof(buffers[0]), host, " on HOST");
	return buffer;
}

const char *tool_field(const char *filter)
{
	static char text[4096];
	struct process jq;

	process_run(&jq, WORDS("jq", "-c", filter), NULL, tool.out);
	cr_assert_eq(jq.exit_code, 0, "jq: %s in %s", jq.err, tool.out);
	(void)snprintf(text, sizeof(text), "%s", jq.out);
	text[strcspn(text, "\n")] = '\0';
	process_free(&jq);
	return text;
}

int tool_count(const char *folder)
{
	char path[128];
	struct dirent *entry;
	int count = 0;
	DIR *open_folder;

	(void)snprintf(path, sizeof(path), "%s/%s", tool_dir.path, folder);
	open_folder = opendir(path);
	cr_assert(open_folder != NULL, "no %s", path);
	while ((entry = readdir(open_folder)))
		count += entry->d_name[0] != '.';
	(void)closedir(open_folder);
	return count;
}

const char *tool_path(const char *name)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", tool_dir.root, name);
	return path;
}
