#include "later.h"

#include <stdio.h>
#include <string.h>

static struct later_name *nth(struct later *later, size_t n)
{
	return &later->names[(later->first + n) % LATER_MAX];
}

static bool holds(struct later *later, enum spool_dir dir, const char *file)
{
	for (size_t i = 0; i < later->count; i++)
		if (nth(later, i)->dir == dir && !strcmp(nth(later, i)->file, file))
			return true;
	return false;
}

bool later_add(struct later *later, enum spool_dir dir, const char *file)
{
	struct later_name *name;

	if (holds(later, dir, file))
		return true;
	if (later->count == LATER_MAX)
		return false;
	name = nth(later, later->count++);
	name->dir = dir;
	(void)snprintf(name->file, sizeof name->file, "%s", file);
	return true;
}

bool later_take(struct later *later, struct later_name *name)
{
	if (!later->count)
		return false;
	*name = *nth(later, 0);
	later->first = (later->first + 1) % LATER_MAX;
	later->count--;
	return true;
}
