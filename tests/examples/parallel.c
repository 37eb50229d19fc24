/*
 * Several threads over one list without an end, one token: they all stop when one of them has found what they
 * look for, or when the user does not want to know any more.
 *
 *     parallel
 */
#include <cancel/cause.h>
#include <cancel/link.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4 };

static const struct cancel_cause was_found = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "it was found");
static const struct cancel_cause enough = CANCEL_CAUSE_INIT(CANCEL_KIND_USER + 1, "the user has had enough");

struct search {
	uint64_t square; /* of the number that we look for; 2 is the square of none */
	uint64_t found;
	_Atomic uint64_t next;
	struct cancel_source stop;
};

static void *look(void *arg)
{
	struct search *search = arg;
	struct cancel_token token = cancel_source_token(&search->stop);

	while (!cancel_token_requested(token)) {
		uint64_t number = search->next++;

		if (number * number != search->square)
			continue;
		search->found = number; /* seen by whoever sees the source cancelled */
		cancel_source_cancel(&search->stop, &was_found);
	}
	return NULL;
}

/* How many threads could be started. */
static int start_threads(pthread_t threads[THREADS], struct search *search)
{
	int count = 0;

	while (count < THREADS && pthread_create(&threads[count], NULL, look, search) == 0)
		count++;
	return count;
}

/* The user's token may be cancelled at any time: the search follows it. */
static int find_root(uint64_t square, struct cancel_source *user, void (*meanwhile)(struct cancel_source *))
{
	struct search search = {.square = square, .next = 1};
	struct cancel_token parent = cancel_source_token(user);
	struct cancel_link link;
	pthread_t threads[THREADS];
	int count;

	if (cancel_linked_init(&search.stop, NULL, &link, &parent, 1) < 0)
		return -1;
	count = start_threads(threads, &search);
	if (count == 0)
		cancel_source_cancel(user, NULL);
	meanwhile(user);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("  all threads have stopped: %s\n",
	       cancel_token_cause(cancel_source_token(&search.stop))->text);
	if (search.found)
		printf("  the root of %llu is %llu\n", (unsigned long long)square,
		       (unsigned long long)search.found);
	cancel_linked_fini(&search.stop, &link, 1);
	return count == THREADS ? 0 : -1;
}

static void wait_for_it(struct cancel_source *user)
{
	(void)user;
}

static void give_up(struct cancel_source *user)
{
	cancel_source_cancel(user, &enough);
}

int main(void)
{
	struct cancel_source user = CANCEL_SOURCE_INIT;
	int result;

	printf("something that can be found\n");
	result = find_root(UINT64_C(1522756), &user, wait_for_it);
	printf("something that cannot\n");
	if (result == 0)
		result = find_root(2, &user, give_up);
	cancel_source_fini(&user);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
