/* Where it is played: a filesystem of our own with the spool in each of its forms, a tree of the victim's
 * that nobody may harm (the canary), and the attacker's lair. Two users that nobody else is, and a group of
 * both. */
#ifndef HOSTILE_STAGE_H
#define HOSTILE_STAGE_H

#include <cancel/spool.h>

#include <stdbool.h>
#include <sys/types.h>

/* In every file of the victim's that is secret, and in nothing else. */
#define STAGE_SECRET "d41f8c-secret-of-the-victim"

/* A form of the spool, and what is promised in it. */
struct form {
	const char *name;
	bool root_is_victim;
	bool attacker_owns; /* the spool and the directory that it is in */
	bool is_member;     /* the attacker is of the spool's group */
	bool sticky;        /* the directory that the spool is in is as /tmp */
	bool trusts_victim; /* trusted_users: the victim and nobody else */
	bool quiet;         /* nothing that the attacker writes cancels a task */
	bool attributes;    /* what the attacker writes is known as his */
	bool keeps;         /* nothing that the attacker can do takes an accepted request away */
};

enum {
	FORM_COUNT = 5,
};

extern const struct form forms[FORM_COUNT];

struct stage {
	char root[64], box[96], spool[128], canary[96], lair[96], config[96];
	uid_t victim,
		attacker; /* the victim's own uid: where root is the victim it is 0, see stage_victim() */
	gid_t group;
	bool is_small; /* a filesystem of few bytes and inodes, which can be filled */
	/* Where fs.protected_hardlinks cannot be turned off, the second links that he could make then lie in
	 * the lair. */
	bool gives_links;
	const struct form *form;
};

/* Make it, as root; skips the campaign where that cannot be done. */
void stage_begin(struct stage *stage);
void stage_end(struct stage *stage);

/* Whoever is the victim now. */
uid_t stage_victim(const struct stage *stage);

/* Begin anew in a form: a directory, no spool in it yet, a canary that is whole. */
void stage_set(struct stage *stage, const struct form *form);

/* How the victim opens the spool there. */
void stage_options(const struct stage *stage, struct cancel_spool_options *options);

/* Become one of the two, for good. */
void stage_become(const struct stage *stage, uid_t uid);

/* NULL, or what was done to the canary. Remembers how it is now: each harm is told once. */
const char *stage_harm(struct stage *stage);

/* NULL, or the file in the spool or the lair by which the attacker can read the secret. */
const char *stage_leak(const struct stage *stage);

#endif
