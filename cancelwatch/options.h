/* The command line. */
#ifndef CANCELWATCH_OPTIONS_H
#define CANCELWATCH_OPTIONS_H

#include "print.h"

#include <stdbool.h>
#include <sys/types.h>

enum exit_code {
	EXIT_YES = 0,    /* done */
	EXIT_NO = 1,     /* the answer is no */
	EXIT_USAGE = 2,  /* wrong usage */
	EXIT_SYSTEM = 3, /* the system or the spool refused */
};

/* Options that not every verb takes. */
enum option_kind {
	OPTION_COMMON = 0,
	OPTION_JSON = 1 << 0,
	OPTION_DRY_RUN = 1 << 1,
	OPTION_NO_RULES = 1 << 5,
	OPTION_MAKING = 1 << 2, /* --mode, --group, --owner */
	OPTION_SPOOL = 1 << 3,
	OPTION_RUN = 1 << 4,
};

struct options;

struct verb {
	const char *name;
	int (*run)(const struct options *options, struct printer *out); /* returns an exit code */
	unsigned accepts;                                               /* of enum option_kind */
	int operands_max;
};

struct options {
	const struct verb *verb;
	const char *spool;  /* or NULL */
	const char *config; /* or NULL */
	const char *run;    /* or NULL */
	bool json;
	bool quiet;
	bool dry_run;
	bool no_rules;
	bool has_mode;
	mode_t mode;
	bool has_group;
	gid_t group;
	bool has_owner;
	uid_t owner;
	const char
		*operand; /* the file that check-config is to check, the task that rules is about; or NULL */
};

#define OPTIONS_GO_ON (-1)

/* Read the command line. `verbs` ends with an entry without a name, and its first is the default. Returns
 * OPTIONS_GO_ON, or the exit code to end with: --help, --version and wrong usage are answered here. */
int options_parse(struct options *options, const struct verb *verbs, int argc, char **argv);

#endif
