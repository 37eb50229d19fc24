/* Records as text. */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H

#include <cancel/request.h>

#include <stdbool.h>

#define NONE_GIVEN "(none given)"

/* A record's text while it is written: on the stack until it outgrows that. */
struct record_text {
	char *data;
	size_t used, size;
	bool failed; /* memory ran out; further writing does nothing */
	char room[1536];
};

/* Write the record, a newline last; a failure leaves nothing to clear. 0, -ENOMEM, or -EMSGSIZE when it would be over CANCEL_RECORD_MAX. */
int record_write(struct record_text *text, const struct cancel_request *request, struct cancel_error *error);
/* The same for a request that stands already and must stay one that can be decided: what makes it too large is left
 * out, unknown fields first, then the ends of the reason and the detail. */
int record_write_fitting(struct record_text *text, const struct cancel_request *request,
			 struct cancel_error *error);
void record_text_clear(struct record_text *text);

/* This program's name; NULL where that cannot stand in a record: a program is called what its parent likes, and a record
 * that nobody can read would cancel nobody. */
const char *record_program(void);

/* Whether the cancel that a processed record names is its own request, and no predecessor. */
bool record_names_own_cancel(const struct cancel_request *decided);

/* Fields that record_write writes, at the top and in a party: everything else is somebody else's and kept. */
bool record_knows(const char *field);
bool record_knows_party(const char *field);

#endif
