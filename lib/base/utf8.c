#include "utf8.h"

/* By lead byte: how long, which bits of it count, and the smallest character that may be so long. */
static const struct form {
	unsigned char lead, mask;
	unsigned char bytes;
	uint32_t smallest;
} forms[] = {
	{0x00, 0x80, 1, 0x0},
	{0xc0, 0xe0, 2, 0x80},
	{0xe0, 0xf0, 3, 0x800},
	{0xf0, 0xf8, 4, 0x10000},
};

static const struct form *form_of(unsigned char lead)
{
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if ((lead & forms[i].mask) == forms[i].lead)
			return &forms[i];
	return NULL;
}

size_t utf8_next(const char *text, size_t length, uint32_t *character)
{
	const unsigned char *bytes = (const unsigned char *)text;
	const struct form *form = length ? form_of(bytes[0]) : NULL;
	uint32_t value;

	if (!form || length < form->bytes)
		return 0;
	value = bytes[0] & (uint32_t)~form->mask & 0xff;
	for (size_t i = 1; i < form->bytes; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < form->smallest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*character = value;
	return form->bytes;
}

bool utf8_valid(const char *text, size_t length)
{
	uint32_t character;

	while (length) {
		/* Most text is ASCII, and ids are checked at every checkpoint that asks the disk. */
		size_t bytes = (unsigned char)*text < 0x80 ? 1 : utf8_next(text, length, &character);

		if (!bytes)
			return false;
		text += bytes;
		length -= bytes;
	}
	return true;
}
