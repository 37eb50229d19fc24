/* Show events as they come, sweep on the interval, take in drops; until a signal or a closed pipe. */
#include "event.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "rules/rule_engine.h"
#include "settings.h"
#include "signals.h"
#include "verbs.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SWEEP_US 1 /* soon after the start: once the first look is done */
#define US_PER_MS      1000

/* The sources of the loop, the more urgent first. */
enum source {
	SOURCE_SIGNALS,
	SOURCE_OUTPUT, /* never read: it tells when the reader is gone */
	SOURCE_WATCH,
	SOURCE_RULES,
	SOURCE_SWEEP,
	SOURCE_WATCHDOG,
	SOURCE_COUNT,
};

/* A failure that was told, so that the same one is told once and not on every try. */
struct complaint {
	char text[CANCEL_ERROR_TEXT_MAX];
};

struct watcher {
	const struct options *options;
	struct printer *out;
	struct log log;
	struct notify notify;
	struct cancel_config *config;
	struct cancel_spool *spool;
	struct cancel_watch *watch;
	struct rule_engine *rules;
	struct loop_source sources[SOURCE_COUNT];
	bool mode_changed; /* an event said that the way of noticing may be another now */
	struct complaint look, sweep;
};

static void complain(struct watcher *watcher, struct complaint *complaint, const struct cancel_error *error)
{
	if (strcmp(complaint->text, error->text) == 0)
		return;
	memcpy(complaint->text, error->text, sizeof complaint->text);
	log_line(&watcher->log, CANCEL_LOG_ERROR, "%s", error->text);
}

static void stop_complaining(struct watcher *watcher, struct complaint *complaint, const char *what)
{
	if (complaint->text[0] == '\0')
		return;
	complaint->text[0] = '\0';
	log_line(&watcher->log, CANCEL_LOG_INFO, "%s works again", what);
}

static int open_both(const struct cancel_config *config, struct cancel_spool **spool,
		     struct cancel_watch **watch, struct cancel_error *error)
{
	struct cancel_spool_options spool_options = config->spool;
	struct cancel_watch_options watch_options = config->watch;
	int result;

	spool_options.create = true;
	watch_options.take_drops = true;
	watch_options.skip_standing = false;
	watch_options.rings = true;
	result = cancel_spool_open(spool, &spool_options, error);
	if (result < 0)
		return result;
	result = cancel_watch_open(watch, *spool, &watch_options, error);
	if (result < 0)
		cancel_spool_close(*spool);
	return result;
}

struct description {
	char path[CANCEL_ESCAPED_SIZE(CANCEL_PATH_MAX)];
	const char *mode;
	const char *why;
};

static void describe(const struct watcher *watcher, struct description *description)
{
	const char *path = watcher->config->spool.path;

	cancel_text_escape(description->path, sizeof description->path, path, strlen(path));
	description->why = NULL;
	description->mode = cancel_watch_mode_text(cancel_watch_mode(watcher->watch, &description->why));
}

#define STATUS          "watching '%.*s' by %s"
#define STATUS_PATH_MAX 1024

static void tell_ready(const struct watcher *watcher)
{
	struct description now;

	describe(watcher, &now);
	notify_ready(&watcher->notify, STATUS, STATUS_PATH_MAX, now.path, now.mode);
}

static void tell_mode(struct watcher *watcher)
{
	struct description now;

	describe(watcher, &now);
	notify_status(&watcher->notify, STATUS, STATUS_PATH_MAX, now.path, now.mode);
	watcher->mode_changed = false;
}

static void log_start(struct watcher *watcher)
{
	struct description now;

	describe(watcher, &now);
	log_line(&watcher->log, CANCEL_LOG_INFO, STATUS "%s%s", STATUS_PATH_MAX, now.path, now.mode,
		 now.why == NULL ? "" : ": ", now.why == NULL ? "" : now.why);
}

/* Nobody reads any more, or no line can be written: main says so in the second case. */
static bool output_ended(const struct watcher *watcher)
{
	return watcher->out->closed || watcher->out->error != 0;
}

static void hand_to_rules(const struct watcher *watcher, const struct cancel_event *event)
{
	if (event->type == CANCEL_EVENT_REQUESTED)
		rule_engine_take(watcher->rules, event->request);
	if (event->type == CANCEL_EVENT_RESTORED || event->type == CANCEL_EVENT_RESCANNED)
		rule_engine_look_again(watcher->rules);
}

static void on_event(void *arg, const struct cancel_event *event)
{
	struct watcher *watcher = arg;

	/* A first look at a million requests takes longer than a watchdog may be patient. */
	notify_alive(&watcher->notify);
	if (event->type == CANCEL_EVENT_DEGRADED || event->type == CANCEL_EVENT_RESTORED)
		watcher->mode_changed = true;
	hand_to_rules(watcher, event);
	if (watcher->out->quiet || output_ended(watcher))
		return;
	if (watcher->options->json)
		event_print_json(watcher->out, event);
	else
		event_print_text(watcher->out, event);
}

static int on_watch(void *arg)
{
	struct watcher *watcher = arg;
	struct cancel_error error;
	int result;

	signals_busy(true);
	result = cancel_watch_dispatch(watcher->watch, on_event, watcher, &error);
	signals_busy(false);
	if (output_ended(watcher))
		return EXIT_YES;
	/* The watch asks to be tried again by itself. */
	if (result < 0)
		complain(watcher, &watcher->look, &error);
	else
		stop_complaining(watcher, &watcher->look, "watching");
	if (watcher->mode_changed)
		tell_mode(watcher);
	return LOOP_GO_ON;
}

static int on_rules(void *arg)
{
	struct watcher *watcher = arg;

	rule_engine_dispatch(watcher->rules);
	return LOOP_GO_ON;
}

static void log_sweep(struct watcher *watcher, const struct cancel_sweep_result *result)
{
	if (result->clock_step_ms != 0)
		log_line(&watcher->log, CANCEL_LOG_WARNING,
			 "the clock was stepped by %" PRId64
			 " ms: this sweep expired no requests and removed no records",
			 result->clock_step_ms);
	if (result->expired + result->removed + result->litter + result->drafts + result->leases +
		    result->put_back >
	    0)
		log_line(&watcher->log, CANCEL_LOG_INFO,
			 "swept: expired %" PRId64 ", removed %" PRId64 ", litter %" PRId64
			 ", drafts %" PRId64 ", leases %" PRId64 ", put back %" PRId64 ", kept %" PRId64 "%s",
			 result->expired, result->removed, result->litter, result->drafts, result->leases,
			 result->put_back, result->kept,
			 result->limited ? "; the limit of a pass was reached, the next one goes on" : "");
}

static int on_sweep(void *arg)
{
	struct watcher *watcher = arg;
	struct cancel_sweep_result result = {0};
	struct cancel_error error;
	int failed;

	loop_timer_read(watcher->sources[SOURCE_SWEEP].fd);
	/* What it expires the watch reports, as it reports every decision. */
	signals_busy(true);
	failed = cancel_spool_sweep(watcher->spool, &watcher->config->sweep, NULL, NULL, &result, &error);
	signals_busy(false);
	log_sweep(watcher, &result);
	if (failed < 0)
		complain(watcher, &watcher->sweep, &error);
	else
		stop_complaining(watcher, &watcher->sweep, "sweeping");
	return LOOP_GO_ON;
}

static int on_watchdog(void *arg)
{
	struct watcher *watcher = arg;

	loop_timer_read(watcher->sources[SOURCE_WATCHDOG].fd);
	notify_alive(&watcher->notify);
	return LOOP_GO_ON;
}

/* poll tells only of errors and hang-ups here. */
static int on_output(void *arg)
{
	(void)arg;
	return EXIT_YES;
}

static void set_sweep_timer(struct watcher *watcher)
{
	loop_timer_set(watcher->sources[SOURCE_SWEEP].fd, FIRST_SWEEP_US,
		       watcher->config->sweep_interval_ms * US_PER_MS);
}

/* What the old watch has not told yet would be lost with it. */
static void drain(struct watcher *watcher)
{
	struct cancel_error error;

	if (watcher->watch != NULL)
		(void)cancel_watch_dispatch(watcher->watch, on_event, watcher, &error);
	cancel_watch_close(watcher->watch);
	cancel_spool_close(watcher->spool);
}

/* Replace what the watcher holds; a NULL `watch` means that spool and watch stay. */
static void adopt(struct watcher *watcher, struct cancel_config *config, struct cancel_rules *rules,
		  struct cancel_spool *spool, struct cancel_watch *watch)
{
	if (watch != NULL) {
		drain(watcher);
		watcher->watch = watch;
		watcher->spool = spool;
		watcher->sources[SOURCE_WATCH].fd = cancel_watch_fd(watch);
	}
	free(watcher->config);
	watcher->config = config;
	log_configure(&watcher->log, config);
	/* Who only looks has none, and the file is checked all the same. */
	if (watcher->options->no_rules)
		cancel_rules_free(rules);
	else
		rule_engine_adopt(watcher->rules, rules, config, watcher->spool);
	set_sweep_timer(watcher);
}

static int load(struct watcher *watcher, struct cancel_error *error)
{
	struct cancel_config *config = malloc(sizeof *config);
	struct cancel_spool *spool = NULL;
	struct cancel_watch *watch = NULL;
	struct cancel_rules *rules = NULL;
	int result;

	if (config == NULL) {
		*error = (struct cancel_error){-ENOMEM, "cannot load the configuration: out of memory"};
		return -ENOMEM;
	}
	result = settings_load(config, watcher->options, error);
	if (result == 0)
		result = cancel_rules_load(&rules, watcher->options->config, error);
	if (result == 0 && (watcher->config == NULL || !settings_same_watch(config, watcher->config)))
		result = open_both(config, &spool, &watch, error);
	if (result == 0) {
		adopt(watcher, config, rules, spool, watch);
		return 0;
	}
	free(config);
	cancel_rules_free(rules);
	return result;
}

static void reload(struct watcher *watcher)
{
	struct cancel_error error;
	int result;

	notify_reloading(&watcher->notify);
	signals_busy(true);
	result = load(watcher, &error);
	signals_busy(false);
	if (result < 0) {
		log_line(&watcher->log, CANCEL_LOG_ERROR, "cannot reload, the old configuration stays: %s",
			 error.text);
	} else {
		log_line(&watcher->log, CANCEL_LOG_INFO, "configuration reloaded");
		log_start(watcher);
	}
	tell_ready(watcher);
}

static int on_signal(void *arg)
{
	struct watcher *watcher = arg;
	int number = signals_read(watcher->sources[SOURCE_SIGNALS].fd);

	if (number == SIGTERM || number == SIGINT)
		return EXIT_YES;
	if (number == SIGHUP)
		reload(watcher);
	return LOOP_GO_ON;
}

static int open_timers(struct watcher *watcher)
{
	static const enum source timers[] = {SOURCE_SWEEP, SOURCE_WATCHDOG};

	for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
		int fd = loop_timer_open();

		if (fd < 0)
			return fd;
		watcher->sources[timers[i]].fd = fd;
	}
	loop_timer_set(watcher->sources[SOURCE_WATCHDOG].fd, watcher->notify.watchdog_us,
		       watcher->notify.watchdog_us);
	return 0;
}

static int open_sources(struct watcher *watcher)
{
	int fd = signals_open(&watcher->notify);

	if (fd < 0)
		return fd;
	watcher->sources[SOURCE_SIGNALS].fd = fd;
	fd = rule_engine_open(&watcher->rules, &watcher->log, &watcher->notify);
	if (fd < 0)
		return fd;
	watcher->sources[SOURCE_RULES].fd = rule_engine_fd(watcher->rules);
	return open_timers(watcher);
}

static void close_all(struct watcher *watcher)
{
	static const enum source owned[] = {SOURCE_SIGNALS, SOURCE_SWEEP, SOURCE_WATCHDOG};

	for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
		if (watcher->sources[owned[i]].fd >= 0)
			(void)close(watcher->sources[owned[i]].fd);
	}
	rule_engine_close(watcher->rules);
	cancel_watch_close(watcher->watch);
	cancel_spool_close(watcher->spool);
	free(watcher->config);
	notify_close(&watcher->notify);
	log_close(&watcher->log);
}

static int start(struct watcher *watcher)
{
	struct cancel_error error;
	int result = open_sources(watcher);

	if (result < 0) {
		(void)fprintf(stderr, "cancelwatch: cannot begin to watch: %s\n", strerror(-result));
		return EXIT_SYSTEM;
	}
	signals_busy(true);
	result = load(watcher, &error);
	signals_busy(false);
	if (result < 0)
		return fail(&error);
	log_start(watcher);
	tell_ready(watcher);
	return EXIT_YES;
}

int watch_run(const struct options *options, struct printer *out)
{
	struct watcher watcher = {
		.options = options,
		.out = out,
		.sources =
			{
				[SOURCE_SIGNALS] = {-1, POLLIN, on_signal},
				[SOURCE_OUTPUT] = {options->quiet ? -1 : out->fd, 0, on_output},
				[SOURCE_WATCH] = {-1, POLLIN, on_watch},
				[SOURCE_RULES] = {-1, POLLIN, on_rules},
				[SOURCE_SWEEP] = {-1, POLLIN, on_sweep},
				[SOURCE_WATCHDOG] = {-1, POLLIN, on_watchdog},
			},
	};
	int exit_code;

	if (log_open(&watcher.log) < 0)
		return EXIT_SYSTEM;
	notify_open(&watcher.notify);
	exit_code = start(&watcher);
	if (exit_code == EXIT_YES) {
		exit_code = loop_run(watcher.sources, SOURCE_COUNT, &watcher);
		notify_stopping(&watcher.notify);
	}
	close_all(&watcher);
	return exit_code;
}
