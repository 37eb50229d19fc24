#include "stress_node.h"

#include "stress_run.h"

#include <string.h>

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#endif

/* Where there is no checker, or not its header, the pattern alone tells. */
#ifndef VALGRIND_MAKE_MEM_NOACCESS
#define VALGRIND_MAKE_MEM_NOACCESS(memory, size) ((void)0)
#define VALGRIND_MAKE_MEM_DEFINED(memory, size)  ((void)0)
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(memory, size)   ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)0)
#endif

enum { POISON = 0xa5, EFFECT = 4711 };

void stress_bury(void *memory, size_t size)
{
	(void)memset(memory, POISON, size);
	ASAN_POISON_MEMORY_REGION(memory, size);
	VALGRIND_MAKE_MEM_NOACCESS(memory, size);
}

void stress_dig_up(void *memory, size_t size)
{
	const unsigned char *bytes = memory;
	bool intact = true;

	ASAN_UNPOISON_MEMORY_REGION(memory, size);
	VALGRIND_MAKE_MEM_DEFINED(memory, size);
	for (size_t i = 0; i < size; i++)
		intact = intact && bytes[i] == POISON;
	stress_expect(intact, "written to after its end: %zu bytes", size);
}

void stress_node_bury(struct stress_node *node)
{
	stress_bury(&node->registration, sizeof(node->registration));
	node->gone = true;
}

void stress_node_reset(struct stress_node *node, unsigned slowness)
{
	if (node->gone)
		stress_dig_up(&node->registration, sizeof(node->registration));
	*node = (struct stress_node){.slowness = slowness};
}

void stress_node_note(struct stress_node *node)
{
	stress_spin(node->slowness);
	node->effect = EFFECT;
	(void)atomic_fetch_add_explicit(&node->told, 1, memory_order_relaxed);
}

void stress_node_tell(void *arg, struct cancel_token token)
{
	stress_expect(cancel_token_requested(token), "called, but its token is not cancelled");
	stress_node_note(arg);
}

int stress_node_told(const struct stress_node *node)
{
	return atomic_load_explicit(&node->told, memory_order_relaxed);
}

int stress_node_try_remove(struct stress_node *node)
{
	int code = cancel_registration_remove(&node->registration);

	if (code == CANCEL_FINISHED)
		stress_expect(node->effect == EFFECT, "finished, but what it did is not visible");
	node->removed = code == CANCEL_REMOVED;
	if (code == CANCEL_REMOVED || code == CANCEL_FINISHED)
		stress_node_bury(node);
	return code;
}

int stress_node_remove(struct stress_node *node)
{
	int code = stress_node_try_remove(node);

	stress_expect(code == CANCEL_REMOVED || code == CANCEL_FINISHED, "remove says %d", code);
	return code;
}

int stress_node_remove_nowait(struct stress_node *node)
{
	int code = cancel_registration_remove_nowait(&node->registration);

	stress_expect(code == 0 || code == 1, "remove_nowait says %d", code);
	if (code == 1) {
		node->removed = true;
		stress_node_bury(node);
	}
	return code;
}

bool stress_node_right(const struct stress_node *node)
{
	return stress_node_told(node) == (node->removed ? 0 : 1) && (node->removed || node->effect == EFFECT);
}
