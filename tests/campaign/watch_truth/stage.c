#include "stage.h"

#include "campaign.h"
#include "observers.h"
#include "process.h"
#include "tree.h"
#include "writers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SHORT_S = 4,
	AGE_NS = 60000000, /* more than the times of files tick */
	LETTERS = 8,       /* of a round, for watchers */
	NAMES_AGAIN = 6,   /* names that are used again and again */
	SLOW_TOOL_POLL_MS = 1001, /* who polls more seldom than every second rings for nobody */
	WORKER_NAMES = 3,
	SHELL_SHARE = 16, /* one letter in so many is worth a process */
};

void stage_die(const char *what)
{
	perror(what);
	abort();
}

pid_t stage_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		stage_die("fork");
	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

void stage_leave_out(struct stage *stage, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(stage->truth->left_out, sizeof stage->truth->left_out, format, arguments);
	va_end(arguments);
}

bool stage_wait_until(bool (*condition)(void *arg), void *arg)
{
	return wait_until(condition, arg, truth_patience_ms());
}

/* --- the spool --------------------------------------------------------------------------------------- */

void stage_spool_options(const struct stage *stage, struct cancel_spool_options *options)
{
	cancel_spool_options_init(options);
	options->path = stage->path;
	options->owner = stage->owner;
}

const char *stage_config(const struct stage *stage, char path[160])
{
	(void)snprintf(path, 160, "%s/cancel.yaml", stage->root);
	return path;
}

static const char *mode_of_tool(const struct stage *stage)
{
	for (int i = 0; i < OBSERVERS_MAX; i++)
		if (stage->row->observers[i].kind == OBSERVER_TOOL)
			return cancel_watch_mode_text(
				stage->row->tool_is_slow ? CANCEL_WATCH_POLL : stage->row->observers[i].mode);
	return cancel_watch_mode_text(CANCEL_WATCH_AUTO);
}

static void write_config(const struct stage *stage)
{
	char path[160];
	FILE *file = fopen(stage_config(stage, path), "we");

	if (!file)
		stage_die(path);
	(void)fprintf(file, "spool:\n  path: %s\n", stage->path);
	if (stage->owner != (uid_t)-1)
		(void)fprintf(file, "  owner: %u\n", stage->owner);
	(void)fprintf(file, "watch:\n  mode: %s\n  poll_interval: %lldms\n  rescan_interval: %lldms\n",
		      mode_of_tool(stage),
		      (long long)(stage->row->tool_is_slow ? SLOW_TOOL_POLL_MS : stage->row->poll_ms),
		      (long long)stage->row->rescan_ms);
	(void)fprintf(file, "sweep:\n  interval: 1d\nlog:\n  level: error\n");
	if (fclose(file) != 0)
		stage_die(path);
}

void stage_open(struct stage *stage)
{
	struct cancel_spool_options options;
	struct cancel_error error;

	stage_spool_options(stage, &options);
	options.create = true;
	if (cancel_spool_open(&stage->spool, &options, &error) < 0) {
		truth_complain(stage->truth, "cannot open the spool: %s", error.text);
		exit(1);
	}
	stage->root_fd = open(stage->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (stage->root_fd < 0)
		stage_die(stage->path);
	write_config(stage);
}

void stage_close(struct stage *stage)
{
	cancel_spool_close(stage->spool);
	(void)close(stage->root_fd);
	stage->spool = NULL;
	stage->root_fd = -1;
}

/* --- observers --------------------------------------------------------------------------------------- */

static bool is_watch(const struct observer *observer)
{
	return observer->kind == OBSERVER_WATCH || observer->kind == OBSERVER_TOOL;
}

static bool is_worker(const struct observer *observer)
{
	return observer->kind >= OBSERVER_THREAD;
}

static void launch(struct stage *stage, unsigned index)
{
	static void (*const bodies[])(struct stage *, unsigned) = {
		[OBSERVER_WATCH] = observe_by_watch, [OBSERVER_TOOL] = observe_by_tool,
		[OBSERVER_THREAD] = observe_by_task, [OBSERVER_LOOP] = observe_by_task,
		[OBSERVER_WAIT] = observe_by_task,   [OBSERVER_RUN] = observe_by_run,
	};
	enum observer_kind kind = stage->row->observers[index].kind;
	pid_t pid;

	/* The reader of what a program prints tells which process that is. */
	atomic_store(&stage->truth->observers[index].pid, 0);
	atomic_store(&stage->truth->observers[index].ready, false);
	pid = stage_fork();
	if (pid == 0)
		bodies[kind](stage, index);
	if (kind != OBSERVER_TOOL)
		atomic_store(&stage->truth->observers[index].pid, pid);
}

struct waiting {
	struct stage *stage;
	unsigned index;
	enum cancel_event_type type;
	int count;
};

static bool is_ready(void *arg)
{
	const struct waiting *waiting = arg;

	return atomic_load(&waiting->stage->truth->observers[waiting->index].ready) ||
	       atomic_load(&waiting->stage->truth->complaints);
}

/* A program is ready when it has seen what stands. */
static void await_tool(struct stage *stage, unsigned index)
{
	char reason[REASON_SIZE], task_id[TASK_ID_SIZE];
	struct letter letter = {task_id, reason};

	(void)snprintf(task_id, sizeof task_id, "first-%u-%u", index, stage->once++);
	(void)truth_announce(stage->truth, task_id, 1u << index, reason);
	write_by_library(stage, &letter);
	stage_await_only(stage);
	atomic_store(&stage->truth->observers[index].ready, true);
}

void stage_start_observer(struct stage *stage, unsigned index)
{
	struct waiting waiting = {.stage = stage, .index = index};

	launch(stage, index);
	if (is_watch(&stage->row->observers[index]))
		stage->watchers |= 1u << index;
	if (stage->row->observers[index].kind == OBSERVER_TOOL)
		await_tool(stage, index);
	else if (!stage_wait_until(is_ready, &waiting))
		truth_complain(stage->truth, "%s is not ready", stage->row->observers[index].name);
}

void stage_start(struct stage *stage)
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (stage->row->observers[i].kind)
			stage_start_observer(stage, i);
}

bool stage_goes_on(struct stage *stage)
{
	unsigned played = stage->rounds++;

	return !atomic_load(&stage->truth->complaints) &&
	       (played == 0 || played < stage->row->rounds || campaign_going(SHORT_S));
}

static void signal_observers(struct stage *stage, int signal_number)
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (atomic_load(&stage->truth->observers[i].pid))
			(void)kill(atomic_load(&stage->truth->observers[i].pid), signal_number);
}

static bool have_stopped(void *arg)
{
	const struct stage *stage = arg;

	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (atomic_load(&stage->truth->observers[i].pid) &&
		    tree_state(atomic_load(&stage->truth->observers[i].pid)) != 'T')
			return false;
	return true;
}

void stage_stop(struct stage *stage)
{
	stage->is_stopped = true;
	signal_observers(stage, SIGSTOP);
	if (!stage_wait_until(have_stopped, stage))
		truth_complain(stage->truth, "an observer does not stop");
}

void stage_continue(struct stage *stage)
{
	signal_observers(stage, SIGCONT);
	stage->is_stopped = false;
}

void stage_kill_watches(struct stage *stage)
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (is_watch(&stage->row->observers[i]))
			(void)kill(atomic_load(&stage->truth->observers[i].pid), SIGKILL);
	/* All children but those that go on: a watch, and who reads for a program that is dead. */
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (is_watch(&stage->row->observers[i]))
			(void)waitpid(-1, NULL, 0);
}

void stage_restart_watches(struct stage *stage)
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (is_watch(&stage->row->observers[i]))
			launch(stage, i);
}

int stage_event_count(const struct stage *stage, unsigned observer, enum cancel_event_type type)
{
	return atomic_load(&stage->truth->observers[observer].events[type]);
}

static bool has_event(void *arg)
{
	const struct waiting *waiting = arg;

	return stage_event_count(waiting->stage, waiting->index, waiting->type) > waiting->count;
}

bool stage_await_event(struct stage *stage, unsigned observer, enum cancel_event_type type, int count)
{
	struct waiting waiting = {stage, observer, type, count};

	if (stage_wait_until(has_event, &waiting))
		return true;
	truth_complain(stage->truth, "%s does not tell '%s'", stage->row->observers[observer].name,
		       cancel_event_text(type));
	return false;
}

/* --- publishing -------------------------------------------------------------------------------------- */

static void send(struct stage *stage, writer *write, const char *task_id, uint32_t wanted)
{
	char reason[REASON_SIZE];
	struct letter letter = {task_id, reason};

	(void)truth_announce(stage->truth, task_id, wanted, reason);
	write(stage, &letter);
}

static void send_to_watchers(struct stage *stage, writer *write, bool again)
{
	char *task_id = stage->pending[stage->pending_count];

	if (!stage->watchers)
		return;
	if (again)
		(void)snprintf(task_id, TASK_ID_SIZE, "again-%u", stage->pending_count);
	else
		(void)snprintf(task_id, TASK_ID_SIZE, "once-%u", stage->once++);
	stage->pending_count++;
	send(stage, write, task_id, stage->watchers);
}

/* Programs are started seldom, or most of the time would be theirs. */
static writer *any_writer(void)
{
	static writer *const writers[] = {write_by_library, write_by_library, write_by_batch, write_drop,
					  write_link};
	static writer *const programs[] = {write_by_program, write_drop_by_shell};

	if (campaign_pick(SHELL_SHARE) == 0)
		return programs[campaign_pick(sizeof programs / sizeof programs[0])];
	return writers[campaign_pick(sizeof writers / sizeof writers[0])];
}

struct turn_case {
	const struct observer_state *state;
	unsigned turn;
};

static bool is_offered(void *arg)
{
	const struct turn_case *turn = arg;

	return atomic_load(&turn->state->offered) > turn->turn;
}

static bool has_begun(void *arg)
{
	const struct turn_case *turn = arg;

	return atomic_load(&turn->state->begun) >= turn->turn;
}

void stage_worker_name(const struct stage *stage, unsigned index, unsigned turn, char task_id[TASK_ID_SIZE])
{
	(void)snprintf(task_id, TASK_ID_SIZE, "worker-%u-%u", index,
		       stage->row->has_two_spools ? turn : turn % WORKER_NAMES);
}

/* A task that has been offered is asked for once: after it has begun, or at whatever point of its beginning
 * this is. */
static void publish_for_worker(struct stage *stage, unsigned index)
{
	struct observer_state *state = &stage->truth->observers[index];
	struct turn_case turn = {state, atomic_load(&state->offered)};
	char task_id[TASK_ID_SIZE];

	if (turn.turn == state->asked)
		return;
	if (!stage->is_stopped && campaign_pick(2) && !stage_wait_until(has_begun, &turn)) {
		truth_complain(stage->truth, "%s does not begin", stage->row->observers[index].name);
		return;
	}
	state->asked = turn.turn;
	stage_worker_name(stage, index, turn.turn, task_id);
	send(stage, any_writer(), task_id, 1u << index);
}

void stage_publish(struct stage *stage)
{
	for (unsigned i = 0; i < LETTERS; i++)
		send_to_watchers(stage, any_writer(), i < NAMES_AGAIN);
	for (unsigned i = 0; i < OBSERVERS_MAX; i++)
		if (is_worker(&stage->row->observers[i]))
			publish_for_worker(stage, i);
}

static void publish_by_two(struct stage *stage, writer *one, writer *other)
{
	for (unsigned i = 0; i < LETTERS / 2; i++)
		send_to_watchers(stage, campaign_pick(2) ? one : other, false);
}

void stage_publish_by_directory(struct stage *stage)
{
	publish_by_two(stage, write_drop, write_link);
}

void stage_publish_links(struct stage *stage)
{
	publish_by_two(stage, write_link, write_link);
}

void stage_publish_behind(struct stage *stage)
{
	publish_by_two(stage, write_drop_behind, write_link_behind);
}

void stage_change_later(struct stage *stage)
{
	static const char stranger[] = "pending/.stranger";
	const struct timespec age = {.tv_nsec = AGE_NS};
	int fd;

	(void)nanosleep(&age, NULL);
	fd = openat(stage->root_fd, stranger, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		stage_die(stranger);
	(void)close(fd);
	(void)unlinkat(stage->root_fd, stranger, 0);
}

void stage_publish_for_nobody(struct stage *stage)
{
	send(stage, write_by_library, "nobody", 0);
}

static void names_of(const struct stage *stage, const char *names[OBSERVERS_MAX])
{
	for (int i = 0; i < OBSERVERS_MAX; i++)
		names[i] = stage->row->observers[i].name;
}

void stage_await_only(struct stage *stage)
{
	const char *names[OBSERVERS_MAX];

	names_of(stage, names);
	(void)truth_await(stage->truth, names);
}

static void decide(struct stage *stage, const char *task_id)
{
	static const enum cancel_outcome outcomes[] = {CANCEL_OUTCOME_STOPPED, CANCEL_OUTCOME_WITHDRAWN,
						       CANCEL_OUTCOME_FINISHED};
	struct cancel_error error;
	int code = cancel_spool_decide(stage->spool, task_id, NULL, NULL, outcomes[campaign_pick(3)], NULL,
				       NULL, &error);

	if (code != CANCEL_DECIDED)
		truth_complain(stage->truth, "deciding '%s' says %d: %s", task_id, code,
			       code < 0 ? error.text : "");
}

static bool stays(struct stage *stage, const char *task_id)
{
	return !strncmp(task_id, "once", 4) && stage->standing < STANDING_MAX && ++stage->standing;
}

/* Before a directory is moved: who was cancelled must have decided his request where it stands. Where
 * commands are run none is moved, and they may take their time to end. */
static void await_turns(struct stage *stage)
{
	for (unsigned i = 0; i < OBSERVERS_MAX; i++) {
		struct turn_case turn = {&stage->truth->observers[i], stage->truth->observers[i].asked};

		if (is_worker(&stage->row->observers[i]) && stage->row->observers[i].kind != OBSERVER_RUN &&
		    turn.turn && !stage_wait_until(is_offered, &turn))
			truth_complain(stage->truth, "%s does not come to its end",
				       stage->row->observers[i].name);
	}
}

void stage_await(struct stage *stage)
{
	stage_await_only(stage);
	await_turns(stage);
	for (unsigned i = 0; i < stage->pending_count; i++)
		if (!stays(stage, stage->pending[i]))
			decide(stage, stage->pending[i]);
	stage->pending_count = 0;
}

void stage_round(struct stage *stage)
{
	stage_publish(stage);
	stage_await(stage);
}
