/* cancelreq: ask that tasks be cancelled, and see what became of it. cancelreq(1) is its manual. */
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/config.h>
#include <cancel/spool.h>

#include <signal.h>

static verb_run *const verbs[VERB_COUNT] = {
	[VERB_ASK] = request_run, [VERB_BATCH] = batch_run,   [VERB_MATCH] = match_run,
	[VERB_CHECK] = check_run, [VERB_ACK] = ack_run,       [VERB_WITHDRAW] = withdraw_run,
	[VERB_RESET] = reset_run, [VERB_STATUS] = status_run, [VERB_LIST] = list_run,
};

/* A reader that goes away must not stop a batch half-way: writing fails with EPIPE instead; nor a limit of the size of
 * files a request: EFBIG says so. */
static void outlive_limits(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
}

static int configure(struct cancel_config *config, const struct options *options, struct cancel_error *error)
{
	int result = cancel_config_load(config, options->config_file, error);

	if (result < 0)
		return result;
	if (options->spool_path)
		config->spool.path = options->spool_path;
	if (options->durability_given)
		config->spool.durability = options->durability;
	config->spool.create = options->verb == VERB_ASK || options->verb == VERB_BATCH;
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct cancel_config config;
	struct verb_context context = {.options = &options, .config = &config};
	struct cancel_error error;
	int exit_code;

	outlive_limits();
	options_parse(&options, argc, argv); /* --help, --version and wrong usage end here */

	if (configure(&config, &options, &error) < 0 ||
	    cancel_spool_open(&context.spool, &config.spool, &error) < 0)
		exit_code = failure(&error);
	else
		exit_code = verbs[options.verb](&context);
	cancel_spool_close(context.spool);
	options_clear(&options);
	return output_end(exit_code);
}
