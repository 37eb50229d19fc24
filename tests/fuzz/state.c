/*
 * Any bytes as one of the small files of a spool: `version`, `swept` or `bell`; the first byte says which. A
 * spool is opened or refused with a sentence; what is opened takes requests, loses none of them to a sweep
 * and keeps what was decided, whatever the bell and the last sweep's word say; statistics are read or
 * refused.
 */
#include "place.h"

#include "bell.h"
#include "clock.h"
#include "store.h"

#include <cancel/list.h>
#include <cancel/statistics.h>
#include <cancel/sweep.h>

#include <errno.h>

enum {
	KEEP_FOR_S = 3600,
	VERSION_MAX = 512,
};

static const char *const files[] = {FILE_SWEPT, FILE_BELL, FILE_VERSION};

static int root_fd;
static char version[VERSION_MAX];
static ssize_t version_length;

static int open_spool(struct cancel_spool **spool, bool create, struct cancel_error *error)
{
	struct cancel_spool_options options;
	char path[PLACE_SIZE];

	place_path(path, "spool");
	cancel_spool_options_init(&options);
	options.path = path;
	options.create = create;
	return cancel_spool_open(spool, &options, error);
}

static void begin(void)
{
	struct cancel_spool *spool;
	char path[PLACE_SIZE];
	int fd;

	place_make();
	check(open_spool(&spool, true, NULL) == 0);
	cancel_spool_close(spool);
	place_path(path, "spool");
	root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(root_fd, FILE_VERSION, O_RDONLY | O_CLOEXEC);
	check(root_fd >= 0 && fd >= 0);
	version_length = read(fd, version, sizeof(version));
	check(version_length > 0);
	(void)close(fd);
}

/* Ask for `task_id`, and see that it stands. */
static void ask(struct cancel_spool *spool, const char *task_id)
{
	struct cancel_request request;

	cancel_request_init(&request);
	request.task_id = task_id;
	check(cancel_spool_request(spool, &request, NULL, NULL) == CANCEL_REQUESTED);
	check(cancel_spool_lookup(spool, task_id, NULL, NULL, NULL) == CANCEL_LOOKUP_PENDING);
	cancel_request_clear(&request);
}

static void decide(struct cancel_spool *spool, const char *task_id, enum cancel_outcome outcome)
{
	check(cancel_spool_decide(spool, task_id, NULL, NULL, outcome, NULL, NULL, NULL) == CANCEL_DECIDED);
	check(cancel_spool_lookup(spool, task_id, NULL, NULL, NULL) == CANCEL_LOOKUP_PROCESSED);
}

static void read_statistics(struct cancel_spool *spool)
{
	struct cancel_statistics statistics;
	struct cancel_error error = {.code = 0};
	int code = cancel_spool_statistics(spool, &statistics, &error);

	check(code == 0 || (code == -ENOTSUP && error.code == code));
	if (code < 0) {
		check_sentence(error.text);
		return;
	}
	check(cancel_histogram_count(&statistics.notice) <= CANCEL_HISTOGRAM_BUCKETS * (uint64_t)UINT32_MAX);
	for (unsigned per_mille = 0; per_mille <= 1000; per_mille += 250)
		check(cancel_histogram_percentile_ns(&statistics.stop, per_mille) >= 0);
}

static void read_info(struct cancel_spool *spool)
{
	struct cancel_spool_info info;

	check(cancel_spool_info(spool, &info, NULL) == 0);
	check(info.layout_version == LAYOUT_VERSION && info.uuid[0] && strlen(info.uuid) < sizeof(info.uuid));
	if (info.bell)
		check_sentence(info.bell);
}

/* Whatever the state says: a request that is young stands, and what was decided a moment ago is known. */
static void sweep(struct cancel_spool *spool)
{
	const struct cancel_sweep_options options = {.keep_for_s = KEEP_FOR_S};
	struct cancel_sweep_result result;

	for (int pass = 0; pass < 2; pass++) {
		check(cancel_spool_sweep(spool, &options, NULL, NULL, &result, NULL) == 0);
		/* DESIGN.md, invariant 7 */
		check(result.expired == 0 && result.removed == 0 && result.refused == 0 && result.kept == 2);
	}
}

/* The outcomes count in different words of the bell. */
static void use(struct cancel_spool *spool)
{
	read_info(spool);
	read_statistics(spool);
	ask(spool, "a");
	ask(spool, "b");
	decide(spool, "b", CANCEL_OUTCOME_STOPPED);
	sweep(spool);
	read_statistics(spool);
	read_info(spool);
	decide(spool, "a", CANCEL_OUTCOME_REFUSED);
	check(cancel_spool_reset(spool, "a", NULL, NULL) == 1 &&
	      cancel_spool_reset(spool, "b", NULL, NULL) == 1);
}

/* "%BOOT" in an input stands for this boot's id, or the state of the last sweep would always be another
 * boot's. */
static void write_file(const char *name, const char *text, size_t length)
{
	static const char mark[] = "%BOOT";
	const char *at = length ? memmem(text, length, mark, strlen(mark)) : NULL;
	size_t before = at ? (size_t)(at - text) : length;
	int fd = place_write(root_fd, name, text, before);

	if (at) {
		check(write(fd, clock_boot_id(), strlen(clock_boot_id())) >= 0);
		at += strlen(mark);
		check(write(fd, at, length - (size_t)(at - text)) >= 0);
	}
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size, 0};
	struct cancel_error error = {.code = 0};
	struct cancel_spool *spool = NULL;
	const char *name, *text;
	int next_fd, code;
	size_t length;

	if (!root_fd)
		begin();
	next_fd = place_next_fd();
	name = files[input_byte(&input) % 3];
	text = input_bytes(&input, 2 * BELL_SIZE, &length);
	write_file(name, text, length);
	code = open_spool(&spool, false, &error);
	/* DESIGN.md, invariants 19 and 36 */
	check(code == 0 || !strcmp(name, FILE_VERSION));
	if (code == 0)
		use(spool);
	else
		check_sentence(error.text);
	cancel_spool_close(spool);
	check(place_next_fd() == next_fd);
	(void)close(place_write(root_fd, FILE_VERSION, version, (size_t)version_length));
	return 0;
}
