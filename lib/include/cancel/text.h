/**
 * Text that goes to people and comes from them: escaping, durations, times.
 *
 * All calls here are pure: they do not block, allocate or touch the outside world, and any thread and any
 * signal handler may make them.
 */
#ifndef CANCEL_TEXT_H
#define CANCEL_TEXT_H

#include <cancel/export.h>

#include <stddef.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* Room that cancel_text_escape needs for `length` bytes in the worst case, the NUL included. */
#define CANCEL_ESCAPED_SIZE(length) ((length) * 4 + 1)

/**
 * Write `source` so that a terminal shows it and obeys none of it: control bytes (C0, DEL, C1 in UTF-8),
 * backslashes and bytes that are not valid UTF-8 become \n, \t, \r, \\ or \xHH; line and paragraph
 * separators and the marks that turn the direction of writing (U+200E, U+200F, U+2028 to U+202E, U+2066 to
 * U+2069) are written as their bytes in \xHH.
 *
 * @param target  Where to write; always ends in NUL if `size` > 0. Text that does not fit is cut between
 *                two characters.
 * @param size    Bytes at `target`.
 * @param source  Bytes to write, NULs among them allowed.
 * @param length  Bytes at `source`.
 *
 * @return `target`.
 */
CANCEL_API char *cancel_text_escape(char *target, size_t size, const char *source, size_t length);

/**
 * Read a duration: a whole number and its unit, `500ms`, `30s`, `10m`, `24h`, `7d`.
 *
 * @param text         NUL-terminated text; nothing may stand before or after the duration.
 * @param duration_ms  Set to the duration in milliseconds on success, else left alone.
 *
 * @return 0, or
 *         -EINVAL  not a whole number with one of the units;
 *         -ERANGE  over ten years.
 */
CANCEL_API int cancel_duration_parse(const char *text, int64_t *duration_ms);

/* Room for any duration that cancel_duration_format writes. */
#define CANCEL_DURATION_SIZE 32

/**
 * Write a duration as cancel_duration_parse reads it, in the largest unit that keeps it exact.
 *
 * @return `target`.
 */
CANCEL_API char *cancel_duration_format(char target[CANCEL_DURATION_SIZE], int64_t duration_ms);

/* Room for a time as cancel_time_format writes it: 2026-11-20T10:11:12.123456Z */
#define CANCEL_TIME_SIZE 32

/**
 * Write a time as RFC 3339 has it, in UTC, with microseconds.
 *
 * @param time_us  Microseconds since 1970-01-01T00:00:00Z; from year 0 to year 9999.
 *
 * @return `target`.
 */
CANCEL_API char *cancel_time_format(char target[CANCEL_TIME_SIZE], int64_t time_us);

/**
 * Read an RFC 3339 time, with `Z` or an offset, with or without a fraction of a second (digits after
 * the sixth are dropped).
 *
 * @param time_us  Set to microseconds since 1970-01-01T00:00:00Z on success, else left alone.
 *
 * @return 0, or -EINVAL.
 */
CANCEL_API int cancel_time_parse(const char *text, int64_t *time_us);

CANCEL_END_DECLS

#endif
