/*
 * Known fields in a fixed order, then the unknown ones. Written by hand because a request is written on the
 * path of somebody's delete button: jansson takes ten times as long. The tests read everything back with it.
 */
#include "record.h"

#include "error.h"
#include "utf8.h"

#include <cancel/text.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES 1024 /* of a reason and a detail, where a record would be too large */

static const char *const fields[] = {
	"task_id",	    "run",	   "request_id", "reason",	 "status",
	"requested_at",	    "boot_id",	   "boottime_ns", "expires_in_s", "cancel_at",
	"requester",	    "processed_at", "outcome",	 "detail",	 "processed_boot_id",
	"processed_boottime_ns", "worker", "last_cancel_id", "last_cancel_at", "group",
};
static const char *const party_fields[] = {"name", "uid", "gid", "pid", "host", "program", "run"};

static bool listed(const char *const *list, size_t count, const char *field)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i], field))
			return true;
	return false;
}

bool record_knows(const char *field)
{
	return listed(fields, sizeof fields / sizeof fields[0], field);
}

bool record_knows_party(const char *field)
{
	return listed(party_fields, sizeof party_fields / sizeof party_fields[0], field);
}

bool record_names_own_cancel(const struct cancel_request *decided)
{
	return !decided->group && !strcmp(decided->last_cancel_id, decided->request_id);
}

const char *record_program(void)
{
	size_t length = strlen(program_invocation_short_name);

	return length <= CANCEL_PARTY_TEXT_MAX && utf8_valid(program_invocation_short_name, length)
		       ? program_invocation_short_name
		       : NULL;
}

static bool grow(struct record_text *text, size_t more)
{
	size_t size = text->size;
	char *data;

	while (size - text->used < more)
		size *= 2;
	data = text->data == text->room ? malloc(size) : realloc(text->data, size);
	if (!data) {
		text->failed = true;
		return false;
	}
	if (text->data == text->room)
		memcpy(data, text->room, text->used);
	text->data = data;
	text->size = size;
	return true;
}

static void put(struct record_text *text, const char *bytes, size_t length)
{
	if (text->failed || (text->size - text->used < length && !grow(text, length)))
		return;
	memcpy(text->data + text->used, bytes, length);
	text->used += length;
}

#define PUT(text, literal) put(text, literal, sizeof(literal) - 1)

static void put_escape(struct record_text *text, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef", letters[] = "\"\"\\\\n\nt\tr\rb\bf\f";
	char escape[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};

	for (const char *pair = letters; *pair; pair += 2)
		if ((unsigned char)pair[1] == byte) {
			put(text, (char[]){'\\', *pair}, 2);
			return;
		}
	put(text, escape, sizeof escape);
}

static bool plain(unsigned char byte)
{
	return byte >= 0x20 && byte != '"' && byte != '\\';
}

static void put_string(struct record_text *text, const char *string)
{
	if (!string) {
		PUT(text, "null");
		return;
	}
	PUT(text, "\"");
	while (*string) {
		const char *end = string;

		while (plain((unsigned char)*end)) /* NUL is not plain */
			end++;
		put(text, string, (size_t)(end - string));
		if (*end)
			put_escape(text, (unsigned char)*end++);
		string = end;
	}
	PUT(text, "\"");
}

/* snprintf costs more than the rest of the record. */
static void put_number(struct record_text *text, int64_t number)
{
	char digits[24], *at = digits + sizeof digits;
	uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;

	do
		*--at = (char)('0' + left % 10);
	while (left /= 10);
	if (number < 0)
		*--at = '-';
	put(text, at, (size_t)(digits + sizeof digits - at));
}

static void put_time(struct record_text *text, int64_t time_us)
{
	char time[CANCEL_TIME_SIZE];

	put_string(text, time_us ? cancel_time_format(time, time_us) : NULL);
}

/* A number that may be unknown. */
static void put_known(struct record_text *text, int64_t number)
{
	if (number < 0)
		PUT(text, "null");
	else
		put_number(text, number);
}

static void put_text_or_null(struct record_text *text, const char *string)
{
	put_string(text, string && *string ? string : NULL);
}

/* The fields of `object` that are not ours. */
static void put_others(struct record_text *text, json_t *object, bool (*known)(const char *))
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		char *dump = known(key) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

		if (known(key))
			continue;
		if (!dump) {
			text->failed = true;
			return;
		}
		PUT(text, ", ");
		put_string(text, key);
		PUT(text, ": ");
		put(text, dump, strlen(dump));
		free(dump);
	}
}

static void put_requester(struct record_text *text, const struct cancel_party *party, json_t *others)
{
	PUT(text, "{\"name\": ");
	put_string(text, party->name);
	PUT(text, ", \"uid\": ");
	put_known(text, party->uid);
	PUT(text, ", \"gid\": ");
	put_known(text, party->gid);
	PUT(text, ", \"pid\": ");
	put_known(text, party->pid);
	PUT(text, ", \"host\": ");
	put_string(text, party->host);
	PUT(text, ", \"program\": ");
	put_string(text, party->program);
	put_others(text, others, record_knows_party);
	PUT(text, "}");
}

static void put_worker(struct record_text *text, const struct cancel_party *party, json_t *others)
{
	PUT(text, "{\"uid\": ");
	put_known(text, party->uid);
	PUT(text, ", \"pid\": ");
	put_known(text, party->pid);
	PUT(text, ", \"host\": ");
	put_string(text, party->host);
	PUT(text, ", \"run\": ");
	put_string(text, party->run);
	put_others(text, others, record_knows_party);
	PUT(text, "}");
}

static void put_pending(struct record_text *text, const struct cancel_request *request)
{
	PUT(text, "{\"task_id\": ");
	put_string(text, request->task_id);
	PUT(text, ", \"run\": ");
	put_string(text, request->run);
	PUT(text, ", \"request_id\": ");
	put_text_or_null(text, request->request_id);
	PUT(text, ", \"reason\": ");
	put_string(text, request->reason ? request->reason : NONE_GIVEN);
	PUT(text, ", \"status\": ");
	put_string(text, cancel_status_text(request->status));
	PUT(text, ", \"requested_at\": ");
	put_time(text, request->requested_at_us);
	PUT(text, ", \"boot_id\": ");
	put_text_or_null(text, request->boot_id);
	PUT(text, ", \"boottime_ns\": ");
	put_number(text, request->boottime_ns);
	if (request->expires_in_s != CANCEL_EXPIRES_DEFAULT) {
		PUT(text, ", \"expires_in_s\": ");
		put_known(text, request->expires_in_s);
	}
	PUT(text, ", \"cancel_at\": ");
	put_time(text, request->cancel_at_us);
	PUT(text, ", \"requester\": ");
	put_requester(text, &request->requester, json_object_get(request->json, "requester"));
}

static void put_decision(struct record_text *text, const struct cancel_request *request)
{
	PUT(text, ", \"processed_at\": ");
	put_time(text, request->processed_at_us);
	PUT(text, ", \"processed_boot_id\": ");
	put_text_or_null(text, request->processed_boot_id);
	PUT(text, ", \"processed_boottime_ns\": ");
	put_number(text, request->processed_boottime_ns);
	PUT(text, ", \"outcome\": ");
	/* "none" is a word for people, and no outcome that a record has. */
	put_string(text, request->outcome ? cancel_outcome_text(request->outcome) : NULL);
	PUT(text, ", \"detail\": ");
	put_string(text, request->detail);
	PUT(text, ", \"worker\": ");
	put_worker(text, &request->worker, json_object_get(request->json, "worker"));
	PUT(text, ", \"last_cancel_id\": ");
	put_text_or_null(text, request->last_cancel_id);
	if (request->last_cancel_at_us) {
		PUT(text, ", \"last_cancel_at\": ");
		put_time(text, request->last_cancel_at_us);
	}
	if (request->group) {
		PUT(text, ", \"group\": ");
		put_string(text, request->group);
	}
}

static void put_record(struct record_text *text, const struct cancel_request *request)
{
	text->data = text->room;
	text->size = sizeof text->room;
	text->used = 0;
	text->failed = false;
	put_pending(text, request);
	if (request->status == CANCEL_STATUS_PROCESSED)
		put_decision(text, request);
	put_others(text, request->json, record_knows);
	PUT(text, "}\n");
}

int record_write(struct record_text *text, const struct cancel_request *request, struct cancel_error *error)
{
	put_record(text, request);
	if (!text->failed && text->used <= CANCEL_RECORD_MAX)
		return 0;
	record_text_clear(text);
	if (text->failed)
		return error_system(error, -ENOMEM, "cannot write the record of task '%s'",
				    QUOTE(request->task_id));
	return error_set(error, -EMSGSIZE, "the record of task '%s' would have %zu bytes; at most %d are allowed",
			 QUOTE(request->task_id), text->used, CANCEL_RECORD_MAX);
}

/* The start of a text, cut between two characters. */
static const char *start_of(char room[KEPT_BYTES + 1], const char *text)
{
	size_t length = KEPT_BYTES;

	if (!text || strlen(text) <= length)
		return text;
	while (((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	memcpy(room, text, length);
	room[length] = '\0';
	return room;
}

int record_write_fitting(struct record_text *text, const struct cancel_request *request,
			 struct cancel_error *error)
{
	char reason[KEPT_BYTES + 1], detail[KEPT_BYTES + 1];
	struct cancel_request less = *request;
	int code = record_write(text, request, NULL);

	if (code == -EMSGSIZE) {
		less.json = NULL;
		code = record_write(text, &less, NULL);
	}
	if (code != -EMSGSIZE)
		return code == 0 ? 0 : record_write(text, request, error);
	less.reason = start_of(reason, request->reason);
	less.detail = start_of(detail, request->detail);
	return record_write(text, &less, error);
}

void record_text_clear(struct record_text *text)
{
	if (text->data != text->room)
		free(text->data);
	text->data = text->room;
}

char *cancel_request_json(const struct cancel_request *request)
{
	struct record_text text;
	char *json = NULL;

	put_record(&text, request);
	if (!text.failed)
		json = strndup(text.data, text.used - 1);
	record_text_clear(&text);
	return json;
}
