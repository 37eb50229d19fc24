#include "log.h"
#include "options.h"
#include "signals.h"

#include <cancel/text.h>

#include <stdarg.h>
#include <unistd.h>

#define LINE_SIZE 4096

static const char *const level_texts[] = {
	[CANCEL_LOG_ERROR] = "error",
	[CANCEL_LOG_WARNING] = "warning",
	[CANCEL_LOG_INFO] = "info",
	[CANCEL_LOG_DEBUG] = "debug",
};

int log_open(struct log *log)
{
	*log = (struct log){.level = CANCEL_LOG_INFO};
	return print_open(&log->out, STDERR_FILENO, false);
}

void log_close(struct log *log)
{
	print_close(&log->out);
}

void log_configure(struct log *log, const struct cancel_config *config)
{
	log->level = config->log_level;
	log->json = config->log_json;
}

void log_line(struct log *log, enum cancel_log_level level, const char *format, ...)
{
	char text[LINE_SIZE];
	char time[CANCEL_TIME_SIZE];
	va_list arguments;

	if (level > log->level)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	cancel_time_format(time, wall_clock_us());
	if (log->json) {
		print_add(&log->out, "{\"time\": \"%s\", \"level\": \"%s\", \"text\": ", time,
			  level_texts[level]);
		print_string(&log->out, text);
		print_add(&log->out, "}");
	} else {
		print_add(&log->out, "%s %s: %s", time, level_texts[level], text);
	}
	/* The reader of standard error may stall, and must not keep us from ending. */
	signals_busy(true);
	print_end(&log->out);
	signals_busy(false);
	/* A log that cannot be written for now must not silence what comes later. */
	log->out.error = 0;
	log->out.closed = false;
}

int fail(const struct cancel_error *error)
{
	(void)fprintf(stderr, "cancelwatch: %s\n", error->text);
	return EXIT_SYSTEM;
}
