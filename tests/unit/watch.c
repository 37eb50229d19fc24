/* Watching: what is reported, once, whatever happens to the directory, the kernel's queue and the clocks. */
#include "clock.h"
#include "process.h"
#include "shifted_clock.h"
#include "spool_case.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 4096,
	TYPES = CANCEL_EVENT_RESCANNED + 1,
	MANY_MAX = 200000,
	OVERFLOWING = 50000,
	PATIENCE_MS = 30000,
	INSTANCES_MAX = 4096,
	INTERRUPT_AT = 10,
	NOBODY_ELSE = 5678, /* a user whose instances no other test uses up */
};

struct seen_event {
	enum cancel_event_type type;
	enum cancel_outcome outcome;
	bool malformed;
	char task_id[64];
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	char file[300];
	char text[CANCEL_ERROR_TEXT_MAX];
};

static struct cancel_watch *watch;
static struct cancel_watch_options options;
static struct seen_event *events; /* the first EVENTS_MAX */
static int event_count, type_counts[TYPES];
static unsigned char *many; /* how often "many_<n>" was requested */
static int interrupt_at;    /* interrupt in the callback of that event */

static void on_event(void *arg, const struct cancel_event *event)
{
	struct seen_event *seen = &events[event_count < EVENTS_MAX ? event_count : EVENTS_MAX - 1];
	int number;

	cr_assert_eq(arg, events);
	cr_assert_gt(event->time_us, 0);
	*seen = (struct seen_event){.type = event->type};
	event_count++;
	type_counts[event->type]++;
	if (event->request) {
		(void)snprintf(seen->task_id, sizeof(seen->task_id), "%s", event->request->task_id);
		(void)snprintf(seen->id, sizeof(seen->id), "%s", event->request->request_id);
		seen->outcome = event->request->outcome;
		seen->malformed = event->request->malformed;
		if (event->type == CANCEL_EVENT_REQUESTED && sscanf(seen->task_id, "many_%d", &number) == 1)
			many[number]++;
	}
	if (event->file)
		(void)snprintf(seen->file, sizeof(seen->file), "%s", event->file);
	if (event->text)
		(void)snprintf(seen->text, sizeof(seen->text), "%s", event->text);
	if (event_count == interrupt_at)
		cancel_watch_interrupt(watch);
}

static void set_up(void)
{
	spool_case_set_up();
	cancel_watch_options_init(&options);
	events = calloc(EVENTS_MAX, sizeof(*events));
	many = calloc(MANY_MAX, 1);
	cr_assert(events && many);
}

static void tear_down(void)
{
	cancel_watch_close(watch);
	watch = NULL;
	free(events);
	free(many);
	spool_case_tear_down();
}

TestSuite(watch, .init = set_up, .fini = tear_down, .timeout = 120);

static void begin(void)
{
	EXPECT(0, cancel_watch_open(&watch, spool, &options, &error));
}

/* One dispatch: how many events it reported. */
static int dispatch(void)
{
	int before = event_count, code;

	spool_case_mark_error();
	code = cancel_watch_dispatch(watch, on_event, events, &error);
	spool_case_check_error(code, "dispatch");
	cr_assert_geq(code, 0, "%d: %s", code, error.text);
	cr_assert_eq(code, event_count - before);
	return code;
}

static void forget_events(void)
{
	event_count = 0;
	memset(type_counts, 0, sizeof(type_counts));
}

static const struct seen_event *event_of(enum cancel_event_type type, const char *task_id)
{
	for (int i = 0; i < event_count && i < EVENTS_MAX; i++)
		if (events[i].type == type && (!task_id || !strcmp(events[i].task_id, task_id)))
			return &events[i];
	return NULL;
}

static int times(enum cancel_event_type type, const char *task_id)
{
	int count = 0;

	for (int i = 0; i < event_count && i < EVENTS_MAX; i++)
		count += events[i].type == type && !strcmp(events[i].task_id, task_id);
	return count;
}

static const struct seen_event *refusal_of(const char *file)
{
	for (int i = 0; i < event_count && i < EVENTS_MAX; i++)
		if (events[i].type == CANCEL_EVENT_REFUSED && !strcmp(events[i].file, file))
			return &events[i];
	return NULL;
}

static bool readable(int timeout_ms)
{
	struct pollfd item = {.fd = cancel_watch_fd(watch), .events = POLLIN};

	return poll(&item, 1, timeout_ms) == 1;
}

static int64_t real_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Poll and dispatch as a program does until the event is there. */
static const struct seen_event *await(enum cancel_event_type type, const char *task_id)
{
	int64_t deadline_ms = real_ms() + PATIENCE_MS;
	const struct seen_event *seen = event_of(type, task_id);

	while (!seen && real_ms() < deadline_ms) {
		if (readable(1000))
			(void)dispatch();
		seen = event_of(type, task_id);
	}
	cr_assert_not_null(seen, "no '%s' of '%s' came", cancel_event_text(type), task_id ? task_id : "");
	return seen;
}

/* Let a tick be due: names are looked at again, the path is compared. */
static void tick(void)
{
	time_passes(1);
	(void)dispatch();
}

/* Let change times get into the past. Shifting the clocks does not: the kernel goes on stamping files by its
 * own. */
static void granules_pass(void)
{
	const struct timespec granules = {.tv_nsec = 60000000};

	(void)nanosleep(&granules, NULL);
}

/* Let the slow rescan be due. */
static void rescan(void)
{
	granules_pass();
	time_passes(options.rescan_interval_ms / 1000 + 1);
	(void)dispatch();
}

static void make_many(int first, int end)
{
	for (int i = first; i < end; i++) {
		char task_id[32];

		(void)snprintf(task_id, sizeof(task_id), "many_%d", i);
		cr_assert_eq(ask(task_id, NULL, "why", NULL), CANCEL_REQUESTED, "%s", error.text);
	}
}

static void expect_many(int first, int end)
{
	for (int i = first; i < end; i++)
		cr_assert_eq(many[i], 1, "many_%d was reported %d times", i, many[i]);
}

static void remove_tree(const char *path)
{
	struct process process;

	process_run(&process, WORDS("rm", "-r", "--", path), NULL, NULL);
	cr_assert_eq(process.exit_code, 0, "%s", process.err);
	process_free(&process);
}

/* The spool that the watch has does not make itself again. */
static void open_without_creating(void)
{
	struct cancel_spool_options spool_options;

	cancel_spool_options_init(&spool_options);
	EXPECT(0, spool_case_reopen(&spool_options));
}

static void open_creating(void)
{
	struct cancel_spool_options spool_options;

	cancel_spool_options_init(&spool_options);
	spool_options.create = true;
	EXPECT(0, spool_case_reopen(&spool_options));
}

/* Somebody else makes the spool and asks in it. */
static int make_spool_and_ask(void *task_id)
{
	struct cancel_spool_options spool_options;

	cancel_spool_options_init(&spool_options);
	spool_options.create = true;
	return spool_case_reopen(&spool_options) == 0 && ask(task_id, NULL, "why", NULL) == CANCEL_REQUESTED
		       ? 0
		       : 1;
}

/* --- words and options -------------------------------------------------------------------------------- */

Test(watch, words_are_those_of_the_programs)
{
	cr_assert_str_eq(cancel_watch_mode_text(CANCEL_WATCH_AUTO), "auto");
	cr_assert_str_eq(cancel_watch_mode_text(CANCEL_WATCH_INOTIFY), "inotify");
	cr_assert_str_eq(cancel_watch_mode_text(CANCEL_WATCH_POLL), "poll");
	cr_assert_str_eq(cancel_watch_mode_text((enum cancel_watch_mode)3), "unknown");
	cr_assert_str_eq(cancel_event_text(CANCEL_EVENT_REQUESTED), "requested");
	cr_assert_str_eq(cancel_event_text(CANCEL_EVENT_DECIDED), "decided");
	cr_assert_str_eq(cancel_event_text(CANCEL_EVENT_DROPPED), "dropped");
	cr_assert_str_eq(cancel_event_text(CANCEL_EVENT_REFUSED), "refused");
	cr_assert_str_eq(cancel_event_text(CANCEL_EVENT_DEGRADED), "degraded");
	cr_assert_str_eq(cancel_event_text(CANCEL_EVENT_RESTORED), "restored");
	cr_assert_str_eq(cancel_event_text(CANCEL_EVENT_RESCANNED), "rescanned");
	cr_assert_str_eq(cancel_event_text((enum cancel_event_type)TYPES), "unknown");
}

Test(watch, the_defaults_are_as_documented)
{
	cr_assert_eq(options.mode, CANCEL_WATCH_AUTO);
	cr_assert_eq(options.poll_interval_ms, 1000);
	cr_assert_eq(options.rescan_interval_ms, 30000);
	cr_assert(!options.take_drops && !options.skip_standing);
}

static void expect_refused(enum cancel_watch_mode mode, int64_t poll_ms, int64_t rescan_ms, const char *word)
{
	options.mode = mode;
	options.poll_interval_ms = poll_ms;
	options.rescan_interval_ms = rescan_ms;
	EXPECT(-EINVAL, cancel_watch_open(&watch, spool, &options, &error));
	EXPECT_WORDS(word);
	cr_assert_null(watch);
}

static void expect_accepted(int64_t poll_ms, int64_t rescan_ms)
{
	options.mode = CANCEL_WATCH_AUTO;
	options.poll_interval_ms = poll_ms;
	options.rescan_interval_ms = rescan_ms;
	begin();
	cancel_watch_close(watch);
	watch = NULL;
}

Test(watch, options_out_of_range_are_refused)
{
	expect_refused((enum cancel_watch_mode)3, 1000, 30000, "mode");
	expect_refused(CANCEL_WATCH_AUTO, 9, 30000, "poll_interval");
	expect_refused(CANCEL_WATCH_AUTO, 3600001, 30000, "poll_interval");
	expect_refused(CANCEL_WATCH_AUTO, 1000, 999, "rescan_interval");
	expect_refused(CANCEL_WATCH_AUTO, 1000, 86400001, "rescan_interval");
	expect_accepted(10, 1000);
	expect_accepted(3600000, 86400000);
}

Test(watch, closing_nothing_is_fine)
{
	cancel_watch_close(NULL);
}

/* --- the start ---------------------------------------------------------------------------------------- */

Test(watch, the_first_dispatch_reports_what_is_pending)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	EXPECT(CANCEL_REQUESTED, ask("b", "run", "why", NULL));
	begin();
	cr_assert(readable(0), "nobody would ever dispatch");
	cr_assert_eq(dispatch(), 2);
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "a"));
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "b"));
	cr_assert(!readable(0), "it asks for a dispatch with nothing to do");
	cr_assert_eq(dispatch(), 0);
}

Test(watch, with_no_options_the_defaults_hold)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	EXPECT(0, cancel_watch_open(&watch, spool, NULL, &error));
	cr_assert_eq(dispatch(), 1);
}

Test(watch, what_was_decided_before_the_start_is_not_reported)
{
	EXPECT(CANCEL_REQUESTED, ask("old", NULL, "why", NULL));
	EXPECT(CANCEL_DECIDED, decide("old", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	EXPECT(CANCEL_REQUESTED, ask("litter", NULL, "why", NULL));
	copy("pending/litter.json", "kept");
	EXPECT(CANCEL_DECIDED, decide("litter", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	begin(); /* at once: change times cannot tell before from after */
	cr_assert_eq(dispatch(), 0);
	copy("kept", "pending/litter.json");
	cr_assert_eq(dispatch(), 0);
	cr_assert_eq(unlink(at("kept")), 0);
	rescan();
	EXPECT(CANCEL_REQUESTED, ask("new", NULL, "why", NULL));
	rescan();
	cr_assert_eq(event_count, 1);
}

Test(watch, what_was_decided_long_before_the_start_is_not_reported)
{
	EXPECT(CANCEL_REQUESTED, ask("old", NULL, "why", NULL));
	copy("pending/old.json", "kept");
	EXPECT(CANCEL_DECIDED, decide("old", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	granules_pass();
	begin();
	copy("kept", "pending/old.json"); /* litter */
	cr_assert_eq(unlink(at("kept")), 0);
	cr_assert_eq(dispatch(), 0);
	EXPECT(CANCEL_REQUESTED, ask("new", NULL, "why", NULL));
	EXPECT(CANCEL_DECIDED, decide("new", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	rescan();
	rescan();
	cr_assert_eq(event_count, 2);
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "new"));
	cr_assert_not_null(event_of(CANCEL_EVENT_DECIDED, "new"));
}

Test(watch, what_is_decided_before_the_first_dispatch_is_reported)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	begin();
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_FINISHED));
	cr_assert_eq(dispatch(), 1);
	cr_assert_eq(event_of(CANCEL_EVENT_DECIDED, "a")->outcome, CANCEL_OUTCOME_FINISHED);
}

Test(watch, what_stands_is_skipped_on_wish)
{
	EXPECT(CANCEL_REQUESTED, ask("standing", NULL, "why", NULL));
	options.skip_standing = true;
	begin();
	cr_assert_eq(dispatch(), 0);
	EXPECT(CANCEL_REQUESTED, ask("new", NULL, "why", NULL));
	EXPECT(CANCEL_DECIDED, decide("standing", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(dispatch(), 2);
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "new"));
	cr_assert_not_null(event_of(CANCEL_EVENT_DECIDED, "standing"));
	rescan();
	cr_assert_eq(event_count, 2);
}

/* --- requests and decisions --------------------------------------------------------------------------- */

Test(watch, a_request_wakes_the_descriptor_and_is_reported)
{
	char id[CANCEL_REQUEST_ID_LENGTH + 1];

	begin();
	cr_assert_eq(dispatch(), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", id));
	cr_assert(readable(0));
	cr_assert_eq(dispatch(), 1);
	cr_assert_str_eq(event_of(CANCEL_EVENT_REQUESTED, "a")->id, id);
}

static int ask_twenty(void *arg)
{
	char task_id[64];

	(void)arg;
	for (int i = 0; i < 20; i++) {
		(void)snprintf(task_id, sizeof(task_id), "task_%d_%d", getpid(), i);
		if (ask(task_id, NULL, "why", NULL) != CANCEL_REQUESTED ||
		    (i % 2 && decide(task_id, NULL, NULL, CANCEL_OUTCOME_STOPPED) != CANCEL_DECIDED))
			return 1;
	}
	return 0;
}

Test(watch, requests_and_decisions_of_many_processes_are_each_reported)
{
	int results[8];

	begin();
	in_children(8, ask_twenty, NULL, results);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(results[i], 0);
	(void)dispatch();
	cr_assert_eq(type_counts[CANCEL_EVENT_REQUESTED], 160, "those that were decided first too");
	cr_assert_eq(type_counts[CANCEL_EVENT_DECIDED], 80);
	cr_assert_eq(event_count, 240);
}

Test(watch, a_request_is_reported_once_whatever_happens_to_its_file)
{
	begin();
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1);
	cr_assert_eq(chmod(at("pending/a.json"), 0644), 0);
	cr_assert_eq(utimensat(AT_FDCWD, at("pending/a.json"), NULL, 0), 0);
	cr_assert_eq(dispatch(), 0);
	rescan();
	rescan();
	cr_assert_eq(event_count, 1);
}

Test(watch, merged_terms_are_not_reported_again)
{
	begin();
	EXPECT(CANCEL_REQUESTED, ask_terms("a", 1000, 0));
	cr_assert_eq(dispatch(), 1);
	EXPECT(CANCEL_ALREADY_PENDING, ask_terms("a", 2000, 0));
	cr_assert(readable(0), "the file was not replaced");
	cr_assert_eq(dispatch(), 0);
}

Test(watch, a_decision_is_reported_once_with_its_outcome)
{
	begin();
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1);
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_FAILED));
	cr_assert_eq(dispatch(), 1);
	cr_assert_eq(event_of(CANCEL_EVENT_DECIDED, "a")->outcome, CANCEL_OUTCOME_FAILED);
	rescan();
	cr_assert_eq(event_count, 2);
}

Test(watch, litter_is_no_request)
{
	begin();
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	copy("pending/a.json", "kept");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	copy("kept", "pending/a.json");
	cr_assert_eq(unlink(at("kept")), 0);
	cr_assert_eq(dispatch(), 2);
	cr_assert_eq(event_of(CANCEL_EVENT_REQUESTED, "a")->outcome, CANCEL_OUTCOME_STOPPED,
		     "as it was decided");
	cr_assert_not_null(event_of(CANCEL_EVENT_DECIDED, "a"));
}

Test(watch, a_name_that_is_asked_and_decided_again_is_reported_again)
{
	begin();
	for (int i = 1; i <= 3; i++) {
		EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
		cr_assert_eq(dispatch(), 1);
		EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
		cr_assert_eq(dispatch(), 1);
	}
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "a"), 3);
	cr_assert_eq(times(CANCEL_EVENT_DECIDED, "a"), 3);
}

Test(watch, one_id_in_two_requests_does_not_hide_the_second)
{
	begin();
	put("pending/a.json", "{\"request_id\": \"00000000000000000000000000000001\"}");
	put("pending/b.json", "{\"request_id\": \"00000000000000000000000000000001\"}");
	(void)dispatch();
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "a"));
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "b"));
}

static void decide_on_event(void *arg, const struct cancel_event *event)
{
	on_event(arg, event);
	if (event->type == CANCEL_EVENT_REQUESTED)
		EXPECT(CANCEL_DECIDED, decide(event->request->task_id, NULL, NULL, CANCEL_OUTCOME_STOPPED));
}

Test(watch, the_callback_may_use_the_spool)
{
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	begin();
	EXPECT(2, cancel_watch_dispatch(watch, decide_on_event, events, &error));
	cr_assert_not_null(event_of(CANCEL_EVENT_DECIDED, "a"));
}

/* --- drops -------------------------------------------------------------------------------------------- */

Test(watch, a_drop_is_taken_in_and_then_requested)
{
	options.take_drops = true;
	begin();
	cr_assert_eq(dispatch(), 0);
	put("a.json", "{\"reason\": \"by hand\"}");
	cr_assert_eq(dispatch(), 2);
	cr_assert_eq(events[0].type, CANCEL_EVENT_DROPPED);
	cr_assert_str_eq(events[0].file, "a.json");
	cr_assert_str_eq(events[0].task_id, "a");
	cr_assert_str_eq(events[0].text, "");
	cr_assert_eq(events[1].type, CANCEL_EVENT_REQUESTED);
	cr_assert_str_eq(events[1].id, events[0].id);
	cr_assert(!there("a.json") && there("pending/a.json"));
}

Test(watch, drops_that_stand_at_the_start_are_taken_in)
{
	put("a.json", "{}");
	options.take_drops = true;
	begin();
	cr_assert_eq(dispatch(), 2);
}

static bool all_drops_are_taken(void *arg)
{
	(void)arg;
	tick();
	return type_counts[CANCEL_EVENT_DROPPED] == 4;
}

/* Three waits would take 30 s. */
Test(watch, whoever_holds_all_locks_is_waited_for_once_and_not_for_each_drop)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int64_t before_ms;
	int fd;

	options.take_drops = true;
	begin();
	cr_assert_eq(dispatch(), 0);
	fd = open(at("lock"), O_RDWR | O_CLOEXEC);
	cr_assert(fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) == 0);
	for (int i = 0; i < 4; i++) {
		char name[] = "0.json";

		name[0] = (char)('0' + i);
		put(name, "{}");
	}
	before_ms = clock_monotonic_ms();
	(void)dispatch();
	cr_assert_lt(clock_monotonic_ms() - before_ms, 5 * CANCEL_LOCK_WAIT_MS / 2);
	cr_assert_eq(type_counts[CANCEL_EVENT_DROPPED], 0);
	(void)close(fd);
	cr_assert(wait_until(all_drops_are_taken, NULL, PATIENCE_MS));
}

Test(watch, drops_are_left_alone_unless_wished)
{
	put("a.json", "{}");
	begin();
	cr_assert_eq(dispatch(), 0);
	put("b.json", "{}");
	rescan();
	cr_assert_eq(event_count, 0);
	cr_assert(there("a.json") && there("b.json"));
}

Test(watch, a_drop_for_what_is_pending_is_not_requested_again)
{
	options.take_drops = true;
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	begin();
	cr_assert_eq(dispatch(), 1);
	put("a.json", "{}");
	cr_assert_eq(dispatch(), 1);
	cr_assert_not_null(event_of(CANCEL_EVENT_DROPPED, "a"));
}

Test(watch, a_malformed_drop_cancels_once_its_writer_must_be_done)
{
	options.take_drops = true;
	begin();
	put("a.json", "{\"reason\": \"cut off");
	cr_assert_eq(dispatch(), 0);
	tick();
	cr_assert_eq(event_count, 0, "it is still being written");
	time_passes(CANCEL_SETTLE_MS / 1000);
	cr_assert_eq(dispatch(), 2);
	cr_assert(event_of(CANCEL_EVENT_DROPPED, "a")->malformed);
	cr_assert_neq(event_of(CANCEL_EVENT_DROPPED, "a")->text[0], '\0');
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "a"));
}

Test(watch, a_drop_that_is_none_is_refused_once)
{
	options.take_drops = true;
	cr_assert_eq(symlink("/etc/passwd", at("link.json")), 0);
	put("other.json", "{\"task_id\": \"another\"}");
	put("good.json", "{}");
	begin();
	cr_assert_eq(dispatch(), 4);
	cr_assert_not_null(refusal_of("link.json"));
	cr_assert_not_null(strstr(refusal_of("other.json")->text, "another task"));
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "good"));
	rescan();
	cr_assert_eq(event_count, 4);
	cr_assert(there("link.json") && there("other.json"));
}

/* --- what is still being written ---------------------------------------------------------------------- */

Test(watch, a_pending_file_that_is_being_written_is_reported_when_it_is_whole)
{
	begin();
	put("pending/a.json", "");
	cr_assert_eq(dispatch(), 0);
	put("pending/a.json", "{\"reason\": \"whole\"}");
	cr_assert_eq(dispatch(), 1);
	cr_assert(!event_of(CANCEL_EVENT_REQUESTED, "a")->malformed);
}

Test(watch, a_pending_file_that_never_gets_whole_is_reported_when_it_is_settled)
{
	begin();
	put("pending/a.json", "");
	cr_assert_eq(dispatch(), 0);
	time_passes(CANCEL_SETTLE_MS / 1000 + 1);
	cr_assert_eq(dispatch(), 1);
	cr_assert(event_of(CANCEL_EVENT_REQUESTED, "a")->malformed);
}

Test(watch, no_unsettled_file_is_forgotten_however_many_there_are)
{
	const int count = LATER_MAX + 50;
	char file[64];

	begin();
	for (int i = 0; i < count; i++) {
		(void)snprintf(file, sizeof(file), "pending/many_%d.json", i);
		put(file, "");
	}
	granules_pass();
	cr_assert_eq(dispatch(), 0);
	time_passes(CANCEL_SETTLE_MS / 1000 + 1);
	(void)dispatch();
	expect_many(0, count);
}

/* --- what is no request ------------------------------------------------------------------------------- */

static void plant(void)
{
	static char big[CANCEL_RECORD_MAX + 2];

	memset(big, ' ', sizeof(big) - 1);
	cr_assert_eq(symlink("/dev/zero", at("pending/link.json")), 0);
	cr_assert_eq(mkfifo(at("pending/fifo.json"), 0600), 0);
	cr_assert_eq(mkdir(at("pending/dir.json"), 0700), 0);
	put("pending/big.json", big);
	put("pending/other.json", "{\"task_id\": \"another\"}");
	put("pending/stranger", "{}");
}

static void expect_planted(void)
{
	static const char *const files[] = {"pending/link.json", "pending/fifo.json", "pending/dir.json",
					    "pending/big.json", "pending/other.json"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		cr_assert_not_null(refusal_of(files[i]), "%s was not refused", files[i]);
		cr_assert_not_null(strstr(refusal_of(files[i])->text, files[i]));
		cr_assert(there(files[i]), "%s is gone", files[i]);
	}
	cr_assert_eq(type_counts[CANCEL_EVENT_REFUSED], 5);
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "good"));
	cr_assert_eq(event_count, 6);
}

/* DESIGN.md, invariant 16 */
Test(watch, what_is_no_request_is_refused_once_and_holds_nothing_up)
{
	plant();
	EXPECT(CANCEL_REQUESTED, ask("good", NULL, "why", NULL));
	begin();
	(void)dispatch();
	expect_planted();
	rescan();
	expect_planted();
}

Test(watch, what_is_planted_while_watching_is_refused_too)
{
	begin();
	(void)dispatch();
	plant();
	EXPECT(CANCEL_REQUESTED, ask("good", NULL, "why", NULL));
	(void)dispatch();
	expect_planted();
	forget_events();
	cr_assert_eq(unlink(at("pending/fifo.json")), 0);
	cr_assert_eq(mkfifo(at("pending/fifo.json"), 0600), 0);
	cr_assert_eq(dispatch(), 1, "another file is another refusal");
}

Test(watch, a_name_with_control_bytes_is_escaped_in_the_sentence_only)
{
	begin();
	cr_assert_eq(mkfifo(at("pending/\x1b[31m.json"), 0600), 0);
	cr_assert_eq(dispatch(), 1);
	cr_assert_str_eq(events[0].file, "pending/\x1b[31m.json");
	cr_assert_null(strchr(events[0].text, '\x1b'));
}

/* --- losing and finding ------------------------------------------------------------------------------- */

/* DESIGN.md, invariant 12 */
Test(watch, an_overflow_is_answered_by_a_rescan_and_loses_nothing)
{
	begin();
	(void)dispatch();
	make_many(0, OVERFLOWING);
	(void)dispatch();
	while (readable(0))
		(void)dispatch();
	expect_many(0, OVERFLOWING);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
	cr_assert_eq(event_count, OVERFLOWING + 1);
}

/* Without a watch no event comes, as if all were lost. */
/* DESIGN.md, invariant 12 */
Test(watch, the_slow_rescan_finds_what_no_event_told_of)
{
	options.take_drops = true;
	EXPECT(CANCEL_REQUESTED, ask("old", NULL, "why", NULL));
	begin();
	cr_assert_eq(dispatch(), 1);
	rescan();
	dirwatch_remove_all(&watch->dirwatch);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	EXPECT(CANCEL_REQUESTED, ask("b", NULL, "why", NULL));
	EXPECT(CANCEL_DECIDED, decide("old", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	put("drop.json", "{}");
	cr_assert_eq(dispatch(), 0, "then this test tests nothing");
	rescan();
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "a"), 1);
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "b"), 1);
	cr_assert_eq(times(CANCEL_EVENT_DECIDED, "old"), 1);
	cr_assert_eq(times(CANCEL_EVENT_DROPPED, "drop"), 1);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 0, "nothing was wrong");
}

Test(watch, a_spool_that_is_gone_is_told_once_and_found_again)
{
	open_without_creating();
	begin();
	(void)dispatch();
	remove_tree(place_path);
	tick();
	tick();
	tick();
	cr_assert_eq(event_count, 1);
	cr_assert_eq(events[0].type, CANCEL_EVENT_DEGRADED);
	cr_assert_not_null(strstr(events[0].text, place_path));
	forget_events();
	cr_assert_eq(in_child_as(0, make_spool_and_ask, (char[]){"new"}), 0);
	(void)await(CANCEL_EVENT_RESCANNED, NULL);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESTORED], 1);
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "new"), 1);
	EXPECT(CANCEL_REQUESTED, ask("later", NULL, "why", NULL));
	(void)await(CANCEL_EVENT_REQUESTED, "later");
}

Test(watch, a_removed_spool_makes_itself_again_where_it_may)
{
	begin();
	(void)dispatch();
	EXPECT(CANCEL_REQUESTED, ask("lost", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1);
	remove_tree(place_path);
	tick();
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
	cr_assert_eq(type_counts[CANCEL_EVENT_DEGRADED], 0);
	EXPECT(CANCEL_REQUESTED, ask("new", NULL, "why", NULL));
	(void)await(CANCEL_EVENT_REQUESTED, "new");
}

static void put_away(const char *file)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", place_root, file);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && write(fd, "{}", 2) == 2);
	(void)close(fd);
}

static void move_spool(const char *from, const char *to)
{
	char paths[2][128];

	(void)snprintf(paths[0], sizeof(paths[0]), "%s/%s", place_root, from);
	(void)snprintf(paths[1], sizeof(paths[1]), "%s/%s", place_root, to);
	cr_assert_eq(rename(paths[0], paths[1]), 0);
}

Test(watch, a_spool_that_is_replaced_is_watched_where_it_stands_now)
{
	begin();
	EXPECT(CANCEL_REQUESTED, ask("old", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1);
	move_spool("spool", "away");
	cr_assert_eq(in_child_as(0, make_spool_and_ask, (char[]){"new"}), 0);
	(void)await(CANCEL_EVENT_RESCANNED, NULL);
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "new"), 1);
	cr_assert_eq(type_counts[CANCEL_EVENT_DEGRADED], 0);
	EXPECT(CANCEL_REQUESTED, ask("newer", NULL, "why", NULL));
	(void)await(CANCEL_EVENT_REQUESTED, "newer");
	/* And back: what was reported of it is known, what came meanwhile is not. */
	put_away("away/pending/meanwhile.json");
	move_spool("spool", "gone");
	move_spool("away", "spool");
	forget_events();
	tick();
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "meanwhile"), 1);
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "old"), 0);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
}

/* Somebody holds the lock by which others see that he rings for all. */
static bool is_rung_for(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd = open(path, O_RDWR | O_CLOEXEC);

	cr_assert(fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0);
	(void)close(fd);
	return lock.l_type != F_UNLCK;
}

/* A bell that was left behind or moved has all its links still. */
Test(watch, who_rings_for_others_does_so_where_the_spool_stands_now)
{
	options.rings = true;
	begin();
	(void)dispatch();
	cr_assert(is_rung_for(at("bell")));
	move_spool("spool", "away");
	cr_assert_eq(in_child_as(0, make_spool_and_ask, (char[]){"new"}), 0);
	(void)await(CANCEL_EVENT_RESCANNED, NULL);
	tick();
	cr_assert(is_rung_for(at("bell")), "others look by themselves");
	cr_assert(!is_rung_for(beside("away/bell")), "who sleeps there waits for him");
	cr_assert_eq(rename(at("bell"), beside("bell")), 0);
	cr_assert_eq(in_child_as(0, make_spool_and_ask, (char[]){"newer"}), 0);
	(void)await(CANCEL_EVENT_REQUESTED, "newer");
	tick();
	cr_assert(is_rung_for(at("bell")));
	cr_assert(!is_rung_for(beside("bell")));
}

Test(watch, what_is_old_in_a_directory_that_takes_the_place_is_reported_too)
{
	cr_assert_eq(in_child_as(0, make_spool_and_ask, (char[]){"prepared"}), 0);
	move_spool("spool", "prepared");
	open_creating();
	EXPECT(CANCEL_REQUESTED, ask("old", NULL, "why", NULL));
	granules_pass();
	begin();
	cr_assert_eq(dispatch(), 1);
	move_spool("spool", "away");
	move_spool("prepared", "spool");
	tick();
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "prepared"), 1);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
}

Test(watch, a_spool_that_was_away_for_a_while_is_rescanned)
{
	open_without_creating();
	begin();
	EXPECT(CANCEL_REQUESTED, ask("old", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1);
	move_spool("spool", "away");
	tick();
	put_away("away/pending/meanwhile.json");
	move_spool("away", "spool");
	tick();
	cr_assert_eq(type_counts[CANCEL_EVENT_DEGRADED], 1);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESTORED], 1);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "meanwhile"), 1);
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "old"), 1);
	EXPECT(CANCEL_REQUESTED, ask("new", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1);
}

/* Nobody is told of this one by inotify; only the path tells. */
Test(watch, a_parent_that_is_moved_is_noticed_by_the_path)
{
	struct cancel_spool_options spool_options;
	char inner[128];

	cancel_spool_options_init(&spool_options);
	spool_options.create = true;
	(void)snprintf(inner, sizeof(inner), "%s/parent", place_root);
	cr_assert_eq(mkdir(inner, 0700), 0);
	(void)strcat(inner, "/spool");
	spool_options.path = inner;
	EXPECT(0, spool_case_reopen(&spool_options));
	begin();
	(void)dispatch();
	move_spool("parent", "moved");
	cr_assert(!readable(0), "then this test tests something else");
	(void)await(CANCEL_EVENT_DEGRADED, NULL);
	move_spool("moved", "parent");
	(void)await(CANCEL_EVENT_RESTORED, NULL);
}

Test(watch, a_directory_that_was_moved_and_put_back_is_rescanned)
{
	begin();
	(void)dispatch();
	cr_assert_eq(rename(at("pending"), at("elsewhere")), 0);
	put("elsewhere/meanwhile.json", "{}");
	cr_assert_eq(rename(at("elsewhere"), at("pending")), 0);
	(void)dispatch();
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "meanwhile"), 1);
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
	EXPECT(CANCEL_REQUESTED, ask("new", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1, "it is not watched any more");
}

Test(watch, a_directory_that_was_replaced_is_watched_and_the_others_are_known)
{
	begin();
	EXPECT(CANCEL_REQUESTED, ask("old", NULL, "why", NULL));
	cr_assert_eq(dispatch(), 1);
	remove_tree(at("processed"));
	cr_assert_eq(mkdir(at("processed"), 0700), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(dispatch(), 3);
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "a"));
	cr_assert_not_null(event_of(CANCEL_EVENT_DECIDED, "a"));
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
	EXPECT(CANCEL_DECIDED, decide("old", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(dispatch(), 1, "the new one is not watched");
}

/* --- polling ------------------------------------------------------------------------------------------ */

Test(watch, polling_sees_requests_decisions_and_drops)
{
	const char *why = NULL;

	options.mode = CANCEL_WATCH_POLL;
	options.take_drops = true;
	begin();
	cr_assert_eq(cancel_watch_mode(watch, &why), CANCEL_WATCH_POLL);
	cr_assert_not_null(why);
	cr_assert_eq(watch->dirwatch.fd, -1, "it has an inotify instance all the same");
	(void)dispatch();
	for (int i = 0; i < 20; i++) {
		char task_id[32], file[32];

		(void)snprintf(task_id, sizeof(task_id), "task_%d", i);
		(void)snprintf(file, sizeof(file), "drop_%d.json", i);
		EXPECT(CANCEL_REQUESTED, ask(task_id, NULL, "why", NULL));
		(void)await(CANCEL_EVENT_REQUESTED, task_id);
		EXPECT(CANCEL_DECIDED, decide(task_id, NULL, NULL, CANCEL_OUTCOME_STOPPED));
		(void)await(CANCEL_EVENT_DECIDED, task_id);
		put(file, "{}");
		(void)snprintf(task_id, sizeof(task_id), "drop_%d", i);
		(void)await(CANCEL_EVENT_REQUESTED, task_id);
	}
	cr_assert_eq(event_count, 80);
}

Test(watch, polling_follows_the_path)
{
	options.mode = CANCEL_WATCH_POLL;
	begin();
	(void)dispatch();
	move_spool("spool", "away");
	cr_assert_eq(in_child_as(0, make_spool_and_ask, (char[]){"new"}), 0);
	(void)await(CANCEL_EVENT_REQUESTED, "new");
	cr_assert_eq(type_counts[CANCEL_EVENT_RESCANNED], 1);
}

Test(watch, polling_looks_at_refused_files_again_when_they_were_changed_in_place)
{
	options.mode = CANCEL_WATCH_POLL;
	put("pending/a.json", "{\"task_id\": \"another\"}");
	granules_pass();
	begin();
	cr_assert_eq(dispatch(), 1);
	put("pending/a.json", "{}"); /* the directory does not change */
	rescan();
	cr_assert_eq(times(CANCEL_EVENT_REQUESTED, "a"), 1);
}

Test(watch, a_blind_filesystem_is_polled_and_that_is_no_degradation)
{
	const char *why = NULL;

	spool->filesystem.notice = NOTICE_BLIND;
	spool->filesystem.name = "nfs";
	begin();
	cr_assert_eq(cancel_watch_mode(watch, &why), CANCEL_WATCH_POLL);
	cr_assert_not_null(strstr(why, "nfs"));
	cr_assert_eq(dispatch(), 0);
	EXPECT(CANCEL_REQUESTED, ask("a", NULL, "why", NULL));
	(void)await(CANCEL_EVENT_REQUESTED, "a");
	EXPECT(CANCEL_DECIDED, decide("a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	(void)await(CANCEL_EVENT_DECIDED, "a");
	cr_assert_eq(event_count, 2);
}

Test(watch, on_a_server_too_what_was_decided_before_the_start_is_not_reported)
{
	spool->filesystem.notice = NOTICE_BLIND;
	for (int i = 0; i < 2; i++) {
		EXPECT(CANCEL_REQUESTED, ask(i ? "b" : "a", NULL, "why", NULL));
		EXPECT(CANCEL_DECIDED, decide(i ? "b" : "a", NULL, NULL, CANCEL_OUTCOME_STOPPED));
		granules_pass();
	}
	begin();
	cr_assert_eq(dispatch(), 0);
	time_passes(20); /* so far back the next scan has to look */
	EXPECT(CANCEL_REQUESTED, ask("new", NULL, "why", NULL));
	EXPECT(CANCEL_DECIDED, decide("new", NULL, NULL, CANCEL_OUTCOME_STOPPED));
	cr_assert_eq(dispatch(), 2);
	cr_assert_not_null(event_of(CANCEL_EVENT_REQUESTED, "new"));
	cr_assert_not_null(event_of(CANCEL_EVENT_DECIDED, "new"));
}

Test(watch, inotify_is_refused_where_it_is_blind)
{
	spool->filesystem.notice = NOTICE_BLIND;
	options.mode = CANCEL_WATCH_INOTIFY;
	EXPECT(-ENOTSUP, cancel_watch_open(&watch, spool, &options, &error));
	cr_assert_null(watch);
}

Test(watch, an_unknown_filesystem_is_watched_both_ways)
{
	spool->filesystem.notice = NOTICE_UNKNOWN;
	begin();
	cr_assert_eq(cancel_watch_mode(watch, NULL), CANCEL_WATCH_INOTIFY);
	(void)dispatch();
	EXPECT(CANCEL_REQUESTED, ask("told", NULL, "why", NULL));
	(void)await(CANCEL_EVENT_REQUESTED, "told");
	dirwatch_remove_all(&watch->dirwatch);
	EXPECT(CANCEL_REQUESTED, ask("untold", NULL, "why", NULL));
	(void)await(CANCEL_EVENT_REQUESTED, "untold");
	cr_assert_eq(event_count, 2);
}

/* --- limits ------------------------------------------------------------------------------------------- */

/* In a child, so that no other program of this user goes without: each step that fails has its number. */
#define STEP(number, condition)                     \
	do {                                        \
		if (!(condition))                   \
			return failed_step(number); \
	} while (0)

static int failed_step(int number)
{
	(void)fprintf(stderr, "step %d failed; the latest error: %s\n", number, error.text);
	return number;
}

static int open_own_spool(void)
{
	char path[128];
	struct cancel_spool_options spool_options;

	(void)snprintf(path, sizeof(path), "%s/own", place_root);
	cancel_spool_options_init(&spool_options);
	spool_options.create = true;
	spool_options.path = path;
	return spool_case_reopen(&spool_options);
}

static int dispatch_in_child(void)
{
	return cancel_watch_dispatch(watch, on_event, events, &error);
}

static int exhaust_instances(void *arg)
{
	static int instances[INSTANCES_MAX];
	const char *why = NULL;
	int count = 0;

	(void)arg;
	STEP(1, open_own_spool() == 0);
	options.rescan_interval_ms = 1000;
	while (count < INSTANCES_MAX && (instances[count] = inotify_init1(IN_CLOEXEC)) >= 0)
		count++;
	STEP(2, count > 0 && count < INSTANCES_MAX && errno == EMFILE);
	options.mode = CANCEL_WATCH_INOTIFY;
	STEP(3, cancel_watch_open(&watch, spool, &options, &error) == -EMFILE);
	STEP(4, strstr(error.text, "fs.inotify.max_user_instances"));
	options.mode = CANCEL_WATCH_AUTO;
	STEP(5, cancel_watch_open(&watch, spool, &options, &error) == 0);
	STEP(6, cancel_watch_mode(watch, &why) == CANCEL_WATCH_POLL);
	STEP(7, strstr(why, "fs.inotify.max_user_instances"));
	STEP(8, ask("before", NULL, "why", NULL) == CANCEL_REQUESTED);
	STEP(9, dispatch_in_child() == 2);
	STEP(10, events[0].type == CANCEL_EVENT_DEGRADED);
	STEP(11, strstr(events[0].text, "fs.inotify.max_user_instances"));
	STEP(12, times(CANCEL_EVENT_REQUESTED, "before") == 1);
	STEP(13, ask("while", NULL, "why", NULL) == CANCEL_REQUESTED);
	time_passes(2); /* tries again, in vain */
	STEP(14, dispatch_in_child() == 1);
	STEP(15, times(CANCEL_EVENT_REQUESTED, "while") == 1);
	granules_pass();
	while (count-- > 0)
		(void)close(instances[count]);
	STEP(16, ask("freed", NULL, "why", NULL) == CANCEL_REQUESTED);
	time_passes(2);
	STEP(17, dispatch_in_child() == 2);
	STEP(18, times(CANCEL_EVENT_REQUESTED, "freed") == 1);
	STEP(19, type_counts[CANCEL_EVENT_RESTORED] == 1);
	STEP(20, cancel_watch_mode(watch, NULL) == CANCEL_WATCH_INOTIFY);
	STEP(21, ask("after", NULL, "why", NULL) == CANCEL_REQUESTED);
	STEP(22, dispatch_in_child() == 1);
	STEP(23, times(CANCEL_EVENT_REQUESTED, "after") == 1);
	return 0;
}

static int be_kept_from_a_drop(void *arg)
{
	char path[128];

	(void)arg;
	STEP(1, open_own_spool() == 0);
	options.take_drops = true;
	put_away("own/drop.json");
	(void)snprintf(path, sizeof(path), "%s/own/tmp", place_root);
	STEP(2, chmod(path, 0500) == 0);
	granules_pass();
	STEP(3, cancel_watch_open(&watch, spool, &options, &error) == 0);
	STEP(4, dispatch_in_child() == 1);
	STEP(5, refusal_of("drop.json"));
	STEP(6, chmod(path, 0700) == 0);
	time_passes(options.rescan_interval_ms / 1000 + 1);
	STEP(7, dispatch_in_child() == 2);
	STEP(8, event_of(CANCEL_EVENT_REQUESTED, "drop"));
	return 0;
}

static uid_t other_user(uid_t user)
{
	if (geteuid() != 0)
		return 0;
	cr_assert_eq(chown(place_root, user, (gid_t)-1), 0);
	return user;
}

Test(watch, used_up_instances_mean_polling_and_nothing_is_missed)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max; /* the instances are to run out first */
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(in_child_as(other_user(NOBODY_ELSE), exhaust_instances, NULL), 0, "the step of that number failed");
}

static int be_kept_out(void *arg)
{
	char path[128];

	(void)arg;
	STEP(1, open_own_spool() == 0);
	STEP(2, ask("a", NULL, "why", NULL) == CANCEL_REQUESTED);
	STEP(3, ask("b", NULL, "why", NULL) == CANCEL_REQUESTED);
	(void)snprintf(path, sizeof(path), "%s/own/pending/a.json", place_root);
	STEP(4, chmod(path, 0) == 0);
	STEP(5, cancel_watch_open(&watch, spool, &options, &error) == 0);
	STEP(6, dispatch_in_child() == 2);
	STEP(7, refusal_of("pending/a.json") && event_of(CANCEL_EVENT_REQUESTED, "b"));
	STEP(8, chmod(path, 0600) == 0);
	STEP(9, dispatch_in_child() == 1);
	STEP(10, event_of(CANCEL_EVENT_REQUESTED, "a"));
	return 0;
}

Test(watch, a_request_that_cannot_be_read_is_refused_until_it_can)
{
	cr_assert_eq(in_child_as(other_user(SOMEBODY), be_kept_out, NULL), 0, "the step of that number failed");
}

Test(watch, a_drop_that_could_not_be_taken_in_is_tried_again)
{
	cr_assert_eq(in_child_as(other_user(SOMEBODY), be_kept_from_a_drop, NULL), 0,
		     "the step of that number failed");
}

static void limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count ? count : limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The limit that leaves `count` descriptors to open: what is open already may have holes. */
static rlim_t limit_for(int count)
{
	int fds[8], last = count;

	limit_descriptors(0);
	for (int i = 0; i <= last; i++)
		fds[i] = dup(STDIN_FILENO);
	for (int i = 0; i <= last; i++)
		(void)close(fds[i]);
	return (rlim_t)fds[last];
}

Test(watch, out_of_descriptors_a_dispatch_fails_and_misses_nothing)
{
	options.take_drops = true;
	make_many(0, 10);
	begin();
	limit_descriptors(limit_for(0));
	EXPECT(-EMFILE, cancel_watch_dispatch(watch, on_event, events, &error)); /* no scan can begin */
	cr_assert(!readable(0), "it would be asked again and again");
	limit_descriptors(limit_for(1));
	EXPECT(-EMFILE,
	       cancel_watch_dispatch(watch, on_event, events, &error)); /* the scan has the last one */
	EXPECT(-EMFILE, cancel_watch_dispatch(watch, on_event, events, &error));
	limit_descriptors(0);
	make_many(10, 2010); /* hints wait while it fails */
	limit_descriptors(limit_for(0));
	EXPECT(-EMFILE, cancel_watch_dispatch(watch, on_event, events, &error));
	cr_assert(!readable(0), "it would be asked again and again");
	limit_descriptors(0);
	tick();
	expect_many(0, 2010);
	cr_assert_eq(event_count, 2010);
	make_many(2010, 2011);
	cr_assert(readable(0), "it does not listen any more");
}

Test(watch, out_of_descriptors_there_is_no_inotify_and_the_sentence_says_which_limit)
{
	limit_descriptors(limit_for(2)); /* the descriptor and the timer */
	options.mode = CANCEL_WATCH_INOTIFY;
	EXPECT(-EMFILE, cancel_watch_open(&watch, spool, &options, &error));
	EXPECT_WORDS("ulimit -n");
	limit_descriptors(0);
	limit_descriptors(limit_for(0));
	EXPECT(-EMFILE, cancel_watch_open(&watch, spool, &options, &error));
	limit_descriptors(0);
}

/* --- interrupting ------------------------------------------------------------------------------------- */

Test(watch, an_interrupted_dispatch_returns_and_the_next_one_goes_on)
{
	const int count = 5000;

	make_many(0, count);
	begin();
	cancel_watch_interrupt(watch);
	cr_assert_eq(dispatch(), 0, "one that comes too early counts for the next dispatch");
	cr_assert(readable(0));
	for (int done = 0; done < 50; done += INTERRUPT_AT) {
		interrupt_at = done + INTERRUPT_AT;
		cr_assert_eq(dispatch(), INTERRUPT_AT);
		cr_assert(readable(0), "nobody would dispatch the rest");
	}
	interrupt_at = 0;
	(void)dispatch();
	expect_many(0, count);
	cr_assert_eq(event_count, count);
}

Test(watch, an_interrupt_among_hints_loses_none)
{
	begin();
	(void)dispatch();
	make_many(0, 1000);
	interrupt_at = INTERRUPT_AT;
	cr_assert_eq(dispatch(), INTERRUPT_AT);
	cr_assert(readable(0));
	cr_assert_eq(dispatch(), 1000 - INTERRUPT_AT);
	expect_many(0, 1000);
}

static void on_signal(int number)
{
	(void)number;
	cancel_watch_interrupt(watch);
}

static void raise_on_event(void *arg, const struct cancel_event *event)
{
	on_event(arg, event);
	if (event_count == INTERRUPT_AT)
		(void)raise(SIGUSR1);
}

Test(watch, a_signal_handler_may_interrupt)
{
	struct sigaction action = {.sa_handler = on_signal};

	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
	make_many(0, 100);
	begin();
	EXPECT(INTERRUPT_AT, cancel_watch_dispatch(watch, raise_on_event, events, &error));
	cr_assert_eq(dispatch(), 100 - INTERRUPT_AT);
}

/* --- memory ------------------------------------------------------------------------------------------- */

static long resident_kb(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	cr_assert(file && fscanf(file, "%*d %ld", &pages) == 1);
	(void)fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* As a foreign program does it, which is faster. */
static void put_many(int count)
{
	int pending_fd = spool->fds[SPOOL_PENDING];
	char file[32];

	for (int i = 0; i < count; i++) {
		int fd;

		(void)snprintf(file, sizeof(file), "many_%d.json", i);
		fd = openat(pending_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		cr_assert(fd >= 0 && write(fd, "{}", 2) == 2);
		(void)close(fd);
	}
}

/* Sanitizers and valgrind put their own allocator in its place, and keep what was freed. */
static bool is_systems_allocator(void)
{
	return mallinfo2().uordblks > 0;
}

/* DESIGN.md, invariant 12 */
Test(watch, memory_does_not_grow_with_the_spool)
{
	long before_kb, after_kb;

	put_many(MANY_MAX);
	begin();
	interrupt_at = 2 * EVENTS_MAX; /* what this test itself remembers is full then */
	(void)dispatch();
	before_kb = resident_kb();
	(void)dispatch();
	after_kb = resident_kb();
	cr_assert_eq(type_counts[CANCEL_EVENT_REQUESTED], MANY_MAX);
	/* The table of the latest has 2 MiB, of which the first few thousand touched a half. */
	if (is_systems_allocator())
		cr_assert_lt(after_kb - before_kb, 3072, "%ld KiB more", after_kb - before_kb);
	expect_many(0, MANY_MAX);
}
