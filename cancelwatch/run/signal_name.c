#include "signal_name.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_LENGTH_MAX 3

static int parse_number(const char *text)
{
	size_t length = strspn(text, "0123456789");
	int number = length > 0 && text[length] == '\0' && length <= NUMBER_LENGTH_MAX ? atoi(text) : 0;

	return number >= 1 && number < NSIG ? number : -EINVAL;
}

int signal_parse(const char *text)
{
	const char *word = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;

	if (isdigit((unsigned char)*text))
		return parse_number(text);
	for (int number = 1; number < NSIG; number++) {
		const char *name = sigabbrev_np(number);

		if (name != NULL && strcasecmp(name, word) == 0)
			return number;
	}
	return -EINVAL;
}

const char *signal_name(char name[SIGNAL_NAME_SIZE], int number)
{
	const char *known = sigabbrev_np(number);

	if (known != NULL)
		(void)snprintf(name, SIGNAL_NAME_SIZE, "SIG%s", known);
	else
		(void)snprintf(name, SIGNAL_NAME_SIZE, "signal %d", number);
	return name;
}
