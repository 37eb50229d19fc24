#include "bell.h"

#include "clock.h"
#include "file.h"
#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A bell that was deleted is found out this much later. Asking the kernel at each ring would cost half as
 * much as the ring. */
#define LOOK_EVERY_NS (10 * NS_PER_MS)

#define NOBODYS_WORD_AT 60 /* nobody sleeps on it */

struct bell_place {
	pthread_mutex_t lock;
	struct bell *bell; /* NULL: not opened */
	int64_t looked_ns; /* by the coarse clock, when it was last seen to stand */
};

/* --- a bell ------------------------------------------------------------------------------------------- */

uint32_t *bell_address(const struct bell *bell, size_t at)
{
	return bell->page + at / sizeof bell->page[0];
}

size_t bell_word_at(const char *task_id)
{
	return BELL_WORDS_AT + hash_text(task_id) % BELL_WORDS * sizeof(uint32_t);
}

size_t bell_count_at(enum cancel_count count)
{
	return BELL_COUNTS_AT + (size_t)count * sizeof(uint32_t);
}

bool bell_read(const struct bell *bell, size_t at, uint32_t *words, size_t count)
{
	return pread(bell->fd, words, count * sizeof *words, (off_t)at) == (ssize_t)(count * sizeof *words);
}

bool bell_stands(const struct cancel_spool *spool, const struct bell *bell)
{
	struct stat now;

	return fstatat(spool->fds[SPOOL_ROOT], FILE_BELL, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.st_ino == bell->inode && now.st_dev == bell->device && now.st_size >= BELL_SIZE;
}

void bell_drop(struct bell *bell)
{
	if (!bell || atomic_fetch_sub(&bell->holders, 1) > 1)
		return;
	(void)munmap(bell->page, BELL_SIZE);
	file_close(bell->fd);
	free(bell);
}

/* Add one to the word at `at`, and wake all who sleep on the one at `woken_at`, in one call, which comes to
 * waking one at least. False: the page is not there. */
static bool add_and_wake(const struct bell *bell, size_t at, size_t woken_at)
{
	return syscall(SYS_futex, bell_address(bell, woken_at), FUTEX_WAKE_OP, INT_MAX, 0L,
		       bell_address(bell, at), FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)) >= 0;
}

/* --- opening it --------------------------------------------------------------------------------------- */

/* Who writes into a file that somebody else chose must not be led to one of his own: it has one name only,
 * and belongs to somebody who could do worse. */
static const char *judge(const struct cancel_spool *spool, const struct stat *stat)
{
	if (!S_ISREG(stat->st_mode))
		return "'bell' is not a regular file";
	if (stat->st_nlink > 1)
		return "'bell' has a second name";
	if (!spool_speaks_for_others(spool, stat->st_uid) && stat->st_uid != geteuid())
		return "'bell' belongs neither to root nor to the spool's owner";
	return NULL;
}

static const char *map(const struct cancel_spool *spool, int fd, bool writable, struct bell *bell)
{
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	const char *why;
	struct stat stat;
	void *page;

	if (fstat(fd, &stat) < 0)
		return "'bell' cannot be looked at";
	why = judge(spool, &stat);
	if (why)
		return why;
	/* In place, so that it serves again whoever has it mapped. */
	if (stat.st_size < BELL_SIZE && posix_fallocate(fd, 0, BELL_SIZE) != 0)
		return "'bell' is too short, and there is no room to lengthen it";
	page = mmap(NULL, BELL_SIZE, protection, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return "the filesystem cannot map 'bell'";
	*bell = (struct bell){
		.device = stat.st_dev, .inode = stat.st_ino, .fd = -1, .page = page, .holders = 1};
	return NULL;
}

static int open_file(const struct cancel_spool *spool, bool *writable)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(spool->fds[SPOOL_ROOT], FILE_BELL, O_RDWR | flags);

	*writable = fd >= 0;
	if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
		fd = openat(spool->fds[SPOOL_ROOT], FILE_BELL, O_RDONLY | flags);
	return fd < 0 ? -errno : fd;
}

/* Written, not left sparse: a hole would need room on the disk when somebody rings. */
int bell_make(const struct cancel_spool *spool, int root_fd)
{
	char *text;
	int code;

	if (geteuid() != 0 && geteuid() != spool->owner)
		return -EPERM;
	text = calloc(1, BELL_SIZE);
	if (!text)
		return -ENOMEM;
	memcpy(text, BELL_MAGIC, sizeof BELL_MAGIC - 1);
	code = layout_make_file(spool, root_fd, FILE_BELL, text, BELL_SIZE, spool->lock_mode, NULL);
	free(text);
	return code;
}

static struct bell *open_bell(const struct cancel_spool *spool, bool make, const char **why)
{
	struct bell *bell = malloc(sizeof *bell);
	bool writable;
	int fd = open_file(spool, &writable);

	*why = bell ? NULL : "out of memory";
	if (fd == -ENOENT && make && bell_make(spool, spool->fds[SPOOL_ROOT]) == 0)
		fd = open_file(spool, &writable);
	if (fd == -ENOENT)
		*why = make ? "'bell' is missing, and could not be made"
			    : "'bell' is not there yet; the first request by the spool's owner makes it";
	else if (fd < 0)
		*why = "'bell' cannot be opened";
	else if (bell)
		*why = map(spool, fd, writable, bell);
	if (fd >= 0)
		file_close(fd);
	if (!*why)
		return bell;
	free(bell);
	return NULL;
}

/* With the place locked. */
static bool open_to_listen(const struct cancel_spool *spool, struct bell *bell)
{
	struct stat stat;
	bool writable;
	int fd;

	if (bell->fd >= 0)
		return true;
	fd = open_file(spool, &writable);
	if (fd < 0)
		return false;
	if (fstat(fd, &stat) == 0 && stat.st_ino == bell->inode && stat.st_dev == bell->device)
		bell->fd = fd;
	else
		file_close(fd);
	return bell->fd >= 0;
}

/* --- the spool's -------------------------------------------------------------------------------------- */

struct bell_place *bell_place_new(void)
{
	struct bell_place *place = calloc(1, sizeof *place);

	if (place)
		(void)pthread_mutex_init(&place->lock, NULL);
	return place;
}

void bell_place_free(struct bell_place *place)
{
	if (!place)
		return;
	bell_drop(place->bell);
	(void)pthread_mutex_destroy(&place->lock);
	free(place);
}

void bell_place_forget(struct bell_place *place)
{
	(void)pthread_mutex_lock(&place->lock);
	bell_drop(place->bell);
	place->bell = NULL;
	(void)pthread_mutex_unlock(&place->lock);
}

/* With the place locked. */
static void look_whether_it_stands(const struct cancel_spool *spool, struct bell_place *place)
{
	int64_t now_ns = clock_coarse_ns();

	if (!place->bell || now_ns - place->looked_ns < LOOK_EVERY_NS)
		return;
	place->looked_ns = now_ns;
	if (bell_stands(spool, place->bell))
		return;
	bell_drop(place->bell);
	place->bell = NULL;
}

struct bell *bell_hold(const struct cancel_spool *spool, enum bell_use use, const char **why)
{
	struct bell_place *place = spool->bell;
	struct bell *bell;

	*why = NULL;
	(void)pthread_mutex_lock(&place->lock);
	look_whether_it_stands(spool, place);
	if (!place->bell) {
		place->bell = open_bell(spool, use != BELL_READ, why);
		place->looked_ns = clock_coarse_ns();
	}
	bell = place->bell;
	if (bell && use != BELL_RING && !open_to_listen(spool, bell)) {
		*why = "'bell' cannot be opened";
		bell = NULL;
	}
	if (bell)
		(void)atomic_fetch_add(&bell->holders, 1);
	(void)pthread_mutex_unlock(&place->lock);
	return bell;
}

/* Truncated a moment ago: the next who opens it lengthens it. */
static void look_at_once(const struct cancel_spool *spool)
{
	(void)pthread_mutex_lock(&spool->bell->lock);
	spool->bell->looked_ns = 0;
	(void)pthread_mutex_unlock(&spool->bell->lock);
}

static void add(const struct cancel_spool *spool, const size_t *at, size_t count, bool wakes)
{
	for (int turn = 0; turn < 2; turn++) {
		const char *why;
		struct bell *bell = bell_hold(spool, BELL_RING, &why);
		bool added = true;

		if (!bell)
			return;
		for (size_t i = 0; added && i < count; i++)
			added = add_and_wake(bell, at[i], wakes ? at[i] : NOBODYS_WORD_AT);
		bell_drop(bell);
		if (added)
			return;
		look_at_once(spool);
	}
}

void bell_ring(const struct cancel_spool *spool, const char *task_id, enum cancel_count count)
{
	/* The counter's word comes second: who sleeps on it then reads all words, this one too. */
	const size_t at[] = {bell_word_at(task_id), bell_count_at(count)};

	add(spool, at, 2, true);
}

void bell_ring_for_others(const struct cancel_spool *spool, const char *task_id)
{
	const size_t at[] = {bell_word_at(task_id), bell_count_at((enum cancel_count)BELL_RUNG_FOR_OTHERS)};

	add(spool, at, 2, true);
}

void bell_count(const struct cancel_spool *spool, enum cancel_count count)
{
	add(spool, (const size_t[]){bell_count_at(count)}, 1, false);
}

static void count_latency(const struct cancel_spool *spool, size_t histogram_at, int64_t latency_ns)
{
	size_t bucket = latency_ns < 2 ? 0 : 63U - (size_t)__builtin_clzll((unsigned long long)latency_ns);

	add(spool, (const size_t[]){histogram_at + bucket * sizeof(uint32_t)}, 1, false);
}

void bell_count_notice(const struct cancel_spool *spool, int64_t latency_ns)
{
	count_latency(spool, BELL_NOTICE_AT, latency_ns);
}

void bell_count_stop(const struct cancel_spool *spool, int64_t latency_ns)
{
	count_latency(spool, BELL_STOP_AT, latency_ns);
}

/* --- ringing for others ------------------------------------------------------------------------------- */

/* A lock on the first byte, shared by all who ring, and gone with the last of them. */
static struct flock ringer_lock(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
}

bool bell_has_ringer(const struct bell *bell)
{
	struct flock lock = ringer_lock(F_WRLCK);

	return fcntl(bell->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int bell_take_ringing(const struct cancel_spool *spool)
{
	struct flock lock = ringer_lock(F_RDLCK);
	const char *why;
	struct bell *bell = bell_hold(spool, BELL_RING, &why);
	bool writable;
	int fd;

	if (!bell)
		return -ENOENT;
	bell_drop(bell);
	/* Through a descriptor of its own: the locks of one never stand in its own way, so nobody in this
	 * process would see it. */
	fd = open_file(spool, &writable);
	if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		int code = -errno;

		file_close(fd);
		return code;
	}
	return fd;
}
