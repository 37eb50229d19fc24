/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing over U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Read one character; returns its bytes (1 to 4), or 0 when what stands there is not valid. */
size_t utf8_next(const char *text, size_t length, uint32_t *character);

bool utf8_valid(const char *text, size_t length);

#endif
