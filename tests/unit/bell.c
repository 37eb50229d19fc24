/* The bell: what it holds, and that nothing done to it harms who rings and who sleeps. */
#include "clock.h"
#include "process.h"
#include "tasking.h"
#include "token_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	SIZE = 69632,
	COUNTS_AT = 64,
	WORDS_AT = 4096,
	WORDS = 16384,
	SHORT = 100,
	ASKED = 40,
	MANY = 170, /* more than one futex_waitv(2) takes */
	LOOKS_FIRST = 100,
	BRIEFLY_S = 15, /* well below CANCEL_ROUND_MAX_MS */
	FALLS_ASLEEP_S = BRIEFLY_S / 3,
	UNDER_FIRE_NS = 400 * 1000 * 1000,
	DESCRIPTORS = 1024,
};

TestSuite(bell, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 90);

/* --- what it holds -------------------------------------------------------------------------------------- */

static uint32_t word_at(long offset)
{
	uint32_t word = 0;
	int fd = open(at("bell"), O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "there is no bell");
	cr_assert_eq(pread(fd, &word, sizeof(word), offset), (ssize_t)sizeof(word));
	(void)close(fd);
	return word;
}

/* As cancel-spool(5) says, written down once more. */
static long place_of(const char *task_id)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (const char *byte = task_id; *byte; byte++)
		hash = (hash ^ (unsigned char)*byte) * UINT64_C(1099511628211);
	return WORDS_AT + (long)(hash % WORDS) * 4;
}

Test(bell, it_is_made_with_the_spool)
{
	cr_assert_eq(stat_of("bell").st_size, SIZE);
	cr_assert_eq(stat_of("bell").st_mode, S_IFREG | 0600);
}

Test(bell, it_is_made_anew_by_the_first_who_rings)
{
	cr_assert_eq(unlink(at("bell")), 0);
	tasking_ask("a");
	cr_assert_eq(stat_of("bell").st_size, SIZE);
	cr_assert_eq(stat_of("bell").st_mode, S_IFREG | 0600);
	cr_assert_eq(stat_of("bell").st_nlink, 1);
}

TASKING_MODES_TEST(bell, it_is_made_anew_by_the_first_who_listens)
{
	cr_assert_eq(unlink(at("bell")), 0);
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(stat_of("bell").st_size, SIZE);
}

Test(bell, it_says_what_it_is)
{
	char *text;

	tasking_ask("a");
	text = get("bell");
	cr_assert_eq(memcmp(text, "CANCBEL1", 8), 0);
	free(text);
}

static void share_with_a_group(void)
{
	struct cancel_spool_options shared;

	need_root();
	cr_assert_eq(chmod(place_root, 0711), 0);
	cancel_spool_options_init(&shared);
	shared.path = beside("shared");
	shared.create = true;
	shared.mode = 02770;
	shared.group = SHARED_GROUP;
	EXPECT(0, spool_case_reopen(&shared));
}

static int ask_as_member(void *arg)
{
	struct cancel_spool_options shared;

	(void)arg;
	cancel_spool_options_init(&shared);
	shared.path = beside("shared");
	return spool_case_reopen(&shared) == 0 && ask("a", NULL, NULL, NULL) == CANCEL_REQUESTED ? 0 : 1;
}

/* Made by root, for members who may not make it. */
Test(bell, a_shared_spools_is_there_for_the_group)
{
	char *text;

	share_with_a_group();
	cr_assert_eq(stat_of("../shared/bell").st_mode & 0777, 0660);
	cr_assert_eq(stat_of("../shared/bell").st_gid, SHARED_GROUP);
	cr_assert_eq(in_child_as(SOMEBODY, ask_as_member, NULL), 0);
	text = get("../shared/bell");
	cr_assert_gt(text[place_of("a")], 0, "a member has not rung it");
	free(text);
}

static void expect_rung(const char *task_id, void (*act)(void))
{
	uint32_t before = word_at(place_of(task_id)), other = word_at(place_of("other"));

	act();
	cr_assert_eq(word_at(place_of(task_id)), before + 1);
	cr_assert_eq(word_at(place_of("other")), other);
}

static void ask_a(void)
{
	tasking_ask("a");
}

static void merge_a(void)
{
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", 10 * 86400, 0));
}

static void decide_a(void)
{
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
}

static void ask_run_of_a(void)
{
	EXPECT(CANCEL_REQUESTED, ask("a", "r", NULL, NULL));
}

static void drop_a(void)
{
	put("a.json", "{}");
	cr_assert_eq(cancel_spool_intake(spool, NULL, NULL, &error), 0);
}

static void withdraw_by_reset(void)
{
	EXPECT(1, cancel_spool_reset(spool, "a", NULL, &error));
}

/* The task's word, for its runs too. */
Test(bell, each_change_rings_the_tasks_word_once)
{
	tasking_ask("first");
	expect_rung("a", ask_a);
	expect_rung("a", merge_a);
	expect_rung("a", decide_a);
	expect_rung("a", ask_run_of_a);
	expect_rung("a", drop_a);
	expect_rung("a", withdraw_by_reset);
}

Test(bell, what_changes_nothing_rings_nobody)
{
	uint32_t before;

	tasking_ask("a");
	before = word_at(place_of("a"));
	EXPECT(CANCEL_ALREADY_PENDING, ask("a", NULL, NULL, NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(1, check("a", NULL, NULL));
	EXPECT(-ENOENT, decide("a", "r", NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(word_at(place_of("a")), before);
}

static void ignore_report(void *arg, int64_t tag, int result, const struct cancel_request *request,
			  const struct cancel_error *refusal)
{
	(void)arg;
	(void)tag;
	(void)request;
	(void)refusal;
	cr_assert_eq(result, CANCEL_REQUESTED);
}

Test(bell, a_batch_rings_and_counts_for_each)
{
	static const char *const ids[] = {"x", "y", "z"};
	struct cancel_statistics statistics;
	struct cancel_batch *batch = NULL;
	uint32_t before[3];

	tasking_ask("first");
	EXPECT(0, cancel_batch_open(&batch, spool, ignore_report, NULL, &error));
	for (int i = 0; i < 3; i++) {
		struct cancel_request request;

		before[i] = word_at(place_of(ids[i]));
		cancel_request_init(&request);
		request.task_id = ids[i];
		cancel_batch_add(batch, &request, i);
	}
	EXPECT(0, cancel_batch_close(batch, &error));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(word_at(place_of(ids[i])), before[i] + 1);
	EXPECT(0, cancel_spool_statistics(spool, &statistics, &error));
	cr_assert_eq(statistics.counts[CANCEL_COUNT_REQUESTED], 4);
}

/* Two tasks that share a word wake each other, and are told apart by looking. */
TASKING_TEST(bell, tasks_that_share_a_word_are_told_apart)
{
	char other[32] = "";

	for (int i = 0; !other[0]; i++) {
		char candidate[32];

		(void)snprintf(candidate, sizeof(candidate), "task_%d", i);
		if (place_of(candidate) == place_of("a"))
			(void)strcpy(other, candidate);
	}
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask(other);
	EXPECT_UNTOUCHED(way, task);
	tasking_ask("a");
	EXPECT_NOTICED(way, task);
}

/* --- what the spool says of it -------------------------------------------------------------------------- */

static struct cancel_spool_info info;

static void look(void)
{
	memset(&info, 0, sizeof(info));
	EXPECT(0, cancel_spool_info(spool, &info, &error));
}

Test(bell, the_spool_says_whether_it_can_be_had)
{
	struct cancel_spool_options anew;

	tasking_ask("a");
	look();
	cr_assert_null(info.bell);
	cr_assert_eq(unlink(at("bell")), 0);
	cr_assert_eq(mkdir(at("bell"), 0700), 0);
	cancel_spool_options_init(&anew);
	EXPECT(0, spool_case_reopen(&anew));
	look();
	cr_assert_not_null(info.bell);
	cr_assert_gt(strlen(info.bell), 0);
}

Test(bell, the_spool_says_whether_somebody_rings_for_others)
{
	struct cancel_watch_options watch_options;
	struct cancel_watch *watch = NULL;

	tasking_ask("a");
	look();
	cr_assert(!info.is_watched);
	cancel_watch_options_init(&watch_options);
	EXPECT(0, cancel_watch_open(&watch, spool, &watch_options, &error));
	look();
	cr_assert(!info.is_watched, "one that does not ring is none");
	cancel_watch_close(watch);
	watch_options.rings = true;
	EXPECT(0, cancel_watch_open(&watch, spool, &watch_options, &error));
	look();
	cr_assert(info.is_watched);
	cancel_watch_close(watch);
	look();
	cr_assert(!info.is_watched);
}

static void ignore_event(void *arg, const struct cancel_event *event)
{
	(void)arg;
	(void)event;
}

Test(bell, who_watches_rings_for_programs_that_know_no_bell)
{
	struct cancel_watch_options watch_options;
	struct cancel_watch *watch = NULL;
	uint32_t before;

	cancel_watch_options_init(&watch_options);
	watch_options.rings = true;
	EXPECT(0, cancel_watch_open(&watch, spool, &watch_options, &error));
	cr_assert_geq(cancel_watch_dispatch(watch, ignore_event, NULL, &error), 0);
	before = word_at(place_of("a"));
	put("draft", "{\"task_id\": \"a\"}");
	cr_assert_eq(rename(at("draft"), at("pending/a.json")), 0);
	cr_assert_geq(cancel_watch_dispatch(watch, ignore_event, NULL, &error), 1);
	cr_assert_gt(word_at(place_of("a")), before);
	cancel_watch_close(watch);
}

/* --- where it is all that wakes ------------------------------------------------------------------------- */

/* Somebody says that he rings for all, so nobody looks by himself for a while; he never does. */
static struct cancel_watch *liar;

static void open_beside_a_liar(const struct tasking_way *way)
{
	struct cancel_watch_options watch_options;

	cancel_watch_options_init(&watch_options);
	watch_options.rings = true;
	EXPECT(0, cancel_watch_open(&liar, spool, &watch_options, &error));
	tasking_open(way);
}

static void open_with_nothing_but_the_bell(const struct tasking_way *way)
{
	manager_options.poll_interval_ms = 3600000;
	open_beside_a_liar(way);
}

static bool needs_the_bell(const struct tasking_way *way)
{
	return way->waits && way->notice == CANCEL_NOTICE_BELL;
}

/* Who wakes because his time is over looks once more, and would find it: that does not count. */
static int unless_late(int result, int64_t before_ns)
{
	return cancel_clock_now_ns() - before_ns < BRIEFLY_S * CANCEL_SECOND ? result : -ETIMEDOUT;
}

static int wait_briefly(void *arg)
{
	int64_t before_ns = cancel_clock_now_ns();

	return unless_late(cancel_task_wait(arg, BRIEFLY_S * CANCEL_SECOND), before_ns);
}

/* Past the looks that come first: what happens meanwhile is none of its business. */
static bool falls_asleep_for_good(struct token_thread *waiter)
{
	for (int i = 0; i < LOOKS_FIRST && token_thread_falls_asleep(waiter); i++)
		tasking_decide("noise", NULL, CANCEL_OUTCOME_STOPPED);
	return token_thread_falls_asleep(waiter);
}

/* One that took long to fall asleep has too little time left: then there is another. */
static void sleep_in(struct token_thread *waiter, token_job *job)
{
	int64_t before_ns = cancel_clock_now_ns();
	bool sleeps;

	token_thread_start(waiter, job, task);
	sleeps = falls_asleep_for_good(waiter);
	if (cancel_clock_now_ns() - before_ns > FALLS_ASLEEP_S * CANCEL_SECOND) {
		(void)token_thread_join(waiter);
		sleep_in(waiter, job);
		return;
	}
	cr_assert(sleeps);
}

static void expect_woken_by(const struct tasking_way *way, void (*act)(void))
{
	struct token_thread waiter;

	sleep_in(&waiter, wait_briefly);
	act();
	cr_assert_eq(token_thread_join(&waiter), 1, "not woken %s", tasking_way_text(way));
}

static void ask_tenant(void)
{
	tasking_ask("tenant");
}

static void decide_unseen(void)
{
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
}

static int ask_a_elsewhere(void *arg)
{
	(void)arg;
	return ask("a", NULL, NULL, NULL) == CANCEL_REQUESTED ? 0 : 1;
}

static void have_another_process_ask(void)
{
	cr_assert_eq(in_child_as(0, ask_a_elsewhere, NULL), 0);
}

/* DESIGN.md, invariant 37 */
TASKING_TEST(bell, it_wakes_whoever_sleeps)
{
	static void (*const acts[])(void) = {ask_a, ask_run_of_a, ask_tenant, decide_unseen,
					     have_another_process_ask};

	if (!needs_the_bell(way))
		return;
	open_with_nothing_but_the_bell(way);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		terms.run = "r";
		EXPECT(0, tasking_begin_also("a", "tenant"));
		expect_woken_by(way, acts[i]);
		cr_assert_geq(tasking_end(CANCEL_OUTCOME_STOPPED), 0);
		cr_assert_geq(cancel_spool_reset(spool, "tenant", NULL, &error), 0);
	}
	cancel_watch_close(liar);
}

static struct rlimit descriptors;

static void take_all_descriptors(void)
{
	struct rlimit none;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
	none = descriptors;
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void give_them_back(void)
{
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
}

static int ask_a_where_there_are_some(void *arg)
{
	return setrlimit(RLIMIT_NOFILE, &descriptors) == 0 ? ask_a_elsewhere(arg) : 2;
}

static bool was_told(void *arg)
{
	(void)arg;
	return tasking_report_count() > 0;
}

/* The ring was heard, and nobody rings again. */
/* DESIGN.md, invariant 42 */
TASKING_TEST(bell, a_look_that_failed_when_it_rang_is_made_again_soon)
{
	struct token_thread waiter;

	if (!needs_the_bell(way))
		return;
	open_beside_a_liar(way);
	EXPECT(0, tasking_begin("a"));
	sleep_in(&waiter, wait_briefly);
	take_all_descriptors();
	cr_assert_eq(in_child_as(0, ask_a_where_there_are_some, NULL), 0);
	cr_assert(wait_until(was_told, NULL, PROCESS_TIMEOUT_MS));
	give_them_back();
	cr_assert_eq(tasking_report_at(0).code, -EMFILE);
	cr_assert_eq(token_thread_join(&waiter), 1, "not looked again %s", tasking_way_text(way));
	cancel_watch_close(liar);
}

static int64_t at_us;

static void ask_for_soon(void)
{
	at_us = clock_realtime_us() + 200 * US_PER_MS;
	tasking_ask_at("a", at_us);
}

static void merge_to_soon(void)
{
	at_us = clock_realtime_us() + 200 * US_PER_MS;
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", 0, at_us));
}

/* The time wakes the sleeper, and no look round. */
TASKING_TEST(bell, a_cancel_time_wakes_whoever_sleeps)
{
	if (!needs_the_bell(way))
		return;
	open_with_nothing_but_the_bell(way);
	EXPECT(0, tasking_begin("a"));
	expect_woken_by(way, ask_for_soon);
	cr_assert_geq(clock_realtime_us(), at_us);
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	tasking_ask_at("a", clock_realtime_us() + 3600 * US_PER_S);
	EXPECT(0, tasking_begin("a"));
	expect_woken_by(way, merge_to_soon);
	cr_assert_geq(clock_realtime_us(), at_us);
	cancel_watch_close(liar);
}

/* More words than one sleep takes. */
TASKING_TEST(bell, it_wakes_who_listens_to_very_many)
{
	struct cancel_task *tasks[MANY];
	struct token_thread waiter;
	char id[32];

	if (!needs_the_bell(way))
		return;
	open_with_nothing_but_the_bell(way);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(id, sizeof(id), "many_%d", i);
		EXPECT(0, tasking_begin(id));
		tasks[i] = task;
	}
	for (int i = 0; i < MANY; i += 17) {
		task = tasks[i];
		sleep_in(&waiter, wait_briefly);
		(void)snprintf(id, sizeof(id), "many_%d", i);
		tasking_ask(id);
		cr_assert_eq(token_thread_join(&waiter), 1, "task %d", i);
	}
	cancel_watch_close(liar);
}

static struct cancel_task *all[MANY];

static int wait_for_all(void *arg)
{
	int64_t before_ns = cancel_clock_now_ns();

	(void)arg;
	return unless_late(cancel_task_wait_any(all, MANY, BRIEFLY_S * CANCEL_SECOND), before_ns);
}

TASKING_TEST(bell, it_wakes_who_waits_for_very_many)
{
	struct token_thread waiter;
	char id[32];

	if (!needs_the_bell(way) || way->thread)
		return;
	open_with_nothing_but_the_bell(way);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(id, sizeof(id), "many_%d", i);
		EXPECT(0, tasking_begin(id));
		all[i] = task;
	}
	sleep_in(&waiter, wait_for_all);
	tasking_ask(id);
	cr_assert_eq(token_thread_join(&waiter), MANY - 1);
	cancel_watch_close(liar);
}

/* A task that begins while the thread sleeps is heard. */
TASKING_TEST(bell, it_wakes_for_what_began_meanwhile)
{
	struct token_thread waiter;

	if (!needs_the_bell(way) || !way->thread)
		return;
	open_with_nothing_but_the_bell(way);
	EXPECT(0, tasking_begin("b"));
	sleep_in(&waiter, wait_briefly);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("a");
	cr_assert_eq(cancel_task_wait(task, BRIEFLY_S * CANCEL_SECOND), 1);
	tasking_ask("b");
	cr_assert_eq(token_thread_join(&waiter), 1);
	cancel_watch_close(liar);
}

/* --- what can be done to it ----------------------------------------------------------------------------- */

static void remove_it(void)
{
	(void)(unlink(at("bell")) == 0 || rmdir(at("bell")) == 0);
}

static void delete_it(void)
{
	remove_it();
}

static void truncate_it(void)
{
	(void)!truncate(at("bell"), 0);
}

static void cut_it_short(void)
{
	(void)!truncate(at("bell"), SHORT);
}

static void cut_its_last_byte(void)
{
	(void)!truncate(at("bell"), SIZE - 1);
}

static void lengthen_it(void)
{
	(void)!truncate(at("bell"), 10L * SIZE);
}

static void scribble(void)
{
	static uint32_t noise[SIZE / 4];
	static unsigned seed = 1;
	int fd = open(at("bell"), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat stat;

	for (int i = 0; i < SIZE / 4; i++)
		noise[i] = (uint32_t)rand_r(&seed) * 2654435761U;
	if (fd < 0)
		return;
	if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		(void)!write(fd, noise, sizeof(noise));
	(void)close(fd);
}

static void move_it_away(void)
{
	(void)rename(at("bell"), beside("moved"));
}

static void put_directory(void)
{
	remove_it();
	(void)mkdir(at("bell"), 0700);
}

static void put_link(void)
{
	remove_it();
	(void)!symlink("../precious", at("bell"));
}

static void put_dangling_link(void)
{
	remove_it();
	(void)!symlink("nowhere", at("bell"));
}

static void put_fifo(void)
{
	remove_it();
	(void)mkfifo(at("bell"), 0600);
}

static void put_empty_file(void)
{
	int fd;

	remove_it();
	fd = open(at("bell"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
}

static void put_second_name(void)
{
	remove_it();
	(void)!link(beside("precious"), at("bell"));
}

static void shut_it(void)
{
	(void)chmod(at("bell"), 0);
}

static void give_it_away(void)
{
	(void)!chown(at("bell"), SOMEBODY, (gid_t)-1);
}

static const struct {
	const char *name;
	void (*act)(void);
} deeds[] = {
	{"deleted", delete_it},
	{"moved away", move_it_away},
	{"truncated to nothing", truncate_it},
	{"truncated to 100 bytes", cut_it_short},
	{"truncated by one byte", cut_its_last_byte},
	{"lengthened", lengthen_it},
	{"overwritten", scribble},
	{"replaced by a directory", put_directory},
	{"replaced by a link", put_link},
	{"replaced by a link to nothing", put_dangling_link},
	{"replaced by a FIFO", put_fifo},
	{"replaced by an empty file", put_empty_file},
	{"replaced by a second name of a file", put_second_name},
	{"chmod 0", shut_it},
	{"given away", give_it_away},
};

enum {
	DEEDS = sizeof(deeds) / sizeof(deeds[0]),
};

static char precious[SIZE];

static void make_precious(void)
{
	int fd = open(beside("precious"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	memset(precious, 'p', sizeof(precious));
	cr_assert(fd >= 0 && write(fd, precious, sizeof(precious)) == (ssize_t)sizeof(precious));
	(void)close(fd);
}

static void expect_precious_untouched(void)
{
	static char now[SIZE + 1];
	int fd = open(beside("precious"), O_RDONLY | O_CLOEXEC);

	cr_assert_eq(read(fd, now, sizeof(now)), (ssize_t)sizeof(precious), "its size has changed");
	cr_assert_eq(memcmp(now, precious, sizeof(precious)), 0, "it was written to");
	(void)close(fd);
}

/* Everything that rings and listens, after each deed and between two. */
static void use_it(const struct tasking_way *way, const char *deed)
{
	struct cancel_statistics statistics;

	EXPECT(0, tasking_begin_also("a", "tenant"));
	tasking_ask("a");
	cr_assert(tasking_notices(way, task), "%s: not noticed %s", deed, tasking_way_text(way));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT_UNTOUCHED(way, task);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	(void)cancel_spool_statistics(spool, &statistics, NULL);
	look();
}

/* By a process whose library knows nothing of what was there before. */
static int ask_afresh(void *arg)
{
	struct cancel_spool_options fresh;
	int asked, decided;

	(void)arg;
	cancel_spool_options_init(&fresh);
	if (spool_case_reopen(&fresh) < 0)
		return 1;
	asked = ask("elsewhere", NULL, NULL, NULL);
	decided = decide("elsewhere", NULL, NULL, CANCEL_OUTCOME_STOPPED);
	return asked == CANCEL_REQUESTED && decided == CANCEL_DECIDED ? 0 : 2;
}

/* DESIGN.md, invariant 36 */
TASKING_TEST(bell, whatever_is_done_to_it_requests_are_noticed)
{
	make_precious();
	tasking_open(way);
	tasking_ask("first");
	for (int i = 0; i < DEEDS; i++) {
		deeds[i].act();
		use_it(way, deeds[i].name);
		cr_assert_eq(in_child_as(0, ask_afresh, NULL), 0, "%s", deeds[i].name);
		use_it(way, deeds[i].name);
		expect_precious_untouched();
		remove_it();
	}
}

TASKING_TEST(bell, what_was_done_to_it_before_the_manager_was_opened_hinders_nobody)
{
	make_precious();
	if (way->notice == CANCEL_NOTICE_BELL)
		return;
	for (int i = 0; i < DEEDS; i++) {
		tasking_decide("first", NULL, CANCEL_OUTCOME_STOPPED);
		deeds[i].act();
		tasking_open(way);
		use_it(way, deeds[i].name);
		cr_assert_eq(tasking_close(), 0);
		expect_precious_untouched();
		remove_it();
	}
}

/* With auto: whatever way it comes to. */
TASKING_MODES_TEST(bell, by_itself_a_manager_finds_a_way)
{
	make_precious();
	for (int i = 0; i < DEEDS; i++) {
		tasking_decide("first", NULL, CANCEL_OUTCOME_STOPPED);
		deeds[i].act();
		tasking_open(way);
		use_it(way, deeds[i].name);
		cr_assert_eq(tasking_close(), 0);
		expect_precious_untouched();
		remove_it();
	}
}

/* While a sleeper sleeps on it. */
static int wait_for_it(void *arg)
{
	return cancel_task_wait(arg, CANCEL_FOREVER);
}

TASKING_TEST(bell, whatever_is_done_to_it_who_sleeps_on_it_wakes)
{
	make_precious();
	tasking_open(way);
	for (int i = 0; i < DEEDS; i++) {
		struct token_thread waiter;

		EXPECT(0, tasking_begin("a"));
		token_thread_start(&waiter, wait_for_it, task);
		cr_assert(token_thread_falls_asleep(&waiter));
		deeds[i].act();
		tasking_ask("a");
		cr_assert_eq(token_thread_join(&waiter), 1, "%s", deeds[i].name);
		EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
		expect_precious_untouched();
		remove_it();
	}
}

/* --- made again ----------------------------------------------------------------------------------------- */

static bool is_whole_again(void *arg)
{
	struct stat stat;

	(void)arg;
	tasking_decide("x", NULL, CANCEL_OUTCOME_STOPPED);
	return lstat(at("bell"), &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size >= SIZE;
}

/* By who rings alone. */
Test(bell, one_that_is_gone_or_short_is_made_again)
{
	static void (*const mended[])(void) = {delete_it,    move_it_away,      truncate_it,
					       cut_it_short, cut_its_last_byte, put_empty_file};

	for (size_t i = 0; i < sizeof(mended) / sizeof(mended[0]); i++) {
		cr_assert(wait_until(is_whole_again, NULL, PROCESS_TIMEOUT_MS));
		mended[i]();
		cr_assert(wait_until(is_whole_again, NULL, PROCESS_TIMEOUT_MS), "deed %zu", i);
	}
}

static bool rings_here(void *arg)
{
	(void)arg;
	tasking_decide("a", NULL, CANCEL_OUTCOME_STOPPED);
	return there("bell") && word_at(place_of("a")) > 0;
}

static bool is_noticed_by_bell(void *arg)
{
	const struct tasking_way *way = arg;

	if (way->waits)
		(void)cancel_task_wait(task, CANCEL_MILLISECOND);
	else
		(void)cancel_task_checkpoint(task);
	return cancel_manager_notice(manager, NULL) == CANCEL_NOTICE_BELL;
}

/* The sleeper that lost it comes back to it. */
TASKING_TEST(bell, who_lost_it_finds_the_new_one)
{
	if (way->notice != CANCEL_NOTICE_BELL)
		return;
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	put_directory();
	EXPECT_UNTOUCHED(way, task);
	remove_it();
	cr_assert(wait_until(is_noticed_by_bell, way, PROCESS_TIMEOUT_MS));
	EXPECT_UNTOUCHED(way, task);
	cr_assert_eq(stat_of("bell").st_size, SIZE);
}

static bool is_open(const char *path)
{
	char link[64], target[256];

	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		ssize_t length;

		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		length = readlink(link, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		if (!strcmp(target, path))
			return true;
	}
	return false;
}

static bool is_left(void *arg)
{
	const struct tasking_way *way = arg;

	if (way->waits)
		(void)cancel_task_wait(task, CANCEL_MILLISECOND);
	else
		(void)cancel_task_checkpoint(task);
	tasking_decide("x", NULL, CANCEL_OUTCOME_STOPPED);
	return !is_open(beside("moved"));
}

/* It has all its links and bytes, and is nobody's bell any more. */
TASKING_TEST(bell, one_that_was_moved_away_is_left_for_the_new_one)
{
	if (way->notice != CANCEL_NOTICE_BELL)
		return;
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	tasking_ask("first");
	move_it_away();
	cr_assert(is_open(beside("moved")), "this test sees nothing");
	cr_assert_eq(in_child_as(0, ask_afresh, NULL), 0);
	cr_assert(wait_until(is_left, way, PROCESS_TIMEOUT_MS), "still open %s", tasking_way_text(way));
	EXPECT_UNTOUCHED(way, task);
	cr_assert_gt(word_at(place_of("fence")), 0);
}

/* Two who have it open, one who finds it gone. */
Test(bell, all_who_ring_come_to_the_new_one)
{
	static void (*const gone[])(void) = {delete_it, move_it_away};

	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		tasking_ask("first");
		gone[i]();
		cr_assert_eq(in_child_as(0, ask_afresh, NULL), 0);
		cr_assert(there("bell"));
		cr_assert(wait_until(rings_here, NULL, PROCESS_TIMEOUT_MS), "rung where nobody sleeps");
		EXPECT(1, cancel_spool_reset(spool, "first", NULL, &error));
		EXPECT(1, cancel_spool_reset(spool, "elsewhere", NULL, &error));
	}
}

/* --- under fire ----------------------------------------------------------------------------------------- */

static atomic_bool is_over;

static int do_deeds(void *arg)
{
	unsigned seed = 7;

	(void)arg;
	while (!atomic_load(&is_over))
		deeds[rand_r(&seed) % DEEDS].act();
	return 0;
}

static int check_often(void *arg)
{
	while (!atomic_load(&is_over))
		(void)cancel_task_checkpoint(arg);
	return 0;
}

static int wait_often(void *arg)
{
	while (!atomic_load(&is_over))
		(void)cancel_task_wait(arg, CANCEL_MILLISECOND);
	return 0;
}

static int ask_often(void *arg)
{
	char id[16];
	int count = 0;

	(void)arg;
	while (!atomic_load(&is_over)) {
		(void)snprintf(id, sizeof(id), "noise_%d", count++ % ASKED);
		if (ask(id, NULL, NULL, NULL) < 0 || decide(id, NULL, NULL, CANCEL_OUTCOME_STOPPED) < 0)
			return 1;
	}
	return 0;
}

/* Never a SIGBUS, never a wrong answer. */
TASKING_TEST(bell, under_fire_nothing_is_wrong_and_nothing_is_lost)
{
	static token_job *const jobs[] = {do_deeds, check_often, wait_often, ask_often};
	struct token_thread threads[4];
	struct cancel_task *quiet;
	int64_t end_ns;

	tasking_open(way);
	EXPECT(0, tasking_begin("quiet"));
	quiet = task;
	for (int i = 0; i < 4; i++)
		token_thread_start(&threads[i], jobs[i], quiet);
	end_ns = cancel_clock_now_ns() + UNDER_FIRE_NS;
	for (int i = 0; i < 5 || cancel_clock_now_ns() < end_ns; i++) {
		struct cancel_request request;

		EXPECT(0, tasking_begin("a"));
		cancel_request_init(&request);
		request.task_id = "a";
		cr_assert_eq(cancel_spool_request(cancel_manager_spool(manager), &request, NULL, NULL),
			     CANCEL_REQUESTED);
		cancel_request_clear(&request);
		EXPECT_NOTICED(way, task);
		EXPECT(1, tasking_end(CANCEL_OUTCOME_STOPPED));
	}
	atomic_store(&is_over, true);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(token_thread_join(&threads[i]), 0);
	cr_assert(!cancel_task_checkpoint(quiet));
	cr_assert_eq(cancel_task_check(quiet, NULL), 0);
	remove_it();
}

/* --- where there can be none ---------------------------------------------------------------------------- */

/* A filesystem that cannot be mapped, as this thread and those that it starts see it. */
static void forbid_shared_mappings(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENODEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		cr_skip_test("no seccomp here");
}

TASKING_TEST(bell, on_a_filesystem_that_cannot_map_it_requests_are_noticed)
{
	struct cancel_statistics statistics;

	forbid_shared_mappings();
	if (way->notice == CANCEL_NOTICE_BELL) {
		manager_options.thread = way->thread;
		manager_options.notice = way->notice;
		EXPECT(-ENOTSUP, cancel_manager_open(&manager, &manager_options, &error));
		EXPECT_WORDS("map");
		return;
	}
	tasking_open(way);
	use_it(way, "cannot be mapped");
	EXPECT(-ENOTSUP, cancel_spool_statistics(spool, &statistics, &error));
	cr_assert_not_null(info.bell);
}

TASKING_MODES_TEST(bell, on_a_filesystem_that_cannot_map_it_a_manager_finds_a_way)
{
	const char *why = NULL;

	forbid_shared_mappings();
	tasking_open(way);
	cr_assert_eq(cancel_manager_notice(manager, &why),
		     way->thread ? CANCEL_NOTICE_INOTIFY : CANCEL_NOTICE_POLL);
	cr_assert_not_null(strstr(why, "map"), "%s", why);
	use_it(way, "cannot be mapped");
}

/* Who may not write it does not ring, and loses nothing else. */
static int use_as_somebody(void *arg)
{
	(void)arg;
	return ask("a", NULL, NULL, NULL) == CANCEL_REQUESTED ? 0 : 1;
}

Test(bell, who_may_not_open_it_can_ask_all_the_same)
{
	struct cancel_spool_options shared;

	share_with_a_group();
	tasking_ask("first");
	cr_assert_eq(chmod(at("../shared/bell"), 0600), 0);
	cancel_spool_options_init(&shared);
	shared.path = beside("shared");
	EXPECT(0, spool_case_reopen(&shared));
	cr_assert_eq(in_child_as(SOMEBODY, use_as_somebody, NULL), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}
