/* A page that all processes share; its first part is also read and written by the Python worker, as a file.
 */
#include "soak.h"

#include "campaign.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct page {
	char names[SLOTS][SLOT_SIZE];
	atomic_long descriptors[SLOTS];
	atomic_ulong fresh;
	atomic_ulong group;
} * page;

void slots_open(void)
{
	int fd = open(scene.slots_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*page)) < 0)
		campaign_skip("cannot make the slots in %s", scene.dir.root);
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		campaign_skip("cannot map the slots");
	(void)close(fd);
}

void slot_set(int slot, const char *name)
{
	char text[SLOT_SIZE] = "";

	(void)snprintf(text, sizeof(text), "%s", name);
	(void)memcpy(page->names[slot], text, sizeof(text));
}

void slot_set_descriptors(int slot, long count)
{
	atomic_store(&page->descriptors[slot], count);
}

long slot_descriptors(int slot)
{
	return atomic_load(&page->descriptors[slot]);
}

/* What is read while it is written is a name that nobody has, which is fine too. */
bool slot_pick(char name[SLOT_SIZE])
{
	unsigned first = campaign_pick(SLOTS);

	for (unsigned i = 0; i < SLOTS; i++) {
		(void)memcpy(name, page->names[(first + i) % SLOTS], SLOT_SIZE);
		name[SLOT_SIZE - 1] = '\0';
		if (name[0])
			return true;
	}
	return false;
}

void name_fresh(char name[SLOT_SIZE], const char *prefix)
{
	(void)snprintf(name, SLOT_SIZE, "%s-%lu", prefix, atomic_fetch_add(&page->fresh, 1));
}

void group_now(char name[SLOT_SIZE])
{
	(void)snprintf(name, SLOT_SIZE, "group-%lu", atomic_load(&page->group));
}

void group_next(void)
{
	(void)atomic_fetch_add(&page->group, 1);
}
