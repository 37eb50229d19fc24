#include "rule_engine.h"

#include "rule_fire.h"
#include "rule_key.h"
#include "rule_memory.h"
#include "rule_queue.h"
#include "signals.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	SCHEDULED_MAX =
		CANCEL_RULE_WAITING_MAX / 4, /* that may wait for their time, while others could be fired */
	START_MAX = 16, /* commands started, and news heard, in one go: others wait too */
	HEAR_MAX = 64,
};

#define HELD_UP_NS   CANCEL_SECOND
#define TWIN_LOOK_NS (CANCEL_SECOND / 10)
#define EVENT_TIMER  UINT64_MAX

/* How a rule is doing. */
struct standing {
	size_t count;   /* entries in the queue */
	size_t running; /* of those */
	bool missed;    /* a request of it found no room, or may have */
};

struct rule_engine {
	struct notify *notify;
	struct rule_fire fire;
	char spool_path[CANCEL_PATH_MAX];
	struct standing standings[CANCEL_RULES_MAX];
	struct rule_queue queue;
	size_t scheduled;            /* entries whose request is not in effect */
	bool missed_scheduled;       /* one of those found no room among them: only time makes any */
	struct rule_memory done;     /* nothing more to do for these, though they are pending */
	struct rule_memory given_up; /* nor for these, until the rules are loaded anew */
	int timer_fd;
	int64_t held_until_ns; /* nothing can be started before */

	int64_t list_at_ns;    /* what is pending is listed then at the latest; CANCEL_FOREVER: no need */
	int64_t list_pause_ns; /* and not before this: a listing may take long, and is not all there is to do
				*/
	size_t list_from;      /* where the next one begins to take */
	size_t list_position;  /* in the running one */
};

/* --- room --------------------------------------------------------------------------------------------- */

static size_t free_room(const struct rule_engine *engine)
{
	return CANCEL_RULE_WAITING_MAX - engine->queue.count;
}

/* As much as is left for others. So a single rule has half of all, and of many that fail each leaves room for
 * the next. */
static bool has_room(const struct rule_engine *engine, size_t rule)
{
	return engine->standings[rule].count < free_room(engine);
}

/* Enough that a listing is worth it. */
static bool has_much_room(const struct rule_engine *engine, size_t rule)
{
	return engine->standings[rule].count <= free_room(engine) / 2;
}

/* Count an entry in (1) or out (-1); whenever what it counts as changes. */
static void count(struct rule_engine *engine, const struct rule_entry *entry, int sign)
{
	if (entry->is_scheduled)
		engine->scheduled += (size_t)sign;
	if (entry->rule == RULE_NONE)
		return;
	engine->standings[entry->rule].count += (size_t)sign;
	if (entry->command != NULL)
		engine->standings[entry->rule].running += (size_t)sign;
}

/* --- time --------------------------------------------------------------------------------------------- */

static void list_by(struct rule_engine *engine, int64_t time_ns)
{
	if (time_ns < engine->list_at_ns)
		engine->list_at_ns = time_ns;
}

static void set_timer(struct rule_engine *engine, int64_t time_ns)
{
	struct itimerspec times = {{0, 0}, {0, 0}};

	if (time_ns != CANCEL_FOREVER) {
		times.it_value.tv_sec = time_ns / CANCEL_SECOND;
		/* All of it 0 would stop the timer. */
		times.it_value.tv_nsec = time_ns % CANCEL_SECOND + (time_ns == 0);
	}
	(void)timerfd_settime(engine->timer_fd, TFD_TIMER_ABSTIME, &times, NULL);
}

static void dispatch_soon(struct rule_engine *engine)
{
	set_timer(engine, 1);
}

/* --- taking ------------------------------------------------------------------------------------------- */

static void miss(struct rule_engine *engine, size_t rule, const struct cancel_request *request)
{
	list_by(engine, cancel_clock_now_ns() + engine->fire.look_again_ns);
	if (cancel_request_in_effect(request)) {
		engine->standings[rule].missed = true;
		return;
	}
	engine->missed_scheduled = true;
	list_by(engine, rule_fire_due(&engine->fire, request));
}

static void add(struct rule_engine *engine, size_t rule, const struct cancel_request *request, uint64_t key)
{
	bool is_scheduled = !cancel_request_in_effect(request);
	struct rule_entry *entry = NULL;

	if (has_room(engine, rule) && (!is_scheduled || engine->scheduled < SCHEDULED_MAX))
		entry = rule_queue_add(&engine->queue, request, key);
	if (entry == NULL) {
		miss(engine, rule, request);
		return;
	}
	entry->rule = rule;
	entry->is_scheduled = is_scheduled;
	entry->due_ns = rule_fire_due(&engine->fire, request);
	count(engine, entry, 1);
}

static bool is_known(const struct rule_engine *engine, const struct cancel_request *request, uint64_t key)
{
	struct rule_entry *entry = rule_queue_find(&engine->queue, key);
	int64_t due_ns;

	if (entry == NULL)
		return rule_memory_has(&engine->done, key) || rule_memory_has(&engine->given_up, key);
	/* It may take effect sooner than it did. */
	due_ns = rule_fire_due(&engine->fire, request);
	if (entry->is_scheduled && due_ns < entry->due_ns)
		entry->due_ns = due_ns;
	return true;
}

static size_t match(const struct rule_engine *engine, const char *task_id)
{
	const struct cancel_rules *rules = engine->fire.rules;
	const struct cancel_rule *rule = rules == NULL ? NULL : cancel_rules_match(rules, task_id);

	return rule == NULL ? RULE_NONE : (size_t)(rule - rules->list);
}

/* Returns whether some rule is for it. */
static bool take(struct rule_engine *engine, const struct cancel_request *request)
{
	size_t rule = match(engine, request->task_id);
	uint64_t key;

	if (rule == RULE_NONE)
		return false;
	key = rule_key(request);
	if (!is_known(engine, request, key))
		add(engine, rule, request, key);
	return true;
}

void rule_engine_take(struct rule_engine *engine, const struct cancel_request *request)
{
	if (take(engine, request))
		dispatch_soon(engine);
}

/* --- listing ------------------------------------------------------------------------------------------ */

void rule_engine_look_again(struct rule_engine *engine)
{
	size_t rules = engine->fire.rules == NULL ? 0 : engine->fire.rules->count;

	for (size_t i = 0; i < rules; i++)
		engine->standings[i].missed = true;
	if (rules == 0)
		return;
	list_by(engine, 0);
	dispatch_soon(engine);
}

static bool is_listing_due(const struct rule_engine *engine, int64_t now_ns)
{
	if (now_ns < engine->list_pause_ns || engine->list_at_ns == CANCEL_FOREVER)
		return false;
	for (size_t i = 0; i < engine->fire.rules->count; i++)
		if (engine->standings[i].missed && has_much_room(engine, i))
			return true;
	return now_ns >= engine->list_at_ns;
}

struct listing {
	struct rule_engine *engine;
	bool missed[CANCEL_RULES_MAX]; /* which rules it is for */
	bool is_whole;                 /* it is for all that have become due, of whatever rule */
};

/* All that came to find more has as much as it may have. */
static bool is_satisfied(const struct listing *listing)
{
	const struct rule_engine *engine = listing->engine;

	for (size_t i = 0; i < engine->fire.rules->count; i++)
		if ((listing->missed[i] || listing->is_whole) && has_room(engine, i))
			return false;
	return true;
}

static int on_listed(void *arg, const struct cancel_list_entry *entry)
{
	struct listing *listing = arg;
	struct rule_engine *engine = listing->engine;

	notify_alive(engine->notify);
	if (entry->request == NULL || engine->list_position++ < engine->list_from)
		return 0;
	(void)take(engine, entry->request);
	return is_satisfied(listing);
}

static void begin_listing(struct listing *listing, size_t from)
{
	struct rule_engine *engine = listing->engine;

	for (size_t i = 0; i < engine->fire.rules->count; i++) {
		listing->missed[i] = engine->standings[i].missed;
		engine->standings[i].missed = false;
	}
	listing->is_whole = engine->missed_scheduled;
	engine->missed_scheduled = false;
	engine->list_at_ns = CANCEL_FOREVER;
	engine->list_from = from;
	engine->list_position = 0;
}

/* There is more, or may be. */
static void keep_missed(const struct listing *listing)
{
	struct rule_engine *engine = listing->engine;

	for (size_t i = 0; i < engine->fire.rules->count; i++)
		engine->standings[i].missed |= listing->missed[i];
	engine->missed_scheduled |= listing->is_whole;
	list_by(engine, cancel_clock_now_ns() + engine->fire.look_again_ns);
}

static bool is_full_of_done(const struct rule_engine *engine)
{
	return rule_memory_is_full(&engine->done) || rule_memory_is_full(&engine->given_up);
}

/* Where the memory of those that are done with is full they would be fired for again and again, if each
 * listing began with them: it goes on behind where the last one stopped. */
static void list_pending(struct rule_engine *engine)
{
	struct listing listing = {.engine = engine};
	int result;

	begin_listing(&listing, is_full_of_done(engine) ? engine->list_from : 0);
	result = cancel_spool_list(engine->fire.spool, CANCEL_LIST_PENDING, on_listed, &listing, NULL);
	if (result != 0 || engine->list_from > 0)
		keep_missed(&listing);
	engine->list_from = result > 0 ? engine->list_position : 0;
}

static void list(struct rule_engine *engine)
{
	int64_t begin_ns = cancel_clock_now_ns(), end_ns;

	/* It may take long, and must not keep us from ending. */
	signals_busy(true);
	list_pending(engine);
	signals_busy(false);
	end_ns = cancel_clock_now_ns();
	engine->list_pause_ns = end_ns + (end_ns - begin_ns);
	/* Those that are forgotten are fired for again, and that shall not be all that is done. */
	if (is_full_of_done(engine))
		engine->list_pause_ns = end_ns + engine->fire.look_again_ns;
}

/* --- firing ------------------------------------------------------------------------------------------- */

static bool may_start(const struct rule_engine *engine, const struct rule_entry *entry)
{
	if (entry->command != NULL)
		return false;
	/* A decision that is left to make is no command, and is made also where its rule is gone. */
	if (entry->outcome != CANCEL_OUTCOME_NONE)
		return true;
	if (entry->rule == RULE_NONE)
		return false;
	return engine->standings[entry->rule].running < engine->fire.rules->list[entry->rule].max_parallel;
}

/* What follows from what was done for an entry, which was counted out before. Where there is no memory to
 * remember it, it is found and fired for again, as after a restart. */
static void settle(struct rule_engine *engine, struct rule_entry *entry, enum rule_fate fate)
{
	if (fate == RULE_WAITS || fate == RULE_RUNS || fate == RULE_HELD_UP) {
		count(engine, entry, 1);
		if (fate == RULE_HELD_UP)
			engine->held_until_ns = cancel_clock_now_ns() + HELD_UP_NS;
		return;
	}
	if (fate == RULE_IS_DONE)
		(void)rule_memory_add(&engine->done, entry->key);
	if (fate == RULE_GIVEN_UP)
		(void)rule_memory_add(&engine->given_up, entry->key);
	/* The same request may be in this spool too: it was moved. */
	if (entry->is_left)
		rule_engine_look_again(engine);
	rule_queue_remove(&engine->queue, entry);
}

static void try_entry(struct rule_engine *engine, struct rule_entry *entry)
{
	count(engine, entry, -1);
	settle(engine, entry, rule_fire_try(&engine->fire, entry));
}

/* A command for another request of the same task runs still: that was withdrawn, and this one asked for after
 * it. Two at once could each act on what the other has just changed. */
static bool has_twin(const struct rule_engine *engine, const struct rule_entry *entry)
{
	for (size_t i = 0; i < engine->queue.count; i++) {
		const struct rule_entry *other = engine->queue.list[i];

		if (other->command != NULL && strcmp(other->task_id, entry->task_id) == 0)
			return true;
	}
	return false;
}

/* Those that are due, in the order in which they came. */
static void fire_due(struct rule_engine *engine, int64_t now_ns)
{
	int started = 0;

	for (size_t i = 0;
	     i < engine->queue.count && started < START_MAX && now_ns >= engine->held_until_ns;) {
		struct rule_entry *entry = engine->queue.list[i];

		if (entry->due_ns > now_ns || !may_start(engine, entry)) {
			i++;
			continue;
		}
		if (entry->outcome == CANCEL_OUTCOME_NONE && has_twin(engine, entry)) {
			entry->due_ns = now_ns + TWIN_LOOK_NS;
			i++;
			continue;
		}
		try_entry(engine, entry);
		started++;
		/* The next one has come into its place if it is gone. */
		if (i < engine->queue.count && engine->queue.list[i] == entry)
			i++;
	}
}

static int64_t next_listing(const struct rule_engine *engine)
{
	bool is_late =
		engine->list_at_ns < engine->list_pause_ns || is_listing_due(engine, engine->list_pause_ns);

	return engine->list_at_ns != CANCEL_FOREVER && is_late ? engine->list_pause_ns : engine->list_at_ns;
}

/* When there is something to do without anything happening. */
static int64_t next_time(const struct rule_engine *engine)
{
	int64_t next_ns = next_listing(engine);

	for (size_t i = 0; i < engine->queue.count; i++) {
		const struct rule_entry *entry = engine->queue.list[i];
		int64_t due_ns =
			entry->due_ns > engine->held_until_ns ? entry->due_ns : engine->held_until_ns;

		if (may_start(engine, entry) && due_ns < next_ns)
			next_ns = due_ns;
	}
	return next_ns;
}

static void hear(struct rule_engine *engine, uint64_t key)
{
	struct rule_entry *entry = rule_queue_find(&engine->queue, key);

	if (entry == NULL || entry->command == NULL)
		return;
	count(engine, entry, -1);
	settle(engine, entry, rule_fire_hear(&engine->fire, entry));
}

/* One at a time, because what is heard of one may be the end of what another one told. */
static void hear_commands(struct rule_engine *engine)
{
	struct epoll_event event;

	for (int i = 0; i < HEAR_MAX && epoll_wait(engine->fire.epoll_fd, &event, 1, 0) == 1; i++) {
		uint64_t expirations;

		if (event.data.u64 == EVENT_TIMER)
			(void)!read(engine->timer_fd, &expirations, sizeof expirations);
		else
			hear(engine, event.data.u64);
	}
}

void rule_engine_dispatch(struct rule_engine *engine)
{
	hear_commands(engine);
	if (is_listing_due(engine, cancel_clock_now_ns()))
		list(engine);
	fire_due(engine, cancel_clock_now_ns());
	set_timer(engine, next_time(engine));
}

/* --- other rules, another spool ------------------------------------------------------------------------ */

/* Every guard sees the end of the pipe, and ends its command. */
static void end_commands(struct rule_engine *engine)
{
	for (size_t i = 0; i < 2; i++) {
		if (engine->fire.life[i] >= 0)
			(void)close(engine->fire.life[i]);
		engine->fire.life[i] = -1;
	}
}

/* Entries of another spool: those that wait are forgotten, and of those that run only the end is awaited. */
static void leave_spool(struct rule_engine *engine)
{
	for (size_t i = engine->queue.count; i-- > 0;) {
		struct rule_entry *entry = engine->queue.list[i];

		entry->is_left = true;
		entry->rule = RULE_NONE;
		entry->is_scheduled = false;
		if (entry->command == NULL)
			rule_queue_remove(&engine->queue, entry);
	}
	rule_memory_clear(&engine->done);
	end_commands(engine);
}

/* Each entry gets the rule that it has now; tries are counted anew. */
static void match_anew(struct rule_engine *engine)
{
	for (size_t i = engine->queue.count; i-- > 0;) {
		struct rule_entry *entry = engine->queue.list[i];

		if (entry->is_left)
			continue;
		entry->rule = match(engine, entry->task_id);
		entry->tries = 0;
		entry->due_ns = 0;
		if (entry->rule == RULE_NONE && entry->command == NULL &&
		    entry->outcome == CANCEL_OUTCOME_NONE)
			rule_queue_remove(&engine->queue, entry);
	}
	engine->scheduled = 0;
	memset(engine->standings, 0, sizeof engine->standings);
	for (size_t i = 0; i < engine->queue.count; i++)
		count(engine, engine->queue.list[i], 1);
}

void rule_engine_adopt(struct rule_engine *engine, struct cancel_rules *rules,
		       const struct cancel_config *config, struct cancel_spool *spool)
{
	bool is_first = engine->fire.rules == NULL;

	if (!is_first && strcmp(engine->spool_path, config->spool.path) != 0)
		leave_spool(engine);
	(void)snprintf(engine->spool_path, sizeof engine->spool_path, "%s", config->spool.path);
	engine->fire.spool = spool;
	engine->fire.look_again_ns = config->watch.rescan_interval_ms * CANCEL_MILLISECOND;
	cancel_rules_free(engine->fire.rules);
	engine->fire.rules = rules;
	engine->list_at_ns = CANCEL_FOREVER;
	rule_memory_clear(&engine->given_up);
	match_anew(engine);
	/* The first time the watch reports all there is. */
	if (!is_first)
		rule_engine_look_again(engine);
	if (rules->count > 0)
		log_line(engine->fire.log, CANCEL_LOG_INFO, "rules: %zu", rules->count);
}

/* --- opening and closing ------------------------------------------------------------------------------- */

int rule_engine_open(struct rule_engine **engine, struct log *log, struct notify *notify)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = EVENT_TIMER};
	struct rule_engine *opened = calloc(1, sizeof *opened);
	int result = 0;

	if (opened == NULL)
		return -ENOMEM;
	opened->notify = notify;
	opened->fire = (struct rule_fire){
		.log = log, .notify = notify, .spool_path = opened->spool_path, .life = {-1, -1}};
	opened->list_at_ns = CANCEL_FOREVER;
	/* Where it is ignored nobody could wait for a guard. */
	(void)signal(SIGCHLD, SIG_DFL);
	opened->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	opened->fire.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (opened->timer_fd < 0 || opened->fire.epoll_fd < 0 ||
	    epoll_ctl(opened->fire.epoll_fd, EPOLL_CTL_ADD, opened->timer_fd, &event) < 0)
		result = -errno;
	if (result < 0)
		rule_engine_close(opened);
	else
		*engine = opened;
	return result;
}

void rule_engine_close(struct rule_engine *engine)
{
	if (engine == NULL)
		return;
	end_commands(engine);
	while (engine->queue.count > 0)
		rule_queue_remove(&engine->queue, engine->queue.list[engine->queue.count - 1]);
	cancel_rules_free(engine->fire.rules);
	rule_memory_clear(&engine->done);
	rule_memory_clear(&engine->given_up);
	if (engine->timer_fd >= 0)
		(void)close(engine->timer_fd);
	if (engine->fire.epoll_fd >= 0)
		(void)close(engine->fire.epoll_fd);
	free(engine);
}

int rule_engine_fd(const struct rule_engine *engine)
{
	return engine->fire.epoll_fd;
}
