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

verb_run request_run, batch_run, check_run, ack_run, withdraw_run, reset_run, status_run, list_run;

/* What --wait does: wait until `standing` is decided, and say how. Returns the exit code. */
int wait_run(const struct verb_context *context, const struct cancel_request *standing);

/* What the command line says about every request that it makes. Nothing in it needs freeing. */
void request_fill(struct cancel_request *request, const struct options *options);

#endif
