/* bench [--short] [--json FILE] [ONLY]: measure, print one table, and write it for programs. */
#include "harness.h"
#include "process.h"
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE  2
#define EXIT_SYSTEM 3

struct options {
	bool brief;
	const char *json;
	const char *only;
};

static void usage(FILE *stream)
{
	(void)fputs("usage: bench [--short] [--json FILE] [ONLY]\n"
		    "ONLY is a shell pattern for the names of rows: 'request*', '*(ext4)'\n",
		    stream);
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{"short", no_argument, NULL, 's'},
		{"json", required_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (letter == 's') {
			options->brief = true;
		} else if (letter == 'j') {
			options->json = optarg;
		} else {
			usage(letter == 'h' ? stdout : stderr);
			exit(letter == 'h' ? EXIT_SUCCESS : EXIT_USAGE);
		}
	}
	if (optind < argc)
		options->only = argv[optind++];
	if (optind < argc) {
		usage(stderr);
		exit(EXIT_USAGE);
	}
}

/* How signals were before the supervisor took them. */
static sigset_t signals_before;

static void work(const void *arg)
{
	const struct options *options = arg;

	(void)setpgid(0, 0);
	(void)sigprocmask(SIG_SETMASK, &signals_before, NULL);
	(void)setenv("LC_ALL", "C", 1); /* else a peer's time depends on which locales are installed */
	places_make();
	report_machine();
	if (options->brief)
		(void)puts("counts      small: this run shows that the benchmark works, not what anything "
			   "costs");
	bench_run(options->only, options->brief);
	report_table();
	if (options->json)
		report_json(options->json);
}

/* Wait for the worker. What would end us ends it and all it started, so that the directories go. */
static int supervise(pid_t worker, const sigset_t *signals)
{
	int status, signal;

	for (;;) {
		if (waitpid(worker, &status, WNOHANG) == worker)
			return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SYSTEM;
		if (sigwait(signals, &signal) != 0 || signal == SIGCHLD)
			continue;
		(void)kill(worker, SIGKILL); /* it may not lead its group yet */
		(void)kill(-worker, SIGKILL);
	}
}

int main(int argc, char **argv)
{
	struct options options = {0};
	sigset_t signals;
	int status;

	parse(&options, argc, argv);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, &signals_before);
	places_choose();
	status = supervise(process_fork(work, &options), &signals);
	places_remove();
	return status;
}
