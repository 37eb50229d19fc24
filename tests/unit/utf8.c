#include "utf8.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t encode(char bytes[4], uint32_t character)
{
	size_t length = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = length - 1; i > 0; i--, character >>= 6)
		bytes[i] = (char)(0x80 | (character & 0x3f));
	bytes[0] = (char)(leads[length] | character);
	return length;
}

Test(utf8, every_character_is_read_but_surrogates)
{
	for (uint32_t character = 0; character <= 0x110000; character++) {
		bool valid = character <= 0x10ffff && !(character >= 0xd800 && character <= 0xdfff);
		char bytes[4];
		size_t length = encode(bytes, character);
		uint32_t read = 0xffffffff;

		cr_assert_eq(utf8_next(bytes, length, &read), valid ? length : 0, "U+%04X", character);
		cr_assert_eq(utf8_valid(bytes, length), valid, "U+%04X", character);
		if (valid)
			cr_assert_eq(read, character);
	}
}

Test(utf8, what_rfc_3629_forbids_is_invalid)
{
	static const char *const wrong[] = {
		"\xc0\x80", "\xc1\xbf",         "\xe0\x80\x80", "\xe0\x9f\xbf",     "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
		"\x80",     "\xbf",             "\xc3",         "\xc3(",            "\xe2\x82",         "\xe2(\xa1",
		"\xe2\x82(", "\xf0\x9f\x9b",    "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe",     "\xff",
		"\xf4\x90\x80\x80", "a\xff", "\xc3\xb6\xb6",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert(!utf8_valid(wrong[i], strlen(wrong[i])), "number %zu", i);
}

Test(utf8, a_character_that_is_cut_off_is_not_read_past_the_end)
{
	uint32_t character;

	cr_assert_eq(utf8_next("\xf0\x9f\x9b\x91", 3, &character), 0);
	cr_assert_eq(utf8_next("\xf0\x9f\x9b\x91", 4, &character), 4);
	cr_assert_eq(character, 0x1f6d1);
	cr_assert_eq(utf8_next("", 0, &character), 0);
	cr_assert(utf8_valid("", 0));
	cr_assert(!utf8_valid("\xc3\xb6", 1));
}
