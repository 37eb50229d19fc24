#include "holder.h"

#include "lock.h"

static struct name_lock held;

int holder_take(struct cancel_spool *spool, const char *name)
{
	return lock_take(spool, name, &held, NULL);
}

int holder_take_all(struct cancel_spool *spool)
{
	return lock_try_all(spool, &held, NULL);
}

void holder_drop(void)
{
	lock_drop(&held);
}

int holder_try(struct cancel_spool *spool, const char *name)
{
	struct name_lock lock;
	int code = lock_try(spool, name, &lock, NULL);

	if (code == 0)
		lock_drop(&lock);
	return code;
}
