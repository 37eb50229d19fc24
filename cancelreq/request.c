/* Ask that one task be cancelled. */
#include "asked.h"
#include "options.h"
#include "output.h"
#include "running.h"
#include "verbs.h"

#include <cancel/request.h>
#include <cancel/rule.h>
#include <cancel/spool.h>

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file first: the system's own way of asking, through its name service, takes longer than the request. */
static const struct passwd *user_of(uid_t uid)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *user = NULL;

	while (file && (user = fgetpwent(file)) && user->pw_uid != uid)
		;
	if (file)
		(void)fclose(file);
	return user ? user : getpwuid(uid);
}

/* The login name of the effective user, or the user's number where the system has no name for it. */
static const char *own_name(void)
{
	static char number[24];
	const struct passwd *user = user_of(geteuid());

	if (user && user->pw_name && *user->pw_name)
		return user->pw_name;
	(void)snprintf(number, sizeof(number), "%ju", (uintmax_t)geteuid());
	return number;
}

void request_fill(struct cancel_request *request, const struct options *options)
{
	cancel_request_init(request);
	request->task_id = options->task_id;
	request->run = options->run;
	request->reason = options->reason;
	request->expires_in_s = options->expires_in_s;
	if (options->after_ms > 0)
		request->cancel_at_us = now_us() + options->after_ms * 1000;
	request->requester.name = options->by ? options->by : own_name();
}

/* Look who is running what was asked for; only now, since the request must not wait for that. */
static void look_at_leases(const struct verb_context *context, struct sighting *runs, struct asked *asked)
{
	struct cancel_error error;

	if (sighting_look(runs, context->spool, asked->stands->task_id, asked->stands->run, &error) == 0) {
		asked->runs = runs;
	} else {
		(void)failure(&error);
		runs->failed = true;
	}
}

/* Nobody is running it; perhaps because who did has stopped already, which takes microseconds. */
static void look_at_request(const struct verb_context *context, struct cancel_request *now,
			    struct asked *asked)
{
	const struct cancel_request *stands = asked->stands;
	struct cancel_error error;
	int found = cancel_spool_lookup(context->spool, stands->task_id, stands->run, now, &error);

	if (found < 0)
		(void)failure(&error);
	if (found <= CANCEL_LOOKUP_NONE || strcmp(now->request_id, stands->request_id) != 0)
		asked->runs = NULL;
	else if (found == CANCEL_LOOKUP_PROCESSED)
		asked->decided = now;
}

/* A task of another system has no lease here: a rule of cancelwatch stops it. Which file is wrong with its
 * rules is not for who asks to hear. */
static void look_at_rules(const struct verb_context *context, struct cancel_rules **rules,
			  struct asked *asked)
{
	const struct cancel_rule *rule;

	if (cancel_rules_load(rules, context->options->config_file, NULL) < 0)
		return;
	rule = cancel_rules_match(*rules, asked->stands->task_id);
	if (!rule)
		return;
	asked->rule = rule;
	asked->rule_number = (size_t)(rule - (*rules)->list) + 1;
}

/* The leases first: a worker decides before it lets go of its lease. */
static void tell(const struct verb_context *context, struct asked *asked, struct sighting *runs)
{
	struct cancel_rules *rules = NULL;
	struct cancel_request now;

	cancel_request_init(&now);
	look_at_leases(context, runs, asked);
	if (asked->runs && runs->count == 0 &&
	    runs_changed_since(context->spool, asked->stands->requested_at_us))
		look_at_request(context, &now, asked);
	if (asked->runs && runs->count == 0 && !asked->decided)
		look_at_rules(context, &rules, asked);
	say_asked(asked);
	/* What they point to ends here. */
	asked->decided = NULL;
	asked->rule = NULL;
	cancel_rules_free(rules);
	cancel_request_clear(&now);
}

static void say(const struct verb_context *context, struct asked *asked, struct sighting *runs)
{
	if (context->options->quiet)
		return;
	if (context->options->json)
		output_json(asked->stands);
	else
		tell(context, asked, runs);
}

int request_run(const struct verb_context *context)
{
	struct cancel_request request;
	struct cancel_request standing;
	struct asked asked = {.request = &request};
	struct sighting runs = {0};
	struct cancel_error error;
	int exit_code = EXIT_DONE;

	request_fill(&request, context->options);
	cancel_request_init(&standing);
	asked.result = cancel_spool_request(context->spool, &request, &standing, &error);
	if (asked.result < 0)
		return failure_of_words(&error);

	asked.stands = asked.result == CANCEL_ALREADY_PENDING ? &standing : &request;
	say(context, &asked, &runs);
	if (context->options->wait)
		exit_code = wait_run(context, asked.stands, &runs);
	sighting_clear(&runs);
	cancel_request_clear(&standing);
	cancel_request_clear(&request);
	return exit_code;
}
