#include "refused.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>

int64_t refused_count(const char *path)
{
	char refused[PATH_MAX];
	const struct dirent *entry;
	int64_t count = 0;
	DIR *dir;

	if (snprintf(refused, sizeof refused, "%s/refused", path) >= (int)sizeof refused)
		return 0;
	dir = opendir(refused);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	(void)closedir(dir);
	return count;
}
