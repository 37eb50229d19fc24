/* Make the spool as configured, once. What stands already is compared and never changed: its users would not
 * know. */
#include "log.h"
#include "settings.h"
#include "verbs.h"

#include <cancel/cancel.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_spool(struct printer *out, const char *path, const char *what, const struct stat *stat)
{
	print_add(out, "%s '", what);
	print_text(out, path);
	print_add(out, "' (mode %04o, uid %u, gid %u)", stat->st_mode & 07777U, stat->st_uid, stat->st_gid);
	print_end(out);
}

/* The path as an argument for a shell: in quotes, each quote of its own outside them. */
static void add_argument(struct printer *out, const char *path)
{
	print_add(out, "'");
	for (; *path != '\0'; path++) {
		char character[] = {*path, '\0'};

		if (*path == '\'')
			print_add(out, "'\\''");
		else
			print_text(out, character);
	}
	print_add(out, "'");
}

static void print_owner(struct printer *out, const char *path, const struct stat *stat, uid_t owner)
{
	print_add(out, "owner is uid %u, configured is %u; to change it: chown -R %u ", stat->st_uid, owner,
		  owner);
	add_argument(out, path);
	print_end(out);
}

static void print_group(struct printer *out, const char *path, const struct stat *stat, gid_t group)
{
	print_add(out, "group is gid %u, configured is %u; to change it: chgrp -R %u ", stat->st_gid, group,
		  group);
	add_argument(out, path);
	print_end(out);
}

/* The directories inside have the spool's mode, who may list them may read the files, and who may change
 * what is in them must be able to lock. */
static void print_mode(struct printer *out, const char *path, const struct stat *stat, mode_t mode)
{
	print_add(out, "mode is %04o, configured is %04o; to change it: find ", stat->st_mode & 07777U, mode);
	add_argument(out, path);
	print_add(out, " -type d -exec chmod %04o {} + -o -type f -exec chmod %04o {} + && chmod %04o ", mode,
		  0600U | (mode & 0040U), 0600U | (mode & 0060U));
	add_argument(out, path);
	print_add(out, "/lock");
	print_end(out);
}

/* How many of the three differ. */
static int print_differences(struct printer *out, const struct cancel_spool_options *wanted,
			     const struct stat *stat)
{
	int differences = 0;

	/* In this order the commands can be carried out one after another: chown takes a setgid bit away. */
	if (wanted->owner != (uid_t)-1 && stat->st_uid != wanted->owner) {
		print_owner(out, wanted->path, stat, wanted->owner);
		differences++;
	}
	if (wanted->group != (gid_t)-1 && stat->st_gid != wanted->group) {
		print_group(out, wanted->path, stat, wanted->group);
		differences++;
	}
	if ((stat->st_mode & 07777U) != wanted->mode) {
		print_mode(out, wanted->path, stat, wanted->mode);
		differences++;
	}
	return differences;
}

/* Open it, which makes what is missing. */
static int make(struct cancel_spool_options *wanted, struct stat *made)
{
	struct cancel_spool *spool;
	struct cancel_error error;

	wanted->create = true;
	if (cancel_spool_open(&spool, wanted, &error) < 0)
		return fail(&error);
	cancel_spool_close(spool);
	return stat(wanted->path, made) < 0 ? EXIT_SYSTEM : EXIT_YES;
}

/* Whether what stands there may be other people's: then opening it refuses, and no command to change it is shown. */
static bool may_be_foreign(const char *path)
{
	char version[CANCEL_PATH_MAX + sizeof "/version"];

	(void)snprintf(version, sizeof version, "%s/version", path);
	return access(version, F_OK) < 0;
}

int init_run(const struct options *options, struct printer *out)
{
	struct cancel_config config;
	struct cancel_error error;
	struct stat stat_before = {0}, stat_after = {0};
	bool stood;
	int exit_code;

	if (settings_load(&config, options, &error) < 0)
		return fail(&error);
	/* Whether the way to it is safe is judged by opening it. */
	stood = stat(config.spool.path, &stat_before) == 0 && S_ISDIR(stat_before.st_mode);
	if (stood && may_be_foreign(config.spool.path)) {
		exit_code = make(&config.spool, &stat_after);
		if (exit_code != EXIT_YES)
			return exit_code;
	}
	if (stood && print_differences(out, &config.spool, &stat_before) > 0) {
		print_spool(out, config.spool.path, "left as it is:", &stat_before);
		return EXIT_NO;
	}
	exit_code = make(&config.spool, &stat_after);
	if (exit_code == EXIT_YES)
		print_spool(out, config.spool.path, stood ? "exists as configured:" : "made", &stat_after);
	return exit_code;
}
