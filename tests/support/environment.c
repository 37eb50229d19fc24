#include "environment.h"

#include <stdlib.h>

#define LARGEST (24 * 3600)

long environment_number(const char *name, long otherwise)
{
	const char *text = getenv(name);
	long number = text ? strtol(text, NULL, 10) : 0;

	return number > 0 && number < LARGEST ? number : otherwise;
}
