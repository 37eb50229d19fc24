/*
 * Parents that come and go: a job that is running is made to stop in memory shortage too, and no longer with
 * the session that started it. Its token stays the same.
 *
 *     dynamic
 */
#include <cancel/cause.h>
#include <cancel/link.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cancel_cause logged_out = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the user logged out");
static const struct cancel_cause memory_short = CANCEL_CAUSE_INIT(CANCEL_KIND_USER + 1, "memory is short");

/* It knows nothing of sessions and memory. */
static void *job(void *source)
{
	struct cancel_token token = cancel_source_token(source);

	cancel_token_wait(token, CANCEL_FOREVER);
	printf("the job stops: %s\n", cancel_token_cause(token)->text);
	return NULL;
}

int main(void)
{
	struct cancel_source session = CANCEL_SOURCE_INIT, memory = CANCEL_SOURCE_INIT;
	struct cancel_source work = CANCEL_SOURCE_INIT;
	struct cancel_link to_session, to_memory;
	pthread_t thread;

	if (cancel_link_add(&to_session, &work, cancel_source_token(&session)) < 0)
		return EXIT_FAILURE;
	if (pthread_create(&thread, NULL, job, &work) != 0)
		return EXIT_FAILURE;
	printf("the job runs, and follows its session\n");

	if (cancel_link_add(&to_memory, &work, cancel_source_token(&memory)) == 0)
		printf("now it follows the watch over memory too\n");
	if (cancel_link_remove(&to_session) == CANCEL_REMOVED)
		printf("now it follows its session no more\n");

	cancel_source_cancel(&session, &logged_out);
	printf("the session has ended; the job %s\n",
	       cancel_token_requested(cancel_source_token(&work)) ? "too" : "goes on");
	cancel_source_cancel(&memory, &memory_short);
	pthread_join(thread, NULL);

	if (cancel_link_fired(&to_memory))
		printf("it was the link to memory\n");
	cancel_linked_fini(&work, &to_memory, 1);
	cancel_source_fini(&session);
	cancel_source_fini(&memory);
	return EXIT_SUCCESS;
}
