/* The command line, checked: what a verb gets is complete and goes together. */
#ifndef CANCELREQ_OPTIONS_H
#define CANCELREQ_OPTIONS_H

#include <cancel/list.h>
#include <cancel/request.h>
#include <cancel/spool.h>

#include <stdbool.h>
#include <stdint.h>

enum verb {
	VERB_ASK, /* has no option of its own */
	VERB_BATCH,
	VERB_MATCH,
	VERB_CHECK,
	VERB_ACK,
	VERB_WITHDRAW,
	VERB_RESET,
	VERB_STATUS,
	VERB_LIST,
	VERB_COUNT
};

#define WAIT_FOREVER (-1)

struct options {
	enum verb verb;
	const char *task_id;    /* NULL for --batch, --match and --list */
	const char *pattern;    /* for --match and --list; NULL: every task */
	const char *batch_file; /* "-" is standard input */
	char *reason;           /* joined; NULL: none given */

	const char *spool_path; /* NULL: as configured */
	const char *config_file;
	bool durability_given;
	enum cancel_durability durability;

	const char *run;
	const char *by;
	int64_t after_ms;     /* 0: at once */
	int64_t expires_in_s; /* or CANCEL_EXPIRES_DEFAULT, CANCEL_EXPIRES_NEVER */
	enum cancel_outcome outcome;
	const char *detail;
	enum cancel_list_state state;
	bool running; /* list runs, not requests */
	bool dry_run;

	bool wait;
	int64_t wait_ms; /* or WAIT_FOREVER */
	bool json;
	bool quiet;
};

/* Read the command line. Wrong usage, --help and --version end the program here. */
void options_parse(struct options *options, int argc, char **argv);

void options_clear(struct options *options);

/* Say what is wrong with the command line, and end the program. */
_Noreturn void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
