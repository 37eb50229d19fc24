/* What the program says. Everything from outside is escaped on its way to a person; nothing is on its way
 * to a program, which gets JSON. */
#ifndef CANCELREQ_OUTPUT_H
#define CANCELREQ_OUTPUT_H

#include <cancel/error.h>
#include <cancel/request.h>

#include <stdbool.h>
#include <stdint.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_NO = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,
	EXIT_STILL_PENDING = 4,
	EXIT_FINISHED_FIRST = 5,
	EXIT_NOT_STOPPED = 6,
	EXIT_DIED = 7,
	EXIT_TAKEN_BACK = 8,
};

/* `text` as a person may see it. Valid until the next call. */
const char *escaped(const char *text);

/* Write to standard output. A failure is remembered for output_end. */
void output(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_escaped(const char *text);

/* True when standard output takes no more. */
bool output_failed(void);

/* Write out what is buffered. */
void output_flush(void);

/* Write out what is buffered and return the program's exit code: `exit_code`, or EXIT_REFUSED with a sentence
 * when not everything could be written. A reader that went away is no failure: it had what it wanted. */
int output_end(int exit_code);

/* A record as one line of JSON. */
void output_json(const struct cancel_request *request);

/* UTF-8 text as a string of JSON; NULL is null. */
void output_json_string(const char *text);

/* The pieces of a line for people: "task_1@run_2", where an '@' of the task id itself is "\x40"; "2 min",
 * "0.8 s"; "alice" or "uid 1000"; "(none given)"; " by pid 42 on host", as far as it is known. */
void output_task(const char *task_id, const char *run);
void output_age(int64_t age_us);
void output_requester(const struct cancel_request *request);
void output_reason(const struct cancel_request *request);
void output_worker(const struct cancel_party *worker);

/* " for tenant_acme", where a run of the task stopped for a request for that id; else nothing. */
void output_group(const struct cancel_request *request);

/* How long a request has stood, by the wall clock; never negative. */
int64_t request_age_us(const struct cancel_request *request);

/* How long after the request it was decided; by a clock that is not set where both happened in one boot. */
int64_t decision_age_us(const struct cancel_request *request);

/* The wall clock. */
int64_t now_us(void);

/* The failure of having no memory for `what`. Returns -ENOMEM. */
int no_memory(struct cancel_error *error, const char *what);

/* Say on standard error what failed. Returns EXIT_REFUSED. */
int failure(const struct cancel_error *error);

/* The same for a call that took an id or a text of the command line: EXIT_USAGE when that is to blame. */
int failure_of_words(const struct cancel_error *error);

#endif
