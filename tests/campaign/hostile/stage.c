#include "stage.h"

#include "campaign.h"
#include "spool_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FIRST_UID = 58411,
	LAST_UID = 59999,
	OPEN_DIRECTORIES = 16,
	CONTENT_MAX = 128 * 1024,
	BELL_SIZE = 69632,
};

const struct form forms[FORM_COUNT] = {
	{.name = "private, under a sticky directory", .sticky = true, .quiet = true, .keeps = true},
	{.name = "shared by a group", .is_member = true, .attributes = true},
	{.name = "shared, with trusted_users",
	 .is_member = true,
	 .trusts_victim = true,
	 .quiet = true,
	 .attributes = true},
	{.name = "the attacker's own, used by root", .root_is_victim = true, .attacker_owns = true},
	{.name = "root's, shared by a group", .root_is_victim = true, .is_member = true, .attributes = true},
};

static void give_up(const char *what)
{
	(void)fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the canary --------------------------------------------------------------------------------------- */

static const struct canary {
	const char *name, *content; /* NULL: a directory */
	mode_t mode;
} canaries[] = {
	{"directory", NULL, 0755},
	/* As a record would be, so that it could be taken for one. */
	{"secret.json", "{\"reason\": \"" STAGE_SECRET "\", \"key\": \"" STAGE_SECRET "\"}\n", 0600},
	{"precious", "{\"worth\": \"more than a spool\"}\n", 0644},
	{"long", NULL, 0600}, /* BELL_SIZE zeros, as a bell would be */
	{"empty", "", 0600},
};

enum {
	CANARY_COUNT = sizeof canaries / sizeof canaries[0],
};

static struct stat known[CANARY_COUNT + 1]; /* the tree's own directory last */
static char known_content[CANARY_COUNT][CONTENT_MAX];

static const char *canary_path(const struct stage *stage, size_t i)
{
	static char path[256];

	(void)snprintf(path, sizeof path, "%s/%s", stage->canary, i < CANARY_COUNT ? canaries[i].name : "");
	return path;
}

static bool is_directory(size_t i)
{
	return i == CANARY_COUNT || !strcmp(canaries[i].name, "directory");
}

static void put_file(const char *path, const char *content, size_t size, mode_t mode, uid_t owner)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, content, size) != (ssize_t)size || fchown(fd, owner, owner) < 0 ||
	    fchmod(fd, mode) < 0)
		give_up(path);
	(void)close(fd);
}

static void put_directory(const char *path, mode_t mode, uid_t owner, gid_t group)
{
	if (mkdir(path, 0700) < 0 || chown(path, owner, group) < 0 || chmod(path, mode) < 0)
		give_up(path);
}

static size_t read_content(const char *path, char *content)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, content, CONTENT_MAX);

	if (fd >= 0)
		(void)close(fd);
	return size < 0 ? 0 : (size_t)size;
}

static void know(const struct stage *stage)
{
	for (size_t i = 0; i <= CANARY_COUNT; i++) {
		if (lstat(canary_path(stage, i), &known[i]) < 0)
			(void)memset(&known[i], 0, sizeof known[i]);
		if (!is_directory(i))
			(void)read_content(canary_path(stage, i), known_content[i]);
	}
}

static void put_canary(const struct stage *stage)
{
	static const char zeros[BELL_SIZE];
	uid_t owner = stage_victim(stage);

	put_directory(stage->canary, 0755, owner, owner);
	for (size_t i = 0; i < CANARY_COUNT; i++) {
		const char *path = canary_path(stage, i);

		if (is_directory(i))
			put_directory(path, canaries[i].mode, owner, owner);
		else if (canaries[i].content)
			put_file(path, canaries[i].content, strlen(canaries[i].content), canaries[i].mode,
				 owner);
		else
			put_file(path, zeros, sizeof zeros, canaries[i].mode, owner);
	}
	know(stage);
}

/* Not the change time and the number of links of a file: the attacker may link it, and that is not the
 * victim's doing. */
static const char *difference(size_t i, const struct stat *now)
{
	const struct stat *was = &known[i];

	if (now->st_ino != was->st_ino)
		return "is another file";
	if (now->st_mode != was->st_mode)
		return "has another mode";
	if (now->st_uid != was->st_uid || now->st_gid != was->st_gid)
		return "has another owner";
	if (now->st_size != was->st_size)
		return "has another size";
	if (now->st_mtim.tv_sec != was->st_mtim.tv_sec || now->st_mtim.tv_nsec != was->st_mtim.tv_nsec)
		return "was written, or made or removed in";
	return NULL;
}

const char *stage_harm(struct stage *stage)
{
	static char text[200], content[CONTENT_MAX];
	const char *harm = NULL;

	for (size_t i = 0; !harm && i <= CANARY_COUNT; i++) {
		const char *path = canary_path(stage, i);
		struct stat now;

		if (lstat(path, &now) < 0)
			harm = "is gone";
		else
			harm = difference(i, &now);
		if (!harm && !is_directory(i) &&
		    memcmp(content, known_content[i], read_content(path, content)) != 0)
			harm = "has other content";
		if (harm)
			(void)snprintf(text, sizeof text, "the canary's '%s' %s",
				       i < CANARY_COUNT ? canaries[i].name : ".", harm);
	}
	if (!harm)
		return NULL;
	know(stage);
	return text;
}

/* --- the secret --------------------------------------------------------------------------------------- */

static const struct stage *leaking;
static char leak[256];

static bool attacker_may_read(const struct stat *info)
{
	return (info->st_uid == leaking->attacker && (info->st_mode & 0400)) ||
	       (info->st_gid == leaking->group && (info->st_mode & 0040)) || (info->st_mode & 0004);
}

static int look_for_secret(const char *path, const struct stat *info, int type, struct FTW *where)
{
	static char content[CONTENT_MAX];

	(void)where;
	if (type != FTW_F || !S_ISREG(info->st_mode) || info->st_ino == known[1].st_ino ||
	    !attacker_may_read(info))
		return 0;
	if (!memmem(content, read_content(path, content), STAGE_SECRET, strlen(STAGE_SECRET)))
		return 0;
	(void)snprintf(leak, sizeof leak, "%s", path + strlen(leaking->root));
	return 1;
}

const char *stage_leak(const struct stage *stage)
{
	leaking = stage;
	if (nftw(stage->box, look_for_secret, OPEN_DIRECTORIES, FTW_PHYS | FTW_MOUNT) == 1 ||
	    nftw(stage->lair, look_for_secret, OPEN_DIRECTORIES, FTW_PHYS | FTW_MOUNT) == 1)
		return leak;
	return NULL;
}

/* --- the place ---------------------------------------------------------------------------------------- */

static bool is_used(uid_t uid)
{
	return getpwuid(uid) || getgrgid(uid);
}

static uid_t unused_from(uid_t uid)
{
	while (is_used(uid))
		if (++uid > LAST_UID)
			campaign_skip("no three unused user and group ids between %d and %d", FIRST_UID,
				      LAST_UID);
	return uid;
}

/* A mount of our own, gone with the last of our processes; and with all that is in it, however we end. */
static bool mount_small(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("hostile", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
		     "size=4m,nr_inodes=1200,mode=1777") == 0;
}

void stage_begin(struct stage *stage)
{
	if (geteuid() != 0)
		campaign_skip("two users are needed, and only root can be both");
	*stage = (struct stage){.victim = unused_from(FIRST_UID)};
	stage->attacker = unused_from(stage->victim + 1);
	stage->group = unused_from(stage->attacker + 1);
	stage->is_small = mount_small();
	(void)umask(022);
	(void)strcpy(stage->root, "/dev/shm/hostile-XXXXXX");
	if (!mkdtemp(stage->root))
		campaign_skip("cannot make a directory in /dev/shm: %s", strerror(errno));
	if (chmod(stage->root, 0755) < 0)
		give_up(stage->root);
	(void)snprintf(stage->box, sizeof stage->box, "%s/box", stage->root);
	(void)snprintf(stage->spool, sizeof stage->spool, "%s/spool", stage->box);
	(void)snprintf(stage->canary, sizeof stage->canary, "%s/canary", stage->root);
	(void)snprintf(stage->lair, sizeof stage->lair, "%s/lair", stage->root);
	(void)snprintf(stage->config, sizeof stage->config, "%s/cancel.yaml", stage->root);
}

void stage_end(struct stage *stage)
{
	spool_dir_remove_tree(stage->root);
}

static void give_links(const struct stage *stage)
{
	for (size_t i = 0; i < CANARY_COUNT; i++) {
		char path[256];

		(void)snprintf(path, sizeof path, "%s/%s", stage->lair, canaries[i].name);
		if (!is_directory(i) && link(canary_path(stage, i), path) < 0)
			give_up(path);
	}
}

uid_t stage_victim(const struct stage *stage)
{
	return stage->form->root_is_victim ? 0 : stage->victim;
}

void stage_become(const struct stage *stage, uid_t uid)
{
	gid_t groups[] = {stage->group};

	if (setgroups(1, groups) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		give_up("setresuid");
	/* Only now: a change of user forgets it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void put_config(const struct stage *stage)
{
	char text[256];

	(void)snprintf(text, sizeof text, "spool:\n  path: %s\n", stage->spool);
	if (stage->form->attacker_owns)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "  owner: %u\n",
			       stage->attacker);
	if (stage->form->trusts_victim)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "  trusted_users: [%u]\n",
			       stage->victim);
	(void)unlink(stage->config);
	put_file(stage->config, text, strlen(text), 0644, 0);
}

void stage_set(struct stage *stage, const struct form *form)
{
	uid_t owner = form->attacker_owns ? stage->attacker : 0;

	stage->form = form;
	spool_dir_remove_tree(stage->box);
	spool_dir_remove_tree(stage->lair);
	spool_dir_remove_tree(stage->canary);
	put_directory(stage->box, form->sticky ? 01777 : 0755, owner, owner);
	put_directory(stage->lair, 0777, stage->attacker, stage->attacker);
	put_canary(stage);
	if (stage->gives_links)
		give_links(stage);
	put_config(stage);
	if (form->is_member)
		put_directory(stage->spool, 02770, stage_victim(stage), stage->group);
}

void stage_options(const struct stage *stage, struct cancel_spool_options *options)
{
	cancel_spool_options_init(options);
	options->path = stage->spool;
	options->create = true;
	if (stage->form->attacker_owns)
		options->owner = stage->attacker;
	if (stage->form->trusts_victim)
		options->trusted_users[options->trusted_count++] = stage->victim;
}
