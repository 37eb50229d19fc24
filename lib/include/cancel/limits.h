/**
 * Every limit, in one place. Each has a test at its edge (tests/unit/limits.c names them).
 *
 * A limit is either part of the format on disk, so that all programs must share it, or a bound on what
 * one process spends. cancel-spool(5) repeats those of the format.
 */
#ifndef CANCEL_LIMITS_H
#define CANCEL_LIMITS_H

/* Of the format on disk. */
#define CANCEL_TASK_ID_MAX 1024        /* bytes in a task id; at least 1 */
#define CANCEL_RUN_ID_MAX 1024         /* bytes in a run id; at least 1 */
#define CANCEL_NAME_MAX 200            /* bytes in a name before it is cut and hashed */
#define CANCEL_RECORD_MAX (64 * 1024)  /* bytes in a record's file */
#define CANCEL_REASON_MAX (32 * 1024)  /* bytes in a reason; request.max_reason_bytes may lower it */
#define CANCEL_DETAIL_MAX 4096         /* bytes in a decision's detail */
#define CANCEL_PARTY_TEXT_MAX 255      /* bytes in a requester's or worker's name, host, program */
#define CANCEL_JSON_DEPTH_MAX 16       /* objects and arrays inside one another in a record */
#define CANCEL_REQUEST_ID_LENGTH 32    /* hex digits in a request id */
#define CANCEL_BOOT_ID_LENGTH 36       /* characters in a boot id */

#define CANCEL_TASK_ALSO_MAX 8         /* further ids that a task listens to; a lease holds them all */

/* Of the spool's keeping. */
#define CANCEL_SETTLE_MS 5000          /* unparsable and younger than this: still being written */
#define CANCEL_DRAFT_KEEP_S 3600       /* a draft older than this has no writer any more */
#define CANCEL_CLOCK_STEP_MS 5000      /* a step of the clock over this stops a sweep's deletions */
#define CANCEL_REFUSED_FILES_MAX 100   /* files kept in refused/ */
#define CANCEL_LOCK_WAIT_MS 10000      /* longest wait for a name's lock */
#define CANCEL_EXPIRES_MAX_S (10LL * 366 * 86400) /* longest life of a request that has an end */

/* Of one process. */
#define CANCEL_PATH_MAX 4096           /* bytes in a path, its NUL included */
#define CANCEL_TRUSTED_USERS_MAX 64    /* uids in spool.trusted_users */
#define CANCEL_PATH_LINKS_MAX 8        /* symbolic links followed on the way to the spool */
#define CANCEL_ERROR_TEXT_MAX 1024     /* bytes in an error's sentence, its NUL included */
#define CANCEL_LINK_DEPTH_MAX 64       /* links from a source up to its furthest root */
#define CANCEL_WAIT_ANY_MAX 128        /* tokens in one cancel_token_wait_any; the kernel's own limit */
#define CANCEL_CHECKPOINT_LOOK_MS 50   /* a checkpoint without a thread looks at least this often */
#define CANCEL_ROUND_MIN_MS 10         /* a sleeper's shortest pause between two looks, where nobody rings */
#define CANCEL_ROUND_MAX_MS 30000      /* and its longest, where somebody rings for all */
#define CANCEL_POLL_MAX 128            /* the caller's descriptors in one cancel_token_poll */
#define CANCEL_SCHEDULER_THREADS_MAX 1024 /* threads of one scheduler */
#define CANCEL_SCHEDULER_QUEUE_MAX 10000000 /* tasks that may wait in one scheduler; as many ended ones may be known */
#define CANCEL_RETRIES_MAX 1000000     /* further tries of one task */
#define CANCEL_RETRY_PAUSE_MAX_S 3600  /* the longest pause that backing off leads to */

/* Of rules. */
#define CANCEL_RULES_MAX 256           /* rules in a configuration */
#define CANCEL_RULE_EXEC_MAX 64        /* elements of a rule's exec */
#define CANCEL_RULE_PARALLEL_MAX 256   /* commands of one rule at once */
#define CANCEL_RULE_WAITING_MAX 4096   /* requests that cancelwatch keeps in mind for its rules; the others it finds again */
#define CANCEL_RULE_ARGUMENTS_MAX (128 * 1024) /* bytes in all arguments of a command together */

#endif
