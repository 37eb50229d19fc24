/* cancelwatch: watch a spool, keep it clean, say how it is. */
#include "options.h"
#include "print.h"
#include "run/inherited.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verb verbs[] = {
	{"watch", watch_run, OPTION_SPOOL | OPTION_JSON | OPTION_NO_RULES, 0},
	{"sweep", sweep_run, OPTION_SPOOL | OPTION_JSON | OPTION_DRY_RUN, 0},
	{"init", init_run, OPTION_SPOOL | OPTION_MAKING, 0},
	{"doctor", doctor_run, OPTION_SPOOL | OPTION_JSON, 0},
	{"status", status_run, OPTION_SPOOL | OPTION_JSON, 0},
	{"check-config", check_config_run, OPTION_COMMON, 1},
	{"rules", rules_run, OPTION_SPOOL | OPTION_JSON | OPTION_RUN, 1},
	{NULL, NULL, 0, 0},
};

/* With 0, 1 or 2 closed, the next file to be opened would take the number, and output would go into it.
 * Opened for reading only, so that a line for a closed standard output still is a failure. */
static void fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

static int report_output(const struct printer *out, int exit_code)
{
	if (out->error == 0)
		return exit_code;
	(void)fprintf(stderr, "cancelwatch: cannot write to standard output: %s\n", strerror(out->error));
	return EXIT_SYSTEM;
}

int main(int argc, char **argv)
{
	struct options options;
	struct printer out;
	int exit_code;

	inherited_keep();
	fill_standard_descriptors();
	/* A closed pipe is EPIPE, which print.c knows; a file that may not grow is EFBIG. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	/* What follows the command that it runs is not ours to read, and its exit codes are those of
	 * timeout(1). */
	if (argc > 1 && strcmp(argv[1], "run") == 0)
		return run_run(argc - 1, argv + 1);
	exit_code = options_parse(&options, verbs, argc, argv);
	if (exit_code != OPTIONS_GO_ON)
		return exit_code;
	if (print_open(&out, STDOUT_FILENO, options.quiet) < 0) {
		(void)fprintf(stderr, "cancelwatch: %s\n", strerror(ENOMEM));
		return EXIT_SYSTEM;
	}
	exit_code = report_output(&out, options.verb->run(&options, &out));
	print_close(&out);
	return exit_code;
}
