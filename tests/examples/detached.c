/*
 * Work that outlives whoever started it: a source on the heap, counted. The starter and the worker each hold
 * it, in whatever order they are done with it; the last one frees it.
 *
 *     detached
 */
#include <cancel/cause.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* The program's own, so that it does not end before what it has set going. */
static struct cancel_source exported = CANCEL_SOURCE_INIT;

static const struct cancel_cause closed = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the window was closed");

static void *export_pictures(void *source)
{
	struct cancel_token token = cancel_source_token(source);

	cancel_token_wait(token, CANCEL_FOREVER); /* a long export */
	printf("the export stops: %s\n", cancel_token_cause(token)->text);
	cancel_source_drop(source);
	cancel_source_cancel(&exported, NULL);
	return NULL;
}

/* What is returned is the caller's hold. NULL: it could not be started. */
static struct cancel_source *start_export(void)
{
	struct cancel_source *source = cancel_source_new(NULL);
	pthread_t thread;

	if (!source)
		return NULL;
	if (pthread_create(&thread, NULL, export_pictures, cancel_source_hold(source)) != 0) {
		cancel_source_drop(source);
		cancel_source_drop(source);
		return NULL;
	}
	pthread_detach(thread);
	return source;
}

/* It begins an export, and is gone before the export is. */
static int open_and_close_window(void)
{
	struct cancel_source *source = start_export();

	if (!source)
		return -1;
	printf("the window opens and starts an export\n");
	cancel_source_cancel(source, &closed);
	cancel_source_drop(source);
	return 0;
}

int main(void)
{
	if (open_and_close_window() < 0) {
		fprintf(stderr, "detached: the export could not be started\n");
		return EXIT_FAILURE;
	}
	cancel_token_wait(cancel_source_token(&exported), CANCEL_FOREVER);
	cancel_source_fini(&exported);
	printf("nothing is left\n");
	return EXIT_SUCCESS;
}
