#include "judge.h"

#include "campaign.h"

#include <stdarg.h>
#include <stdio.h>

struct tally tally;

static const char *in_form(const struct match *match)
{
	return match->stage->form->name;
}

void judge(struct match *match, const struct verdict *verdict, const char *circumstances)
{
	const char *harm = stage_harm(match->stage), *leak = stage_leak(match->stage);

	/* DESIGN.md, invariants 15, 16 and 19 */
	tally.escapes += !campaign_expect(!harm, "%s: %s: %s", in_form(match), circumstances, harm);
	tally.escapes += !campaign_expect(!leak, "%s: %s: the attacker can read the secret in '%s'",
					  in_form(match), circumstances, leak);
	tally.escapes += !campaign_expect(!verdict->violation[0], "%s: %s: %s", in_form(match), circumstances,
					  verdict->violation);
}

void judge_end(struct match *match, const char *what, const char *circumstances)
{
	tally.escapes +=
		!campaign_expect(false, "%s: %s: the victim %s", in_form(match), circumstances, what);
}

static void start_victim(struct match *match)
{
	match->victim = victim_start(match->stage);
	attacker_face(match->attacker, victim_pid(match->victim));
}

static void end_victim(struct match *match)
{
	if (!match->victim)
		return;
	victim_end(match->victim);
	match->victim = NULL;
}

void match_set(struct match *match, const struct form *form, bool makes_spool)
{
	bool other_user = !match->stage->form || match->stage->form != form;
	struct verdict verdict;

	attacker_rest(match->attacker);
	if (other_user)
		end_victim(match);
	stage_set(match->stage, form);
	if (!match->victim)
		start_victim(match);
	if (makes_spool && (!victim_do(match->victim, OPERATION_MAKE, &verdict) || verdict.code < 0))
		judge_end(match, "could not make a spool", verdict.text);
}

void match_end(struct match *match)
{
	end_victim(match);
	attacker_end(match->attacker);
}

struct verdict match_do(struct match *match, int operation, const char *format, ...)
{
	struct verdict verdict = {0};
	char circumstances[256];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(circumstances, sizeof circumstances, format, arguments);
	va_end(arguments);
	if (!victim_do(match->victim, operation, &verdict)) {
		judge_end(match, "died, or did not end in time", circumstances);
		end_victim(match);
		start_victim(match);
	}
	if (verdict.took_ms > tally.longest_ms) {
		tally.longest_ms = verdict.took_ms;
		(void)snprintf(tally.longest, sizeof tally.longest, "%s", victim_operation_name(operation));
	}
	judge(match, &verdict, circumstances);
	return verdict;
}
