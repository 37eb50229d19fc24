/* Take a request back before anybody decides it. */
#include "decide.h"
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/spool.h>

#include <errno.h>

int withdraw_run(const struct verb_context *context)
{
	const struct options *options = context->options;
	struct cancel_request decided;
	struct cancel_error error;
	int result;

	cancel_request_init(&decided);
	result = cancel_spool_decide(context->spool, options->task_id, options->run, NULL,
				     CANCEL_OUTCOME_WITHDRAWN, options->detail, &decided, &error);
	if (result == -ENOENT)
		return nothing_pending(context, options->run);
	if (result < 0)
		return failure_of_words(&error);
	say_decided(options, &decided);
	cancel_request_clear(&decided);
	return EXIT_DONE;
}
