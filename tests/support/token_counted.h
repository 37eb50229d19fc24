/* A counted cause that counts how often it was released. */
#ifndef SUPPORT_TOKEN_COUNTED_H
#define SUPPORT_TOKEN_COUNTED_H

#include <cancel/cause.h>

struct token_counted {
	struct cancel_cause cause;
	int released;
};

/* Held once, by its maker. */
void token_counted_make(struct token_counted *counted);

#endif
