/* Make a name fresh again. A name that is fresh already is what was asked for. */
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/spool.h>

int reset_run(const struct verb_context *context)
{
	const struct options *options = context->options;
	struct cancel_error error;
	int result = cancel_spool_reset(context->spool, options->task_id, options->run, &error);

	if (result < 0)
		return failure_of_words(&error);
	if (options->quiet)
		return EXIT_DONE;
	output("%s", result > 0 ? "reset " : "");
	output_task(options->task_id, options->run);
	output("%s\n", result > 0 ? "" : " was fresh already");
	return EXIT_DONE;
}
