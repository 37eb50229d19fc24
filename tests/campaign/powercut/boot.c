#include "boot.h"

#include "campaign.h"
#include "place.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct look {
	int answer; /* enum cancel_lookup */
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	enum cancel_outcome outcome;
	bool malformed, expired;
};

struct visit {
	const struct boot *boot;
	struct cancel_spool *spool;
	struct cancel_error error;
	struct look looks[TASK_COUNT];
};

static bool expect(const struct visit *visit, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool expect(const struct visit *visit, bool holds, const char *format, ...)
{
	va_list arguments;
	char text[640];

	if (holds)
		return true;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return campaign_expect(false, "%s: %s%s", visit->boot->where, text, visit->boot->state);
}

static const char *task_of(const struct visit *visit, int task)
{
	return scenario_task(visit->boot->scenario, task);
}

static bool is_pending(const struct look *look)
{
	return look->answer == CANCEL_LOOKUP_PENDING || look->answer == CANCEL_LOOKUP_SCHEDULED;
}

/* --- what is found ------------------------------------------------------------------------------------ */

/* What is torn may be met with durability none, and where another program wrote it. */
static bool may_be_torn(const struct boot *boot)
{
	return boot->durability == CANCEL_DURABILITY_NONE || boot->scenario->is_foreign;
}

static bool is_record(const char *path)
{
	return !strncmp(path, "spool/pending/", 14) || !strncmp(path, "spool/processed/", 16);
}

/* DESIGN.md, invariant 1: with durability file and full it holds for a power cut, too. */
static void check_files(const struct visit *visit)
{
	const struct disk_image *image = visit->boot->image;

	for (size_t i = 0; i < image->count && !may_be_torn(visit->boot); i++) {
		const struct disk_file *file = &image->files[i];
		struct cancel_request request;

		if (file->is_directory || !is_record(file->path))
			continue;
		cancel_request_init(&request);
		expect(visit,
		       cancel_request_parse(&request, file->content ? file->content : "", file->size, NULL) ==
				       0 &&
			       request.task_id,
		       "%s is torn", file->path);
		cancel_request_clear(&request);
	}
}

static bool is_own_reason(const struct boot *boot, int task, const char *reason)
{
	char expected[SCENARIO_REASON_SIZE];

	scenario_reason(task, expected);
	if (may_be_torn(boot) && !strcmp(reason, "(none given)"))
		return true;
	return boot->scenario->is_foreign || !strcmp(reason, expected) || !strcmp(reason, "dropped");
}

static void look(struct visit *visit, int task, struct look *look)
{
	struct cancel_request found;

	cancel_request_init(&found);
	memset(look, 0, sizeof(*look));
	look->answer = cancel_spool_lookup(visit->spool, task_of(visit, task), NULL, &found, &visit->error);
	if (look->answer > CANCEL_LOOKUP_NONE) {
		(void)strcpy(look->id, found.request_id);
		look->outcome = found.outcome;
		look->malformed = found.malformed;
		look->expired = cancel_request_expired(&found);
		expect(visit, !strcmp(found.task_id, task_of(visit, task)), "task %d is taken for another",
		       task);
		expect(visit,
		       found.malformed || found.group || !found.reason ||
			       is_own_reason(visit->boot, task, found.reason),
		       "the reason of task %d is not its own", task);
	}
	cancel_request_clear(&found);
	expect(visit, look->answer >= 0 || (visit->boot->scenario->has_stranger && look->answer == -EBADMSG),
	       "task %d cannot be looked up: %s", task, visit->error.text);
	expect(visit, !look->malformed || may_be_torn(visit->boot), "the record of task %d is torn", task);
}

static bool is_standing(const struct boot *boot, const struct duty *duty, const struct look *look)
{
	return is_pending(look) && (duty_is(duty->standing, look->id) ||
				    (boot->durability == CANCEL_DURABILITY_NONE && look->malformed));
}

static bool is_in_decision(const struct duty *duty, const struct look *look)
{
	if (duty->asking && is_pending(look))
		return true;
	if (duty->may_be_gone && !is_pending(look))
		return true;
	return look->answer != CANCEL_LOOKUP_NONE && duty_is(duty->deciding, look->id);
}

static bool is_decided(const struct duty *duty, const struct look *look)
{
	if (is_pending(look))
		return duty->asking;
	return duty->may_be_gone || (look->answer == CANCEL_LOOKUP_PROCESSED &&
				     duty_is(duty->decided, look->id) && look->outcome == duty->outcome);
}

/* DESIGN.md, invariants 4, 5, 6, 7 and 18: with durability full they hold for a power cut, too; with the others,
 * for what was on disk before. */
static void check_duty(const struct visit *visit, int task)
{
	const struct duty *duty = &visit->boot->duties[task];
	const struct look *look = &visit->looks[task];

	expect(visit, !is_pending(look) || !duty_is_dead(duty, look->id),
	       "task %d: request %s was decided, and is pending again", task, look->id);
	if (duty->is_open || look->answer == -EBADMSG)
		return;
	if (duty->standing[0])
		expect(visit, is_standing(visit->boot, duty, look),
		       "task %d: request %s was accepted, and is lost (found %d %s)", task, duty->standing,
		       look->answer, look->id);
	else if (duty->deciding[0])
		expect(visit, is_in_decision(duty, look),
		       "task %d: request %s was being decided, and is neither pending nor decided (found %d "
		       "%s)",
		       task, duty->deciding, look->answer, look->id);
	else if (duty->decided[0])
		expect(visit, is_decided(duty, look),
		       "task %d: the decision of request %s is lost (found %d %s)", task, duty->decided,
		       look->answer, look->id);
	else
		expect(visit, duty->asking || !is_pending(look),
		       "task %d: request %s is pending, and nobody asked", task, look->id);
}

/* Who means a request that was decided is never told that he has decided it. */
static void check_dead(struct visit *visit, int task)
{
	const struct duty *duty = &visit->boot->duties[task];

	for (int i = 0; i < duty->dead_count; i++) {
		int code = cancel_spool_decide(visit->spool, task_of(visit, task), NULL, duty->dead[i],
					       CANCEL_OUTCOME_REFUSED, NULL, NULL, &visit->error);

		expect(visit, code != CANCEL_DECIDED, "task %d: request %s is decided twice", task,
		       duty->dead[i]);
	}
}

/* --- that all of it works ----------------------------------------------------------------------------- */

/* The text of a cut name that is of no use does not say which task it is for: it is reported. */
static bool may_be_refused(const struct boot *boot)
{
	return boot->scenario->has_stranger ||
	       (boot->scenario->has_long_ids && boot->durability == CANCEL_DURABILITY_NONE);
}

static int visit_listed(void *arg, const struct cancel_list_entry *entry)
{
	const struct visit *visit = arg;
	bool is_known = !entry->request;

	for (int task = 0; entry->request && task <= TASK_COUNT; task++)
		is_known = is_known || !strcmp(entry->request->task_id, task_of(visit, task));
	expect(visit, entry->request || may_be_refused(visit->boot), "%s is refused: %s", entry->file,
	       entry->refusal ? entry->refusal->text : "");
	expect(visit, is_known, "%s is a request that nobody made", entry->file);
	return 0;
}

static void check_listing(struct visit *visit)
{
	expect(visit,
	       cancel_spool_list(visit->spool, CANCEL_LIST_ALL, visit_listed, visit, &visit->error) == 0,
	       "cannot be listed: %s", visit->error.text);
}

static struct cancel_sweep_result sweep(struct visit *visit)
{
	struct cancel_sweep_result result;

	expect(visit, cancel_spool_sweep(visit->spool, NULL, NULL, NULL, &result, &visit->error) == 0,
	       "cannot be swept: %s", visit->error.text);
	return result;
}

static void check_sweep(struct visit *visit)
{
	struct cancel_sweep_result result = sweep(visit);

	expect(visit, result.refused == 0 || may_be_refused(visit->boot), "the sweep refuses what stands");
	expect(visit, result.strangers == 0 || visit->boot->scenario->is_foreign, "the sweep met strangers");
	result = sweep(visit);
	expect(visit, result.drafts + result.litter + result.leases + result.put_back == 0,
	       "the sweep left something");
	expect(visit, place_count(visit->boot->root, "spool/tmp") == 0, "something is left in tmp");
	expect(visit, place_count(visit->boot->root, "spool/runs") == 0, "something is left in runs");
}

/* A sweep decides what is past its expiry, and changes nothing else of what is pending. The id of what is
 * torn comes from its file, and changes with that: where a draft is a second link to it, by its removal. */
static void check_same(struct visit *visit, int task)
{
	const struct look *before = &visit->looks[task];
	struct look after;

	look(visit, task, &after);
	if (is_pending(before) && before->expired)
		expect(visit,
		       after.answer == CANCEL_LOOKUP_PROCESSED && after.outcome == CANCEL_OUTCOME_EXPIRED,
		       "task %d: the sweep does not expire it", task);
	else
		expect(visit,
		       is_pending(before) == is_pending(&after) &&
			       (!is_pending(before) || before->malformed || !strcmp(before->id, after.id)),
		       "task %d: the sweep changed what is pending", task);
	visit->looks[task] = after;
}

static void check_decide(struct visit *visit, int task, const char *id)
{
	int code = cancel_spool_decide(visit->spool, task_of(visit, task), NULL, id, CANCEL_OUTCOME_STOPPED,
				       "after", NULL, &visit->error);

	expect(visit, code == CANCEL_DECIDED, "task %d: what is pending cannot be decided: %s", task,
	       visit->error.text);
	code = cancel_spool_decide(visit->spool, task_of(visit, task), NULL, id, CANCEL_OUTCOME_STOPPED,
				   "after", NULL, &visit->error);
	expect(visit, code == CANCEL_ALREADY_DECIDED, "task %d: decided, and not known as such: %d", task,
	       code);
}

static void check_reset(struct visit *visit, int task)
{
	struct look found;

	expect(visit, cancel_spool_reset(visit->spool, task_of(visit, task), NULL, &visit->error) >= 0,
	       "task %d: cannot be reset: %s", task, visit->error.text);
	look(visit, task, &found);
	expect(visit, found.answer == CANCEL_LOOKUP_NONE, "task %d: reset, and still there", task);
}

/* DESIGN.md, invariant 8 */
static void check_ask(struct visit *visit, int task)
{
	struct cancel_request request;
	int code;

	cancel_request_init(&request);
	request.task_id = task_of(visit, task);
	request.reason = "after";
	code = cancel_spool_request(visit->spool, &request, NULL, &visit->error);
	expect(visit, code == CANCEL_REQUESTED, "task %d: cannot be asked for: %d %s", task, code,
	       code < 0 ? visit->error.text : "");
	code = cancel_spool_lookup(visit->spool, task_of(visit, task), NULL, NULL, &visit->error);
	expect(visit, code == CANCEL_LOOKUP_PENDING, "task %d: asked for, and not pending: %d", task, code);
	if (code == CANCEL_LOOKUP_PENDING)
		check_decide(visit, task, request.request_id);
	check_reset(visit, task);
}

static void check_empty(const struct visit *visit)
{
	expect(visit, place_count(visit->boot->root, "spool/pending") == 0, "something is left in pending");
	expect(visit, place_count(visit->boot->root, "spool/processed") == 0,
	       "something is left in processed");
}

/* --- all ---------------------------------------------------------------------------------------------- */

static bool open_spool(struct visit *visit)
{
	struct cancel_spool_options options;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/spool", visit->boot->root);
	cancel_spool_options_init(&options);
	options.path = path;
	options.create = true;
	options.durability = CANCEL_DURABILITY_FILE;
	return expect(visit, cancel_spool_open(&visit->spool, &options, &visit->error) == 0,
		      "does not open: %s", visit->error.text);
}

void boot_check(const struct boot *boot)
{
	struct visit visit = {.boot = boot};

	check_files(&visit);
	if (!open_spool(&visit))
		return;
	check_listing(&visit);
	for (int task = 0; task < TASK_COUNT; task++) {
		look(&visit, task, &visit.looks[task]);
		check_duty(&visit, task);
	}
	check_sweep(&visit);
	for (int task = 0; task < TASK_COUNT; task++) {
		check_same(&visit, task);
		check_dead(&visit, task);
		if (is_pending(&visit.looks[task]))
			check_decide(&visit, task, visit.looks[task].id);
	}
	for (int task = 0; task <= TASK_COUNT; task++)
		if (campaign_is_long() || task == 0 || task == TASK_COUNT)
			check_ask(&visit, task);
		else
			check_reset(&visit, task);
	check_empty(&visit);
	cancel_spool_close(visit.spool);
}
