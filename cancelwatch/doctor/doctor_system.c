/* The process and the machine. */
#include "doctor.h"
#include "tmpfiles.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void check_configuration(struct doctor *doctor, struct finding *finding)
{
	if (doctor->config_error.code < 0) {
		finding_set(finding, LEVEL_PROBLEM, "%s", doctor->config_error.text);
		finding_remedy(finding,
			       "correct it; until then no program starts, and what follows is about the "
			       "defaults");
	} else if (doctor->config.file[0] == '\0') {
		finding_set(finding, LEVEL_OK, "no file, the defaults apply ('%s' does not exist)",
			    CANCEL_CONFIG_DEFAULT);
	} else {
		finding_set(finding, LEVEL_OK, "file '%s'", SHOW(doctor->config.file));
	}
}

static const char *environment_path(void)
{
	const char *path = getenv(CANCEL_SPOOL_VARIABLE);

	return path == NULL || *path == '\0' ? NULL : path;
}

void check_path(struct doctor *doctor, struct finding *finding)
{
	const char *path = doctor->config.spool.path;
	const char *variable = environment_path();

	if (doctor->options->spool != NULL) {
		finding_set(finding, LEVEL_OK, "'%s', from the option --spool", SHOW(path));
		if (variable != NULL && strcmp(variable, path) != 0) {
			finding->level = LEVEL_WARNING;
			finding_remedy(finding, "%s is '%s': programs that are not given --spool use that",
				       CANCEL_SPOOL_VARIABLE, SHOW(variable));
		}
	} else if (variable != NULL && strcmp(variable, path) == 0) {
		finding_set(finding, LEVEL_OK,
			    "'%s', from the environment, %s; the other side needs the same", SHOW(path),
			    CANCEL_SPOOL_VARIABLE);
	} else if (strcmp(path, CANCEL_SPOOL_DEFAULT) != 0) {
		finding_set(finding, LEVEL_OK, "'%s', from the file, spool.path", SHOW(path));
	} else {
		finding_set(finding, LEVEL_OK, "'%s', the default", SHOW(path));
	}
}

void check_user(struct doctor *doctor, struct finding *finding)
{
	const struct passwd *user = getpwuid(geteuid());

	(void)doctor;
	finding_set(finding, LEVEL_OK,
		    "looked as %s (uid %u); another user may be let in where this one is not",
		    user == NULL ? "a user without a name" : SHOW(user->pw_name), geteuid());
}

static ssize_t read_namespace(const char *path, char *text, size_t size)
{
	ssize_t length = readlink(path, text, size - 1);

	text[length < 0 ? 0 : length] = '\0';
	return length;
}

void check_namespace(struct doctor *doctor, struct finding *finding)
{
	char own[64];
	char first[64];

	(void)doctor;
	if (read_namespace("/proc/self/ns/mnt", own, sizeof own) < 0) {
		finding_set(finding, LEVEL_WARNING, "cannot be read: %s", strerror(errno));
		finding_remedy(finding, "mount /proc");
	} else if (read_namespace("/proc/1/ns/mnt", first, sizeof first) < 0) {
		finding_set(finding, LEVEL_OK,
			    "%s; that of process 1 cannot be read, so they were not compared", SHOW(own));
	} else if (strcmp(own, first) != 0) {
		finding_set(finding, LEVEL_WARNING,
			    "%s, but process 1 is in %s: a path may lead elsewhere there", SHOW(own),
			    SHOW(first));
		finding_remedy(finding, "run doctor on the other side too and compare 'directory'");
	} else {
		finding_set(finding, LEVEL_OK, "%s, the same as process 1", SHOW(own));
	}
}

/* A field of mountinfo has blanks, newlines and backslashes as \ooo. */
static void unescape(char *field)
{
	char *to = field;

	for (const char *from = field; *from != '\0'; to++) {
		unsigned byte;

		if (from[0] == '\\' && sscanf(from + 1, "%3o", &byte) == 1) {
			*to = (char)byte;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (strcmp(directory, "/") == 0)
		return true;
	return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Look up which part of its filesystem is mounted where `path` lies, and where that is. */
static int find_mount(const char *path, char root[PATH_MAX], char point[PATH_MAX])
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	int result = -ENOENT;

	if (file == NULL)
		return -errno;
	point[0] = '\0';
	while (getline(&line, &size, file) >= 0) {
		char a_root[PATH_MAX];
		char a_point[PATH_MAX];

		if (sscanf(line, "%*d %*d %*s %4095s %4095s", a_root, a_point) != 2)
			continue;
		unescape(a_root);
		unescape(a_point);
		/* A later mount on the same point hides the earlier one. */
		if (is_below(path, a_point) && strlen(a_point) >= strlen(point)) {
			strcpy(root, a_root);
			strcpy(point, a_point);
			result = 0;
		}
	}
	free(line);
	(void)fclose(file);
	return result;
}

/* The path as mountinfo knows it, though the spool or more of it may be missing. */
static void resolve(const char *path, char resolved[PATH_MAX])
{
	char part[PATH_MAX];
	char *slash;

	(void)snprintf(part, sizeof part, "%s", path);
	while (realpath(part, resolved) == NULL) {
		slash = strrchr(part, '/');
		if (slash == NULL || slash == part) {
			strcpy(resolved, "/");
			return;
		}
		*slash = '\0';
	}
}

void check_private_tmp(struct doctor *doctor, struct finding *finding)
{
	char path[PATH_MAX];
	char root[PATH_MAX];
	char point[PATH_MAX];
	int result;

	resolve(doctor->config.spool.path, path);
	result = find_mount(path, root, point);
	if (result < 0) {
		finding_set(finding, LEVEL_OK, "not known: the mounts cannot be read (%s)",
			    strerror(-result));
	} else if (strstr(root, "/systemd-private-") != NULL) {
		finding_set(finding, LEVEL_PROBLEM, "'%s' is private to one systemd service here ('%s')",
			    SHOW(point), SHOW(root));
		finding_remedy(finding,
			       "set PrivateTmp=false in that service, or spool.path to a directory outside "
			       "'%s'",
			       SHOW(point));
	} else {
		finding_set(finding, LEVEL_OK, "no: '%s' is not private to a service", SHOW(point));
	}
}

static bool is_temporary(const char *path)
{
	return is_below(path, "/tmp") || is_below(path, "/var/tmp");
}

void check_tmpfiles(struct doctor *doctor, struct finding *finding)
{
	const char *path = doctor->config.spool.path;
	struct tmpfiles_verdict verdict;
	int result = tmpfiles_judge(path, &verdict);

	if (result < 0) {
		finding_set(finding, is_temporary(path) ? LEVEL_WARNING : LEVEL_OK,
			    "the rules of systemd-tmpfiles cannot be read: %s", strerror(-result));
	} else if (verdict.ages) {
		finding_set(finding, LEVEL_WARNING, "systemd-tmpfiles removes old files by '%s' in '%s'",
			    SHOW(verdict.rule), SHOW(verdict.file));
		finding_remedy(finding, "put this line into /etc/tmpfiles.d/cancel.conf: x %s", SHOW(path));
	} else if (verdict.file[0] != '\0') {
		finding_set(finding, LEVEL_OK, "not aged, by '%s' in '%s'", SHOW(verdict.rule),
			    SHOW(verdict.file));
	} else {
		finding_set(finding, LEVEL_OK, "no rule of systemd-tmpfiles ages it");
	}
	if (verdict.ages && strcmp(verdict.path, path) == 0)
		finding_remedy(finding, "give that line the age '-'");
}
