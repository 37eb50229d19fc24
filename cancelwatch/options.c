#include "options.h"

#include "usage.h"

#include <cancel/cancel.h>

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"cancelwatch --json | jq .        see each request as it comes and is decided\n"
	"\n"
	"usage: cancelwatch [watch] [--json]            show events, sweep, take in drops\n"
	"       cancelwatch run [OPTIONS] TASK_ID -- COMMAND [ARG...]    see run --help\n"
	"       cancelwatch sweep [--dry-run] [--json]  clear away what is past its time\n"
	"       cancelwatch init [--mode M] [--group G] [--owner U]        make the spool\n"
	"       cancelwatch doctor [--json]             what keeps two sides from meeting\n"
	"       cancelwatch status [--json]             what is in the spool\n"
	"       cancelwatch check-config [FILE]         is the configuration understood?\n"
	"       cancelwatch rules [TASK_ID [--run R]] [--json] which command stops it\n"
	"\n"
	"  --spool DIR     the spool; else $TASK_CANCELLATION_DIR, spool.path of the\n"
	"                  configuration, " CANCEL_SPOOL_DEFAULT "\n"
	"  --config FILE   the configuration; else $CANCEL_CONFIG,\n"
	"                  " CANCEL_CONFIG_DEFAULT "\n"
	"  --json          objects instead of text\n"
	"  --dry-run       sweep: count, and change nothing\n"
	"  --no-rules      watch: run no commands\n"
	"  --mode M, --group G, --owner U   init: instead of what is configured\n"
	"  -q, --quiet     print nothing to standard output\n"
	"  -h, --help      -V, --version\n"
	"\n"
	"exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 the system refused\n";

enum long_option {
	LONG_SPOOL = 256,
	LONG_CONFIG,
	LONG_JSON,
	LONG_DRY_RUN,
	LONG_NO_RULES,
	LONG_MODE,
	LONG_GROUP,
	LONG_OWNER,
	LONG_RUN,
};

static const struct option long_options[] = {
	{"spool", required_argument, NULL, LONG_SPOOL},
	{"config", required_argument, NULL, LONG_CONFIG},
	{"json", no_argument, NULL, LONG_JSON},
	{"dry-run", no_argument, NULL, LONG_DRY_RUN},
	{"no-rules", no_argument, NULL, LONG_NO_RULES},
	{"mode", required_argument, NULL, LONG_MODE},
	{"group", required_argument, NULL, LONG_GROUP},
	{"owner", required_argument, NULL, LONG_OWNER},
	{"run", required_argument, NULL, LONG_RUN},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

#define SHOWN_SIZE 256

static int usage_error(const char *what, const char *text)
{
	usage_complain("cancelwatch --help", what, text);
	return EXIT_USAGE;
}

static int read_number(const char *text, int base, unsigned long max, unsigned long *number)
{
	char *end;

	/* strtoul would also take a sign and spaces. */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*number = strtoul(text, &end, base);
	return errno != 0 || *end != '\0' || *number > max ? -EINVAL : 0;
}

static int read_mode(struct options *options, const char *text)
{
	unsigned long number;

	if (read_number(text, 8, 07777, &number) < 0)
		return usage_error("--mode expects an octal mode like 0700 or 2770, found", text);
	options->mode = (mode_t)number;
	options->has_mode = true;
	return OPTIONS_GO_ON;
}

/* The highest number stands for "nobody" in the library and in chown(2). */
#define ID_MAX ((unsigned long)UINT32_MAX - 1)

static int read_group(struct options *options, const char *text)
{
	const struct group *group = getgrnam(text);
	unsigned long number;

	if (group != NULL)
		options->group = group->gr_gid;
	else if (read_number(text, 10, ID_MAX, &number) == 0)
		options->group = (gid_t)number;
	else
		return usage_error("--group: there is no group", text);
	options->has_group = true;
	return OPTIONS_GO_ON;
}

static int read_owner(struct options *options, const char *text)
{
	const struct passwd *user = getpwnam(text);
	unsigned long number;

	if (user != NULL)
		options->owner = user->pw_uid;
	else if (read_number(text, 10, ID_MAX, &number) == 0)
		options->owner = (uid_t)number;
	else
		return usage_error("--owner: there is no user", text);
	options->has_owner = true;
	return OPTIONS_GO_ON;
}

static int read_spool(struct options *options, const char *text)
{
	if (*text != '/')
		return usage_error("--spool expects an absolute path, found", text);
	options->spool = text;
	return OPTIONS_GO_ON;
}

static int show(bool shown)
{
	return shown ? EXIT_YES : EXIT_SYSTEM;
}

/* Which of the options that not every verb takes are used. */
static unsigned used_kinds(const struct options *options)
{
	return (options->json ? OPTION_JSON : 0U) | (options->dry_run ? OPTION_DRY_RUN : 0U) |
	       (options->no_rules ? OPTION_NO_RULES : 0U) |
	       (options->spool != NULL ? OPTION_SPOOL : 0U) | (options->run != NULL ? OPTION_RUN : 0U) |
	       (options->has_mode || options->has_group || options->has_owner ? OPTION_MAKING : 0U);
}

static int misplaced_option(unsigned kinds, const char *verb_name)
{
	static const struct {
		unsigned kind;
		const char *text;
	} texts[] = {
		{OPTION_JSON, "--json is no option of"},
		{OPTION_DRY_RUN, "--dry-run is no option of"},
		{OPTION_NO_RULES, "--no-rules is no option of"},
		{OPTION_SPOOL, "--spool is no option of"},
		{OPTION_RUN, "--run is no option of"},
		{OPTION_MAKING, "--mode, --group and --owner are no options of"},
	};
	size_t i = 0;

	while ((texts[i].kind & kinds) == 0)
		i++;
	return usage_error(texts[i].text, verb_name);
}

static int take_operands(struct options *options, const struct verb *verbs, int count, char **operands)
{
	const struct verb *verb = verbs;

	if (count > 0) {
		while (verb->name != NULL && strcmp(verb->name, operands[0]) != 0)
			verb++;
		if (verb->name == NULL && strcmp(operands[0], "run") == 0)
			return usage_error("the first word must be", operands[0]);
		if (verb->name == NULL)
			return usage_error("unknown verb", operands[0]);
		count--;
		operands++;
	}
	if (count > verb->operands_max)
		return usage_error("unexpected argument", operands[verb->operands_max]);
	if ((used_kinds(options) & ~verb->accepts) != 0)
		return misplaced_option(used_kinds(options) & ~verb->accepts, verb->name);
	options->verb = verb;
	options->operand = count > 0 ? operands[0] : NULL;
	return OPTIONS_GO_ON;
}

static int take_option(struct options *options, int option, const char *value)
{
	switch (option) {
	case LONG_SPOOL:
		return read_spool(options, value);
	case LONG_CONFIG:
		options->config = value;
		return OPTIONS_GO_ON;
	case LONG_JSON:
		options->json = true;
		return OPTIONS_GO_ON;
	case LONG_NO_RULES:
		options->no_rules = true;
		return OPTIONS_GO_ON;
	case LONG_DRY_RUN:
		options->dry_run = true;
		return OPTIONS_GO_ON;
	case LONG_MODE:
		return read_mode(options, value);
	case LONG_GROUP:
		return read_group(options, value);
	case LONG_OWNER:
		return read_owner(options, value);
	case LONG_RUN:
		options->run = value;
		return OPTIONS_GO_ON;
	case 'q':
		options->quiet = true;
		return OPTIONS_GO_ON;
	case 'h':
		return show(usage_show(help));
	default:
		return show(usage_show_version());
	}
}

int options_parse(struct options *options, const struct verb *verbs, int argc, char **argv)
{
	int result = OPTIONS_GO_ON;

	*options = (struct options){.verb = verbs};
	opterr = 0;
	while (result == OPTIONS_GO_ON) {
		/* Where getopt_long stands before the call: what it complains about is there. */
		int at = optind;
		int option = getopt_long(argc, argv, ":qhV", long_options, NULL);
		const char *word = optind > at ? argv[optind - 1] : argv[at];

		if (option == -1)
			return take_operands(options, verbs, argc - optind, argv + optind);
		if (option == '?')
			return usage_error("option not understood:", word);
		if (option == ':')
			return usage_error("a value is missing after", word);
		result = take_option(options, option, optarg);
	}
	return result;
}
