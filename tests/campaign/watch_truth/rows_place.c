#include "mirror.h"
#include "rows.h"
#include "spaces.h"

#include "campaign.h"
#include "spool_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PATH_SIZE = 192,
};

static void path_below(const struct stage *stage, char path[PATH_SIZE], const char *name)
{
	(void)snprintf(path, PATH_SIZE, "%s/%s", stage->root, name);
}

static void expect_moved(struct stage *stage, const char *from, const char *to)
{
	if (rename(from, to) < 0)
		truth_complain(stage->truth, "cannot rename '%s' to '%s': %s", from, to, strerror(errno));
}

/* --- replaced ---------------------------------------------------------------------------------------------
 */

/* A watch that makes what is missing may be at it at the same time. */
static bool is_removed(void *arg)
{
	const struct stage *stage = arg;

	spool_dir_remove_tree(stage->path);
	return access(stage->path, F_OK) < 0;
}

static void replace_by_removal(struct stage *stage)
{
	stage_close(stage);
	(void)stage_wait_until(is_removed, stage);
	stage_open(stage);
}

static void replace_by_rename(struct stage *stage)
{
	char aside[PATH_SIZE];

	path_below(stage, aside, "aside");
	stage_close(stage);
	expect_moved(stage, stage->path, aside);
	stage_open(stage);
	spool_dir_remove_tree(aside);
}

/* Only what the requests stand in. */
static void replace_pending(struct stage *stage)
{
	char pending[PATH_SIZE], aside[PATH_SIZE];

	path_below(stage, aside, "aside");
	(void)snprintf(pending, sizeof pending, "%s/pending", stage->path);
	stage_close(stage);
	expect_moved(stage, pending, aside);
	stage_open(stage);
	spool_dir_remove_tree(aside);
}

/* DESIGN.md, invariants 7, 12 and 42 */
void play_replaced(struct stage *stage)
{
	static void (*const ways[])(struct stage *) = {replace_by_removal, replace_by_rename,
						       replace_pending};

	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		stage_round(stage);
		ways[stage->rounds % 3](stage);
		stage_round(stage);
	}
}

/* --- moved -------------------------------------------------------------------------------------------------
 */

struct move {
	const char *from, *to;
};

/* Who makes a spool where there is none may have made one meanwhile. */
static bool is_back(void *arg)
{
	const struct move *move = arg;

	if (rename(move->from, move->to) == 0)
		return true;
	if (errno == ENOTEMPTY || errno == EEXIST)
		spool_dir_remove_tree(move->to);
	return false;
}

static void move_back(struct stage *stage, const char *from, const char *to)
{
	struct move move = {from, to};

	if (!stage_wait_until(is_back, &move))
		truth_complain(stage->truth, "cannot move '%s' back", from);
}

struct noticing {
	const struct stage *stage;
	int events;
};

/* How often the first of those who watch has told that the spool is gone, or another one. */
static int told_by_first(const struct stage *stage)
{
	return stage_event_count(stage, 0, CANCEL_EVENT_DEGRADED) +
	       stage_event_count(stage, 0, CANCEL_EVENT_RESCANNED);
}

static bool has_noticed(void *arg)
{
	const struct noticing *noticing = arg;

	return told_by_first(noticing->stage) > noticing->events;
}

/* While it is away only those can publish who hold it. */
void play_moved(struct stage *stage)
{
	char away[PATH_SIZE];

	path_below(stage, away, "away");
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		struct noticing noticing = {stage, 0};

		stage_round(stage);
		noticing.events = told_by_first(stage);
		expect_moved(stage, stage->path, away);
		stage_publish_by_directory(stage);
		if (campaign_pick(2) && !stage_wait_until(has_noticed, &noticing))
			truth_complain(stage->truth, "%s does not tell that it is gone",
				       stage->row->observers[0].name);
		stage_publish_by_directory(stage);
		move_back(stage, away, stage->path);
		stage_await(stage);
	}
}

void play_parent_moved(struct stage *stage)
{
	char parent[PATH_SIZE], away[PATH_SIZE];

	path_below(stage, parent, "parent");
	path_below(stage, away, "away");
	(void)snprintf(stage->path, sizeof stage->path, "%s/parent/spool", stage->root);
	(void)mkdir(parent, 0700);
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		struct cancel_spool *spool = stage->spool;
		int root_fd = stage->root_fd;

		stage_round(stage);
		/* Another spool at the path is the spool. */
		expect_moved(stage, parent, away);
		(void)mkdir(parent, 0700);
		stage_open(stage);
		stage_round(stage);
		stage_close(stage);
		/* What comes into the first one meanwhile stands when it is back. */
		stage->spool = spool;
		stage->root_fd = root_fd;
		stage_publish_by_directory(stage);
		spool_dir_remove_tree(parent);
		move_back(stage, away, parent);
		stage_await(stage);
	}
}

/* --- mounted over
 * --------------------------------------------------------------------------------------------- */

static bool mount_memory(struct stage *stage, const char *path)
{
	if (mount("truth", path, "tmpfs", 0, "mode=0700") == 0)
		return true;
	stage_leave_out(stage, "no tmpfs can be mounted: %s", strerror(errno));
	return false;
}

void play_mounted_over(struct stage *stage)
{
	if (!space_of_mounts(stage))
		return;
	stage_open(stage);
	stage_start(stage);
	while (stage_goes_on(stage)) {
		struct cancel_spool *spool = stage->spool;
		int root_fd = stage->root_fd;

		stage_round(stage);
		if (!mount_memory(stage, stage->path))
			return;
		stage_open(stage);
		stage_round(stage);
		stage_close(stage);
		stage->spool = spool;
		stage->root_fd = root_fd;
		stage_publish_by_directory(stage);
		if (umount2(stage->path, MNT_DETACH) < 0)
			truth_complain(stage->truth, "cannot unmount: %s", strerror(errno));
		stage_await(stage);
	}
}

/* --- other filesystems
 * ------------------------------------------------------------------------------------------ */

static bool mount_overlay(struct stage *stage, const char *store, const char *merged)
{
	char path[PATH_SIZE + 16], options[4 * PATH_SIZE];
	static const char *const names[] = {"lower", "upper", "work"};

	(void)mkdir(store, 0700);
	(void)mkdir(merged, 0700);
	if (!mount_memory(stage, store))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", store, names[i]);
		if (mkdir(path, 0700) < 0)
			stage_die(path);
	}
	(void)snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", store,
		       store, store);
	if (mount("truth", merged, "overlay", 0, options) == 0)
		return true;
	stage_leave_out(stage, "no overlay can be mounted: %s", strerror(errno));
	return false;
}

static void open_behind(struct stage *stage, const char *path)
{
	stage->behind_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (stage->behind_fd < 0)
		stage_die(path);
}

static void play_both_sides(struct stage *stage)
{
	while (stage_goes_on(stage)) {
		stage_publish(stage);
		stage_publish_behind(stage);
		stage_await(stage);
	}
}

void play_overlay(struct stage *stage)
{
	char store[PATH_SIZE], merged[PATH_SIZE], behind[PATH_SIZE + 16];

	path_below(stage, store, "store");
	path_below(stage, merged, "merged");
	(void)snprintf(stage->path, sizeof stage->path, "%s/merged/spool", stage->root);
	(void)snprintf(behind, sizeof behind, "%s/upper/spool", store);
	if (!space_of_mounts(stage) || !mount_overlay(stage, store, merged))
		return;
	stage_open(stage);
	open_behind(stage, behind);
	stage_start(stage);
	play_both_sides(stage);
}

static bool open_mirror(struct stage *stage)
{
	char backing[PATH_SIZE], mirror[PATH_SIZE], behind[PATH_SIZE + 16];

	path_below(stage, backing, "backing");
	path_below(stage, mirror, "mirror");
	(void)snprintf(stage->path, sizeof stage->path, "%s/mirror/spool", stage->root);
	(void)snprintf(behind, sizeof behind, "%s/spool", backing);
	(void)mkdir(backing, 0700);
	(void)mkdir(mirror, 0700);
	if (!space_of_mounts(stage) || !mirror_mount(stage, backing, mirror))
		return false;
	stage_open(stage);
	open_behind(stage, behind);
	return true;
}

void play_mirror(struct stage *stage)
{
	if (!open_mirror(stage))
		return;
	stage_start(stage);
	play_both_sides(stage);
}

/* A server whose clock is stepped by a day, to and fro; its files bear its times. */
void play_mirror_clock(struct stage *stage)
{
	static const int64_t steps_s[] = {0, 86400, 0, -86400};

	if (!open_mirror(stage))
		return;
	stage_start(stage);
	while (stage_goes_on(stage)) {
		/* The second is seen by a look that began after the first: it knows of the clock as it is
		 * now. */
		stage_round(stage);
		stage_round(stage);
		stage_stop(stage);
		mirror_set_clock(steps_s[stage->rounds % 4]);
		stage_publish(stage);
		stage_publish_behind(stage);
		stage_change_later(stage);
		stage_continue(stage);
		stage_await(stage);
	}
}
