/* Everything that could keep two sides from meeting, each with its remedy. It makes no spool, and what its
 * round trip publishes it takes away again. */
#include "doctor.h"
#include "settings.h"
#include "verbs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Which checks have something to look at. */
enum need {
	NEED_NOTHING,
	NEED_SPOOL,
	NEED_WATCH,
};

static const struct check {
	const char *name;
	enum need need;
	doctor_check *look;
} checks[] = {
	{"configuration", NEED_NOTHING, check_configuration},
	{"path", NEED_NOTHING, check_path},
	{"user", NEED_NOTHING, check_user},
	{"spool", NEED_NOTHING, check_spool},
	{"directory", NEED_SPOOL, check_directory},
	{"filesystem", NEED_SPOOL, check_filesystem},
	{"mode", NEED_SPOOL, check_mode},
	{"space", NEED_SPOOL, check_space},
	{"mount namespace", NEED_NOTHING, check_namespace},
	{"private tmp", NEED_NOTHING, check_private_tmp},
	{"tmpfiles", NEED_NOTHING, check_tmpfiles},
	{"inotify", NEED_NOTHING, check_inotify},
	{"watch", NEED_SPOOL, check_watch},
	{"round trip", NEED_WATCH, check_round_trip},
	{"bell", NEED_SPOOL, check_bell},
	{"watcher", NEED_SPOOL, check_watcher},
	{"workers", NEED_SPOOL, check_workers},
	{"running", NEED_SPOOL, check_running},
	{"pending", NEED_SPOOL, check_pending},
	{"sweep", NEED_SPOOL, check_sweep},
	{"refused", NEED_SPOOL, check_refused},
};

#define CHECK_COUNT (sizeof checks / sizeof checks[0])

static const char *const level_texts[] = {
	[LEVEL_OK] = "ok",
	[LEVEL_WARNING] = "warning",
	[LEVEL_PROBLEM] = "problem",
};

void finding_set(struct finding *finding, enum level level, const char *format, ...)
{
	va_list arguments;

	finding->level = level;
	va_start(arguments, format);
	(void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
	va_end(arguments);
}

void finding_remedy(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(finding->remedy, sizeof finding->remedy, format, arguments);
	va_end(arguments);
}

const char *show(struct shown *shown, const char *text)
{
	return cancel_text_escape(shown->text, sizeof shown->text, text, strlen(text));
}

static void print_finding_text(struct printer *out, const char *name, const struct finding *finding)
{
	print_add(out, "%-8s %s: %s", level_texts[finding->level], name, finding->text);
	print_end(out);
	if (finding->remedy[0] != '\0') {
		print_add(out, "         to do: %s", finding->remedy);
		print_end(out);
	}
}

static void add_finding_json(struct printer *out, const char *name, const struct finding *finding, bool first)
{
	print_add(out, "%s{\"check\": \"%s\", \"level\": \"%s\", \"finding\": ", first ? "" : ", ", name,
		  level_texts[finding->level]);
	print_string(out, finding->text);
	print_add(out, ", \"remedy\": ");
	print_string(out, finding->remedy[0] == '\0' ? NULL : finding->remedy);
	print_add(out, "}");
}

static bool can_look(const struct doctor *doctor, enum need need)
{
	return need == NEED_NOTHING || (need == NEED_SPOOL && doctor->spool != NULL) || doctor->watch != NULL;
}

static void look(struct doctor *doctor)
{
	bool first = true;

	for (size_t i = 0; i < CHECK_COUNT; i++) {
		struct finding finding = {.level = LEVEL_OK};

		if (!can_look(doctor, checks[i].need))
			continue;
		checks[i].look(doctor, &finding);
		doctor->counts[finding.level]++;
		if (doctor->options->json)
			add_finding_json(doctor->out, checks[i].name, &finding, first);
		else
			print_finding_text(doctor->out, checks[i].name, &finding);
		first = false;
	}
}

static void print_verdict(struct doctor *doctor)
{
	bool meet = doctor->counts[LEVEL_PROBLEM] == 0;

	if (doctor->options->json)
		print_add(doctor->out, "], \"meet\": %s, \"warnings\": %d, \"problems\": %d}",
			  meet ? "true" : "false", doctor->counts[LEVEL_WARNING],
			  doctor->counts[LEVEL_PROBLEM]);
	else
		print_add(doctor->out, "%s (problems %d, warnings %d)",
			  meet ? "the two sides can meet" : "something keeps the two sides apart",
			  doctor->counts[LEVEL_PROBLEM], doctor->counts[LEVEL_WARNING]);
	print_end(doctor->out);
}

static void open_all(struct doctor *doctor)
{
	struct cancel_watch_options watch_options;

	if (settings_load(&doctor->config, doctor->options, &doctor->config_error) < 0) {
		/* What both sides would use if the file were not there is still worth a look. */
		cancel_config_init(&doctor->config);
		settings_override(&doctor->config, doctor->options);
	}
	if (cancel_spool_open(&doctor->spool, &doctor->config.spool, &doctor->spool_error) < 0)
		return;
	if (cancel_spool_info(doctor->spool, &doctor->info, &doctor->spool_error) < 0) {
		cancel_spool_close(doctor->spool);
		doctor->spool = NULL;
		return;
	}
	watch_options = doctor->config.watch;
	watch_options.skip_standing = true;
	watch_options.take_drops = false;
	(void)cancel_watch_open(&doctor->watch, doctor->spool, &watch_options, &doctor->watch_error);
}

int doctor_run(const struct options *options, struct printer *out)
{
	struct doctor doctor = {.options = options, .out = out};

	open_all(&doctor);
	if (options->json)
		print_add(out, "{\"checks\": [");
	look(&doctor);
	print_verdict(&doctor);
	cancel_watch_close(doctor.watch);
	cancel_spool_close(doctor.spool);
	return doctor.counts[LEVEL_PROBLEM] == 0 ? EXIT_YES : EXIT_NO;
}
