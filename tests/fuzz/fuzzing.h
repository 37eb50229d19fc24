/* What the fuzzers share: a property that does not hold ends the program, and an input is taken piece by
 * piece. */
#ifndef FUZZ_FUZZING_H
#define FUZZ_FUZZING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libFuzzer, and replay/replay.c, call for each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_check(bool holds, const char *what, const char *file, int line)
{
	if (holds)
		return;
	(void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

#define check(holds) fuzz_check(holds, #holds, __FILE__, __LINE__)

/* The input, and how much of it was taken. Behind its end everything is zero and empty. */
struct input {
	const uint8_t *data;
	size_t size, at;
};

static inline unsigned input_byte(struct input *input)
{
	return input->at < input->size ? input->data[input->at++] : 0;
}

/* At most `max` bytes. */
static inline const char *input_bytes(struct input *input, size_t max, size_t *length)
{
	const char *bytes = (const char *)input->data + input->at;

	*length = input->size - input->at < max ? input->size - input->at : max;
	input->at += *length;
	return bytes;
}

/* The text up to the next NUL, to be freed. */
static inline char *input_text(struct input *input, size_t max)
{
	const char *begin = (const char *)input->data + input->at;
	size_t left = input->size - input->at, length = left ? strnlen(begin, left) : 0;
	char *text = calloc(1, length + 1);

	check(text != NULL);
	if (length)
		memcpy(text, begin, length);
	input->at += length < left ? length + 1 : length;
	if (length > max)
		text[max] = '\0';
	return text;
}

/* A sentence for people: there is one, and no terminal obeys any of it. */
static inline void check_sentence(const char *text)
{
	check(text[0] != '\0');
	for (; *text; text++)
		check((unsigned char)*text >= 0x20 && *text != 0x7f);
}

#endif
