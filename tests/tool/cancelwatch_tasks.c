/* cancelwatch about tasks that run: it rings for programs that know no bell, tells which member of a group
 * stopped, counts the runs, and shows what was counted. */
#include "asking.h"
#include "hash.h"
#include "tool.h"
#include "watching.h"

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN(...)  tool_run(WORDS(CANCELWATCH, __VA_ARGS__), NULL)
#define TEXT_SIZE 512

enum {
	WORKERS_MAX = 4,
	/* Where things are in a bell, as cancel-spool(5) says. */
	BELL_NOTICE_AT = 128,
	BELL_STOP_AT = 384,
	BELL_WORDS_AT = 4096,
	BELL_WORDS = 16384,
};

/* Other processes, each with one task that it ends as stopped when it is cancelled. */
static pid_t workers[WORKERS_MAX];
static int worker_count;

static void tear_down(void)
{
	for (int i = 0; i < worker_count; i++) {
		(void)kill(workers[i], SIGKILL);
		(void)waitpid(workers[i], NULL, 0);
	}
	worker_count = 0;
	watching_tear_down();
}

TestSuite(cancelwatch_tasks, .init = watching_set_up, .fini = tear_down, .timeout = 120);

/* --- other processes ---------------------------------------------------------------------------------- */

struct job {
	const char *task_id;
	const char *run;
	const char *group; /* listened to as well; or NULL */
};

static int work(const struct job *job, int ready_fd)
{
	struct cancel_spool_options spool;
	struct cancel_manager_options options;
	struct cancel_task_options task_options;
	struct cancel_manager *manager;
	struct cancel_task *task;

	cancel_spool_options_init(&spool);
	spool.path = tool_dir.path;
	spool.create = true;
	cancel_manager_options_init(&options);
	options.spool = &spool;
	cancel_task_options_init(&task_options);
	task_options.run = job->run;
	task_options.also = &job->group;
	task_options.also_count = job->group != NULL;
	if (cancel_manager_open(&manager, &options, NULL) < 0 ||
	    cancel_task_begin(&task, manager, job->task_id, &task_options, NULL) != 0 ||
	    write(ready_fd, "", 1) != 1 || cancel_task_wait(task, CANCEL_FOREVER) != 1 ||
	    cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, NULL) < 0)
		return 1;
	return cancel_manager_close(manager) < 0;
}

/* Returns when its task has begun. */
static pid_t start_worker(const char *task_id, const char *run, const char *group)
{
	const struct job job = {task_id, run, group};
	int ends[2];
	char byte;
	pid_t pid;

	cr_assert_lt(worker_count, WORKERS_MAX);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(ends[0]);
		_exit(work(&job, ends[1]));
	}
	workers[worker_count++] = pid;
	(void)close(ends[1]);
	cr_assert_eq(read(ends[0], &byte, 1), 1, "the worker did not begin its task");
	(void)close(ends[0]);
	return pid;
}

static bool has_ended_well(void *arg)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t) * (pid_t *)arg, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid != 0 && info.si_code == CLD_EXITED && info.si_status == 0;
}

static void expect_end(pid_t worker)
{
	cr_assert(wait_until(has_ended_well, &worker, PROCESS_TIMEOUT_MS), "the worker does not end well");
}

static void ask(const char *task_id)
{
	asking_request(tool_dir.path, task_id, "why", CANCEL_EXPIRES_DEFAULT);
}

/* --- ringing for others ------------------------------------------------------------------------------- */

static uint32_t bell_word(const char *task_id)
{
	size_t at = BELL_WORDS_AT + hash_text(task_id) % BELL_WORDS * sizeof(uint32_t);
	int fd = open(tool_path("spool/bell"), O_RDONLY | O_CLOEXEC);
	uint32_t word = 0;

	cr_assert(fd >= 0 && pread(fd, &word, sizeof(word), (off_t)at) == sizeof(word), "no bell");
	(void)close(fd);
	return word;
}

struct ring {
	const char *task_id;
	uint32_t before;
};

static bool has_rung(void *arg)
{
	const struct ring *ring = arg;

	return bell_word(ring->task_id) != ring->before;
}

Test(cancelwatch_tasks, rings_for_programs_that_know_no_bell)
{
	const char *text = "{\"task_id\": \"foreign\", \"reason\": \"by hand\"}";
	struct ring ring = {.task_id = "foreign"};

	ask("other");
	watching_start(WORDS(CANCELWATCH, "watch"));
	ring.before = bell_word(ring.task_id);
	tool_write(tool_path("draft"), text, strlen(text));
	cr_assert_eq(rename(tool_path("draft"), tool_path("spool/pending/foreign.json")), 0);
	cr_assert(wait_until(has_rung, &ring, PROCESS_TIMEOUT_MS), "nobody rang");
	watching_stop(SIGTERM);
}

static bool is_watched(void)
{
	struct cancel_spool_options options;
	struct cancel_spool_info info;
	struct cancel_spool *spool;

	cancel_spool_options_init(&options);
	options.path = tool_dir.path;
	cr_assert_eq(cancel_spool_open(&spool, &options, NULL), 0);
	cr_assert_eq(cancel_spool_info(spool, &info, NULL), 0);
	cancel_spool_close(spool);
	return info.is_watched;
}

Test(cancelwatch_tasks, sleepers_know_while_it_is_about)
{
	watching_start(WORDS(CANCELWATCH, "watch"));
	cr_assert(is_watched());
	watching_stop(SIGTERM);
	cr_assert_not(is_watched());
	/* Those that only look are not about afterwards. */
	RUN("doctor");
	RUN("sweep");
	cr_assert_not(is_watched());
}

/* --- groups ------------------------------------------------------------------------------------------- */

Test(cancelwatch_tasks, tells_for_which_group_a_member_stopped)
{
	pid_t worker = start_worker("task_7", NULL, "tenant acme");

	watching_start(WORDS(CANCELWATCH, "watch"));
	ask("tenant acme");
	watching_await(" decided task_7 ");
	watching_stop(SIGTERM);
	expect_end(worker);
	tool_expect_in(tool_plain(watching.out),
		       "TIME decided task_7 stopped for tenant\\x20acme (request ID, uid ");
	cr_assert_eq(asking_lookup(tool_dir.path, "tenant acme"), CANCEL_LOOKUP_PENDING);
}

/* Nobody asked for the member. */
Test(cancelwatch_tasks, reports_no_request_for_a_member)
{
	pid_t worker = start_worker("task_7", NULL, "tenant_acme");

	watching_start(WORDS(CANCELWATCH, "watch"));
	ask("tenant_acme");
	watching_await(" decided task_7 ");
	watching_await(" requested tenant_acme ");
	watching_stop(SIGTERM);
	expect_end(worker);
	cr_assert_eq(watching_occurrences(watching.out, " requested tenant_acme "), 1, "%s", watching.out);
	cr_assert_eq(watching_occurrences(watching.out, " requested task_7 "), 0, "%s", watching.out);
}

Test(cancelwatch_tasks, json_has_the_group)
{
	pid_t worker = start_worker("task_7", NULL, "tenant_acme");

	watching_start(WORDS(CANCELWATCH, "watch", "--json"));
	ask("tenant_acme");
	watching_await("\"decided\"");
	watching_await("\"requested\"");
	watching_stop(SIGTERM);
	expect_end(worker);
	watching_python(
		watching.out,
		"import json, sys\n"
		"events = [json.loads(line) for line in sys.stdin]\n"
		"asked, = [e for e in events if e['event'] == 'requested' and\n"
		"          e['request']['task_id'] == 'tenant_acme']\n"
		"decided, = [e for e in events if e['event'] == 'decided']\n"
		"assert decided['request']['task_id'] == 'task_7', decided\n"
		"assert decided['request']['group'] == 'tenant_acme', decided\n"
		"assert decided['request']['request_id'] == asked['request']['request_id'], decided\n");
}

Test(cancelwatch_tasks, names_no_group_where_the_task_itself_was_asked_for)
{
	pid_t worker = start_worker("task_7", NULL, "tenant_acme");

	watching_start(WORDS(CANCELWATCH, "watch"));
	ask("task_7");
	watching_await(" decided task_7 ");
	watching_stop(SIGTERM);
	expect_end(worker);
	tool_expect_in(tool_plain(watching.out), "TIME decided task_7 stopped (request ID, uid ");
}

/* --- status: runs ------------------------------------------------------------------------------------- */

static bool two_runs_are_left(void *arg)
{
	(void)arg;
	RUN("status");
	return strstr(tool.out, "\nrunning     runs 2, tasks 2\n") != NULL;
}

Test(cancelwatch_tasks, status_counts_runs_that_are_alive)
{
	pid_t second;

	(void)start_worker("task_1", "run_1", NULL);
	second = start_worker("task_1", "run_2", NULL);
	(void)start_worker("task_2", NULL, "task_1");
	RUN("status");
	tool_expect_exit(0);
	tool_expect_in(tool.out, "\nrunning     runs 3, tasks 2\n");
	RUN("status", "--json");
	tool_expect_field(".running", "{\"runs\":3,\"tasks\":2}");
	cr_assert_eq(kill(second, SIGKILL), 0);
	cr_assert(wait_until(two_runs_are_left, NULL, PROCESS_TIMEOUT_MS), "%s", tool.out);
}

/* --- status: what was counted ------------------------------------------------------------------------- */

Test(cancelwatch_tasks, status_counts_nothing_in_a_new_spool)
{
	asking_make(tool_dir.path);
	RUN("status");
	tool_expect_exit(0);
	tool_expect_in(
		tool.out,
		"\nrunning     runs 0, tasks 0\n"
		"counted     requested 0, merged 0, noticed 0, stopped 0, finished 0, failed 0, refused 0, "
		"withdrawn 0, expired 0\n"
		"notice      0 counted\n"
		"stop        0 counted\n");
	RUN("status", "--json");
	tool_expect_field(
		"[.notice, .stop, .counted_why]",
		"[{\"count\":0,\"p50_ns\":null,\"p90_ns\":null,\"p99_ns\":null,\"buckets\":[]},"
		"{\"count\":0,\"p50_ns\":null,\"p90_ns\":null,\"p99_ns\":null,\"buckets\":[]},null]");
}

static void do_each_once(void)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_FINISHED,
						       CANCEL_OUTCOME_FAILED, CANCEL_OUTCOME_REFUSED,
						       CANCEL_OUTCOME_WITHDRAWN};

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		ask(cancel_outcome_text(outcomes[i]));
		asking_decide(tool_dir.path, cancel_outcome_text(outcomes[i]), outcomes[i], NULL);
	}
	asking_expired(tool_dir.path, "over");
	RUN("sweep");
}

Test(cancelwatch_tasks, status_tells_what_all_processes_did)
{
	do_each_once();
	RUN("status");
	tool_expect_exit(0);
	tool_expect_in(
		tool.out,
		"\ncounted     requested 6, merged 0, noticed 0, stopped 1, finished 1, failed 1, refused 1, "
		"withdrawn 1, expired 1\n");
	RUN("status", "--json");
	tool_expect_field(
		".counted",
		"{\"requested\":6,\"merged\":0,\"noticed\":0,\"stopped\":1,\"finished\":1,\"failed\":1,"
		"\"refused\":1,\"withdrawn\":1,\"expired\":1}");
	tool_expect_field("[.stop.count, (.stop.buckets | length), .notice.count]", "[1,1,0]");
	tool_expect_field("(.stop.p50_ns == .stop.buckets[0].below_ns) and (.stop.p99_ns == .stop.p50_ns)",
			  "true");
}

Test(cancelwatch_tasks, status_tells_how_soon_workers_notice_and_stop)
{
	pid_t worker = start_worker("task_1", NULL, NULL);

	ask("task_1");
	expect_end(worker);
	RUN("status", "--json");
	tool_expect_field("[.counted.noticed, .counted.stopped, .notice.count, .stop.count]", "[1,1,1,1]");
	tool_expect_field("(.notice.p99_ns > 0) and (.stop.p99_ns >= .notice.p99_ns)", "true");
}

static void count_latencies(size_t histogram_at, int bucket, uint32_t count)
{
	int fd = open(tool_path("spool/bell"), O_WRONLY | O_CLOEXEC);
	off_t at = (off_t)(histogram_at + (size_t)bucket * sizeof(count));

	cr_assert(fd >= 0 && pwrite(fd, &count, sizeof(count), at) == sizeof(count));
	(void)close(fd);
}

Test(cancelwatch_tasks, status_tells_percentiles_in_units_for_people)
{
	ask("task_1");
	count_latencies(BELL_NOTICE_AT, 14, 95);
	count_latencies(BELL_NOTICE_AT, 19, 5);
	count_latencies(BELL_STOP_AT, 8, 1);
	count_latencies(BELL_STOP_AT, 42, 1);
	RUN("status");
	tool_expect_in(tool.out, "\nnotice      p50 33 us, p99 1 ms (100 counted)\n");
	tool_expect_in(tool.out, "\nstop        p50 512 ns, p99 2 h (2 counted)\n");
	RUN("status", "--json");
	tool_expect_field(".notice", "{\"count\":100,\"p50_ns\":32768,\"p90_ns\":32768,\"p99_ns\":1048576,"
				     "\"buckets\":[{\"from_ns\":16384,\"below_ns\":32768,\"count\":95},"
				     "{\"from_ns\":524288,\"below_ns\":1048576,\"count\":5}]}");
}

Test(cancelwatch_tasks, status_shows_the_first_bucket_and_the_last)
{
	ask("task_1");
	count_latencies(BELL_STOP_AT, 0, UINT32_MAX);
	count_latencies(BELL_STOP_AT, CANCEL_HISTOGRAM_BUCKETS - 1, UINT32_MAX);
	RUN("status", "--json");
	tool_expect_field(".stop.count", "8589934590");
	tool_expect_field("[.stop.buckets[0].from_ns, .stop.buckets[0].below_ns, .stop.buckets[1].below_ns]",
			  "[0,2,null]");
}

/* What stands in the bell's place and is none. */
static void spoil_bell(void)
{
	asking_make(tool_dir.path);
	cr_assert_eq(unlink(tool_path("spool/bell")), 0);
	cr_assert_eq(mkdir(tool_path("spool/bell"), 0700), 0);
}

Test(cancelwatch_tasks, status_says_why_nothing_is_counted)
{
	spoil_bell();
	RUN("status");
	tool_expect_exit(0);
	tool_expect_in(tool_plain(tool.out),
		       "\ncounted     not known: cannot read the statistics of spool 'DIR/spool': ");
	RUN("status", "--json");
	tool_expect_exit(0);
	tool_expect_field("[.counted, .notice, .stop, (.counted_why | length > 0)]", "[null,null,null,true]");
}

/* --- doctor ------------------------------------------------------------------------------------------- */

static void expect_level(const char *level, const char *check, const char *finding)
{
	char start[TEXT_SIZE];

	(void)snprintf(start, sizeof(start), "\n%-8s %s: %s", level, check, finding);
	tool_expect_in(tool.out, start);
}

Test(cancelwatch_tasks, doctor_finds_a_bell_that_works)
{
	asking_make(tool_dir.path);
	RUN("doctor");
	tool_expect_exit(0);
	expect_level("ok", "bell", "works: ");
	expect_level("ok", "workers", "notice by bell with a manager's thread, by bell without\n");
}

/* Only the spool's owner and root make one. */
Test(cancelwatch_tasks, doctor_says_who_makes_a_bell_that_is_not_there)
{
	if (geteuid() != 0) {
		tear_down();
		cr_skip_test("only root can be somebody else");
	}
	cr_assert_eq(chmod(tool_dir.root, 0755), 0);
	cr_assert_eq(chmod(tool_path("cancel.yaml"), 0644), 0);
	RUN("init", "--mode", "2770", "--group", "65534");
	cr_assert_eq(unlink(tool_path("spool/bell")), 0);
	tool_run(WORDS("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", CANCELWATCH, "doctor"),
		 NULL);
	tool_expect_exit(0);
	expect_level("warning", "bell", "'bell' is ");
	tool_expect_in(tool.out, "the first request by the spool's owner makes it\n");
	tool_expect_in(tool.out, "to do: run 'cancelwatch doctor' as uid 0, the spool's owner, or as root\n");
	cr_assert_eq(access(tool_path("spool/bell"), F_OK), -1);
	RUN("doctor");
	expect_level("ok", "bell", "works: ");
}

Test(cancelwatch_tasks, doctor_warns_of_a_bell_that_is_none_and_names_what_workers_do)
{
	spoil_bell();
	RUN("doctor");
	tool_expect_exit(0);
	expect_level("warning", "bell", "'bell' ");
	tool_expect_in(tool_plain(tool.out), "to do: remove 'DIR/spool/bell', which ");
	expect_level("warning", "workers", "notice by inotify with a manager's thread, by poll without: ");
}

Test(cancelwatch_tasks, doctor_knows_whether_a_watcher_is_about)
{
	asking_make(tool_dir.path);
	RUN("doctor");
	expect_level("warning", "watcher", "none is about");
	tool_expect_in(tool.out, "to do: run 'cancelwatch watch' as a service\n");
	watching_start(WORDS(CANCELWATCH, "watch"));
	RUN("doctor");
	expect_level("ok", "watcher", "one is about");
	watching_stop(SIGTERM);
}

Test(cancelwatch_tasks, doctor_counts_leases)
{
	asking_make(tool_dir.path);
	RUN("doctor");
	expect_level("ok", "running", "nobody holds a lease");
	(void)start_worker("task_1", "run_1", NULL);
	(void)start_worker("task_1", "run_2", NULL);
	RUN("doctor");
	expect_level("ok", "running", "leases held: 2, for different tasks: 1; ");
}
