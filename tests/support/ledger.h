/* What many actors were answered, each in a file of its own, and whether it can all be true. */
#ifndef SUPPORT_LEDGER_H
#define SUPPORT_LEDGER_H

#include <stdint.h>
#include <stdio.h>

enum ledger_kind {
	LEDGER_ASKED,    /* answer: a new request stands */
	LEDGER_STANDING, /* answer: this request is pending */
	LEDGER_WON,      /* answer: this call decided it */
	LEDGER_TOLD,     /* answer: it was decided by somebody */
	LEDGER_DECIDED,  /* seen: its processed record was put in its place */
	LEDGER_ADMITTED, /* seen: a drop's request was published */
	LEDGER_DROPPED,  /* a drop, by what tells it from others: left by a foreign program, whole */
	LEDGER_TAKEN,    /* seen: it became a pending request */
	LEDGER_MERGED,   /* seen: it was removed, and a request as strong stood */
	LEDGER_WASTED,   /* seen: it was removed, and none did */
	LEDGER_PENDING,  /* at the end: it is pending */
	LEDGER_FAILED,   /* a call failed that must not */
	LEDGER_KINDS,
};

struct ledger_event {
	int64_t before_ns, after_ns; /* CLOCK_MONOTONIC, around what happened */
	int32_t kind;
	char id[36];
};

int64_t ledger_now_ns(void);

/* Open an actor's file in the ledger's directory. Aborts when that fails. */
int ledger_open(const char *directory, const char *actor);

/* Append an event that began at `before_ns` and has just ended. Nothing for a ledger of -1. */
void ledger_note(int ledger, enum ledger_kind kind, int64_t before_ns, const char *id);

struct ledger_verdict {
	long events[LEDGER_KINDS];
	long accepted; /* requests that ever stood */
	long violations;
};

/* Merge all files and judge. The first violations are a line each in `complaints` (NULL: nobody reads them).
 */
struct ledger_verdict ledger_judge(const char *directory, FILE *complaints);

#endif
