/* One function and one file per verb. Each prints its answer and returns the exit code. */
#ifndef CANCELREQ_VERBS_H
#define CANCELREQ_VERBS_H

#include "options.h"

#include <cancel/config.h>
#include <cancel/spool.h>

struct verb_context {
	const struct options *options;
	const struct cancel_config *config;
	struct cancel_spool *spool;
};

typedef int verb_run(const struct verb_context *context);

verb_run request_run, batch_run, match_run, check_run, ack_run, withdraw_run, reset_run, status_run, list_run;

struct sighting;

/* What --wait does: wait until `standing` is decided, or its run has died, and say how. Returns the exit
 * code.
 *
 * `runs` is who was running it before, kept up while it waits, and the caller's to clear. */
int wait_run(const struct verb_context *context, const struct cancel_request *standing,
	     struct sighting *runs);

/* What --list does with --running. */
int running_list(const struct verb_context *context);

/* What the command line says about every request that it makes. Nothing in it needs freeing. */
void request_fill(struct cancel_request *request, const struct options *options);

#endif
