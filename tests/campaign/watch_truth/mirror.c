#include "mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)

enum {
	WRITE_MAX = 128 * 1024,
	BUFFER_SIZE = WRITE_MAX + 64 * 1024,
	STEPS_MAX = 4096,
	PROC_PATH_SIZE = 32,
	NODES_STEP = 256,
};

/* --- the server's clock
 * -------------------------------------------------------------------------------------- */

static struct mirror_clock {
	atomic_int count;
	struct {
		int64_t at_s, ahead_s;
	} steps[STEPS_MAX];
} * server_clock;

void mirror_set_clock(int64_t ahead_s)
{
	int count = atomic_load(&server_clock->count);
	struct timespec now;

	if (count == STEPS_MAX)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	/* Whole seconds would tear what changed within this one: the step is told from its next on. */
	server_clock->steps[count].at_s = now.tv_sec + 1;
	server_clock->steps[count].ahead_s = ahead_s;
	atomic_store(&server_clock->count, count + 1);
	while (now.tv_sec < server_clock->steps[count].at_s) {
		const struct timespec pause = {.tv_nsec = NS_PER_SECOND - now.tv_nsec};

		(void)nanosleep(&pause, NULL);
		(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	}
}

static uint64_t server_time(int64_t at_s)
{
	int last = atomic_load(&server_clock->count) - 1;

	while (last >= 0 && server_clock->steps[last].at_s > at_s)
		last--;
	return (uint64_t)(last >= 0 ? at_s + server_clock->steps[last].ahead_s : at_s);
}

/* --- nodes
 * ------------------------------------------------------------------------------------------------------- */

/* A file that the kernel knows by its place in this table, and we by a descriptor of O_PATH. */
struct node {
	int fd; /* -1: free */
	dev_t device;
	ino_t inode;
	uint64_t lookups;
};

static struct node *nodes;
static size_t node_count;

static struct node *node_of(uint64_t id)
{
	return &nodes[id - FUSE_ROOT_ID];
}

static void add_nodes(void)
{
	nodes = realloc(nodes, (node_count + NODES_STEP) * sizeof *nodes);
	if (!nodes)
		abort();
	for (size_t i = 0; i < NODES_STEP; i++)
		nodes[node_count + i] = (struct node){.fd = -1};
	node_count += NODES_STEP;
}

/* Takes the descriptor. */
static uint64_t node_for(int fd, const struct stat *stat)
{
	size_t unused = node_count;

	for (size_t i = 0; i < node_count; i++) {
		if (nodes[i].fd < 0) {
			unused = unused < i ? unused : i;
		} else if (nodes[i].device == stat->st_dev && nodes[i].inode == stat->st_ino) {
			(void)close(fd);
			nodes[i].lookups++;
			return i + FUSE_ROOT_ID;
		}
	}
	if (unused == node_count)
		add_nodes();
	nodes[unused] = (struct node){fd, stat->st_dev, stat->st_ino, 1};
	return unused + FUSE_ROOT_ID;
}

static void forget(uint64_t id, uint64_t lookups)
{
	struct node *node = node_of(id);

	node->lookups -= lookups;
	if (node->lookups || id == FUSE_ROOT_ID)
		return;
	(void)close(node->fd);
	node->fd = -1;
}

static const char *proc_path(char path[PROC_PATH_SIZE], uint64_t id)
{
	(void)snprintf(path, PROC_PATH_SIZE, "/proc/self/fd/%d", node_of(id)->fd);
	return path;
}

/* --- answers
 * ------------------------------------------------------------------------------------------------------- */

/* One request of the kernel's, and the room for what follows the head of its answer. */
struct call {
	const struct fuse_in_header *in;
	const char *body;
	char *out;
	size_t out_size;
};

static struct fuse_attr attributes_of(const struct stat *stat)
{
	return (struct fuse_attr){
		.ino = stat->st_ino,
		.size = (uint64_t)stat->st_size,
		.blocks = (uint64_t)stat->st_blocks,
		.atime = server_time(stat->st_atim.tv_sec),
		.mtime = (uint64_t)stat->st_mtim.tv_sec,
		.ctime = server_time(stat->st_ctim.tv_sec),
		.atimensec = (uint32_t)stat->st_atim.tv_nsec,
		.mtimensec = (uint32_t)stat->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)stat->st_ctim.tv_nsec,
		.mode = stat->st_mode,
		.nlink = (uint32_t)stat->st_nlink,
		.uid = stat->st_uid,
		.gid = stat->st_gid,
		.blksize = (uint32_t)stat->st_blksize,
	};
}

/* Nothing may be kept: what is changed behind is seen at the next look. */
static int answer_entry(struct call *call, int parent_fd, const char *name)
{
	struct fuse_entry_out *out = (struct fuse_entry_out *)(void *)call->out;
	struct stat stat;
	int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat) < 0) {
		(void)close(fd);
		return -EIO;
	}
	*out = (struct fuse_entry_out){.nodeid = node_for(fd, &stat), .attr = attributes_of(&stat)};
	call->out_size = sizeof *out;
	return 0;
}

static int answer_attributes(struct call *call)
{
	struct fuse_attr_out *out = (struct fuse_attr_out *)(void *)call->out;
	struct stat stat;

	if (fstat(node_of(call->in->nodeid)->fd, &stat) < 0)
		return -errno;
	*out = (struct fuse_attr_out){.attr = attributes_of(&stat)};
	call->out_size = sizeof *out;
	return 0;
}

static int answer_open(struct call *call, int fd)
{
	struct fuse_open_out *out = (struct fuse_open_out *)(void *)call->out;

	if (fd < 0)
		return -errno;
	*out = (struct fuse_open_out){.fh = (uint64_t)fd};
	call->out_size = sizeof *out;
	return 0;
}

static int result_of(int code)
{
	return code < 0 ? -errno : 0;
}

/* --- calls
 * -----------------------------------------------------------------------------------------------------------
 */

static int call_init(struct call *call)
{
	const struct fuse_init_in *in = (const void *)call->body;
	struct fuse_init_out *out = (struct fuse_init_out *)(void *)call->out;

	*out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = FUSE_BIG_WRITES,
		.max_background = 16,
		.congestion_threshold = 12,
		.max_write = WRITE_MAX,
		.time_gran = 1,
	};
	call->out_size = sizeof *out;
	return 0;
}

static int call_lookup(struct call *call)
{
	return answer_entry(call, node_of(call->in->nodeid)->fd, call->body);
}

static int set_times(const struct fuse_setattr_in *in, const char *path)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

	if (in->valid & FATTR_ATIME)
		times[0] = (struct timespec){(time_t)in->atime, (long)in->atimensec};
	if (in->valid & FATTR_MTIME)
		times[1] = (struct timespec){(time_t)in->mtime, (long)in->mtimensec};
	if (in->valid & FATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	if (in->valid & FATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	return result_of(utimensat(AT_FDCWD, path, times, 0));
}

static int call_setattr(struct call *call)
{
	const struct fuse_setattr_in *in = (const void *)call->body;
	char path[PROC_PATH_SIZE];
	int code = 0;

	(void)proc_path(path, call->in->nodeid);
	if (in->valid & FATTR_MODE)
		code = result_of(chmod(path, in->mode & 07777));
	if (code == 0 && in->valid & (FATTR_UID | FATTR_GID))
		code = result_of(chown(path, in->valid & FATTR_UID ? in->uid : (uid_t)-1,
				       in->valid & FATTR_GID ? in->gid : (gid_t)-1));
	if (code == 0 && in->valid & FATTR_SIZE)
		code = result_of(truncate(path, (off_t)in->size));
	if (code == 0 && in->valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW))
		code = set_times(in, path);
	return code < 0 ? code : answer_attributes(call);
}

static int call_mkdir(struct call *call)
{
	const struct fuse_mkdir_in *in = (const void *)call->body;
	const char *name = call->body + sizeof *in;
	int parent_fd = node_of(call->in->nodeid)->fd;

	return mkdirat(parent_fd, name, in->mode & 07777) < 0 ? -errno : answer_entry(call, parent_fd, name);
}

static int call_create(struct call *call)
{
	const struct fuse_create_in *in = (const void *)call->body;
	const char *name = call->body + sizeof *in;
	int parent_fd = node_of(call->in->nodeid)->fd, code;
	int fd = openat(parent_fd, name, (int)(in->flags & ~(unsigned)O_NOFOLLOW) | O_CREAT | O_CLOEXEC,
			in->mode & 07777);
	size_t entry_size;

	if (fd < 0)
		return -errno;
	code = answer_entry(call, parent_fd, name);
	if (code < 0) {
		(void)close(fd);
		return code;
	}
	entry_size = call->out_size;
	call->out += entry_size;
	code = answer_open(call, fd);
	call->out_size += entry_size;
	return code;
}

static int call_unlink(struct call *call)
{
	return result_of(unlinkat(node_of(call->in->nodeid)->fd, call->body,
				  call->in->opcode == FUSE_RMDIR ? AT_REMOVEDIR : 0));
}

static int move(struct call *call, uint64_t to, unsigned flags, const char *name)
{
	const char *new_name = name + strlen(name) + 1;

	return result_of(renameat2(node_of(call->in->nodeid)->fd, name, node_of(to)->fd, new_name, flags));
}

static int call_rename(struct call *call)
{
	const struct fuse_rename_in *in = (const void *)call->body;

	return move(call, in->newdir, 0, call->body + sizeof *in);
}

static int call_rename2(struct call *call)
{
	const struct fuse_rename2_in *in = (const void *)call->body;

	return move(call, in->newdir, in->flags, call->body + sizeof *in);
}

static int call_link(struct call *call)
{
	const struct fuse_link_in *in = (const void *)call->body;
	const char *name = call->body + sizeof *in;
	int parent_fd = node_of(call->in->nodeid)->fd;
	char path[PROC_PATH_SIZE];

	if (linkat(AT_FDCWD, proc_path(path, in->oldnodeid), parent_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return answer_entry(call, parent_fd, name);
}

static int call_open(struct call *call)
{
	const struct fuse_open_in *in = (const void *)call->body;
	char path[PROC_PATH_SIZE];
	unsigned flags = in->flags & ~(unsigned)(O_NOFOLLOW | O_CREAT | O_EXCL);

	return answer_open(call, open(proc_path(path, call->in->nodeid), (int)flags | O_CLOEXEC));
}

static int call_read(struct call *call)
{
	const struct fuse_read_in *in = (const void *)call->body;
	ssize_t got =
		pread((int)in->fh, call->out, in->size < WRITE_MAX ? in->size : WRITE_MAX, (off_t)in->offset);

	if (got < 0)
		return -errno;
	call->out_size = (size_t)got;
	return 0;
}

static int call_write(struct call *call)
{
	const struct fuse_write_in *in = (const void *)call->body;
	struct fuse_write_out *out = (struct fuse_write_out *)(void *)call->out;
	ssize_t written = pwrite((int)in->fh, call->body + sizeof *in, in->size, (off_t)in->offset);

	if (written < 0)
		return -errno;
	*out = (struct fuse_write_out){.size = (uint32_t)written};
	call->out_size = sizeof *out;
	return 0;
}

static int call_release(struct call *call)
{
	const struct fuse_release_in *in = (const void *)call->body;

	(void)close((int)in->fh);
	return 0;
}

static int call_fsync(struct call *call)
{
	const struct fuse_fsync_in *in = (const void *)call->body;

	return result_of(fsync((int)in->fh));
}

/* A listing is taken as a whole when it is opened, as a server may do. */
struct listing {
	size_t size;
	char bytes[];
};

static struct listing *add_entry(struct listing *listing, const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
	struct fuse_dirent *added;

	listing = realloc(listing, sizeof *listing + listing->size + size);
	if (!listing)
		abort();
	memset(listing->bytes + listing->size, 0, size);
	added = (struct fuse_dirent *)(void *)(listing->bytes + listing->size);
	added->ino = entry->d_ino;
	added->off = listing->size + size;
	added->namelen = (uint32_t)length;
	added->type = entry->d_type;
	memcpy(added->name, entry->d_name, length);
	listing->size += size;
	return listing;
}

static int call_opendir(struct call *call)
{
	struct fuse_open_out *out = (struct fuse_open_out *)(void *)call->out;
	struct listing *listing = calloc(1, sizeof *listing);
	char path[PROC_PATH_SIZE];
	DIR *dir = opendir(proc_path(path, call->in->nodeid));
	struct dirent *entry;

	if (!dir || !listing) {
		free(listing);
		return -EIO;
	}
	while ((entry = readdir(dir)))
		listing = add_entry(listing, entry);
	(void)closedir(dir);
	*out = (struct fuse_open_out){.fh = (uint64_t)(uintptr_t)listing};
	call->out_size = sizeof *out;
	return 0;
}

static int call_readdir(struct call *call)
{
	const struct fuse_read_in *in = (const void *)call->body;
	const struct listing *listing = (const struct listing *)(uintptr_t)in->fh;
	size_t at = in->offset < listing->size ? in->offset : listing->size, used = 0;

	while (at + used < listing->size) {
		const struct fuse_dirent *entry = (const void *)(listing->bytes + at + used);
		size_t size = FUSE_DIRENT_SIZE(entry);

		if (used + size > in->size)
			break;
		used += size;
	}
	memcpy(call->out, listing->bytes + at, used);
	call->out_size = used;
	return 0;
}

static int call_releasedir(struct call *call)
{
	const struct fuse_release_in *in = (const void *)call->body;

	free((void *)(uintptr_t)in->fh);
	return 0;
}

static int call_statfs(struct call *call)
{
	struct fuse_statfs_out *out = (struct fuse_statfs_out *)(void *)call->out;
	struct statvfs stat;

	if (fstatvfs(node_of(FUSE_ROOT_ID)->fd, &stat) < 0)
		return -errno;
	*out = (struct fuse_statfs_out){.st = {
						.blocks = stat.f_blocks,
						.bfree = stat.f_bfree,
						.bavail = stat.f_bavail,
						.files = stat.f_files,
						.ffree = stat.f_ffree,
						.bsize = (uint32_t)stat.f_bsize,
						.namelen = (uint32_t)stat.f_namemax,
						.frsize = (uint32_t)stat.f_frsize,
					}};
	call->out_size = sizeof *out;
	return 0;
}

static int call_nothing(struct call *call)
{
	(void)call;
	return 0;
}

/* What is not here the server cannot do, and the kernel goes on without it; O_TMPFILE is among that. */
static int (*const calls[])(struct call *call) = {
	[FUSE_INIT] = call_init,
	[FUSE_LOOKUP] = call_lookup,
	[FUSE_GETATTR] = answer_attributes,
	[FUSE_SETATTR] = call_setattr,
	[FUSE_MKDIR] = call_mkdir,
	[FUSE_CREATE] = call_create,
	[FUSE_UNLINK] = call_unlink,
	[FUSE_RMDIR] = call_unlink,
	[FUSE_RENAME] = call_rename,
	[FUSE_LINK] = call_link,
	[FUSE_RENAME2] = call_rename2,
	[FUSE_OPEN] = call_open,
	[FUSE_READ] = call_read,
	[FUSE_WRITE] = call_write,
	[FUSE_RELEASE] = call_release,
	[FUSE_FSYNC] = call_fsync,
	[FUSE_FLUSH] = call_nothing,
	[FUSE_OPENDIR] = call_opendir,
	[FUSE_READDIR] = call_readdir,
	[FUSE_RELEASEDIR] = call_releasedir,
	[FUSE_STATFS] = call_statfs,
};

/* --- serving
 * -----------------------------------------------------------------------------------------------------------
 */

static bool is_forgetting(const struct call *call)
{
	const struct fuse_batch_forget_in *batch = (const void *)call->body;
	const struct fuse_forget_one *one = (const void *)(call->body + sizeof *batch);

	if (call->in->opcode == FUSE_FORGET)
		forget(call->in->nodeid, ((const struct fuse_forget_in *)(const void *)call->body)->nlookup);
	else if (call->in->opcode == FUSE_BATCH_FORGET)
		for (uint32_t i = 0; i < batch->count; i++)
			forget(one[i].nodeid, one[i].nlookup);
	else
		return call->in->opcode == FUSE_INTERRUPT;
	return true;
}

static void answer(int fd, const struct fuse_in_header *in, char *answer_buffer)
{
	struct fuse_out_header *out = (struct fuse_out_header *)(void *)answer_buffer;
	struct call call = {in, (const char *)(in + 1), answer_buffer + sizeof *out, 0};

	if (is_forgetting(&call))
		return;
	*out = (struct fuse_out_header){.error = -ENOSYS, .unique = in->unique};
	if (in->opcode < sizeof calls / sizeof calls[0] && calls[in->opcode])
		out->error = calls[in->opcode](&call);
	out->len = (uint32_t)(sizeof *out + (out->error ? 0 : call.out_size));
	(void)!write(fd, answer_buffer, out->len);
}

static _Noreturn void serve(int fd, int backing_fd)
{
	static _Alignas(8) char request[BUFFER_SIZE], reply[BUFFER_SIZE];
	struct stat stat;

	(void)umask(0);
	if (fstat(backing_fd, &stat) < 0)
		_exit(1);
	(void)node_for(backing_fd, &stat);
	for (;;) {
		ssize_t got = read(fd, request, sizeof request);

		if (got >= (ssize_t)sizeof(struct fuse_in_header))
			answer(fd, (const struct fuse_in_header *)(void *)request, reply);
		else if (got < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
			_exit(0);
	}
}

bool mirror_mount(struct stage *stage, const char *backing, const char *place)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), backing_fd = open(backing, O_PATH | O_CLOEXEC);
	char options[128];

	if (fd < 0 || backing_fd < 0) {
		stage_leave_out(stage, "no FUSE: /dev/fuse: %s", strerror(errno));
		return false;
	}
	server_clock =
		mmap(NULL, sizeof *server_clock, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (server_clock == MAP_FAILED)
		stage_die("mmap");
	(void)snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd, geteuid(),
		       getegid());
	if (mount("truth", place, "fuse.truth", MS_NOSUID | MS_NODEV, options) < 0) {
		stage_leave_out(stage, "no FUSE: %s", strerror(errno));
		return false;
	}
	if (stage_fork() == 0)
		serve(fd, backing_fd);
	(void)close(fd);
	(void)close(backing_fd);
	return true;
}
