#include "delivery.h"

#include "fence.h"
#include "futex.h"
#include "latch.h"
#include "list.h"
#include "registration.h"
#include "word.h"

/* --- marking ------------------------------------------------------------------------------------------ */

void delivery_wake(struct cancel_source *source)
{
	if (!__atomic_load_n(&source->waited, __ATOMIC_SEQ_CST))
		return;
	/* Who sets it from here on has not slept on the number below. */
	__atomic_store_n(&source->waited, 0, __ATOMIC_SEQ_CST);
	(void)__atomic_add_fetch(&source->wakes, 1, __ATOMIC_SEQ_CST);
	futex_wake_all(&source->wakes);
}

static const struct cancel_source *root_of(const struct cancel_source *source)
{
	return word_load(source) & WORD_BY_LINK ? source->root : source;
}

/* With the child's lock held. */
static bool mark_through(struct cancel_registration *link, const struct cancel_cause *cause,
			 const struct cancel_source *root)
{
	struct cancel_source *child = link->arg;

	if (word_is_cancelled(child))
		return false;
	child->root = root;
	/* Before the child's word, so that whoever sees that sees this. Only a signal handler can come
	 * between, and then the word does not say BY_LINK. */
	__atomic_store_n(&link->callback, link_tell, __ATOMIC_RELAXED);
	if (word_set(child, cause, WORD_BY_LINK))
		return true;
	__atomic_store_n(&link->callback, link_idle, __ATOMIC_RELAXED);
	return false;
}

static bool is_link(const struct cancel_registration *registration)
{
	return registration->callback == link_tell || registration->callback == link_idle;
}

/* The locks on the way down are held: CANCEL_LINK_DEPTH_MAX of them at most, always parent before child. A
 * source is gone through once, by however many ways it is reached. It is gone through even if it was
 * cancelled already: by a signal handler, which cannot do this. */
static void mark_children(struct cancel_source *source)
{
	if (source->special != SPECIAL_LISTED)
		return;
	source->special = SPECIAL_MARKED;
	for (struct cancel_registration *at = source->first; at; at = at->next) {
		struct cancel_source *child = at->arg;

		if (!is_link(at))
			continue;
		latch_lock(&child->locked);
		mark_through(at, word_cause(word_load(source)), root_of(source));
		mark_children(child);
		latch_unlock(&child->locked);
	}
}

static void wake_below(struct cancel_source *source)
{
	delivery_wake(source);
	if (source->special != SPECIAL_MARKED)
		return;
	source->special = SPECIAL_WOKEN;
	for (struct cancel_registration *at = source->first; at; at = at->next) {
		struct cancel_source *child = at->arg;

		if (at->callback == fd_done)
			fd_ring(at);
		if (!is_link(at))
			continue;
		latch_lock(&child->locked);
		wake_below(child);
		latch_unlock(&child->locked);
	}
}

void delivery_mark_below(struct cancel_source *source)
{
	mark_children(source);
	wake_below(source);
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

/* There is nothing to call: the descriptor is readable, or the child was cancelled by something else. */
static bool is_done_with(const struct cancel_registration *registration)
{
	return registration->callback == fd_done || registration->callback == link_idle;
}

/* What to call next, up to the next child that is to be told. */
static void claim(struct cancel_source *source, struct delivery *delivery)
{
	unsigned most = fence_is_offered() ? BATCH_MAX : 1, count = 0;
	struct cancel_registration *at = source->first, *next;
	bool plain = source->special == SPECIAL_NONE;

	for (; at && count < most && (plain || at->callback != link_tell); at = next) {
		next = at->next;
		if (!plain && is_done_with(at)) {
			registration_called(at);
			continue;
		}
		delivery->slots[count++] = (struct slot){at, at->callback, at->arg};
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

static bool was_ended(const struct delivery *delivery)
{
	return __atomic_load_n(&delivery->attention, __ATOMIC_RELAXED) == ATTENTION_ENDED;
}

/* False: a callback has ended the source. */
static bool heed(struct cancel_source *source, struct delivery *delivery)
{
	if (was_ended(delivery))
		return false;
	latch_lock(&source->locked);
	answer(source, delivery);
	latch_unlock(&source->locked);
	return true;
}

static void call_claimed(struct cancel_source *source, struct delivery *delivery)
{
	struct cancel_token token = cancel_source_token(source);
	unsigned count = delivery->count;

	for (unsigned i = 0; i < count; i++) {
		/* What the callback before did is visible to who sees this. */
		__atomic_store_n(&delivery->cursor, i, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&delivery->attention, __ATOMIC_RELAXED) && !heed(source, delivery))
			return;
		if (delivery->slots[i].registration)
			delivery->slots[i].callback(delivery->slots[i].arg, token);
	}
	__atomic_store_n(&delivery->cursor, count, __ATOMIC_RELEASE);
}

/* The child's lock is taken before the link is let go: whoever finds the link done with, and ends the child,
 * finds the child locked, or being delivered. */
static void tell_first_child(struct cancel_source *source)
{
	struct cancel_registration *link = source->first;
	struct cancel_source *child = link->arg;

	latch_lock(&child->locked);
	list_take(link);
	registration_called(link);
	latch_unlock(&source->locked);
	delivery_run(child);
}

void delivery_run(struct cancel_source *source)
{
	struct delivery delivery;

	/* Again, if it was marked from above: whoever did that may not have come back to wake, and what is
	 * told here he will not find any more. */
	delivery_mark_below(source);
	delivery.thread = pthread_self();
	delivery.attention = ATTENTION_NONE;
	claim(source, &delivery);
	__atomic_store_n(&source->delivery, &delivery, __ATOMIC_RELEASE);
	while (delivery.count > 0 || source->first) {
		if (delivery.count > 0) {
			latch_unlock(&source->locked);
			call_claimed(source, &delivery);
		} else {
			tell_first_child(source);
		}
		if (was_ended(&delivery))
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
			list_push(source, delivery->slots[i].registration);
	delivery->count = 0;
}

static void forget_all_but_marked(struct cancel_source *source)
{
	struct cancel_registration *next;

	for (struct cancel_registration *at = source->first; at; at = next) {
		next = at->next;
		if (at->callback == link_tell)
			continue;
		list_take(at);
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

/* The lock is taken before the flag is set: who sees the flag and ends the source finds it locked. */
bool delivery_cancel(struct cancel_source *source, const struct cancel_cause *cause)
{
	latch_lock(&source->locked);
	if (!word_set(source, cause, 0)) {
		latch_unlock(&source->locked);
		return false;
	}
	delivery_run(source);
	return true;
}

void delivery_cancel_through(struct cancel_registration *link, const struct cancel_cause *cause,
			     const struct cancel_source *root)
{
	struct cancel_source *child = link->arg;

	latch_lock(&child->locked);
	if (!mark_through(link, cause, root)) {
		latch_unlock(&child->locked);
		return;
	}
	delivery_run(child);
}

bool delivery_mark_pending(struct cancel_source *source, const struct cancel_cause *cause)
{
	bool won;

	latch_lock(&source->locked);
	won = word_set(source, cause, WORD_PENDING);
	if (won)
		delivery_mark_below(source);
	latch_unlock(&source->locked);
	return won;
}
