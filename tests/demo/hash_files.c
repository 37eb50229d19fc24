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
#include <unistd.h>

#define STOPPED 3

static struct cancel_spool *spool;
static struct cancel_request request; /* why we were stopped */
static const char *task_id;
static FILE *output;
static long files;

static void give_up(const struct cancel_error *error)
{
	fprintf(stderr, "hash_files: %s\n", error->text);
	exit(EXIT_FAILURE);
}

/* The checkpoint. A failure is not a "no": a worker that cannot know whether it was cancelled says so. */
static int is_cancelled(void)
{
	struct cancel_error error;
	int answer = cancel_spool_check(spool, task_id, NULL, NULL, &request, &error);

	if (answer < 0)
		give_up(&error);
	if (answer != 1)
		cancel_request_clear(&request);
	return answer == 1;
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
	if (is_cancelled())
		return STOPPED;
	return hash_file(path);
}

static int stop_cleanly(const char *output_path)
{
	struct cancel_error error;
	char detail[128];

	(void)unlink(output_path);
	snprintf(detail, sizeof detail, "stopped after %ld files, partial output removed", files);
	if (cancel_spool_decide(spool, task_id, NULL, request.request_id, CANCEL_OUTCOME_STOPPED, detail, NULL,
				&error) < 0)
		give_up(&error);
	fprintf(stderr, "hash_files: cancelled by %s: %s\n",
		request.requester.name ? request.requester.name : "somebody", request.reason);
	return STOPPED;
}

int main(int argc, char **argv)
{
	struct cancel_error error;
	int result;

	if (argc != 4) {
		fprintf(stderr, "usage: hash_files TASK_ID DIRECTORY OUTPUT\n");
		return EXIT_FAILURE;
	}
	task_id = argv[1];
	output = fopen(argv[3], "we");
	if (!output || cancel_spool_open(&spool, NULL, &error) < 0) {
		if (output)
			give_up(&error);
		perror(argv[3]);
		return EXIT_FAILURE;
	}
	cancel_request_init(&request);
	do /* go on until somebody cancels: a demonstration must not depend on the size of a disk */
		result = nftw(argv[2], visit, 16, FTW_PHYS);
	while (result == 0 && getenv("HASH_FOREVER"));
	if (fclose(output) != 0 && result == 0)
		result = EXIT_FAILURE;
	if (result == STOPPED)
		result = stop_cleanly(argv[3]);
	cancel_request_clear(&request);
	cancel_spool_close(spool);
	return result;
}
