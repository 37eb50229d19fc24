/* Callbacks that leave their numbers behind, in the order in which they are called, and then do what a test
 * wants of them. */
#ifndef SUPPORT_TOKEN_CALLS_H
#define SUPPORT_TOKEN_CALLS_H

#include <cancel/cancel.h>

#include <pthread.h>
#include <stdatomic.h>

enum {
	TOKEN_CALLS_MAX = 4096,
};

/* A zeroed one is empty. It may be read once the callbacks are over. */
struct token_calls {
	atomic_int count;
	int numbers[TOKEN_CALLS_MAX];
	pthread_t threads[TOKEN_CALLS_MAX];
};

struct token_callee {
	struct cancel_registration registration;
	struct token_calls *calls;
	int number;
	struct cancel_token token;                /* the one that it was called with */
	void (*act)(struct token_callee *callee); /* what it does then; may be NULL */
	void *arg;                                /* for `act` */
	int result;                               /* of `act` */
};

/* Register; the result is that of cancel_registration_add. */
int token_callee_add(struct token_callee *callee, struct cancel_token token, struct token_calls *calls,
		     int number);
int token_callee_add_act(struct token_callee *callee, struct cancel_token token, struct token_calls *calls,
			 int number, void (*act)(struct token_callee *callee), void *arg);

/* Register `count` of them, numbered from 0. */
void token_callees_add(struct token_callee *callees, int count, struct cancel_token token,
		       struct token_calls *calls);

/* What every one of them is registered with, for tests that make the call themselves: `arg` is the callee. */
void token_callee_callback(void *arg, struct cancel_token token);

/* The numbers as text, "3 2 1". The same memory at each call. */
const char *token_calls_text(const struct token_calls *calls);

/* Was this one called? */
int token_calls_of(const struct token_calls *calls, int number);

/* The calls so far are these, in this order. */
#define EXPECT_CALLS(expected, calls) cr_assert_str_eq(token_calls_text(calls), expected)

#endif
