#include "fence.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool offered;

static bool membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0;
}

/* When the library is loaded, because later, with many threads, it takes milliseconds, and because no call on
 * a source shall be slower than the others. */
__attribute__((constructor)) static void announce(void)
{
	int saved = errno;

	offered = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	errno = saved;
}

bool fence_is_offered(void)
{
	return __atomic_load_n(&offered, __ATOMIC_RELAXED);
}

bool fence_all_threads(void)
{
	if (fence_is_offered() && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return true;
	fence_give_up();
	return false;
}

void fence_give_up(void)
{
	__atomic_store_n(&offered, false, __ATOMIC_RELAXED);
}
