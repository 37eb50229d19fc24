/*
 * A registration that cleans up: a file that is being written is removed when the work is cancelled, and
 * stays when the work got done. The removal of the registration decides between the two, whatever happens at
 * once.
 *
 *     cleanup
 */
#include <cancel/cause.h>
#include <cancel/registration.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINES = 10 };

/* What the user sees of the work, and where he may change his mind. */
typedef void progress(struct cancel_source *user, int line);

static void remove_file(void *path, struct cancel_token token)
{
	printf("  removing the file: %s\n", cancel_token_cause(token)->text);
	(void)unlink(path);
}

static int write_lines(FILE *file, progress *tell, struct cancel_source *user)
{
	struct cancel_token token = cancel_source_token(user);

	for (int line = 1; line <= LINES; line++) {
		if (cancel_token_requested(token))
			break;
		if (fprintf(file, "line %d\n", line) < 0)
			return -EIO;
		tell(user, line);
	}
	return 0;
}

/* 0: the file is whole; -ECANCELED: there is none. */
static int write_report(char *path, progress *tell, struct cancel_source *user)
{
	struct cancel_registration cleanup;
	FILE *file = fopen(path, "we");
	int result;

	if (!file)
		return -errno;
	cancel_registration_add(&cleanup, cancel_source_token(user), remove_file, path);
	result = write_lines(file, tell, user);
	if (fclose(file) != 0)
		result = -EIO;
	/* From here on nobody will remove the file, or it is gone already. */
	if (cancel_registration_remove(&cleanup) != CANCEL_REMOVED)
		return cancel_token_error(cancel_source_token(user));
	if (result < 0)
		(void)unlink(path);
	return result;
}

static void be_patient(struct cancel_source *user, int line)
{
	(void)user;
	(void)line;
}

static void stop_at_3(struct cancel_source *user, int line)
{
	if (line == 3)
		cancel_source_cancel(user, NULL);
}

static void try(const char *what, char *path, progress *tell)
{
	struct cancel_source user = CANCEL_SOURCE_INIT;
	int result;

	printf("%s\n", what);
	result = write_report(path, tell, &user);
	printf("  the report is %s, the file is %s\n", result == 0 ? "written" : "not written",
	       access(path, F_OK) == 0 ? "there" : "not there");
	cancel_source_fini(&user);
}

int main(void)
{
	char directory[] = "/tmp/cleanup.XXXXXX", path[sizeof directory + sizeof "/report"];

	if (!mkdtemp(directory)) {
		perror(directory);
		return EXIT_FAILURE;
	}
	(void)snprintf(path, sizeof path, "%s/report", directory);
	try("a user who stops it at line 3", path, stop_at_3);
	try("a user who waits", path, be_patient);
	(void)unlink(path);
	(void)rmdir(directory);
	return EXIT_SUCCESS;
}
