/* Any bytes as text, as a duration and as a time: what is shown is obeyed by no terminal and says which bytes
 * they were, and what is read is written so that it reads the same. */
#include "fuzzing.h"

#include "utf8.h"

#include <cancel/text.h>

#include <errno.h>

enum {
	SIZES = 8, /* of targets that the text may not fit into */
};

/* --- UTF-8 -------------------------------------------------------------------------------------------- */

static unsigned lead_length(unsigned char lead)
{
	return lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

/* RFC 3629, section 4: the second byte decides about overlong forms, surrogates and the end. */
static bool second_fits(unsigned char lead, unsigned char second)
{
	unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

	return second >= low && second <= high;
}

static bool is_valid(const uint8_t *text, size_t length)
{
	for (size_t at = 0, bytes; at < length; at += bytes) {
		bytes = lead_length(text[at]);
		if (!bytes || bytes > length - at || (bytes > 1 && !second_fits(text[at], text[at + 1])))
			return false;
		for (size_t i = 2; i < bytes; i++)
			if ((text[at + i] & 0xc0) != 0x80)
				return false;
	}
	return true;
}

/* --- escaping ----------------------------------------------------------------------------------------- */

static bool is_obeyed(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character <= 0x9f) || character == 0x200e ||
	       character == 0x200f || (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069);
}

static int digit(char hex)
{
	return hex <= '9' ? hex - '0' : hex - 'A' + 10;
}

/* Take one escape at `at`. */
static const char *unescape(const char *at, uint8_t *byte)
{
	const char *letter = strchr("n\nt\tr\r\\\\", at[1]);

	if (at[1] == 'x') {
		*byte = (uint8_t)(digit(at[2]) << 4 | digit(at[3]));
		return at + 4;
	}
	check(letter && at[1]);
	*byte = (uint8_t)letter[1];
	return at + 2;
}

/* It is valid, obeyed by nobody, and stands for the first `said` bytes. */
static size_t check_shown(const char *shown, const uint8_t *data, size_t size)
{
	size_t said = 0, left = strlen(shown), bytes;
	uint32_t character;

	while (left) {
		const char *next = shown;

		bytes = utf8_next(shown, left, &character);
		check(bytes && !is_obeyed(character));
		if (*shown == '\\') {
			uint8_t byte;

			next = unescape(shown, &byte);
			check(said < size && data[said++] == byte);
		} else {
			check(bytes <= size - said && !memcmp(shown, data + said, bytes));
			said += bytes;
			next += bytes;
		}
		left -= (size_t)(next - shown);
		shown = next;
	}
	return said;
}

static void check_escape(const uint8_t *data, size_t size)
{
	size_t room = CANCEL_ESCAPED_SIZE(size);
	char *target = malloc(room);

	check(target != NULL);
	check(cancel_text_escape(target, room, (const char *)data, size) == target);
	check(check_shown(target, data, size) == size);
	for (size_t cut = 1; cut <= SIZES && cut <= room; cut++) {
		char *small = malloc(cut);

		check(small != NULL);
		(void)cancel_text_escape(small, cut, (const char *)data, size);
		check(strlen(small) < cut && !strncmp(small, target, strlen(small)));
		(void)check_shown(small, data, size);
		free(small);
	}
	free(target);
}

/* --- durations and times ------------------------------------------------------------------------------ */

static void check_duration(const char *text)
{
	char shown[CANCEL_DURATION_SIZE];
	int64_t duration_ms = -1, again_ms = -1;
	int code = cancel_duration_parse(text, &duration_ms);

	check(code == 0 || ((code == -EINVAL || code == -ERANGE) && duration_ms == -1));
	if (code < 0)
		return;
	check(duration_ms >= 0 && duration_ms <= 10LL * 366 * 86400 * 1000 && text[0] >= '0' &&
	      text[0] <= '9');
	check(cancel_duration_parse(cancel_duration_format(shown, duration_ms), &again_ms) == 0);
	check(again_ms == duration_ms && strlen(shown) <= strlen(text) + 2);
}

static void check_time(const char *text)
{
	char shown[CANCEL_TIME_SIZE], again[CANCEL_TIME_SIZE];
	int64_t time_us = INT64_MIN, again_us;

	if (cancel_time_parse(text, &time_us) < 0) {
		check(time_us == INT64_MIN);
		return;
	}
	(void)cancel_time_format(shown, time_us);
	check(strlen(shown) == strlen("2026-11-20T10:11:12.123456Z"));
	check(cancel_time_parse(shown, &again_us) == 0);
	check(!strcmp(cancel_time_format(again, again_us), shown));
	/* The offset may lead out of the years that can be written. */
	check(again_us == time_us || !strncmp(shown, "0000-01-01T00:00:00.000000", 26) ||
	      !strncmp(shown, "9999-12-31T23:59:59.999999", 26));
}

/* Any 8 bytes as microseconds. */
static void check_any_time(const uint8_t *data, size_t size)
{
	char shown[CANCEL_TIME_SIZE];
	int64_t time_us = 0, again_us;

	memcpy(&time_us, data, size < sizeof(time_us) ? size : sizeof(time_us));
	check(cancel_time_parse(cancel_time_format(shown, time_us), &again_us) == 0);
	check(time_us < -62167219200000000 || time_us >= 253402300800000000 || again_us == time_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size, 0};
	char *text = input_text(&input, SIZE_MAX);

	check(utf8_valid((const char *)data, size) == is_valid(data, size));
	check_escape(data, size);
	check_duration(text);
	check_time(text);
	if (size)
		check_any_time(data, size);
	free(text);
	return 0;
}
