/*
 * What is known of tasks by their ids: a hash table of those alive and those that have ended, and a list of
 * the latter by age. One that has ended stays known while there is room, and as long as anybody waits for it.
 */
#include "clock.h"
#include "futex.h"
#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS_MIN 1024

/* Ids come from outside: without a seed somebody could choose some that all meet in one bucket. */
static uint64_t hash_id(const struct cancel_scheduler *pool, const char *id)
{
	uint64_t hash = pool->seed;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

bool account_open(struct cancel_scheduler *pool)
{
	if (getrandom(&pool->seed, sizeof pool->seed, GRND_NONBLOCK) < 0)
		pool->seed = (uint64_t)clock_monotonic_ns();
	pool->bucket_count = BUCKETS_MIN;
	pool->buckets = calloc(pool->bucket_count, sizeof(struct account *));
	return pool->buckets != NULL;
}

struct account *account_new(const struct cancel_scheduler *pool, const char *task_id)
{
	size_t size = strlen(task_id) + 1;
	struct account *account = calloc(1, sizeof *account + size);

	if (!account)
		return NULL;
	memcpy(account->id, task_id, size);
	account->hash = hash_id(pool, task_id);
	account->holders = 1;
	return account;
}

void account_drop(struct account *account)
{
	if (--account->holders == 0)
		free(account);
}

/* --- the table ---------------------------------------------------------------------------------------- */

static struct account **bucket_of(const struct cancel_scheduler *pool, uint64_t hash)
{
	return &pool->buckets[hash & (pool->bucket_count - 1)];
}

static void link_in(struct cancel_scheduler *pool, struct account *account)
{
	struct account **bucket = bucket_of(pool, account->hash);

	account->next_in_bucket = *bucket;
	*bucket = account;
}

/* Where there is no memory the chains grow longer. */
static void grow(struct cancel_scheduler *pool)
{
	size_t count = pool->bucket_count;
	struct account **before = pool->buckets, **buckets = calloc(2 * count, sizeof(struct account *));

	if (!buckets)
		return;
	pool->buckets = buckets;
	pool->bucket_count = 2 * count;
	for (size_t i = 0; i < count; i++) {
		struct account *next;

		for (struct account *at = before[i]; at; at = next) {
			next = at->next_in_bucket;
			link_in(pool, at);
		}
	}
	free(before);
}

void account_insert(struct cancel_scheduler *pool, struct account *account)
{
	if (pool->account_count == pool->bucket_count)
		grow(pool);
	link_in(pool, account);
	pool->account_count++;
}

void account_remove(struct cancel_scheduler *pool, struct account *account)
{
	struct account **at = bucket_of(pool, account->hash);

	while (*at != account)
		at = &(*at)->next_in_bucket;
	*at = account->next_in_bucket;
	pool->account_count--;
	account_drop(account);
}

static struct account *first_of(const struct cancel_scheduler *pool, uint64_t hash)
{
	return *bucket_of(pool, hash);
}

static bool is_of(const struct account *account, uint64_t hash, const char *task_id)
{
	return account->hash == hash && !strcmp(account->id, task_id);
}

struct account *account_find_alive(const struct cancel_scheduler *pool, const char *task_id)
{
	uint64_t hash = hash_id(pool, task_id);
	struct account *at = first_of(pool, hash);

	while (at && !(at->job && is_of(at, hash, task_id)))
		at = at->next_in_bucket;
	return at;
}

static struct account *find_ended(const struct cancel_scheduler *pool, uint64_t hash, const char *task_id)
{
	struct account *at = first_of(pool, hash);

	while (at && !(!at->job && is_of(at, hash, task_id)))
		at = at->next_in_bucket;
	return at;
}

struct account *account_find_known(const struct cancel_scheduler *pool, const char *task_id)
{
	struct account *alive = account_find_alive(pool, task_id);

	if (alive && alive->job->phase != PHASE_BEGINNING)
		return alive;
	return find_ended(pool, hash_id(pool, task_id), task_id);
}

/* --- those that have ended ---------------------------------------------------------------------------- */

static void forget(struct cancel_scheduler *pool, struct account *account)
{
	*(account->older ? &account->older->newer : &pool->oldest) = account->newer;
	*(account->newer ? &account->newer->older : &pool->newest) = account->older;
	pool->ended--;
	account_remove(pool, account);
}

void account_supersede(struct cancel_scheduler *pool, const struct account *account)
{
	struct account *ended = find_ended(pool, account->hash, account->id);

	if (ended)
		forget(pool, ended);
}

void account_retire(struct cancel_scheduler *pool, struct account *account)
{
	account->job = NULL;
	account->older = pool->newest;
	*(pool->newest ? &pool->newest->newer : &pool->oldest) = account;
	pool->newest = account;
	pool->ended++;
	__atomic_store_n(&account->is_over, 1, __ATOMIC_RELEASE);
	if (account->holders > 1)
		futex_wake_all(&account->is_over);
	if (pool->ended > pool->options.ended_max)
		forget(pool, pool->oldest);
}

void account_close(struct cancel_scheduler *pool)
{
	for (size_t i = 0; i < pool->bucket_count; i++) {
		struct account *next;

		for (struct account *at = pool->buckets[i]; at; at = next) {
			next = at->next_in_bucket;
			free(at->job);
			free(at);
		}
	}
	free(pool->buckets);
}

void account_set_status(struct cancel_scheduler *pool, struct account *account,
			enum cancel_scheduled_status status)
{
	pool->counts[account->state.status]--;
	pool->counts[status]++;
	account->state.status = status;
}
