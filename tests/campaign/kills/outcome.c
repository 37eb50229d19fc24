#include "outcome.h"

#include "operations.h"
#include "scenario_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct found {
	bool is_there;
	char id[CANCEL_REQUEST_ID_LENGTH + 1], last[CANCEL_REQUEST_ID_LENGTH + 1];
	char reason[16];
	enum cancel_outcome outcome;
	int64_t expires_in_s;
};

struct view {
	struct scenario_trial *trial;
	struct found pending, processed;
};

static void note(struct found *found, const struct cancel_request *request)
{
	found->is_there = true;
	(void)snprintf(found->id, sizeof(found->id), "%s", request->request_id);
	(void)snprintf(found->last, sizeof(found->last), "%s", request->last_cancel_id);
	(void)snprintf(found->reason, sizeof(found->reason), "%s", request->reason ? request->reason : "");
	found->outcome = request->outcome;
	found->expires_in_s = request->expires_in_s;
}

static int note_entry(void *arg, const struct cancel_list_entry *entry)
{
	struct view *view = arg;

	if (entry->request && !strcmp(entry->request->task_id, SCENARIO_TASK))
		note(strncmp(entry->file, "pending/", 8) ? &view->processed : &view->pending, entry->request);
	return 0;
}

static struct view view_of(struct scenario_trial *trial)
{
	struct view view = {.trial = trial};
	struct cancel_request found;
	int code = scenario_look(trial, &found);

	cancel_request_clear(&found);
	code = cancel_spool_list(trial->spool, CANCEL_LIST_ALL, note_entry, &view, &trial->error);
	(void)scenario_expect(trial, code == 0, "listing: %s", code < 0 ? trial->error.text : "");
	return view;
}

/* --- whose a request is --------------------------------------------------------------------------------- */

/* What its text says; "?" where it stands nowhere any more. */
static const char *reason_of(const struct view *view, const char *id)
{
	const struct found *found[] = {&view->pending, &view->processed};

	for (int i = 0; i < 2; i++)
		if (found[i]->is_there && !strcmp(found[i]->id, id))
			return found[i]->reason;
	return "?";
}

static bool was_made(const struct scenario_result *result, const char *id)
{
	for (int i = 0; result && i < result->claim_count; i++)
		if (result->claims[i].what == SCENARIO_TOLD_REQUESTED && !strcmp(result->claims[i].id, id))
			return true;
	return false;
}

/* A new one is told from the first by that, and from others by its text alone: who was killed did not say
 * which it made. */
static const char *role_of(const struct view *view, const char *id, const struct scenario_result *one,
			   const struct scenario_result *other)
{
	const char *reason;

	if (!id[0])
		return "-";
	if (!strcmp(id, view->trial->accepted))
		return "first";
	if (!strcmp(id, view->trial->former))
		return "former";
	if (was_made(one, id) || was_made(other, id))
		return "new";
	reason = reason_of(view, id);
	if (!strcmp(reason, SCENARIO_REASON))
		return "new";
	return !strcmp(reason, "?") ? "gone" : reason;
}

/* --- in words ------------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3))) add(struct outcome *outcome, const char *format, ...)
{
	size_t used = strlen(outcome->text);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(outcome->text + used, sizeof(outcome->text) - used, format, arguments);
	va_end(arguments);
}

static const char *const told_words[] = {
	[SCENARIO_TOLD_REQUESTED] = "requested", [SCENARIO_TOLD_ALREADY_PENDING] = "already pending",
	[SCENARIO_TOLD_DECIDED] = "decided",     [SCENARIO_TOLD_ALREADY_DECIDED] = "already decided",
	[SCENARIO_TOLD_STOPPED] = "stopped by",  [SCENARIO_TOLD_RESET] = "reset",
};

static void add_told(struct outcome *outcome, const struct view *view, const struct scenario_result *told,
		     const struct scenario_result *one, const struct scenario_result *other)
{
	if (!told)
		return;
	add(outcome, "[%d", told->code);
	for (int i = 0; i < told->claim_count; i++)
		if (!strcmp(told->claims[i].task, SCENARIO_TASK))
			add(outcome, " %s %s", told_words[told->claims[i].what],
			    role_of(view, told->claims[i].id, one, other));
	add(outcome, "] ");
}

static const char *life_of(int64_t expires_in_s)
{
	if (expires_in_s == CANCEL_EXPIRES_NEVER)
		return "for ever";
	return expires_in_s >= SCENARIO_DROP_LIFE_S ? "for long" : "";
}

struct outcome outcome_of(struct scenario_trial *trial, const struct scenario_result *one,
			  const struct scenario_result *other)
{
	struct view view = view_of(trial);
	struct outcome outcome = {.text = ""};

	add_told(&outcome, &view, one, one, other);
	add_told(&outcome, &view, other, one, other);
	if (view.pending.is_there)
		add(&outcome, "pending %s %s; ", role_of(&view, view.pending.id, one, other),
		    life_of(view.pending.expires_in_s));
	if (view.processed.is_there)
		add(&outcome, "processed %s as %s after %s; ", role_of(&view, view.processed.id, one, other),
		    cancel_outcome_text(view.processed.outcome),
		    role_of(&view, view.processed.last, one, other));
	return outcome;
}

bool outcome_same(const struct outcome *one, const struct outcome *other)
{
	return !strcmp(one->text, other->text);
}
