#include "place.h"

#include "harness.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define IMAGE_BYTES (12LL << 30) /* sparse; room for a million records and the next ones */

static struct place places[PLACE_COUNT];
static char scratch[PLACE_COUNT][64]; /* directories of our own, removed at the end */
static bool can_mount, is_mounted;

struct place *place_of(enum place_kind kind)
{
	return &places[kind];
}

/* --- what it is --------------------------------------------------------------------------------------- */

static bool is_mount_of(const char *mountinfo, dev_t device, char *filesystem, size_t size)
{
	unsigned int high, low;
	const char *type = strstr(mountinfo, " - ");

	if (!type || sscanf(mountinfo, "%*s %*s %u:%u", &high, &low) != 2 || makedev(high, low) != device)
		return false;
	type += strlen(" - ");
	(void)snprintf(filesystem, size, "%.*s", (int)strcspn(type, " "), type);
	return true;
}

static void find_filesystem(dev_t device, char *filesystem, size_t size)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file))
		found = is_mount_of(line, device, filesystem, size);
	if (!found)
		(void)snprintf(filesystem, size, "unknown");
	if (file)
		(void)fclose(file);
}

static const char *journal_of(dev_t device)
{
	char path[96], target[PATH_MAX], journal[PATH_MAX + 48];
	ssize_t length;

	(void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(device), minor(device));
	length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return "journal unknown";
	target[length] = '\0';
	(void)snprintf(journal, sizeof journal, "/sys/fs/ext4/%s/journal_task", strrchr(target, '/') + 1);
	return access(journal, F_OK) == 0 ? "with a journal" : "without a journal";
}

static void describe(struct place *place)
{
	struct stat stat_of;

	if (stat(place->dir, &stat_of) < 0)
		bench_fail("cannot look at '%s': %s", place->dir, strerror(errno));
	find_filesystem(stat_of.st_dev, place->filesystem, sizeof place->filesystem);
	(void)snprintf(place->about, sizeof place->about, "%s, %s%s%s", place->dir, place->filesystem,
		       !strcmp(place->filesystem, "ext4") ? " " : "",
		       !strcmp(place->filesystem, "ext4") ? journal_of(stat_of.st_dev) : "");
	if (can_mount && place->kind == PLACE_DISK)
		(void)strcat(place->about, ", an image mounted by loop device");
}

/* --- the image ---------------------------------------------------------------------------------------- */

static void make_image(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, IMAGE_BYTES) < 0)
		bench_fail("cannot make '%s': %s", path, strerror(errno));
	(void)close(fd);
}

/* Tables that the kernel would fill in the background later, on our time, are left alone; there are enough
 * inodes for records of one block each. */
static void mount_image(const struct place *place)
{
	char image[96];

	(void)snprintf(image, sizeof image, "%s/image", scratch[PLACE_DISK]);
	make_image(image);
	process_must(PROCESS_ARGUMENTS("mkfs.ext4", "-q", "-F", "-m", "0", "-i", "4096", "-O", "has_journal",
				       "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", image));
	process_must(PROCESS_ARGUMENTS("mount", "-t", "ext4", "-o", "loop,noinit_itable", image, place->dir));
	(void)unlink(image); /* the loop device keeps it until it is unmounted */
	is_mounted = true;
}

static void unmount_image(const struct place *place)
{
	if (is_mounted && umount2(place->dir, 0) < 0)
		bench_fail("cannot unmount '%s': %s", place->dir, strerror(errno));
	is_mounted = false;
}

static bool enter_namespace(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
}

/* --- making and removing ------------------------------------------------------------------------------ */

static void choose(enum place_kind kind, const char *parent)
{
	(void)snprintf(scratch[kind], sizeof scratch[kind], "%s/cancel-bench-XXXXXX", parent);
	if (!mkdtemp(scratch[kind]))
		bench_fail("cannot make a directory in '%s': %s", parent, strerror(errno));
}

void places_choose(void)
{
	choose(PLACE_MEMORY, "/dev/shm");
	choose(PLACE_DISK, "/tmp");
}

static void empty_directory(const char *dir)
{
	process_must(PROCESS_ARGUMENTS("find", dir, "-mindepth", "1", "-delete"));
}

void place_renew(struct place *place)
{
	if (place->kind != PLACE_DISK || !can_mount) {
		empty_directory(place->dir);
		return;
	}
	unmount_image(place);
	mount_image(place);
	if (chmod(place->dir, 0755) < 0)
		bench_fail("cannot use '%s': %s", place->dir, strerror(errno));
}

void places_make(void)
{
	can_mount = enter_namespace();
	for (int kind = 0; kind < PLACE_COUNT; kind++) {
		struct place *place = &places[kind];

		place->kind = (enum place_kind)kind;
		(void)snprintf(place->dir, sizeof place->dir, "%s/place", scratch[kind]);
		if (mkdir(place->dir, 0755) < 0)
			bench_fail("cannot make '%s': %s", place->dir, strerror(errno));
		place_renew(place);
		describe(place);
	}
}

void places_remove(void)
{
	for (int kind = 0; kind < PLACE_COUNT; kind++)
		if (scratch[kind][0])
			(void)process_run(PROCESS_ARGUMENTS("rm", "-rf", "--one-file-system", scratch[kind]));
}
