/*
 * A call is looked at when it has returned and its thread still stands there, so that the kernel can be asked
 * through /proc/PID/fd which file a descriptor leads to, however it came by that (relative, by dup, without a
 * name), and what is in it. Files are told apart by their inode. Names are followed here, in the journal,
 * because the kernel has only the present.
 *
 * Stores into the bell's mapping are not seen: nobody relies on what is in it.
 */
#include "record.h"

#include "campaign.h"
#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	RECORD_TIMEOUT_MS = 60000,
	PLACE_SIZE = PATH_MAX + 64,
	BOOT_ID_SIZE = CANCEL_BOOT_ID_LENGTH + 1,
};

/* Newer machines have no calls without a directory: numbers that no call has. */
#ifndef SYS_open
enum {
	SYS_open = -100,
	SYS_creat,
	SYS_mkdir,
	SYS_mknod,
	SYS_link,
	SYS_symlink,
	SYS_rename,
	SYS_unlink,
	SYS_rmdir,
	SYS_chmod,
	SYS_chown,
};
#endif

#define LATER_BOOT_ID "00000000-0000-4000-8000-000000000000"

struct recorder {
	struct journal *journal;
	const char *root;
	enum record_lack lack;
	char boot_id[BOOT_ID_SIZE];
	struct known_file {
		dev_t device;
		ino_t inode;
	} files[JOURNAL_NODES_MAX]; /* by node */
	const char *lost;           /* the call that cannot be followed */
};

/* --- files -------------------------------------------------------------------------------------------- */

static void know(struct recorder *recorder, int node, const struct stat *stat)
{
	/* An inode's number is used again. */
	for (int i = 0; i < node; i++)
		if (recorder->files[i].inode == stat->st_ino && recorder->files[i].device == stat->st_dev)
			recorder->files[i] = (struct known_file){0, 0};
	recorder->files[node] = (struct known_file){stat->st_dev, stat->st_ino};
}

static int node_of(const struct recorder *recorder, const struct stat *stat)
{
	for (int i = 0; i < recorder->journal->node_count; i++)
		if (recorder->files[i].inode == stat->st_ino && recorder->files[i].device == stat->st_dev)
			return i;
	return JOURNAL_NOTHING;
}

static void fd_place(const struct tracer_call *call, int fd, char place[PLACE_SIZE])
{
	if (fd == AT_FDCWD)
		(void)snprintf(place, PLACE_SIZE, "/proc/%ld/cwd", (long)call->process);
	else
		(void)snprintf(place, PLACE_SIZE, "/proc/%ld/fd/%d", (long)call->process, fd);
}

static int node_of_fd(const struct recorder *recorder, const struct tracer_call *call, int fd)
{
	char place[PLACE_SIZE];
	struct stat info;

	fd_place(call, fd, place);
	return stat(place, &info) < 0 ? JOURNAL_NOTHING : node_of(recorder, &info);
}

static struct journal_attributes attributes_of(const struct stat *stat)
{
	return (struct journal_attributes){stat->st_mode & 07777, stat->st_uid, stat->st_gid, stat->st_mtim};
}

/* --- names -------------------------------------------------------------------------------------------- */

/* One end of a call: a descriptor and a path. */
struct end {
	int fd;
	char path[PATH_MAX];
	struct journal_name name; /* `node` is where it leads now; set by find_name */
};

static void read_end(struct end *end, const struct tracer_call *call, uint64_t fd, uint64_t path)
{
	end->fd = (int)fd;
	if (!tracer_text(call, path, end->path, sizeof(end->path)))
		end->path[0] = '\0';
}

/* Of the path the part below the directory, and where it begins. */
static const char *below(const struct recorder *recorder, const struct tracer_call *call,
			 const struct end *end, int *directory)
{
	size_t length = strlen(recorder->root);

	if (end->path[0] != '/') {
		*directory = node_of_fd(recorder, call, end->fd);
		return end->path;
	}
	*directory = JOURNAL_ROOT;
	if (strncmp(end->path, recorder->root, length) != 0 || end->path[length] != '/')
		return NULL;
	return end->path + length + 1;
}

/* Find what the name is to us; false where it is none of ours. */
static bool find_name(const struct recorder *recorder, const struct tracer_call *call, struct end *end)
{
	const char *slash, *rest = below(recorder, call, end, &end->name.directory);
	char part[JOURNAL_NAME_SIZE];

	if (!rest || !*rest || end->name.directory == JOURNAL_NOTHING)
		return false;
	while ((slash = strchr(rest, '/'))) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - rest), rest);
		if (*part && strcmp(part, ".") != 0)
			end->name.directory = journal_find(recorder->journal, end->name.directory, part);
		if (end->name.directory == JOURNAL_NOTHING)
			return false;
		rest = slash + 1;
	}
	(void)snprintf(end->name.name, sizeof(end->name.name), "%s", rest);
	end->name.node = journal_find(recorder->journal, end->name.directory, rest);
	return strcmp(rest, ".") != 0 && strcmp(rest, "..") != 0;
}

static void real_place(const struct tracer_call *call, const struct end *end, char place[PLACE_SIZE])
{
	char directory[PLACE_SIZE];

	if (end->path[0] == '/') {
		(void)snprintf(place, PLACE_SIZE, "%s", end->path);
		return;
	}
	fd_place(call, end->fd, directory);
	(void)snprintf(place, PLACE_SIZE, "%.64s/%.4000s", directory, end->path);
}

/* --- what is in a file -------------------------------------------------------------------------------- */

/* After the power cut it is another boot. */
static void forget_boot(const struct recorder *recorder, char *content, size_t size)
{
	char *at = content;

	while ((at = memmem(at, size - (size_t)(at - content), recorder->boot_id, BOOT_ID_SIZE - 1)))
		memcpy(at, LATER_BOOT_ID, BOOT_ID_SIZE - 1);
}

static ssize_t read_whole(const char *place, char **content)
{
	int fd = open(place, O_RDONLY | O_CLOEXEC);
	struct stat info;
	ssize_t size = -1;

	*content = NULL;
	if (fd < 0)
		return -1;
	if (fstat(fd, &info) == 0 && (*content = malloc((size_t)info.st_size + 1)))
		size = pread(fd, *content, (size_t)info.st_size, 0);
	(void)close(fd);
	return size;
}

static void write_content(struct recorder *recorder, const struct tracer_call *call, int node,
			  const char *place)
{
	char *content;
	ssize_t size = read_whole(place, &content);

	if (size < 0) {
		recorder->lost = tracer_call_name(call->number);
	} else {
		forget_boot(recorder, content, (size_t)size);
		journal_content(recorder->journal, tracer_call_name(call->number), node, content,
				(size_t)size);
	}
	free(content);
}

static void content_of_fd(struct recorder *recorder, const struct tracer_call *call, int fd)
{
	int node = node_of_fd(recorder, call, fd);
	char place[PLACE_SIZE];

	fd_place(call, fd, place);
	if (node != JOURNAL_NOTHING)
		write_content(recorder, call, node, place);
}

static void attributes_of_place(struct recorder *recorder, const struct tracer_call *call, const char *place)
{
	struct stat info;
	struct journal_attributes attributes;

	if (stat(place, &info) < 0 || node_of(recorder, &info) == JOURNAL_NOTHING)
		return;
	attributes = attributes_of(&info);
	journal_attributes(recorder->journal, tracer_call_name(call->number), node_of(recorder, &info),
			   &attributes);
}

/* --- calls -------------------------------------------------------------------------------------------- */

static int make_node(struct recorder *recorder, const struct tracer_call *call, const char *place)
{
	struct journal_attributes attributes;
	struct stat info;
	int node;

	if (stat(place, &info) < 0) {
		recorder->lost = tracer_call_name(call->number);
		return JOURNAL_NOTHING;
	}
	attributes = attributes_of(&info);
	node = journal_node(recorder->journal, tracer_call_name(call->number), S_ISDIR(info.st_mode),
			    &attributes);
	know(recorder, node, &info);
	return node;
}

/* Without a name: if the directory is ours, the file is. */
static void made_unnamed(struct recorder *recorder, const struct tracer_call *call, const struct end *end)
{
	char place[PLACE_SIZE];
	int directory;

	if (!below(recorder, call, end, &directory) || directory == JOURNAL_NOTHING)
		return;
	fd_place(call, (int)call->result, place);
	(void)make_node(recorder, call, place);
}

static void opened(struct recorder *recorder, const struct tracer_call *call, uint64_t fd, uint64_t path,
		   int flags)
{
	char place[PLACE_SIZE];
	struct end end;
	int node;

	if (!(flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE)
		return;
	read_end(&end, call, fd, path);
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		made_unnamed(recorder, call, &end);
	} else if (find_name(recorder, call, &end)) {
		real_place(call, &end, place);
		if (end.name.node == JOURNAL_NOTHING) {
			node = make_node(recorder, call, place);
			journal_name(recorder->journal, tracer_call_name(call->number), end.name.directory,
				     end.name.name, node);
		} else if (flags & O_TRUNC) {
			content_of_fd(recorder, call, (int)call->result);
		}
	}
}

static void made_directory(struct recorder *recorder, const struct tracer_call *call, uint64_t fd,
			   uint64_t path)
{
	char place[PLACE_SIZE];
	struct end end;

	read_end(&end, call, fd, path);
	if (!find_name(recorder, call, &end))
		return;
	real_place(call, &end, place);
	journal_name(recorder->journal, tracer_call_name(call->number), end.name.directory, end.name.name,
		     make_node(recorder, call, place));
}

/* "/proc/self/fd/5" */
static int fd_of_path(const struct tracer_call *call, const char *path)
{
	char own[32];
	int fd;

	(void)snprintf(own, sizeof(own), "/proc/%ld/fd/", (long)call->process);
	if (!strncmp(path, "/proc/self/fd/", 14) && sscanf(path + 14, "%d", &fd) == 1)
		return fd;
	return !strncmp(path, own, strlen(own)) && sscanf(path + strlen(own), "%d", &fd) == 1 ? fd : -1;
}

static int linked_node(const struct recorder *recorder, const struct tracer_call *call, struct end *from,
		       int flags)
{
	if (!from->path[0] && (flags & AT_EMPTY_PATH))
		return node_of_fd(recorder, call, from->fd);
	if (fd_of_path(call, from->path) >= 0)
		return node_of_fd(recorder, call, fd_of_path(call, from->path));
	return find_name(recorder, call, from) ? from->name.node : JOURNAL_NOTHING;
}

static void linked(struct recorder *recorder, const struct tracer_call *call, struct end *from,
		   struct end *to, int flags)
{
	int node = linked_node(recorder, call, from, flags);

	if (!find_name(recorder, call, to))
		return;
	if (node == JOURNAL_NOTHING)
		recorder->lost = "link of a file from elsewhere";
	else
		journal_name(recorder->journal, tracer_call_name(call->number), to->name.directory,
			     to->name.name, node);
}

static void renamed(struct recorder *recorder, const struct tracer_call *call, struct end *from,
		    struct end *to, unsigned flags)
{
	struct journal_name source, target;
	bool is_from = find_name(recorder, call, from), is_to = find_name(recorder, call, to);

	if (!is_from && !is_to)
		return;
	if (!is_from || !is_to || from->name.node == JOURNAL_NOTHING ||
	    (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))) {
		recorder->lost = "rename from or to elsewhere";
		return;
	}
	source = from->name;
	target = to->name;
	source.node = flags & RENAME_EXCHANGE ? to->name.node : JOURNAL_NOTHING;
	target.node = from->name.node;
	/* Two links to one file: rename(2) does nothing. */
	if (to->name.node != from->name.node)
		journal_rename(recorder->journal, tracer_call_name(call->number), &source, &target);
}

static void unlinked(struct recorder *recorder, const struct tracer_call *call, uint64_t fd, uint64_t path)
{
	struct end end;

	read_end(&end, call, fd, path);
	if (find_name(recorder, call, &end))
		journal_name(recorder->journal, tracer_call_name(call->number), end.name.directory,
			     end.name.name, JOURNAL_NOTHING);
}

static void synced(struct recorder *recorder, const struct tracer_call *call, enum journal_what what, int fd)
{
	int node = what == STEP_SYNC_ALL ? JOURNAL_ROOT : node_of_fd(recorder, call, fd);

	if (node != JOURNAL_NOTHING)
		journal_sync(recorder->journal, tracer_call_name(call->number), what, node);
}

static void changed_place(struct recorder *recorder, const struct tracer_call *call, uint64_t fd,
			  uint64_t path)
{
	char place[PLACE_SIZE];
	struct end end;

	if (!path) { /* utimensat on a descriptor */
		fd_place(call, (int)fd, place);
	} else {
		read_end(&end, call, fd, path);
		real_place(call, &end, place);
	}
	attributes_of_place(recorder, call, place);
}

static void changed_fd(struct recorder *recorder, const struct tracer_call *call)
{
	changed_place(recorder, call, call->arguments[0], 0);
}

static bool read_fact(struct recorder *recorder, const struct tracer_call *call)
{
	struct fact fact;

	if ((int)call->arguments[0] != FACTS_FD)
		return false;
	if (call->arguments[2] == sizeof(fact) &&
	    tracer_read(call, call->arguments[1], &fact, sizeof(fact)) == (ssize_t)sizeof(fact))
		journal_fact(recorder->journal, &fact);
	else
		recorder->lost = "a fact";
	return true;
}

static void two_ends(struct recorder *recorder, const struct tracer_call *call)
{
	const uint64_t *arguments = call->arguments;
	static struct end from, to;
	bool plain = call->number == SYS_link || call->number == SYS_rename;

	read_end(&from, call, plain ? (uint64_t)AT_FDCWD : arguments[0], arguments[plain ? 0 : 1]);
	read_end(&to, call, plain ? (uint64_t)AT_FDCWD : arguments[2], arguments[plain ? 1 : 3]);
	if (call->number == SYS_link || call->number == SYS_linkat)
		linked(recorder, call, &from, &to, plain ? 0 : (int)arguments[4]);
	else
		renamed(recorder, call, &from, &to,
			call->number == SYS_renameat2 ? (unsigned)arguments[4] : 0);
}

/* Calls that would change files in a way that is not followed. */
static void cannot_follow(struct recorder *recorder, const struct tracer_call *call, int fd)
{
	if (node_of_fd(recorder, call, fd) != JOURNAL_NOTHING)
		recorder->lost = tracer_call_name(call->number);
}

static void returned(void *arg, const struct tracer_call *call)
{
	const uint64_t *arguments = call->arguments;
	struct recorder *recorder = arg;

	if (call->result < 0)
		return;
	switch (call->number) {
	case SYS_write:
		if (!read_fact(recorder, call))
			content_of_fd(recorder, call, (int)arguments[0]);
		break;
	case SYS_pwrite64:
	case SYS_writev:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_ftruncate:
	case SYS_fallocate:
		content_of_fd(recorder, call, (int)arguments[0]);
		break;
	case SYS_open:
		opened(recorder, call, (uint64_t)AT_FDCWD, arguments[0], (int)arguments[1]);
		break;
	case SYS_openat:
		opened(recorder, call, arguments[0], arguments[1], (int)arguments[2]);
		break;
	case SYS_mkdir:
		made_directory(recorder, call, (uint64_t)AT_FDCWD, arguments[0]);
		break;
	case SYS_mkdirat:
		made_directory(recorder, call, arguments[0], arguments[1]);
		break;
	case SYS_link:
	case SYS_linkat:
	case SYS_rename:
	case SYS_renameat:
	case SYS_renameat2:
		two_ends(recorder, call);
		break;
	case SYS_unlink:
	case SYS_rmdir:
		unlinked(recorder, call, (uint64_t)AT_FDCWD, arguments[0]);
		break;
	case SYS_unlinkat:
		unlinked(recorder, call, arguments[0], arguments[1]);
		break;
	case SYS_fsync:
		synced(recorder, call, STEP_SYNC, (int)arguments[0]);
		break;
	case SYS_fdatasync:
		synced(recorder, call, STEP_SYNC_DATA, (int)arguments[0]);
		break;
	case SYS_syncfs:
		synced(recorder, call, STEP_SYNC_ALL, (int)arguments[0]);
		break;
	case SYS_sync:
		synced(recorder, call, STEP_SYNC_ALL, 0);
		break;
	case SYS_fchmod:
	case SYS_fchown:
		changed_fd(recorder, call);
		break;
	case SYS_utimensat:
	case SYS_fchmodat:
	case SYS_fchownat:
		changed_place(recorder, call, arguments[0], arguments[1]);
		break;
	case SYS_chmod:
	case SYS_chown:
	case SYS_truncate:
		changed_place(recorder, call, (uint64_t)AT_FDCWD, arguments[0]);
		if (call->number == SYS_truncate)
			recorder->lost = "truncate";
		break;
	case SYS_creat:
	case SYS_openat2:
	case SYS_symlink:
	case SYS_symlinkat:
	case SYS_mknod:
	case SYS_mknodat:
	case SYS_io_uring_setup:
		recorder->lost = tracer_call_name(call->number);
		break;
	case SYS_copy_file_range:
		cannot_follow(recorder, call, (int)arguments[2]);
		break;
	case SYS_sendfile:
		cannot_follow(recorder, call, (int)arguments[0]);
		break;
	default:
		break;
	}
}

/* --- what the system lacks ---------------------------------------------------------------------------- */

static struct tracer_order entering(void *arg, const struct tracer_call *call)
{
	const uint64_t *arguments = call->arguments;
	const struct recorder *recorder = arg;

	if (recorder->lack >= LACKS_LINK_BY_DESCRIPTOR && call->number == SYS_linkat &&
	    (arguments[4] & AT_EMPTY_PATH))
		return (struct tracer_order){TRACER_FAIL, ENOENT};
	if (recorder->lack >= LACKS_TMPFILE && call->number == SYS_openat &&
	    (arguments[2] & O_TMPFILE) == O_TMPFILE)
		return (struct tracer_order){TRACER_FAIL, EOPNOTSUPP};
	if (recorder->lack >= LACKS_NOREPLACE && call->number == SYS_renameat2 &&
	    (arguments[4] & RENAME_NOREPLACE))
		return (struct tracer_order){TRACER_FAIL, EINVAL};
	return (struct tracer_order){TRACER_PROCEED, 0};
}

/* --- the recording ------------------------------------------------------------------------------------ */

static bool begin(struct recorder *recorder, struct journal *journal, const char *root, enum record_lack lack)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	struct stat info;

	memset(recorder, 0, sizeof(*recorder));
	recorder->journal = journal;
	recorder->root = root;
	recorder->lack = lack;
	if (fd < 0 || read(fd, recorder->boot_id, BOOT_ID_SIZE - 1) != BOOT_ID_SIZE - 1 ||
	    stat(root, &info) < 0)
		return false;
	(void)close(fd);
	know(recorder, JOURNAL_ROOT, &info);
	return true;
}

bool record(struct journal *journal, const char *root, enum record_lack lack, int (*body)(void *arg),
	    void *arg, const char *name)
{
	static struct recorder recorder;
	struct tracer_options options = {.entering = entering, .returned = returned, .arg = &recorder};
	struct tracer *tracer;
	enum tracer_state state;
	int status;

	if (!campaign_expect(begin(&recorder, journal, root, lack), "%s: cannot be recorded: %s", name,
			     strerror(errno)))
		return false;
	tracer = tracer_fork(&options, body, arg, -1);
	state = tracer_go(tracer, RECORD_TIMEOUT_MS);
	status = tracer_status(tracer);
	tracer_end(tracer);
	return campaign_expect(state == TRACER_ENDED && status == 0, "%s: its process ended with %d", name,
			       status) &&
	       campaign_expect(!recorder.lost, "%s: cannot be followed: %s", name, recorder.lost) &&
	       campaign_expect(journal->baseline > 0, "%s: it has no beginning", name);
}
