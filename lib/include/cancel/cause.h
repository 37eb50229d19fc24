/**
 * Why something was cancelled.
 *
 * A cause is an immutable object that is compared by its address and named by its text. Most are static:
 *
 *     static const struct cancel_cause quota = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "disk quota reached");
 *
 *     cancel_source_cancel(&source, &quota);
 *     ...
 *     if (cancel_token_cause(token) == &quota)
 *             ask_for_more_space();
 *
 * The cause travels with the cancellation to every linked source, so a leaf knows what its root was told.
 *
 * A static cause has no lifetime to care for. One that is made at run time is **counted**: it has a
 * `release`, which is called once, by whichever thread drops the last hold. Every source that was cancelled
 * with it holds it until cancel_source_fini, and its maker holds it once from the start:
 *
 *     struct why { struct cancel_cause cause; char text[80]; } *why = malloc(sizeof *why);
 *
 *     why->cause = (struct cancel_cause)CANCEL_CAUSE_INIT(CANCEL_KIND_USER, why->text);
 *     why->cause.release = free_why;
 *     cancel_source_cancel(&source, &why->cause);
 *     cancel_cause_drop(&why->cause);
 */
#ifndef CANCEL_CAUSE_H
#define CANCEL_CAUSE_H

#include <cancel/export.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

/* What sort of cause. Programs that have sorts of their own number them from CANCEL_KIND_USER. */
enum cancel_kind {
	CANCEL_KIND_REQUESTED, /* somebody asked; the sort of a cancel without a cause */
	CANCEL_KIND_DEADLINE,  /* time ran out: the error form is -ETIMEDOUT */
	CANCEL_KIND_SHUTDOWN,  /* the program ends */
	CANCEL_KIND_USER = 256,
};

struct cancel_cause {
	uint32_t kind;      /* enum cancel_kind, or CANCEL_KIND_USER and up */
	uint32_t holders;   /* the library's, once in use; starts as 1 */
	const char *text;   /* for people; borrowed as long as the cause lives; not NULL */
	const void *detail; /* whatever the program wants to hand on */
	/* NULL: static, nothing is counted. Else called once, after the last hold was dropped, on whatever
	 * thread dropped it: as a rule the one that ends a source. It may free the cause. A counted cause
	 * must not be a const object. */
	void (*release)(struct cancel_cause *cause);
} __attribute__((aligned(8)));

/* The initialiser of a static cause; the first half of making a counted one. */
#define CANCEL_CAUSE_INIT(kind, text)   \
	{                               \
		(kind), 1, (text), 0, 0 \
	}

/**
 * The causes that stand in where none is given: "cancelled" (CANCEL_KIND_REQUESTED) and "deadline passed"
 * (CANCEL_KIND_DEADLINE).
 *
 * @return Always the same address. Any thread, any signal handler.
 */
CANCEL_API const struct cancel_cause *cancel_cause_requested(void);
CANCEL_API const struct cancel_cause *cancel_cause_deadline(void);

/**
 * Hold a counted cause once more. Nothing happens to a static one.
 *
 * The caller must know that it is held while this is called: by himself, or by a source that is not ended.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API void cancel_cause_hold(const struct cancel_cause *cause);

/**
 * Drop a hold. The last one calls `release` here. Nothing happens to a static cause.
 *
 * Blocks as `release` does. Any thread.
 */
CANCEL_API void cancel_cause_drop(const struct cancel_cause *cause);

CANCEL_END_DECLS

#endif
