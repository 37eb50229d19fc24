/* Leases: what a run leaves in runs/ while it lives, who is shown as running, and what is no lease. */
#include "clock.h"
#include "process.h"
#include "shifted_clock.h"
#include "tasking.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MANY = 200,
	DEAD_KEEP_S = 5,
	NEEDED_MAX = 12, /* more descriptors than a begin can need at once */
	SUFFIX = 10,     /* characters in "@@XXXXXXXX" */
	LOOKS = 5000,
};

TestSuite(run, .init = tasking_set_up, .fini = tasking_tear_down, .timeout = 60);

/* --- what is there -------------------------------------------------------------------------------------- */

/* By the kernel's word: somebody holds a lock on all of it. */
static bool is_locked(const char *file)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(at(file), O_RDWR | O_CLOEXEC);

	cr_assert_geq(fd, 0, "no %s", file);
	cr_assert_eq(fcntl(fd, F_OFD_GETLK, &whole), 0);
	(void)close(fd);
	return whole.l_type == F_WRLCK && whole.l_start == 0 && whole.l_len == 0;
}

/* DESIGN.md, invariant 38 */
TASKING_TEST(run, a_task_has_a_locked_lease_as_long_as_it_lives)
{
	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(count_in("runs"), 1);
	cr_assert(is_locked("runs/a"));
	cr_assert_eq(stat_of("runs/a").st_mode & 0777, 0600);
	cr_assert_eq(count_in("tmp"), 0);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	cr_assert_eq(count_in("runs"), 0);
}

static const char *text_in(const json_t *lease, const char *key)
{
	return json_string_value(json_object_get(lease, key));
}

TASKING_MODES_TEST(run, it_says_in_one_line_who_runs_what)
{
	static const char *const also[] = {"tenant_acme", "all \"of\" them"};
	json_t *lease;
	char *text;

	tasking_open(way);
	terms.run = "run/1";
	terms.also = also;
	terms.also_count = 2;
	EXPECT(0, tasking_begin("a"));
	text = get("runs/a@run%2F1");
	cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "%s", text);
	lease = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(lease, "%s", text);
	cr_assert_str_eq(text_in(lease, "task_id"), "a");
	cr_assert_str_eq(text_in(lease, "run"), "run/1");
	cr_assert_eq(json_array_size(json_object_get(lease, "also")), 2);
	cr_assert_str_eq(json_string_value(json_array_get(json_object_get(lease, "also"), 1)), also[1]);
	cr_assert_eq(json_integer_value(json_object_get(lease, "pid")), getpid());
	cr_assert_eq(json_integer_value(json_object_get(lease, "uid")), geteuid());
	cr_assert_str_eq(text_in(lease, "boot_id"), clock_boot_id());
	cr_assert_eq(strlen(text_in(lease, "started_at")), strlen("2025-01-01T00:00:00.000000Z"));
	cr_assert_not_null(text_in(lease, "host"));
	cr_assert_not_null(text_in(lease, "program"));
	json_decref(lease);
	free(text);
}

TASKING_MODES_TEST(run, without_run_and_further_ids_it_says_so)
{
	json_t *lease;
	char *text;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	text = get("runs/a");
	lease = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(json_is_null(json_object_get(lease, "run")), "%s", text);
	cr_assert_eq(json_array_size(json_object_get(lease, "also")), 0);
	json_decref(lease);
	free(text);
}

/* The longest that all of them can be: a lease holds them all. */
TASKING_MODES_TEST(run, it_holds_the_longest_ids)
{
	static char texts[CANCEL_TASK_ALSO_MAX][CANCEL_TASK_ID_MAX + 1];
	const char *also[CANCEL_TASK_ALSO_MAX];

	for (int i = 0; i < CANCEL_TASK_ALSO_MAX; i++) {
		memset(texts[i], '\x01', CANCEL_TASK_ID_MAX); /* the longest when it is escaped */
		also[i] = texts[i];
	}
	tasking_open(way);
	terms.run = texts[0];
	terms.also = also;
	terms.also_count = CANCEL_TASK_ALSO_MAX;
	EXPECT(0, tasking_begin(texts[0]));
	cr_assert_eq(tasking_count_runs(texts[0]), 1);
}

static bool is_second_lease(const char *name, const char *plain)
{
	size_t length = strlen(plain);

	return !strncmp(name, plain, length) && strlen(name) == length + SUFFIX &&
	       !strncmp(name + length, "@@", 2) &&
	       strspn(name + length + 2, "0123456789abcdef") == SUFFIX - 2;
}

static int count_second_leases(const char *plain)
{
	struct process process;
	char *name, *rest;
	int count = 0;

	process_run(&process, WORDS("ls", at("runs")), NULL, NULL);
	for (name = strtok_r(process.out, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest))
		count += is_second_lease(name, plain);
	process_free(&process);
	return count;
}

TASKING_MODES_TEST(run, further_runs_of_one_name_have_leases_of_their_own)
{
	struct cancel_task *first;

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	first = task;
	for (int i = 1; i <= 5; i++) {
		EXPECT(0, tasking_begin("a"));
		cr_assert_eq(count_second_leases("a"), i);
	}
	cr_assert_eq(tasking_count_runs("a"), 6);
	cr_assert_eq(cancel_task_end(first, CANCEL_OUTCOME_FINISHED, NULL, &error), 0);
	cr_assert(!there("runs/a"));
	cr_assert_eq(tasking_count_runs("a"), 5);
	EXPECT(0, tasking_begin("a"));
	cr_assert(there("runs/a"), "the name was free");
}

TASKING_MODES_TEST(run, further_runs_with_a_run_id_too)
{
	tasking_open(way);
	EXPECT(0, tasking_begin_run("a", "r"));
	cr_assert(is_locked("runs/a@r"));
	EXPECT(0, tasking_begin_run("a", "r"));
	cr_assert_eq(count_second_leases("a@r"), 1);
	cr_assert_eq(tasking_count_runs("a"), 2);
}

TASKING_MODES_TEST(run, a_run_without_a_lease_leaves_nothing_and_is_not_seen)
{
	tasking_open(way);
	terms.no_lease = true;
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(count_in("runs"), 0);
	cr_assert_eq(tasking_count_runs(NULL), 0);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
}

TASKING_MODES_TEST(run, the_name_of_a_dead_one_is_taken_by_the_next)
{
	struct tasking_worker worker;

	tasking_open(way);
	tasking_worker_start(&worker, "a", NULL, NULL);
	tasking_worker_kill(&worker);
	cr_assert(there("runs/a"), "a kill leaves the file");
	cr_assert_eq(tasking_count_runs("a"), 0, "and the kernel frees the lock");
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(count_second_leases("a"), 1, "so young a file may be about to be locked");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	time_passes(DEAD_KEEP_S + 1);
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(count_in("runs"), 1);
	cr_assert(is_locked("runs/a"));
	cr_assert_eq(tasking_count_runs("a"), 1);
}

/* --- what stands in a lease's place --------------------------------------------------------------------- */

static void plant_directory(void)
{
	cr_assert_eq(mkdir(at("runs/a"), 0700), 0);
}

static void plant_fifo(void)
{
	cr_assert_eq(mkfifo(at("runs/a"), 0600), 0);
}

static void plant_link(void)
{
	cr_assert_eq(symlink("../version", at("runs/a")), 0);
}

static void plant_text(void)
{
	put("runs/a", "not JSON");
}

static void plant_nothing(void)
{
	put("runs/a", "");
}

static void plant_other(void)
{
	put("runs/a", "{\"task_id\": \"b\"}");
}

TASKING_MODES_TEST(run, what_stands_in_its_place_hinders_nobody)
{
	static void (*const plants[])(void) = {plant_directory, plant_fifo,    plant_link,
					       plant_text,      plant_nothing, plant_other};
	char *version = get("version"), *after;

	tasking_open(way);
	for (size_t i = 0; i < sizeof(plants) / sizeof(plants[0]); i++) {
		plants[i]();
		cr_assert_eq(tasking_count_runs(NULL), 0, "plant %zu", i);
		EXPECT(0, tasking_begin("a"));
		cr_assert_eq(tasking_count_runs("a"), 1, "plant %zu", i);
		EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
		cr_assert_eq(tasking_count_runs(NULL), 0);
		if (there("runs/a"))
			cr_assert_eq(remove(at("runs/a")), 0);
	}
	after = get("version");
	cr_assert_str_eq(after, version, "a link was followed");
	free(version);
	free(after);
}

static int lock_it(const char *file)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(at(file), O_RDWR | O_CLOEXEC);

	cr_assert(fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) == 0);
	return fd;
}

/* Somebody else's program, which keeps to the format. */
TASKING_MODES_TEST(run, a_lease_of_a_foreign_worker_is_one)
{
	int fd;

	tasking_open(way);
	put("runs/foreign", "{\"task_id\": \"foreign\"}");
	cr_assert_eq(tasking_count_runs("foreign"), 0);
	fd = lock_it("runs/foreign");
	cr_assert_eq(tasking_count_runs("foreign"), 1);
	EXPECT(0, tasking_begin("foreign"));
	cr_assert_eq(count_second_leases("foreign"), 1);
	tasking_ask("foreign");
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("foreign", NULL));
	(void)close(fd);
}

/* Of a worker that writes less than we do: the lock says that it lives, the name says whose it is. */
TASKING_MODES_TEST(run, a_locked_file_is_a_lease_by_its_name_whatever_its_text)
{
	static const char *const texts[] = {"",
					    "{",
					    "not JSON",
					    "[]",
					    "{}",
					    "{\"task_id\": 7}",
					    "{\"task_id\": \"\"}",
					    "{\"task_id\": \"other\"}"};

	tasking_open(way);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd;

		put("runs/b", texts[i]);
		fd = lock_it("runs/b");
		cr_assert_eq(tasking_count_runs("b"), 1, "'%s'", texts[i]);
		cr_assert_eq(tasking_count_runs(NULL), 1, "'%s'", texts[i]);
		(void)close(fd);
	}
}

TASKING_MODES_TEST(run, what_is_locked_and_has_no_runs_name_is_passed_over)
{
	static const char *const names[] = {"runs/.hidden", "runs/%zz", "runs/a%2", "runs/%61"};

	tasking_open(way);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd;

		put(names[i], "{\"task_id\": \"a\"}");
		fd = lock_it(names[i]);
		cr_assert_eq(tasking_count_runs(NULL), 0, "%s", names[i]);
		(void)close(fd);
	}
}

TASKING_MODES_TEST(run, the_lease_of_somebody_who_is_not_trusted_is_passed_over)
{
	struct cancel_spool_options trusting = *manager_options.spool;
	int fd;

	need_root();
	trusting.trusted_users[0] = SOMEBODY_ELSE;
	trusting.trusted_count = 1;
	manager_options.spool = &trusting;
	EXPECT(0, spool_case_reopen(&trusting));
	tasking_open(way);
	put("runs/a", "{\"task_id\": \"a\"}");
	fd = lock_it("runs/a");
	cr_assert_eq(chown(at("runs/a"), SOMEBODY_ELSE, (gid_t)-1), 0);
	cr_assert_eq(tasking_count_runs("a"), 1);
	cr_assert_eq(chown(at("runs/a"), SOMEBODY, (gid_t)-1), 0);
	cr_assert_eq(tasking_count_runs("a"), 0);
	tasking_ask("a");
	EXPECT(1, tasking_begin("a"));
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
	(void)close(fd);
}

/* --- listing -------------------------------------------------------------------------------------------- */

struct shown {
	int count, stop_after;
	struct cancel_run copy;
	char host[256], program[256];
};

static int show(void *arg, const struct cancel_run *listed)
{
	struct shown *shown = arg;

	shown->copy = *listed;
	(void)snprintf(shown->host, sizeof(shown->host), "%s", listed->host);
	(void)snprintf(shown->program, sizeof(shown->program), "%s", listed->program);
	cr_assert_str_eq(listed->task_id, "a");
	cr_assert_str_eq(listed->run, "r");
	cr_assert_str_eq(listed->also[0], "tenant");
	return ++shown->count == shown->stop_after ? 42 : 0;
}

TASKING_MODES_TEST(run, each_is_shown_with_all_that_is_known)
{
	int64_t before_us = clock_realtime_us();
	struct shown shown = {.count = 0};
	char host[256];

	tasking_open(way);
	terms.run = "r";
	EXPECT(0, tasking_begin_also("a", "tenant"));
	EXPECT(0, cancel_spool_runs(spool, show, &shown, &error));
	cr_assert_eq(shown.count, 1);
	cr_assert_eq(shown.copy.also_count, 1);
	cr_assert(shown.copy.started_at_us >= before_us && shown.copy.started_at_us <= clock_realtime_us());
	cr_assert_eq(shown.copy.uid, geteuid());
	cr_assert_eq(shown.copy.pid, getpid());
	cr_assert_eq(gethostname(host, sizeof(host)), 0);
	cr_assert_str_eq(shown.host, host);
	cr_assert_gt(strlen(shown.program), 0);
}

static int expect_bare(void *arg, const struct cancel_run *listed)
{
	++*(int *)arg;
	cr_assert_str_eq(listed->task_id, "a");
	cr_assert_null(listed->run);
	cr_assert_eq(listed->also_count, 0);
	cr_assert_eq(listed->started_at_us, 0);
	cr_assert_eq(listed->pid, -1);
	cr_assert_eq(listed->uid, geteuid(), "the file's owner");
	cr_assert_null(listed->host);
	cr_assert_null(listed->program);
	return 0;
}

Test(run, what_is_not_known_is_said_to_be)
{
	int count = 0, fd;

	put("runs/a", "{\"task_id\": \"a\", \"uid\": 4711}");
	fd = lock_it("runs/a");
	EXPECT(0, cancel_spool_runs(spool, expect_bare, &count, &error));
	cr_assert_eq(count, 1);
	(void)close(fd);
}

TASKING_MODES_TEST(run, the_visitor_may_end_the_listing)
{
	struct shown shown = {.stop_after = 2};

	tasking_open(way);
	terms.run = "r";
	for (int i = 0; i < 4; i++) {
		terms.run = "r";
		EXPECT(0, tasking_begin_also("a", "tenant"));
	}
	EXPECT(42, cancel_spool_runs(spool, show, &shown, &error));
	cr_assert_eq(shown.count, 2);
}

static int use_the_spool(void *arg, const struct cancel_run *listed)
{
	int inner = 0;

	EXPECT(0, cancel_spool_runs(spool, expect_bare, &inner, &error));
	cr_assert_eq(inner, 1);
	EXPECT(CANCEL_REQUESTED, ask("x", NULL, NULL, NULL));
	EXPECT(CANCEL_LOOKUP_PENDING, cancel_spool_lookup(spool, "x", NULL, NULL, &error));
	cr_assert_str_eq(listed->task_id, "a");
	++*(int *)arg;
	return 0;
}

Test(run, the_visitor_may_use_the_spool)
{
	int count = 0, fd;

	put("runs/a", "{\"task_id\": \"a\"}");
	fd = lock_it("runs/a");
	spool_case_mark_error();
	cr_assert_eq(cancel_spool_runs(spool, use_the_spool, &count, NULL), 0);
	cr_assert_eq(count, 1);
	(void)close(fd);
}

TASKING_MODES_TEST(run, all_of_many_are_shown)
{
	char id[32];

	tasking_open(way);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(id, sizeof(id), "many_%d", i);
		EXPECT(0, tasking_begin(id));
	}
	cr_assert_eq(tasking_count_runs(NULL), MANY);
	cr_assert_eq(tasking_count_runs("many_7"), 1);
	cr_assert_eq(tasking_close(), 0);
	cr_assert_eq(tasking_count_runs(NULL), 0);
}

TASKING_MODES_TEST(run, those_of_all_processes_are_shown)
{
	struct tasking_worker workers[3];

	tasking_open(way);
	EXPECT(0, tasking_begin("a"));
	for (int i = 0; i < 3; i++)
		tasking_worker_start(&workers[i], i ? "b" : "a", i == 2 ? "r" : NULL, NULL);
	cr_assert_eq(tasking_count_runs("a"), 2);
	cr_assert_eq(tasking_count_runs("b"), 2);
	tasking_worker_kill(&workers[2]);
	cr_assert_eq(tasking_count_runs("b"), 1);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(tasking_worker_end(&workers[i], CANCEL_OUTCOME_FINISHED), 0);
	cr_assert_eq(tasking_count_runs(NULL), 1);
}

/* --- whom a request would reach ------------------------------------------------------------------------- */

Test(run, a_run_listens_to_its_task_its_run_and_its_further_ids)
{
	static const struct {
		const char *task_id, *run;
		bool listens;
	} with_run[] = {
		{"a", NULL, true},  {"a", "r", true},     {"a", "s", false},  {"b", NULL, false},
		{"b", "r", false},  {"t1", NULL, true},   {"t2", NULL, true}, {"t3", NULL, false},
		{"t1", "r", false}, {"a@r", NULL, false}, {"", NULL, false},
	};
	struct cancel_run one = {.task_id = "a", .run = "r", .also = {"t1", "t2", "t3"}, .also_count = 2};

	for (size_t i = 0; i < sizeof(with_run) / sizeof(with_run[0]); i++)
		cr_assert_eq(cancel_run_listens(&one, with_run[i].task_id, with_run[i].run),
			     with_run[i].listens, "'%s' '%s'", with_run[i].task_id,
			     with_run[i].run ? with_run[i].run : "");
	one.run = NULL;
	cr_assert(cancel_run_listens(&one, "a", NULL));
	cr_assert(!cancel_run_listens(&one, "a", "r"));
	cr_assert(cancel_run_listens(&one, "t2", NULL));
}

/* --- the sweep ------------------------------------------------------------------------------------------ */

TASKING_MODES_TEST(run, a_sweep_removes_dead_ones_and_no_others)
{
	struct tasking_worker worker;

	tasking_open(way);
	EXPECT(0, tasking_begin("alive"));
	tasking_worker_start(&worker, "dead", NULL, NULL);
	cr_assert_eq(sweep(NULL).leases, 0);
	tasking_worker_kill(&worker);
	cr_assert_eq(sweep(NULL).leases, 0, "it may be about to be locked");
	time_passes(DEAD_KEEP_S + 1);
	cr_assert_eq(sweep(NULL).leases, 1);
	cr_assert(!there("runs/dead"));
	cr_assert(there("runs/alive"));
	cr_assert_eq(sweep(NULL).leases, 0);
}

Test(run, a_sweep_that_only_counts_removes_none)
{
	struct cancel_sweep_options dry;

	cancel_sweep_options_init(&dry);
	dry.dry_run = true;
	put("runs/a", "{\"task_id\": \"a\"}");
	time_passes(DEAD_KEEP_S + 1);
	cr_assert_eq(sweep(&dry).leases, 1);
	cr_assert(there("runs/a"));
	cr_assert_eq(sweep(NULL).leases, 1);
	cr_assert(!there("runs/a"));
}

/* Who is about to remove the lease of a dead one holds its bytes, but the first. */
static int hold_as_who_sweeps(void)
{
	struct flock others = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1};
	int fd = open(at("runs/a"), O_RDWR | O_CLOEXEC);

	cr_assert(fd >= 0 && fcntl(fd, F_OFD_SETLK, &others) == 0);
	return fd;
}

TASKING_MODES_TEST(run, who_removes_the_lease_of_a_dead_one_is_not_taken_for_a_run)
{
	struct tasking_worker worker;
	int fd;

	tasking_open(way);
	tasking_worker_start(&worker, "a", NULL, NULL);
	EXPECT(0, tasking_begin("a"));
	tasking_worker_kill(&worker);
	fd = hold_as_who_sweeps();
	cr_assert_eq(tasking_count_runs("a"), 1);
	tasking_ask("a");
	EXPECT(1, tasking_end(CANCEL_OUTCOME_FINISHED));
	cr_assert_eq(tasking_count_runs("a"), 0);
	(void)close(fd);
}

static struct cancel_sweep_options sweeping;

/* Puts the lease of a dead one there again and again, and sweeps, until it is killed. */
static _Noreturn void leave_and_sweep(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct cancel_sweep_result result;

		if (!there("runs/a"))
			put("runs/a", "{\"task_id\": \"a\"}\n");
		if (cancel_spool_sweep(spool, &sweeping, NULL, NULL, &result, NULL) < 0)
			_exit(1);
	}
}

static void expect_no_run_while_swept(bool dry_run)
{
	int status;
	pid_t pid;

	cancel_sweep_options_init(&sweeping);
	sweeping.dry_run = dry_run;
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		leave_and_sweep();
	for (int i = 0; i < LOOKS; i++)
		cr_assert_eq(tasking_count_runs("a"), 0, "look %d", i);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status), "it has ended: %d", WEXITSTATUS(status));
}

Test(run, a_sweep_that_only_counts_is_not_taken_for_a_run)
{
	time_passes(DEAD_KEEP_S + 1);
	expect_no_run_while_swept(true);
}

Test(run, a_sweep_that_removes_is_not_taken_for_a_run)
{
	time_passes(DEAD_KEEP_S + 1);
	expect_no_run_while_swept(false);
}

/* DESIGN.md, invariant 15 */
Test(run, a_sweep_leaves_what_is_no_lease)
{
	plant_directory();
	time_passes(DEAD_KEEP_S + 1);
	cr_assert_eq(sweep(NULL).leases, 0);
	cr_assert(there("runs/a"));
	cr_assert_eq(rmdir(at("runs/a")), 0);
	plant_link();
	cr_assert_eq(sweep(NULL).leases, 0);
	cr_assert(there("runs/a"));
	cr_assert_eq(unlink(at("runs/a")), 0);
	plant_fifo();
	cr_assert_eq(sweep(NULL).leases, 0);
	cr_assert(there("runs/a"));
}

/* --- out of room ---------------------------------------------------------------------------------------- */

static void take_all_room(void)
{
	struct rlimit none = {0, RLIM_INFINITY};

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void make_room(void)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
}

static bool has_its_lease(void *arg)
{
	const struct tasking_way *way = arg;

	if (way->waits)
		(void)cancel_task_wait(task, CANCEL_MILLISECOND);
	else
		(void)cancel_task_checkpoint(task);
	return there("runs/a") && cancel_manager_trouble(manager, NULL) == 0;
}

/* While a thread tries to take it, there may be something. */
static bool nothing_is_left(void *arg)
{
	(void)arg;
	return count_in("runs") + count_in("tmp") == 0;
}

/* A lease is for others: it keeps nobody from running. */
TASKING_TEST(run, one_that_cannot_be_taken_for_want_of_room_is_told_and_taken_later)
{
	tasking_open(way);
	take_all_room();
	EXPECT(0, tasking_begin("a"));
	cr_assert_eq(tasking_report_count(), 1);
	cr_assert_eq(tasking_report_at(0).code, -EFBIG, "%s", tasking_report_at(0).text);
	cr_assert_not_null(strstr(tasking_report_at(0).text, "lease"), "%s", tasking_report_at(0).text);
	cr_assert_eq(cancel_manager_trouble(manager, NULL), -EFBIG);
	cr_assert(wait_until(nothing_is_left, NULL, PROCESS_TIMEOUT_MS));
	make_room();
	cr_assert(wait_until(has_its_lease, way, PROCESS_TIMEOUT_MS), "not taken %s", tasking_way_text(way));
	cr_assert(is_locked("runs/a"));
	cr_assert(tasking_is_told(way, task, 2));
	cr_assert_eq(tasking_report_at(1).code, 0);
	cr_assert_not_null(strstr(tasking_report_at(1).text, "whatever was wrong is over"), "%s",
			   tasking_report_at(1).text);
	EXPECT_UNTOUCHED(way, task);
	EXPECT(0, tasking_end(CANCEL_OUTCOME_FINISHED));
	cr_assert_eq(count_in("runs"), 0);
}

TASKING_TEST(run, one_without_its_lease_is_cancelled_and_ends_as_others_do)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_FINISHED};

	tasking_open(way);
	for (int i = 0; i < 2; i++) {
		tasking_ask("a");
		take_all_room();
		EXPECT(1, tasking_begin("a"));
		make_room();
		EXPECT(1, tasking_end(outcomes[i]));
		cr_assert_eq(count_in("runs") + count_in("pending"), 0);
		cr_assert_eq(cancel_manager_trouble(manager, NULL), 0,
			     "it has ended, and its trouble with it");
	}
}

/* --- out of descriptors --------------------------------------------------------------------------------- */

/* In a process of its own: give back one descriptor after the other until a task begins. */
static int begin_with_few(const char *task_id)
{
	int last = -1, fd, code = -EMFILE, given;
	int before = tasking_count_runs(NULL);

	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		last = fd;
	for (given = 0; code == -EMFILE && given < NEEDED_MAX; given++) {
		struct cancel_error why = {0};

		code = cancel_task_begin(&task, manager, task_id, &terms, &why);
		if (code < 0 && (code != -EMFILE || why.code != code || !why.text[0]))
			return -1000;
		if (code < 0 && count_in("tmp") > 0)
			return -1001;
		(void)close(last--);
	}
	for (; given < NEEDED_MAX; given++)
		(void)close(last--);
	if (code != 0 || tasking_count_runs(NULL) != before + !terms.no_lease || count_in("tmp") != 0)
		return -1002;
	return cancel_task_end(task, CANCEL_OUTCOME_FINISHED, NULL, NULL) == 0 && count_in("runs") == before
		       ? 0
		       : -1003;
}

static int exhaust(void *thread)
{
	struct tasking_way way = {.thread = thread != NULL, .notice = CANCEL_NOTICE_AUTO};
	int result;

	tasking_open(&way);
	if (tasking_begin("first") != 0)
		return 1;
	result = begin_with_few("a");
	if (result)
		return result + 1010;
	terms.no_lease = true;
	result = begin_with_few("b");
	return result ? result + 1020 : 0;
}

TASKING_MODES_TEST(run, having_no_descriptor_left_fails_the_begin_and_leaves_nothing)
{
	struct rlimit few = {256, 256};

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	cr_assert_eq(in_child_as(0, exhaust, way->thread ? way : NULL), 0);
}

TASKING_MODES_TEST(run, a_request_that_stood_when_the_begin_failed_stops_the_next)
{
	struct rlimit limit, none;

	tasking_open(way);
	tasking_ask("a");
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	EXPECT(-EMFILE, tasking_begin("a"));
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	EXPECT(CANCEL_LOOKUP_PENDING, lookup("a", NULL));
	EXPECT(1, tasking_begin("a"));
}
