/* The command line of `cancelwatch run`. */
#ifndef CANCELWATCH_RUN_OPTIONS_H
#define CANCELWATCH_RUN_OPTIONS_H

#include <cancel/limits.h>
#include <cancel/tries.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_options {
	const char *task_id;
	char *const *command; /* ends with NULL */
	const char *run;      /* or NULL */
	const char *also[CANCEL_TASK_ALSO_MAX];
	size_t also_count;
	struct cancel_tries tries;
	int signal;
	int64_t grace_ns;
	int64_t cooperative_ns;
	const char *on_cancel; /* a line for the shell, or NULL */
	bool foreground;
	bool json;
	const char *report; /* a file, or NULL */
	bool quiet;
	const char *spool;  /* or NULL */
	const char *config; /* or NULL */
};

#define RUN_OPTIONS_GO_ON (-1)

/* Read it; `argv[0]` is the verb. Returns RUN_OPTIONS_GO_ON, or the exit code to end with: --help, --version
 * and wrong usage are answered here. */
int run_options_parse(struct run_options *options, int argc, char **argv);

#endif
