#include <cancel/text.h>

#include "utf8.h"

#include <stdbool.h>
#include <string.h>

static size_t escape_byte(char *target, unsigned char byte)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char letters[] = "n\nt\tr\r\\\\";

	target[0] = '\\';
	for (const char *pair = letters; *pair; pair += 2)
		if ((unsigned char)pair[1] == byte) {
			target[1] = pair[0];
			return 2;
		}
	target[1] = 'x';
	target[2] = hex[byte >> 4];
	target[3] = hex[byte & 15];
	return 4;
}

/* Marks that a terminal obeys rather than shows: a name could otherwise be read backwards, or split a line. */
static bool obeyed(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == '\\' ||
	       character == 0x200e || character == 0x200f || (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069);
}

/* Escape the character of `length` bytes at `source`; returns the bytes written, at most 4 for each. */
static size_t escape_character(char *target, const char *source, size_t length)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++)
		used += escape_byte(target + used, (unsigned char)source[i]);
	return used;
}

char *cancel_text_escape(char *target, size_t size, const char *source, size_t length)
{
	size_t used = 0;

	if (!size)
		return target;
	while (length) {
		char piece[16];
		uint32_t character;
		size_t bytes = utf8_next(source, length, &character);
		size_t written;

		if (bytes && !obeyed(character)) {
			memcpy(piece, source, bytes);
			written = bytes;
		} else {
			bytes = bytes ? bytes : 1;
			written = escape_character(piece, source, bytes);
		}
		if (used + written >= size)
			break;
		memcpy(target + used, piece, written);
		used += written;
		source += bytes;
		length -= bytes;
	}
	target[used] = '\0';
	return target;
}
