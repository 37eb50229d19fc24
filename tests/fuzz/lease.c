/*
 * Any bytes as a lease: the file's name up to the first NUL, then its text. Whoever lists runs is shown a
 * lease exactly when somebody holds its lock and its name is one, with ids that lead to that name and all
 * else within its limits; and a sweep removes none that is held or young.
 */
#include "place.h"

#include "lease.h"
#include "name.h"
#include "utf8.h"

#include <cancel/run.h>
#include <cancel/sweep.h>

enum {
	FILE_MAX = 255,
	MARK_LENGTH = 10, /* "@@" and eight digits */
};

static struct cancel_spool *spool;
static int runs_fd;

/* What was made, and what was shown. */
static struct {
	char *name;
	bool held;
	int shown;
} lease;

static void open_spool(void)
{
	struct cancel_spool_options options;
	char path[PLACE_SIZE];

	place_make();
	place_path(path, "spool");
	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	check(cancel_spool_open(&spool, &options, NULL) == 0);
	place_path(path, "spool/runs");
	runs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(runs_fd >= 0);
}

static void check_text(const char *text, size_t max)
{
	check(!text || (text[0] && strlen(text) <= max && utf8_valid(text, strlen(text))));
}

/* The name that its ids make, with a mark or without. */
static void check_name(const struct cancel_run *run)
{
	char name[NAME_SIZE];
	size_t length, rest;

	check(name_check_id(run->task_id, CANCEL_TASK_ID_MAX, "task id", NULL) == 0);
	check(!run->run || name_check_id(run->run, CANCEL_RUN_ID_MAX, "run id", NULL) == 0);
	name_encode(name, run->task_id, run->run);
	length = strlen(name);
	check(!strncmp(name, lease.name, length));
	rest = strlen(lease.name + length);
	check(rest == 0 || (rest == MARK_LENGTH && !strncmp(lease.name + length, "@@", 2)));
}

static int on_run(void *arg, const struct cancel_run *run)
{
	(void)arg;
	lease.shown++;
	check_name(run);
	check_text(run->host, CANCEL_PARTY_TEXT_MAX);
	check_text(run->program, CANCEL_PARTY_TEXT_MAX);
	check(run->uid == (int64_t)geteuid() && run->pid >= -1 && run->also_count <= CANCEL_TASK_ALSO_MAX);
	check(cancel_run_listens(run, run->task_id, NULL) && cancel_run_listens(run, run->task_id, run->run));
	for (size_t i = 0; i < run->also_count; i++) {
		check(run->also[i] != NULL);
		check_text(run->also[i], CANCEL_TASK_ID_MAX);
		check(cancel_run_listens(run, run->also[i], NULL));
	}
	return 0;
}

static bool may_be_made(const char *name)
{
	return name[0] && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static void hold(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	check(fcntl(fd, F_OFD_SETLK, &lock) == 0);
}

static void try_lease(const char *text, size_t length)
{
	const struct cancel_sweep_options keep = {.keep_for_s = 0};
	struct cancel_sweep_result result;
	struct stat stat;
	int fd = place_write(runs_fd, lease.name, text, length), next_fd = place_next_fd();

	/* The last bit of its length stands for chance. */
	lease.held = length % 2;
	lease.shown = 0;
	if (lease.held)
		hold(fd);
	check(cancel_spool_runs(spool, on_run, NULL, NULL) == 0);
	/* DESIGN.md, invariants 14 and 38 */
	check(lease.shown == 0 || (lease.held && lease_is_name(lease.name)));
	if (lease.held && lease_is_name(lease.name) && length <= CANCEL_RECORD_MAX) {
		struct name_ids ids;

		/* Where its name alone says whose it is the text need not. */
		check(lease.shown == 1 || name_decode(&ids, lease.name, strlen(lease.name)) != NAME_WHOLE);
	}
	check(cancel_spool_sweep(spool, &keep, NULL, NULL, &result, NULL) == 0 && result.leases == 0);
	check(fstatat(runs_fd, lease.name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && place_next_fd() == next_fd);
	(void)close(fd);
	check(unlinkat(runs_fd, lease.name, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size, 0};
	const char *text;
	size_t length;

	if (!spool)
		open_spool();
	lease.name = input_text(&input, FILE_MAX);
	text = input_bytes(&input, CANCEL_RECORD_MAX + 1, &length);
	if (may_be_made(lease.name))
		try_lease(text, length);
	free(lease.name);
	return 0;
}
