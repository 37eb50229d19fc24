/* A disk after the power was cut: what of a journal's first steps may be on it, and what must.
 *
 * The model, from the strictest promise that each rule has:
 *
 * - Names. A change of a name (made, linked, renamed, removed) is on the disk for sure once a directory that
 * it changes was synced: fsync(2) on a file promises nothing of its name. Until then it may be there or not,
 * for ever, and whether others are: this is the rule that LevelDB's fault injection tests with (what was made
 * since the directory's last sync is gone), widened as ALICE does (Pillai et al., OSDI 2014) to any set of
 * the changes.
 * - A rename is one change, though it touches two directories: rename(2), and every journaling or
 * copy-on-write filesystem, so it is on the disk at both ends or at none, and a sync of either directory
 * brings both.
 * - Changes of one name in one directory keep their order. So a change that is there brings those before it
 * of the same names.
 * - Ordered metadata is a part of this: ext4 and XFS write one journal in its order, so that what is there is
 * a first part of all changes, or of each directory's; btrfs is that plus what was synced out of turn.
 * - What is in a directory that has no name on the disk is gone with it.
 * - Content. What was synced (fdatasync(2), fsync(2), syncfs(2)) is there. What was written since may be
 * there whole, or in part, or not, or as zeros of the right length (delayed allocation: ext4 without
 * auto_da_alloc, XFS). A name may be there without the content.
 * - Attributes of a file. fdatasync brings none but the length. Those of directories are there with their
 * names: what the library sets of them only matters to other users.
 *
 * Kept out: a rename torn in two, content of another file, a disk that says that it has synced and has not.
 */
#ifndef POWERCUT_DISK_H
#define POWERCUT_DISK_H

#include "journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_content {
	DISK_WHOLE,
	DISK_BEFORE, /* what was synced last; nothing if nothing was */
	DISK_HALF,
	DISK_ZEROS,
	DISK_CONTENT_COUNT,
};

enum {
	DISK_FILES_MAX = 64,
	DISK_PATH_SIZE = 768,
};

/* What must be on it after the first `cut` steps; what need not. */
struct disk {
	const struct journal *journal;
	size_t cut;
	bool is_safe[JOURNAL_STEPS_MAX]; /* of STEP_NAMES */
	size_t loose[JOURNAL_STEPS_MAX]; /* the STEP_NAMES that are not, in order */
	size_t loose_count;
	int content[JOURNAL_NODES_MAX]; /* the step that wrote it last; -1: none did */
	int safe_content[JOURNAL_NODES_MAX];
	int attributes[JOURNAL_NODES_MAX];
	int safe_attributes[JOURNAL_NODES_MAX];
};

void disk_after(struct disk *disk, const struct journal *journal, size_t cut);

/* What happened to be on it of the rest. */
struct disk_chance {
	bool happened[JOURNAL_STEPS_MAX]; /* of disk->loose, by its place in that */
	enum disk_content content[JOURNAL_NODES_MAX];
	bool loses_attributes; /* of all files */
};

/* Whether a set of changes is one that may be: those of one name in order. */
bool disk_allows(const struct disk *disk, const struct disk_chance *chance);

/* Whether what is in a file may be other than what was written last. */
bool disk_is_loose(const struct disk *disk, int node);

/* The directory as it is found when the power is back, parents first. */
struct disk_file {
	char path[DISK_PATH_SIZE]; /* below the directory */
	int node;
	bool is_directory;
	bool is_torn;        /* not what anybody wrote */
	const char *content; /* the journal's, or zeros; NULL: none */
	size_t size;
	uint64_t content_hash;
	struct journal_attributes attributes;
};

struct disk_image {
	struct disk_file files[DISK_FILES_MAX];
	size_t count;
};

void disk_image(const struct disk *disk, const struct disk_chance *chance, struct disk_image *image);

/* The same number for the same image. */
uint64_t disk_image_hash(const struct disk_image *image);

#endif
