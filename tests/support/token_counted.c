#include "token_counted.h"

static void release(struct cancel_cause *cause)
{
	((struct token_counted *)cause)->released++;
}

void token_counted_make(struct token_counted *counted)
{
	counted->cause = (struct cancel_cause)CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "counted");
	counted->cause.release = release;
	counted->released = 0;
}
