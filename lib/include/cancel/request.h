/**
 * A request: "please cancel this task", who asks, why, and once decided, how it ended.
 *
 * The same structure serves three ends: filled in by a caller it is what to ask for; read from the spool it
 * is the record on disk; after a decision it also holds the outcome. cancel-spool(5) describes the file.
 *
 *     struct cancel_request request;
 *
 *     cancel_request_init(&request);
 *     request.task_id = "task_123";
 *     request.reason = "deleted by alice";
 *     cancel_spool_request(spool, &request, NULL, &error);
 *     cancel_request_clear(&request);
 *
 * Strings that the library put in belong to the structure and live until cancel_request_clear. Strings that
 * a caller put in stay the caller's and must live as long as the structure is used.
 */
#ifndef CANCEL_REQUEST_H
#define CANCEL_REQUEST_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/limits.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

/* Where a request stands. */
enum cancel_status {
	CANCEL_STATUS_PENDING,   /* nobody has decided it */
	CANCEL_STATUS_PROCESSED, /* decided, with an outcome */
};

/* How a request was decided. */
enum cancel_outcome {
	CANCEL_OUTCOME_NONE,      /* still pending */
	CANCEL_OUTCOME_STOPPED,   /* the task stopped because of it */
	CANCEL_OUTCOME_FINISHED,  /* the task had ended by itself first */
	CANCEL_OUTCOME_FAILED,    /* the task failed while it was stopping */
	CANCEL_OUTCOME_REFUSED,   /* the worker would not */
	CANCEL_OUTCOME_WITHDRAWN, /* taken back before anybody decided it */
	CANCEL_OUTCOME_EXPIRED,   /* past its expiry before anybody decided it */
};

#define CANCEL_EXPIRES_DEFAULT 0 /* as the spool's options say */
#define CANCEL_EXPIRES_NEVER (-1)

/* A process that asked or decided. Text is NULL and numbers are -1 where they are not known. */
struct cancel_party {
	const char *name;    /* requester: a person or system, as it calls itself; a claim, not a proof */
	const char *host;    /* host name */
	const char *program; /* requester: program name; NULL when asking means this program's */
	const char *run;     /* worker: the run that decided */
	int64_t uid;         /* requester: of the file's owner; cancel-spool(5) says when the text counts */
	int64_t gid;
	int64_t pid;
};

struct cancel_request {
	const char *task_id; /* 1 to CANCEL_TASK_ID_MAX bytes of UTF-8 */
	const char *run;     /* only this run of the task; NULL: whichever runs */
	const char *reason;  /* UTF-8, up to CANCEL_REASON_MAX bytes; NULL: "(none given)" */

	/* Seconds from asking to expiry, CANCEL_EXPIRES_NEVER, or CANCEL_EXPIRES_DEFAULT: the spool's default,
	 * counted from `cancel_at_us` if there is one. */
	int64_t expires_in_s;
	int64_t cancel_at_us; /* takes effect at this wall-clock time, in microseconds; 0: at once */

	struct cancel_party requester;

	/* Set by the library; ignored when asking. */
	char request_id[CANCEL_REQUEST_ID_LENGTH + 1];
	enum cancel_status status;
	bool malformed;           /* the file's text could not be used; its name says what to cancel */
	int64_t requested_at_us;  /* wall clock */
	char boot_id[CANCEL_BOOT_ID_LENGTH + 1]; /* of the boot in which boottime_ns was read; or "" */
	int64_t boottime_ns;      /* CLOCK_BOOTTIME when asked */

	/* Once decided. */
	enum cancel_outcome outcome;
	const char *detail; /* UTF-8, up to CANCEL_DETAIL_MAX bytes, or NULL */
	int64_t processed_at_us;
	char processed_boot_id[CANCEL_BOOT_ID_LENGTH + 1];
	int64_t processed_boottime_ns;
	struct cancel_party worker;
	/* The run stopped for a request for this other id that it listens to, which is not decided by that; `request_id`
	 * and the requester are that one's. NULL: the request was for this task. */
	const char *group;
	/* The id of the latest decided request of this name that really was a cancel: this one's, or,
	 * where this one was withdrawn or expired, its predecessor's; or "". */
	char last_cancel_id[CANCEL_REQUEST_ID_LENGTH + 1];
	/* Where that is a predecessor's: when it takes effect; 0: it has. */
	int64_t last_cancel_at_us;

	/* The text as read: where the strings above live, and the fields that are not ours. Private. */
	struct json_t *json;
	char *storage;
};

/**
 * Make `request` empty: nothing to free, every field at the value that means "not given".
 *
 * Any thread, any signal handler.
 */
CANCEL_API void cancel_request_init(struct cancel_request *request);

/**
 * Free what the library put into `request` and make it empty again. An empty or cleared one is fine;
 * so is NULL.
 *
 * Any thread; not in a signal handler.
 */
CANCEL_API void cancel_request_clear(struct cancel_request *request);

/**
 * Read a request from JSON text as a record has it: at most CANCEL_RECORD_MAX bytes, one object, UTF-8,
 * no key twice, no more than CANCEL_JSON_DEPTH_MAX levels. Every known field that is there must have its
 * type and range; unknown fields are kept and written out again. No field is required here.
 *
 * @param request  Set on success, to be cleared by the caller; left alone on failure. Must be empty or
 *                 cleared before.
 * @param text     The bytes; borrowed for the call.
 * @param length   How many.
 * @param error    Where to describe a failure, or NULL.
 *
 * @return 0, or
 *         -EBADMSG   not JSON, or a field of the wrong type or out of range; the sentence names it;
 *         -EMSGSIZE  over CANCEL_RECORD_MAX bytes;
 *         -ENOMEM.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API int cancel_request_parse(struct cancel_request *request, const char *text, size_t length,
				    struct cancel_error *error);

/**
 * Write a request as one line of JSON, the record as it stands on disk, unknown fields last.
 *
 * @return The text, NUL-terminated and without a newline, to be freed with free(); NULL when memory ran
 *         out.
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API char *cancel_request_json(const struct cancel_request *request);

/**
 * Say whether a request is past its expiry now: by CLOCK_BOOTTIME when it was made in this boot, by the
 * wall clock otherwise, and never when its age would be negative.
 *
 * A request past its expiry is pending until a sweep decides it (cancel/sweep.h).
 *
 * Does not block. Any thread; not in a signal handler.
 */
CANCEL_API bool cancel_request_expired(const struct cancel_request *request);

/**
 * Say whether a request has taken effect: it has no cancel time, or that time has come by the wall clock.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API bool cancel_request_in_effect(const struct cancel_request *request);

/**
 * The word for a status or an outcome, as records and programs write it. For CANCEL_OUTCOME_NONE it is
 * "none", and for a value outside the enumeration "unknown".
 *
 * @return A static string. Any thread, any signal handler.
 */
CANCEL_API const char *cancel_status_text(enum cancel_status status);
CANCEL_API const char *cancel_outcome_text(enum cancel_outcome outcome);

/**
 * The outcome that a word means.
 *
 * @return The outcome, or -EINVAL for any other word ("none" included).
 *
 * Any thread, any signal handler.
 */
CANCEL_API int cancel_outcome_parse(const char *text);

CANCEL_END_DECLS

#endif
