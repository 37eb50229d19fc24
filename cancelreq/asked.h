/* What is said of a request that was asked for: a line for people, who want to know whether anybody runs the
 * task. */
#ifndef CANCELREQ_ASKED_H
#define CANCELREQ_ASKED_H

#include <cancel/request.h>
#include <cancel/rule.h>

#include <stddef.h>

struct sighting;

/* What came of asking. */
struct asked {
	int result;                           /* CANCEL_REQUESTED or CANCEL_ALREADY_PENDING */
	const struct cancel_request *request; /* what was asked for */
	const struct cancel_request *stands;
	const struct sighting *runs;          /* who was seen running it; NULL: not known */
	const struct cancel_request *decided; /* what stood, and was decided since; NULL: it was not */
	const struct cancel_rule *rule;       /* where nobody runs it: which is for it; NULL: none */
	size_t rule_number;                   /* from 1 on */
};

void say_asked(const struct asked *asked);

#endif
