/*
 * A worker as a user would write it: hashes every file of a directory tree, asks between two files whether it is
 * cancelled, and when it is, removes what it had written and says that it stopped.
 *
 *     hash_files TASK_ID DIRECTORY OUTPUT
 *
 * Exit status 0: all files hashed. 3: stopped by a request. 1: it failed.
 */
#include <cancel/cancel.h>

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOPPED 3

static struct cancel_task *task;
static FILE *output;
static long files;

static int failed(const struct cancel_error *error)
{
	fprintf(stderr, "hash_files: %s\n", error->text);
	return EXIT_FAILURE;
}

static int hash_file(const char *path)
{
	unsigned char block[65536];
	uint64_t hash = 0xcbf29ce484222325;
	ssize_t length;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0; /* not ours to read */
	while ((length = read(fd, block, sizeof block)) > 0)
		for (ssize_t i = 0; i < length; i++)
			hash = (hash ^ block[i]) * 0x100000001b3;
	close(fd);
	files++;
	return fprintf(output, "%016" PRIx64 "  %s\n", hash, path) < 0;
}

static int visit(const char *path, const struct stat *stat, int type, struct FTW *position)
{
	(void)position;
	if (type != FTW_F || !S_ISREG(stat->st_mode))
		return 0;
	if (cancel_task_checkpoint(task))
		return STOPPED;
	return hash_file(path);
}

static int hash_tree(const char *directory)
{
	int result;

	do /* go on until somebody cancels: a demonstration must not depend on the size of a disk */
		result = nftw(directory, visit, 16, FTW_PHYS);
	while (result == 0 && getenv("HASH_FOREVER"));
	if (fclose(output) != 0 && result == 0)
		result = EXIT_FAILURE;
	return result;
}

static void say_why(void)
{
	struct cancel_why why;
	const char *who = "somebody";
	char name[256], text[1024];

	cancel_task_why(task, &why);
	if (why.request && why.request->requester.name)
		who = why.request->requester.name;
	fprintf(stderr, "hash_files: cancelled by %s: %s\n", cancel_text_escape(name, sizeof name, who, strlen(who)),
		cancel_text_escape(text, sizeof text, why.text, strlen(why.text)));
}

static int end(int result, const char *output_path, struct cancel_error *error)
{
	char detail[128];

	if (result != STOPPED)
		return cancel_task_end(task, result == 0 ? CANCEL_OUTCOME_FINISHED : CANCEL_OUTCOME_FAILED, NULL, error);
	say_why();
	(void)unlink(output_path);
	snprintf(detail, sizeof detail, "stopped after %ld files, partial output removed", files);
	return cancel_task_end(task, CANCEL_OUTCOME_STOPPED, detail, error);
}

int main(int argc, char **argv)
{
	struct cancel_manager *manager;
	struct cancel_error error;
	int result;

	if (argc != 4) {
		fprintf(stderr, "usage: hash_files TASK_ID DIRECTORY OUTPUT\n");
		return EXIT_FAILURE;
	}
	output = fopen(argv[3], "we");
	if (!output) {
		perror(argv[3]);
		return EXIT_FAILURE;
	}
	if (cancel_manager_open(&manager, NULL, &error) < 0 ||
	    cancel_task_begin(&task, manager, argv[1], NULL, &error) < 0)
		return failed(&error);
	result = hash_tree(argv[2]);
	if (end(result, argv[3], &error) < 0)
		result = failed(&error);
	cancel_manager_close(manager);
	return result;
}
