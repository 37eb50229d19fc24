#include <cancel/text.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *escaped(const char *source, size_t length)
{
	static char target[CANCEL_ESCAPED_SIZE(256)];

	cr_assert_eq(cancel_text_escape(target, sizeof(target), source, length), target);
	return target;
}

#define EXPECT_ESCAPED(source, expected) cr_assert_str_eq(escaped(source, sizeof(source) - 1), expected)

Test(text, plain_text_and_letters_of_any_script_stay)
{
	EXPECT_ESCAPED("task_1 ~!\"'", "task_1 ~!\"'");
	EXPECT_ESCAPED("Größe 日本 \xf0\x9f\x9b\x91", "Größe 日本 \xf0\x9f\x9b\x91");
}

Test(text, bytes_that_a_terminal_obeys_are_escaped)
{
	EXPECT_ESCAPED("a\nb\tc\rd\\e", "a\\nb\\tc\\rd\\\\e");
	EXPECT_ESCAPED("\x1b[2J\x07\x7f", "\\x1B[2J\\x07\\x7F");
	EXPECT_ESCAPED("a\0b", "a\\x00b");
	EXPECT_ESCAPED("\xc2\x9b" "31m", "\\xC2\\x9B31m"); /* CSI as C1 in UTF-8 */
}

Test(text, marks_that_turn_or_split_the_line_are_escaped_byte_by_byte)
{
	EXPECT_ESCAPED("\xe2\x80\xae", "\\xE2\\x80\\xAE"); /* U+202E */
	EXPECT_ESCAPED("\xe2\x80\xa8", "\\xE2\\x80\\xA8"); /* U+2028 */
	EXPECT_ESCAPED("\xe2\x80\x8e\xe2\x80\x8f", "\\xE2\\x80\\x8E\\xE2\\x80\\x8F");
	EXPECT_ESCAPED("\xe2\x81\xa6\xe2\x81\xa9", "\\xE2\\x81\\xA6\\xE2\\x81\\xA9"); /* U+2066, U+2069 */
	EXPECT_ESCAPED("\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\xa7\xe2\x80\xaf");       /* their neighbours */
}

Test(text, bytes_that_are_not_utf8_are_escaped_one_by_one)
{
	EXPECT_ESCAPED("\xff" "a\xc3", "\\xFFa\\xC3");
	EXPECT_ESCAPED("\xed\xa0\x80", "\\xED\\xA0\\x80"); /* a surrogate */
}

Test(text, no_byte_sequence_reaches_a_terminal_raw)
{
	char source[2];

	for (int first = 0; first < 256; first++)
		for (int second = 0; second < 256; second++) {
			const char *target;

			source[0] = (char)first;
			source[1] = (char)second;
			target = escaped(source, 2);
			for (const char *at = target; *at; at++) {
				unsigned char byte = (unsigned char)*at, before = at > target ? (unsigned char)at[-1] : 0;

				cr_assert(byte >= 0x20 && byte != 0x7f, "%02x %02x", first, second);
				cr_assert(!(before == 0xc2 && byte < 0xa0), "C1 from %02x %02x", first, second);
			}
		}
}

Test(text, the_worst_case_just_fits_the_size_that_the_header_names)
{
	char target[CANCEL_ESCAPED_SIZE(4) + 1];

	target[CANCEL_ESCAPED_SIZE(4)] = 'X';
	(void)cancel_text_escape(target, CANCEL_ESCAPED_SIZE(4), "\x01\x02\x03\x04", 4);
	cr_assert_str_eq(target, "\\x01\\x02\\x03\\x04");
	cr_assert_eq(target[CANCEL_ESCAPED_SIZE(4)], 'X');
}

Test(text, what_does_not_fit_is_cut_between_two_characters)
{
	char target[8];

	cr_assert_str_eq(cancel_text_escape(target, 4, "aa\n", 3), "aa");
	cr_assert_str_eq(cancel_text_escape(target, 5, "aa\n", 3), "aa\\n");
	cr_assert_str_eq(cancel_text_escape(target, 4, "ab\xc3\xb6", 4), "ab");
	cr_assert_str_eq(cancel_text_escape(target, 5, "ab\xc3\xb6", 4), "ab\xc3\xb6");
	cr_assert_str_eq(cancel_text_escape(target, 1, "a", 1), "");
	target[0] = 'X';
	(void)cancel_text_escape(target, 0, "a", 1);
	cr_assert_eq(target[0], 'X');
}
