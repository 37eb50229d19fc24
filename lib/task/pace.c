#include "pace.h"

#include "clock.h"

#include <cancel/limits.h>

#define SHORTEST_NS (CANCEL_ROUND_MIN_MS * NS_PER_MS)
#define LONGEST_NS  (CANCEL_ROUND_MAX_MS * NS_PER_MS)

/* So that ten thousand who began together do not look together for ever. */
static int64_t jittered(int64_t pause_ns, int64_t seed_ns)
{
	int64_t range_ns = pause_ns / 8, jittered_ns = pause_ns - range_ns + seed_ns % (range_ns + 1);

	return jittered_ns < SHORTEST_NS ? SHORTEST_NS : jittered_ns;
}

/* A round of a thousand tasks takes long: no more than one part in SHARE of the time is spent on them. */
#define SHARE 32

static int64_t clamped(const struct pace *pace, int64_t pause_ns, int64_t longest_ns)
{
	if (pause_ns < SHORTEST_NS)
		pause_ns = SHORTEST_NS;
	if (pause_ns < SHARE * pace->took_ns)
		pause_ns = SHARE * pace->took_ns;
	return pause_ns < longest_ns ? pause_ns : longest_ns;
}

void pace_next(struct pace *pace, int64_t now_ns, int64_t longest_pause_ms, bool is_complete)
{
	pace->pause_ns =
		is_complete ? LONGEST_NS : clamped(pace, 2 * pace->pause_ns, longest_pause_ms * NS_PER_MS);
	pace->round_ns = now_ns + jittered(pace->pause_ns, now_ns);
}

void pace_note(struct pace *pace, int64_t took_ns)
{
	pace->took_ns = took_ns;
}

void pace_hurry(struct pace *pace, int64_t now_ns)
{
	pace->pause_ns = clamped(pace, SHORTEST_NS, LONGEST_NS);
	if (pace->round_ns > now_ns + pace->pause_ns)
		pace->round_ns = now_ns + pace->pause_ns;
}

void pace_try_again(struct pace *pace, int64_t now_ns, int64_t longest_pause_ms)
{
	if (pace->round_ns > now_ns + longest_pause_ms * NS_PER_MS)
		pace_hurry(pace, now_ns);
}
