/*
 * The first of several: three replicas are asked the same, one answers, and the others are told that nobody
 * is waiting for them any more.
 *
 *     wait_any
 */
#include <cancel/cause.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPLICAS = 3, ALIVE = 1 };

static const struct cancel_cause answered_elsewhere =
	CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "another one has answered");

struct replica {
	bool alive;
	int answer;
	struct cancel_source answered; /* cancelled: the answer is there */
	struct cancel_token stop;
	pthread_t thread;
};

static void *ask(void *arg)
{
	struct replica *replica = arg;

	if (!replica->alive) {
		cancel_token_wait(replica->stop, CANCEL_FOREVER);
		return NULL;
	}
	replica->answer = 42;
	cancel_source_cancel(&replica->answered, NULL);
	return NULL;
}

/* How many were asked. */
static int ask_all(struct replica replicas[REPLICAS], struct cancel_token stop)
{
	int count;

	for (count = 0; count < REPLICAS; count++) {
		replicas[count] = (struct replica){.alive = count == ALIVE, .stop = stop};
		if (pthread_create(&replicas[count].thread, NULL, ask, &replicas[count]) != 0)
			break;
	}
	return count;
}

static void print_first(const struct replica replicas[REPLICAS])
{
	struct cancel_token tokens[REPLICAS];
	int first;

	for (int i = 0; i < REPLICAS; i++)
		tokens[i] = cancel_source_token(&replicas[i].answered);
	first = cancel_token_wait_any(tokens, REPLICAS, CANCEL_FOREVER);
	printf("replica %d answered first: %d\n", first, replicas[first].answer);
}

int main(void)
{
	struct cancel_source stop = CANCEL_SOURCE_INIT;
	struct replica replicas[REPLICAS];
	int count = ask_all(replicas, cancel_source_token(&stop));

	if (count == REPLICAS)
		print_first(replicas);
	cancel_source_cancel(&stop, &answered_elsewhere);
	for (int i = 0; i < count; i++) {
		pthread_join(replicas[i].thread, NULL);
		if (!cancel_token_requested(cancel_source_token(&replicas[i].answered)))
			printf("replica %d was stopped: %s\n", i, cancel_token_cause(replicas[i].stop)->text);
		cancel_source_fini(&replicas[i].answered);
	}
	cancel_source_fini(&stop);
	return count == REPLICAS ? EXIT_SUCCESS : EXIT_FAILURE;
}
