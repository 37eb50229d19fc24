#include <cancel/batch.h>

#include "clock.h"
#include "counted_sync.h"
#include "spool_case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MANY = 3000 };

static struct report {
	int64_t tag;
	int result;
	char task_id[64], text[CANCEL_ERROR_TEXT_MAX];
} *reports;
static int report_count;
static struct cancel_batch *batch;

static void set_up(void)
{
	spool_case_set_up();
	reports = calloc(2 * MANY, sizeof(*reports));
}

static void tear_down(void)
{
	free(reports);
	spool_case_tear_down();
}

TestSuite(batch, .init = set_up, .fini = tear_down, .timeout = 60);

static void note(void *arg, int64_t tag, int result, const struct cancel_request *request,
		 const struct cancel_error *failure)
{
	struct report *report = &reports[report_count++];

	cr_assert_eq(arg, &report_count);
	cr_assert_eq(request != NULL, result >= 0);
	cr_assert_eq(failure != NULL, result < 0);
	report->tag = tag;
	report->result = result;
	if (request)
		(void)snprintf(report->task_id, sizeof(report->task_id), "%s", request->task_id);
	if (failure)
		(void)snprintf(report->text, sizeof(report->text), "%s", failure->text);
}

static void reopen(enum cancel_durability durability)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	options.create = true;
	options.durability = durability;
	EXPECT(0, spool_case_reopen(&options));
	syncs = (struct sync_counts){0};
}

static void begin(void)
{
	EXPECT(0, cancel_batch_open(&batch, spool, note, &report_count, &error));
}

static void add(const char *task_id, int64_t tag)
{
	struct cancel_request request, before;

	cancel_request_init(&request);
	request.task_id = task_id;
	request.reason = "in a batch";
	before = request;
	cancel_batch_add(batch, &request, tag);
	cr_assert_eq(memcmp(&before, &request, sizeof(before)), 0, "adding changed the request");
}

static void end(void)
{
	EXPECT(0, cancel_batch_close(batch, &error));
}

static void expect_all_kinds(enum cancel_durability durability)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	reopen(durability);
	EXPECT(CANCEL_REQUESTED, ask("standing", NULL, "first", id));
	begin();
	add("new", 10);
	add("standing", 20);
	add("", 30);
	add("new", 40);
	add("bad\xff", -50);
	add("last", 60);
	end();
	cr_assert_eq(report_count, 6);
	for (int i = 0; i < 6; i++)
		cr_assert_eq(reports[i].tag, i == 4 ? -50 : 10 * (i + 1), "not in the order in which they were added");
	cr_assert_eq(reports[0].result, CANCEL_REQUESTED);
	cr_assert_str_eq(reports[0].task_id, "new");
	cr_assert_eq(reports[1].result, CANCEL_ALREADY_PENDING);
	cr_assert_str_eq(reports[1].task_id, "standing");
	cr_assert_eq(reports[2].result, -EINVAL);
	cr_assert_not_null(strstr(reports[2].text, "empty"));
	cr_assert_eq(reports[3].result, CANCEL_ALREADY_PENDING);
	cr_assert_eq(reports[4].result, -EILSEQ);
	cr_assert_eq(reports[5].result, CANCEL_REQUESTED);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("new", NULL));
	cr_assert_str_eq(found.reason, "in a batch");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("standing", NULL));
	cr_assert_str_eq(found.request_id, id);
	cr_assert_eq(count_in("tmp"), 0);
	cr_assert_eq(count_in("pending"), 3);
}

Test(batch, each_is_reported_once_in_order)
{
	expect_all_kinds(CANCEL_DURABILITY_NONE);
}

Test(batch, each_is_reported_once_in_order_when_they_are_synced_together)
{
	expect_all_kinds(CANCEL_DURABILITY_FILE);
}

static void add_many(void)
{
	char name[32];

	begin();
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "task%d", i);
		add(name, i);
	}
	end();
	cr_assert_eq(report_count, MANY);
	for (int i = 0; i < MANY; i++)
		cr_assert(reports[i].tag == i && reports[i].result == CANCEL_REQUESTED);
	cr_assert_eq(count_in("pending"), MANY);
	cr_assert_eq(count_in("tmp"), 0);
}

Test(batch, without_durability_nothing_is_synced)
{
	reopen(CANCEL_DURABILITY_NONE);
	add_many();
	cr_assert(syncs.fsync == 0 && syncs.fdatasync == 0 && syncs.syncfs == 0);
}

Test(batch, contents_are_synced_a_chunk_at_a_time_before_their_names)
{
	reopen(CANCEL_DURABILITY_FILE);
	add_many();
	cr_assert(syncs.syncfs >= 1 && syncs.syncfs <= 4 && syncs.fdatasync == 0 && syncs.fsync == 0, "%d %d %d",
		  syncs.syncfs, syncs.fdatasync, syncs.fsync);
}

static void look_before_sync(void)
{
	cr_assert_eq(count_in("pending"), 0, "published before it was synced");
}

/* DESIGN.md, invariant 1 */
Test(batch, nothing_is_published_before_it_is_synced)
{
	reopen(CANCEL_DURABILITY_FILE);
	begin();
	add("a", 1);
	add("b", 2);
	sync_hook = look_before_sync;
	end();
	cr_assert_eq(count_in("pending"), 2);
}

Test(batch, what_cannot_be_synced_is_not_published)
{
	reopen(CANCEL_DURABILITY_FILE);
	begin();
	add("a", 1);
	add("b", 2);
	sync_errno = EIO;
	end();
	sync_errno = 0;
	cr_assert(report_count == 2 && reports[0].result == -EIO && reports[1].result == -EIO);
	cr_assert_eq(count_in("pending") + count_in("tmp"), 0);
}

Test(batch, a_request_whose_spool_is_replaced_meanwhile_is_not_lost)
{
	for (int durability = CANCEL_DURABILITY_NONE; durability <= CANCEL_DURABILITY_FILE; durability++) {
		reopen((enum cancel_durability)durability);
		begin();
		add("before", 1);
		cr_assert_eq(rename(place_path, beside(durability ? "away1" : "away0")), 0);
		add("after", 2);
		end();
		cr_assert(there("pending/after.json"), "durability %d", durability);
		if (durability)
			cr_assert(there("pending/before.json"), "it was reported after the replacement");
	}
}

Test(batch, terms_are_checked_like_those_of_one)
{
	struct cancel_request request;

	cancel_request_init(&request);
	request.task_id = "a";
	request.expires_in_s = 7200;
	request.cancel_at_us = clock_realtime_us() + 3600 * US_PER_S;
	begin();
	cancel_batch_add(batch, &request, 1);
	request.expires_in_s = -5;
	cancel_batch_add(batch, &request, 2);
	end();
	cr_assert_eq(report_count, 2);
	cr_assert_eq(reports[0].result, CANCEL_REQUESTED, "%d", reports[0].result);
	cr_assert_eq(reports[1].result, -EINVAL, "%d: %s", reports[1].result, reports[1].text);
	EXPECT(CANCEL_LOOKUP_SCHEDULED, lookup("a", NULL));
	cr_assert_eq(found.expires_in_s, 7200);
}

Test(batch, an_empty_one_and_none_are_fine)
{
	begin();
	end();
	cr_assert_eq(report_count, 0);
	EXPECT(0, cancel_batch_close(NULL, &error));
}

Test(batch, without_durability_full_closing_needs_no_directory)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	EXPECT(0, spool_case_reopen(&options));
	begin();
	add("a", 1);
	cr_assert_eq(rename(place_path, beside("away")), 0);
	end();
	cr_assert_eq(reports[0].result, CANCEL_REQUESTED);
}
