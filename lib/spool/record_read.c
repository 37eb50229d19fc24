#include "record.h"

#include "error.h"

#include <cancel/text.h>

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>

struct field;

/* Check `value` and put it at `target`; false when it has the wrong type or is out of range. */
typedef bool field_reader(const struct field *field, json_t *value, void *target);

struct field {
	const char *name;
	field_reader *read;
	size_t offset;
	int64_t low, high; /* of a number, or of a text's length in bytes */
	const char *expected;
};

static const char *wrong_field(const struct field *fields, size_t count, json_t *object, void *target)
{
	for (size_t i = 0; i < count; i++) {
		json_t *value = json_object_get(object, fields[i].name);

		if (value && !fields[i].read(&fields[i], value, (char *)target + fields[i].offset))
			return fields[i].expected;
	}
	return NULL;
}

static bool read_string(const struct field *field, json_t *value, void *target)
{
	if (json_is_null(value))
		return true;
	if (!json_is_string(value) || (int64_t)json_string_length(value) < field->low ||
	    (int64_t)json_string_length(value) > field->high)
		return false;
	*(const char **)target = json_string_value(value);
	return true;
}

static bool read_number(const struct field *field, json_t *value, void *target)
{
	if (json_is_null(value))
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < field->low ||
	    json_integer_value(value) > field->high)
		return false;
	*(int64_t *)target = json_integer_value(value);
	return true;
}

static bool read_expiry(const struct field *field, json_t *value, void *target)
{
	if (!json_is_null(value))
		return read_number(field, value, target);
	*(int64_t *)target = CANCEL_EXPIRES_NEVER;
	return true;
}

/* Text of an exact length in the structure. Anything else is as good as nothing: the reader has another way
 * to tell requests apart. */
static bool read_fixed(const struct field *field, json_t *value, void *target)
{
	static const char digits[] = "0123456789abcdef-";
	const char *text = json_string_value(value);

	if (text && (int64_t)strlen(text) == field->high && (int64_t)strspn(text, digits) == field->high)
		memcpy(target, text, (size_t)field->high + 1);
	return true;
}

static bool read_time(const struct field *field, json_t *value, void *target)
{
	(void)field;
	return json_is_null(value) ||
	       (json_is_string(value) && cancel_time_parse(json_string_value(value), target) == 0);
}

/* A time that is for people: a foreign one without its zone is as good as none. */
static bool read_loose_time(const struct field *field, json_t *value, void *target)
{
	(void)read_time(field, value, target);
	return true;
}

static bool read_status(const struct field *field, json_t *value, void *target)
{
	const char *text = json_string_value(value);

	(void)field;
	if (!text || (strcmp(text, "pending") && strcmp(text, "processed")))
		return false;
	*(enum cancel_status *)target =
		text[1] == 'e' ? CANCEL_STATUS_PENDING : CANCEL_STATUS_PROCESSED;
	return true;
}

static bool read_outcome(const struct field *field, json_t *value, void *target)
{
	int outcome = json_is_string(value) ? cancel_outcome_parse(json_string_value(value)) : -EINVAL;

	(void)field;
	if (json_is_null(value))
		return true;
	if (outcome < 0)
		return false;
	*(enum cancel_outcome *)target = (enum cancel_outcome)outcome;
	return true;
}

#define PARTY(member) offsetof(struct cancel_party, member)
#define PARTY_TEXT 0, CANCEL_PARTY_TEXT_MAX, "a party's text: a string of at most 255 bytes"
#define PARTY_NUMBER 0, UINT32_MAX, "a party's uid, gid and pid: whole numbers"

static const struct field party_fields[] = {
	{"name", read_string, PARTY(name), PARTY_TEXT},
	{"host", read_string, PARTY(host), PARTY_TEXT},
	{"program", read_string, PARTY(program), PARTY_TEXT},
	{"run", read_string, PARTY(run), 1, CANCEL_RUN_ID_MAX, "worker.run: a string of 1 to 1024 bytes"},
	{"uid", read_number, PARTY(uid), PARTY_NUMBER},
	{"gid", read_number, PARTY(gid), PARTY_NUMBER},
	{"pid", read_number, PARTY(pid), PARTY_NUMBER},
};

static bool read_party(const struct field *field, json_t *value, void *target)
{
	const size_t count = sizeof party_fields / sizeof party_fields[0];

	(void)field;
	/* A plain name is what people write by hand. */
	if (json_is_string(value))
		return read_string(&party_fields[0], value, &((struct cancel_party *)target)->name);
	return json_is_null(value) ||
	       (json_is_object(value) && !wrong_field(party_fields, count, value, target));
}

#define AT(member) offsetof(struct cancel_request, member)
#define A_TIME "an RFC 3339 time with its zone, like 2026-11-20T10:11:12Z"

static const struct field fields[] = {
	{"task_id", read_string, AT(task_id), 1, CANCEL_TASK_ID_MAX, "task_id: a string of 1 to 1024 bytes"},
	{"run", read_string, AT(run), 1, CANCEL_RUN_ID_MAX, "run: a string of 1 to 1024 bytes"},
	{"request_id", read_fixed, AT(request_id), 0, CANCEL_REQUEST_ID_LENGTH, ""},
	{"reason", read_string, AT(reason), 0, CANCEL_REASON_MAX, "reason: a string of at most 32768 bytes"},
	{"status", read_status, AT(status), 0, 0, "status: 'pending' or 'processed'"},
	{"requested_at", read_loose_time, AT(requested_at_us), 0, 0, ""},
	{"boot_id", read_fixed, AT(boot_id), 0, CANCEL_BOOT_ID_LENGTH, ""},
	{"boottime_ns", read_number, AT(boottime_ns), 0, INT64_MAX, "boottime_ns: a whole number"},
	{"expires_in_s", read_expiry, AT(expires_in_s), 1, CANCEL_EXPIRES_MAX_S,
	 "expires_in_s: a whole number from 1 to 316224000, or null for never"},
	{"cancel_at", read_time, AT(cancel_at_us), 0, 0, "cancel_at: " A_TIME},
	{"requester", read_party, AT(requester), 0, 0,
	 "requester: an object with name, host and program (strings of at most 255 bytes), uid, gid and pid "
	 "(whole numbers)"},
	{"processed_at", read_loose_time, AT(processed_at_us), 0, 0, ""},
	{"outcome", read_outcome, AT(outcome), 0, 0, "outcome: 'stopped', 'finished', 'failed', 'refused', "
						     "'withdrawn' or 'expired'"},
	{"detail", read_string, AT(detail), 0, CANCEL_DETAIL_MAX, "detail: a string of at most 4096 bytes"},
	{"processed_boot_id", read_fixed, AT(processed_boot_id), 0, CANCEL_BOOT_ID_LENGTH, ""},
	{"processed_boottime_ns", read_number, AT(processed_boottime_ns), 0, INT64_MAX,
	 "processed_boottime_ns: a whole number"},
	{"worker", read_party, AT(worker), 0, 0, "worker: an object with uid and pid (whole numbers), host and "
						 "run (strings)"},
	{"last_cancel_id", read_fixed, AT(last_cancel_id), 0, CANCEL_REQUEST_ID_LENGTH, ""},
	{"last_cancel_at", read_time, AT(last_cancel_at_us), 0, 0, "last_cancel_at: " A_TIME},
	{"group", read_string, AT(group), 1, CANCEL_TASK_ID_MAX, "group: a string of 1 to 1024 bytes"},
};

static bool too_deep(json_t *value, int levels)
{
	const char *key;
	size_t index;
	json_t *child;

	if (!json_is_object(value) && !json_is_array(value))
		return false;
	if (!levels)
		return true;
	json_object_foreach (value, key, child)
		if (too_deep(child, levels - 1))
			return true;
	json_array_foreach (value, index, child)
		if (too_deep(child, levels - 1))
			return true;
	return false;
}

/* What has no code in jansson is memory that ran out on the way. */
static int not_json(const json_error_t *problem, struct cancel_error *error)
{
	enum json_error_code code = json_error_code(problem);

	if (code == json_error_unknown || code == json_error_out_of_memory)
		return error_system(error, -ENOMEM, "cannot read a record");
	return error_set(error, -EBADMSG, "not JSON: line %d, column %d: %s", problem->line, problem->column,
			 QUOTE(problem->text));
}

struct supply {
	const char *text;
	size_t left;
	bool starved; /* malloc failed meanwhile */
};

static size_t supply_byte(void *room, size_t size, void *arg)
{
	struct supply *supply = arg;

	(void)size;
	supply->starved |= errno == ENOMEM;
	if (supply->starved || !supply->left)
		return 0;
	*(char *)room = *supply->text++;
	supply->left--;
	return 1;
}

/* With no memory for a longer string jansson (2.14) leaves a byte of it out, or calls it a fault of the text; and a number
 * resets errno. So it gets byte by byte, and errno is looked at before each. */
static json_t *load(const char *text, size_t length, json_error_t *problem)
{
	struct supply supply = {.text = text, .left = length};
	json_t *json;

	errno = 0;
	json = json_load_callback(supply_byte, &supply, JSON_REJECT_DUPLICATES, problem);
	if (!supply.starved && errno != ENOMEM)
		return json;
	json_decref(json);
	*problem = (json_error_t){.line = -1};
	return NULL;
}

static int parse_object(json_t **object, const char *text, size_t length, struct cancel_error *error)
{
	json_error_t problem;
	json_t *json = load(text, length, &problem);

	if (!json)
		return not_json(&problem, error);
	if (json_is_object(json) && !too_deep(json, CANCEL_JSON_DEPTH_MAX)) {
		*object = json;
		return 0;
	}
	(void)error_set(error, -EBADMSG, json_is_object(json) ? "objects and arrays more than %d levels deep"
							      : "not a JSON object",
			CANCEL_JSON_DEPTH_MAX);
	json_decref(json);
	return -EBADMSG;
}

int cancel_request_parse(struct cancel_request *request, const char *text, size_t length,
			 struct cancel_error *error)
{
	struct cancel_request read;
	const char *expected;
	json_t *json = NULL;
	int code;

	if (length > CANCEL_RECORD_MAX)
		return error_set(error, -EMSGSIZE, "%zu bytes; a record has at most %d", length,
				 CANCEL_RECORD_MAX);
	code = parse_object(&json, text, length, error);
	if (code < 0)
		return code;
	cancel_request_init(&read);
	expected = wrong_field(fields, sizeof fields / sizeof fields[0], json, &read);
	if (expected) {
		json_decref(json);
		return error_set(error, -EBADMSG, "expected %s", expected);
	}
	read.json = json;
	*request = read;
	return 0;
}
