#include "faults_call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ERRORS(...)                             .errors = {__VA_ARGS__}
#define ARGUMENT(which, which_mask, which_bits) .argument = which, .mask = which_mask, .bits = which_bits
/* __O_TMPFILE without O_DIRECTORY. */
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
#define EVERY       UINT64_MAX

/* Not getrandom: once there is randomness it gives 256 bytes without fail. */
static const struct faults_call calls[] = {
	{"open without a name", SYS_openat, ARGUMENT(2, TMPFILE_BIT, TMPFILE_BIT), .needs_room = true,
	 .makes_descriptor = true,
	 ERRORS(ENOSPC, EOPNOTSUPP, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, EACCES, EPERM, EROFS, EINVAL, EISDIR,
		ENOENT, EINTR)},
	{"open to create", SYS_openat, ARGUMENT(2, O_CREAT, O_CREAT), .needs_room = true,
	 .makes_descriptor = true,
	 ERRORS(ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, EACCES, EPERM, EROFS, ESTALE, EINTR)},
	{"open a directory", SYS_openat, ARGUMENT(2, O_DIRECTORY, O_DIRECTORY), .makes_descriptor = true,
	 ERRORS(EMFILE, EIO, ENFILE, ENOMEM, EACCES, ESTALE)},
	{"open", SYS_openat, .makes_descriptor = true,
	 ERRORS(EIO, EMFILE, ENFILE, ENOMEM, EACCES, EPERM, ESTALE, EINTR)},
	{"read", SYS_read, .has_size = true, ERRORS(EIO, EINTR, ESTALE, ENOMEM)},
	{"pread", SYS_pread64, ERRORS(EIO, EINTR, ESTALE)},
	{"write", SYS_write, .has_size = true, .needs_room = true,
	 ERRORS(ENOSPC, EIO, EINTR, EDQUOT, EFBIG, EPERM, ESTALE)},
	{"pwrite", SYS_pwrite64, .has_size = true, .needs_room = true,
	 ERRORS(ENOSPC, EIO, EINTR, EDQUOT, EFBIG)},
	{"link", SYS_linkat, .needs_room = true, .may_lie = true,
	 ERRORS(ENOSPC, EEXIST, EIO, EDQUOT, EROFS, EMLINK, EPERM, EACCES, ENOMEM, EXDEV, ENOENT, ESTALE)},
	{"rename if absent", SYS_renameat2, ARGUMENT(4, 1, 1), .needs_room = true, .may_lie = true,
	 ERRORS(ENOSPC, EINVAL, EEXIST, EIO, EDQUOT, EROFS, EACCES, EPERM, ENOMEM, EXDEV, ENOSYS, ESTALE)},
	{"rename", SYS_renameat2, .needs_room = true,
	 ERRORS(ENOSPC, EIO, EDQUOT, EROFS, EACCES, EPERM, ENOMEM, EXDEV, ESTALE)},
	{"rename", SYS_renameat, .needs_room = true,
	 ERRORS(ENOSPC, EIO, EDQUOT, EROFS, EACCES, EPERM, ENOMEM, EXDEV, ESTALE)},
	{"unlink", SYS_unlinkat, .removes = true,
	 ERRORS(EIO, ENOSPC, EROFS, EACCES, EPERM, EBUSY, ENOMEM, ESTALE)},
	{"fsync", SYS_fsync, .is_sync = true, ERRORS(EIO, ENOSPC, EDQUOT, EROFS)},
	{"fdatasync", SYS_fdatasync, .is_sync = true, ERRORS(EIO, ENOSPC, EDQUOT, EROFS)},
	{"syncfs", SYS_syncfs, ERRORS(EIO, ENOSPC)},
	{"lock", SYS_fcntl, ARGUMENT(1, EVERY, F_OFD_SETLK),
	 ERRORS(ENOLCK, EAGAIN, EACCES, EINTR, EIO, ESTALE)},
	{"ask for a lock", SYS_fcntl, ARGUMENT(1, EVERY, F_OFD_GETLK), ERRORS(ENOLCK, EIO, EINTR, ESTALE)},
	{"duplicate", SYS_fcntl, ARGUMENT(1, EVERY, F_DUPFD_CLOEXEC), .makes_descriptor = true,
	 ERRORS(EMFILE)},
	{"duplicate", SYS_dup, .makes_descriptor = true, ERRORS(EMFILE)},
	{"duplicate", SYS_dup3, .makes_descriptor = true, ERRORS(EMFILE, EINTR)},
	{"stat", SYS_newfstatat, ERRORS(EIO, ENOMEM, EACCES, ESTALE)},
	{"stat", SYS_fstat, ERRORS(EIO, ESTALE)},
	{"statx", SYS_statx, ERRORS(EIO, ENOSYS, EPERM, ENOMEM)},
	{"statfs", SYS_fstatfs, ERRORS(EIO, ENOSYS, ENOMEM, ESTALE)},
	{"set times", SYS_utimensat, ERRORS(EIO, EROFS, EPERM, EACCES, ENOSPC)},
	{"chmod", SYS_fchmod, ERRORS(EPERM, EIO, EROFS)},
	{"chmod", SYS_fchmodat, ERRORS(EPERM, EIO, EROFS)},
	{"chown", SYS_fchown, ERRORS(EPERM, EIO, EROFS, EDQUOT)},
	{"chown", SYS_fchownat, ERRORS(EPERM, EIO, EROFS, EDQUOT)},
	{"mkdir", SYS_mkdirat, .needs_room = true,
	 ERRORS(ENOSPC, EDQUOT, EIO, EROFS, EACCES, EPERM, EMLINK, ENOMEM)},
	{"mkdir", SYS_mkdir, .needs_room = true,
	 ERRORS(ENOSPC, EDQUOT, EIO, EROFS, EACCES, EPERM, EMLINK, ENOMEM)},
	{"list", SYS_getdents64, ERRORS(EIO, ENOMEM, ESTALE)},
	{"seek", SYS_lseek, ERRORS(EIO)},
	{"truncate", SYS_ftruncate, .needs_room = true, ERRORS(ENOSPC, EIO, EINTR, EDQUOT, EPERM)},
	{"allocate", SYS_fallocate, .needs_room = true, ERRORS(ENOSPC, EOPNOTSUPP, EIO, EINTR, EDQUOT)},
	{"inotify", SYS_inotify_init1, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM, ENOSYS)},
	{"watch a directory", SYS_inotify_add_watch, ERRORS(ENOSPC, ENOMEM, EACCES)},
	{"epoll", SYS_epoll_create1, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM)},
	{"epoll", SYS_epoll_ctl, ERRORS(ENOSPC, ENOMEM)},
	{"epoll", SYS_epoll_wait, ERRORS(EINTR)},
	{"eventfd", SYS_eventfd2, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM)},
	{"timerfd", SYS_timerfd_create, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM)},
	{"memfd", SYS_memfd_create, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM)},
	{"signalfd", SYS_signalfd4, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM)},
	{"pipe", SYS_pipe2, .makes_descriptor = true, ERRORS(EMFILE, ENFILE)},
	{"socket pair", SYS_socketpair, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM)},
	{"pidfd", SYS_pidfd_open, .makes_descriptor = true, ERRORS(EMFILE, ENFILE, ENOMEM, ENOSYS)},
	{"poll", SYS_poll, ERRORS(EINTR, ENOMEM)},
	{"poll", SYS_ppoll, ERRORS(EINTR, ENOMEM)},
	{"wait for words", 449, ERRORS(ENOSYS, EINTR, EAGAIN, ENOMEM)}, /* futex_waitv */
	{"ring", SYS_futex, ARGUMENT(1, 0x7f, FUTEX_WAKE_OP), ERRORS(EFAULT, ENOSYS)},
	{"membarrier", SYS_membarrier, ERRORS(ENOSYS, EPERM)},
	{"thread", SYS_clone3, ERRORS(EAGAIN, ENOMEM)},
	{"process", SYS_clone, ERRORS(EAGAIN, ENOMEM)},
	{"process", SYS_fork, ERRORS(EAGAIN, ENOMEM)},
	{"process", SYS_vfork, ERRORS(EAGAIN, ENOMEM)},
	{"wait for a process", SYS_waitid, ARGUMENT(3, WNOHANG, 0), ERRORS(EINTR)},
	{"wait for a process", SYS_wait4, ARGUMENT(2, WNOHANG, 0), ERRORS(EINTR)},
#ifndef __SANITIZE_ADDRESS__ /* its runtime ends the process then */
	{"memory", SYS_mmap, .takes_memory = true, ERRORS(ENOMEM)},
	{"memory", SYS_brk, .takes_memory = true, ERRORS(ENOMEM)},
#endif
	{"close", SYS_close, .is_made = true, ERRORS(EIO, EINTR, ENOSPC, EDQUOT)},
};

const struct faults_call *faults_call_of(const struct tracer_call *call)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].number == call->number &&
		    (call->arguments[calls[i].argument] & calls[i].mask) == calls[i].bits)
			return &calls[i];
	return NULL;
}

bool faults_error_lasts(const struct faults_call *call, int error)
{
	return error != EINTR && error != EAGAIN && !(call->number == SYS_fcntl && error == EACCES);
}
