/* The two halves of asking, for one request and for a batch. */
#ifndef SPOOL_ASK_H
#define SPOOL_ASK_H

#include "entry.h"

/* Check what is asked, make its name, and fill in what the library knows. */
int ask_check(const struct cancel_spool *spool, struct cancel_request *request, struct entry *entry,
	      struct cancel_error *error);

/* Publish it where the path leads; as cancel_spool_request. `sync`: with the directory, if the durability asks. */
int ask_publish(struct cancel_spool *spool, const struct entry *entry, const struct cancel_request *request,
		struct cancel_request *standing, bool sync, struct cancel_error *error);

#endif
