/* Any bytes as inotify's stream: every event stays inside the bytes, and a name is one that can be looked up.
 */
#include "dirwatch.h"

#include "fuzzing.h"

static void check_event(const struct dirwatch_event *event, const unsigned char *bytes, size_t taken)
{
	const char *end = (const char *)bytes + taken;

	check(event->hint == DIRWATCH_NAME || event->hint == DIRWATCH_OVERFLOWED ||
	      event->hint == DIRWATCH_GONE || event->hint == DIRWATCH_OTHER);
	check((event->hint == DIRWATCH_NAME) == (event->name != NULL));
	if (event->hint == DIRWATCH_NAME || event->hint == DIRWATCH_GONE)
		check(event->dir == SPOOL_ROOT || event->dir == SPOOL_PENDING ||
		      event->dir == SPOOL_PROCESSED);
	if (!event->name)
		return;
	check(event->name > (const char *)bytes && event->name < end);
	check(memchr(event->name, '\0', (size_t)(end - event->name)) != NULL);
	check(event->name[0] != '\0' && !strchr(event->name, '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dirwatch_event event;
	struct dirwatch stream;
	unsigned char *bytes =
		malloc(size ? size : 1); /* of the exact size, so that a read beyond it shows */
	size_t at = 0, taken;

	check(bytes != NULL);
	if (size)
		memcpy(bytes, data, size);
	dirwatch_init(&stream);
	stream.wds[SPOOL_ROOT] = 1;
	stream.wds[SPOOL_PENDING] = 2;
	stream.wds[SPOOL_PROCESSED] = 3;
	while ((taken = dirwatch_parse(&stream, bytes + at, size - at, &event)) > 0) {
		check(taken <= size - at);
		check_event(&event, bytes + at, taken);
		at += taken;
	}
	free(bytes);
	return 0;
}
