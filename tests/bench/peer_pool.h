/* Threads that take functions from a list, with a mutex and two conditions, and nothing else. */
#ifndef BENCH_PEER_POOL_H
#define BENCH_PEER_POOL_H

#include <pthread.h>
#include <stdbool.h>

#define PEER_POOL_THREADS_MAX 16

struct peer_pool_work;

struct peer_pool {
	pthread_mutex_t lock;
	pthread_cond_t has_work, is_idle;
	struct peer_pool_work *first, **end;
	unsigned threads, working;
	bool stops;
	pthread_t thread[PEER_POOL_THREADS_MAX];
};

void peer_pool_open(struct peer_pool *pool, unsigned threads);
void peer_pool_submit(struct peer_pool *pool, void (*function)(void *arg), void *arg);
/* Wait until all is done. */
void peer_pool_drain(struct peer_pool *pool);
void peer_pool_close(struct peer_pool *pool);

#endif
