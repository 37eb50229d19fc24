#include "name.h"

#include "error.h"
#include "sha256.h"
#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RUN_SEPARATOR '@'
#define CUT_LENGTH 100    /* bytes that a name keeps when it is too long */
#define CUT_MARK "%~"     /* no escape: "%" is followed by two hex digits otherwise */
#define CUT_HASH_BYTES 16 /* 128 bits */
#define ESCAPED_ID_SIZE (3 * CANCEL_TASK_ID_MAX + 1)

int name_check_id(const char *id, size_t max, const char *what, struct cancel_error *error)
{
	size_t length = id ? strlen(id) : 0;

	if (!length)
		return error_set(error, -EINVAL, "the %s is empty; give 1 to %zu bytes", what, max);
	if (length > max)
		return error_set(error, -ENAMETOOLONG, "the %s is %zu bytes long; at most %zu are allowed", what,
				 length, max);
	if (!utf8_valid(id, length))
		return error_set(error, -EILSEQ, "the %s '%s' is not valid UTF-8", what, QUOTE(id));
	return 0;
}

static bool must_escape(unsigned char byte, bool first)
{
	return byte < 0x20 || byte == 0x7f || byte == '/' || byte == '%' || byte == RUN_SEPARATOR ||
	       (first && byte == '.');
}

static char *escape_id(char *target, const char *id)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const char *at = id; *at; at++) {
		unsigned char byte = (unsigned char)*at;

		if (must_escape(byte, at == id)) {
			*target++ = '%';
			*target++ = hex[byte >> 4];
			*target++ = hex[byte & 15];
		} else {
			*target++ = *at;
		}
	}
	*target = '\0';
	return target;
}

/* The first bytes for people who look, then a hash of the whole escaped name. */
static void cut_name(char name[NAME_SIZE], const char *escaped, size_t length)
{
	unsigned char digest[SHA256_SIZE];
	char *end = name + CUT_LENGTH;

	sha256(digest, escaped, length);
	memcpy(name, escaped, CUT_LENGTH);
	end += sprintf(end, "%s", CUT_MARK);
	for (int i = 0; i < CUT_HASH_BYTES; i++)
		end += sprintf(end, "%02x", digest[i]);
}

void name_encode(char name[NAME_SIZE], const char *task_id, const char *run)
{
	char escaped[2 * ESCAPED_ID_SIZE];
	char *end = escape_id(escaped, task_id);
	size_t length;

	if (run) {
		*end++ = RUN_SEPARATOR;
		end = escape_id(end, run);
	}
	length = (size_t)(end - escaped);
	if (length > CANCEL_NAME_MAX)
		cut_name(name, escaped, length);
	else
		memcpy(name, escaped, length + 1);
}

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static bool unescape(char *target, const char *source, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (source[i] != '%') {
			*target++ = source[i];
			continue;
		}
		if (length - i < 3 || hex_value(source[i + 1]) < 0 || hex_value(source[i + 2]) < 0)
			return false;
		*target = (char)(hex_value(source[i + 1]) << 4 | hex_value(source[i + 2]));
		if (!*target++)
			return false;
		i += 2;
	}
	*target = '\0';
	return true;
}

static bool looks_cut(const char *name, size_t length)
{
	const size_t mark_length = sizeof CUT_MARK - 1;
	const char *hash = name + CUT_LENGTH + mark_length;

	if (length != CUT_LENGTH + mark_length + 2 * CUT_HASH_BYTES ||
	    memcmp(name + CUT_LENGTH, CUT_MARK, mark_length))
		return false;
	return strspn(hash, "0123456789abcdef") >= 2 * (size_t)CUT_HASH_BYTES;
}

static bool split(struct name_ids *ids, const char *name, size_t length)
{
	const char *separator = memchr(name, RUN_SEPARATOR, length);
	size_t task_length = separator ? (size_t)(separator - name) : length;

	ids->has_run = separator != NULL;
	ids->run[0] = '\0';
	return unescape(ids->task_id, name, task_length) &&
	       (!separator || unescape(ids->run, separator + 1, length - task_length - 1));
}

enum name_kind name_decode(struct name_ids *ids, const char *name, size_t length)
{
	char again[NAME_SIZE];

	if (!length || length > CANCEL_NAME_MAX)
		return NAME_FOREIGN;
	if (looks_cut(name, length))
		return NAME_HASHED;
	if (!split(ids, name, length) ||
	    name_check_id(ids->task_id, CANCEL_TASK_ID_MAX, "task id", NULL) < 0 ||
	    (ids->has_run && name_check_id(ids->run, CANCEL_RUN_ID_MAX, "run id", NULL) < 0))
		return NAME_FOREIGN;
	/* Only the one name that the encoder writes counts; else two files could mean one task. */
	name_encode(again, ids->task_id, ids->has_run ? ids->run : NULL);
	return strlen(again) == length && !memcmp(again, name, length) ? NAME_WHOLE : NAME_FOREIGN;
}

size_t name_of_file(const char *file)
{
	const size_t suffix_length = sizeof NAME_SUFFIX - 1;
	size_t length = strlen(file);

	if (file[0] == '.' || length <= suffix_length || length - suffix_length > CANCEL_NAME_MAX ||
	    strcmp(file + length - suffix_length, NAME_SUFFIX))
		return 0;
	return length - suffix_length;
}

void name_to_file(char file[NAME_FILE_SIZE], const char *name)
{
	(void)stpcpy(stpcpy(file, name), NAME_SUFFIX);
}
