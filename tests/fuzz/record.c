/*
 * Any bytes as a record. They are refused with one sentence, or read: then everything is in its range and
 * says what jansson says that it says; and what our writer makes of it jansson reads, and is the same
 * request, with the fields that are not ours.
 */
#include "record.h"
#include "fuzzing.h"
#include "utf8.h"

#include <cancel/text.h>

#include <errno.h>
#include <jansson.h>

#define YEAR_0_US     (-62167219200LL * 1000000)
#define YEAR_10000_US (253402300800LL * 1000000)

/* --- what was read ------------------------------------------------------------------------------------ */

static void check_text(const char *text, size_t min, size_t max)
{
	size_t length = text ? strlen(text) : 0;

	check(!text || (length >= min && length <= max && utf8_valid(text, length)));
}

static void check_party(const struct cancel_party *party)
{
	check_text(party->name, 0, CANCEL_PARTY_TEXT_MAX);
	check_text(party->host, 0, CANCEL_PARTY_TEXT_MAX);
	check_text(party->program, 0, CANCEL_PARTY_TEXT_MAX);
	check_text(party->run, 1, CANCEL_RUN_ID_MAX);
	check(party->uid >= -1 && party->uid <= UINT32_MAX);
	check(party->gid >= -1 && party->gid <= UINT32_MAX);
	check(party->pid >= -1 && party->pid <= UINT32_MAX);
}

static void check_id(const char *id, size_t length)
{
	check(!id[0] || (strlen(id) == length && strspn(id, "0123456789abcdef-") == length));
}

static void check_read(const struct cancel_request *request)
{
	check_text(request->task_id, 1, CANCEL_TASK_ID_MAX);
	check_text(request->run, 1, CANCEL_RUN_ID_MAX);
	check_text(request->reason, 0, CANCEL_REASON_MAX);
	check_text(request->detail, 0, CANCEL_DETAIL_MAX);
	check_text(request->group, 1, CANCEL_TASK_ID_MAX);
	check_party(&request->requester);
	check_party(&request->worker);
	check_id(request->request_id, CANCEL_REQUEST_ID_LENGTH);
	check_id(request->last_cancel_id, CANCEL_REQUEST_ID_LENGTH);
	check_id(request->boot_id, CANCEL_BOOT_ID_LENGTH);
	check_id(request->processed_boot_id, CANCEL_BOOT_ID_LENGTH);
	check(request->expires_in_s >= CANCEL_EXPIRES_NEVER && request->expires_in_s <= CANCEL_EXPIRES_MAX_S);
	check(request->boottime_ns >= 0 && request->processed_boottime_ns >= 0 && !request->malformed);
}

static int depth_of(json_t *value)
{
	int deepest = 0;
	const char *key;
	size_t index;
	json_t *child;

	if (!json_is_object(value) && !json_is_array(value))
		return 0;
	json_object_foreach(value, key, child) if (depth_of(child) > deepest) deepest = depth_of(child);
	json_array_foreach(value, index, child) if (depth_of(child) > deepest) deepest = depth_of(child);
	return 1 + deepest;
}

static bool same_text(const char *one, const char *other)
{
	return one == other || (one && other && !strcmp(one, other));
}

/* jansson, asked again, says the same. */
static void check_says(json_t *json, const struct cancel_request *request)
{
	check(json_is_object(json) && depth_of(json) <= CANCEL_JSON_DEPTH_MAX);
	check(same_text(request->task_id, json_string_value(json_object_get(json, "task_id"))));
	check(same_text(request->run, json_string_value(json_object_get(json, "run"))));
	check(same_text(request->reason, json_string_value(json_object_get(json, "reason"))));
	check(same_text(request->detail, json_string_value(json_object_get(json, "detail"))));
	check(same_text(request->group, json_string_value(json_object_get(json, "group"))));
}

/* --- what is written ---------------------------------------------------------------------------------- */

static int64_t writable_time(int64_t time_us)
{
	if (time_us < YEAR_0_US)
		return YEAR_0_US;
	return time_us < YEAR_10000_US ? time_us : YEAR_10000_US - 1;
}

static void check_same_requester(const struct cancel_party *one, const struct cancel_party *other)
{
	check(same_text(one->name, other->name) && same_text(one->host, other->host));
	check(same_text(one->program, other->program));
	check(one->uid == other->uid && one->gid == other->gid && one->pid == other->pid);
}

/* What never may be left out. */
static void check_same_terms(const struct cancel_request *one, const struct cancel_request *other)
{
	check(same_text(one->task_id, other->task_id) && same_text(one->run, other->run));
	check(!strcmp(one->request_id, other->request_id) && one->status == other->status);
	check(writable_time(one->requested_at_us) == other->requested_at_us);
	check(!strcmp(one->boot_id, other->boot_id) && one->boottime_ns == other->boottime_ns);
	check(one->expires_in_s == other->expires_in_s);
	check(writable_time(one->cancel_at_us) == other->cancel_at_us);
	check_same_requester(&one->requester, &other->requester);
	if (one->status != CANCEL_STATUS_PROCESSED)
		return;
	check(one->outcome == other->outcome && same_text(one->group, other->group));
	check(!strcmp(one->last_cancel_id, other->last_cancel_id));
	check(writable_time(one->last_cancel_at_us) == other->last_cancel_at_us);
	check(writable_time(one->processed_at_us) == other->processed_at_us);
	check(!strcmp(one->processed_boot_id, other->processed_boot_id));
	check(one->processed_boottime_ns == other->processed_boottime_ns);
	check(one->worker.uid == other->worker.uid && one->worker.pid == other->worker.pid);
	check(same_text(one->worker.host, other->worker.host) &&
	      same_text(one->worker.run, other->worker.run));
}

static void check_same(const struct cancel_request *one, const struct cancel_request *other)
{
	check_same_terms(one, other);
	check(same_text(one->reason ? one->reason : NONE_GIVEN, other->reason));
	check(one->status != CANCEL_STATUS_PROCESSED || same_text(one->detail, other->detail));
}

static void check_kept_in(json_t *before, json_t *after, bool (*is_ours)(const char *))
{
	const char *key;
	json_t *value;

	json_object_foreach(before, key, value)
		check(is_ours(key) || json_equal(value, json_object_get(after, key)));
}

/* The fields that are not ours. */
static void check_kept(json_t *before, json_t *after, bool decided)
{
	check_kept_in(before, after, record_knows);
	check_kept_in(json_object_get(before, "requester"), json_object_get(after, "requester"),
		      record_knows_party);
	if (decided)
		check_kept_in(json_object_get(before, "worker"), json_object_get(after, "worker"),
			      record_knows_party);
}

/* One line, and the same line again when it is read and written again. */
static void check_line(const struct record_text *text, const struct cancel_request *again)
{
	struct record_text line;

	check(text->used > 2 && text->used <= CANCEL_RECORD_MAX);
	check(memchr(text->data, '\n', text->used) == text->data + text->used - 1);
	check(record_write(&line, again, NULL) == 0);
	check(line.used == text->used && !memcmp(line.data, text->data, line.used));
	record_text_clear(&line);
}

static void check_written(const struct cancel_request *request, json_t *before)
{
	struct record_text text;
	struct cancel_request again;
	json_t *after;
	int code = record_write(&text, request, NULL);

	check(code == 0 || code == -EMSGSIZE);
	if (code < 0)
		return;
	after = json_loadb(text.data, text.used, JSON_REJECT_DUPLICATES, NULL);
	check(after != NULL);
	cancel_request_init(&again);
	check(cancel_request_parse(&again, text.data, text.used, NULL) == 0);
	check_same(request, &again);
	check_kept(before, after, request->status == CANCEL_STATUS_PROCESSED);
	check_line(&text, &again);
	cancel_request_clear(&again);
	json_decref(after);
	record_text_clear(&text);
}

/* What stands can always be decided: something is left out then, but never what it says of whom and when. */
static void check_fitting(const struct cancel_request *request)
{
	struct record_text text;
	struct cancel_request again;

	check(record_write_fitting(&text, request, NULL) == 0 && text.used <= CANCEL_RECORD_MAX);
	cancel_request_init(&again);
	check(cancel_request_parse(&again, text.data, text.used, NULL) == 0);
	check_same_terms(request, &again);
	check(!request->reason || !strncmp(request->reason, again.reason, strlen(again.reason)));
	cancel_request_clear(&again);
	record_text_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cancel_error error = {.code = 0};
	struct cancel_request request;
	json_t *json;
	int code;

	cancel_request_init(&request);
	code = cancel_request_parse(&request, (const char *)data, size, &error);
	if (code < 0) {
		check(error.code == code && (code == -EBADMSG || code == -EMSGSIZE) && !request.json);
		check_sentence(error.text);
		return 0;
	}
	check_read(&request);
	json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	check_says(json, &request);
	check_written(&request, json);
	check_fitting(&request);
	json_decref(json);
	cancel_request_clear(&request);
	return 0;
}
