#include "survivors.h"

#include "tree.h"

#include <cancel/text.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_SIZE 256 /* room for what is said of one, and of how many more there are */

/* Returns the length of its text. */
static size_t describe(char *text, size_t size, const struct tree_process *left)
{
	char name[CANCEL_ESCAPED_SIZE(PROCESS_NAME_SIZE)];

	cancel_text_escape(name, sizeof name, left->stat.name, strlen(left->stat.name));
	if (left->error < 0)
		return (size_t)snprintf(text, size, "pid %d (%s) cannot be signalled: %s",
					(int)left->stat.pid, name, strerror(-left->error));
	return (size_t)snprintf(text, size, "pid %d (%s) survives SIGKILL, state %c", (int)left->stat.pid,
				name, left->stat.state);
}

void survivors_name(char *text, size_t size)
{
	struct tree tree = {0};
	size_t used = 0;

	(void)snprintf(text, size, "what it started cannot be found without /proc");
	(void)tree_signal(&tree, SIGKILL);
	for (size_t i = 0; i < tree.count; i++) {
		/* Never a part of one: a name may hold any characters. */
		if (used + SHOWN_SIZE > size) {
			(void)snprintf(text + used, size - used, " and %zu more", tree.count - i);
			break;
		}
		if (used > 0)
			used += (size_t)snprintf(text + used, size - used, ", ");
		used += describe(text + used, size - used, &tree.list[i]);
	}
	tree_free(&tree);
}
