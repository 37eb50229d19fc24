/**
 * Rules: which command stops a task of another system. The section `rules` of the configuration, which cancelwatch
 * fires; cancel.yaml(5) is its manual.
 *
 *     rules:
 *       - match: "slurm-*"
 *         exec: ["scancel", "--", "{task_id}"]
 *
 * A rule never makes text for a shell: each element of `exec` becomes one argument, whatever an id holds.
 */
#ifndef CANCEL_RULE_H
#define CANCEL_RULE_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/limits.h>
#include <cancel/request.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* What becomes of the request when the command has ended. */
enum cancel_rule_decide {
	/* By its exit status: 0 stopped, CANCEL_RULE_EXIT_FINISHED finished, CANCEL_RULE_EXIT_REFUSED refused; anything else
	 * is a failure: tried again, and in the end decided as failed. */
	CANCEL_RULE_BY_EXIT_STATUS,
	CANCEL_RULE_STOPPED, /* stopped if it exits with 0; else tried again, and in the end left pending */
	CANCEL_RULE_NO,      /* never: the command only passes the request on, and somebody else decides it */
};

#define CANCEL_RULE_EXIT_FINISHED 10
#define CANCEL_RULE_EXIT_REFUSED  11

struct cancel_rule {
	const char *match;       /* a pattern of task ids, as of fnmatch(3) without flags: * matches slashes and dots too */
	const char *const *exec; /* the command and its arguments, placeholders in them; ends with NULL */
	size_t exec_count;
	int64_t timeout_ms;      /* of each try: then the command and all that came of it are ended */
	enum cancel_rule_decide decide;
	unsigned max_parallel;   /* commands of this rule that run at once */
	unsigned retries;        /* further tries after one that failed */
	int64_t retry_interval_ms; /* before the first of them; doubled for each further one */
	bool allow_options;      /* an id may become an argument that begins with - */
	size_t line;             /* where it stands in the file */
};

struct cancel_rules {
	size_t count;
	char file[CANCEL_PATH_MAX]; /* "": there was none */
	struct cancel_rule *list;   /* in the order of the file */
};

/**
 * Load the rules of the configuration file that cancel_config_load would load.
 *
 * @param rules  Set on success, to be freed with cancel_rules_free; left alone on failure. No file, or no rules in it: none.
 * @param file   As for cancel_config_load.
 *
 * @return 0, or as cancel_config_load. The whole file is read and checked, not only its rules.
 *
 * Blocks as cancel_config_load. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_rules_load(struct cancel_rules **rules, const char *file, struct cancel_error *error);

/* NULL is fine. */
CANCEL_API void cancel_rules_free(struct cancel_rules *rules);

/**
 * The rule that fires for a task: the first that matches.
 *
 * @return NULL: none does. It lives as long as the rules.
 *
 * Does not block. Any thread.
 */
CANCEL_API const struct cancel_rule *cancel_rules_match(const struct cancel_rules *rules, const char *task_id);

/**
 * The command of a rule for a request: each element of `exec` with its placeholders replaced.
 *
 * {task_id}, {run}, {reason}, {requester}, {request_id}, {uid} stand for the request's; "" for what it has not.
 * {task_name} is the task's name as a file of the spool has it, without slashes, never `.` or `..`: for paths. {match} is
 * the part of the id that the first * of `match` stands for, the shortest with which the id matches: 17 of tsp-17 for
 * "tsp-*"; with it no ? and no [ stands before that *. {{ and }} are braces.
 *
 * @param arguments  Set on success: a list that ends with NULL, to be freed with one free(). Left alone on failure.
 *
 * @return How many arguments there are, or
 *         -EPERM   an argument that begins with a placeholder would begin with `-`, the rule does not allow that, and no
 *                  element before it is `--`;
 *         -EINVAL, -EILSEQ, -ENAMETOOLONG  the task id, as for cancel_spool_request;
 *         -E2BIG   they are over CANCEL_RULE_ARGUMENTS_MAX bytes together, each with its NUL;
 *         -ENOMEM.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_rule_arguments(const struct cancel_rule *rule, const struct cancel_request *request,
				     char ***arguments, struct cancel_error *error);

/* The word for a way of deciding, as the configuration writes it; "unknown" outside the enumeration. Any thread, any signal
 * handler. */
CANCEL_API const char *cancel_rule_decide_text(enum cancel_rule_decide decide);

CANCEL_END_DECLS

#endif
