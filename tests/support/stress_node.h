/* A registration, and what became of its callback; and memory that nobody may touch any more. */
#ifndef SUPPORT_STRESS_NODE_H
#define SUPPORT_STRESS_NODE_H

#include <cancel/cancel.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Its owner resets it while nobody else knows of it. */
struct stress_node {
	struct cancel_registration registration;
	atomic_int told; /* how often its callback was called; relaxed, so that it orders nothing */
	int effect; /* plain: what the callback leaves behind. ThreadSanitizer sees whether that is ordered */
	unsigned slowness;
	bool gone;    /* the registration is buried */
	bool removed; /* the library said that it will never be called */
};

/* As new, and nothing is registered. */
void stress_node_reset(struct stress_node *node, unsigned slowness);

/* The callback: arg is the node. */
void stress_node_tell(void *arg, struct cancel_token token);
/* The same without looking at the token, whose source may have been ended. */
void stress_node_note(struct stress_node *node);

int stress_node_told(const struct stress_node *node);

/* Take it back, check what is said against what is seen, and bury it: removed, or finished. */
int stress_node_remove(struct stress_node *node);
/* The same where it may also be inside, or a deadlock: then it is not buried. */
int stress_node_try_remove(struct stress_node *node);
/* The same without waiting. It is buried if it was removed. */
int stress_node_remove_nowait(struct stress_node *node);

/* In the end, when nothing is being delivered: told if that could be, or removed, and never both. */
bool stress_node_right(const struct stress_node *node);

void stress_node_bury(struct stress_node *node);

/* Poison memory, and tell the checkers that it is out of bounds. */
void stress_bury(void *memory, size_t size);
/* Take it into use again: it must be as it was buried. */
void stress_dig_up(void *memory, size_t size);

#endif
