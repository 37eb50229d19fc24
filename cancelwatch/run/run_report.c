#include "run_report.h"

#include "print.h"
#include "signal_name.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define US_PER_SECOND 1000000

int run_report_open(const struct run_options *options)
{
	int fd;

	if (options->report == NULL)
		return STDOUT_FILENO;
	/* A FIFO without a reader is refused; to wait for one would be to listen to nothing else. */
	fd = open(options->report, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	(void)fcntl(fd, F_SETFL, 0);
	return fd;
}

static void add_status(struct printer *out, const struct verdict *verdict)
{
	char name[SIGNAL_NAME_SIZE];

	if (verdict->has_status && WIFEXITED(verdict->status))
		print_add(out, ", \"status\": %d, \"signal\": null", WEXITSTATUS(verdict->status));
	else if (verdict->has_status)
		print_add(out, ", \"status\": null, \"signal\": \"%s\"",
			  signal_name(name, WTERMSIG(verdict->status)));
	else
		print_add(out, ", \"status\": null, \"signal\": null");
}

static void add_seconds(struct printer *out, const char *name, const struct timeval *time)
{
	print_add(out, ", \"%s\": %" PRId64 ".%06" PRId64, name, (int64_t)time->tv_sec,
		  (int64_t)time->tv_usec);
}

static void add_times(struct printer *out, const struct run_report *report)
{
	int64_t took_us = report->took_ns / 1000;

	print_add(out, ", \"tries\": %u, \"started_at\": ", report->tries);
	print_time(out, report->started_at_us);
	print_add(out, ", \"ended_at\": ");
	print_time(out, report->ended_at_us);
	print_add(out, ", \"duration_s\": %" PRId64 ".%06" PRId64, took_us / US_PER_SECOND,
		  took_us % US_PER_SECOND);
	add_seconds(out, "user_s", &report->usage->ru_utime);
	add_seconds(out, "system_s", &report->usage->ru_stime);
	print_add(out, ", \"max_rss_kb\": %ld", report->usage->ru_maxrss);
}

static void add_text(struct printer *out, const char *name, const char *text)
{
	print_add(out, ", \"%s\": ", name);
	print_string(out, text);
}

static void add_request(struct printer *out, const struct cancel_why *why)
{
	print_add(out, ", \"request\": ");
	if (why->request == NULL) {
		print_add(out, "null");
		return;
	}
	print_add(out, "{\"request_id\": \"%s\"", why->request->request_id);
	add_text(out, "reason", why->request->reason);
	add_text(out, "requester", why->request->requester.name);
	add_text(out, "id", why->id);
	print_add(out, "}");
}

static void add_all(struct printer *out, const struct run_report *report)
{
	const struct verdict *verdict = report->verdict;

	print_add(out, "{\"task_id\": ");
	print_string(out, report->options->task_id);
	add_text(out, "run", report->options->run);
	add_text(out, "outcome", verdict_word(verdict));
	add_text(out, "detail", verdict->detail);
	print_add(out, ", \"exit_code\": %d", verdict->exit_code);
	add_status(out, verdict);
	add_times(out, report);
	add_request(out, report->why);
	print_add(out, "}\n");
}

char *run_report_text(const struct run_report *report)
{
	struct printer out;
	char *text = NULL;

	if (print_open(&out, -1, false) < 0)
		return NULL;
	add_all(&out, report);
	if (fflush(out.line) == 0 && out.error == 0)
		text = strdup(out.text);
	print_close(&out);
	return text;
}
