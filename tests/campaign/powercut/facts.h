/* What the processes of a scenario began, and what they were told: the promises that a power cut is held
 * against. */
#ifndef POWERCUT_FACTS_H
#define POWERCUT_FACTS_H

#include <cancel/cancel.h>

#include <stdbool.h>

enum {
	FACTS_FD = 200, /* a scenario's process writes its facts there, and the recorder reads them */
	FACTS_DEAD_MAX = 8,
};

/* An id that a foreign program's file has: it differs from look to look. */
#define FACTS_ANY_ID "*"

struct fact {
	enum fact_what {
		FACT_BASELINE, /* what happened so far is on disk: the power is cut after this only */
		FACT_ASKING,
		FACT_ACCEPTED, /* the request with this id stands */
		FACT_DECIDING, /* with this outcome */
		FACT_DECIDED,
		FACT_RESETTING,
		FACT_RESET,
		FACT_REMOVING, /* a sweep may remove the processed record */
	} what;
	int task;
	enum cancel_outcome outcome;
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
};

/* What must be true of one task. An id that is "" is none. */
struct duty {
	char standing[CANCEL_REQUEST_ID_LENGTH + 1];             /* accepted, and nobody began to decide it */
	char deciding[CANCEL_REQUEST_ID_LENGTH + 1];             /* accepted, and somebody did */
	char decided[CANCEL_REQUEST_ID_LENGTH + 1];              /* the latest that was told as decided */
	enum cancel_outcome outcome;                             /* of that */
	char dead[FACTS_DEAD_MAX][CANCEL_REQUEST_ID_LENGTH + 1]; /* all that were told as decided */
	int dead_count;
	bool asking;      /* somebody began to ask, and was not told yet */
	bool may_be_gone; /* somebody began to remove what was decided */
	bool is_open;     /* nothing is promised */
};

void duty_begin(struct duty *duty);

/* `promised`: what was told survives a power cut. What was begun always counts. */
void duty_learn(struct duty *duty, const struct fact *fact, bool promised);

/* Is this an id that the duty names? FACTS_ANY_ID names all. */
bool duty_is(const char *named, const char *id);
bool duty_is_dead(const struct duty *duty, const char *id);

#endif
