/* One test's open spool, and hands that reach into it behind the library's back. */
#ifndef SUPPORT_SPOOL_CASE_H
#define SUPPORT_SPOOL_CASE_H

#include <cancel/cancel.h>

#include <criterion/criterion.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#define SOMEBODY 65534     /* a user who is neither root nor the spool's owner */
#define SOMEBODY_ELSE 1234 /* another */
#define SHARED_GROUP 4321  /* a group that both may be in */

extern const char *place_root;       /* this test's private directory */
extern const char *place_path;       /* where its spool is, in that */
extern struct cancel_spool *spool;   /* open, made with the defaults */
extern struct cancel_error error;    /* what EXPECT checks */
extern struct cancel_request found;  /* room for what a call answers; cleared at the end */

/* For a suite's .init and .fini. The end aborts when the test leaked a descriptor. */
void spool_case_set_up(void);
void spool_case_tear_down(void);
/* The same without opening the spool. */
void spool_case_set_up_place(void);

/* Make the call with a marked error object: it returns `expected`, leaves the object alone on success, and on
 * failure gives it the code and a sentence. */
void spool_case_mark_error(void);
void spool_case_check_error(int code, const char *call);
#define EXPECT(expected, call)                                                                       \
	do {                                                                                         \
		int expect_code;                                                                     \
                                                                                                     \
		spool_case_mark_error();                                                             \
		expect_code = (call);                                                                \
		cr_assert_eq(expect_code, expected, "%s: %d, not %d: %s", #call, expect_code, expected, \
			     expect_code < 0 ? error.text : "");                                     \
		spool_case_check_error(expect_code, #call);                                          \
	} while (0)

/* `part` is in the sentence of the latest failure. */
#define EXPECT_WORDS(part) \
	cr_assert_not_null(strstr(error.text, part), "'%s' is not in: %s", part, error.text)

/* Close the spool and open it again, as `options` say; returns the result. `options->path` may be NULL. */
int spool_case_reopen(struct cancel_spool_options *options);

/* Ask for a task. `id` (may be NULL) gets the request's id. */
int ask(const char *task_id, const char *run, const char *reason, char *id);
/* Ask with terms: 0 is "not given". */
int ask_terms(const char *task_id, int64_t expires_in_s, int64_t cancel_at_us);
int decide(const char *task_id, const char *run, const char *request_id, enum cancel_outcome outcome);
int lookup(const char *task_id, const char *run); /* the record is in `found` */
int check(const char *task_id, const char *run, const struct cancel_mark *mark);
struct cancel_sweep_result sweep(const struct cancel_sweep_options *options);

/* Paths below the spool, as in "pending/x.json". A path is valid until seven more were asked for. */
const char *at(const char *file);
const char *beside(const char *file); /* in the private directory, beside the spool */
void put(const char *file, const char *text);
void put_bytes(const char *file, const char *bytes, size_t length);
char *get(const char *file); /* to be freed; asserts that it is there */
bool there(const char *file);
struct stat stat_of(const char *file);
int count_in(const char *dir);
void copy(const char *source, const char *target); /* bytes and times */
void set_mtime_ago(const char *file, int64_t seconds);

/* Run `act` in a child process as this user (0: as we are) and return what it returned (0 to 100); the shared
 * group is its only group when it is not root. A test needs root for any other user. */
int in_child_as(uid_t uid, int (*act)(void *arg), void *arg);
/* Run `act` in `count` children at once, let loose together; results[i] is the i-th one's. */
void in_children(int count, int (*act)(void *arg), void *arg, int results[]);

void need_root(void);
/* A mount namespace of the test's own, so that nothing stays mounted when it fails. */
void need_mounts(void);

#endif
