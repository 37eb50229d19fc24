/* Asking: what stands afterwards, whatever stood before. */
#include "clock.h"
#include "shifted_clock.h"
#include "spool_case.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(ask, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

static struct cancel_request standing;

/* Ask, and see what stands already in `standing`. */
static int ask_standing(const char *task_id, const char *reason, int64_t expires_in_s, int64_t cancel_at_us)
{
	struct cancel_request request;
	int code;

	cancel_request_clear(&standing);
	cancel_request_init(&standing);
	cancel_request_init(&request);
	request.task_id = task_id;
	request.reason = reason;
	request.expires_in_s = expires_in_s;
	request.cancel_at_us = cancel_at_us;
	code = cancel_spool_request(spool, &request, &standing, &error);
	cancel_request_clear(&request);
	return code;
}

/* DESIGN.md, invariant 1 */
Test(ask, what_was_asked_stands_whole_under_its_name)
{
	struct cancel_request request;
	int64_t before_us = clock_realtime_us();

	cancel_request_init(&request);
	request.task_id = "task_1";
	request.reason = "deleted by alice";
	request.requester.name = "alice";
	request.requester.program = "shop";
	EXPECT(CANCEL_REQUESTED, cancel_spool_request(spool, &request, NULL, &error));
	cr_assert_eq(strlen(request.request_id), CANCEL_REQUEST_ID_LENGTH);
	cr_assert(request.requested_at_us >= before_us && request.requested_at_us <= clock_realtime_us());
	cr_assert_eq(request.status, CANCEL_STATUS_PENDING);
	cr_assert_eq(request.expires_in_s, 24 * 3600);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("task_1", NULL));
	cr_assert_str_eq(found.request_id, request.request_id);
	cr_assert_str_eq(found.reason, "deleted by alice");
	cr_assert_eq(found.requested_at_us, request.requested_at_us);
	cr_assert_str_eq(found.boot_id, clock_boot_id());
	cr_assert_eq(found.boottime_ns, request.boottime_ns);
	cr_assert_str_eq(found.requester.name, "alice");
	cr_assert_str_eq(found.requester.program, "shop");
	cr_assert_eq(found.requester.uid, geteuid());
	cr_assert_eq(found.requester.gid, getegid());
	cr_assert_eq(found.requester.pid, getpid());
	cr_assert(!found.malformed);
	cr_assert_eq(count_in("pending"), 1);
	cr_assert_eq(count_in("tmp"), 0, "a draft was left");
	cancel_request_clear(&request);
}

/* So long after the asking, which began and ended in these seconds. */
static void expect_expiry(int64_t asked_from_us, int64_t terms_s)
{
	int64_t mtime_s = stat_of("pending/a.json").st_mtim.tv_sec;

	cr_assert_geq(mtime_s, asked_from_us / 1000000 + terms_s);
	cr_assert_leq(mtime_s, clock_realtime_us() / 1000000 + terms_s);
}

Test(ask, the_files_mtime_is_its_expiry)
{
	int64_t begun_us = clock_realtime_us();

	EXPECT(CANCEL_REQUESTED, ask_terms("a", 1000, 0));
	expect_expiry(begun_us, 1000);
	EXPECT(CANCEL_REQUESTED, ask_terms("b", CANCEL_EXPIRES_NEVER, 0));
	cr_assert_eq(stat_of("pending/b.json").st_mtim.tv_sec, INT32_MAX);
	begun_us = clock_realtime_us();
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", 2000, 0));
	expect_expiry(begun_us, 2000);
}

Test(ask, no_reason_is_told_as_none_given)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.reason, "(none given)");
	EXPECT(CANCEL_REQUESTED, ask("b", NULL, "", NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("b", NULL));
	cr_assert_str_eq(found.reason, "(none given)");
}

Test(ask, a_request_outlives_the_spool_it_was_made_with)
{
	struct cancel_request request;

	cancel_request_init(&request);
	request.task_id = "a";
	EXPECT(CANCEL_REQUESTED, cancel_spool_request(spool, &request, NULL, &error));
	cancel_spool_close(spool);
	spool = NULL;
	/* Strings that the library put in live until the request is cleared. */
	cr_assert_gt(strlen(request.requester.host), 0);
	cr_assert_gt(strlen(request.requester.program), 0);
	cancel_request_clear(&request);
}

Test(ask, a_programs_strange_name_does_not_spoil_the_record)
{
	static char long_name[3000];
	char *kept = program_invocation_short_name;

	memset(long_name, 'p', sizeof(long_name) - 1);
	program_invocation_short_name = long_name;
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	program_invocation_short_name = (char[]){"\xff\xfe"};
	EXPECT(CANCEL_REQUESTED, ask("b", NULL, "why", NULL));
	program_invocation_short_name = kept;
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert(!found.malformed);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("b", NULL));
	cr_assert(!found.malformed);
	cr_assert_str_eq(found.reason, "why");
}

Test(ask, fields_out_of_range_write_nothing_and_leave_the_request_alone)
{
	static char long_text[CANCEL_REASON_MAX + 2];
	struct cancel_request request, before;

	memset(long_text, 'x', sizeof(long_text) - 1);
	cancel_request_init(&request);
	request.task_id = "a";
#define REFUSED(code, field, value)                                                                 \
	do {                                                                                        \
		struct cancel_request kept = request;                                               \
                                                                                                    \
		request.field = value;                                                              \
		before = request;                                                                   \
		EXPECT(code, cancel_spool_request(spool, &request, NULL, &error));                  \
		cr_assert_eq(memcmp(&before, &request, sizeof(before)), 0, "%s changed it", #field); \
		request = kept;                                                                     \
	} while (0)
	REFUSED(-EMSGSIZE, reason, long_text);
	REFUSED(-EILSEQ, reason, "\xff");
	REFUSED(-EMSGSIZE, requester.name, long_text);
	REFUSED(-EILSEQ, requester.name, "\xff");
	REFUSED(-EMSGSIZE, requester.program, long_text);
	REFUSED(-EILSEQ, requester.host, "\xff");
	REFUSED(-EINVAL, expires_in_s, -2);
	REFUSED(-EINVAL, expires_in_s, CANCEL_EXPIRES_MAX_S + 1);
	REFUSED(-EINVAL, cancel_at_us, -1);
	cr_assert_eq(count_in("pending") + count_in("tmp"), 0);
}

/* --- already pending ---------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 8 */
Test(ask, already_pending_tells_who_asked_when_and_why_and_leaves_the_asker_alone)
{
	struct cancel_request request, before;
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "first", id));
	cancel_request_init(&request);
	request.task_id = "a";
	request.reason = "second";
	before = request;
	EXPECT(CANCEL_ALREADY_PENDING, cancel_spool_request(spool, &request, &found, &error));
	cr_assert_eq(memcmp(&before, &request, sizeof(before)), 0);
	cr_assert_str_eq(found.request_id, id);
	cr_assert_str_eq(found.reason, "first");
	cr_assert_eq(found.requester.pid, getpid());
	EXPECT(CANCEL_ALREADY_PENDING, cancel_spool_request(spool, &request, NULL, &error));
	cr_assert_eq(count_in("pending"), 1);
	cr_assert_eq(count_in("tmp"), 0);
}

/* Bytes between the members are nobody's. */
static bool is_empty(const struct cancel_request *request)
{
	return !request->task_id && !request->reason && !request->request_id[0] && !request->requested_at_us &&
	       request->requester.pid == -1 && !request->json && !request->storage;
}

Test(ask, a_failure_and_a_new_request_leave_standing_alone)
{
	EXPECT(CANCEL_REQUESTED, ask_standing("a", NULL, 0, 0));
	cr_assert(is_empty(&standing));
	EXPECT(-EINVAL, ask_standing("", NULL, 0, 0));
	cr_assert(is_empty(&standing));
}

/* Repair: stronger terms are merged into what stands.
 * Mutation: terms_merge() returns false at once. */
/* DESIGN.md, invariant 9 */
Test(ask, repair_the_sooner_cancel_time_is_merged)
{
	int64_t now_us = clock_realtime_us();

	EXPECT(CANCEL_REQUESTED, ask_standing("a", "first", 0, now_us + 3600 * US_PER_S));
	EXPECT(CANCEL_LOOKUP_SCHEDULED, lookup("a", NULL));
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "second", 0, now_us + 60 * US_PER_S));
	cr_assert_eq(standing.cancel_at_us, now_us + 60 * US_PER_S);
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "third", 0, now_us + 600 * US_PER_S));
	cr_assert_eq(standing.cancel_at_us, now_us + 60 * US_PER_S, "a later time made it weaker");
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "now", 0, 0));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(found.cancel_at_us, 0);
	cr_assert_str_eq(found.reason, "first");
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "later", 0, now_us + 60 * US_PER_S));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cancel_request_clear(&standing);
}

/* Mutation: extend() returns false at once. */
/* DESIGN.md, invariant 9 */
Test(ask, repair_the_later_expiry_is_merged)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	time_stops(NULL);
	EXPECT(CANCEL_REQUESTED, ask_standing("a", "first", 100, 0));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	(void)strcpy(id, found.request_id);
	time_passes(90);
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "second", 100, 0));
	cr_assert_eq(standing.expires_in_s, 190);
	cr_assert_str_eq(standing.request_id, id, "merging changed the id");
	cr_assert_str_eq(standing.reason, "first");
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "third", 5, 0));
	cr_assert_eq(standing.expires_in_s, 190, "a shorter life made it weaker");
	time_passes(99);
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "fourth", CANCEL_EXPIRES_NEVER, 0));
	cr_assert_eq(standing.expires_in_s, CANCEL_EXPIRES_NEVER);
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", "fifth", 5, 0));
	cr_assert_eq(standing.expires_in_s, CANCEL_EXPIRES_NEVER);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.request_id, id);
	cancel_request_clear(&standing);
}

Test(ask, lives_that_add_up_to_more_than_the_longest_never_end)
{
	EXPECT(CANCEL_REQUESTED, ask_standing("a", NULL, CANCEL_EXPIRES_MAX_S, 0));
	time_passes(10);
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", NULL, CANCEL_EXPIRES_MAX_S, 0));
	cr_assert_eq(standing.expires_in_s, CANCEL_EXPIRES_NEVER);
	cancel_request_clear(&standing);
}

Test(ask, unknown_fields_are_kept_through_merge_and_decision_also_in_the_requester)
{
	char *text;

	put("pending/a.json", "{\"task_id\": \"a\", \"trace\": {\"id\": [1, \"\\u00f6\"]}, \"expires_in_s\": 5,"
			      " \"requester\": {\"name\": \"n\", \"team\": \"ops\"}}");
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", NULL, 1000, 0));
	text = get("pending/a.json");
	cr_assert_not_null(strstr(text, "\"trace\": {\"id\":[1,\"ö\"]}"), "%s", text);
	cr_assert_not_null(strstr(text, "\"team\": \"ops\""), "%s", text);
	free(text);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	text = get("processed/a.json");
	cr_assert_not_null(strstr(text, "\"trace\": {\"id\":[1,\"ö\"]}"), "%s", text);
	cr_assert_not_null(strstr(text, "\"team\": \"ops\""), "%s", text);
	free(text);
	cancel_request_clear(&standing);
}

/* --- only if absent, each way -------------------------------------------------------------------------- */

static int ask_in_race(void *arg)
{
	(void)arg;
	return ask("raced", NULL, "race", NULL) + 10;
}

/* Every way to publish creates only; mutation: rename_into() drops the flags, or rename_if_absent() does not look. */
static void expect_one_winner(int way)
{
	enum { RACERS = 8, ROUNDS = 10 };
	int results[RACERS];

	for (int round = 0; round < ROUNDS; round++) {
		int won = 0, lost = 0;

		atomic_store(&spool->way, way);
		in_children(RACERS, ask_in_race, NULL, results);
		for (int i = 0; i < RACERS; i++) {
			won += results[i] == 10 + CANCEL_REQUESTED;
			lost += results[i] == 10 + CANCEL_ALREADY_PENDING;
		}
		cr_assert(won == 1 && lost == RACERS - 1, "way %d, round %d: %d won, %d lost", way, round, won, lost);
		cr_assert_eq(count_in("pending"), 1);
		cr_assert_eq(count_in("tmp"), 0);
		EXPECT(CANCEL_DECIDED, decide("raced", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	}
}

/* DESIGN.md, invariant 2 */
Test(ask, one_of_many_publishes_by_tmpfile)
{
	expect_one_winner(PUBLISH_TMPFILE);
}

Test(ask, one_of_many_publishes_by_tmpfile_through_proc)
{
	expect_one_winner(PUBLISH_TMPFILE_PROC);
}

Test(ask, one_of_many_publishes_by_noreplace)
{
	expect_one_winner(PUBLISH_NOREPLACE);
}

/* DESIGN.md, invariant 2 */
Test(ask, one_of_many_publishes_under_the_lock)
{
	expect_one_winner(PUBLISH_LOCKED);
}

Test(ask, each_way_publishes_the_same_file_and_keeps_to_itself)
{
	char task[2] = "0", file[32];

	for (int way = PUBLISH_TMPFILE; way <= PUBLISH_LOCKED; way++) {
		task[0] = (char)('0' + way);
		atomic_store(&spool->way, way);
		EXPECT(CANCEL_REQUESTED, ask(task, NULL, NULL, NULL));
		cr_assert_eq(atomic_load(&spool->way), way, "the way changed");
		EXPECT(CANCEL_LOOKUP_PENDING, lookup(task, NULL));
		(void)snprintf(file, sizeof(file), "pending/%s.json", task);
		cr_assert_eq(stat_of(file).st_mode & 07777, 0600);
		cr_assert_eq(stat_of(file).st_nlink, 1);
		EXPECT(CANCEL_ALREADY_PENDING, ask(task, NULL, NULL, NULL));
		cr_assert_eq(count_in("tmp"), 0);
	}
}

static void *ask_in_thread(void *arg)
{
	*(int *)arg = ask("threads", NULL, "race", NULL);
	return NULL;
}

Test(ask, one_of_many_threads_publishes)
{
	enum { THREADS = 16 };
	pthread_t threads[THREADS];
	int results[THREADS], won = 0;

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, ask_in_thread, &results[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
		cr_assert(results[i] == CANCEL_REQUESTED || results[i] == CANCEL_ALREADY_PENDING);
		won += results[i] == CANCEL_REQUESTED;
	}
	cr_assert_eq(won, 1);
}

/* --- what stands in the way ----------------------------------------------------------------------------- */

/* Repair: a request takes litter for nothing, under the lock.
 * Mutation: entry_read() does not set standing->litter. */
/* DESIGN.md, invariant 6 */
Test(ask, repair_litter_is_removed_and_the_request_published_anew)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1], again[CANCEL_REQUEST_ID_LENGTH + 1];

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "first", id));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	copy("processed/a.json", "pending/a.json");
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "second", again));
	cr_assert_str_neq(id, again);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.request_id, again);
	cr_assert_str_eq(found.reason, "second");
}

/* Mutation: resolve_standing() does not ask cancel_request_expired(). */
/* DESIGN.md, invariant 8 */
Test(ask, what_stands_past_its_expiry_is_decided_expired_and_a_new_one_published)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	EXPECT(CANCEL_REQUESTED, ask_terms("a", 10, 0));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	(void)strcpy(id, found.request_id);
	time_passes(11);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL)); /* pending until it is decided */
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "second", NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_neq(found.request_id, id);
	cancel_request_clear(&found);
	EXPECT(CANCEL_ALREADY_DECIDED,
	       cancel_spool_decide(spool, "a", NULL, id, CANCEL_OUTCOME_STOPPED, NULL, &found, &error));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_EXPIRED);
}

static void expect_moved_aside(const char *what)
{
	int refused = count_in("refused");

	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	cr_assert_eq(count_in("refused"), refused + 1, "%s was not moved", what);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.reason, "why");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
}

Test(ask, a_symbolic_link_in_the_way_is_moved_to_refused_and_not_followed)
{
	put("../victim", "{\"task_id\": \"a\"}");
	cr_assert_eq(symlink(at("../victim"), at("pending/a.json")), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("symbolic link");
	expect_moved_aside("link");
	cr_assert(there("../victim"));
	cr_assert_eq(stat_of("../victim").st_size, 16);
}

Test(ask, a_dangling_link_in_the_way_creates_nothing_at_its_end)
{
	cr_assert_eq(symlink(at("../victim"), at("pending/a.json")), 0);
	expect_moved_aside("link");
	cr_assert(!there("../victim"));
}

Test(ask, a_fifo_a_socket_and_a_directory_in_the_way_are_moved_to_refused)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("FIFO");
	expect_moved_aside("FIFO");
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", at("pending/a.json"));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	expect_moved_aside("socket");
	(void)close(fd);
	cr_assert_eq(mkdir(at("pending/a.json"), 0700), 0);
	put("pending/a.json/inside", "kept");
	EXPECT(-EBADMSG, lookup("a", NULL));
	expect_moved_aside("directory");
}

Test(ask, a_device_in_the_way_is_moved_to_refused)
{
	need_root();
	cr_assert_eq(mknod(at("pending/a.json"), S_IFCHR | 0600, makedev(1, 3)), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("character device");
	expect_moved_aside("device");
}

Test(ask, an_oversized_file_in_the_way_is_moved_to_refused_unread)
{
	put("pending/a.json", "{\"task_id\": \"a\"}");
	cr_assert_eq(truncate(at("pending/a.json"), 1LL << 30), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("1073741824 bytes");
	expect_moved_aside("sparse file");
}

/* DESIGN.md, invariant 14 */
Test(ask, another_tasks_record_in_the_way_cancels_nobody_and_is_moved_to_refused)
{
	put("pending/a.json", "{\"task_id\": \"b\"}");
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("about task 'b'");
	EXPECT(-EBADMSG, check("a", NULL, NULL));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("b", NULL));
	expect_moved_aside("wrong record");
	put("pending/a.json", "{\"task_id\": \"a\", \"run\": \"r\"}");
	EXPECT(-EBADMSG, lookup("a", NULL));
	expect_moved_aside("a run's record");
}

Test(ask, an_untrusted_owners_file_in_the_way_is_moved_to_refused)
{
	struct cancel_spool_options options;

	need_root();
	cancel_spool_options_init(&options);
	options.trusted_users[0] = SOMEBODY;
	options.trusted_count = 1;
	EXPECT(0, spool_case_reopen(&options));
	put("pending/a.json", "{\"task_id\": \"a\"}");
	cr_assert_eq(chown(at("pending/a.json"), SOMEBODY_ELSE, (gid_t)-1), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("uid 1234");
	expect_moved_aside("untrusted file");
	put("pending/a.json", "{\"task_id\": \"a\"}");
	cr_assert_eq(chown(at("pending/a.json"), SOMEBODY, (gid_t)-1), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

Test(ask, a_second_link_counts_only_where_its_owner_is_not_trusted)
{
	need_root();
	put("pending/a.json", "{\"task_id\": \"a\"}");
	cr_assert_eq(link(at("pending/a.json"), at("tmp/other")), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(chown(at("pending/a.json"), SOMEBODY, (gid_t)-1), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("2 links");
	cr_assert_eq(unlink(at("tmp/other")), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

/* What a record says its readers may read; whoever is in the group can make a second link of a file that he cannot. */
Test(ask, a_second_link_counts_only_where_it_tells_nobody_anything_new)
{
	struct cancel_spool_options options;

	need_root();
	cancel_spool_options_init(&options);
	cr_assert_eq(chown(place_path, (uid_t)-1, SHARED_GROUP), 0);
	cr_assert_eq(chmod(place_path, 02770), 0);
	EXPECT(0, spool_case_reopen(&options));
	put("pending/a.json", "{\"task_id\": \"a\", \"key\": \"secret\"}");
	cr_assert_eq(link(at("pending/a.json"), at("tmp/other")), 0);
	cr_assert_eq(chmod(at("tmp/other"), 0600), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	EXPECT_WORDS("not all who may read the spool may read it");
	cr_assert_eq(chmod(at("tmp/other"), 0640), 0);
	cr_assert_eq(chown(at("tmp/other"), 0, SOMEBODY_ELSE), 0);
	EXPECT(-EBADMSG, lookup("a", NULL));
	cr_assert_eq(chown(at("tmp/other"), 0, SHARED_GROUP), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(chmod(at("tmp/other"), 0604), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

/* DESIGN.md, invariant 20 */
Test(ask, refused_holds_a_hundred_files_and_then_says_so)
{
	char name[32];

	for (int i = 0; i < CANCEL_REFUSED_FILES_MAX - 1; i++) {
		(void)snprintf(name, sizeof(name), "refused/%d", i);
		put(name, "");
	}
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	expect_moved_aside("FIFO"); /* the hundredth */
	cr_assert_eq(mkfifo(at("pending/a.json"), 0600), 0);
	EXPECT(-ENOSPC, ask("a", NULL, NULL, NULL));
	EXPECT_WORDS("100 files");
	cr_assert(there("pending/a.json"), "it was deleted");
	EXPECT(CANCEL_REQUESTED, ask("beside", NULL, NULL, NULL));
}

/* --- foreign pending files ------------------------------------------------------------------------------ */

Test(ask, an_empty_file_is_being_written_while_young_and_cancels_once_settled)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	put("pending/a.json", "");
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
	EXPECT(0, check("a", NULL, NULL));
	time_passes(6);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert(found.malformed);
	cr_assert_str_eq(found.task_id, "a");
	cr_assert_str_eq(found.reason, "(none given)");
	cr_assert_eq(strlen(found.request_id), CANCEL_REQUEST_ID_LENGTH);
	(void)strcpy(id, found.request_id);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.request_id, id, "the derived id is not the same for everybody who looks");
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", NULL, 48 * 3600, 0));
	cr_assert_str_eq(standing.request_id, id, "merging changed the derived id");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, id, CANCEL_OUTCOME_STOPPED));
	cancel_request_clear(&standing);
}

Test(ask, pythons_file_stands_at_once_and_its_derived_id_is_stable)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	struct stat file;

	put("pending/a.json", "{\"task_id\": \"a\", \"reason\": \"Gr\\u00fc\\u00dfe \\ud83d\\uded1\", \"timestamp\": 1.5}");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.reason, "Grüße \xf0\x9f\x9b\x91");
	cr_assert_eq(found.expires_in_s, 24 * 3600);
	file = stat_of("pending/a.json");
	cr_assert_eq(found.requested_at_us, timespec_us(&file.st_ctim));
	(void)strcpy(id, found.request_id);
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", NULL, 0, 0));
	cr_assert_str_eq(standing.request_id, id);
	put("pending/b.json", "{\"task_id\": \"b\"}");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("b", NULL));
	cr_assert_str_neq(found.request_id, id);
	cancel_request_clear(&standing);
}

Test(ask, a_record_that_says_its_boot_but_not_when_in_it_ages_by_the_wall_clock)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "{\"task_id\": \"a\", \"boot_id\": \"%s\", \"expires_in_s\": 5}",
		       clock_boot_id());
	put("pending/a.json", text);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert(!cancel_request_expired(&found), "it expired as it was made");
}

Test(ask, a_foreign_file_that_says_it_was_processed_is_pending_because_of_where_it_stands)
{
	put("pending/a.json", "{\"task_id\": \"a\", \"status\": \"processed\", \"outcome\": \"stopped\"}");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(found.status, CANCEL_STATUS_PENDING);
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_NONE);
}

Test(ask, a_file_still_being_written_is_taken_over_and_the_request_stands)
{
	put("pending/a.json", "{\"task_id\": \"a\", ");
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "ours", NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_str_eq(found.reason, "ours");
	cr_assert_eq(count_in("tmp"), 0);
}

Test(ask, text_that_is_no_json_cancels_whom_the_name_says_once_settled)
{
	put("pending/a@r.json", "cancel it please");
	time_passes(6);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", "r"));
	cr_assert(found.malformed);
	cr_assert_str_eq(found.task_id, "a");
	cr_assert_str_eq(found.run, "r");
}

/* The requester is who owns the file; its text counts only from who may speak for others. */
/* DESIGN.md, invariant 21 */
Test(ask, the_owner_of_the_file_is_the_requester_unless_he_may_speak_for_others)
{
	need_root();
	put("pending/a.json", "{\"task_id\": \"a\", \"requester\": {\"name\": \"n\", \"uid\": 77, \"gid\": 78}}");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(found.requester.uid, 77);
	cr_assert_eq(found.requester.gid, 78);
	cr_assert_eq(chown(at("pending/a.json"), SOMEBODY, (gid_t)-1), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(found.requester.uid, SOMEBODY);
	cr_assert_eq(found.requester.gid, -1);
	cr_assert_str_eq(found.requester.name, "n");
}

/* --- records at their limit ------------------------------------------------------------------------------ */

/* Text that grows when it is written again must not make a request that nobody can decide. */
static void expect_decidable(const char *what)
{
	time_passes(1);
	EXPECT(CANCEL_ALREADY_PENDING, ask_standing("a", NULL, CANCEL_EXPIRES_NEVER, 0));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_STOPPED, "%s", what);
	cr_assert(!there("pending/a.json"));
	cancel_request_clear(&standing);
}

Test(ask, a_foreign_record_at_the_limit_can_still_be_decided)
{
	char *text = malloc(CANCEL_RECORD_MAX + 1), *end = text;

	end += sprintf(end, "{\"task_id\": \"a\", \"x\": [0.1");
	while (end - text < CANCEL_RECORD_MAX - 8)
		end += sprintf(end, ",0.1"); /* written again as 0.10000000000000001 */
	(void)sprintf(end, "]}");
	put("pending/a.json", text);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	expect_decidable("numbers");
	free(text);
}

Test(ask, a_reason_of_tabs_can_still_be_decided)
{
	char *text = malloc(CANCEL_RECORD_MAX + 1), *end = text;

	end += sprintf(end, "{\"task_id\": \"a\", \"reason\": \"");
	for (int i = 0; i < 30000; i++)
		end += sprintf(end, "\\t");
	(void)sprintf(end, "\"}");
	put("pending/a.json", text);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	cr_assert_eq(strlen(found.reason), 30000);
	expect_decidable("tabs");
	free(text);
}

Test(ask, a_request_that_just_fits_can_still_be_decided_with_the_longest_detail)
{
	struct cancel_spool_options options;
	char *reason = malloc(CANCEL_REASON_MAX + 1);
	static char detail[CANCEL_DETAIL_MAX + 1];
	size_t fits = 0, too_long = CANCEL_REASON_MAX;

	cancel_spool_options_init(&options);
	options.max_reason_bytes = CANCEL_REASON_MAX;
	EXPECT(0, spool_case_reopen(&options));
	while (too_long - fits > 1) {
		size_t length = fits + (too_long - fits) / 2;
		int code;

		memset(reason, '\x01', length);
		reason[length] = '\0';
		code = ask("a", NULL, reason, NULL);
		cr_assert(code == CANCEL_REQUESTED || code == -EMSGSIZE, "%d", code);
		*(code == CANCEL_REQUESTED ? &fits : &too_long) = length;
		cr_assert_geq(cancel_spool_reset(spool, "a", NULL, &error), 0);
	}
	memset(reason, '\x01', fits);
	reason[fits] = '\0';
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, reason, NULL));
	memset(detail, '\x02', CANCEL_DETAIL_MAX);
	EXPECT(CANCEL_DECIDED, cancel_spool_decide(spool, "a", NULL, NULL, CANCEL_OUTCOME_STOPPED, detail, NULL, &error));
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("a", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_STOPPED);
	free(reason);
}

/* --- when it fails ---------------------------------------------------------------------------------------- */

Test(ask, a_full_filesystem_publishes_nothing_and_says_so)
{
	struct cancel_spool_options options;
	char command[128];

	need_mounts();
	(void)snprintf(command, sizeof(command), "mount -t tmpfs -o size=64k,mode=700 none %s && mkdir -m 700 %s/spool",
		       place_root, place_root);
	cancel_spool_close(spool);
	spool = NULL;
	cr_assert_eq(system(command), 0);
	cancel_spool_options_init(&options);
	options.create = true;
	EXPECT(0, spool_case_reopen(&options));
	(void)snprintf(command, sizeof(command), "dd if=/dev/zero of=%s/fill bs=4k 2>/dev/null", place_root);
	(void)system(command);
	for (int way = PUBLISH_TMPFILE; way <= PUBLISH_LOCKED; way++) {
		atomic_store(&spool->way, way);
		EXPECT(-ENOSPC, ask("a", NULL, NULL, NULL));
		EXPECT_WORDS("nothing was requested");
		cr_assert_eq(count_in("pending") + count_in("tmp"), 0, "way %d left something", way);
	}
	cr_assert_eq(unlink(at("../fill")), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	cancel_spool_close(spool);
	spool = NULL;
	(void)snprintf(command, sizeof(command), "umount %s", place_root);
	cr_assert_eq(system(command), 0);
}
