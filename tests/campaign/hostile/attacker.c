#include "attacker.h"

#include "campaign.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	HUGE_BYTES = CANCEL_RECORD_MAX + 1,
	RACE_LOCK_ROUNDS = 50, /* deeds for which a racer holds what it holds, at most */
	CROWD_MAX = 2000,
	PATH_BYTES = 256,
};

static const struct place {
	const char *path; /* under the spool; "" is the spool */
	const char *task; /* whose record stands there; NULL: none does */
	bool is_directory;
	bool is_untouched; /* nothing is moved or linked to it: that would be another's file, not the
			      attacker's word */
} places[TARGET_COUNT] = {
	[TARGET_SPOOL] = {"", NULL, true, false},
	[TARGET_PENDING] = {"pending", NULL, true, false},
	[TARGET_PROCESSED] = {"processed", NULL, true, false},
	[TARGET_TMP] = {"tmp", NULL, true, false},
	[TARGET_REFUSED] = {"refused", NULL, true, false},
	[TARGET_RUNS] = {"runs", NULL, true, false},
	[TARGET_VERSION] = {"version", NULL, false, false},
	[TARGET_LOCK] = {"lock", NULL, false, false},
	[TARGET_BELL] = {"bell", NULL, false, false},
	[TARGET_SWEPT] = {"swept", NULL, false, false},
	[TARGET_REQUEST] = {"pending/task.json", "task", false, false},
	[TARGET_DECIDED] = {"processed/task.json", "task", false, false},
	[TARGET_DROP] = {"task.json", "task", false, false},
	[TARGET_LEFT] = {"tmp/task.drop", "task", false, false},
	[TARGET_LEASE] = {"runs/task", "task", false, false},
	[TARGET_OLD] = {"pending/old.json", "old", false, false},
	[TARGET_QUIET] = {"pending/quiet.json", "quiet", false, true},
	[TARGET_QUIET_DECIDED] = {"processed/quiet.json", "quiet", false, true},
	[TARGET_QUIET_DROP] = {"quiet.json", "quiet", false, true},
	[TARGET_QUIET_LEFT] = {"tmp/quiet.drop", "quiet", false, true},
	[TARGET_CLAIM] = {"pending/claim.json", "claim", false, true},
	[TARGET_CLAIM_DROP] = {"claim.json", "claim", false, true},
};

enum order_kind {
	ORDER_DO,
	ORDER_REST,
	ORDER_RACE,
	ORDER_FACE,
};

struct order {
	enum order_kind kind;
	enum deed deed;
	enum target target;
	uint64_t seed;
	bool is_gentle;
	pid_t victim;
	const struct form *form;
};

struct attacker {
	const struct stage *judged; /* as it is now */
	struct stage stage;         /* the attacker's own; its form is told */
	pid_t pid;
	int fd;
	atomic_long *deeds; /* shared by both sides */
	/* Of the attacker's own process: */
	pid_t victim;
	int held_fd;
	int name;
	uint64_t chance;
	char away[PATH_BYTES], away_from[PATH_BYTES];
};

/* --- making things in the lair ------------------------------------------------------------------------ */

static const char *fresh(struct attacker *me)
{
	static char path[PATH_BYTES];

	(void)snprintf(path, sizeof path, "%s/%d", me->stage.lair, me->name++);
	return path;
}

static bool write_file(const char *path, const void *content, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	bool whole = fd >= 0 && write(fd, content, size) == (ssize_t)size;

	if (fd >= 0)
		(void)close(fd);
	return whole;
}

static bool make_link(struct attacker *me, const char *path, const char *canary)
{
	char target[PATH_BYTES];

	(void)snprintf(target, sizeof target, "%s/%s", me->stage.canary, canary);
	return symlink(target, path) == 0;
}

static bool make_second_link(struct attacker *me, const char *path, const char *canary)
{
	char target[PATH_BYTES];

	(void)snprintf(target, sizeof target, "%s/%s", me->stage.canary, canary);
	if (link(target, path) == 0)
		return true;
	(void)snprintf(target, sizeof target, "%s/%s", me->stage.lair, canary);
	return rename(target, path) == 0;
}

/* Whatever it is read as, it is one: a request, a decision, a lease. */
static bool make_forged(struct attacker *me, const char *path, const struct place *place, bool claims)
{
	char text[512];

	if (claims)
		(void)snprintf(text, sizeof text,
			       "{\"reason\": \"claimed\", \"requester\": {\"uid\": %u, \"pid\": 1}}\n",
			       stage_victim(&me->stage));
	else
		(void)snprintf(
			text, sizeof text,
			"{\"task_id\": \"%s\", \"request_id\": \"0123456789abcdef0123456789abcdef\", "
			"\"reason\": \"forged\", \"outcome\": \"stopped\", \"processed_at\": "
			"\"2026-01-02T03:04:05Z\", \"last_cancel_id\": \"fedcba9876543210fedcba9876543210\", "
			"\"requester\": {\"uid\": %u}, \"worker\": {\"uid\": 0}}\n",
			place->task ? place->task : "task", stage_victim(&me->stage));
	return write_file(path, text, strlen(text));
}

/* The file must be nobody else's for a lease; whoever opens it then is told to wait. */
static bool make_leased(struct attacker *me, const char *path)
{
	int fd;

	if (!write_file(path, "", 0))
		return false;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	me->held_fd = fd;
	return fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
}

static bool make(struct attacker *me, enum deed deed, const char *path, const struct place *place)
{
	static const char huge[HUGE_BYTES];

	switch (deed) {
	case DEED_LINK_SECRET:
		return make_link(me, path, "secret.json");
	case DEED_LINK_PRECIOUS:
		return make_link(me, path, "precious");
	case DEED_LINK_DIRECTORY:
		return make_link(me, path, "directory");
	case DEED_LINK_LONG:
		return make_link(me, path, "long");
	case DEED_FIFO:
		return mkfifo(path, 0666) == 0;
	case DEED_SOCKET:
		return mknod(path, S_IFSOCK | 0666, 0) == 0;
	case DEED_DIRECTORY:
		return mkdir(path, 0777) == 0;
	case DEED_JOIN_SECRET:
		return make_second_link(me, path, "secret.json");
	case DEED_JOIN_EMPTY:
		return make_second_link(me, path, "empty");
	case DEED_JOIN_LONG:
		return make_second_link(me, path, "long");
	case DEED_FORGE:
	case DEED_CLAIM:
		return make_forged(me, path, place, deed == DEED_CLAIM);
	case DEED_HUGE:
		return write_file(path, huge, sizeof huge);
	case DEED_EMPTY:
		return write_file(path, "", 0);
	case DEED_LEASED:
		return make_leased(me, path);
	default:
		return false;
	}
}

/* --- deeds -------------------------------------------------------------------------------------------- */

static void clear_lair_name(const char *path)
{
	if (unlink(path) < 0)
		(void)rmdir(path);
}

static bool move_away(struct attacker *me, const char *path)
{
	char to[PATH_BYTES];

	(void)snprintf(to, sizeof to, "%s", fresh(me));
	if (rename(path, to) < 0) {
		/* A directory that he may not write stays in its own, but not under its name. */
		(void)snprintf(to, sizeof to, "%.200s.%d", path, me->name++);
		if (rename(path, to) < 0)
			return false;
	}
	(void)strcpy(me->away, to);
	(void)strcpy(me->away_from, path);
	return true;
}

static bool move_back(struct attacker *me)
{
	return me->away[0] && renameat2(AT_FDCWD, me->away, AT_FDCWD, me->away_from, RENAME_NOREPLACE) == 0;
}

static bool put_in_place(struct attacker *me, enum deed deed, const char *path, const struct place *place)
{
	char made[PATH_BYTES];

	(void)snprintf(made, sizeof made, "%s", fresh(me));
	if (!make(me, deed, made, place))
		return false;
	if (place->is_directory)
		(void)move_away(me, path);
	/* A rename of a link over another link of the same file does nothing, and succeeds. */
	if (rename(made, path) == 0 || (unlink(path) == 0 && rename(made, path) == 0))
		return true;
	clear_lair_name(made);
	return false;
}

static bool scribble(const char *path, off_t size)
{
	int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool done = fd >= 0 && ftruncate(fd, size) == 0 && (!size || pwrite(fd, "\xff{\"", 3, size / 2) == 3);

	if (fd >= 0)
		(void)close(fd);
	return done;
}

static bool hold_lock(struct attacker *me, const char *path, short type)
{
	struct flock all = {.l_type = type, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	me->held_fd = fd;
	return fcntl(fd, F_OFD_SETLK, &all) == 0 &&
	       flock(fd, (type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0;
}

static const char *fill_path(const struct attacker *me)
{
	static char path[PATH_BYTES];

	(void)snprintf(path, sizeof path, "%s/fill", me->stage.lair);
	return path;
}

static bool fill(const struct attacker *me)
{
	static const char zeros[4096];
	int fd = me->stage.is_small ? open(fill_path(me), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
				    : -1;

	while (fd >= 0 && write(fd, zeros, sizeof zeros) > 0)
		;
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static bool crowd(const struct attacker *me)
{
	char path[PATH_BYTES + 16];

	for (int i = 0; me->stage.is_small && i < CROWD_MAX; i++) {
		(void)snprintf(path, sizeof path, "%s.%d", fill_path(me), i);
		if (mknod(path, S_IFREG | 0600, 0) < 0 && errno != EEXIST)
			return true;
	}
	return false;
}

static void make_room(const struct attacker *me)
{
	char path[PATH_BYTES + 16];

	(void)unlink(fill_path(me));
	(void)snprintf(path, sizeof path, "%s.0", fill_path(me));
	for (int i = 0; unlink(path) == 0 && i < CROWD_MAX; i++)
		(void)snprintf(path, sizeof path, "%s.%d", fill_path(me), i + 1);
}

static void rest(struct attacker *me)
{
	if (me->held_fd >= 0)
		(void)close(me->held_fd);
	me->held_fd = -1;
	make_room(me);
}

static bool send_signals(const struct attacker *me)
{
	return me->victim > 0 && (kill(me->victim, SIGSTOP) == 0 || kill(me->victim, SIGKILL) == 0);
}

static const char *path_of(const struct attacker *me, enum target target)
{
	static char path[PATH_BYTES];

	(void)snprintf(path, sizeof path, "%s/%s", me->stage.spool, places[target].path);
	if (!places[target].path[0])
		path[strlen(path) - 1] = '\0';
	return path;
}

static bool do_deed(struct attacker *me, enum deed deed, enum target target)
{
	char path[PATH_BYTES];

	(void)strcpy(path, path_of(me, target));
	switch (deed) {
	case DEED_REMOVE:
		return unlink(path) == 0 || rmdir(path) == 0;
	case DEED_TRUNCATE:
		return scribble(path, 0);
	case DEED_SCRIBBLE:
		return scribble(path, 100);
	case DEED_SHUT:
		return chmod(path, 0) == 0;
	case DEED_WIDEN:
		return chmod(path, 07777) == 0;
	case DEED_LOCK:
		return hold_lock(me, path, F_WRLCK);
	case DEED_READ_LOCK:
		return hold_lock(me, path, F_RDLCK);
	case DEED_AWAY:
		return move_away(me, path);
	case DEED_BACK:
		return move_back(me);
	case DEED_EXCHANGE:
		return renameat2(AT_FDCWD, path, AT_FDCWD,
				 path_of(me, (enum target)((target + 1) % TARGET_COUNT)),
				 RENAME_EXCHANGE) == 0;
	case DEED_FILL:
		return fill(me);
	case DEED_CROWD:
		return crowd(me);
	case DEED_SIGNAL:
		return send_signals(me);
	default:
		return put_in_place(me, deed, path, &places[target]);
	}
}

static bool act(struct attacker *me, enum deed deed, enum target target)
{
	bool done;

	rest(me);
	done = do_deed(me, deed, target);
	*me->deeds += done;
	return done;
}

bool attacker_can(enum deed deed, enum target target)
{
	const struct place *place = &places[target];

	switch (deed) {
	case DEED_FORGE:
	case DEED_CLAIM:
	case DEED_HUGE:
	case DEED_EMPTY:
	case DEED_LEASED:
	case DEED_TRUNCATE:
	case DEED_SCRIBBLE:
	case DEED_LOCK:
	case DEED_READ_LOCK:
		return !place->is_directory;
	case DEED_JOIN_SECRET:
		return !place->is_directory && strcmp(place->path, "pending/claim.json") != 0;
	case DEED_JOIN_EMPTY:
	case DEED_JOIN_LONG:
	case DEED_LINK_PRECIOUS:
	case DEED_LINK_LONG:
		return !place->is_directory && !place->is_untouched;
	case DEED_EXCHANGE:
		return !place->is_untouched && !places[(target + 1) % TARGET_COUNT].is_untouched;
	case DEED_BACK:
	case DEED_FILL:
	case DEED_CROWD:
	case DEED_SIGNAL:
		return target == TARGET_SPOOL;
	default:
		return true;
	}
}

/* --- racing ------------------------------------------------------------------------------------------- */

static unsigned pick(struct attacker *me, unsigned count)
{
	me->chance = me->chance * 6364136223846793005U + 1442695040888963407U;
	return (unsigned)(me->chance >> 33) % count;
}

/* Takes no request away, and nothing that one goes through. */
static bool is_gentle_deed(enum deed deed, enum target target)
{
	switch (target) {
	case TARGET_REQUEST:
	case TARGET_DECIDED:
	case TARGET_DROP:
	case TARGET_LEFT:
	case TARGET_LEASE:
	case TARGET_OLD:
	case TARGET_QUIET:
	case TARGET_CLAIM:
	case TARGET_CLAIM_DROP:
	case TARGET_BELL:
	case TARGET_SWEPT:
		return deed != DEED_EXCHANGE;
	case TARGET_LOCK:
		return deed == DEED_LOCK || deed == DEED_READ_LOCK || deed == DEED_TRUNCATE ||
		       deed == DEED_SCRIBBLE;
	case TARGET_SPOOL:
		return deed == DEED_FILL || deed == DEED_CROWD || deed == DEED_SIGNAL;
	default:
		return false;
	}
}

static bool is_told_to_stop(const struct attacker *me)
{
	struct pollfd item = {.fd = me->fd, .events = POLLIN};

	return poll(&item, 1, 0) != 0;
}

static void race(struct attacker *me, const struct order *order)
{
	me->chance = order->seed;
	while (!is_told_to_stop(me)) {
		enum deed deed = (enum deed)pick(me, DEED_COUNT);
		enum target target = (enum target)pick(me, TARGET_COUNT);

		if (attacker_can(deed, target) && (!order->is_gentle || is_gentle_deed(deed, target)))
			(void)act(me, deed, target);
		/* What was moved away would else stay away, and there would be nothing left to race for. */
		if (!pick(me, 4))
			(void)move_back(me);
	}
	rest(me);
}

/* --- the two sides ------------------------------------------------------------------------------------ */

static void obey(struct attacker *me, const struct order *order)
{
	bool done = true;

	me->stage.form = order->form;
	switch (order->kind) {
	case ORDER_DO:
		done = act(me, order->deed, order->target);
		break;
	case ORDER_REST:
		rest(me);
		break;
	case ORDER_FACE:
		me->victim = order->victim;
		break;
	case ORDER_RACE:
		break;
	}
	(void)send(me->fd, &done, sizeof done, 0);
	if (order->kind == ORDER_RACE)
		race(me, order);
}

static void live(struct attacker *me)
{
	struct order order;

	stage_become(&me->stage, me->stage.attacker);
	(void)umask(0);
	(void)signal(SIGIO, SIG_IGN); /* the kernel's wish that a lease be given back */
	me->held_fd = -1;
	while (recv(me->fd, &order, sizeof order, 0) == (ssize_t)sizeof order)
		obey(me, &order);
	_exit(0);
}

struct attacker *attacker_start(const struct stage *stage)
{
	struct attacker *attacker = calloc(1, sizeof *attacker);
	int fds[2];

	if (!attacker || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		abort();
	attacker->judged = stage;
	attacker->stage = *stage;
	attacker->deeds = mmap(NULL, sizeof *attacker->deeds, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (attacker->deeds == MAP_FAILED)
		abort();
	attacker->pid = fork();
	attacker->fd = fds[attacker->pid == 0];
	(void)close(fds[attacker->pid != 0]);
	if (attacker->pid == 0)
		live(attacker);
	return attacker;
}

static bool tell(struct attacker *attacker, struct order order)
{
	bool done = false;

	order.form = attacker->judged->form;
	if (send(attacker->fd, &order, sizeof order, MSG_NOSIGNAL) < 0 ||
	    recv(attacker->fd, &done, sizeof done, 0) <= 0) {
		(void)fprintf(stderr, "hostile: the attacker is gone\n");
		abort();
	}
	return done;
}

void attacker_face(struct attacker *attacker, pid_t victim)
{
	(void)tell(attacker, (struct order){.kind = ORDER_FACE, .victim = victim});
}

bool attacker_do(struct attacker *attacker, enum deed deed, enum target target)
{
	return tell(attacker, (struct order){.kind = ORDER_DO, .deed = deed, .target = target});
}

void attacker_rest(struct attacker *attacker)
{
	(void)tell(attacker, (struct order){.kind = ORDER_REST});
}

void attacker_race(struct attacker *attacker, uint64_t seed, bool is_gentle)
{
	(void)tell(attacker, (struct order){.kind = ORDER_RACE, .seed = seed, .is_gentle = is_gentle});
}

long attacker_deeds(const struct attacker *attacker)
{
	return *attacker->deeds;
}

void attacker_end(struct attacker *attacker)
{
	(void)close(attacker->fd);
	(void)waitpid(attacker->pid, NULL, 0);
	(void)munmap(attacker->deeds, sizeof *attacker->deeds);
	free(attacker);
}

const char *attacker_deed_name(enum deed deed)
{
	static const char *const names[DEED_COUNT] = {
		[DEED_REMOVE] = "remove",
		[DEED_LINK_SECRET] = "link to a secret",
		[DEED_LINK_PRECIOUS] = "link to a file",
		[DEED_LINK_DIRECTORY] = "link to a directory",
		[DEED_LINK_LONG] = "link to a long file",
		[DEED_FIFO] = "FIFO",
		[DEED_SOCKET] = "socket",
		[DEED_DIRECTORY] = "directory",
		[DEED_JOIN_SECRET] = "second link of a secret",
		[DEED_JOIN_EMPTY] = "second link of a file",
		[DEED_JOIN_LONG] = "second link of a long file",
		[DEED_FORGE] = "forged record",
		[DEED_CLAIM] = "record that claims another requester",
		[DEED_HUGE] = "huge file",
		[DEED_EMPTY] = "empty file",
		[DEED_LEASED] = "file with a lease",
		[DEED_TRUNCATE] = "truncate",
		[DEED_SCRIBBLE] = "scribble",
		[DEED_SHUT] = "chmod 0",
		[DEED_WIDEN] = "chmod 7777",
		[DEED_LOCK] = "lock",
		[DEED_READ_LOCK] = "read lock",
		[DEED_AWAY] = "move away",
		[DEED_BACK] = "move back",
		[DEED_EXCHANGE] = "exchange",
		[DEED_FILL] = "fill",
		[DEED_CROWD] = "use up inodes",
		[DEED_SIGNAL] = "signal",
	};

	return names[deed];
}

const char *attacker_target_name(enum target target)
{
	return places[target].path[0] ? places[target].path : "the spool";
}
