/*
 * Watcher truth: everything that was published was seen, by everybody who looks, whatever became of the
 * kernel's events, of the directory, of the clock and of those who look.
 *
 * Each row of the table is played in a process and a spool of its own, all rows side by side. ONLY=PART,PART
 * plays those whose names begin so. A row that cannot be played here is named with its reason.
 */
#include "rows.h"
#include "stage.h"
#include "truth.h"

#include "campaign.h"
#include "spool_dir.h"
#include "tree.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	NEVER_MS = 24 * 3600 * 1000, /* the slow rescan, where something else has to notice */
	HOUR_MS = 3600 * 1000,
	POLL_MS = 50,
	RESCAN_MS = 1000,
	PAUSE_NS = 5000000,
};

#define WATCH(way)                                                                    \
	{                                                                             \
		"watch " #way, OBSERVER_WATCH, CANCEL_WATCH_##way, CANCEL_NOTICE_AUTO \
	}
#define TOOL(way)                                                                    \
	{                                                                            \
		"cancelwatch", OBSERVER_TOOL, CANCEL_WATCH_##way, CANCEL_NOTICE_AUTO \
	}
#define THREAD(way)                                                                     \
	{                                                                               \
		"thread " #way, OBSERVER_THREAD, CANCEL_WATCH_AUTO, CANCEL_NOTICE_##way \
	}
#define LOOP                                                                        \
	{                                                                           \
		"checkpoints", OBSERVER_LOOP, CANCEL_WATCH_AUTO, CANCEL_NOTICE_AUTO \
	}
#define WAIT(way)                                                                   \
	{                                                                           \
		"wait " #way, OBSERVER_WAIT, CANCEL_WATCH_AUTO, CANCEL_NOTICE_##way \
	}
#define RUN                                                                \
	{                                                                  \
		"run", OBSERVER_RUN, CANCEL_WATCH_AUTO, CANCEL_NOTICE_AUTO \
	}

static const struct row rows[] = {
	{"inotify",
	 play_plainly,
	 {WATCH(INOTIFY), TOOL(INOTIFY), THREAD(AUTO), THREAD(INOTIFY), LOOP, WAIT(AUTO), RUN},
	 .poll_ms = HOUR_MS,
	 .rescan_ms = NEVER_MS},
	{"polling",
	 play_plainly,
	 {WATCH(POLL), TOOL(POLL), THREAD(POLL), LOOP, WAIT(POLL)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS},
	{"queue overflows",
	 play_overflow,
	 {WATCH(INOTIFY), TOOL(INOTIFY), THREAD(INOTIFY)},
	 .poll_ms = HOUR_MS,
	 .rescan_ms = NEVER_MS},
	{"events lost",
	 play_lost_events,
	 {WATCH(INOTIFY), TOOL(INOTIFY), THREAD(INOTIFY)},
	 .poll_ms = HOUR_MS,
	 .rescan_ms = RESCAN_MS},
	{"one instance",
	 play_few_instances,
	 {WATCH(INOTIFY), TOOL(AUTO), WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = RESCAN_MS},
	{"no watches",
	 play_few_watches,
	 {WATCH(AUTO), TOOL(AUTO), WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS},
	{"times restored",
	 play_restored_times,
	 {WATCH(POLL), TOOL(POLL), WATCH(INOTIFY), THREAD(POLL)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS},
	{"stopped",
	 play_stopped,
	 {WATCH(INOTIFY), TOOL(AUTO), THREAD(AUTO), LOOP, WAIT(AUTO)},
	 .poll_ms = HOUR_MS,
	 .rescan_ms = NEVER_MS},
	{"killed",
	 play_killed,
	 {WATCH(AUTO), TOOL(AUTO), WAIT(AUTO)},
	 .poll_ms = HOUR_MS,
	 .rescan_ms = NEVER_MS,
	 .may_double = true},
	{"opening",
	 play_opening,
	 {WATCH(INOTIFY), WATCH(POLL), THREAD(AUTO), THREAD(INOTIFY), LOOP, WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS,
	 .look_ms = HOUR_MS},
	{"clock stepped",
	 play_clock,
	 {WATCH(POLL), WATCH(INOTIFY), THREAD(AUTO), LOOP, WAIT(POLL)},
	 .poll_ms = POLL_MS,
	 .rounds = 4,
	 .rescan_ms = NEVER_MS},
	{"time namespace",
	 play_time_namespace,
	 {WATCH(POLL), TOOL(AUTO), THREAD(AUTO), WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS},
	{"replaced",
	 play_replaced,
	 {WATCH(INOTIFY), TOOL(POLL), THREAD(AUTO), THREAD(INOTIFY), LOOP, WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rounds = 3,
	 .rescan_ms = NEVER_MS,
	 .tool_is_slow = true},
	{"moved",
	 play_moved,
	 {WATCH(INOTIFY), TOOL(POLL), THREAD(INOTIFY), LOOP},
	 .poll_ms = POLL_MS,
	 .rounds = 2,
	 .rescan_ms = NEVER_MS,
	 .tool_is_slow = true},
	{"parent moved",
	 play_parent_moved,
	 {WATCH(INOTIFY), TOOL(POLL), THREAD(AUTO), LOOP, WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS,
	 .tool_is_slow = true,
	 .has_two_spools = true},
	{"mounted over",
	 play_mounted_over,
	 {WATCH(INOTIFY), TOOL(POLL), THREAD(AUTO), LOOP, WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS,
	 .tool_is_slow = true,
	 .has_two_spools = true},
	{"overlay",
	 play_overlay,
	 {WATCH(AUTO), TOOL(AUTO), THREAD(AUTO), LOOP, WAIT(AUTO), RUN},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS},
	{"FUSE",
	 play_mirror,
	 {WATCH(AUTO), TOOL(AUTO), THREAD(AUTO), LOOP, WAIT(AUTO), RUN},
	 .poll_ms = POLL_MS,
	 .rescan_ms = NEVER_MS},
	{"FUSE clock",
	 play_mirror_clock,
	 {WATCH(AUTO), TOOL(AUTO), WAIT(AUTO)},
	 .poll_ms = POLL_MS,
	 .rounds = 2,
	 .rescan_ms = NEVER_MS},
};

#define ROWS (sizeof rows / sizeof rows[0])

static struct playing {
	pid_t pid; /* 0: not chosen, or over */
	bool is_chosen;
	struct spool_dir dir;
	struct truth *truth;
	int told; /* complaints */
} playing[ROWS];

/* --- playing
 * ------------------------------------------------------------------------------------------------- */

static bool is_chosen(const char *name)
{
	const char *only = getenv("ONLY");

	while (only && *only) {
		size_t length = strcspn(only, ",");

		if (!strncmp(name, only, length))
			return true;
		only += length + (only[length] == ',');
	}
	return !getenv("ONLY");
}

static _Noreturn void play(const struct row *row, struct playing *own)
{
	struct stage stage = {
		.row = row,
		.truth = own->truth,
		.root = own->dir.root,
		.owner = (uid_t)-1,
		.root_fd = -1,
		.behind_fd = -1,
	};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(stage.path, sizeof stage.path, "%s", own->dir.path);
	own->truth->may_double = row->may_double;
	row->play(&stage);
	_exit(0);
}

static void start_rows(void)
{
	struct truth *truths = truth_make(ROWS);

	for (size_t i = 0; i < ROWS; i++) {
		playing[i].truth = &truths[i];
		playing[i].is_chosen = is_chosen(rows[i].name);
		if (!playing[i].is_chosen)
			continue;
		spool_dir_make(&playing[i].dir);
		playing[i].pid = fork();
		if (playing[i].pid < 0)
			stage_die("fork");
		if (playing[i].pid == 0)
			play(&rows[i], &playing[i]);
	}
}

/* --- watching them
 * ------------------------------------------------------------------------------------------- */

static void end_row(struct playing *own)
{
	if (own->pid)
		(void)kill(own->pid, SIGKILL);
	if (own->pid)
		(void)waitpid(own->pid, NULL, 0);
	own->pid = 0;
}

static bool has_ended(void *arg)
{
	(void)arg;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return waitpid(-1, NULL, WNOHANG) < 0;
}

/* With all that came of them, which comes to us: a watch makes the spool anew if it finds it gone, and who
 * runs a command tries for long to tell how it ended. */
static void end_rows(void)
{
	for (size_t i = 0; i < ROWS; i++)
		end_row(&playing[i]);
	tree_end();
	(void)stage_wait_until(has_ended, NULL);
	for (size_t i = 0; i < ROWS; i++)
		if (playing[i].is_chosen)
			spool_dir_remove(&playing[i].dir);
}

/* Its observers die with it; the directories must not be left behind by who ends at the first violation. */
static void tell_complaints(size_t i)
{
	struct truth *truth = playing[i].truth;

	while (playing[i].told < COMPLAINTS && atomic_load(&truth->complaint[playing[i].told].is_whole)) {
		const char *text = truth->complaint[playing[i].told++].text;

		if (getenv("CAMPAIGN_FIRST"))
			end_rows();
		(void)campaign_expect(false, "%s: %s", rows[i].name, text);
	}
}

static bool is_over(size_t i)
{
	int status;

	if (!playing[i].pid || waitpid(playing[i].pid, &status, WNOHANG) == 0)
		return !playing[i].pid;
	playing[i].pid = 0;
	if (status != 0 && !atomic_load(&playing[i].truth->complaints))
		truth_complain(playing[i].truth, "the row's process ended with status %#x", (unsigned)status);
	return true;
}

static void watch_rows(void)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	unsigned over;

	do {
		over = 0;
		for (size_t i = 0; i < ROWS; i++) {
			over += is_over(i);
			tell_complaints(i);
		}
		campaign_progress("%u of %zu rows are over", over, ROWS);
		(void)nanosleep(&pause, NULL);
	} while (over < ROWS);
}

/* --- the report
 * ------------------------------------------------------------------------------------------------ */

static bool is_played(size_t i)
{
	return playing[i].is_chosen && !playing[i].truth->left_out[0];
}

static double in_ms(double ns)
{
	return ns / 1e6;
}

static void print_table(void)
{
	(void)printf("%-16s | %-14s | published | missed |  p50 ms |  p99 ms |  max ms\n", "mode", "who");
	for (size_t i = 0; i < ROWS; i++)
		for (int who = 0; is_played(i) && who < OBSERVERS_MAX; who++) {
			const struct tally *tally = &playing[i].truth->tallies[who];

			if (rows[i].observers[who].kind)
				(void)printf("%-16s | %-14s | %9ld | %6ld | %7.1f | %7.1f | %7.1f\n",
					     rows[i].name, rows[i].observers[who].name, tally->published,
					     tally->missed, in_ms(truth_percentile_ns(tally, 0.5)),
					     in_ms(truth_percentile_ns(tally, 0.99)),
					     in_ms((double)tally->longest_ns));
		}
}

struct figures {
	unsigned rows;
	unsigned long long published;
	long seen, missed, doubled;
	char left_out[1024];
};

static void add_left_out(struct figures *figures, size_t i)
{
	size_t length = strlen(figures->left_out);

	(void)snprintf(figures->left_out + length, sizeof figures->left_out - length, "%s%s (%s)",
		       length ? ", " : ", left out: ", rows[i].name, playing[i].truth->left_out);
}

static void add_row(struct figures *figures, size_t i)
{
	const struct truth *truth = playing[i].truth;

	figures->rows++;
	figures->published += truth->published;
	figures->doubled += rows[i].may_double ? 0 : truth->doubled;
	for (int who = 0; who < OBSERVERS_MAX; who++) {
		figures->seen += truth->tallies[who].published - truth->tallies[who].missed;
		figures->missed += truth->tallies[who].missed;
	}
}

int main(void)
{
	struct figures figures = {0};

	campaign_begin("watch-truth");
	tree_begin();
	start_rows();
	watch_rows();
	end_rows();
	for (size_t i = 0; i < ROWS; i++) {
		if (is_played(i))
			add_row(&figures, i);
		else if (playing[i].is_chosen)
			add_left_out(&figures, i);
	}
	if (campaign_is_long())
		print_table();
	return campaign_end("%u modes, %llu published, %ld seen, %ld missed, %ld doubled%s", figures.rows,
			    figures.published, figures.seen, figures.missed, figures.doubled,
			    figures.left_out);
}
