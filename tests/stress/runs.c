/*
 * Many runs at once of commands that end by themselves, on being asked, or not before they are killed. Each
 * is asked to stop at a random time, before it begins or after it has ended too; of about one in ten the face
 * or the supervisor is killed. In the end each request is decided as it was, or pending where that is right;
 * as soon as one is called stopped nobody lives who was run for it; and nobody is left.
 *
 * Who is left without a parent comes to this process, so that it sees those whom nobody waited for.
 *
 * By chance there are no control groups. RUNS is how many at once, RUN_SECONDS how long rounds of that are
 * played; one at least.
 *
 * Mutations that this catches: a record that is written before the last process is gone; a face, or a
 * supervisor, that does not end what the other one left; a request that is lost when it comes while the
 * command is being started.
 */
#include "environment.h"
#include "process.h"
#include "spool_dir.h"
#include "stress_crew.h"
#include "stress_run.h"
#include "stress_spool.h"
#include "tree.h"

#include <cancel/cancel.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CANCELWATCH BUILD_DIR "/bin/cancelwatch"
#define HOSTILE     BUILD_DIR "/tests/hostile/hostile"
#define SECOND_NS   1000000000LL
#define GRACE_NS    300000000LL /* as each is given */

enum {
	RUNS_DEFAULT = 60,
	KILLED_ONE_IN = 7, /* of those some have ended by then */
	START_MS = 8,      /* about what it takes to start one; requests come in twice the time of all */
	PAUSE_MS = 10,     /* between two looks at everything */
	PATIENCE_S = 120,  /* without anybody ending */
	EXIT_CANCELLED = 123,
	EXIT_FAILED = 125,
	EXIT_BY_SIGNAL = 128,
};

/* What is run. It may end by itself with `status`, or not (-1). */
static const struct command {
	const char *const words[8];
	int status;
} commands[] = {
	{{"sleep", "1000"}, -1},
	{{"sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.05; done"}, -1},
	{{HOSTILE, "child", "orphan", "session", "group"}, -1},
	{{HOSTILE, "reaper", "stopped", "leaderless"}, -1},
	{{"sh", "-c", "sleep 1000 & exec setsid sleep 1000"}, -1},
	{{"true"}, 0},
	{{"sh", "-c", "sleep 0.2; exit 3"}, 3},
	{{"sh", "-c", "sleep 0.4"}, 0},
};

enum victim {
	VICTIM_NONE,
	VICTIM_FACE,
	VICTIM_SUPERVISOR,
};

struct run {
	char task_id[24];
	const struct command *command;
	pid_t face;
	int64_t start_at_ns, ask_at_ns, kill_at_ns;
	enum victim victim; /* to be killed; and once it was, whoever was */
	bool started, asked, killed, ended;
	bool stopped;    /* the spool says so */
	bool complained; /* that this is not true */
	int status;
};

static struct spool_dir dir;
static struct cancel_spool *spool;
static struct run *runs;
static struct canary canary;
static unsigned run_count;
static bool without_groups;
static unsigned long judged, cancelled, pending, kills, strangers;

/* --- what happens to a run ------------------------------------------------------------------------- */

static int64_t some_time(uint64_t *random, int64_t from_ns, int64_t length_ns)
{
	return from_ns + (int64_t)(stress_chance(random) % (uint64_t)length_ns);
}

static void plan(struct run *run, unsigned round, unsigned number, int64_t now_ns, uint64_t *random)
{
	int64_t length_ns = (int64_t)run_count * START_MS * 1000000;

	*run = (struct run){.face = -1, .start_at_ns = some_time(random, now_ns, length_ns / 4 + 1)};
	(void)snprintf(run->task_id, sizeof(run->task_id), "runs-%u-%u", round, number);
	run->command = &commands[stress_pick(random, sizeof(commands) / sizeof(commands[0]))];
	run->ask_at_ns = some_time(random, now_ns, 2 * length_ns);
	if (!stress_one_in(random, KILLED_ONE_IN))
		return;
	run->victim = stress_one_in(random, 2) ? VICTIM_FACE : VICTIM_SUPERVISOR;
	run->kill_at_ns =
		run->ask_at_ns > run->start_at_ns
			? some_time(random, run->start_at_ns, run->ask_at_ns - run->start_at_ns + GRACE_NS)
			: run->start_at_ns;
}

static _Noreturn void become(const struct run *run)
{
	const char *words[20] = {CANCELWATCH, "run", "--grace", "300ms", run->task_id, "--"};
	char path[64];
	int fd;

	(void)memcpy(words + 6, run->command->words, sizeof(run->command->words));
	(void)snprintf(path, sizeof(path), "%s/err", dir.root);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)dup2(fd, STDERR_FILENO);
	(void)dup2(fd, STDOUT_FILENO);
	/* At its end the leak checker starts a child that looks like a supervisor, and hangs when that is killed. */
	(void)setenv("LSAN_OPTIONS", "detect_leaks=0", 1);
	(void)execv(words[0], (char *const *)(uintptr_t)words);
	_exit(EXIT_FAILED);
}

static void start(struct run *run)
{
	run->started = true;
	run->face = crew_fork();
	if (run->face == 0)
		become(run);
}

static void ask(struct run *run)
{
	char id[STRESS_ID_SIZE];

	run->asked = true;
	crew_expect(stress_ask(spool, run->task_id, NULL, id) == CANCEL_REQUESTED, "asking for '%s'",
		    run->task_id);
}

static void kill_victim(struct run *run)
{
	pid_t pid = run->victim == VICTIM_FACE ? run->face : tree_child(run->face, "cancelwatch");

	run->killed = true;
	if (pid == 0 || kill(pid, SIGKILL) < 0)
		run->victim = VICTIM_NONE;
	else
		kills++;
}

static void play(struct run *run, int64_t now_ns)
{
	if (!run->started && now_ns >= run->start_at_ns)
		start(run);
	if (!run->asked && now_ns >= run->ask_at_ns)
		ask(run);
	if (run->victim && run->started && !run->killed && !run->ended && now_ns >= run->kill_at_ns)
		kill_victim(run);
}

static struct run *find_face(pid_t pid)
{
	for (unsigned i = 0; i < run_count; i++)
		if (runs[i].face == pid)
			return &runs[i];
	return NULL;
}

/* Those without a face are what the killed left: supervisors, and commands whose supervisor and face died. */
static unsigned reap(void)
{
	unsigned ended = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct run *run = find_face(pid);

		if (!run) {
			strangers++;
			continue;
		}
		run->ended = true;
		run->status = WIFSIGNALED(status) ? EXIT_BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
		ended++;
	}
	return ended;
}

/* --- stopped means that nobody lives --------------------------------------------------------------- */

static struct run *find_task(const char *task_id)
{
	for (unsigned i = 0; i < run_count; i++)
		if (!strcmp(runs[i].task_id, task_id))
			return &runs[i];
	return NULL;
}

static void note_stopped(void)
{
	for (unsigned i = 0; i < run_count; i++)
		if (runs[i].asked && !runs[i].stopped) {
			struct stress_place place = stress_look(spool, runs[i].task_id, NULL);

			runs[i].stopped = place.state == CANCEL_LOOKUP_PROCESSED &&
					  place.outcome == CANCEL_OUTCOME_STOPPED;
		}
}

static void judge_living(void *arg, pid_t pid, const char *task_id)
{
	struct run *run = find_task(task_id);

	(void)arg;
	if (run && run->stopped && run->complained)
		return;
	if (run)
		run->complained = run->stopped;
	crew_expect(!run || !run->stopped, "'%s' is called stopped, and process %ld of it is in state %c",
		    task_id, (long)pid, tree_state(pid));
}

static void judge_all_living(void)
{
	note_stopped();
	tree_values("CANCEL_TASK_ID", judge_living, NULL);
}

/* --- the end of a round ---------------------------------------------------------------------------- */

static bool may_end_so(const struct run *run)
{
	if (run->status == EXIT_CANCELLED || run->status == run->command->status)
		return true;
	if (run->victim == VICTIM_FACE)
		return run->status == EXIT_BY_SIGNAL + SIGKILL;
	return run->victim == VICTIM_SUPERVISOR && run->status == EXIT_FAILED;
}

/* By a run whose processes were killed, any decision that can be true is right, and none. */
static bool is_right(const struct run *run, const struct stress_place *place)
{
	bool is_decided = place->state == CANCEL_LOOKUP_PROCESSED;
	bool can_finish = run->command->status >= 0;

	if (run->status == EXIT_CANCELLED)
		return is_decided && place->outcome == CANCEL_OUTCOME_STOPPED;
	if (run->status == run->command->status)
		return !is_decided || place->outcome == CANCEL_OUTCOME_FINISHED;
	return !is_decided || place->outcome == CANCEL_OUTCOME_STOPPED ||
	       (place->outcome == CANCEL_OUTCOME_FAILED && run->victim == VICTIM_FACE) ||
	       (place->outcome == CANCEL_OUTCOME_FINISHED && can_finish);
}

static void judge(const struct run *run)
{
	struct stress_place place = stress_look(spool, run->task_id, NULL);

	judged++;
	cancelled += run->status == EXIT_CANCELLED;
	pending += place.state == CANCEL_LOOKUP_PENDING;
	crew_expect(place.state != CANCEL_LOOKUP_NONE, "the request for '%s' is lost", run->task_id);
	crew_expect(may_end_so(run), "'%s' (%s) ends with %d, victim %d", run->task_id,
		    run->command->words[0], run->status, (int)run->victim);
	crew_expect(is_right(run, &place), "'%s' (%s) ends with %d, victim %d, and is in state %d, %s",
		    run->task_id, run->command->words[0], run->status, (int)run->victim, (int)place.state,
		    cancel_outcome_text(place.outcome));
}

/* One that is ending has no mark any more, and is no zombie yet. */
static bool has_no_child(void *arg)
{
	siginfo_t info;

	(void)arg;
	(void)reap();
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* A run that was told by nobody leaves nobody, alive or dead. */
static void judge_left(unsigned long strangers_before, unsigned long kills_before)
{
	struct dirent *entry;
	char path[64];
	DIR *folder;

	crew_expect(tree_wait(NULL, 0), "left alive: %s", tree_text());
	tree_end();
	crew_expect(canary_is_untouched(&canary), "somebody who has nothing to do with it was touched");
	canary_end(&canary);
	crew_expect(wait_until(has_no_child, NULL, PROCESS_TIMEOUT_MS), "a child is left");
	crew_expect(strangers - strangers_before <= kills - kills_before,
		    "%lu processes were left for somebody else to wait for, and %lu were killed",
		    strangers - strangers_before, kills - kills_before);
	(void)snprintf(path, sizeof(path), "%s/runs", dir.path);
	folder = opendir(path);
	for (unsigned leases = 0; folder && (entry = readdir(folder));)
		crew_expect(entry->d_name[0] == '.' || ++leases <= kills,
			    "more leases are left than were killed");
	if (folder)
		(void)closedir(folder);
}

static bool is_over(void)
{
	for (unsigned i = 0; i < run_count; i++)
		if (!runs[i].ended || !runs[i].asked)
			return false;
	return true;
}

static void give_up(void)
{
	for (unsigned i = 0; i < run_count; i++)
		crew_expect(runs[i].ended, "'%s' (%s) hangs, victim %d", runs[i].task_id,
			    runs[i].command->words[0], (int)runs[i].victim);
	(void)fprintf(stderr, "runs: %s\n", tree_text());
	tree_end();
	exit(1);
}

static void play_round(unsigned round, uint64_t *random)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	unsigned long strangers_before = strangers, kills_before = kills;
	int64_t now_ns = stress_now_ns(), moved_ns = now_ns;

	canary_start(&canary);
	for (unsigned i = 0; i < run_count; i++)
		plan(&runs[i], round, i, now_ns, random);
	while (!is_over()) {
		now_ns = stress_now_ns();
		for (unsigned i = 0; i < run_count; i++)
			play(&runs[i], now_ns);
		judge_all_living();
		if (reap() > 0)
			moved_ns = now_ns;
		if (now_ns - moved_ns > PATIENCE_S * SECOND_NS)
			give_up();
		(void)nanosleep(&pause, NULL);
	}
	judge_left(strangers_before, kills_before);
	for (unsigned i = 0; i < run_count; i++)
		judge(&runs[i]);
}

static void make_place(void)
{
	char path[64];
	int fd;

	spool_dir_make(&dir);
	(void)snprintf(path, sizeof(path), "%s/cancel.yaml", dir.root);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "{}\n", 3) != 3)
		abort();
	(void)close(fd);
	(void)setenv("CANCEL_CONFIG", path, 1);
	(void)setenv("TASK_CANCELLATION_DIR", dir.path, 1);
	spool = stress_spool_open(dir.path);
}

/* Then a tree is found by looking alone. */
static void hide_control_groups(void)
{
	without_groups = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
			 mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
			 mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) == 0;
}

int main(void)
{
	int64_t ends_ns = stress_now_ns() + environment_number("RUN_SECONDS", 1) * SECOND_NS;
	unsigned round = 0;
	uint64_t random;

	crew_begin("runs");
	random = crew_seed(0);
	run_count = (unsigned)crew_number("RUNS", RUNS_DEFAULT);
	runs = calloc(run_count, sizeof(*runs));
	tree_begin();
	make_place();
	if (stress_one_in(&random, 2))
		hide_control_groups();
	do
		play_round(round++, &random);
	while (stress_now_ns() < ends_ns);
	cancel_spool_close(spool);
	spool_dir_remove(&dir);
	free(runs);
	return crew_end(
		"%u rounds of %u runs%s, %lu monitors killed, %lu cancelled, %lu requests pending in the end",
		round, run_count, without_groups ? " without control groups" : "", kills, cancelled, pending);
}
