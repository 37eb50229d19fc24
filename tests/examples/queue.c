/*
 * A wait of one's own that a token ends: a bounded queue of jobs, on a mutex and a condition variable. Who
 * puts waits for room and who takes waits for a job, each until its token is cancelled. While it waits it has
 * a registration on the token, whose callback wakes it.
 *
 * What makes it right:
 *   - The token is asked with the lock held, and the callback takes the lock before it wakes. So it comes
 * before that question, which is then answered "yes", or when the waiter sleeps: no wake-up is lost.
 *   - The callback may be called while it is added, and removing it waits for it. So both are done without
 * the lock. For the same reason nobody cancels with the lock held: for that there is
 *     cancel_source_cancel_deferred.
 *   - Once it is removed nobody wakes through it any more, so then the queue may be ended.
 *   - All are woken, always: one who was woken alone may be leaving because of its token, and the job would
 * lie there while others sleep.
 *
 *     queue
 */
#include <cancel/cause.h>
#include <cancel/deadline.h>
#include <cancel/registration.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONSUMERS = 3, ROOM = 4, JOBS = 20 };

static const struct cancel_cause closing = CANCEL_CAUSE_INIT(CANCEL_KIND_SHUTDOWN, "there is no more work");

/* --- the queue ---------------------------------------------------------------------------------------- */

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int jobs[ROOM];
	int first, count;
};

static void wake_all(void *arg, struct cancel_token token)
{
	struct queue *queue = arg;

	(void)token;
	pthread_mutex_lock(&queue->lock);
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

/* With the lock held: wait as long as there are `count` jobs. 0, or the token's error. */
static int wait_while(struct queue *queue, int count, struct cancel_token token)
{
	while (queue->count == count && !cancel_token_requested(token))
		pthread_cond_wait(&queue->changed, &queue->lock);
	return cancel_token_error(token);
}

static int queue_put(struct queue *queue, int job, struct cancel_token token)
{
	struct cancel_registration registration;
	int result;

	cancel_registration_add(&registration, token, wake_all, queue);
	pthread_mutex_lock(&queue->lock);
	result = wait_while(queue, ROOM, token);
	if (result == 0) {
		queue->jobs[(queue->first + queue->count++) % ROOM] = job;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	cancel_registration_remove(&registration);
	return result;
}

static int queue_take(struct queue *queue, int *job, struct cancel_token token)
{
	struct cancel_registration registration;
	int result;

	cancel_registration_add(&registration, token, wake_all, queue);
	pthread_mutex_lock(&queue->lock);
	result = wait_while(queue, 0, token);
	if (result == 0) {
		*job = queue->jobs[queue->first];
		queue->first = (queue->first + 1) % ROOM;
		queue->count--;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	cancel_registration_remove(&registration);
	return result;
}

/* --- who uses it -------------------------------------------------------------------------------------- */

struct shop {
	struct queue queue;
	struct cancel_source stop;
	struct cancel_source all_done; /* cancelled: the last job is done */
	atomic_int done, sum;
};

static void *consume(void *arg)
{
	struct shop *shop = arg;
	struct cancel_token stop = cancel_source_token(&shop->stop);
	int job;

	while (queue_take(&shop->queue, &job, stop) == 0) {
		shop->sum += job;
		if (++shop->done == JOBS)
			cancel_source_cancel(&shop->all_done, NULL);
	}
	return NULL;
}

/* How many threads could be started. */
static int start_consumers(pthread_t threads[CONSUMERS], struct shop *shop)
{
	int count = 0;

	while (count < CONSUMERS && pthread_create(&threads[count], NULL, consume, shop) == 0)
		count++;
	return count;
}

/* As many as there is room for, and one more, which waits until its time is up. */
static void fill(struct queue *queue)
{
	struct cancel_source limit = CANCEL_SOURCE_INIT;
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	struct cancel_token token = cancel_source_token(&limit);

	for (int job = 1; job <= ROOM; job++)
		queue_put(queue, job, CANCEL_TOKEN_NONE);
	if (cancel_deadline_set(&deadline, &limit, 10 * CANCEL_MILLISECOND, NULL) < 0)
		cancel_source_cancel(&limit, NULL);
	if (queue_put(queue, ROOM + 1, token) < 0)
		printf("there is no room for job %d: %s\n", ROOM + 1, cancel_token_cause(token)->text);
	cancel_deadline_stop(&deadline);
	cancel_source_fini(&limit);
}

static void put_the_rest(struct shop *shop)
{
	struct cancel_token either[] = {cancel_source_token(&shop->all_done),
					cancel_source_token(&shop->stop)};

	for (int job = ROOM + 1; job <= JOBS; job++)
		if (queue_put(&shop->queue, job, cancel_source_token(&shop->stop)) < 0)
			return;
	cancel_token_wait_any(either, 2, CANCEL_FOREVER);
	printf("%d jobs are done, their sum is %d\n", shop->done, shop->sum);
}

int main(void)
{
	struct shop shop = {.queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER},
			    .stop = CANCEL_SOURCE_INIT,
			    .all_done = CANCEL_SOURCE_INIT};
	pthread_t threads[CONSUMERS];
	int count;

	fill(&shop.queue);
	count = start_consumers(threads, &shop);
	if (count == 0)
		cancel_source_cancel(&shop.stop, NULL);
	put_the_rest(&shop);
	cancel_source_cancel(&shop.stop, &closing);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%d consumers have stopped: %s\n", count,
	       cancel_token_cause(cancel_source_token(&shop.stop))->text);
	cancel_source_fini(&shop.stop);
	cancel_source_fini(&shop.all_done);
	pthread_cond_destroy(&shop.queue.changed);
	pthread_mutex_destroy(&shop.queue.lock);
	return count == CONSUMERS ? EXIT_SUCCESS : EXIT_FAILURE;
}
