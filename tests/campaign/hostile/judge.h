/* Who looks, after each thing that the victim did, at what came of it; and counts. */
#ifndef HOSTILE_JUDGE_H
#define HOSTILE_JUDGE_H

#include "attacker.h"
#include "stage.h"
#include "victim.h"

/* One match: a stage in one form, an attacker, a victim. */
struct match {
	struct stage *stage;
	struct attacker *attacker;
	struct victim *victim; /* started anew where it has ended, or for another form */
};

struct tally {
	long escapes, lost;
	long plants, windows, raced;
	long longest_ms;
	char longest[64]; /* the operation that took that long */
};

extern struct tally tally;

/* Begin anew in a form, with a victim and, if asked for, a spool that is whole. */
void match_set(struct match *match, const struct form *form, bool makes_spool);
void match_end(struct match *match);

/* Let the victim do an operation, and judge it. `format` says in which circumstances. */
struct verdict match_do(struct match *match, int operation, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Look at the canary, the secret, and what the victim saw. */
void judge(struct match *match, const struct verdict *verdict, const char *circumstances);

/* The victim has died, or does not end. */
void judge_end(struct match *match, const char *what, const char *circumstances);

#endif
