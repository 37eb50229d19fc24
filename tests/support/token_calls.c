#include "token_calls.h"

#include <stdio.h>
#include <stdlib.h>

void token_callee_callback(void *arg, struct cancel_token token)
{
	struct token_callee *callee = arg;
	struct token_calls *calls = callee->calls;
	int at = atomic_fetch_add(&calls->count, 1);

	if (at >= TOKEN_CALLS_MAX) {
		(void)fputs("more calls than callees\n", stderr);
		abort();
	}
	calls->numbers[at] = callee->number;
	calls->threads[at] = pthread_self();
	callee->token = token;
	if (callee->act)
		callee->act(callee);
}

int token_callee_add_act(struct token_callee *callee, struct cancel_token token, struct token_calls *calls,
			 int number, void (*act)(struct token_callee *callee), void *arg)
{
	callee->calls = calls;
	callee->number = number;
	callee->token.source = NULL;
	callee->act = act;
	callee->arg = arg;
	callee->result = 0;
	return cancel_registration_add(&callee->registration, token, token_callee_callback, callee);
}

int token_callee_add(struct token_callee *callee, struct cancel_token token, struct token_calls *calls,
		     int number)
{
	return token_callee_add_act(callee, token, calls, number, NULL, NULL);
}

void token_callees_add(struct token_callee *callees, int count, struct cancel_token token,
		       struct token_calls *calls)
{
	for (int i = 0; i < count; i++)
		(void)token_callee_add(&callees[i], token, calls, i);
}

const char *token_calls_text(const struct token_calls *calls)
{
	static char text[TOKEN_CALLS_MAX * 12];
	int count = atomic_load(&calls->count);
	char *end = text;

	*end = '\0';
	for (int i = 0; i < count; i++)
		end += sprintf(end, "%s%d", i ? " " : "", calls->numbers[i]);
	return text;
}

int token_calls_of(const struct token_calls *calls, int number)
{
	int count = atomic_load(&calls->count), times = 0;

	for (int i = 0; i < count; i++)
		times += calls->numbers[i] == number;
	return times;
}
