/*
 * Any bytes as what stands in a spool's directories, and what is done there: files, links, FIFOs, directories
 * and sockets of any name, content, age and owner, between requests, decisions, resets, sweeps, intakes,
 * lists and watches.
 *
 * What is not ours stays, and nothing outside is touched; no link and no FIFO is heeded or waited for; what
 * is shown as a request is one; what was accepted stands until it is decided; what was decided is decided
 * once; a dry run changes nothing; a failure has its sentence; no descriptor is left.
 */
#include "place.h"

#include "lease.h"
#include "name.h"
#include "store.h"

#include <cancel/list.h>
#include <cancel/run.h>
#include <cancel/sweep.h>
#include <cancel/watch.h>

#include <errno.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>

enum {
	OPERATIONS_MAX = 40,
	STRANGERS_MAX = 64,
	NAME_BYTES_MAX = 255,
	CONTENT_MAX = 1024,
	LARGE = CANCEL_RECORD_MAX + 4096,
	HELD_MAX = 16,
	ACCEPTED_MAX = 16,
	NOBODY = 65534,
	TRUSTED = 12345, /* nobody has it */
	MARK_NS = 729,
};

#define LONG_ID_LENGTH 250

/* --- the clock, which inputs set forward -------------------------------------------------------------- */

static int64_t ahead_s, stepped_s; /* of all clocks; of the wall clock beside that */

/* For the library alone: hidden, so that the time that a fuzzer takes is measured by the real one. */
__attribute__((visibility("hidden"))) int clock_gettime(clockid_t clock, struct timespec *now);

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int code = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += ahead_s + (clock == CLOCK_REALTIME ? stepped_s : 0);
	return code;
}

/* --- the scene ---------------------------------------------------------------------------------------- */

static const char *const folders[SPOOL_DIR_COUNT] = {".",           DIR_TMP,     DIR_PENDING,
						     DIR_PROCESSED, DIR_REFUSED, DIR_RUNS};

struct accepted {
	const char *task_id, *run;
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
};

static char long_id[LONG_ID_LENGTH + 1];
static char long_file[NAME_FILE_SIZE];
static char spool_path[PLACE_SIZE], outside_path[PLACE_SIZE], outside_file[PLACE_SIZE];

static struct scene {
	struct cancel_spool *spool;
	bool trusts_few;
	ino_t strangers[STRANGERS_MAX];
	int stranger_count;
	int held[HELD_MAX]; /* descriptors of leases that are alive */
	int held_count;
	struct accepted accepted[ACCEPTED_MAX];
	int accepted_count;
} scene;

static const char outside_text[] = "{\"task_id\": \"a\", \"request_id\": "
				   "\"00000000000000000000000000000000\", \"reason\": \"outside\"}\n";

static void make_outside(void)
{
	int fd;

	check(mkdir(outside_path, 0700) == 0);
	fd = open(outside_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	check(fd >= 0 && write(fd, outside_text, strlen(outside_text)) == (ssize_t)strlen(outside_text));
	(void)close(fd);
}

/* One file, with its content, made when it was. */
static struct stat outside_before;

static void check_outside(void)
{
	char text[sizeof(outside_text)];
	struct stat now, folder;
	int fd = open(outside_file, O_RDONLY | O_CLOEXEC);

	check(fd >= 0 && read(fd, text, sizeof(text)) == (ssize_t)strlen(outside_text));
	check(!memcmp(text, outside_text, strlen(outside_text)) && fstat(fd, &now) == 0);
	check(now.st_ino == outside_before.st_ino && now.st_mode == outside_before.st_mode);
	check(now.st_uid == outside_before.st_uid && now.st_gid == outside_before.st_gid);
	check(now.st_mtim.tv_sec == outside_before.st_mtim.tv_sec);
	check(stat(outside_path, &folder) == 0 && folder.st_nlink == 2 && (folder.st_mode & 07777) == 0700);
	(void)close(fd);
}

static void begin(void)
{
	place_make();
	place_path(spool_path, "spool");
	place_path(outside_path, "outside");
	place_path(outside_file, "outside/record.json");
	make_outside();
	check(stat(outside_file, &outside_before) == 0);
	memset(long_id, 'l', LONG_ID_LENGTH);
	name_encode(long_file, long_id, NULL);
	(void)strcat(long_file, NAME_SUFFIX);
}

static void open_spool(bool create)
{
	struct cancel_error error = {.code = 0};
	struct cancel_spool_options options;
	int code;

	cancel_spool_options_init(&options);
	options.path = spool_path;
	options.create = create;
	options.trusted_count = scene.trusts_few;
	options.trusted_users[0] = TRUSTED;
	code = cancel_spool_open(&scene.spool, &options, &error);
	if (code < 0)
		check_sentence(error.text);
	check((code == 0) == (scene.spool != NULL));
}

static void close_spool(void)
{
	cancel_spool_close(scene.spool);
	scene.spool = NULL;
}

/* Follows nothing: a folder may be a link by now. */
static int open_folder(enum spool_dir dir)
{
	int root_fd = open(spool_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	check(root_fd >= 0);
	fd = openat(root_fd, folders[dir], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	(void)close(root_fd);
	return fd;
}

/* --- making things ------------------------------------------------------------------------------------ */

static const char *const names[] = {
	"a.json",
	"b.json",
	"a@r.json",
	"%2E.json",
	"50%.json",
	"a@b@c.json",
	"\xc3\xbc.json",
	"\xff.json",
	"x\n.json",
	".json",
	".hidden.json",
	"a.json.part",
	"a",
	"a@r",
	"a@@0123abcd",
	"b@@zzzzzzzz",
	"lock",
	"version",
	"swept",
	"bell",
	"pending",
	"processed",
	"tmp",
	"refused",
	"runs",
	"0123456789abcdef0123456789abcdef.draft",
	"x.draft",
	"a.drop",
	"b.drop",
	"a@r.drop",
	".drop",
	"%zz.drop",
	"-rf",
	long_file,
};

static const char *take_name(struct input *input, char scratch[NAME_BYTES_MAX + 1])
{
	unsigned which = input_byte(input);
	const char *bytes;
	size_t length;

	if (which < 0xe0)
		return names[which % (sizeof(names) / sizeof(names[0]))];
	bytes = input_bytes(input, input_byte(input) % NAME_BYTES_MAX, &length);
	for (size_t i = 0; i < length; i++)
		scratch[i] = bytes[i] == '/' || bytes[i] == '\0' ? '_' : bytes[i];
	scratch[length] = '\0';
	return length == 0 || !strcmp(scratch, ".") || !strcmp(scratch, "..") ? "x" : scratch;
}

static const char *const task_ids[] = {"a", "b", ".", "50%", "a@b@c", "\xc3\xbc", long_id, "lock"};
static const char *const request_ids[] = {"0123456789abcdef0123456789abcdef",
					  "00000000000000000000000000000000"};
static const char *const times[] = {"1970-01-01T00:00:01Z", "9999-12-31T23:59:59Z",
				    "2026-11-20T10:11:12.5+01:00"};

/* A record of any task, well formed. */
static int compose(struct input *input, char text[CONTENT_MAX])
{
	unsigned what = input_byte(input), how = input_byte(input);
	int used = snprintf(text, CONTENT_MAX, "{\"reason\": \"by a file\", \"x\": [1]");

	if (what & 1)
		used += snprintf(text + used, (size_t)(CONTENT_MAX - used), ", \"task_id\": \"%s\"",
				 task_ids[how % 8]);
	if (what & 2)
		used += snprintf(text + used, (size_t)(CONTENT_MAX - used), ", \"run\": \"r\"");
	if (what & 4)
		used += snprintf(text + used, (size_t)(CONTENT_MAX - used), ", \"request_id\": \"%s\"",
				 request_ids[how >> 3 & 1]);
	if (what & 8)
		used += snprintf(
			text + used, (size_t)(CONTENT_MAX - used),
			", \"status\": \"processed\", \"outcome\": \"%s\", \"last_cancel_id\": \"%s\"",
			how & 0x10 ? "stopped" : "withdrawn", request_ids[how >> 5 & 1]);
	if (what & 16)
		used += snprintf(text + used, (size_t)(CONTENT_MAX - used), ", \"cancel_at\": \"%s\"",
				 times[how % 3]);
	if (what & 32)
		used += snprintf(text + used, (size_t)(CONTENT_MAX - used), ", \"expires_in_s\": %d",
				 how % 5 ? how : 1);
	if (what & 64)
		used += snprintf(text + used, (size_t)(CONTENT_MAX - used),
				 ", \"requested_at\": \"%s\", \"processed_at\": \"%s\"", times[how % 3],
				 times[how % 3]);
	if (what & 128)
		used += snprintf(text + used, (size_t)(CONTENT_MAX - used),
				 ", \"group\": \"g\", \"requester\": {\"uid\": %u}", how);
	return used + snprintf(text + used, (size_t)(CONTENT_MAX - used), "}");
}

static void write_content(struct input *input, int fd)
{
	char text[CONTENT_MAX];
	const char *bytes = text;
	size_t length = 0;

	switch (input_byte(input) % 8) {
	case 0:
		break;
	case 1:
		bytes = input_bytes(input, input_byte(input), &length);
		break;
	case 2:
		check(ftruncate(fd, LARGE) == 0);
		break;
	case 3:
		length = (size_t)snprintf(text, sizeof(text), "{}");
		break;
	case 4:
		length = (size_t)compose(input, text) - 1;
		break; /* torn */
	default:
		length = (size_t)compose(input, text);
		break;
	}
	check(write(fd, bytes, length) == (ssize_t)length);
}

static void set_times(struct input *input, int fd)
{
	static const struct timespec modified[] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = 1},
		{.tv_sec = INT32_MAX, .tv_nsec = 5000 + MARK_NS},
		{.tv_sec = 1000000000, .tv_nsec = MARK_NS},
		{.tv_sec = -5},
	};
	const struct timespec both[2] = {{.tv_nsec = UTIME_OMIT}, modified[input_byte(input) % 5]};

	(void)futimens(fd, both);
}

static void hold_if_lease(enum spool_dir dir, int fd, bool held)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (dir == SPOOL_RUNS && held && scene.held_count < HELD_MAX && fcntl(fd, F_OFD_SETLK, &lock) == 0)
		scene.held[scene.held_count++] = fd;
	else
		(void)close(fd);
}

static void make_regular(struct input *input, enum spool_dir dir, int dir_fd, const char *name)
{
	unsigned how = input_byte(input);
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	write_content(input, fd);
	set_times(input, fd);
	if ((how & 3) == 3 && geteuid() == 0)
		check(fchown(fd, NOBODY, NOBODY) == 0);
	hold_if_lease(dir, fd, how & 4);
}

static bool is_own_name(const char *name)
{
	static const char *const own[] = {FILE_LOCK, FILE_VERSION, FILE_SWEPT, FILE_BELL};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!strcmp(name, own[i]))
			return true;
	return false;
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t length = strlen(name), end = strlen(suffix);

	return name[0] != '.' && length > end && length - end <= CANCEL_NAME_MAX &&
	       !strcmp(name + length - end, suffix);
}

static bool is_draft(const char *name)
{
	return strlen(name) == 38 && strspn(name, "0123456789abcdef") == 32 && !strcmp(name + 32, ".draft");
}

/* Nobody of us writes such a name there, so nobody of us may remove it. */
static bool is_strange(enum spool_dir dir, const char *name)
{
	switch (dir) {
	case SPOOL_ROOT:
		return !ends_with(name, ".json") && !is_own_name(name);
	case SPOOL_TMP:
		return !is_draft(name) && !ends_with(name, ".drop");
	case SPOOL_PENDING:
	case SPOOL_PROCESSED:
		return !ends_with(name, ".json");
	case SPOOL_RUNS:
		return !lease_is_name(name);
	default:
		return true;
	}
}

static void note_stranger(enum spool_dir dir, int dir_fd, const char *name)
{
	struct stat stat;

	if (fstatat(dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || scene.stranger_count == STRANGERS_MAX)
		return;
	if (stat.st_ino != outside_before.st_ino && (!S_ISREG(stat.st_mode) || is_strange(dir, name)))
		scene.strangers[scene.stranger_count++] = stat.st_ino;
}

static void make(struct input *input)
{
	enum spool_dir dir = (enum spool_dir)(input_byte(input) % SPOOL_DIR_COUNT);
	unsigned kind = input_byte(input) % 12;
	char scratch[NAME_BYTES_MAX + 1];
	const char *name = take_name(input, scratch);
	int dir_fd = open_folder(dir);
	struct stat stat;

	if (dir_fd < 0)
		return;
	if (fstatat(dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
		(void)close(dir_fd);
		return;
	}
	switch (kind) {
	case 6:
		(void)symlinkat(outside_file, dir_fd, name);
		break;
	case 7:
		(void)symlinkat("a.json", dir_fd, name);
		break;
	case 8:
		(void)mkfifoat(dir_fd, name, 0600);
		break;
	case 9:
		(void)mkdirat(dir_fd, name, 0700);
		break;
	case 10:
		(void)mknodat(dir_fd, name, S_IFSOCK | 0600, 0);
		break;
	case 11:
		if (!is_own_name(name))
			(void)linkat(AT_FDCWD, outside_file, dir_fd, name, 0);
		break;
	default:
		make_regular(input, dir, dir_fd, name);
		break;
	}
	note_stranger(dir, dir_fd, name);
	(void)close(dir_fd);
}

/* --- removing ----------------------------------------------------------------------------------------- */

static void forget_stranger(ino_t inode)
{
	for (int i = scene.stranger_count - 1; i >= 0; i--)
		if (scene.strangers[i] == inode)
			scene.strangers[i] = scene.strangers[--scene.stranger_count];
}

/* Somebody from outside removes something: what was accepted may be gone with it. */
static void take_away(struct input *input)
{
	enum spool_dir dir = (enum spool_dir)(input_byte(input) % SPOOL_DIR_COUNT);
	char scratch[NAME_BYTES_MAX + 1];
	const char *name = take_name(input, scratch);
	int dir_fd = open_folder(dir);
	struct stat stat;

	if (dir_fd < 0)
		return;
	if (fstatat(dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (unlinkat(dir_fd, name, 0) == 0 || unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)) {
		forget_stranger(stat.st_ino);
		scene.accepted_count = 0;
	}
	(void)close(dir_fd);
}

/* --- looking at everything ---------------------------------------------------------------------------- */

typedef void visitor(void *arg, const char *name, const struct stat *stat);

static void walk_folder(enum spool_dir dir, visitor *visit, void *arg)
{
	int fd = open_folder(dir);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat stat;

	while (stream && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
			visit(arg, entry->d_name, &stat);
	if (stream)
		(void)closedir(stream);
}

static void walk(visitor *visit, void *arg)
{
	for (int dir = 0; dir < SPOOL_DIR_COUNT; dir++)
		walk_folder((enum spool_dir)dir, visit, arg);
}

static void find_stranger(void *arg, const char *name, const struct stat *stat)
{
	(void)arg;
	(void)name;
	forget_stranger(stat->st_ino);
}

static void check_strangers(void)
{
	walk(find_stranger, NULL);
	check(scene.stranger_count == 0); /* DESIGN.md, invariants 15 and 16 */
}

/* But a spool's own folders and files: looking makes what is missing of them. */
static void add_to_sum(void *arg, const char *name, const struct stat *stat)
{
	uint64_t hash = stat->st_ino * 31 + (uint64_t)stat->st_mtim.tv_nsec + (uint64_t)stat->st_size;

	if (is_own_name(name) || S_ISDIR(stat->st_mode))
		return;
	for (; *name; name++)
		hash = hash * 0x100000001b3 + (unsigned char)*name;
	*(uint64_t *)arg += hash;
}

static uint64_t sum_of_all(void)
{
	uint64_t sum = 0;

	walk(add_to_sum, &sum);
	return sum;
}

/* --- doing things ------------------------------------------------------------------------------------- */

static void check_failure(int code, const struct cancel_error *error)
{
	if (code >= 0)
		return;
	check(error->code == code);
	check_sentence(error->text);
}

static struct accepted take_ids(struct input *input)
{
	unsigned byte = input_byte(input);

	return (struct accepted){.task_id = task_ids[byte % 8], .run = byte & 8 ? "r" : NULL};
}

static bool same_name(const struct accepted *one, const struct accepted *other)
{
	return one->task_id == other->task_id && !one->run == !other->run;
}

static void forget_accepted(const struct accepted *ids)
{
	for (int i = 0; i < scene.accepted_count; i++)
		if (same_name(&scene.accepted[i], ids))
			scene.accepted[i--] = scene.accepted[--scene.accepted_count];
}

/* It is there at once, under the id that was told. */
static void check_pending(const struct accepted *ids)
{
	struct cancel_request found;
	int code;

	cancel_request_init(&found);
	code = cancel_spool_lookup(scene.spool, ids->task_id, ids->run, &found, NULL);
	check(code < 0 || code == CANCEL_LOOKUP_PENDING || code == CANCEL_LOOKUP_SCHEDULED);
	check(code < 0 || !strcmp(found.request_id, ids->id));
	cancel_request_clear(&found);
}

static void ask(struct input *input)
{
	struct accepted ids = take_ids(input);
	struct cancel_error error = {.code = 0};
	struct cancel_request request, standing;
	int code;

	cancel_request_init(&request);
	cancel_request_init(&standing);
	request.task_id = ids.task_id;
	request.run = ids.run;
	code = cancel_spool_request(scene.spool, &request, &standing, &error);
	check_failure(code, &error);
	if (code >= 0) {
		memcpy(ids.id, code == CANCEL_REQUESTED ? request.request_id : standing.request_id,
		       sizeof(ids.id));
		check_pending(&ids);
	}
	if (code == CANCEL_REQUESTED && scene.accepted_count < ACCEPTED_MAX) {
		forget_accepted(&ids);
		scene.accepted[scene.accepted_count++] = ids;
	}
	cancel_request_clear(&request);
	cancel_request_clear(&standing);
}

/* It is not decided a second time, and stands no more: DESIGN.md, invariant 5 */
static void check_decided(const struct accepted *ids)
{
	struct cancel_request found;
	int code = cancel_spool_decide(scene.spool, ids->task_id, ids->run, ids->id, CANCEL_OUTCOME_FAILED,
				       NULL, NULL, NULL);

	check(code != CANCEL_DECIDED);
	cancel_request_init(&found);
	code = cancel_spool_lookup(scene.spool, ids->task_id, ids->run, &found, NULL);
	check(code < 0 || code == CANCEL_LOOKUP_PROCESSED || strcmp(found.request_id, ids->id));
	cancel_request_clear(&found);
}

static void decide(struct input *input)
{
	struct accepted ids = take_ids(input);
	struct cancel_error error = {.code = 0};
	struct cancel_request decided;
	int code;

	cancel_request_init(&decided);
	code = cancel_spool_decide(scene.spool, ids.task_id, ids.run, NULL, CANCEL_OUTCOME_STOPPED, "fuzzed",
				   &decided, &error);
	check_failure(code, &error);
	if (code >= 0) {
		check(code == CANCEL_DECIDED && decided.outcome == CANCEL_OUTCOME_STOPPED);
		memcpy(ids.id, decided.request_id, sizeof(ids.id));
		forget_accepted(&ids);
		check_decided(&ids);
	}
	cancel_request_clear(&decided);
}

static void reset(struct input *input)
{
	struct accepted ids = take_ids(input);
	struct cancel_error error = {.code = 0};
	int code = cancel_spool_reset(scene.spool, ids.task_id, ids.run, &error);

	check_failure(code, &error);
	forget_accepted(&ids);
	if (code >= 0)
		check(cancel_spool_lookup(scene.spool, ids.task_id, ids.run, NULL, NULL) <=
		      CANCEL_LOOKUP_NONE);
}

static void look(struct input *input)
{
	struct accepted ids = take_ids(input);
	struct cancel_error error = {.code = 0};
	struct cancel_request found;
	struct cancel_mark mark;
	int code;

	code = cancel_spool_mark(scene.spool, ids.task_id, ids.run, &mark, &error);
	check_failure(code, &error);
	cancel_request_init(&found);
	if (code == 0) {
		code = cancel_spool_check(scene.spool, ids.task_id, ids.run, &mark, &found, &error);
		check_failure(code, &error);
		check(code <= 0 || !strcmp(found.task_id, ids.task_id));
	}
	cancel_request_clear(&found);
}

static bool is_trusted(uid_t uid)
{
	return !scene.trusts_few || uid == 0 || uid == geteuid() || uid == TRUSTED;
}

/* The text and its file belong together. */
static void check_shown(const struct cancel_list_entry *entry)
{
	const char *name = strchr(entry->file, '/') + 1;
	char file[NAME_FILE_SIZE];
	struct stat stat;
	int root_fd = open_folder(SPOOL_ROOT);

	name_encode(file, entry->request->task_id, entry->request->run);
	(void)strcat(file, NAME_SUFFIX);
	check(!strcmp(file, name));
	check(fstatat(root_fd, entry->file, &stat, AT_SYMLINK_NOFOLLOW) == 0);
	check(S_ISREG(stat.st_mode) && stat.st_size <= CANCEL_RECORD_MAX && is_trusted(stat.st_uid));
	(void)close(root_fd);
}

static int on_entry(void *arg, const struct cancel_list_entry *entry)
{
	(void)arg;
	check(!entry->request != !entry->refusal);
	if (entry->request)
		check_shown(entry);
	else
		check_sentence(entry->refusal->text);
	return 0;
}

static int on_run(void *arg, const struct cancel_run *run)
{
	(void)arg;
	check(run->task_id && is_trusted((uid_t)run->uid) && scene.held_count > 0);
	return 0;
}

static void list(struct input *input)
{
	struct cancel_error error = {.code = 0};
	int code = cancel_spool_list(scene.spool, CANCEL_LIST_ALL, on_entry, NULL, &error);

	(void)input;
	check_failure(code, &error);
	code = cancel_spool_runs(scene.spool, on_run, NULL, &error);
	check_failure(code, &error);
}

static void sweep(struct input *input)
{
	unsigned how = input_byte(input);
	struct cancel_sweep_options options = {
		.keep_for_s = how & 1 ? 3600 : 0, .dry_run = how & 2, .max_files_per_pass = how & 4 ? 1 : 0};
	struct cancel_error error = {.code = 0};
	struct cancel_sweep_result result;
	uint64_t before = options.dry_run ? sum_of_all() : 0;
	int code = cancel_spool_sweep(scene.spool, &options, NULL, NULL, &result, &error);

	check_failure(code, &error);
	check(!options.dry_run || sum_of_all() == before);
	check(!options.max_files_per_pass ||
	      result.expired + result.removed + result.drafts + result.leases <= 1);
}

static void on_drop(void *arg, enum cancel_drop_result result, const char *file,
		    const struct cancel_request *request, const struct cancel_error *refusal)
{
	(void)arg;
	check(ends_with(file, ".json"));
	check((result == CANCEL_DROP_REFUSED) == (refusal != NULL));
	if (refusal)
		check_sentence(refusal->text);
	else if (result != CANCEL_DROP_UNSETTLED)
		check(request && request->task_id);
}

static void intake(struct input *input)
{
	struct cancel_error error = {.code = 0};

	(void)input;
	check_failure(cancel_spool_intake(scene.spool, on_drop, NULL, &error), &error);
}

static void on_event(void *arg, const struct cancel_event *event)
{
	(void)arg;
	check(strcmp(cancel_event_text(event->type), "unknown") != 0);
	check(event->type > CANCEL_EVENT_DECIDED || (event->request && event->request->task_id));
	if (event->text)
		check_sentence(event->text);
}

static void watch(struct input *input)
{
	unsigned how = input_byte(input);
	struct cancel_error error = {.code = 0};
	struct cancel_watch_options options;
	struct cancel_watch *watch = NULL;
	int code;

	cancel_watch_options_init(&options);
	options.mode = how % 16 ? CANCEL_WATCH_POLL : CANCEL_WATCH_AUTO;
	options.take_drops = how & 0x10;
	options.rings = how & 0x20;
	options.skip_standing = how & 0x40;
	code = cancel_watch_open(&watch, scene.spool, &options, &error);
	check_failure(code, &error);
	for (int turn = 0; code >= 0 && turn < 2; turn++)
		check_failure(cancel_watch_dispatch(watch, on_event, NULL, &error), &error);
	cancel_watch_close(watch);
}

/* Files are as old as they are; it is later now. What was accepted may expire. */
static void pass_time(struct input *input)
{
	static const int64_t spans_s[] = {1, 6, 4000, 100000, 1000000};
	unsigned how = input_byte(input);

	ahead_s += spans_s[how % 5];
	if (how & 0x80)
		stepped_s += how & 0x40 ? 3600 : -3600;
	scene.accepted_count = 0;
}

static void reopen(struct input *input)
{
	close_spool();
	open_spool(input_byte(input) & 1);
}

static const struct operation {
	void (*play)(struct input *input);
	bool needs_spool;
} operations[] = {
	{make, false},      {make, false},   {make, false},  {make, false}, {make, false},
	{ask, true},        {ask, true},     {decide, true}, {reset, true}, {look, true},
	{list, true},       {sweep, true},   {intake, true}, {watch, true}, {pass_time, false},
	{take_away, false}, {reopen, false},
};

/* --- the whole ---------------------------------------------------------------------------------------- */

static void play(struct input *input)
{
	for (int i = 0; i < OPERATIONS_MAX && input->at < input->size; i++) {
		const struct operation *operation =
			&operations[input_byte(input) % (sizeof(operations) / sizeof(operations[0]))];

		if (scene.spool || !operation->needs_spool)
			operation->play(input);
	}
}

static void judge(void)
{
	/* DESIGN.md, invariant 7 */
	for (int i = 0; scene.spool && i < scene.accepted_count; i++)
		check_pending(&scene.accepted[i]);
	check_strangers();
	check_outside();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size, 0};
	int next_fd;

	if (!place[0])
		begin();
	next_fd = place_next_fd();
	scene = (struct scene){.trusts_few = input_byte(&input) & 1};
	check(mkdir(spool_path, 0700) == 0);
	open_spool(true);
	check(scene.spool != NULL);
	play(&input);
	judge();
	close_spool();
	for (int i = 0; i < scene.held_count; i++)
		(void)close(scene.held[i]);
	ahead_s = stepped_s = 0;
	check(place_next_fd() == next_fd);
	place_empty(AT_FDCWD, spool_path);
	check(rmdir(spool_path) == 0);
	return 0;
}
