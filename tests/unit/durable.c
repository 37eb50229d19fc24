/* What durability full adds: directories are synced too, once for all of a batch, and what fails is told. */
#include "counted_sync.h"
#include "spool_case.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

static int reported;
static struct cancel_batch *batch;
static char on_disk[64], on_disk_spool[80];

/* A filesystem in memory is refused. */
static void open_on_disk(void)
{
	struct cancel_spool_options options;
	struct statfs info;

	(void)strcpy(on_disk, "/tmp/cancel-XXXXXX");
	cr_assert_not_null(mkdtemp(on_disk));
	cr_assert_eq(statfs(on_disk, &info), 0);
	if (info.f_type == TMPFS_MAGIC)
		cr_skip_test("/tmp is in memory");
	(void)snprintf(on_disk_spool, sizeof(on_disk_spool), "%s/spool", on_disk);
	place_root = on_disk;
	place_path = on_disk_spool;
	cancel_spool_options_init(&options);
	options.path = on_disk_spool;
	options.create = true;
	options.durability = CANCEL_DURABILITY_FULL;
	EXPECT(0, spool_case_reopen(&options));
	syncs = (struct sync_counts){0};
}

static void tear_down(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", on_disk);
	if (on_disk[0])
		(void)system(command);
	spool_case_tear_down();
}

TestSuite(durable, .init = spool_case_set_up_place, .fini = tear_down, .timeout = 60);

static void count_requested(void *arg, int64_t tag, int result, const struct cancel_request *request,
			    const struct cancel_error *failure)
{
	(void)arg, (void)tag, (void)request, (void)failure;
	reported += result == CANCEL_REQUESTED;
}

static void batch_of(int count)
{
	struct cancel_request request;
	char task_id[16];

	EXPECT(0, cancel_batch_open(&batch, spool, count_requested, NULL, &error));
	for (int i = 0; i < count; i++) {
		(void)snprintf(task_id, sizeof(task_id), "task%d", i);
		cancel_request_init(&request);
		request.task_id = task_id;
		cancel_batch_add(batch, &request, i);
	}
}

Test(durable, a_batch_syncs_its_directory_once_at_its_close)
{
	open_on_disk();
	batch_of(5);
	EXPECT(0, cancel_batch_close(batch, &error));
	cr_assert_eq(reported, 5);
	cr_assert_eq(syncs.fsync, 1);
}

static void fail_the_next_sync(void)
{
	sync_errno = EIO;
}

static void fail_the_sync_after_the_next(void)
{
	sync_hook = fail_the_next_sync;
}

Test(durable, a_batch_whose_directory_cannot_be_synced_says_so_and_what_it_reported_stands)
{
	open_on_disk();
	batch_of(2);
	sync_hook = fail_the_sync_after_the_next;
	EXPECT(-EIO, cancel_batch_close(batch, &error));
	EXPECT_WORDS("power cut");
	cr_assert_eq(reported, 2);
	cr_assert_eq(count_in("pending"), 2);
}

Test(durable, a_directory_that_cannot_be_synced_is_told_and_the_request_stands)
{
	open_on_disk();
	sync_hook = fail_the_sync_after_the_next;
	EXPECT(-EIO, ask("a", NULL, NULL, NULL));
	EXPECT_WORDS("the request stands");
	cr_assert(there("pending/a.json"));
}

/* DESIGN.md, invariant 4 */
Test(durable, a_decision_that_cannot_be_synced_leaves_the_request_pending)
{
	open_on_disk();
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	sync_errno = EIO;
	EXPECT(-EIO, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	sync_errno = 0;
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}
