/* Will systemd-tmpfiles age a directory away? By the rules of tmpfiles.d(5). */
#ifndef CANCELWATCH_TMPFILES_H
#define CANCELWATCH_TMPFILES_H

#include <limits.h>
#include <stdbool.h>

#define TMPFILES_RULE_MAX 512

struct tmpfiles_verdict {
	bool ages;
	char path[PATH_MAX];          /* the path of the rule that decides; "" when none does */
	char file[PATH_MAX];          /* where it stands */
	char rule[TMPFILES_RULE_MAX]; /* its line, cut */
};

/* Judge `path`, absolute. Returns 0, or a negative errno when the rules could not be read. */
int tmpfiles_judge(const char *path, struct tmpfiles_verdict *verdict);

#endif
