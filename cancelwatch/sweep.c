/* One pass, for cron. */
#include "log.h"
#include "settings.h"
#include "verbs.h"

#include <cancel/cancel.h>

#include <inttypes.h>
#include <stddef.h>

struct counters {
	struct cancel_sweep_result swept;
	int64_t drops_taken;
	int64_t drops_unsettled; /* still being written */
	int64_t drops_refused;
};

/* The counters that only some passes have something for; those of the first line are not among them. */
static const struct {
	const char *name; /* in JSON */
	const char *text; /* for people */
	size_t offset;
} extras[] = {
	{"litter", "litter removed", offsetof(struct counters, swept.litter)},
	{"drafts", "drafts removed", offsetof(struct counters, swept.drafts)},
	{"leases", "leases of dead runs removed", offsetof(struct counters, swept.leases)},
	{"put_back", "drops of a killed intake put back", offsetof(struct counters, swept.put_back)},
	{"refused", "in a request's place but none", offsetof(struct counters, swept.refused)},
	{"busy", "locked by somebody, left", offsetof(struct counters, swept.busy)},
	{"drops_taken", "drops taken in", offsetof(struct counters, drops_taken)},
	{"drops_unsettled", "drops still being written", offsetof(struct counters, drops_unsettled)},
	{"drops_refused", "drops refused", offsetof(struct counters, drops_refused)},
};

#define EXTRA_COUNT (sizeof extras / sizeof extras[0])

static int64_t extra(const struct counters *counters, size_t i)
{
	return *(const int64_t *)(const void *)((const char *)counters + extras[i].offset);
}

static void on_drop(void *arg, enum cancel_drop_result result, const char *file,
		    const struct cancel_request *request, const struct cancel_error *refusal)
{
	struct counters *counters = arg;

	(void)file;
	(void)request;
	if (result == CANCEL_DROP_UNSETTLED)
		counters->drops_unsettled++;
	else if (result == CANCEL_DROP_REFUSED)
		counters->drops_refused++;
	else
		counters->drops_taken++;
	if (refusal != NULL)
		(void)fail(refusal);
}

static void print_counters_text(struct printer *out, const struct counters *counters, bool dry_run)
{
	const struct cancel_sweep_result *swept = &counters->swept;

	print_add(out, "expired %" PRId64 ", removed %" PRId64 ", kept %" PRId64 ", strangers %" PRId64,
		  swept->expired, swept->removed, swept->kept, swept->strangers);
	print_end(out);
	for (size_t i = 0; i < EXTRA_COUNT; i++) {
		if (extra(counters, i) != 0) {
			print_add(out, "%s %" PRId64, extras[i].text, extra(counters, i));
			print_end(out);
		}
	}
	if (swept->clock_step_ms != 0) {
		print_add(out,
			  "the clock was stepped by %" PRId64
			  " ms since the last pass: no request was expired, no record removed",
			  swept->clock_step_ms);
		print_end(out);
	}
	if (swept->limited) {
		print_add(out, "the limit of a pass was reached: the next one goes on");
		print_end(out);
	}
	if (dry_run) {
		print_add(out, "dry run: nothing was changed");
		print_end(out);
	}
}

static void print_counters_json(struct printer *out, const struct counters *counters, bool dry_run)
{
	const struct cancel_sweep_result *swept = &counters->swept;

	print_add(out,
		  "{\"expired\": %" PRId64 ", \"removed\": %" PRId64 ", \"kept\": %" PRId64
		  ", \"strangers\": %" PRId64,
		  swept->expired, swept->removed, swept->kept, swept->strangers);
	for (size_t i = 0; i < EXTRA_COUNT; i++)
		print_add(out, ", \"%s\": %" PRId64, extras[i].name, extra(counters, i));
	print_add(out, ", \"clock_step_ms\": %" PRId64 ", \"limited\": %s, \"dry_run\": %s}",
		  swept->clock_step_ms, swept->limited ? "true" : "false", dry_run ? "true" : "false");
	print_end(out);
}

static void print_counters(struct printer *out, const struct counters *counters,
			   const struct options *options)
{
	if (options->json)
		print_counters_json(out, counters, options->dry_run);
	else
		print_counters_text(out, counters, options->dry_run);
}

int sweep_run(const struct options *options, struct printer *out)
{
	struct cancel_config config;
	struct counters counters = {0};
	struct cancel_spool *spool;
	struct cancel_error error;
	int exit_code = EXIT_YES;

	if (settings_open(&config, options, &spool, &error) < 0)
		return fail(&error);
	/* Drops first, so that one that is past its terms already is swept in the same pass. */
	if (!options->dry_run && cancel_spool_intake(spool, on_drop, &counters, &error) < 0)
		exit_code = fail(&error);
	if (cancel_spool_sweep(spool, &config.sweep, NULL, NULL, &counters.swept, &error) < 0)
		exit_code = fail(&error);
	print_counters(out, &counters, options);
	cancel_spool_close(spool);
	return exit_code;
}
