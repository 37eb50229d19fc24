#include "rule_key.h"

#include <cancel/clock.h>

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static uint64_t secret;

static uint64_t get_secret(void)
{
	/* Early after the boot there may be none to be had; then who knows the time knows the secret. */
	while (secret == 0)
		if (getrandom(&secret, sizeof secret, GRND_NONBLOCK) != (ssize_t)sizeof secret)
			secret = (uint64_t)cancel_clock_now_ns() ^ (uint64_t)getpid() << 32;
	return secret;
}

static uint64_t mix(uint64_t key, uint64_t more)
{
	key = (key ^ more) * UINT64_C(0x9fb21c651e98df25);
	return key ^ key >> 35;
}

/* The text and where it ends, so that no two texts are one when they are put side by side. */
static uint64_t mix_text(uint64_t key, const char *text)
{
	size_t length = text == NULL ? 0 : strlen(text);

	for (size_t at = 0; at < length; at += sizeof key) {
		uint64_t block = 0;

		memcpy(&block, text + at, length - at < sizeof block ? length - at : sizeof block);
		key = mix(key, block) + get_secret();
	}
	return mix(key, length + (text != NULL));
}

uint64_t rule_key(const struct cancel_request *request)
{
	uint64_t key = mix_text(get_secret(), request->request_id);

	/* Some numbers are left for others who number what they wait for. */
	return mix_text(mix_text(key, request->task_id), request->run) >> 1;
}
