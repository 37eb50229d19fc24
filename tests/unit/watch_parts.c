/* What the watch is made of: the watermark, the table of the latest, the names for later, inotify's stream.
 */
#include "dirwatch.h"
#include "later.h"
#include "seen.h"
#include "watermark.h"

#include "clock.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <unistd.h>

#define SECONDS(count) ((count)*NS_PER_S)
#define MS(count)      ((count)*NS_PER_MS)
#define NOON           (SECONDS(1800000000) + 123456789)
#define GRANULES       MS(20)

/* --- the watermark ------------------------------------------------------------------------------------ */

/* A made-up machine: its wall clock, its boot time, and a directory on a filesystem with its own clock. */
static struct moment machine;

static void machine_begin(bool is_local, int64_t directory_age_ns)
{
	machine = (struct moment){NOON - directory_age_ns, NOON, SECONDS(5000), is_local};
}

static void machine_passes(int64_t ns)
{
	machine.realtime_ns += ns;
	machine.boottime_ns += ns;
}

/* A file comes into the directory: its change time, by a clock that is `ahead_ns` of the wall clock. */
static int64_t file_comes(int64_t ahead_ns)
{
	machine.ctime_ns = machine.realtime_ns + ahead_ns;
	return machine.ctime_ns;
}

Test(watermark, before_any_scan_everything_is_looked_at)
{
	struct watermark mark = {0};

	machine_begin(true, SECONDS(10));
	cr_assert_eq(watermark_from(&mark, &machine), INT64_MIN);
	cr_assert(!watermark_is_unchanged(&mark, &machine));
}

Test(watermark, what_came_within_a_granule_of_the_scan_is_looked_at_again)
{
	struct watermark mark;

	machine_begin(true, MS(5));
	watermark_begin(&mark, &machine);
	cr_assert_leq(watermark_from(&mark, &machine), machine.ctime_ns - GRANULES);
	cr_assert(!watermark_is_unchanged(&mark, &machine), "a later change may carry the same time");
}

Test(watermark, a_directory_long_at_rest_is_known)
{
	struct watermark mark;

	machine_begin(true, SECONDS(10));
	watermark_begin(&mark, &machine);
	machine_passes(SECONDS(30));
	cr_assert(watermark_is_unchanged(&mark, &machine));
	cr_assert_gt(watermark_from(&mark, &machine), machine.ctime_ns, "what was there is opened again");
	cr_assert_geq(file_comes(0), watermark_from(&mark, &machine));
	cr_assert(!watermark_is_unchanged(&mark, &machine));
}

Test(watermark, passing_time_does_not_make_known_files_new)
{
	struct watermark mark;

	machine_begin(true, SECONDS(10));
	watermark_begin(&mark, &machine);
	machine_passes(SECONDS(1));
	(void)file_comes(0);
	machine_passes(SECONDS(600));
	cr_assert_gt(watermark_from(&mark, &machine), NOON - SECONDS(10));
}

Test(watermark, a_filesystem_of_whole_seconds_gets_seconds_of_slack)
{
	struct watermark mark;

	machine_begin(true, 0);
	machine.ctime_ns = machine.realtime_ns / NS_PER_S * NS_PER_S;
	watermark_begin(&mark, &machine);
	cr_assert_leq(watermark_from(&mark, &machine), machine.ctime_ns - SECONDS(2));
	machine_passes(SECONDS(3));
	watermark_begin(&mark, &machine);
	cr_assert(!watermark_is_unchanged(&mark, &machine));
	machine_passes(SECONDS(3));
	watermark_begin(&mark, &machine);
	cr_assert(watermark_is_unchanged(&mark, &machine));
}

/* For steps of any size and sign, at any time: a file that comes after the scan is looked at. */
static void expect_found_after_step(bool is_local, int64_t step_ns, int64_t directory_age_ns)
{
	struct watermark mark;
	int64_t came;

	machine_begin(is_local, directory_age_ns);
	watermark_begin(&mark, &machine);
	machine_passes(SECONDS(2));
	machine.realtime_ns += step_ns;
	came = file_comes(0);
	machine_passes(SECONDS(20));
	(void)file_comes(0);
	machine_passes(SECONDS(5));
	cr_assert_geq(came, watermark_from(&mark, &machine), "lost after a step of %lld ms",
		      (long long)(step_ns / NS_PER_MS));
}

Test(watermark, a_step_of_the_clock_loses_nothing)
{
	static const int64_t steps_ns[] = {
		-SECONDS(86400 * 365), -SECONDS(3600), -SECONDS(2), -MS(500), -MS(15), 0, MS(15), SECONDS(2),
		SECONDS(86400 * 365)};

	for (size_t i = 0; i < sizeof(steps_ns) / sizeof(steps_ns[0]); i++)
		for (int is_local = 0; is_local < 2; is_local++) {
			expect_found_after_step(is_local, steps_ns[i], MS(1));
			expect_found_after_step(is_local, steps_ns[i], SECONDS(10));
			expect_found_after_step(is_local, steps_ns[i], -SECONDS(100));
		}
}

Test(watermark, steps_there_and_back_lose_nothing_where_they_were_noted)
{
	struct watermark mark;
	int64_t came;

	machine_begin(true, SECONDS(10));
	watermark_begin(&mark, &machine);
	machine_passes(SECONDS(1));
	machine.realtime_ns -= SECONDS(3600);
	came = file_comes(0);
	watermark_note_clock(&mark, machine.realtime_ns, machine.boottime_ns);
	machine.realtime_ns += SECONDS(3600);
	(void)file_comes(0);
	machine_passes(SECONDS(1));
	cr_assert_geq(came, watermark_from(&mark, &machine));
}

Test(watermark, a_servers_clock_may_be_anywhere)
{
	static const int64_t ahead_ns[] = {-SECONDS(86400), -MS(30), MS(30), SECONDS(86400)};

	for (size_t i = 0; i < sizeof(ahead_ns) / sizeof(ahead_ns[0]); i++) {
		struct watermark mark;
		int64_t came;

		machine_begin(false, 0);
		(void)file_comes(ahead_ns[i]);
		watermark_begin(&mark, &machine);
		came = file_comes(ahead_ns[i]); /* in the same tick */
		cr_assert_geq(came, watermark_from(&mark, &machine));
		cr_assert(!watermark_is_unchanged(&mark, &machine), "a server may change it unseen");
		machine_passes(SECONDS(60));
		came = file_comes(ahead_ns[i]);
		cr_assert_geq(came, watermark_from(&mark, &machine));
	}
}

/* --- the table of the latest -------------------------------------------------------------------------- */

static struct seen *seen;

static void seen_set_up(void)
{
	seen = calloc(1, sizeof(*seen));
	cr_assert_not_null(seen);
	seen_init(seen);
}

static void seen_tear_down(void)
{
	free(seen);
}

TestSuite(seen, .init = seen_set_up, .fini = seen_tear_down);

static uint64_t key_of(int number)
{
	return seen_key(seen, "name", "id", (uint64_t)number);
}

Test(seen, the_latest_are_known_and_the_memory_ends)
{
	for (int i = 0; i < 4 * CANCEL_WATCH_SEEN; i++) {
		cr_assert(seen_note(seen, key_of(i), SEEN_REQUESTED));
		cr_assert(!seen_note(seen, key_of(i), SEEN_REQUESTED));
	}
	for (int i = 3 * CANCEL_WATCH_SEEN; i < 4 * CANCEL_WATCH_SEEN; i++)
		cr_assert(!seen_note(seen, key_of(i), SEEN_REQUESTED), "%d is forgotten", i);
	cr_assert(seen_note(seen, key_of(0), SEEN_REQUESTED));
}

Test(seen, a_decision_is_news_after_the_request_but_not_before_it)
{
	cr_assert(seen_note(seen, key_of(1), SEEN_REQUESTED));
	cr_assert(seen_note(seen, key_of(1), SEEN_DECIDED));
	cr_assert(!seen_note(seen, key_of(1), SEEN_DECIDED));
	cr_assert(!seen_note(seen, key_of(1), SEEN_REQUESTED));
	cr_assert(seen_note(seen, key_of(2), SEEN_DECIDED));
	cr_assert(!seen_note(seen, key_of(2), SEEN_REQUESTED));
}

Test(seen, a_phase_is_known_across_generations)
{
	cr_assert(seen_note(seen, key_of(0), SEEN_REQUESTED));
	for (int i = 1; i <= CANCEL_WATCH_SEEN; i++)
		(void)seen_note(seen, key_of(i), SEEN_REQUESTED);
	cr_assert(!seen_note(seen, key_of(0), SEEN_REQUESTED));
	cr_assert(seen_note(seen, key_of(0), SEEN_DECIDED));
	cr_assert(!seen_note(seen, key_of(0), SEEN_DECIDED));
	cr_assert(!seen_note(seen, key_of(0), SEEN_REQUESTED));
}

Test(seen, keys_tell_names_ids_and_versions_apart)
{
	cr_assert_neq(seen_key(seen, "a", "b", 0), seen_key(seen, "a", "c", 0));
	cr_assert_neq(seen_key(seen, "a", "b", 0), seen_key(seen, "b", "b", 0));
	cr_assert_neq(seen_key(seen, "a", "b", 0), seen_key(seen, "a", "b", 1));
	cr_assert_neq(seen_key(seen, "ab", "", 0), seen_key(seen, "a", "b", 0));
	cr_assert_eq(seen_key(seen, "a", "b", 0), seen_key(seen, "a", "b", 0));
}

/* --- names for later ---------------------------------------------------------------------------------- */

Test(later, names_come_back_in_order_and_once)
{
	struct later later = {0};
	struct later_name name;

	for (int turn = 0; turn < 3; turn++) {
		cr_assert(later_add(&later, SPOOL_PENDING, "a.json"));
		cr_assert(later_add(&later, SPOOL_PENDING, "b.json"));
		cr_assert(later_add(&later, SPOOL_PENDING, "a.json"));
		cr_assert(later_add(&later, SPOOL_ROOT, "a.json"));
		cr_assert(later_take(&later, &name) && !strcmp(name.file, "a.json") &&
			  name.dir == SPOOL_PENDING);
		cr_assert(later_take(&later, &name) && !strcmp(name.file, "b.json"));
		cr_assert(later_take(&later, &name) && !strcmp(name.file, "a.json") &&
			  name.dir == SPOOL_ROOT);
		cr_assert(!later_take(&later, &name));
	}
}

Test(later, there_is_room_for_so_many)
{
	struct later later = {0};
	struct later_name name;
	char file[32];

	for (int i = 0; i < LATER_MAX; i++) {
		(void)snprintf(file, sizeof(file), "%d.json", i);
		cr_assert(later_add(&later, SPOOL_PENDING, file));
	}
	cr_assert(!later_add(&later, SPOOL_PENDING, "more.json"));
	cr_assert(later_add(&later, SPOOL_PENDING, "0.json"), "it is there");
	cr_assert(later_take(&later, &name));
	cr_assert(later_add(&later, SPOOL_PENDING, "more.json"));
}

/* --- inotify's stream --------------------------------------------------------------------------------- */

static struct dirwatch stream;
static unsigned char bytes[512];

static void stream_set_up(void)
{
	dirwatch_init(&stream);
	stream.wds[SPOOL_ROOT] = 3;
	stream.wds[SPOOL_PENDING] = 1;
	stream.wds[SPOOL_PROCESSED] = 2;
}

TestSuite(dirwatch, .init = stream_set_up);

static struct dirwatch_event event;

static size_t parse(int wd, uint32_t mask, const char *name, size_t length)
{
	struct inotify_event header = {.wd = wd, .mask = mask, .len = (uint32_t)length};

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), name, strlen(name));
	return dirwatch_parse(&stream, bytes, sizeof(header) + length, &event);
}

static void expect_hint(int wd, uint32_t mask, const char *name, enum dirwatch_hint hint)
{
	cr_assert_eq(parse(wd, mask, name, 32), sizeof(struct inotify_event) + 32);
	cr_assert_eq(event.hint, hint, "%d for mask %x of '%s'", (int)event.hint, mask, name);
}

Test(dirwatch, names_are_hints_for_their_directory)
{
	static const uint32_t masks[] = {IN_CREATE, IN_CLOSE_WRITE, IN_MOVED_TO, IN_ATTRIB};

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		expect_hint(1, masks[i], "a.json", DIRWATCH_NAME);
		cr_assert_str_eq(event.name, "a.json");
		cr_assert_eq(event.dir, SPOOL_PENDING);
	}
	expect_hint(2, IN_MOVED_TO, "a.json", DIRWATCH_NAME);
	cr_assert_eq(event.dir, SPOOL_PROCESSED);
	expect_hint(3, IN_CREATE, "a.json", DIRWATCH_NAME);
	cr_assert_eq(event.dir, SPOOL_ROOT);
	expect_hint(1, IN_CREATE | IN_ISDIR, "a.json", DIRWATCH_NAME);
	expect_hint(2, IN_ATTRIB, "a.json", DIRWATCH_OTHER);
}

Test(dirwatch, what_becomes_of_the_directories_is_told)
{
	static const uint32_t masks[] = {IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT, IN_IGNORED};

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
		for (int wd = 1; wd <= 3; wd++)
			expect_hint(wd, masks[i], "", DIRWATCH_GONE);
	expect_hint(-1, IN_Q_OVERFLOW, "", DIRWATCH_OVERFLOWED);
}

Test(dirwatch, nothing_else_is_a_hint)
{
	expect_hint(4, IN_CREATE, "a.json", DIRWATCH_OTHER);
	expect_hint(-1, IN_CREATE, "a.json", DIRWATCH_OTHER);
	expect_hint(4, IN_IGNORED, "", DIRWATCH_OTHER);
	expect_hint(1, IN_DELETE, "a.json", DIRWATCH_OTHER);
	expect_hint(1, IN_CREATE, "", DIRWATCH_OTHER);
	expect_hint(1, IN_CREATE, "../a.json", DIRWATCH_OTHER);
}

Test(dirwatch, what_is_cut_off_is_no_event)
{
	const size_t whole = sizeof(struct inotify_event) + 32;

	cr_assert_eq(parse(1, IN_CREATE, "a.json", 32), whole);
	for (size_t length = 0; length < whole; length++)
		cr_assert_eq(dirwatch_parse(&stream, bytes, length, &event), 0);
	memset(bytes + sizeof(struct inotify_event), 'x', 32);
	cr_assert_eq(dirwatch_parse(&stream, bytes, whole, &event), whole);
	cr_assert_eq(event.hint, DIRWATCH_OTHER, "a name without an end");
}

/* Where /proc is not to be had the way is by the path, which may lead elsewhere by now. */
Test(dirwatch, without_proc_a_directory_is_watched_where_its_path_leads_to_it)
{
	char meant[] = "/tmp/libcancel.XXXXXX", other[] = "/tmp/libcancel.XXXXXX";
	int fd, by_path, elsewhere, nowhere;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/proc", "tmpfs", 0, NULL) < 0)
		cr_skip_test("needs a mount namespace: %s", strerror(errno));
	cr_assert(mkdtemp(meant) && mkdtemp(other));
	cr_assert_geq(fd = open(meant, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
	dirwatch_init(&stream);
	cr_assert_eq(dirwatch_open(&stream), 0);
	by_path = dirwatch_add(&stream, SPOOL_PENDING, fd, meant, true);
	elsewhere = dirwatch_add(&stream, SPOOL_PROCESSED, fd, other, true);
	nowhere = dirwatch_add(&stream, SPOOL_PROCESSED, fd, "/tmp/libcancel.none", true);
	(void)umount("/proc");
	cr_assert_eq(by_path, 0);
	cr_assert_eq(elsewhere, -ESTALE);
	cr_assert_eq(nowhere, -ENOENT);
	cr_assert(stream.wds[SPOOL_PENDING] >= 0 && stream.wds[SPOOL_PROCESSED] == -1);
	dirwatch_close(&stream);
	(void)close(fd);
	(void)rmdir(meant);
	(void)rmdir(other);
}
