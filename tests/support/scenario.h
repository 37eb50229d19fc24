/* Operations of the library and of its programs, each in a state of a spool in which it has something to do,
 * and what must be true afterwards, however it ended: for campaigns that break them at every call.
 *
 * A trial is one such operation, broken in one way:
 *
 *     scenario_begin(&trial, scenario);                      its spool, in that state, in memory
 *     trial.where = "request, killed at linkat 1";
 *     tracer_fork(..., scenario_operate, &trial, -1)         or tracer_exec(scenario->words,
 * scenario_environment(&trial)) scenario_check(&trial, scenario_ended(&trial, tracer_status(...)));
 *     scenario_end(&trial);
 *
 * The names are fixed: SCENARIO_TASK is what is operated on, SCENARIO_BESIDE is pending, and nobody touches
 * it. No Criterion here: what does not hold is a violation of the campaign. */
#ifndef SUPPORT_SCENARIO_H
#define SUPPORT_SCENARIO_H

#include "spool_dir.h"

#include <cancel/cancel.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>

#define SCENARIO_TASK   "task"
#define SCENARIO_RUN    "run"                  /* the id of its runs */
#define SCENARIO_GROUP  SCENARIO_TASK "-group" /* a further id that its runs listen to */
#define SCENARIO_BESIDE "beside"

/* What scenario_operate calls just before the operation and just after it, and nothing else calls: what is to
 * be broken is between the two. A program has none; it is broken from its first call to its last. */
#define SCENARIO_MARK SYS_getppid

enum {
	SCENARIO_FILES_MAX = 16,
	SCENARIO_FILE_SIZE = 64,
	SCENARIO_CLAIMS_MAX = 8,
};

/* What a process was told, so that somebody relies on it. */
struct scenario_claim {
	enum {
		SCENARIO_TOLD_REQUESTED,       /* this request stands, and is new */
		SCENARIO_TOLD_ALREADY_PENDING, /* this request stands */
		SCENARIO_TOLD_DECIDED,         /* you decided it, with this outcome */
		SCENARIO_TOLD_ALREADY_DECIDED, /* somebody else had */
		SCENARIO_TOLD_STOPPED,         /* this request stops your run */
		SCENARIO_TOLD_RESET,           /* there is nothing of this name any more */
	} what;
	char task[16]; /* which name of the spool */
	char id[CANCEL_REQUEST_ID_LENGTH + 1];
	enum cancel_outcome outcome;
};

/* What the operation said, in memory that is shared with its process. */
struct scenario_result {
	bool returned;             /* it did: it was not killed before */
	int code;                  /* 0 done, 1 the answer is no, or a negative errno */
	struct cancel_error error; /* with that */
	struct scenario_claim claims[SCENARIO_CLAIMS_MAX];
	int claim_count;
	int descriptors; /* more than before it are open when it has ended; a run that has begun holds its
			    lease */
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
	struct cancel_spool
		*spool; /* open in the campaign's process too, so that a forked one need not open it */
	struct cancel_error error;
	struct scenario_result *result;
	char accepted[CANCEL_REQUEST_ID_LENGTH +
		      1];                          /* the request that must not be lost; "": there is none */
	char former[CANCEL_REQUEST_ID_LENGTH + 1]; /* the one that was decided before it; or "" */
	char beside[CANCEL_REQUEST_ID_LENGTH + 1];
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

struct scenario {
	const char *name;
	const char *operation; /* "request", "batch", "decide", "withdraw", "reset", "sweep", "intake",
				  "look", "open", "begin", "checkpoint", "end", "watch", "run" */
	void (*prepare)(struct scenario_trial *trial);
	/* In the process that is to be broken. One of the two is NULL. */
	int (*operate)(struct scenario_trial *trial);
	const char *const *words; /* the program to execute, by SCENARIO_CANCELREQ and SCENARIO_CANCELWATCH */
	/* Before the mark, in the same process: what the operation needs. May be NULL. */
	int (*set_up)(struct scenario_trial *trial);
	/* What is this scenario's own. */
	void (*check)(struct scenario_trial *trial, enum scenario_how how);
	enum cancel_durability durability;
	bool makes_spool; /* there is none before */
	bool publishes;   /* after a failure pending/ and processed/ are as they were */
	bool has_threads; /* which calls it makes, and in which order, differs from time to time */
};

/* The programs' words begin with one of these; scenario_words() puts the path in its place. */
#define SCENARIO_CANCELREQ   "cancelreq"
#define SCENARIO_CANCELWATCH "cancelwatch"

extern const struct scenario scenarios[];
extern const int scenario_count;
const struct scenario *scenario_named(const char *name); /* aborts when there is none */

/* A spool in the scenario's state; false, and a violation is counted, if that fails. */
bool scenario_begin(struct scenario_trial *trial, const struct scenario *scenario);

/* The operation, in a process that was forked for it: for tracer_fork. Exit code as of our programs: 0 done,
 * 1 no, 3 failed. */
int scenario_operate(void *trial);

/* After that, in the same process: end and close what its set-up left open, and the spool, so that what is
 * still allocated or open is a leak. */
void scenario_tear_down(struct scenario_trial *trial);

/* For a program: its words with the path of the program ($CANCELREQ and $CANCELWATCH, or else where it was
 * built), and its environment, as in process.h. Valid until they are asked for again. */
const char *const *scenario_words(const struct scenario *scenario);
const char *const *scenario_environment(const struct scenario_trial *trial);

/* How it ended, from its exit code, or 128 and its signal's number. Any other than SIGKILL, and an exit code
 * that it cannot have, is a violation. */
enum scenario_how scenario_ended(struct scenario_trial *trial, int status);

/* What must be true now: all that is listed is whole, SCENARIO_BESIDE is pending, no run is alive, the
 * scenario's own, what it claimed; then that every operation works, and that a sweep leaves drafts and young
 * leases at most. The operation's process has ended. After this the spool is of no more use. Returns whether
 * all of it was true. */
bool scenario_check(struct scenario_trial *trial, enum scenario_how how);

/* After a failure: the sentence, from `text` or else from the operation's result, names the spool or the
 * thing. */
bool scenario_check_sentence(const struct scenario_trial *trial, const char *text);

void scenario_end(struct scenario_trial *trial);

/* --- pieces, for pairs and for checks of one's own ---------------------------------------------------- */

/* A violation, with `where`, unless it holds. */
bool scenario_expect(const struct scenario_trial *trial, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Of the violations so far, those of the three kinds that matter most. */
struct scenario_harm {
	long lost; /* an accepted request is not where it must be */
	long decided_twice;
	long torn; /* a part of a record is read */
};
extern struct scenario_harm scenario_harm;

/* The same as scenario_expect, and counted there too. */
bool scenario_expect_kept(const struct scenario_trial *trial, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool scenario_expect_once(const struct scenario_trial *trial, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool scenario_expect_whole(const struct scenario_trial *trial, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Where the task stands, by a look-up; its record is in `found`, to be cleared. A failure is a violation, and
 * negative. */
int scenario_look(struct scenario_trial *trial, struct cancel_request *found);

/* Request the task (reason "because"), and decide that request; as the library's calls. */
int scenario_ask(struct scenario_trial *trial, const char *task, char id[CANCEL_REQUEST_ID_LENGTH + 1]);
int scenario_decide(struct scenario_trial *trial, const char *id, enum cancel_outcome outcome);

/* Within the spool. Valid until the next is asked for. */
const char *scenario_path(const struct scenario_trial *trial, const char *file);
struct scenario_files scenario_list(const struct scenario_trial *trial, const char *folder);

void scenario_claim(struct scenario_trial *trial, int what, const char *task, const char *id,
		    enum cancel_outcome outcome);

#endif
