/* Operations of the library and of its programs, each in a state of a spool in which it has something to do,
 * and what must be true afterwards, however it ended: for campaigns that break them at every call.
 *
 * A trial is one such operation, broken in one way:
 *
 *     scenario_begin(&trial, scenario);         its spool, in that state, in memory
 *     trial.where = "request, killed at linkat 1";
 *     tracer = tracer_fork(&options, scenario_operate, &trial, -1);
 *     or       tracer_exec(&options, scenario_words(scenario), scenario_environment(&trial), -1);
 *     ...
 *     scenario_check(&trial, scenario_ended(&trial, tracer_status(tracer)));
 *     scenario_end(&trial);
 *
 * No Criterion here: what does not hold is a violation of the campaign. */
#ifndef SUPPORT_SCENARIO_H
#define SUPPORT_SCENARIO_H

#include "scenario_trial.h"
#include "scenario_way.h"

#include <sys/syscall.h>

/* What scenario_operate calls just before the operation and just after it, and nothing else calls: what is to
 * be broken is between the two. A program has none; it is broken from its first call to its last. */
#define SCENARIO_MARK SYS_getppid

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
	enum scenario_way way;
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

/* A spool in the scenario's state. Aborts where that cannot be made. */
void scenario_begin(struct scenario_trial *trial, const struct scenario *scenario);

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

/* Of this process, the one that looks among them; 0 where it cannot look. */
int scenario_count_descriptors(void);

/* Within the spool. Valid until the next is asked for. */
const char *scenario_path(const struct scenario_trial *trial, const char *file);
struct scenario_files scenario_list(const struct scenario_trial *trial, const char *folder);

void scenario_claim(struct scenario_trial *trial, enum scenario_told what, const char *task, const char *id,
		    enum cancel_outcome outcome);

#endif
