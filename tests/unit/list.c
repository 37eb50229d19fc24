#include <cancel/list.h>

#include "shifted_clock.h"
#include "spool_case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char seen[8192]; /* " <file>=<task>|refused" for each entry */
static int seen_count, stop_after, stop_with;

TestSuite(list, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

static int see(void *arg, const struct cancel_list_entry *entry)
{
	size_t used = strlen(seen);

	cr_assert_eq(arg, seen);
	cr_assert((entry->request != NULL) != (entry->refusal != NULL));
	if (entry->refusal)
		cr_assert(entry->refusal->code < 0 && entry->refusal->text[0]);
	(void)snprintf(seen + used, sizeof(seen) - used, " %s=%s", entry->file,
		       entry->request ? entry->request->task_id : "refused");
	return ++seen_count == stop_after ? stop_with : 0;
}

static int list(enum cancel_list_state state)
{
	seen[0] = '\0';
	seen_count = 0;
	return cancel_spool_list(spool, state, see, seen, &error);
}

#define SEEN(text) cr_assert_not_null(strstr(seen, text), "no '%s' in%s", text, seen)

Test(list, each_state_shows_its_own)
{
	EXPECT(0, list(CANCEL_LIST_ALL));
	cr_assert_eq(seen_count, 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_REQUESTED, ask("a/b", "r", NULL, NULL));
	EXPECT(CANCEL_REQUESTED, ask("c", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("c", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(0, list(CANCEL_LIST_PENDING));
	cr_assert_eq(seen_count, 2);
	SEEN(" pending/a.json=a");
	SEEN(" pending/a%2Fb@r.json=a/b");
	EXPECT(0, list(CANCEL_LIST_PROCESSED));
	cr_assert_str_eq(seen, " processed/c.json=c");
	EXPECT(0, list(CANCEL_LIST_ALL));
	cr_assert_eq(seen_count, 3);
	cr_assert_gt(strstr(seen, "processed/"), strstr(seen, "pending/a.json"), "pending first");
}

Test(list, a_task_whose_name_was_cut_is_shown_with_its_whole_id)
{
	char id[1001];

	memset(id, 'x', 1000);
	id[1000] = '\0';
	EXPECT(CANCEL_REQUESTED, ask(id, NULL, NULL, NULL));
	EXPECT(0, list(CANCEL_LIST_PENDING));
	SEEN(id);
}

Test(list, what_is_no_request_is_shown_with_the_reason)
{
	cr_assert_eq(mkfifo(at("pending/fifo.json"), 0600), 0);
	cr_assert_eq(symlink("x", at("pending/link.json")), 0);
	put("pending/wrong.json", "{\"task_id\": \"right\"}");
	EXPECT(0, list(CANCEL_LIST_PENDING));
	cr_assert_eq(seen_count, 3);
	SEEN("fifo.json=refused");
	SEEN("link.json=refused");
	SEEN("wrong.json=refused");
}

Test(list, unfinished_decided_and_strange_files_are_passed_over)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	copy("processed/a.json", "pending/a.json");
	put("pending/young.json", "{");
	put("pending/stranger.txt", "{}");
	put("pending/.hidden.json", "{}");
	EXPECT(0, list(CANCEL_LIST_PENDING));
	cr_assert_eq(seen_count, 0, "%s", seen);
	time_passes(6);
	EXPECT(0, list(CANCEL_LIST_PENDING));
	cr_assert_str_eq(seen, " pending/young.json=young");
}

Test(list, the_visitor_ends_it)
{
	char name[16];

	for (int i = 0; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		EXPECT(CANCEL_REQUESTED, ask(name, NULL, NULL, NULL));
	}
	stop_after = 3;
	stop_with = 42;
	EXPECT(42, list(CANCEL_LIST_ALL));
	cr_assert_eq(seen_count, 3);
	stop_with = -7;
	cr_assert_eq(list(CANCEL_LIST_ALL), -7);
}

static int decide_it(void *arg, const struct cancel_list_entry *entry)
{
	(void)arg;
	seen_count++;
	return decide(entry->request->task_id, NULL, NULL, CANCEL_OUTCOME_STOPPED);
}

Test(list, the_visitor_may_use_the_spool)
{
	char name[16];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		EXPECT(CANCEL_REQUESTED, ask(name, NULL, NULL, NULL));
	}
	EXPECT(0, cancel_spool_list(spool, CANCEL_LIST_PENDING, decide_it, NULL, &error));
	cr_assert_eq(seen_count, 100);
	cr_assert_eq(count_in("pending"), 0);
}

Test(list, a_spool_that_is_gone_is_a_failure)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	EXPECT(0, spool_case_reopen(&options));
	cr_assert_eq(rename(place_path, beside("away")), 0);
	EXPECT(-ENOENT, list(CANCEL_LIST_ALL));
}
