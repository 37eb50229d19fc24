/* Sweeping: what goes, what stays, and what is counted. */
#include "clock.h"
#include "draft.h"
#include "lock.h"
#include "shifted_clock.h"
#include "spool_case.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#define DAY_S 86400

static char id[CANCEL_REQUEST_ID_LENGTH + 1];
static char reported[64][CANCEL_TASK_ID_MAX + 1];
static int report_count;

TestSuite(sweep, .init = spool_case_set_up, .fini = spool_case_tear_down, .timeout = 60);

static void note(void *arg, const struct cancel_request *request)
{
	cr_assert_eq(arg, reported);
	(void)snprintf(reported[report_count++], sizeof(reported[0]), "%s %s", request->task_id,
		       cancel_outcome_text(request->outcome));
}

static struct cancel_sweep_result sweep_noting(const struct cancel_sweep_options *options)
{
	struct cancel_sweep_result result;

	report_count = 0;
	memset(&result, 0xa5, sizeof(result));
	EXPECT(0, cancel_spool_sweep(spool, options, note, reported, &result, &error));
	return result;
}

static struct cancel_sweep_options options_of(int64_t keep_for_s, int64_t max_files, bool dry_run)
{
	struct cancel_sweep_options options;

	cancel_sweep_options_init(&options);
	options.keep_for_s = keep_for_s;
	options.max_files_per_pass = max_files;
	options.dry_run = dry_run;
	return options;
}

static void make_decided(const char *task_id)
{
	EXPECT(CANCEL_REQUESTED, ask(task_id, NULL, NULL, id));
	EXPECT(CANCEL_DECIDED, decide(task_id, NULL, id, CANCEL_OUTCOME_STOPPED));
}

Test(sweep, the_defaults_are_those_of_the_header)
{
	struct cancel_sweep_options options;

	memset(&options, 0xa5, sizeof(options));
	cancel_sweep_options_init(&options);
	cr_assert_eq(options.keep_for_s, DAY_S);
	cr_assert_eq(options.max_files_per_pass, 0);
	cr_assert(!options.dry_run);
}

Test(sweep, options_out_of_range_change_nothing)
{
	struct cancel_sweep_options options = options_of(-1, 0, false);
	struct cancel_sweep_result result;

	EXPECT(-EINVAL, cancel_spool_sweep(spool, &options, NULL, NULL, &result, &error));
	options = options_of(CANCEL_EXPIRES_MAX_S + 1, 0, false);
	EXPECT(-EINVAL, cancel_spool_sweep(spool, &options, NULL, NULL, &result, &error));
	options = options_of(1, -1, false);
	EXPECT(-EINVAL, cancel_spool_sweep(spool, &options, NULL, NULL, &result, &error));
	cr_assert(!there("swept"));
}

Test(sweep, what_is_past_its_terms_expires_and_is_reported)
{
	struct cancel_sweep_result result;

	EXPECT(CANCEL_REQUESTED, ask_terms("short", 10, 0));
	EXPECT(CANCEL_REQUESTED, ask_terms("long", 1000, 0));
	EXPECT(CANCEL_REQUESTED, ask_terms("never", CANCEL_EXPIRES_NEVER, 0));
	result = sweep_noting(NULL);
	cr_assert(result.expired == 0 && result.kept == 3 && report_count == 0);
	time_passes(11);
	result = sweep_noting(NULL);
	cr_assert(result.expired == 1 && report_count == 1);
	cr_assert_str_eq(reported[0], "short expired");
	EXPECT(CANCEL_LOOKUP_PROCESSED, lookup("short", NULL));
	cr_assert_eq(found.outcome, CANCEL_OUTCOME_EXPIRED);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("long", NULL));
	time_passes(40LL * 366 * DAY_S);
	result = sweep_noting(NULL);
	cr_assert_eq(result.expired, 1);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("never", NULL));
}

/* The file's time is a filter; the record decides.
 * Mutation: expire_entry() does not ask cancel_request_expired(). */
Test(sweep, an_old_mtime_alone_expires_nothing)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, NULL, NULL));
	set_mtime_ago("pending/a.json", 10 * DAY_S);
	cr_assert_eq(sweep(NULL).expired, 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}

Test(sweep, processed_records_go_after_their_keeping_time)
{
	struct cancel_sweep_options options = options_of(100, 0, false);
	struct stat info;

	make_decided("a");
	info = stat_of("processed/a.json");
	time_stops(&info.st_mtim);
	cr_assert_eq(sweep(&options).removed, 0);
	time_passes(99);
	cr_assert_eq(sweep(&options).removed, 0);
	cr_assert(there("processed/a.json"));
	time_passes(1);
	cr_assert_eq(sweep(&options).removed, 1);
	cr_assert(!there("processed/a.json"));
}

/* Repair: a sweep removes litter before the processed record that makes it litter.
 * Mutation: remove_processed() does not call clear_litter(): the request comes back to life. */
/* DESIGN.md, invariant 6 */
Test(sweep, repair_litter_goes_before_its_processed_record)
{
	struct cancel_sweep_options options = options_of(100, 0, false);

	/* After a first pass, and by its own file, so that the pass over pending does not open it: its modification time is
	 * its expiry, and nobody stepped the clock. */
	(void)sweep(&options);
	EXPECT(CANCEL_REQUESTED, ask_terms("a", CANCEL_EXPIRES_NEVER, 0));
	cr_assert_eq(link(at("pending/a.json"), at("tmp/kept")), 0);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(rename(at("tmp/kept"), at("pending/a.json")), 0);
	time_passes(101);
	cr_assert_eq(sweep(&options).removed, 1);
	cr_assert(!there("pending/a.json") && !there("processed/a.json"));
	EXPECT(CANCEL_LOOKUP_NONE, lookup("a", NULL));
}

Test(sweep, litter_past_its_time_goes_on_its_own)
{
	struct cancel_sweep_result result;

	make_decided("a");
	copy("processed/a.json", "pending/a.json");
	set_mtime_ago("pending/a.json", 10);
	result = sweep_noting(NULL);
	cr_assert(result.litter == 1 && result.removed == 0 && result.expired == 0 && report_count == 0);
	cr_assert(!there("pending/a.json") && there("processed/a.json"));
}

Test(sweep, the_processed_record_stays_while_its_litter_cannot_go)
{
	struct cancel_sweep_options options = options_of(0, 0, false);

	make_decided("a");
	cr_assert_eq(mkdir(at("pending/a.json"), 0700), 0); /* no litter: a stranger thing, left as it is */
	cr_assert_eq(sweep(&options).removed, 1);
	cr_assert(there("pending/a.json"));
}

/* Repair: id and age are read again under the lock.
 * Mutation: remove_processed() does not call is_old() and is_past_keeping(). */
/* DESIGN.md, invariant 3 */
Test(sweep, repair_the_age_is_read_again_under_the_lock)
{
	struct cancel_sweep_options options = options_of(100, 0, false);
	struct name_lock lock;

	make_decided("a");
	time_passes(101);
	/* Somebody works on the name: nothing is removed, and it is counted. */
	EXPECT(0, lock_take(spool, "a", &lock, &error));
	cr_assert_eq(sweep(&options).busy, 1);
	lock_drop(&lock);
	cr_assert(there("processed/a.json"));
	cr_assert_eq(sweep(&options).removed, 1);
}

/* --- ageing ------------------------------------------------------------------------------------------------ */

/* A processed record as another boot left it. */
static void put_decided(const char *file, const char *boot_id, int64_t boottime_ago_s, int64_t wall_ago_s)
{
	char text[1024], time[CANCEL_TIME_SIZE];

	(void)snprintf(text, sizeof(text),
		       "{\"task_id\": \"a\", \"request_id\": \"0123456789abcdef0123456789abcdef\", \"status\": \"processed\","
		       "\"outcome\": \"stopped\", \"processed_at\": \"%s\", \"processed_boot_id\": \"%s\","
		       "\"processed_boottime_ns\": %lld}",
		       cancel_time_format(time, clock_realtime_us() - wall_ago_s * US_PER_S), boot_id,
		       (long long)clock_boottime_ns() - boottime_ago_s * NS_PER_S);
	put(file, text);
	set_mtime_ago(file, wall_ago_s);
}

/* Before the clock was last known not to be stepped, the mtime proves nothing and the record is read.
 * Mutation: is_past_keeping() returns true at once. */
Test(sweep, a_record_of_this_boot_ages_by_boottime)
{
	struct cancel_sweep_options options = options_of(100, 0, false);

	(void)sweep(&options); /* from here on the clock is known */
	put_decided("processed/a.json", clock_boot_id(), 5, 50000);
	cr_assert_eq(sweep(&options).removed, 0, "the wall clock counted");
	put_decided("processed/a.json", clock_boot_id(), 101, 50000);
	cr_assert_eq(sweep(&options).removed, 1);
}

Test(sweep, a_record_of_another_boot_ages_by_the_wall_clock)
{
	struct cancel_sweep_options options = options_of(100, 0, false);

	(void)sweep(&options);
	put_decided("processed/a.json", "00000000-1111-2222-3333-444444444444", 5, 50);
	cr_assert_eq(sweep(&options).removed, 0);
	put_decided("processed/a.json", "00000000-1111-2222-3333-444444444444", 5, 101);
	cr_assert_eq(sweep(&options).removed, 1);
}

Test(sweep, a_negative_age_is_never_old)
{
	struct cancel_sweep_options options = options_of(0, 0, false);

	put_decided("processed/a.json", clock_boot_id(), -1000, -1000);
	cr_assert_eq(sweep(&options).removed, 0);
}

/* --- clock steps --------------------------------------------------------------------------------------------- */

static void expect_nothing_deleted_after(int64_t step_ms)
{
	struct cancel_sweep_options options = options_of(100, 0, false);
	struct cancel_sweep_result result;

	time_stops(NULL);
	EXPECT(CANCEL_REQUESTED, ask_terms("pending", 10, 0));
	make_decided("decided");
	make_decided("litter");
	copy("processed/litter.json", "pending/litter.json");
	set_mtime_ago("pending/litter.json", 10);
	put("tmp/0123456789abcdef0123456789abcdef.draft", "");
	put("runs/dead", "");
	(void)sweep(&options);
	copy("processed/litter.json", "pending/litter.json");
	set_mtime_ago("pending/litter.json", 10);
	time_passes(2 * DAY_S);
	clock_steps_ms(step_ms);
	result = sweep_noting(&options);
	cr_assert_eq(result.clock_step_ms, step_ms, "%" PRId64, result.clock_step_ms);
	cr_assert(result.expired == 0 && result.removed == 0 && result.litter == 0 && result.drafts == 0 &&
		  result.leases == 0 && report_count == 0);
	cr_assert(there("pending/pending.json") && there("processed/decided.json") && there("runs/dead") &&
		  there("pending/litter.json") && there("tmp/0123456789abcdef0123456789abcdef.draft"));
	result = sweep_noting(&options);
	cr_assert_eq(result.clock_step_ms, 0, "the next pass does not work again");
	cr_assert_eq(result.expired, 1);
	cr_assert(!there("runs/dead"));
}

/* Mutation: clock_state_advance() returns 0. */
Test(sweep, after_a_step_forward_nothing_is_deleted_and_the_next_pass_works)
{
	expect_nothing_deleted_after(6000);
}

/* DESIGN.md, invariant 17 */
Test(sweep, after_a_step_back_nothing_is_deleted_and_the_next_pass_works)
{
	expect_nothing_deleted_after(-6000);
}

Test(sweep, a_step_of_four_seconds_is_none)
{
	struct cancel_sweep_result result;

	(void)sweep(NULL);
	clock_steps_ms(4000);
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 10, 0));
	time_passes(11);
	result = sweep(NULL);
	cr_assert(result.clock_step_ms == 0 && result.expired == 1);
}

Test(sweep, two_small_steps_show_like_a_large_one)
{
	(void)sweep(NULL);
	clock_steps_ms(4000);
	cr_assert_eq(sweep(NULL).clock_step_ms, 0);
	clock_steps_ms(4000);
	cr_assert_neq(sweep(NULL).clock_step_ms, 0);
}

Test(sweep, after_a_step_records_from_before_it_still_age_rightly)
{
	struct cancel_sweep_options options = options_of(1000, 0, false);

	(void)sweep(&options);
	make_decided("a");
	time_passes(10);
	clock_steps_ms(2000 * 1000);
	cr_assert_neq(sweep(&options).clock_step_ms, 0);
	cr_assert_eq(sweep(&options).removed, 0, "the step made it old");
	time_passes(1000);
	cr_assert_eq(sweep(&options).removed, 1);
}

Test(sweep, another_boots_clock_and_a_damaged_word_of_it_are_no_step)
{
	put("swept", "{\"boot_id\": \"00000000-1111-2222-3333-444444444444\", \"offset_ms\": 5, \"since_us\": 1,"
		     " \"swept_at_us\": 1}");
	cr_assert_eq(sweep(NULL).clock_step_ms, 0);
	put("swept", "{");
	cr_assert_eq(sweep(NULL).clock_step_ms, 0);
	put("swept", "");
	cr_assert_eq(sweep(NULL).clock_step_ms, 0);
}

Test(sweep, the_end_of_a_pass_is_told_by_info)
{
	struct cancel_spool_info info;
	struct cancel_sweep_options dry = options_of(1, 0, true);

	(void)sweep(&dry);
	EXPECT(0, cancel_spool_info(spool, &info, &error));
	cr_assert_eq(info.swept_at_us, 0);
	(void)sweep(NULL);
	EXPECT(0, cancel_spool_info(spool, &info, &error));
	cr_assert(info.swept_at_us > 0 && info.swept_at_us <= clock_realtime_us());
}

/* --- bounds and dry runs --------------------------------------------------------------------------------------- */

/* One of everything. */
static void make_a_bit_of_everything(void)
{
	char name[32];

	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "old%d", i);
		make_decided(name);
		(void)snprintf(name, sizeof(name), "short%d", i);
		EXPECT(CANCEL_REQUESTED, ask_terms(name, 10, 0));
	}
	make_decided("litter");
	copy("processed/litter.json", "pending/litter.json");
	set_mtime_ago("pending/litter.json", 10);
	put("tmp/0123456789abcdef0123456789abcdef.draft", "");
	put("runs/dead", "");
	put("tmp/left.drop", "{}");
	put("tmp/stranger", "");
	put("pending/stranger.txt", "");
	put("processed/.hidden", "");
	put("stranger", "");
	cr_assert_eq(mkfifo(at("pending/fifo.json"), 0600), 0);
	cr_assert_eq(symlink("/etc/passwd", at("processed/link.json")), 0);
	time_passes(2 * DAY_S);
	EXPECT(CANCEL_REQUESTED, ask_terms("long", CANCEL_EXPIRES_NEVER, 0));
}

static void expect_same_result(const struct cancel_sweep_result *dry, const struct cancel_sweep_result *real)
{
#define SAME(field) cr_expect_eq(dry->field, real->field, #field ": %ld dry, %ld real", (long)dry->field, (long)real->field)
	SAME(expired);
	SAME(removed);
	SAME(litter);
	SAME(drafts);
	SAME(leases);
	SAME(put_back);
	SAME(refused);
	SAME(strangers);
	SAME(busy);
}

Test(sweep, a_dry_run_counts_what_the_pass_then_does_and_changes_nothing)
{
	struct cancel_sweep_options dry_options = options_of(DAY_S, 0, true);
	struct cancel_sweep_result dry, real;
	int before[5];
	static const char *const dirs[] = {"pending", "processed", "tmp", "runs", "."};

	make_a_bit_of_everything();
	for (int i = 0; i < 5; i++)
		before[i] = count_in(dirs[i]);
	dry = sweep(&dry_options);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(count_in(dirs[i]), before[i], "%s changed", dirs[i]);
	real = sweep(NULL);
	expect_same_result(&dry, &real);
	cr_assert_eq(real.expired, 5);
	cr_assert_eq(real.removed, 6);
	cr_assert_eq(real.litter, 1);
	cr_assert_eq(real.drafts, 1);
	cr_assert_eq(real.leases, 1);
	cr_assert_eq(real.put_back, 1);
	cr_assert_eq(real.strangers, 4);
	cr_assert(there("tmp/stranger") && there("pending/stranger.txt") && there("processed/.hidden") &&
		  there("stranger") && there("pending/fifo.json") && there("processed/link.json"));
}

Test(sweep, a_pass_stops_at_its_limit_and_the_next_goes_on)
{
	struct cancel_sweep_options options = options_of(DAY_S, 4, false);
	struct cancel_sweep_result result;
	int64_t changed = 0;
	int passes = 0;

	make_a_bit_of_everything();
	do {
		result = sweep(&options);
		cr_assert_leq(result.expired + result.removed + result.litter + result.drafts + result.leases, 4);
		changed += result.expired + result.removed + result.litter + result.drafts + result.leases;
		passes++;
	} while (result.limited && passes < 20);
	cr_assert_eq(changed, 5 + 6 + 1 + 1 + 1);
	cr_assert_eq(sweep(NULL).expired, 0);
}

/* --- drafts and leases -------------------------------------------------------------------------------------------- */

/* The kernel's change time cannot be set, so time passes for the sweep and not for the file. */
Test(sweep, drafts_go_after_an_hour_and_strangers_in_tmp_stay)
{
	put("tmp/0123456789abcdef0123456789abcdef.draft", "");
	put("tmp/0123456789ABCDEF0123456789abcdef.draft", "");
	put("tmp/0123456789abcdef0123456789abcdef.draft~", "");
	cr_assert_eq(symlink("x", at("tmp/1123456789abcdef0123456789abcdef.draft")), 0);
	set_mtime_ago("tmp/0123456789abcdef0123456789abcdef.draft", 10 * DAY_S);
	cr_assert_eq(sweep(NULL).drafts, 0, "an old mtime made it old");
	time_passes(CANCEL_DRAFT_KEEP_S - 5);
	cr_assert_eq(sweep(NULL).drafts, 0);
	time_passes(10);
	cr_assert_eq(sweep(NULL).drafts, 1);
	cr_assert_eq(count_in("tmp"), 3);
	cr_assert_eq(sweep(NULL).strangers, 3);
}

static void lock_lease(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

Test(sweep, leases_of_dead_runs_go_and_those_of_live_ones_stay)
{
	int fd;

	put("runs/dead", "");
	put("runs/live", "");
	put("runs/.stranger", "");
	cr_assert_eq(mkdir(at("runs/dir"), 0700), 0);
	fd = open(at("runs/live"), O_RDWR | O_CLOEXEC);
	lock_lease(fd);
	cr_assert_eq(sweep(NULL).leases, 0, "a lease so young may not be locked yet");
	time_passes(6);
	cr_assert_eq(sweep(NULL).leases, 1);
	cr_assert(!there("runs/dead") && there("runs/live") && there("runs/.stranger") && there("runs/dir"));
	(void)close(fd);
	cr_assert_eq(sweep(NULL).leases, 1);
}

/* --- what it never does --------------------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 15 */
Test(sweep, links_are_never_followed_and_never_removed)
{
	struct cancel_sweep_options options = options_of(0, 0, false);

	put("../victim.json", "{\"task_id\": \"a\"}");
	cr_assert_eq(symlink(beside("victim.json"), at("pending/a.json")), 0);
	cr_assert_eq(symlink(beside("victim.json"), at("processed/a.json")), 0);
	cr_assert_eq(symlink(beside("victim.json"), at("runs/a")), 0);
	time_passes(3 * DAY_S);
	(void)sweep(&options);
	cr_assert(there("../victim.json") && there("pending/a.json") && there("processed/a.json") && there("runs/a"));
}

static void expect_not_entered(void)
{
	struct cancel_sweep_options options = options_of(0, 0, false);
	struct cancel_spool_options open_options;

	put("processed/b.json", "{}");
	time_passes(10);
	(void)sweep(&options); /* where it was opened, under the mount */
	cr_assert(there("processed/b.json"));
	cancel_spool_options_init(&open_options);
	EXPECT(-EXDEV, spool_case_reopen(&open_options));
	EXPECT_WORDS("something is mounted on its 'processed'");
	cr_assert(there("processed/b.json"));
	cr_assert_eq(umount(at("processed")), 0);
}

/* DESIGN.md, invariant 15 */
Test(sweep, what_is_mounted_on_a_directory_is_not_entered)
{
	need_mounts();
	cr_assert_eq(mount("none", at("processed"), "tmpfs", 0, "mode=700"), 0);
	expect_not_entered();
}

/* DESIGN.md, invariant 15 */
Test(sweep, what_is_bound_on_a_directory_from_the_same_filesystem_is_not_entered)
{
	need_mounts();
	cr_assert_eq(mkdir(beside("other"), 0700), 0);
	cr_assert_eq(mount(beside("other"), at("processed"), NULL, MS_BIND, NULL), 0);
	expect_not_entered();
}

Test(sweep, one_bad_file_does_not_keep_the_others_from_being_swept)
{
	struct cancel_sweep_result result;
	char *text = malloc(CANCEL_RECORD_MAX + 1), *end = text;

	end += sprintf(end, "{\"task_id\": \"big\", \"expires_in_s\": 1, \"x\": [0.1");
	while (end - text < CANCEL_RECORD_MAX - 8)
		end += sprintf(end, ",0.1");
	(void)sprintf(end, "]}");
	put("pending/big.json", text);
	put("pending/wrong.json", "{\"task_id\": \"right\"}");
	put("pending/torn.json", "{");
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 1, 0));
	time_passes(4);
	result = sweep(NULL);
	cr_assert_eq(result.expired, 2);
	cr_assert_eq(result.refused, 1);
	cr_assert(there("pending/wrong.json") && there("pending/torn.json"));
	free(text);
}

Test(sweep, a_drop_that_cannot_be_put_back_does_not_keep_the_others_from_being_swept)
{
	struct cancel_sweep_result result;

	put("tmp/a.drop", "{\"task_id\": \"b\"}");
	cr_assert_eq(mkfifo(at("tmp/d.drop"), 0600), 0);
	EXPECT(CANCEL_REQUESTED, ask_terms("c", 1, 0));
	time_passes(2);
	result = sweep(NULL);
	cr_assert_eq(result.expired, 1);
	cr_assert_eq(result.refused, 2);
	cr_assert(there("tmp/a.drop") && there("tmp/d.drop"));
}

static int sweep_racing(void *arg)
{
	struct cancel_sweep_result result;

	(void)arg;
	/* Each child shares the spool's clock state, so none sees a step. */
	if (cancel_spool_sweep(spool, NULL, NULL, NULL, &result, NULL) < 0)
		return 101;
	return (int)result.expired;
}

/* DESIGN.md, invariant 5 */
Test(sweep, several_at_once_expire_each_request_once)
{
	int results[4], expired = 0;
	char name[32];

	for (int i = 0; i < 90; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		EXPECT(CANCEL_REQUESTED, ask_terms(name, 1, 0));
	}
	time_passes(2);
	in_children(4, sweep_racing, NULL, results);
	for (int i = 0; i < 4; i++) {
		cr_assert_leq(results[i], 90);
		expired += results[i];
	}
	expired += (int)sweep(NULL).expired; /* those that were busy */
	cr_assert_eq(expired, 90);
}

static void reopen_durable(void)
{
	struct cancel_spool_options options;

	cancel_spool_options_init(&options);
	options.durability = CANCEL_DURABILITY_FILE;
	EXPECT(0, spool_case_reopen(&options));
}

Test(sweep, where_decisions_are_synced_each_name_has_its_own_lock_and_the_limit_holds)
{
	struct cancel_sweep_options options = options_of(DAY_S, 3, false);
	struct cancel_sweep_result result;
	char name[32];

	reopen_durable();
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		EXPECT(CANCEL_REQUESTED, ask_terms(name, 1, 0));
	}
	time_passes(2);
	result = sweep_noting(&options);
	cr_assert(result.expired == 3 && result.limited && report_count == 3);
	result = sweep_noting(&options);
	cr_assert(result.expired == 2 && !result.limited && report_count == 2);
	cr_assert_eq(count_in("pending"), 0);
}

Test(sweep, a_foreign_files_time_says_nothing_of_its_expiry)
{
	put("pending/a.json", "{\"task_id\": \"a\", \"requested_at\": \"2020-01-01T00:00:00Z\", \"expires_in_s\": 60}");
	put("pending/b.json", "{\"task_id\": \"b\"}");
	set_mtime_ago("pending/a.json", -DAY_S);
	set_mtime_ago("pending/b.json", -DAY_S);
	cr_assert_eq(sweep_noting(NULL).expired, 1);
	cr_assert_str_eq(reported[0], "a expired");
	cr_assert(there("pending/b.json"));
}

Test(sweep, a_drop_that_is_put_back_is_reported)
{
	struct cancel_sweep_result result;

	put("tmp/a.drop", "{\"task_id\": \"a\"}");
	set_mtime_ago("tmp/a.drop", DAY_S);
	result = sweep_noting(NULL);
	cr_assert_eq(result.put_back, 1);
	cr_assert_eq(report_count, 1);
	cr_assert_str_eq(reported[0], "a none");
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
}
