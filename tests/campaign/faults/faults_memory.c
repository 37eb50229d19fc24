#include "faults_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __has_feature
#define IS_CLANG_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_CLANG_SANITIZED 0
#endif

static atomic_long live;
static atomic_int count, failures;
static atomic_bool armed;
static int fails_at = -1;
static bool fails_on;

void faults_memory_plan(int at, bool on)
{
	fails_at = at;
	fails_on = on;
	count = failures = 0;
}

int faults_memory_count(void)
{
	return count;
}

int faults_memory_failures(void)
{
	return failures;
}

long faults_memory_live(void)
{
	return live;
}

/* The marks. */
pid_t getppid(void)
{
	armed = !armed;
	return (pid_t)syscall(SYS_getppid);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !IS_CLANG_SANITIZED

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t number, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

bool faults_memory_works(void)
{
	return true;
}

static bool is_refused(void)
{
	int index;

	if (!armed)
		return false;
	index = atomic_fetch_add(&count, 1);
	if (fails_at < 0 || (fails_on ? index < fails_at : index != fails_at))
		return false;
	failures++;
	errno = ENOMEM;
	return true;
}

static void *counted(void *memory)
{
	live += memory != NULL;
	return memory;
}

void *malloc(size_t size)
{
	return is_refused() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t number, size_t size)
{
	return is_refused() ? NULL : counted(__libc_calloc(number, size));
}

void *realloc(void *old, size_t size)
{
	void *memory;

	if (!old)
		return malloc(size);
	if (size > 0 && is_refused())
		return NULL;
	memory = __libc_realloc(old, size);
	live -= size == 0 && !memory;
	return memory;
}

void *reallocarray(void *old, size_t number, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(number, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, total);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return is_refused() ? NULL : counted(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	void *made = aligned_alloc(alignment, size);

	if (!made)
		return ENOMEM;
	*memory = made;
	return 0;
}

void free(void *memory)
{
	int code = errno;

	live -= memory != NULL;
	__libc_free(memory);
	errno = code;
}

#else

bool faults_memory_works(void)
{
	return false;
}

#endif
