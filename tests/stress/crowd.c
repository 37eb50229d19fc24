/*
 * A crowd on a few names. Three parts:
 *
 *   one id     64 processes ask for one id at once, then 64 decide it: one asks and one wins, each time.
 *   mixture    processes of threads ask, decide, withdraw, reset, sweep, list and take in, and leave drops as
 *              foreign programs do. Each notes what it was answered; tests/support/ledger.c judges.
 *   the judge  the same mixture with the lock made useless must be found guilty, or the judge sleeps.
 *
 * What an operation does silently (a reset withdraws, a request expires while another is asked, a drop goes
 * into a standing request) is seen at the calls that do it: the program is linked with --wrap for renameat2,
 * unlinkat, fcntl and openat. RUN_SECONDS is the length of the mixture.
 *
 * Mutations that this catches: no lock (part three, always); processed written after pending is removed; the
 * processed record not read before a decision; the answer "already pending" given without the lock; a sweep
 * that removes a processed record whose litter still stands; a drop renamed over another one in tmp/.
 */
#include "environment.h"
#include "ledger.h"
#include "spool_dir.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	CROWD = 64,
	ROUNDS = 20,
	PROCESSES = 4,
	THREADS = 3,
	NAMES = 5,
	RUN_DEFAULT_S = 5,
	GUILTY_S = 2,
	GUILTY_TRIES = 10, /* a machine that is very busy may have nobody meet in that time */
	DROP_LIFE_S = 100 * 86400,
	DROP_SLOWEST_NS = 1000000000, /* a drop this long in the writing may be taken in half written */
	PAUSE_NS = 400000,
	OPENS_BETWEEN_PAUSES = 31, /* primes, so that each call of an operation gets its turn */
	REMOVALS_BETWEEN_PAUSES = 3,
	SETTLE_S = 8,
	EXIT_SKIPPED = 77,
	ID_SIZE = CANCEL_REQUEST_ID_LENGTH + 1,
};

static bool locks_disabled;
static _Thread_local int ledger = -1;
static _Thread_local struct cancel_error error;

/* --- what is seen at the calls ------------------------------------------------------------------------ */

int __real_renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned int flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __real_fcntl(int fd, int command, ...);
int __real_openat(int dir, const char *name, int flags, ...);
int __wrap_renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_openat(int dir, const char *name, int flags, ...);

/* Records are read and requests decided in several calls. Now and then somebody is kept waiting between two
 * of them, long enough for others to change everything. */
static void pause_sometimes(unsigned calls_between)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	static _Thread_local unsigned calls;

	if (ledger >= 0 && ++calls % calls_between == 0)
		(void)nanosleep(&pause, NULL);
}

static bool ends_in(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

/* Read a record without the library's looking: 0 when it is one. */
static int look(int dir, const char *name, struct cancel_request *request)
{
	char text[CANCEL_RECORD_MAX];
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		(void)close(fd);
	cancel_request_init(request);
	return length < 0 ? -1 : cancel_request_parse(request, text, (size_t)length, NULL);
}

/* A drop's request gets its id when it is taken in; the reason is what tells drops apart. */
static void note_admitted(int64_t before_ns, const struct cancel_request *request)
{
	ledger_note(ledger, LEDGER_ADMITTED, before_ns, request->request_id);
	ledger_note(ledger, LEDGER_TAKEN, before_ns, request->reason);
}

int __wrap_renameat2(int old_dir, const char *old, int new_dir, const char *new, unsigned int flags)
{
	int64_t before_ns = ledger_now_ns();
	struct cancel_request request;
	int seen = look(old_dir, old, &request);
	int code = __real_renameat2(old_dir, old, new_dir, new, flags), kept = errno;

	if (code == 0 && seen == 0 && request.status == CANCEL_STATUS_PROCESSED)
		ledger_note(ledger, LEDGER_DECIDED, before_ns, request.request_id);
	else if (code == 0 && seen == 0 && ends_in(old, ".drop") && ends_in(new, ".json"))
		note_admitted(before_ns, &request);
	cancel_request_clear(&request);
	errno = kept;
	return code;
}

/* The drop's wish lives on in what stands: in effect as soon, alive as long. */
static bool as_strong(const struct cancel_request *standing, const struct cancel_request *drop)
{
	bool lives = standing->expires_in_s == CANCEL_EXPIRES_NEVER ||
		     standing->expires_in_s >= drop->expires_in_s;

	return lives && standing->cancel_at_us <= drop->cancel_at_us;
}

static enum ledger_kind fate(int tmp_dir, const char *name, const struct cancel_request *drop)
{
	struct cancel_request standing;
	char path[300];
	bool strong;

	(void)snprintf(path, sizeof(path), "../pending/%.*s.json", (int)(strlen(name) - strlen(".drop")),
		       name);
	strong = look(tmp_dir, path, &standing) == 0 && as_strong(&standing, drop);
	cancel_request_clear(&standing);
	return strong ? LEDGER_MERGED : LEDGER_WASTED;
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
	int64_t before_ns = ledger_now_ns();
	struct cancel_request request;
	bool drop = ends_in(name, ".drop") && look(dir, name, &request) == 0 && request.reason;
	enum ledger_kind kind = drop ? fate(dir, name, &request) : LEDGER_FAILED;
	int code, kept;

	pause_sometimes(REMOVALS_BETWEEN_PAUSES);
	code = __real_unlinkat(dir, name, flags);
	kept = errno;

	if (drop && code == 0)
		ledger_note(ledger, kind, before_ns, request.reason);
	if (drop)
		cancel_request_clear(&request);
	errno = kept;
	return code;
}

int __wrap_fcntl(int fd, int command, ...)
{
	void *argument;
	va_list list;

	va_start(list, command);
	argument = va_arg(list, void *);
	va_end(list);
	return locks_disabled && command == F_OFD_SETLK ? 0 : __real_fcntl(fd, command, argument);
}

int __wrap_openat(int dir, const char *name, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
	va_end(list);
	pause_sometimes(OPENS_BETWEEN_PAUSES);
	return __real_openat(dir, name, flags, mode);
}

/* --- common ------------------------------------------------------------------------------------------- */

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static struct cancel_spool *open_spool(const char *path)
{
	struct cancel_spool_options options;
	struct cancel_spool *spool;

	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	if (cancel_spool_open(&spool, &options, &error) < 0) {
		(void)fprintf(stderr, "crowd: %s\n", error.text);
		abort();
	}
	return spool;
}

static uint64_t chance(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork");
	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* How many of the children ended badly. */
static int reap_all(void)
{
	int status, bad = 0;

	while (wait(&status) > 0)
		bad += !WIFEXITED(status) || WEXITSTATUS(status);
	return bad;
}

static void name_of(char name[32], uint64_t number)
{
	(void)snprintf(name, 32, "crowd-%d", (int)(number % NAMES));
}

/* --- one id ------------------------------------------------------------------------------------------- */

struct answer {
	int code;
	char id[ID_SIZE];
};

typedef void crowd_member(struct cancel_spool *spool, struct answer *answer);

static void ask_member(struct cancel_spool *spool, struct answer *answer)
{
	struct cancel_request request, standing;

	cancel_request_init(&request);
	cancel_request_init(&standing);
	request.task_id = "one";
	answer->code = cancel_spool_request(spool, &request, &standing, NULL);
	(void)strcpy(answer->id, answer->code == CANCEL_REQUESTED ? request.request_id : standing.request_id);
	cancel_request_clear(&standing);
	cancel_request_clear(&request);
}

static const char *meant; /* the request that the deciders mean; NULL: whatever is pending */

static void decide_member(struct cancel_spool *spool, struct answer *answer)
{
	struct cancel_request decided;

	cancel_request_init(&decided);
	answer->code =
		cancel_spool_decide(spool, "one", NULL, meant, CANCEL_OUTCOME_STOPPED, NULL, &decided, NULL);
	(void)strcpy(answer->id, decided.request_id);
	cancel_request_clear(&decided);
}

/* All of them at once: they open the spool and wait at the gate, which opens by closing. */
static void run_crowd(const char *path, crowd_member *member, struct answer answers[CROWD])
{
	int gate[2];

	if (pipe2(gate, O_CLOEXEC) < 0)
		give_up("pipe2");
	for (int i = 0; i < CROWD; i++) {
		struct cancel_spool *spool;
		char byte;

		if (start_child() > 0)
			continue;
		spool = open_spool(path);
		(void)close(gate[1]);
		if (read(gate[0], &byte, 1) != 0)
			_exit(1);
		member(spool, &answers[i]);
		cancel_spool_close(spool);
		_exit(0);
	}
	(void)close(gate[0]);
	(void)close(gate[1]);
	if (reap_all())
		give_up("a member of the crowd");
}

/* One has `first`, all others `rest`, and all name the same request. */
static int count_wrong(const struct answer answers[CROWD], int first, int rest, bool rest_has_id)
{
	int winner = -1, wrong = 0;

	for (int i = 0; i < CROWD; i++)
		if (answers[i].code == first)
			winner = i;
	if (winner < 0)
		return CROWD;
	for (int i = 0; i < CROWD; i++)
		if (i != winner)
			wrong += answers[i].code != rest ||
				 (rest_has_id && strcmp(answers[i].id, answers[winner].id) != 0);
	return wrong;
}

static int one_round(const char *path, struct answer answers[CROWD], bool by_id)
{
	char id[ID_SIZE];
	int wrong;

	run_crowd(path, ask_member, answers);
	wrong = count_wrong(answers, CANCEL_REQUESTED, CANCEL_ALREADY_PENDING, true);
	(void)strcpy(id, answers[0].id);
	meant = by_id ? id : NULL;
	run_crowd(path, decide_member, answers);
	return wrong + (by_id ? count_wrong(answers, CANCEL_DECIDED, CANCEL_ALREADY_DECIDED, true)
			      : count_wrong(answers, CANCEL_DECIDED, -ENOENT, false));
}

static int one_id(void)
{
	struct answer *answers = mmap(NULL, CROWD * sizeof(*answers), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct spool_dir dir;
	int wrong = 0;

	if (answers == MAP_FAILED)
		give_up("mmap");
	spool_dir_make(&dir);
	cancel_spool_close(open_spool(dir.path));
	for (int round = 0; round < ROUNDS; round++)
		wrong += one_round(dir.path, answers, round % 2);
	spool_dir_remove(&dir);
	(void)munmap(answers, CROWD * sizeof(*answers));
	return wrong;
}

/* --- the mixture -------------------------------------------------------------------------------------- */

struct actor {
	struct cancel_spool *spool;
	const char *ledger_dir, *spool_path;
	int64_t deadline_ns;
	uint64_t random;
	int number;
	long *done; /* operations, counted for all */
	char last_id[ID_SIZE], last_name[32];
};

static void failed(const char *what, int code)
{
	char text[36];

	if (!locks_disabled)
		(void)fprintf(stderr, "crowd: %s: %d: %s\n", what, code,
			      code == error.code ? error.text : "");
	(void)snprintf(text, sizeof(text), "%s: %d", what, code);
	ledger_note(ledger, LEDGER_FAILED, 0, text);
}

static void note_asked(int code, int64_t before_ns, const struct cancel_request *request,
		       const struct cancel_request *standing)
{
	if (code == CANCEL_REQUESTED)
		ledger_note(ledger, LEDGER_ASKED, before_ns, request->request_id);
	else if (code == CANCEL_ALREADY_PENDING)
		ledger_note(ledger, LEDGER_STANDING, before_ns, standing->request_id);
	else
		failed("ask", code);
}

static void ask_for(struct actor *actor, const char *name, int64_t expires_in_s, int64_t cancel_at_us)
{
	struct cancel_request request, standing;
	int64_t before_ns = ledger_now_ns();

	cancel_request_init(&request);
	cancel_request_init(&standing);
	request.task_id = name;
	request.expires_in_s = expires_in_s;
	request.cancel_at_us = cancel_at_us;
	note_asked(cancel_spool_request(actor->spool, &request, &standing, &error), before_ns, &request,
		   &standing);
	(void)strcpy(actor->last_id, standing.request_id);
	(void)strcpy(actor->last_name, name);
	cancel_request_clear(&standing);
	cancel_request_clear(&request);
}

static void ask(struct actor *actor, const char *name)
{
	ask_for(actor, name, CANCEL_EXPIRES_DEFAULT, 0);
}

/* In an hour or two, for a day or two: each time a little sooner or longer, so that terms are merged. */
static void ask_terms(struct actor *actor, const char *name)
{
	int64_t second = 1000000, hour_us = 3600 * second;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	ask_for(actor, name, 86400 + (int64_t)(chance(&actor->random) % 86400),
		now.tv_sec * second + hour_us + (int64_t)(chance(&actor->random) % (uint64_t)hour_us));
}

/* On a name of its own, so that most of them do expire before anybody decides or extends them. */
static void ask_briefly(struct actor *actor, const char *name)
{
	(void)name;
	ask_for(actor, "crowd-brief", 1, 0);
}

static void report_batch(void *arg, int64_t before_ns, int result, const struct cancel_request *request,
			 const struct cancel_error *failure)
{
	(void)arg;
	if (failure)
		error = *failure;
	note_asked(result, before_ns, request, request);
}

static void ask_batch(struct actor *actor, const char *name)
{
	struct cancel_batch *batch;
	int64_t before_ns = ledger_now_ns();
	int code = cancel_batch_open(&batch, actor->spool, report_batch, NULL, &error);

	(void)name;
	if (code < 0) {
		failed("batch", code);
		return;
	}
	for (uint64_t i = 0; i < NAMES; i++) {
		struct cancel_request request;
		char each[32];

		name_of(each, i);
		cancel_request_init(&request);
		request.task_id = each;
		cancel_batch_add(batch, &request, before_ns);
	}
	code = cancel_batch_close(batch, &error);
	if (code < 0)
		failed("batch", code);
}

static void decide_as(struct actor *actor, const char *name, const char *id, enum cancel_outcome outcome)
{
	struct cancel_request decided;
	int64_t before_ns = ledger_now_ns();
	int code;

	cancel_request_init(&decided);
	code = cancel_spool_decide(actor->spool, name, NULL, id, outcome, "the crowd", &decided, &error);
	if (code == CANCEL_DECIDED)
		ledger_note(ledger, LEDGER_WON, before_ns, decided.request_id);
	else if (code == CANCEL_ALREADY_DECIDED)
		ledger_note(ledger, LEDGER_TOLD, before_ns, decided.request_id);
	else if (code != -ENOENT)
		failed("decide", code);
	cancel_request_clear(&decided);
}

static void decide(struct actor *actor, const char *name)
{
	decide_as(actor, name, NULL, CANCEL_OUTCOME_STOPPED);
}

static void decide_last(struct actor *actor, const char *name)
{
	(void)name;
	if (actor->last_id[0])
		decide_as(actor, actor->last_name, actor->last_id, CANCEL_OUTCOME_FINISHED);
}

static void withdraw(struct actor *actor, const char *name)
{
	decide_as(actor, name, NULL, CANCEL_OUTCOME_WITHDRAWN);
}

static void reset(struct actor *actor, const char *name)
{
	int code = cancel_spool_reset(actor->spool, name, NULL, &error);

	if (code < 0)
		failed("reset", code);
}

static void note_found(int64_t before_ns, const struct cancel_request *request)
{
	ledger_note(ledger, request->status == CANCEL_STATUS_PENDING ? LEDGER_STANDING : LEDGER_TOLD,
		    before_ns, request->request_id);
}

static void look_up(struct actor *actor, const char *name)
{
	struct cancel_request request;
	int64_t before_ns = ledger_now_ns();
	int code;

	cancel_request_init(&request);
	code = cancel_spool_lookup(actor->spool, name, NULL, &request, &error);
	if (code > 0)
		note_found(before_ns, &request);
	else if (code < 0)
		failed("lookup", code);
	cancel_request_clear(&request);
}

static void check(struct actor *actor, const char *name)
{
	struct cancel_request request;
	struct cancel_mark mark;
	int code = cancel_spool_mark(actor->spool, name, NULL, &mark, &error);
	int64_t before_ns = ledger_now_ns();

	cancel_request_init(&request);
	if (code == 0)
		code = cancel_spool_check(actor->spool, name, NULL, &mark, &request, &error);
	if (code > 0)
		note_found(before_ns, &request);
	else if (code < 0)
		failed("check", code);
	cancel_request_clear(&request);
}

static int note_entry(void *arg, const struct cancel_list_entry *entry)
{
	int64_t *before_ns = arg;

	if (entry->request)
		note_found(*before_ns, entry->request);
	else
		failed("list", entry->refusal->code);
	return 0;
}

static void list(struct actor *actor, const char *name)
{
	int64_t before_ns = ledger_now_ns();
	int code = cancel_spool_list(actor->spool, CANCEL_LIST_ALL, note_entry, &before_ns, &error);

	(void)name;
	if (code < 0)
		failed("list", code);
}

/* Processed records go at once, so that litter would have nothing to be told by. */
static void sweep(struct actor *actor, const char *name)
{
	struct cancel_sweep_options options = {.keep_for_s = 0};
	struct cancel_sweep_result result;
	int code = cancel_spool_sweep(actor->spool, &options, NULL, NULL, &result, &error);

	(void)name;
	if (code < 0)
		failed("sweep", code);
	if (result.refused || result.strangers || result.clock_step_ms)
		failed("sweep: strangers", (int)(result.refused + result.strangers));
}

static void note_drop(void *arg, enum cancel_drop_result result, const char *file,
		      const struct cancel_request *request, const struct cancel_error *refusal)
{
	(void)arg;
	(void)file;
	(void)request;
	if (result == CANCEL_DROP_REFUSED)
		failed("drop refused", refusal->code);
}

static int intake(struct actor *actor)
{
	int code = cancel_spool_intake(actor->spool, note_drop, NULL, &error);

	if (code < 0)
		failed("intake", code);
	return code;
}

static void take_in(struct actor *actor, const char *name)
{
	(void)name;
	(void)intake(actor);
}

/* --- drops, as a program does that knows nothing of us ------------------------------------------------- */

static int drop_text(struct actor *actor, const char *name, char *text, size_t size, char id[ID_SIZE])
{
	unsigned char bytes[ID_SIZE / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		give_up("getrandom");
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)sprintf(id + 2 * i, "%02x", bytes[i]);
	return snprintf(text, size, "{\"task_id\": \"%s\", \"reason\": \"%s\", \"expires_in_s\": %d}", name,
			id, DROP_LIFE_S + (int)(chance(&actor->random) % DROP_LIFE_S));
}

/* One at a time, because whoever replaces a drop has merged them himself, unseen. */
static void drop_by_writing(struct actor *actor, const char *name)
{
	char path[200], text[300], id[ID_SIZE];
	int64_t before_ns = ledger_now_ns();
	int length = drop_text(actor, name, text, sizeof(text), id), half = length / 2, fd;

	(void)snprintf(path, sizeof(path), "%s/%s.json", actor->spool_path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, text, (size_t)half) != half ||
	    write(fd, text + half, (size_t)(length - half)) != length - half)
		give_up("a drop");
	(void)close(fd);
	if (ledger_now_ns() - before_ns < DROP_SLOWEST_NS)
		ledger_note(ledger, LEDGER_DROPPED, before_ns, id);
}

static void drop_by_rename(struct actor *actor, const char *name)
{
	char path[200], own[200], text[300], id[ID_SIZE];
	int64_t before_ns = ledger_now_ns();
	int length = drop_text(actor, name, text, sizeof(text), id), fd;

	(void)snprintf(path, sizeof(path), "%s/%s.json", actor->spool_path, name);
	(void)snprintf(own, sizeof(own), "%s/../drop-%d", actor->spool_path, actor->number);
	fd = open(own, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		give_up(own);
	(void)close(fd);
	if (__real_renameat2(AT_FDCWD, own, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		ledger_note(ledger, LEDGER_DROPPED, before_ns, id);
}

/* --- the actors --------------------------------------------------------------------------------------- */

static const struct {
	void (*act)(struct actor *actor, const char *name);
	int weight;
} operations[] = {
	{ask, 25},         {ask_terms, 10}, {ask_briefly, 5}, {ask_batch, 2},       {decide, 15},
	{decide_last, 10}, {withdraw, 5},   {reset, 5},       {look_up, 8},         {check, 8},
	{list, 2},         {sweep, 3},      {take_in, 4},     {drop_by_writing, 8}, {drop_by_rename, 8},
};

static void act_once(struct actor *actor)
{
	int weights = 0, choice;
	size_t i = 0;
	char name[32];

	for (size_t each = 0; each < sizeof(operations) / sizeof(operations[0]); each++)
		weights += operations[each].weight;
	choice = (int)(chance(&actor->random) % (uint64_t)weights);
	while (choice >= operations[i].weight)
		choice -= operations[i++].weight;
	name_of(name, chance(&actor->random) >> 7);
	operations[i].act(actor, name);
	(void)__atomic_add_fetch(actor->done, 1, __ATOMIC_RELAXED);
}

static void *run_actor(void *arg)
{
	struct actor *actor = arg;
	char file[32];

	(void)snprintf(file, sizeof(file), "actor-%d", actor->number);
	ledger = ledger_open(actor->ledger_dir, file);
	while (ledger_now_ns() < actor->deadline_ns)
		act_once(actor);
	(void)close(ledger);
	return NULL;
}

static void run_process(const struct actor *pattern, int process)
{
	struct actor actors[THREADS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		actors[i] = *pattern;
		actors[i].number = process * THREADS + i;
		actors[i].random = 0x9e3779b97f4a7c15U * (uint64_t)(actors[i].number + 1);
		if (pthread_create(&threads[i], NULL, run_actor, &actors[i]) != 0)
			give_up("pthread_create");
	}
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
}

static int note_pending(void *arg, const struct cancel_list_entry *entry)
{
	(void)arg;
	if (entry->request)
		ledger_note(ledger, LEDGER_PENDING, 0, entry->request->request_id);
	else
		failed("list", entry->refusal->code);
	return 0;
}

/* What nobody works on any more: all drops come in, drafts are gone, and what stands is noted. */
static void settle(struct actor *actor)
{
	int64_t deadline_ns = ledger_now_ns() + SETTLE_S * 1000000000LL;
	char path[200];
	int left;

	ledger = ledger_open(actor->ledger_dir, "settle");
	do {
		left = intake(actor);
	} while (left > 0 && ledger_now_ns() < deadline_ns && usleep(10000) == 0);
	if (left)
		failed("drops never taken in", left);
	(void)snprintf(path, sizeof(path), "%s/tmp", actor->spool_path);
	if (rmdir(path) < 0)
		failed("something is left in tmp", -errno);
	else
		(void)mkdir(path, 0700);
	left = cancel_spool_list(actor->spool, CANCEL_LIST_PENDING, note_pending, NULL, &error);
	if (left < 0)
		failed("list", left);
	(void)close(ledger);
	ledger = -1;
}

/* The mixture for so long; what it came to. */
static struct ledger_verdict mixture(int seconds, FILE *complaints, long *done)
{
	struct ledger_verdict verdict;
	struct spool_dir dir;
	char ledger_dir[64];
	struct actor actor = {.ledger_dir = ledger_dir};
	int bad;

	spool_dir_make(&dir);
	(void)snprintf(ledger_dir, sizeof(ledger_dir), "%s/ledger", dir.root);
	if (mkdir(ledger_dir, 0700) < 0)
		give_up(ledger_dir);
	actor.spool_path = dir.path;
	actor.done = done;
	actor.spool = open_spool(dir.path);
	cancel_spool_close(actor.spool);
	actor.deadline_ns = ledger_now_ns() + seconds * 1000000000LL;
	for (int i = 0; i < PROCESSES; i++) {
		if (start_child() > 0)
			continue;
		actor.spool = open_spool(dir.path);
		run_process(&actor, i);
		cancel_spool_close(actor.spool);
		exit(0);
	}
	bad = reap_all();
	actor.spool = open_spool(dir.path);
	settle(&actor);
	cancel_spool_close(actor.spool);
	verdict = ledger_judge(ledger_dir, complaints);
	verdict.violations += bad;
	spool_dir_remove(&dir);
	return verdict;
}

/* In a process of its own, because nothing here may go on without locks. */
static long mixture_without_locks(long *done)
{
	long *violations =
		mmap(NULL, sizeof(*violations), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long seen;

	if (violations == MAP_FAILED)
		give_up("mmap");
	if (start_child() == 0) {
		locks_disabled = true;
		for (int tries = 0; *violations == 0 && tries < GUILTY_TRIES; tries++)
			*violations = mixture(GUILTY_S, NULL, done).violations;
		_exit(0);
	}
	(void)reap_all();
	seen = *violations;
	(void)munmap(violations, sizeof(*violations));
	return seen;
}

static int run(void)
{
	long *done = mmap(NULL, 2 * sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int seconds = (int)environment_number("RUN_SECONDS", RUN_DEFAULT_S), wrong = one_id();
	struct ledger_verdict verdict;
	long guilty;

	if (done == MAP_FAILED)
		give_up("mmap");
	verdict = mixture(seconds, stderr, &done[0]);
	guilty = mixture_without_locks(&done[1]);
	(void)printf(
		"crowd: %d asking and %d deciding one id, %d times: %d wrong answers; %d processes of %d "
		"threads "
		"for %d s: %ld operations, %ld requests, %ld decided, %ld drops (%ld taken, %ld merged), "
		"%ld violations; without locks: %ld violations found\n",
		CROWD, CROWD, ROUNDS, wrong, PROCESSES, THREADS, seconds, done[0], verdict.accepted,
		verdict.events[LEDGER_DECIDED], verdict.events[LEDGER_DROPPED], verdict.events[LEDGER_TAKEN],
		verdict.events[LEDGER_MERGED], verdict.violations, guilty);
	return wrong || verdict.violations || !guilty;
}

/* Under a checker that makes everything slow there is no crowd: its members come one after the other. */
int main(void)
{
	if (!getenv("CANCEL_TEST_SLOW"))
		return run();
	(void)printf("crowd: skipped, because CANCEL_TEST_SLOW is set\n");
	return EXIT_SKIPPED;
}
