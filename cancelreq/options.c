#include "options.h"

#include "output.h"

#include <cancel/text.h>
#include <cancel/version.h>

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A verb's option has the verb as its key; the others follow. */
enum {
	KEY_SPOOL = VERB_COUNT,
	KEY_CONFIG,
	KEY_DURABILITY,
	KEY_RUN,
	KEY_BY,
	KEY_AFTER,
	KEY_EXPIRES,
	KEY_WAIT,
	KEY_OUTCOME,
	KEY_DETAIL,
	KEY_STATE,
	KEY_RUNNING,
	KEY_DRY_RUN,
	KEY_JSON,
	KEY_QUIET,
	KEY_HELP,
	KEY_VERSION,
	KEY_COUNT
};

static const struct option long_options[] = {
	{"batch", required_argument, NULL, VERB_BATCH},
	{"match", required_argument, NULL, VERB_MATCH},
	{"check", no_argument, NULL, VERB_CHECK},
	{"ack", no_argument, NULL, VERB_ACK},
	{"withdraw", no_argument, NULL, VERB_WITHDRAW},
	{"reset", no_argument, NULL, VERB_RESET},
	{"status", no_argument, NULL, VERB_STATUS},
	{"list", no_argument, NULL, VERB_LIST},
	{"spool", required_argument, NULL, KEY_SPOOL},
	{"config", required_argument, NULL, KEY_CONFIG},
	{"durability", required_argument, NULL, KEY_DURABILITY},
	{"run", required_argument, NULL, KEY_RUN},
	{"by", required_argument, NULL, KEY_BY},
	{"after", required_argument, NULL, KEY_AFTER},
	{"expires", required_argument, NULL, KEY_EXPIRES},
	{"wait", optional_argument, NULL, KEY_WAIT},
	{"outcome", required_argument, NULL, KEY_OUTCOME},
	{"detail", required_argument, NULL, KEY_DETAIL},
	{"state", required_argument, NULL, KEY_STATE},
	{"running", no_argument, NULL, KEY_RUNNING},
	{"dry-run", no_argument, NULL, KEY_DRY_RUN},
	{"json", no_argument, NULL, KEY_JSON},
	{"quiet", no_argument, NULL, KEY_QUIET},
	{"help", no_argument, NULL, KEY_HELP},
	{"version", no_argument, NULL, KEY_VERSION},
	{NULL, 0, NULL, 0},
};

#define BIT(number) (1u << (number))
#define ASKING      (BIT(VERB_ASK) | BIT(VERB_BATCH) | BIT(VERB_MATCH))
#define CHANGING    (ASKING | BIT(VERB_ACK) | BIT(VERB_WITHDRAW) | BIT(VERB_RESET))
#define ONE_TASK                                                                                  \
	(BIT(VERB_ASK) | BIT(VERB_CHECK) | BIT(VERB_ACK) | BIT(VERB_WITHDRAW) | BIT(VERB_RESET) | \
	 BIT(VERB_STATUS))

/* The verbs that an option goes with. --reset has no record to show, and --list nothing else to say. */
static const unsigned int goes_with[KEY_COUNT] = {
	[KEY_SPOOL] = BIT(VERB_COUNT) - 1,
	[KEY_CONFIG] = BIT(VERB_COUNT) - 1,
	[KEY_DURABILITY] = CHANGING,
	[KEY_RUN] = ONE_TASK,
	[KEY_BY] = ASKING,
	[KEY_AFTER] = ASKING,
	[KEY_EXPIRES] = ASKING,
	[KEY_WAIT] = BIT(VERB_ASK),
	[KEY_OUTCOME] = BIT(VERB_ACK),
	[KEY_DETAIL] = BIT(VERB_ACK),
	[KEY_STATE] = BIT(VERB_LIST),
	[KEY_RUNNING] = BIT(VERB_LIST),
	[KEY_DRY_RUN] = BIT(VERB_MATCH),
	[KEY_JSON] = (BIT(VERB_COUNT) - 1) & ~BIT(VERB_RESET),
	[KEY_QUIET] = ONE_TASK | BIT(VERB_BATCH) | BIT(VERB_MATCH),
};

/* The options that do not go with each other. Runs have no state; what would be asked for is not on record,
 * and
 * --list --running --json shows whom it is about. */
static const int contrary[][2] = {
	{KEY_JSON, KEY_QUIET},
	{KEY_STATE, KEY_RUNNING},
	{KEY_DRY_RUN, KEY_JSON},
};

static const char help[] = "Example: cancelreq task_123 deleted by alice\n"
			   "\n"
			   "cancelreq [OPTIONS] TASK_ID [REASON...]  ask that a task be cancelled\n"
			   "cancelreq --batch FILE|- [REASON...]     a line: TASK_ID[<TAB>REASON] or JSON\n"
			   "cancelreq --match PATTERN [--dry-run] [REASON...]  all running tasks like it\n"
			   "cancelreq --check TASK_ID                0 and the reason if one stands, or 1\n"
			   "cancelreq --ack TASK_ID [--outcome WORD] [--detail TEXT]\n"
			   "                         stopped (the default), finished, failed or refused\n"
			   "cancelreq --withdraw TASK_ID | --reset TASK_ID | --status TASK_ID\n"
			   "cancelreq --list [--state pending|processed|all] [PATTERN]\n"
			   "cancelreq --list --running [PATTERN]     who runs what, since when\n"
			   "\n"
			   "  --run RUN           only this run of the task\n"
			   "  --by NAME           who asks, if not your login name\n"
			   "  --after DURATION    takes effect later: 500ms, 30s, 10m, 24h, 7d\n"
			   "  --expires DURATION  is no longer meant after this time, or never\n"
			   "  --wait[=DURATION]   wait until decided: 0 stopped, 4 time ran out, 5 finished\n"
			   "                first, 6 failed or refused, 7 run gone, 8 withdrawn or expired\n"
			   "  --spool DIR, --config FILE, --durability none|file|full\n"
			   "  --json, -q or --quiet, --help, --version\n"
			   "  --                  ends the options: a task id may start with a dash\n"
			   "\n"
			   "Exit: 0 done or yes, 1 no, 2 wrong usage, 3 the system or the spool refused\n";

void usage_error(const char *format, ...)
{
	va_list arguments;

	(void)fputs("cancelreq: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputs("; try 'cancelreq --help'\n", stderr);
	exit(EXIT_USAGE);
}

static const char *option_name(int key)
{
	for (const struct option *option = long_options; option->name; option++)
		if (option->val == key)
			return option->name;
	return "";
}

static int64_t read_duration(int key, const char *text)
{
	int64_t duration_ms;

	if (cancel_duration_parse(text, &duration_ms) < 0)
		usage_error("--%s: expected a duration up to ten years (like 500ms, 30s, 10m, 24h, 7d), "
			    "found '%s'",
			    option_name(key), escaped(text));
	return duration_ms;
}

static int64_t read_expiry_s(const char *text)
{
	int64_t duration_ms;

	if (strcmp(text, "never") == 0)
		return CANCEL_EXPIRES_NEVER;
	duration_ms = read_duration(KEY_EXPIRES, text);
	if (duration_ms == 0)
		usage_error("--expires: expected at least 1s, or never, found '%s'", escaped(text));
	return (duration_ms + 999) / 1000;
}

/* The place of `text` in a NULL-ended list. */
static int read_word(int key, const char *text, const char *const words[])
{
	char expected[64] = "";

	for (int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
		(void)strcat(strcat(expected, i > 0 ? ", " : ""), words[i]);
	}
	usage_error("--%s: expected one of %s, found '%s'", option_name(key), expected, escaped(text));
}

static enum cancel_outcome read_outcome(const char *text)
{
	static const char *const words[] = {"stopped", "finished", "failed", "refused", NULL};

	(void)read_word(KEY_OUTCOME, text, words);
	return (enum cancel_outcome)cancel_outcome_parse(text);
}

static enum cancel_durability read_durability(const char *text)
{
	static const char *const words[] = {
		[CANCEL_DURABILITY_NONE] = "none",
		[CANCEL_DURABILITY_FILE] = "file",
		[CANCEL_DURABILITY_FULL] = "full",
		[CANCEL_DURABILITY_FULL + 1] = NULL,
	};

	return (enum cancel_durability)read_word(KEY_DURABILITY, text, words);
}

static enum cancel_list_state read_state(const char *text)
{
	static const char *const words[] = {
		[CANCEL_LIST_PENDING] = "pending",
		[CANCEL_LIST_PROCESSED] = "processed",
		[CANCEL_LIST_ALL] = "all",
		[CANCEL_LIST_ALL + 1] = NULL,
	};

	return (enum cancel_list_state)read_word(KEY_STATE, text, words);
}

static const char *read_directory(const char *text)
{
	if (text[0] != '/')
		usage_error("--spool: expected an absolute path, found '%s'", escaped(text));
	return text;
}

static void set_verb(struct options *options, enum verb verb)
{
	if (options->verb != VERB_ASK && options->verb != verb)
		usage_error("--%s and --%s do not go together", option_name((int)options->verb),
			    option_name((int)verb));
	options->verb = verb;
}

/* One option that has a value. */
static void set_value(struct options *options, int key, const char *value)
{
	switch (key) {
	case KEY_SPOOL:
		options->spool_path = read_directory(value);
		break;
	case KEY_CONFIG:
		options->config_file = value;
		break;
	case KEY_DURABILITY:
		options->durability = read_durability(value);
		options->durability_given = true;
		break;
	case KEY_RUN:
		options->run = value;
		break;
	case KEY_BY:
		if (!*value)
			usage_error("--by: expected a name, found ''");
		options->by = value;
		break;
	case KEY_AFTER:
		options->after_ms = read_duration(key, value);
		break;
	case KEY_EXPIRES:
		options->expires_in_s = read_expiry_s(value);
		break;
	case KEY_OUTCOME:
		options->outcome = read_outcome(value);
		break;
	case KEY_DETAIL:
		options->detail = value;
		break;
	case KEY_STATE:
		options->state = read_state(value);
		break;
	default:
		break;
	}
}

/* The answers that need no spool. */
static _Noreturn void answer(const char *text)
{
	output("%s", text);
	exit(output_end(EXIT_DONE));
}

static void set_option(struct options *options, int key, const char *value)
{
	switch (key) {
	case KEY_HELP:
		answer(help);
	case KEY_VERSION:
		answer("cancelreq " CANCEL_VERSION "\n");
	case KEY_JSON:
		options->json = true;
		break;
	case KEY_QUIET:
		options->quiet = true;
		break;
	case KEY_WAIT:
		options->wait = true;
		options->wait_ms = value ? read_duration(key, value) : WAIT_FOREVER;
		break;
	case KEY_RUNNING:
		options->running = true;
		break;
	case KEY_DRY_RUN:
		options->dry_run = true;
		break;
	case VERB_BATCH:
		options->batch_file = value;
		set_verb(options, VERB_BATCH);
		break;
	case VERB_MATCH:
		if (!*value)
			usage_error("--match: expected a pattern, found ''");
		options->pattern = value;
		set_verb(options, VERB_MATCH);
		break;
	default:
		if (key < VERB_COUNT)
			set_verb(options, (enum verb)key);
		else
			set_value(options, key, value);
	}
}

/* What getopt could not read. An unknown long option leaves nothing in `optopt`. */
static _Noreturn void refuse_option(int found, char **argv)
{
	if (found == ':')
		usage_error("--%s needs a value", option_name(optopt));
	if (optopt == 0)
		usage_error("unknown or ambiguous option '%s'", escaped(argv[optind - 1]));
	if (optopt < KEY_COUNT)
		usage_error("--%s takes no value", option_name(optopt));
	usage_error("unknown option '-%s'", escaped((const char[]){(char)optopt, '\0'}));
}

/* Returns the options that were given, as bits. */
static unsigned int read_options(struct options *options, int argc, char **argv)
{
	unsigned int given = 0;
	int key;

	opterr = 0;
	while ((key = getopt_long(argc, argv, ":qhV", long_options, NULL)) != -1) {
		if (key == ':' || key == '?') {
			refuse_option(key, argv);
		} else {
			key = key == 'q' ? KEY_QUIET : key == 'h' ? KEY_HELP : key == 'V' ? KEY_VERSION : key;
			set_option(options, key, optarg);
			given |= BIT(key);
		}
	}
	return given;
}

static void check_together(const struct options *options, unsigned int given)
{
	for (int key = VERB_COUNT; key < KEY_COUNT; key++) {
		if (!(given & BIT(key)) || (goes_with[key] & BIT(options->verb)))
			continue;
		if (options->verb == VERB_ASK)
			usage_error("--%s does not go with a request", option_name(key));
		usage_error("--%s does not go with --%s", option_name(key), option_name((int)options->verb));
	}
	for (size_t i = 0; i < sizeof(contrary) / sizeof(contrary[0]); i++)
		if ((given & BIT(contrary[i][0])) && (given & BIT(contrary[i][1])))
			usage_error("--%s and --%s do not go together", option_name(contrary[i][0]),
				    option_name(contrary[i][1]));
}

static char *join(char **words)
{
	size_t size = 1;
	char *text;
	char *end;

	for (char **word = words; *word; word++)
		size += strlen(*word) + 1;
	text = malloc(size);
	if (!text) {
		(void)fputs("cancelreq: no memory for the reason\n", stderr);
		exit(EXIT_REFUSED);
	}
	end = text;
	for (char **word = words; *word; word++) {
		if (word > words)
			*end++ = ' ';
		end = stpcpy(end, *word);
	}
	*end = '\0';
	return text;
}

void options_clear(struct options *options)
{
	free(options->reason);
	options->reason = NULL;
}

static void read_reason(struct options *options, char **words)
{
	if (!*words)
		return;
	options->reason = join(words);
	if (!*options->reason)
		options_clear(options);
}

static void refuse_words(const struct options *options, char **words)
{
	if (*words)
		usage_error("--%s: unexpected word '%s'", option_name((int)options->verb), escaped(*words));
}

static void read_words(struct options *options, char **words)
{
	if (options->verb == VERB_BATCH || options->verb == VERB_MATCH) {
		read_reason(options, words);
		return;
	}
	if (options->verb == VERB_LIST) {
		options->pattern = *words;
		refuse_words(options, *words ? words + 1 : words);
		return;
	}
	if (!*words) {
		if (options->verb == VERB_ASK)
			usage_error("no TASK_ID given");
		usage_error("--%s needs a TASK_ID", option_name((int)options->verb));
	}
	options->task_id = *words++;
	if (options->verb == VERB_ASK)
		read_reason(options, words);
	else
		refuse_words(options, words);
}

/* "--wait 5s task" would ask for the task "5s" and wait for ever: the duration goes with an equals sign. */
static void check_wait(const struct options *options, const char *before_words)
{
	int64_t duration_ms;

	if (options->verb == VERB_ASK && options->wait && options->wait_ms == WAIT_FOREVER &&
	    strcmp(before_words, "--") != 0 && cancel_duration_parse(options->task_id, &duration_ms) == 0)
		usage_error("--wait %s: write --wait=%s, or -- before a TASK_ID that is a duration",
			    options->task_id, options->task_id);
}

/* Without --expires the life is counted from when it takes effect. */
static void check_terms(const struct options *options)
{
	char after[CANCEL_DURATION_SIZE];
	char expires[CANCEL_DURATION_SIZE];

	if (options->expires_in_s <= 0 || options->after_ms < options->expires_in_s * 1000)
		return;
	usage_error("--after %s: the request would expire first, in %s; give a longer --expires",
		    cancel_duration_format(after, options->after_ms),
		    cancel_duration_format(expires, options->expires_in_s * 1000));
}

void options_parse(struct options *options, int argc, char **argv)
{
	unsigned int given;

	*options = (struct options){
		.expires_in_s = CANCEL_EXPIRES_DEFAULT,
		.outcome = CANCEL_OUTCOME_STOPPED,
		.state = CANCEL_LIST_PENDING,
	};
	given = read_options(options, argc, argv);
	check_together(options, given);
	check_terms(options);
	read_words(options, argv + optind);
	check_wait(options, argv[optind - 1]);
}
