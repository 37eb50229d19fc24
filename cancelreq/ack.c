/* Acknowledge, for a worker that is no program of ours: its run has ended, this way. A run's end decides its
 * own names, so with --run both the task's and the run's. */
#include "decide.h"
#include "options.h"
#include "output.h"
#include "verbs.h"

#include <cancel/spool.h>

int ack_run(const struct verb_context *context)
{
	const struct options *options = context->options;
	struct cancel_request decided[2];
	struct cancel_error error;
	int count;

	cancel_request_init(&decided[0]);
	cancel_request_init(&decided[1]);
	count = cancel_spool_acknowledge(context->spool, options->task_id, options->run, options->outcome,
					 options->detail, decided, &error);
	if (count == 0)
		return nothing_pending(context, options->run);
	for (int i = 0; i < 2; i++) {
		/* Also when the second failed: the first was decided. */
		if (decided[i].task_id)
			say_decided(options, &decided[i]);
		cancel_request_clear(&decided[i]);
	}
	return count < 0 ? failure_of_words(&error) : EXIT_DONE;
}
