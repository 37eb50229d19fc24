#include "clock.h"
#include "error.h"
#include "pool.h"

#include <cancel/text.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT_S  300
#define RETRIES_DEFAULT    3
#define INTERVAL_DEFAULT_S 60
#define NUMBER_SIZE        32 /* of the longest text that is a time or a number in its range */
#define RETRY_PAUSE_MAX_NS (CANCEL_RETRY_PAUSE_MAX_S * CANCEL_SECOND)

void cancel_tries_init(struct cancel_tries *tries)
{
	*tries = (struct cancel_tries){
		.timeout_ns = TIMEOUT_DEFAULT_S * CANCEL_SECOND,
		.retries = RETRIES_DEFAULT,
		.retry_interval_ns = INTERVAL_DEFAULT_S * CANCEL_SECOND,
	};
}

int tries_check(const struct cancel_tries *tries, struct cancel_error *error)
{
	if (tries->timeout_ns < 1)
		return error_set(error, -EINVAL, "the timeout of a try must be more than nothing");
	if (tries->retries > CANCEL_RETRIES_MAX)
		return error_set(error, -EINVAL, "%u retries are too many: at most %d are allowed",
				 tries->retries, CANCEL_RETRIES_MAX);
	if (tries->retry_interval_ns < 0)
		return error_set(error, -EINVAL, "the pause before a retry is negative");
	return 0;
}

/* --- the environment ---------------------------------------------------------------------------------- */

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int read_time(const char *text, int64_t *time_ns)
{
	char seconds[NUMBER_SIZE];
	int64_t time_ms;
	int code;

	if (strlen(text) > sizeof seconds - sizeof "s")
		return -ERANGE;
	(void)snprintf(seconds, sizeof seconds, "%s%s", text, is_number(text) ? "s" : "");
	code = cancel_duration_parse(seconds, &time_ms);
	if (code == 0)
		*time_ns = time_ms * CANCEL_MILLISECOND;
	return code;
}

static int read_timeout(const char *text, struct cancel_tries *tries)
{
	int code = read_time(text, &tries->timeout_ns);

	if (code == 0 && tries->timeout_ns == 0)
		tries->timeout_ns = CANCEL_FOREVER;
	return code;
}

static int read_retries(const char *text, struct cancel_tries *tries)
{
	unsigned long number;

	if (!is_number(text))
		return -EINVAL;
	errno = 0;
	number = strtoul(text, NULL, 10);
	if (errno || number > CANCEL_RETRIES_MAX)
		return -ERANGE;
	tries->retries = (unsigned)number;
	return 0;
}

static int read_interval(const char *text, struct cancel_tries *tries)
{
	return read_time(text, &tries->retry_interval_ns);
}

static const struct {
	const char *name, *expected;
	int (*read)(const char *text, struct cancel_tries *tries);
} variables[] = {
	{CANCEL_TASK_TIMEOUT_VARIABLE, "seconds, or a duration such as 5m", read_timeout},
	{CANCEL_MAX_RETRIES_VARIABLE, "a whole number, at most 1000000", read_retries},
	{CANCEL_RETRY_INTERVAL_VARIABLE, "seconds, or a duration such as 500ms", read_interval},
};

_Static_assert(CANCEL_RETRIES_MAX == 1000000, "the sentence names it");

int cancel_tries_load(struct cancel_tries *tries, struct cancel_error *error)
{
	struct cancel_tries loaded = *tries;

	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
		const char *text = secure_getenv(variables[i].name);

		if (!text || !*text || variables[i].read(text, &loaded) == 0)
			continue;
		return error_set(error, -EINVAL, "%s is '%s': expected %s", variables[i].name, QUOTE(text),
				 variables[i].expected);
	}
	*tries = loaded;
	return 0;
}

/* --- the pause ---------------------------------------------------------------------------------------- */

static int64_t smaller(int64_t one, int64_t other)
{
	return one < other ? one : other;
}

int64_t cancel_tries_pause_ns(const struct cancel_tries *tries, unsigned failed)
{
	int64_t pause_ns = tries->retry_interval_ns;

	if (!tries->backs_off)
		return pause_ns;
	for (unsigned i = 1; i < failed && pause_ns > 0 && pause_ns < RETRY_PAUSE_MAX_NS; i++)
		pause_ns = smaller(pause_ns * 2, RETRY_PAUSE_MAX_NS);
	return pause_ns;
}
