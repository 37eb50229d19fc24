#include "run_options.h"

#include "command.h"
#include "signal_name.h"
#include "usage.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"cancelwatch run report_42 -- make-report 11    (cancelreq report_42 stops it)\n"
	"\n"
	"usage: cancelwatch run [OPTIONS] TASK_ID [--] COMMAND [ARG...]\n"
	"\n"
	"  -t, --timeout D         each try may take it; else $SCHEDULER_TASK_TIMEOUT\n"
	"  -s, --signal SIG        what ends it (TERM)\n"
	"  -k, --grace D           then, so much later, KILL (10s); also --kill-after\n"
	"      --cooperative D     first give it so long to see the request by itself\n"
	"      --on-cancel LINE    first let the shell run LINE\n"
	"      --retries N         further tries; else $SCHEDULER_MAX_RETRIES, 0\n"
	"      --retry-interval D  pause between two; else $SCHEDULER_RETRY_INTERVAL, 60s\n"
	"      --backoff           each pause twice the one before\n"
	"      --run ID            this run's own id     --also ID   listen to this too\n"
	"      --foreground        stay in our group: for what reads from the terminal\n"
	"      --json              at the end an object   --report FILE   in FILE instead\n"
	"      --spool DIR   --config FILE   -q, --quiet   -h, --help   -V, --version\n"
	"\n"
	"D: 500ms, 30s, 10m, 24h, 7d, or seconds.\n"
	"exit codes: the command's own; 123 cancelled, 124 timed out, 125 our failure,\n"
	"126 cannot be executed, 127 not found, 128+n died of signal n\n";

enum long_option {
	LONG_COOPERATIVE = 256,
	LONG_ON_CANCEL,
	LONG_RETRIES,
	LONG_RETRY_INTERVAL,
	LONG_BACKOFF,
	LONG_RUN,
	LONG_ALSO,
	LONG_FOREGROUND,
	LONG_JSON,
	LONG_REPORT,
	LONG_SPOOL,
	LONG_CONFIG,
};

static const struct option long_options[] = {
	{"timeout", required_argument, NULL, 't'},
	{"signal", required_argument, NULL, 's'},
	{"grace", required_argument, NULL, 'k'},
	{"kill-after", required_argument, NULL, 'k'},
	{"cooperative", required_argument, NULL, LONG_COOPERATIVE},
	{"on-cancel", required_argument, NULL, LONG_ON_CANCEL},
	{"retries", required_argument, NULL, LONG_RETRIES},
	{"retry-interval", required_argument, NULL, LONG_RETRY_INTERVAL},
	{"backoff", no_argument, NULL, LONG_BACKOFF},
	{"run", required_argument, NULL, LONG_RUN},
	{"also", required_argument, NULL, LONG_ALSO},
	{"foreground", no_argument, NULL, LONG_FOREGROUND},
	{"json", no_argument, NULL, LONG_JSON},
	{"report", required_argument, NULL, LONG_REPORT},
	{"spool", required_argument, NULL, LONG_SPOOL},
	{"config", required_argument, NULL, LONG_CONFIG},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

#define SHOWN_SIZE          256
#define GRACE_DEFAULT_NS    (10 * CANCEL_SECOND)
#define INTERVAL_DEFAULT_NS (60 * CANCEL_SECOND)
#define SECONDS_MAX         (10LL * 366 * 86400)
#define NUMBER_DIGITS_MAX   10

static int usage_error(const char *what, const char *text)
{
	usage_complain("cancelwatch run --help", what, text);
	return COMMAND_NOT_OURS;
}

static int read_number(const char *text, int64_t max, int64_t *number)
{
	size_t length = strspn(text, "0123456789");

	if (length == 0 || text[length] != '\0' || length > NUMBER_DIGITS_MAX)
		return -EINVAL;
	*number = strtoll(text, NULL, 10);
	return *number > max ? -EINVAL : 0;
}

/* A duration as everywhere, or seconds as timeout(1) has them. */
static int read_duration(const char *option, const char *text, int64_t *duration_ns)
{
	char what[SHOWN_SIZE];
	int64_t number;

	if (read_number(text, SECONDS_MAX, &number) == 0) {
		*duration_ns = number * CANCEL_SECOND;
		return RUN_OPTIONS_GO_ON;
	}
	if (cancel_duration_parse(text, &number) == 0) {
		*duration_ns = number * CANCEL_MILLISECOND;
		return RUN_OPTIONS_GO_ON;
	}
	(void)snprintf(what, sizeof what, "%s expects a duration up to 3660d like 30s, 10m or seconds, found",
		       option);
	return usage_error(what, text);
}

static int read_timeout(struct run_options *options, const char *text)
{
	int result = read_duration("--timeout", text, &options->tries.timeout_ns);

	if (result == RUN_OPTIONS_GO_ON && options->tries.timeout_ns == 0)
		options->tries.timeout_ns = CANCEL_FOREVER;
	return result;
}

static int read_retries(struct run_options *options, const char *text)
{
	int64_t number;

	if (read_number(text, CANCEL_RETRIES_MAX, &number) < 0)
		return usage_error("--retries expects a number up to 1000000, found", text);
	options->tries.retries = (unsigned)number;
	return RUN_OPTIONS_GO_ON;
}

static int read_signal(struct run_options *options, const char *text)
{
	options->signal = signal_parse(text);
	if (options->signal < 0)
		return usage_error("--signal expects a signal like TERM, INT or 15, found", text);
	return RUN_OPTIONS_GO_ON;
}

static int read_also(struct run_options *options, const char *text)
{
	if (options->also_count == CANCEL_TASK_ALSO_MAX)
		return usage_error("--also is allowed 8 times, one too many is", text);
	options->also[options->also_count++] = text;
	return RUN_OPTIONS_GO_ON;
}

static int read_spool(struct run_options *options, const char *text)
{
	if (*text != '/')
		return usage_error("--spool expects an absolute path, found", text);
	options->spool = text;
	return RUN_OPTIONS_GO_ON;
}

static int show(bool shown)
{
	return shown ? 0 : COMMAND_NOT_OURS;
}

static int set_text(const char **place, const char *text)
{
	*place = text;
	return RUN_OPTIONS_GO_ON;
}

static int set_flag(bool *place)
{
	*place = true;
	return RUN_OPTIONS_GO_ON;
}

static int take_option(struct run_options *options, int option, const char *value)
{
	switch (option) {
	case 't':
		return read_timeout(options, value);
	case 's':
		return read_signal(options, value);
	case 'k':
		return read_duration("--grace (--kill-after)", value, &options->grace_ns);
	case LONG_COOPERATIVE:
		return read_duration("--cooperative", value, &options->cooperative_ns);
	case LONG_ON_CANCEL:
		return set_text(&options->on_cancel, value);
	case LONG_RETRIES:
		return read_retries(options, value);
	case LONG_RETRY_INTERVAL:
		return read_duration("--retry-interval", value, &options->tries.retry_interval_ns);
	case LONG_BACKOFF:
		return set_flag(&options->tries.backs_off);
	case LONG_RUN:
		return set_text(&options->run, value);
	case LONG_ALSO:
		return read_also(options, value);
	case LONG_FOREGROUND:
		return set_flag(&options->foreground);
	case LONG_REPORT:
		options->json = true;
		return set_text(&options->report, value);
	case LONG_JSON:
		return set_flag(&options->json);
	case LONG_SPOOL:
		return read_spool(options, value);
	case LONG_CONFIG:
		return set_text(&options->config, value);
	case 'q':
		return set_flag(&options->quiet);
	case 'h':
		return show(usage_show(help));
	default:
		return show(usage_show_version());
	}
}

static int fail_usage(const char *text)
{
	(void)fprintf(stderr, "cancelwatch: %s; see 'cancelwatch run --help'\n", text);
	return COMMAND_NOT_OURS;
}

/* getopt_long stopped at the task's id, or behind a "--" before it. */
static int take_operands(struct run_options *options, int count, char **operands)
{
	if (count == 0)
		return fail_usage("a task id is missing");
	options->task_id = operands[0];
	operands++;
	if (operands[0] != NULL && strcmp(operands[0], "--") == 0)
		operands++;
	if (operands[0] == NULL)
		return fail_usage("a command is missing");
	options->command = operands;
	return RUN_OPTIONS_GO_ON;
}

/* What the environment says stands behind the options. */
static int set_defaults(struct run_options *options)
{
	struct cancel_error error;

	*options = (struct run_options){
		.signal = SIGTERM,
		.grace_ns = GRACE_DEFAULT_NS,
		.tries = {.timeout_ns = CANCEL_FOREVER, .retry_interval_ns = INTERVAL_DEFAULT_NS},
	};
	if (cancel_tries_load(&options->tries, &error) == 0)
		return RUN_OPTIONS_GO_ON;
	(void)fprintf(stderr, "cancelwatch: %s\n", error.text);
	return COMMAND_NOT_OURS;
}

int run_options_parse(struct run_options *options, int argc, char **argv)
{
	int result = set_defaults(options);

	opterr = 0;
	while (result == RUN_OPTIONS_GO_ON) {
		/* Where getopt_long stands before the call: what it complains about is there. */
		int at = optind;
		int option = getopt_long(argc, argv, "+:t:s:k:qhV", long_options, NULL);
		const char *word = optind > at ? argv[optind - 1] : argv[at];

		if (option == -1)
			return take_operands(options, argc - optind, argv + optind);
		if (option == '?')
			return usage_error("option not understood:", word);
		if (option == ':')
			return usage_error("a value is missing after", word);
		result = take_option(options, option, optarg);
	}
	return result;
}
