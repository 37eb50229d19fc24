/* Parts that are programs: ours, Python and a shell. What they run dies with them; what `cancelwatch run`
 * runs sees to that itself. */
#include "soak.h"

#include "campaign.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PAUSE_MS = 10,
	KILLED_ONE_IN = 6,
	OUTPUT_MAX = 4096,
	EXIT_OUR_FAILURE = 125,
	EXIT_SYSTEM_REFUSED = 3,
	EXIT_MISSING = 127,
};

#define FOLDER SOURCE_DIR "/tests/campaign/soak"

/* --- running one ---------------------------------------------------------------------------------------- */

struct run {
	pid_t pid;
	int out_fd; /* what it says */
	bool killed;
};

static void start(struct run *run, const char *const *words, bool dies_with_us)
{
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		abort();
	*run = (struct run){.pid = fork(), .out_fd = pipe_fds[0]};
	if (run->pid < 0)
		abort();
	if (run->pid == 0) {
		if (dies_with_us)
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(pipe_fds[1], STDOUT_FILENO);
		(void)dup2(pipe_fds[1], STDERR_FILENO);
		(void)execvp(words[0], (char *const *)(uintptr_t)words);
		_exit(EXIT_MISSING);
	}
	(void)close(pipe_fds[1]);
}

/* Sometimes it is killed, soon. */
static void kill_by_chance(struct run *run, unsigned longest_ms)
{
	if (campaign_pick(KILLED_ONE_IN))
		return;
	soak_pause_ms(longest_ms);
	(void)kill(run->pid, SIGKILL);
	run->killed = true;
}

/* What it said, and its wait status. */
static int finish(struct run *run, char said[OUTPUT_MAX])
{
	size_t used = 0;
	ssize_t got;
	int status;

	while ((got = read(run->out_fd, said + used, OUTPUT_MAX - 1 - used)) > 0)
		used += (size_t)got;
	said[used] = '\0';
	(void)close(run->out_fd);
	while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Run it; false when it was killed before it could say anything. */
static bool run_program(const char *const *words, char said[OUTPUT_MAX])
{
	struct run run;
	int status;

	start(&run, words, true);
	kill_by_chance(&run, PAUSE_MS);
	status = finish(&run, said);
	if (!run.killed && (!WIFEXITED(status) || WEXITSTATUS(status) >= 2))
		journal_complain("%s %s ends with status %#x: %s", words[1], words[2], status, said);
	return !run.killed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- cancelreq ------------------------------------------------------------------------------------------ */

static void ask(char said[OUTPUT_MAX])
{
	char name[SLOT_SIZE];

	if (!slot_pick(name))
		name_fresh(name, "nobody");
	journal_note(JOURNAL_TRIED, name);
	if (run_program((const char *const[]){scene.cancelreq, "--by", "soak", "--", name, "by", "cancelreq",
					      NULL},
			said))
		journal_note(strstr(said, "already pending") ? JOURNAL_MERGED : JOURNAL_ACCEPTED, name);
}

static void ask_in_batch(char said[OUTPUT_MAX])
{
	char one[SLOT_SIZE], other[SLOT_SIZE], line[2 * SLOT_SIZE + 64];

	name_fresh(one, "batch");
	name_fresh(other, "batch");
	(void)snprintf(line, sizeof(line), "printf '%%s\\n' %s %s | \"$0\" --batch -", one, other);
	journal_note(JOURNAL_TRIED, one);
	journal_note(JOURNAL_TRIED, other);
	if (run_program((const char *const[]){"sh", "-c", line, scene.cancelreq, NULL}, said)) {
		journal_note(JOURNAL_ACCEPTED, one);
		journal_note(JOURNAL_ACCEPTED, other);
	}
}

static void withdraw(char said[OUTPUT_MAX])
{
	static const char *const verbs[] = {"--withdraw", "--reset", "--ack"};
	char name[SLOT_SIZE];

	if (slot_pick(name))
		(void)run_program(
			(const char *const[]){scene.cancelreq, verbs[campaign_pick(3)], "--", name, NULL},
			said);
}

static void look(char said[OUTPUT_MAX])
{
	char name[SLOT_SIZE];

	if (slot_pick(name))
		(void)run_program((const char *const[]){scene.cancelreq, "--check", "--", name, NULL}, said);
}

void play_programs(int slot)
{
	static void (*const acts[])(char said[OUTPUT_MAX]) = {ask, ask, ask, ask_in_batch, withdraw, look};
	static char said[OUTPUT_MAX];

	(void)slot;
	for (;;) {
		acts[campaign_pick(sizeof(acts) / sizeof(acts[0]))](said);
		soak_pause_ms(PAUSE_MS);
	}
}

/* --- cancelwatch run -------------------------------------------------------------------------------------
 */

/* The face may be killed, and who is left sees to the rest. */
void play_runner(int slot)
{
	static const char *const commands[] = {"sleep 0.02", "sleep 1000 & sleep 1000",
					       "trap '' TERM; sleep 1000", "exit 3"};
	static char said[OUTPUT_MAX];

	for (;;) {
		const char *command = commands[campaign_pick(sizeof(commands) / sizeof(commands[0]))];
		char name[SLOT_SIZE];
		struct run run;
		int status;

		name_fresh(name, "run");
		slot_set(slot, name);
		start(&run,
		      (const char *const[]){scene.cancelwatch, "run", "--grace", "100ms", "--timeout", "1s",
					    name, "--", "sh", "-c", command, NULL},
		      false);
		kill_by_chance(&run, 3 * PAUSE_MS);
		status = finish(&run, said);
		slot_set(slot, "");
		if (!run.killed && (!WIFEXITED(status) || WEXITSTATUS(status) == EXIT_OUR_FAILURE))
			journal_complain("cancelwatch run ends with status %#x: %s", status, said);
	}
}

/* --- other languages -------------------------------------------------------------------------------------
 */

static _Noreturn void become(const char *const *words)
{
	(void)execvp(words[0], (char *const *)(uintptr_t)words);
	_exit(EXIT_MISSING);
}

void play_python(int slot)
{
	char number[16], expires[16];

	(void)setenv("PYTHONPATH", SOURCE_DIR "/tests/tool", 1);
	(void)setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	(void)snprintf(number, sizeof(number), "%d", slot);
	(void)snprintf(expires, sizeof(expires), "%d", EXPIRE_S);
	become((const char *const[]){"python3", FOLDER "/worker.py", scene.dir.path, scene.journal_path,
				     scene.slots_path, number, expires, NULL});
}

void play_shell(int slot)
{
	(void)slot;
	become((const char *const[]){"sh", FOLDER "/dropper.sh", scene.dir.path, scene.journal_path,
				     scene.dir.root, campaign_is_long() ? "long" : "short", NULL});
}

/* --- the daemon, and who sees what it cannot hide
 * ----------------------------------------------------------- */

void play_daemon(int slot)
{
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)slot;
	(void)dup2(null_fd, STDOUT_FILENO);
	become((const char *const[]){scene.cancelwatch, "watch", "--no-rules", NULL});
}

/* The kernel makes one of two events that follow each other and are the same. Between two decisions of one
 * name there is its publication, so that is watched too. */
static int observe(int *processed)
{
	int fd = inotify_init1(IN_CLOEXEC);
	char path[80];

	(void)snprintf(path, sizeof(path), "%s/pending", scene.dir.path);
	if (fd < 0 || inotify_add_watch(fd, path, IN_CREATE | IN_MOVED_TO) < 0)
		_exit(EXIT_MISSING);
	(void)snprintf(path, sizeof(path), "%s/processed", scene.dir.path);
	*processed = inotify_add_watch(fd, path, IN_MOVED_TO);
	if (*processed < 0)
		_exit(EXIT_MISSING);
	return fd;
}

static void note_decision(struct inotify_event *event)
{
	size_t length = event->len ? strlen(event->name) : 0, end = strlen(".json");

	if (length <= end)
		return;
	event->name[length - end] = '\0';
	if (!strcmp(event->name, LAST_NAME))
		_exit(0);
	journal_note(JOURNAL_DECIDED, event->name);
}

/* Every decision is a rename into processed/, and the kernel tells of each. That of LAST_NAME ends it. */
void play_observer(int slot)
{
	char bytes[64 * 1024] __attribute__((aligned(8)));
	int processed, fd = observe(&processed);
	ssize_t length;

	slot_set(slot, "observing");
	while ((length = read(fd, bytes, sizeof(bytes))) > 0)
		for (char *at = bytes; at < bytes + length;) {
			struct inotify_event *event = (struct inotify_event *)(void *)at;

			at += sizeof(*event) + event->len;
			if (event->mask & IN_Q_OVERFLOW)
				journal_note(JOURNAL_OVERFLOW, "-");
			else if (event->wd == processed)
				note_decision(event);
		}
	_exit(EXIT_MISSING);
}
