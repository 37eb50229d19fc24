/*
 * Everybody at once, for as long as there is time: workers of the library, of Python and under `cancelwatch
 * run`; requesters of the library, `cancelreq`, Python and a shell; watchers that sweep each second; and each
 * of them is killed now and then, but for one of those that hold something for long, which are measured.
 *
 * At the end everything is drained and judged (journal.c): no accepted request is lost, none was decided
 * twice, none hit a later run of its task. What a process holds did not grow, and of all the files nothing is
 * left but drafts of the dead, which a sweep removes when they are an hour old.
 */
#include "soak.h"

#include "campaign.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PLAY_SHORT_S = 4,
	STEP_MS = 10,
	KILL_ONE_IN = 3,                 /* steps */
	SAMPLES = 600,                   /* of each process, at most */
	HANG_S = 200,                    /* beyond the time it has */
	DAEMON_MEMORY_MAX_KB = 4 * 1024, /* what a watch remembers is touched bit by bit: CANCEL_WATCH_SEEN */
	WORKER_MEMORY_MAX_KB = 1024,
	EXIT_MISSING = 127,
	OBSERVER_SLOT = SLOTS - 1,
};

struct scene scene;

static struct member {
	const char *what;
	void (*play)(int slot);
	int slot;
	bool spared;
	pid_t pid;
} cast[] = {
	{"the watcher", play_daemon, -1, true, 0},
	{"a worker with a thread", play_worker_with_thread, 0, true, 0},
	{"a worker without one", play_worker_without_thread, 1, true, 0},
	{"another watcher", play_daemon, -1, false, 0},
	{"another worker with a thread", play_worker_with_thread, 2, false, 0},
	{"another worker without one", play_worker_without_thread, 3, false, 0},
	{"cancelwatch run", play_runner, 4, false, 0},
	{"Python", play_python, 5, false, 0},
	{"a requester", play_requester, -1, false, 0},
	{"cancelreq", play_programs, -1, false, 0},
	{"a shell", play_shell, -1, false, 0},
};

enum {
	MEMBERS = sizeof(cast) / sizeof(cast[0]),
	MEASURED = 3, /* the first, which are spared */
};

static struct measured measured[MEASURED];
static struct member observer = {"the observer", play_observer, OBSERVER_SLOT, true, 0};
static long kills;

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&pause, NULL);
}

/* --- the scene -------------------------------------------------------------------------------------------
 */

static const char *program(const char *variable, const char *built)
{
	const char *path = getenv(variable);

	return path ? path : built;
}

static void write_config(void)
{
	FILE *file = fopen(scene.config_path, "we");

	if (!file)
		campaign_skip("cannot write into %s", scene.dir.root);
	(void)fprintf(file,
		      "request: {expire_after: %ds}\nprocessed: {keep_for: %ds}\nsweep: {interval: %ds}\n",
		      EXPIRE_S, KEEP_S, SWEEP_EVERY_S);
	(void)fprintf(file, "log: {level: error}\n");
	(void)fclose(file);
}

static void make_scene(void)
{
	spool_dir_make(&scene.dir);
	(void)snprintf(scene.journal_path, sizeof(scene.journal_path), "%s/journal", scene.dir.root);
	(void)snprintf(scene.slots_path, sizeof(scene.slots_path), "%s/slots", scene.dir.root);
	(void)snprintf(scene.config_path, sizeof(scene.config_path), "%s/cancel.yaml", scene.dir.root);
	scene.cancelreq = program("CANCELREQ", BUILD_DIR "/bin/cancelreq");
	scene.cancelwatch = program("CANCELWATCH", BUILD_DIR "/bin/cancelwatch");
	(void)setenv("TASK_CANCELLATION_DIR", scene.dir.path, 1);
	(void)setenv("CANCEL_CONFIG", scene.config_path, 1);
	/* At its end the leak checker starts a child, and hangs when that is killed. */
	(void)setenv("LSAN_OPTIONS", "detect_leaks=0", 1);
	write_config();
	journal_open();
	slots_open();
	cancel_spool_close(soak_spool_open());
}

/* --- members -------------------------------------------------------------------------------------------- */

static void start(struct member *member)
{
	/* Or two who are started after one another would throw the same dice. */
	(void)campaign_chance();
	member->pid = fork();
	if (member->pid < 0)
		abort();
	if (member->pid > 0)
		return;
	(void)alarm(0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	member->play(member->slot);
	_exit(EXIT_MISSING);
}

static void end(struct member *member)
{
	if (member->pid <= 0)
		return;
	(void)kill(member->pid, SIGKILL);
	(void)waitpid(member->pid, NULL, 0);
	member->pid = 0;
	if (member->slot >= 0)
		slot_set(member->slot, "");
}

/* Nobody ends by himself. What is no member was left behind by one. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MEMBERS; i++)
			if (cast[i].pid == pid) {
				cast[i].pid = 0;
				if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_MISSING)
					journal_complain("%s ended by itself with status %#x", cast[i].what,
							 status);
			}
}

static void kill_somebody(void)
{
	struct member *member = &cast[MEASURED + campaign_pick(MEMBERS - MEASURED)];

	/* Who is not installed here is not started again. */
	if (!member->pid)
		return;
	end(member);
	kills++;
	start(member);
}

static bool wait_for(bool (*condition)(void), const char *what)
{
	int64_t ends_ms = now_ms() + DEADLINE_MS;

	while (!condition()) {
		if (now_ms() > ends_ms) {
			journal_complain("waited in vain %s", what);
			return false;
		}
		sleep_ms(STEP_MS);
	}
	return true;
}

static bool observes(void)
{
	char name[SLOT_SIZE];

	return slot_pick(name) || waitpid(observer.pid, NULL, WNOHANG) != 0;
}

static bool is_watched(void)
{
	struct cancel_spool *spool = soak_spool_open();
	struct cancel_spool_info info;
	int code = cancel_spool_info(spool, &info, NULL);

	cancel_spool_close(spool);
	return code == 0 && info.is_watched;
}

/* What the watcher holds is measured, so it has all of it before anybody else begins. */
static void begin(void)
{
	start(&observer);
	if (!wait_for(observes, "for inotify") || kill(observer.pid, 0) < 0)
		campaign_skip("inotify is not to be had, by which decisions are seen");
	slot_set(OBSERVER_SLOT, "");
	start(&cast[0]);
	(void)wait_for(is_watched, "for a watcher");
	for (int i = 1; i < MEMBERS; i++)
		start(&cast[i]);
	for (int i = 0; i < MEASURED; i++)
		measured[i] = (struct measured){
			.what = cast[i].what,
			.pid = cast[i].pid,
			.slot = cast[i].slot,
			.memory_max_kb = i ? WORKER_MEMORY_MAX_KB : DAEMON_MEMORY_MAX_KB,
		};
}

/* --- playing -------------------------------------------------------------------------------------------- */

/* Warming up is the first quarter of the time; then it is measured. A machine that is very busy gets more
 * time for that. */
static void play(void)
{
	int64_t length_ms = campaign_seconds(PLAY_SHORT_S) * 1000LL, begun_ms = now_ms(), sampled_ms = 0,
		at_ms = 0;

	while (at_ms < length_ms || (!measure_suffices() && at_ms < length_ms + DEADLINE_MS)) {
		sleep_ms(STEP_MS);
		reap();
		if (!campaign_pick(KILL_ONE_IN))
			kill_somebody();
		at_ms = now_ms() - begun_ms;
		if (at_ms >= length_ms / 4 && at_ms - sampled_ms >= length_ms / SAMPLES) {
			sampled_ms = at_ms;
			measure(measured, MEASURED);
		}
		campaign_progress("%ld killed, %d of %d s", kills, (int)(at_ms / 1000),
				  (int)(length_ms / 1000));
	}
}

/* --- draining ------------------------------------------------------------------------------------------- */

static struct cancel_manager *manager;

static int count_files(const char *folder, const char *suffix)
{
	char path[96];
	struct dirent *entry;
	int count = 0;
	DIR *stream;

	(void)snprintf(path, sizeof(path), "%s/%s", scene.dir.path, folder);
	stream = opendir(path);
	while (stream && (entry = readdir(stream))) {
		size_t length = strlen(entry->d_name), end = strlen(suffix);

		count += entry->d_name[0] != '.' && length > end &&
			 !strcmp(entry->d_name + length - end, suffix);
	}
	if (stream)
		(void)closedir(stream);
	return count;
}

/* Its next run is stopped at its start, and decides it. */
static int resolve(void *arg, const struct cancel_list_entry *entry)
{
	struct cancel_task_options options;
	struct cancel_error error;
	struct cancel_task *task;
	int code;

	(*(int *)arg)++;
	if (!entry->request) {
		journal_complain("refused: %s", entry->refusal->text);
		return 0;
	}
	cancel_task_options_init(&options);
	options.run = entry->request->run;
	code = cancel_task_begin(&task, manager, entry->request->task_id, &options, &error);
	if (code < 0) {
		journal_complain("beginning '%s' at the end: %s", entry->request->task_id, error.text);
		return 0;
	}
	/* One that has expired may be decided meanwhile. */
	if (code == 0 && !cancel_request_expired(entry->request))
		journal_complain("'%s' is pending, and does not stop its run", entry->request->task_id);
	if (cancel_task_end(task, CANCEL_OUTCOME_STOPPED, NULL, &error) < 0)
		journal_complain("the end of '%s': %s", entry->request->task_id, error.text);
	return 0;
}

static bool is_drained(void)
{
	struct cancel_error error;
	int count = 0;

	reap();
	if (cancel_spool_list(cancel_manager_spool(manager), CANCEL_LIST_PENDING, resolve, &count, &error) <
	    0)
		journal_complain("listing: %s", error.text);
	return count == 0 && count_files(".", ".json") == 0 && count_files("tmp", ".drop") == 0;
}

/* By the watcher, litter too. Leases of the dead stay for some seconds, for which the short form has no time.
 * DESIGN.md, invariant 6 */
static bool is_swept(void)
{
	return count_files("processed", "") == 0 && count_files("pending", "") == 0 &&
	       (!campaign_is_long() || count_files("runs", "") == 0);
}

static int count_run(void *arg, const struct cancel_run *run)
{
	(void)arg;
	journal_complain("everybody is gone, and '%s' is run by %ld", run->task_id, (long)run->pid);
	return 0;
}

/* Who is about to begin, or to end, has no mark to be counted by, and comes to us when its parent is gone.
 * DESIGN.md, invariant 45 */
static bool is_left_alone(void)
{
	reap();
	return tree_count(NULL) == 1 && tree_children(getpid()) == 2; /* the watcher, and the observer */
}

static void end_all_but_watcher(void)
{
	for (int i = 1; i < MEMBERS; i++)
		end(&cast[i]);
	(void)wait_for(is_left_alone, "for the end of what those who were killed had started");
}

static void end_observer(struct cancel_spool *spool)
{
	struct cancel_request request;
	int status = 0;

	cancel_request_init(&request);
	request.task_id = LAST_NAME;
	if (cancel_spool_request(spool, &request, NULL, NULL) < 0 ||
	    cancel_spool_decide(spool, LAST_NAME, NULL, NULL, CANCEL_OUTCOME_WITHDRAWN, NULL, NULL, NULL) < 0)
		journal_complain("the last request cannot be made and decided");
	else if (waitpid(observer.pid, &status, 0) < 0 || status)
		journal_complain("the observer ended with status %#x", status);
	cancel_request_clear(&request);
}

static void end_watcher(void)
{
	int status = 0;

	if (tree_zombies(cast[0].pid))
		journal_complain("the watcher has %d zombies", tree_zombies(cast[0].pid));
	(void)kill(cast[0].pid, SIGTERM);
	if (waitpid(cast[0].pid, &status, 0) < 0 || status)
		journal_complain("the watcher ended with status %#x", status);
}

static void drain(void)
{
	struct cancel_manager_options options;
	struct cancel_spool_options spool;
	struct cancel_error error;

	end_all_but_watcher();
	cancel_manager_options_init(&options);
	soak_spool_options(&spool);
	options.spool = &spool;
	if (cancel_manager_open(&manager, &options, &error) < 0) {
		journal_complain("a manager at the end: %s", error.text);
		return;
	}
	(void)wait_for(is_drained, "for nothing to be pending");
	(void)cancel_spool_runs(cancel_manager_spool(manager), count_run, NULL, NULL);
	end_observer(cancel_manager_spool(manager));
	(void)wait_for(is_swept, "for the watcher to sweep what was decided");
	if (count_files("refused", ""))
		journal_complain("%d files were moved to refused/", count_files("refused", ""));
	(void)cancel_manager_close(manager);
	end_watcher();
}

static void on_alarm(int number)
{
	static const char text[] = "soak: violation: it hangs\n";

	(void)number;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

int main(void)
{
	struct growth growth;
	int left;
	long accepted;

	campaign_begin("soak");
	(void)signal(SIGALRM, on_alarm);
	(void)alarm((unsigned)campaign_seconds(PLAY_SHORT_S) + HANG_S);
	tree_begin();
	make_scene();
	begin();
	play();
	drain();
	left = count_files("pending", "") + count_files("processed", "") + count_files(".", ".json") +
	       count_files("tmp", ".drop") + (campaign_is_long() ? count_files("runs", "") : 0);
	spool_dir_remove(&scene.dir);
	accepted = journal_judge();
	growth = measure_judge(measured, MEASURED);
	(void)campaign_expect(accepted > 0 && kills > 0, "nothing has happened");
	return campaign_end("%ld requests, %ld processes killed, growth: memory %ld KiB (of at most %d), "
			    "descriptors %ld, "
			    "files %d",
			    accepted, kills, growth.memory_kb, DAEMON_MEMORY_MAX_KB, growth.descriptors,
			    left);
}
