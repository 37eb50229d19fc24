/* One operation on a spool, broken in one way: its spool, what it was told, and how it ended. The names are
 * fixed: SCENARIO_TASK is what is operated on, SCENARIO_BESIDE is pending, and nobody touches it. */
#ifndef SUPPORT_SCENARIO_TRIAL_H
#define SUPPORT_SCENARIO_TRIAL_H

#include "spool_dir.h"

#include <cancel/cancel.h>

#include <stdbool.h>
#include <stddef.h>

#define SCENARIO_TASK        "task"
#define SCENARIO_RUN         "run"                  /* the id of its runs */
#define SCENARIO_GROUP       SCENARIO_TASK "-group" /* a further id that its runs listen to */
#define SCENARIO_BESIDE      "beside"
#define SCENARIO_REASON      "because"
#define SCENARIO_DROP_REASON "dropped"

enum {
	SCENARIO_FILES_MAX = 16,
	SCENARIO_FILE_SIZE = 64,
	SCENARIO_CLAIMS_MAX = 8,
	SCENARIO_ID_SIZE = CANCEL_REQUEST_ID_LENGTH + 1,
};

/* What a process was told, so that somebody relies on it. */
struct scenario_claim {
	enum scenario_told {
		SCENARIO_TOLD_REQUESTED,       /* this request stands, and is new */
		SCENARIO_TOLD_ALREADY_PENDING, /* this request stands */
		SCENARIO_TOLD_DECIDED,         /* you decided it, with this outcome */
		SCENARIO_TOLD_ALREADY_DECIDED, /* somebody else had */
		SCENARIO_TOLD_STOPPED,         /* this request stops your run */
		SCENARIO_TOLD_RESET,           /* there is nothing of this name any more */
	} what;
	char task[16]; /* which name of the spool */
	char id[SCENARIO_ID_SIZE];
	enum cancel_outcome outcome;
};

/* What the operation said, in memory that is shared with its process. */
struct scenario_result {
	bool returned;             /* it did: it was not killed before */
	int code;                  /* 0 done, 1 the answer is no, or a negative errno */
	struct cancel_error error; /* with that */
	struct scenario_claim claims[SCENARIO_CLAIMS_MAX];
	int claim_count;
	/* So many more than before it are open when it has ended; a run that has begun holds its lease. */
	int descriptors;
};

/* The names of the files in a folder, sorted. */
struct scenario_files {
	char names[SCENARIO_FILES_MAX][SCENARIO_FILE_SIZE];
	size_t count;
};

struct scenario;

struct scenario_trial {
	const struct scenario *scenario;
	const char *where; /* what was broken, for messages; the scenario's name until it is set */
	struct spool_dir dir;
	struct cancel_spool *spool; /* in the campaign's process too: a forked one need not open it */
	struct cancel_error error;
	struct scenario_result *result;
	char accepted[SCENARIO_ID_SIZE]; /* the request that must not be lost; "": there is none */
	char former[SCENARIO_ID_SIZE];   /* the one that was decided before it; or "" */
	char beside[SCENARIO_ID_SIZE];
	struct scenario_files pending, processed; /* before */
	void *set_up;                             /* of the operation */
};

/* How it ended. */
enum scenario_how {
	SCENARIO_DONE,
	SCENARIO_NO,     /* the answer is no */
	SCENARIO_FAILED, /* it said why */
	SCENARIO_KILLED,
};

/* The next run of the task, which begins, and ends as stopped. */
struct scenario_next_run {
	bool stopped;              /* at its start */
	char id[SCENARIO_ID_SIZE]; /* by this request; else "" */
	int decided;               /* so many requests by its end */
};

#endif
