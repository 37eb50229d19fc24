#include <cancel/text.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEN_YEARS_MS (10LL * 366 * 86400 * 1000)

/* From the largest, so that formatting takes the first that divides. */
static const struct unit {
	const char *name;
	int64_t ms;
} units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

#define UNIT_COUNT (sizeof units / sizeof units[0])

int cancel_duration_parse(const char *text, int64_t *duration_ms)
{
	int64_t number = 0;
	const char *end = text;

	for (; *end >= '0' && *end <= '9'; end++)
		if (number <= TEN_YEARS_MS)
			number = number * 10 + (*end - '0');
	if (end == text)
		return -EINVAL;
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		if (strcmp(end, units[i].name))
			continue;
		if (number > TEN_YEARS_MS / units[i].ms)
			return -ERANGE;
		*duration_ms = number * units[i].ms;
		return 0;
	}
	return -EINVAL;
}

char *cancel_duration_format(char target[CANCEL_DURATION_SIZE], int64_t duration_ms)
{
	size_t i = 0;

	while (i < UNIT_COUNT - 1 && (duration_ms % units[i].ms || !duration_ms))
		i++;
	if (!duration_ms)
		i = UNIT_COUNT - 2;
	(void)snprintf(target, CANCEL_DURATION_SIZE, "%" PRId64 "%s", duration_ms / units[i].ms,
		       units[i].name);
	return target;
}
