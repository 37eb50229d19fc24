#include "refusal.h"

#include "campaign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PRIVATE = 0,
	SHARED = 1,
	ROOTS = 4,
};

static void must(int result, const char *what)
{
	if (result == 0)
		return;
	perror(what);
	abort();
}

static void put_directory(const char *path, uid_t owner, gid_t group, mode_t mode)
{
	must(mkdir(path, 0700), path);
	must(chown(path, owner, group), path);
	must(chmod(path, mode), path);
}

static void attacker_was_first(const struct stage *stage)
{
	put_directory(stage->spool, stage->attacker, stage->attacker, 0700);
}

static void attacker_was_first_and_open(const struct stage *stage)
{
	put_directory(stage->spool, stage->attacker, stage->attacker, 0777);
}

static void link_of(const struct stage *stage, uid_t uid)
{
	char target[128];

	(void)snprintf(target, sizeof target, "%s/directory", stage->canary);
	must(symlink(target, stage->spool), "symlink");
	must(lchown(stage->spool, uid, uid), "lchown");
}

static void link_of_attacker(const struct stage *stage)
{
	link_of(stage, stage->attacker);
}

static void link_of_root(const struct stage *stage)
{
	link_of(stage, 0);
}

static void fifo(const struct stage *stage)
{
	must(mkfifo(stage->spool, 0666), "mkfifo");
}

static void box_of_attacker(const struct stage *stage)
{
	must(chown(stage->box, stage->attacker, stage->attacker), "chown");
	must(chmod(stage->box, 0755), "chmod");
	put_directory(stage->spool, stage->victim, stage->victim, 0700);
}

static void sticky_box_of_attacker(const struct stage *stage)
{
	box_of_attacker(stage);
	must(chmod(stage->box, 01777), "chmod");
}

static void box_for_all(const struct stage *stage)
{
	must(chmod(stage->box, 0777), "chmod");
	put_directory(stage->spool, stage->victim, stage->victim, 0700);
}

static void box_for_group(const struct stage *stage)
{
	must(chown(stage->box, 0, stage->group), "chown");
	must(chmod(stage->box, 0775), "chmod");
}

static void spool_for_all(const struct stage *stage)
{
	put_directory(stage->spool, stage->victim, stage->victim, 0777);
}

static void spool_to_write_blindly(const struct stage *stage)
{
	put_directory(stage->spool, stage->victim, stage->victim, 01732);
}

static void pending_of_attacker(const struct stage *stage)
{
	char path[160];

	(void)snprintf(path, sizeof path, "%s/pending", stage->spool);
	must(chown(path, stage->attacker, stage->group), path);
}

static void pending_for_all(const struct stage *stage)
{
	char path[160];

	(void)snprintf(path, sizeof path, "%s/pending", stage->spool);
	must(chmod(path, 02777), path);
}

static void spool_of_attacker(const struct stage *stage)
{
	must(chown(stage->spool, stage->attacker, stage->group), "chown");
}

/* DESIGN.md, invariant 19 */
static const struct refusal {
	const char *name;
	void (*prepare)(const struct stage *stage);
	int form;
	int code;
	bool is_made; /* it was a good spool before */
} refusals[] = {
	{"made by the attacker before us", attacker_was_first, PRIVATE, -EPERM, false},
	{"made by the attacker, open to all", attacker_was_first_and_open, PRIVATE, -EPERM, false},
	{"a link that the attacker made", link_of_attacker, PRIVATE, -ELOOP, false},
	{"a link that root made where all may write", link_of_root, PRIVATE, -ELOOP, false},
	{"a FIFO", fifo, PRIVATE, -ENOTDIR, false},
	{"in a directory of the attacker's", box_of_attacker, PRIVATE, -EPERM, false},
	{"in a sticky directory of the attacker's", sticky_box_of_attacker, PRIVATE, -EPERM, false},
	{"in a directory that all may write", box_for_all, PRIVATE, -EPERM, false},
	{"in a directory that a group may write", box_for_group, PRIVATE, -EPERM, false},
	{"open to all", spool_for_all, PRIVATE, -EPERM, false},
	{"sticky, and all may write it", spool_to_write_blindly, PRIVATE, -EPERM, false},
	{"with a pending/ of the attacker's", pending_of_attacker, SHARED, -EPERM, true},
	{"with a pending/ that all may write", pending_for_all, SHARED, -EPERM, true},
	{"the attacker's, and root was not told whose it is", spool_of_attacker, ROOTS, -EPERM, true},
};

enum {
	REFUSAL_COUNT = sizeof refusals / sizeof refusals[0],
};

/* What is there, in one number; 0: nothing can be listed. */
static long links_of(const struct stage *stage)
{
	struct stat stat;

	return lstat(stage->spool, &stat) < 0 ? 0 : (long)stat.st_nlink * 1000 + (long)stat.st_size;
}

static void try_one(struct match *match, const struct refusal *refusal)
{
	struct verdict verdict;
	long before;

	match_set(match, &forms[refusal->form], refusal->is_made);
	refusal->prepare(match->stage);
	before = links_of(match->stage);
	verdict = match_do(match, OPERATION_OPEN, "a spool %s", refusal->name);
	tally.escapes += !campaign_expect(verdict.code == refusal->code, "a spool %s was not refused: %d: %s",
					  refusal->name, verdict.code, verdict.text);
	tally.escapes += !campaign_expect(links_of(match->stage) == before,
					  "a spool %s was refused, and something made there", refusal->name);
}

int refusal_try_all(struct match *match)
{
	for (int i = 0; i < REFUSAL_COUNT; i++)
		try_one(match, &refusals[i]);
	return REFUSAL_COUNT;
}
