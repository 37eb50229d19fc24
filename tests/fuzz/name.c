/*
 * Ids as names of files: a task id, a run id, and the same of another task, with NULs between. The name is
 * what cancel-spool(5) says, stands in any directory, leads back to its ids, and is nobody else's. The same
 * bytes as a name: it is ours, or foreign.
 */
#include "fuzzing.h"

#include "lease.h"
#include "name.h"
#include "sha256.h"
#include "utf8.h"

#include <errno.h>

enum {
	CUT_LENGTH = 100,
	HASH_DIGITS = 32,
	ESCAPED_SIZE = 2 * 3 * CANCEL_TASK_ID_MAX + 2,
};

struct ids {
	char *task_id, *run; /* no run: NULL */
	bool good;
	char name[NAME_SIZE];
};

/* --- the manual's way --------------------------------------------------------------------------------- */

static size_t escape(char *target, const char *id)
{
	size_t used = 0;

	for (size_t i = 0; id[i]; i++)
		if ((unsigned char)id[i] < 32 || strchr("/%@\x7f", id[i]) || (i == 0 && id[i] == '.'))
			used += (size_t)sprintf(target + used, "%%%02X", (unsigned char)id[i]);
		else
			target[used++] = id[i];
	target[used] = '\0';
	return used;
}

static void expected_name(char name[NAME_SIZE], const struct ids *ids)
{
	static char whole[ESCAPED_SIZE];
	unsigned char digest[SHA256_SIZE];
	size_t length = escape(whole, ids->task_id);

	if (ids->run) {
		whole[length++] = '@';
		length += escape(whole + length, ids->run);
	}
	if (length <= CANCEL_NAME_MAX) {
		(void)strcpy(name, whole);
		return;
	}
	sha256(digest, whole, length);
	name += sprintf(name, "%.*s%%~", CUT_LENGTH, whole);
	for (int i = 0; i < HASH_DIGITS / 2; i++)
		name += sprintf(name, "%02x", digest[i]);
}

/* --- what is promised --------------------------------------------------------------------------------- */

static void check_stands_anywhere(const char *name)
{
	size_t length = strlen(name);

	check(length >= 1 && length <= CANCEL_NAME_MAX && length + strlen(NAME_SUFFIX) <= 255);
	check(name[0] != '.' && !strchr(name, '/'));
	for (const char *at = name; *at; at++)
		check((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void check_leads_back(const struct ids *ids)
{
	size_t length = strlen(ids->name);
	struct name_ids decoded;
	enum name_kind kind = name_decode(&decoded, ids->name, length);

	if (kind == NAME_HASHED) {
		check(length == CUT_LENGTH + 2 + HASH_DIGITS && strstr(ids->name, "%~"));
		return;
	}
	check(kind == NAME_WHOLE && !strcmp(decoded.task_id, ids->task_id));
	check(decoded.has_run == (ids->run != NULL) && (!ids->run || !strcmp(decoded.run, ids->run)));
}

static void check_file(const struct ids *ids)
{
	char file[NAME_FILE_SIZE];

	name_to_file(file, ids->name);
	check(name_of_file(file) == strlen(ids->name) && !memcmp(file, ids->name, strlen(ids->name)));
	check(name_of_file(ids->name) == 0 || !strcmp(ids->name + strlen(ids->name) - 5, NAME_SUFFIX));
	check(lease_is_name(ids->name));
}

static bool is_good(const char *id, size_t max)
{
	struct cancel_error error = {.code = 0};
	size_t length = strlen(id);
	bool good = length >= 1 && length <= max && utf8_valid(id, length);
	int code = name_check_id(id, max, "id", &error);

	check(good == (code == 0) && error.code == code);
	if (!good)
		check_sentence(error.text);
	return good;
}

static struct ids take(struct input *input)
{
	struct ids ids = {.task_id = input_text(input, SIZE_MAX), .run = input_text(input, SIZE_MAX)};
	char expected[NAME_SIZE];

	if (!ids.run[0]) {
		free(ids.run);
		ids.run = NULL;
	}
	ids.good =
		is_good(ids.task_id, CANCEL_TASK_ID_MAX) && (!ids.run || is_good(ids.run, CANCEL_RUN_ID_MAX));
	if (!ids.good)
		return ids;
	name_encode(ids.name, ids.task_id, ids.run);
	expected_name(expected, &ids);
	check(!strcmp(ids.name, expected));
	check_stands_anywhere(ids.name);
	check_leads_back(&ids);
	check_file(&ids);
	return ids;
}

static bool same_ids(const struct ids *one, const struct ids *other)
{
	return !strcmp(one->task_id, other->task_id) && !one->run == !other->run &&
	       (!one->run || !strcmp(one->run, other->run));
}

/* A name that is whole is the only one of its ids. */
static void check_raw(const uint8_t *data, size_t size)
{
	char again[NAME_SIZE];
	struct name_ids ids;

	if (name_decode(&ids, (const char *)data, size) != NAME_WHOLE)
		return;
	name_encode(again, ids.task_id, ids.has_run ? ids.run : NULL);
	check(strlen(again) == size && !memcmp(again, data, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size, 0};
	struct ids one = take(&input), other = take(&input);

	/* DESIGN.md, invariant 14 */
	if (one.good && other.good)
		check(same_ids(&one, &other) == !strcmp(one.name, other.name));
	check_raw(data, size);
	free(one.task_id);
	free(one.run);
	free(other.task_id);
	free(other.run);
	return 0;
}
