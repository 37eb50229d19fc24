#include "delivery.h"

#include "fence.h"
#include "futex.h"
#include "latch.h"
#include "word.h"

/* --- the list ----------------------------------------------------------------------------------------- */

void delivery_list(struct cancel_source *source, struct cancel_registration *registration)
{
	struct cancel_registration *next = source->first;

	registration->source = source;
	registration->next = next;
	registration->link = &source->first;
	if (next)
		next->link = &registration->next;
	source->first = registration;
}

void delivery_unlist(struct cancel_registration *registration)
{
	struct cancel_registration *next = registration->next;

	*registration->link = next;
	if (next)
		next->link = registration->link;
	registration->link = NULL;
}

/* --- marking ------------------------------------------------------------------------------------------ */

void delivery_wake(struct cancel_source *source)
{
	if (!__atomic_load_n(&source->waited, __ATOMIC_SEQ_CST))
		return;
	(void)__atomic_add_fetch(&source->wakes, 1, __ATOMIC_SEQ_CST);
	futex_wake_all(&source->wakes);
}

static const struct cancel_source *root_of(const struct cancel_source *source)
{
	return word_load(source) & WORD_BY_LINK ? source->root : source;
}

/* By a link: its callback says so before the child's word does, so whoever sees the one sees the other. Only
 * a signal handler can come between, and then the word does not say BY_LINK. */
static void mark_child(struct cancel_source *parent, struct cancel_registration *link)
{
	struct cancel_source *child = link->arg;

	latch_lock(&child->locked);
	if (!word_is_cancelled(child)) {
		child->root = root_of(parent);
		__atomic_store_n(&link->callback, link_tell, __ATOMIC_RELAXED);
		if (word_set(child, word_cause(word_load(parent)), WORD_BY_LINK))
			delivery_mark_below(child);
		else
			__atomic_store_n(&link->callback, link_idle, __ATOMIC_RELAXED);
	}
	latch_unlock(&child->locked);
}

/* The locks on the way down are held: CANCEL_LINK_DEPTH_MAX of them at most, always parent before child. */
void delivery_mark_below(struct cancel_source *source)
{
	delivery_wake(source);
	if (!source->to_mark)
		return;
	for (struct cancel_registration *at = source->first; at; at = at->next) {
		if (at->callback == link_idle)
			mark_child(source, at);
		else if (at->callback == fd_done)
			fd_ring(at);
	}
}

/* --- calling ------------------------------------------------------------------------------------------ */

struct delivery *delivery_of(const struct cancel_source *source)
{
	void *delivery = __atomic_load_n(&source->delivery, __ATOMIC_ACQUIRE);

	/* An odd address is a queue's (queue.h). */
	return (uintptr_t)delivery & 1 ? NULL : delivery;
}

bool delivery_is_mine(const struct delivery *delivery)
{
	return pthread_equal(delivery->thread, pthread_self());
}

int delivery_find(const struct delivery *delivery, const struct cancel_registration *registration)
{
	for (unsigned i = 0; i < delivery->count; i++)
		if (delivery->slots[i].registration == registration)
			return (int)i;
	return -1;
}

static void claim(struct cancel_source *source, struct delivery *delivery)
{
	unsigned most = fence_is_offered() ? BATCH_MAX : 1, count = 0;
	struct cancel_registration *at = source->first;

	for (; at && count < most; at = at->next, count++) {
		delivery->slots[count] = (struct slot){at, at->callback, at->arg};
		at->link = NULL;
	}
	source->first = at;
	if (at)
		at->link = &source->first;
	delivery->count = count;
	__atomic_store_n(&delivery->cursor, 0, __ATOMIC_RELEASE);
}

/* With the lock held: those who asked look again. */
static void answer(struct cancel_source *source, struct delivery *delivery)
{
	if (!__atomic_load_n(&delivery->attention, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&delivery->attention, ATTENTION_NONE, __ATOMIC_RELAXED);
	delivery_wake(source);
}

static bool heed(struct cancel_source *source, struct delivery *delivery)
{
	if (__atomic_load_n(&delivery->attention, __ATOMIC_RELAXED) == ATTENTION_ENDED)
		return false;
	latch_lock(&source->locked);
	answer(source, delivery);
	latch_unlock(&source->locked);
	return true;
}

/* False: a callback has ended the source. */
static bool call_claimed(struct cancel_source *source, struct delivery *delivery)
{
	struct cancel_token token = cancel_source_token(source);
	unsigned count = delivery->count;

	for (unsigned i = 0; i < count; i++) {
		/* What the callback before did is visible to who sees this. */
		__atomic_store_n(&delivery->cursor, i, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&delivery->attention, __ATOMIC_RELAXED) && !heed(source, delivery))
			return false;
		if (delivery->slots[i].registration)
			delivery->slots[i].callback(delivery->slots[i].arg, token);
	}
	__atomic_store_n(&delivery->cursor, count, __ATOMIC_RELEASE);
	return __atomic_load_n(&delivery->attention, __ATOMIC_RELAXED) != ATTENTION_ENDED;
}

void delivery_run(struct cancel_source *source)
{
	struct delivery delivery;

	delivery.thread = pthread_self();
	delivery.attention = ATTENTION_NONE;
	claim(source, &delivery);
	__atomic_store_n(&source->delivery, &delivery, __ATOMIC_RELEASE);
	while (delivery.count > 0) {
		latch_unlock(&source->locked);
		if (!call_claimed(source, &delivery))
			return;
		latch_lock(&source->locked);
		answer(source, &delivery);
		claim(source, &delivery);
	}
	__atomic_store_n(&source->delivery, NULL, __ATOMIC_RELEASE);
	word_clear_pending(source);
	delivery_wake(source);
	latch_unlock(&source->locked);
}

/* --- ending ------------------------------------------------------------------------------------------- */

/* What is claimed and still to come goes back on the list, in its order. */
static void give_back(struct cancel_source *source, struct delivery *delivery)
{
	unsigned cursor = __atomic_load_n(&delivery->cursor, __ATOMIC_RELAXED);

	for (unsigned i = delivery->count; i-- > cursor + 1;)
		if (delivery->slots[i].registration)
			delivery_list(source, delivery->slots[i].registration);
	delivery->count = 0;
}

static void forget_all_but_marked(struct cancel_source *source)
{
	struct cancel_registration *next;

	for (struct cancel_registration *at = source->first; at; at = next) {
		next = at->next;
		if (at->callback == link_tell)
			continue;
		delivery_unlist(at);
		at->source = NULL;
	}
}

void delivery_end(struct cancel_source *source)
{
	struct delivery *mine = delivery_of(source);

	if (mine)
		give_back(source, mine);
	forget_all_but_marked(source);
	delivery_run(source);
	if (mine)
		__atomic_store_n(&mine->attention, ATTENTION_ENDED, __ATOMIC_RELAXED);
}

/* --- cancelling --------------------------------------------------------------------------------------- */

static bool mark(struct cancel_source *source, const struct cancel_cause *cause,
		 const struct cancel_source *root, unsigned flags)
{
	if (word_is_cancelled(source))
		return false;
	if (root)
		source->root = root;
	if (!word_set(source, cause, flags | (root ? WORD_BY_LINK : 0)))
		return false;
	delivery_mark_below(source);
	return true;
}

/* The lock is taken before the flag is set: who sees the flag and ends the source finds it locked. */
bool delivery_cancel(struct cancel_source *source, const struct cancel_cause *cause,
		     const struct cancel_source *root)
{
	latch_lock(&source->locked);
	if (!mark(source, cause, root, 0)) {
		latch_unlock(&source->locked);
		return false;
	}
	delivery_run(source);
	return true;
}

bool delivery_mark_pending(struct cancel_source *source, const struct cancel_cause *cause)
{
	bool won;

	latch_lock(&source->locked);
	won = mark(source, cause, NULL, WORD_PENDING);
	latch_unlock(&source->locked);
	return won;
}
