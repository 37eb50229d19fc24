/* What a process did to one directory and all below it, step by step: what the model of a disk is fed with.
 */
#ifndef POWERCUT_JOURNAL_H
#define POWERCUT_JOURNAL_H

#include "facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

enum {
	JOURNAL_ROOT = 0, /* the node that is the directory itself */
	JOURNAL_NOTHING = -1,
	JOURNAL_STEPS_MAX = 1024,
	JOURNAL_NODES_MAX = 256,
	JOURNAL_NAME_SIZE = 256,
};

struct journal_attributes {
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	struct timespec changed; /* the modification time */
};

/* From now on `name` in `directory` leads to `node`, or to JOURNAL_NOTHING. */
struct journal_name {
	int directory;
	char name[JOURNAL_NAME_SIZE];
	int node;
};

struct journal_step {
	enum journal_what {
		STEP_NODE,       /* `node` is made; it has no name yet */
		STEP_NAMES,      /* one name changes, or two at once */
		STEP_CONTENT,    /* of `node`, all of it */
		STEP_ATTRIBUTES, /* of `node` */
		STEP_SYNC_DATA,  /* fdatasync */
		STEP_SYNC,       /* fsync */
		STEP_SYNC_ALL,   /* syncfs, sync */
		STEP_FACT,
	} what;
	const char *call; /* the system call's name; it lives as long as the program */
	int node;
	struct journal_name names[2];
	int name_count;
	char *content;
	size_t size;
	uint64_t content_hash;
	struct journal_attributes attributes;
	struct fact fact;
};

struct journal {
	struct journal_step steps[JOURNAL_STEPS_MAX];
	size_t count;
	size_t baseline; /* what is before this step is on disk; a FACT_BASELINE moves it */
	bool is_directory[JOURNAL_NODES_MAX];
	int node_count;
};

/* An empty directory. */
void journal_begin(struct journal *journal);
void journal_end(struct journal *journal);

/* Each adds a step. Running out of room aborts. */
int journal_node(struct journal *journal, const char *call, bool is_directory,
		 const struct journal_attributes *attributes);
void journal_name(struct journal *journal, const char *call, int directory, const char *name, int node);
/* Two names change at once: a rename, or an exchange. */
void journal_rename(struct journal *journal, const char *call, const struct journal_name *from,
		    const struct journal_name *to);
void journal_content(struct journal *journal, const char *call, int node, const char *content, size_t size);
void journal_attributes(struct journal *journal, const char *call, int node,
			const struct journal_attributes *attributes);
void journal_sync(struct journal *journal, const char *call, enum journal_what what, int node);
void journal_fact(struct journal *journal, const struct fact *fact);

/* Where a name leads now, with everything done: JOURNAL_NOTHING if nowhere. */
int journal_find(const struct journal *journal, int directory, const char *name);

/* A hash of several things, one after the other. */
#define JOURNAL_MIX_BEGIN 0xcbf29ce484222325U
uint64_t journal_mix(uint64_t hash, const void *data, size_t size);

#endif
