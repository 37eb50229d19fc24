#include "hints.h"

#include "clock.h"
#include "error.h"
#include "file.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

const char *cancel_notice_text(enum cancel_notice notice)
{
	static const char *const texts[] = {
		[CANCEL_NOTICE_AUTO] = "auto",
		[CANCEL_NOTICE_BELL] = "bell",
		[CANCEL_NOTICE_INOTIFY] = "inotify",
		[CANCEL_NOTICE_POLL] = "poll",
	};

	return (size_t)notice < sizeof texts / sizeof texts[0] ? texts[notice] : "unknown";
}

/* --- the bell ----------------------------------------------------------------------------------------- */

bool hints_read_every(const struct cancel_manager *manager, uint32_t every[BELL_EVERY_COUNT])
{
	return manager->hints.bell && bell_read(manager->hints.bell, BELL_COUNTS_AT, every, BELL_EVERY_COUNT);
}

/* Whoever replaces directories all the time is looked after by the rounds. */
#define WATCHES_TRIED 10

/* From so many on one read of all costs less than one of each. */
#define MANY_LISTENERS 16

void hints_read_words(struct cancel_manager *manager)
{
	struct hints *hints = &manager->hints;

	if (!hints->bell || manager->listeners < MANY_LISTENERS)
		return;
	if (!hints->words)
		hints->words = malloc(BELL_WORDS * sizeof *hints->words);
	hints->words_are_read =
		hints->words && bell_read(hints->bell, BELL_WORDS_AT, hints->words, BELL_WORDS);
}

void hints_forget_words(struct cancel_manager *manager)
{
	manager->hints.words_are_read = false;
}

static bool read_word(const struct hints *hints, size_t at, uint32_t *word)
{
	if (!hints->words_are_read)
		return bell_read(hints->bell, at, word, 1);
	*word = hints->words[(at - BELL_WORDS_AT) / sizeof *word];
	return true;
}

bool hints_hear(const struct cancel_manager *manager, const struct task *task, uint32_t *heard)
{
	bool rung = false;

	for (size_t i = 0; manager->hints.bell && i < task->count; i++) {
		uint32_t word = heard[i];

		if (read_word(&manager->hints, task->listeners[i].word_at, &word) && word != heard[i])
			rung = true;
		heard[i] = word;
	}
	return rung;
}

bool hints_add(const struct cancel_manager *manager, const struct task *task, const uint32_t *heard,
	       struct sleep_set *set)
{
	const struct bell *bell = manager->hints.bell;

	for (size_t i = 0; i < task->count; i++)
		if (!sleep_add(set, bell_address(bell, task->listeners[i].word_at), heard[i], true))
			return false;
	return true;
}

void hints_add_every(const struct cancel_manager *manager, const uint32_t every[BELL_EVERY_COUNT],
		     struct sleep_set *set)
{
	for (size_t i = 0; i < BELL_EVERY_COUNT; i++)
		if (i != CANCEL_COUNT_NOTICED &&
		    i != CANCEL_COUNT_EXPIRED) /* those are counted, and ring for nobody */
			(void)sleep_add(
				set, bell_address(manager->hints.bell, bell_count_at((enum cancel_count)i)),
				every[i], true);
}

struct bell *hints_hold_asleep(struct cancel_manager *manager)
{
	struct bell *bell = manager->hints.bell;

	if (!bell)
		return NULL;
	(void)atomic_fetch_add(&bell->holders, 1);
	manager->hints.asleep++;
	return bell;
}

void hints_drop_awake(struct cancel_manager *manager, struct bell *bell)
{
	if (!bell)
		return;
	manager->hints.asleep -= bell == manager->hints.bell;
	bell_drop(bell);
}

void hints_disinherit(struct cancel_manager *manager)
{
	for (; manager->hints.asleep; manager->hints.asleep--)
		bell_drop(manager->hints.bell);
}

bool hints_are_complete(const struct cancel_manager *manager)
{
	const struct bell *bell = manager->hints.bell;

	/* On another host's writes nobody here rings. */
	return bell && !manager->hints.is_blind && bell_has_ringer(bell);
}

/* A bell, and what goes with it. */
struct ringing {
	struct bell *bell; /* NULL: none, and `why` */
	const char *why;
	bool is_blind;
	unsigned armed_at;
};

static struct ringing hold_bell(struct cancel_manager *manager)
{
	struct ringing ringing = {.why = "the spool cannot be used"};

	if (spool_enter(manager->spool, NULL) < 0)
		return ringing;
	ringing.bell = bell_hold(manager->spool, BELL_LISTEN, &ringing.why);
	ringing.is_blind = manager->spool->filesystem.notice == NOTICE_BLIND;
	ringing.armed_at = atomic_load(&manager->spool->replacements);
	spool_leave(manager->spool);
	return ringing;
}

static void use_bell(struct cancel_manager *manager, const struct ringing *ringing)
{
	struct hints *hints = &manager->hints;
	struct bell *old;

	manager_lock(manager);
	old = hints->bell;
	if (old != ringing->bell)
		hints->asleep = 0; /* they hold the old one */
	hints->bell = ringing->bell;
	hints->is_blind = ringing->is_blind;
	hints->armed_at = ringing->armed_at;
	hints->way = ringing->bell ? CANCEL_NOTICE_BELL : CANCEL_NOTICE_POLL;
	hints->why = ringing->why;
	manager_unlock(manager);
	bell_drop(old);
}

/* --- inotify ------------------------------------------------------------------------------------------ */

static int add_directories(struct cancel_manager *manager, struct dirwatch *dirwatch)
{
	static const enum spool_dir dirs[] = {SPOOL_ROOT, SPOOL_PENDING, SPOOL_PROCESSED};
	static const char *const names[] = {"", "/" DIR_PENDING, "/" DIR_PROCESSED};
	const struct cancel_spool *spool = manager->spool;
	char path[CANCEL_PATH_MAX + sizeof DIR_PROCESSED];
	int code = 0;

	for (size_t i = 0; code == 0 && i < sizeof dirs / sizeof dirs[0]; i++) {
		(void)snprintf(path, sizeof path, "%s%s", spool->path, names[i]);
		code = dirwatch_add(dirwatch, dirs[i], spool->fds[dirs[i]], path, true);
	}
	return code;
}

/* -ESTALE: another directory took the place of one meanwhile, and nobody was told. */
static int watch_once(struct cancel_manager *manager, struct dirwatch *dirwatch)
{
	int code = spool_enter(manager->spool, NULL);

	if (code < 0)
		return code;
	dirwatch_remove_all(dirwatch);
	code = add_directories(manager, dirwatch);
	if (code == 0 && (spool_was_replaced(manager->spool) || spool_is_incomplete(manager->spool)))
		code = -ESTALE;
	spool_leave(manager->spool);
	return code;
}

static int watch_directories(struct cancel_manager *manager, struct dirwatch *dirwatch)
{
	int code = -ESTALE;

	for (int i = 0; code == -ESTALE && i < WATCHES_TRIED; i++)
		code = watch_once(manager, dirwatch);
	return code;
}

static int open_inotify(struct cancel_manager *manager)
{
	struct hints *hints = &manager->hints;
	int code = -ENOMEM;

	if (manager->spool->filesystem.notice == NOTICE_BLIND)
		return -ENOTSUP;
	hints->dirwatch = malloc(sizeof *hints->dirwatch);
	if (!hints->dirwatch)
		return code;
	dirwatch_init(hints->dirwatch);
	code = dirwatch_open(hints->dirwatch);
	if (code == 0)
		code = watch_directories(manager, hints->dirwatch);
	hints->armed_at = atomic_load(&manager->spool->replacements);
	if (code == 0) {
		hints->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		code = hints->kick_fd < 0 ? -errno : 0;
	}
	if (code < 0) {
		dirwatch_close(hints->dirwatch);
		free(hints->dirwatch);
		hints->dirwatch = NULL;
	}
	return code;
}

static bool listens_to_file(const struct task *task, const struct name_ids *ids, const char *raw)
{
	for (size_t i = 0; i < task->count; i++)
		if (!strcmp(task->listeners[i].id, ids ? ids->task_id : raw) ||
		    !strcmp(task->listeners[i].id, raw))
			return true;
	return false;
}

/* A name that is cut may be anybody's. NULL: all. */
static void mark_due(struct cancel_manager *manager, const char *file)
{
	size_t length = file ? name_of_file(file) : 0;
	char raw[NAME_FILE_SIZE] = "";
	enum name_kind kind = NAME_HASHED;
	struct name_ids ids;

	if (file && !length)
		return;
	if (file) {
		kind = name_decode(&ids, file, length);
		memcpy(raw, file, length);
		raw[length] = '\0';
	}
	for (struct task *task = manager->first; task; task = task->next)
		if (kind == NAME_HASHED || listens_to_file(task, kind == NAME_WHOLE ? &ids : NULL, raw))
			task->is_due = true;
}

/* Nobody is told that a directory was removed that he holds open, but that another was made in its place. */
static bool is_new_directory(const struct dirwatch_event *event)
{
	return event->hint == DIRWATCH_NAME && event->dir == SPOOL_ROOT &&
	       (!strcmp(event->name, DIR_PENDING) || !strcmp(event->name, DIR_PROCESSED));
}

void hints_take_files(struct cancel_manager *manager)
{
	struct dirwatch_event event;
	uint64_t kicks;

	(void)!read(manager->hints.kick_fd, &kicks, sizeof kicks);
	while (dirwatch_next(manager->hints.dirwatch, &event) == 1) {
		if (event.hint == DIRWATCH_NAME)
			mark_due(manager, event.name);
		else if (event.hint != DIRWATCH_OTHER)
			mark_due(manager, NULL);
		if (event.hint == DIRWATCH_GONE || is_new_directory(&event))
			manager->hints.is_gone = true;
	}
}

void hints_wait_for_files(const struct cancel_manager *manager, int64_t until_ns)
{
	struct pollfd fds[] = {{manager->hints.dirwatch->fd, POLLIN, 0}, {manager->hints.kick_fd, POLLIN, 0}};
	int64_t left_ns = until_ns == CANCEL_FOREVER ? 0 : until_ns - clock_monotonic_ns();
	struct timespec left = {left_ns / NS_PER_S, left_ns % NS_PER_S};

	if (left_ns >= 0)
		(void)ppoll(fds, 2, until_ns == CANCEL_FOREVER ? NULL : &left, NULL);
}

void hints_kick(const struct cancel_manager *manager)
{
	uint64_t one = 1;

	if (manager->hints.kick_fd >= 0)
		(void)!write(manager->hints.kick_fd, &one, sizeof one);
}

/* --- choosing ----------------------------------------------------------------------------------------- */

static int refuse(const struct cancel_manager *manager, const char *why, struct cancel_error *error)
{
	return error_set(error, -ENOTSUP, "cannot notice by %s in spool '%s': %s; use auto",
			 cancel_notice_text(manager->hints.wanted), SPOOL_QUOTE(manager->spool), why);
}

static int use_inotify(struct cancel_manager *manager, const char *why)
{
	int code = open_inotify(manager);

	if (code == 0) {
		manager->hints.way = CANCEL_NOTICE_INOTIFY;
		manager->hints.why = why;
	}
	return code;
}

int hints_open(struct cancel_manager *manager, struct cancel_error *error)
{
	struct hints *hints = &manager->hints;
	enum cancel_notice wanted = manager->options.notice;
	struct ringing ringing;
	int code;

	*hints = (struct hints){.wanted = wanted, .way = CANCEL_NOTICE_POLL, .kick_fd = -1};
	if (wanted == CANCEL_NOTICE_POLL)
		return 0;
	if (wanted == CANCEL_NOTICE_INOTIFY) {
		code = use_inotify(manager, NULL);
		return code == -ENOTSUP
			       ? refuse(manager, "its filesystem does not tell of every change by it", error)
		       : code < 0 ? refuse(manager, strerrordesc_np(-code), error)
				  : 0;
	}
	ringing = hold_bell(manager);
	if (!ringing.bell && wanted == CANCEL_NOTICE_BELL)
		return refuse(manager, ringing.why, error);
	if (ringing.bell || !manager->options.thread || use_inotify(manager, ringing.why) < 0)
		use_bell(manager, &ringing);
	return 0;
}

/* By the thread, which alone uses them. */
static void renew_inotify(struct cancel_manager *manager)
{
	struct hints *hints = &manager->hints;
	unsigned replacements = atomic_load(&manager->spool->replacements);

	if (hints->armed_at == replacements && !hints->is_gone && !hints->is_deaf)
		return;
	hints->is_gone = false;
	hints->armed_at = replacements;
	hints->is_deaf = watch_directories(manager, hints->dirwatch) < 0; /* the next round tries again */
}

bool hints_are_stale(const struct cancel_manager *manager)
{
	return manager->hints.dirwatch &&
	       (manager->hints.is_gone ||
		manager->hints.armed_at != atomic_load(&manager->spool->replacements));
}

/* The usual round: it is the bell of the directory that was looked at last, and whole. */
static bool has_good_bell(struct cancel_manager *manager)
{
	bool good;

	manager_lock(manager);
	spool_enter_unchecked(manager->spool);
	good = manager->hints.bell && manager->hints.armed_at == atomic_load(&manager->spool->replacements) &&
	       bell_stands(manager->spool, manager->hints.bell);
	spool_leave(manager->spool);
	manager_unlock(manager);
	return good;
}

void hints_renew(struct cancel_manager *manager)
{
	struct ringing ringing;

	if (manager->hints.dirwatch) {
		renew_inotify(manager);
	} else if (manager->hints.wanted != CANCEL_NOTICE_POLL && !has_good_bell(manager)) {
		ringing = hold_bell(manager);
		use_bell(manager, &ringing);
	}
}

void hints_close(struct cancel_manager *manager)
{
	struct hints *hints = &manager->hints;

	bell_drop(hints->bell);
	if (hints->dirwatch)
		dirwatch_close(hints->dirwatch);
	free(hints->dirwatch);
	free(hints->words);
	file_close(hints->kick_fd);
}
