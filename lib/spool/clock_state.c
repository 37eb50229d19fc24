#include "clock_state.h"

#include "clock.h"
#include "draft.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* No clock says more, and what is less than this can be added up. */
#define LATEST_US (253402300800LL * US_PER_S) /* year 10000 */

static bool is_plausible(const struct clock_state *state)
{
	const int64_t times_us[] = {state->since_us, state->stepped_us, state->swept_at_us};

	for (size_t i = 0; i < sizeof times_us / sizeof times_us[0]; i++)
		if (times_us[i] < 0 || times_us[i] > LATEST_US)
			return false;
	return state->offset_ms >= -LATEST_US / US_PER_MS && state->offset_ms <= LATEST_US / US_PER_MS;
}

/* A state that cannot be is as good as none. */
int clock_state_read(const struct cancel_spool *spool, struct clock_state *state)
{
	struct clock_state read = {.offset_ms = 0};
	char text[512];
	const char *boot_id;
	json_int_t offset_ms, since_us, swept_at_us, stepped_us = 0;
	json_t *json;
	ssize_t length = store_read_small(spool->fds[SPOOL_ROOT], FILE_SWEPT, text, sizeof text);
	int code;

	json = length > 0 ? json_loadb(text, (size_t)length, 0, NULL) : NULL;
	code = json ? json_unpack(json, "{s:s, s:I, s:I, s:I, s?I}", "boot_id", &boot_id, "offset_ms", &offset_ms,
				  "since_us", &since_us, "swept_at_us", &swept_at_us, "stepped_us", &stepped_us)
		    : -1;
	if (code == 0) {
		read.offset_ms = offset_ms;
		read.since_us = since_us;
		read.stepped_us = stepped_us;
		read.swept_at_us = swept_at_us;
		(void)snprintf(read.boot_id, sizeof read.boot_id, "%s", boot_id);
	}
	json_decref(json);
	if (code < 0 || !is_plausible(&read))
		return -ENOENT;
	*state = read;
	return 0;
}

int clock_state_write(const struct cancel_spool *spool, const struct clock_state *state)
{
	struct stat stat;
	char text[512];

	/* The rename would delete a link or a FIFO that somebody put there. */
	if (fstatat(spool->fds[SPOOL_ROOT], FILE_SWEPT, &stat, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(stat.st_mode))
		return -EEXIST;
	(void)snprintf(text, sizeof text,
		       "{\"boot_id\": \"%s\", \"offset_ms\": %" PRId64 ", \"since_us\": %" PRId64
		       ", \"stepped_us\": %" PRId64 ", \"swept_at_us\": %" PRId64 "}\n",
		       state->boot_id, state->offset_ms, state->since_us, state->stepped_us, state->swept_at_us);
	return draft_replace(spool, SPOOL_ROOT, FILE_SWEPT, text, strlen(text), 0);
}

int64_t clock_state_advance(const struct cancel_spool *spool, struct clock_state *state)
{
	int64_t offset_ms = clock_offset_ms(), step_ms;

	if (clock_state_read(spool, state) == 0 && !strcmp(state->boot_id, clock_boot_id())) {
		/* Against the first offset and not the last, so that many small steps show like one large. */
		step_ms = offset_ms - state->offset_ms;
		if (step_ms >= -CANCEL_CLOCK_STEP_MS && step_ms <= CANCEL_CLOCK_STEP_MS)
			return 0;
	} else {
		step_ms = 0;
		state->swept_at_us = 0;
	}
	(void)snprintf(state->boot_id, sizeof state->boot_id, "%s", clock_boot_id());
	state->offset_ms = offset_ms;
	state->since_us = clock_realtime_us();
	/* Set back, the clock will show times again that files made before the step have. */
	if (step_ms < 0)
		state->since_us -= step_ms * US_PER_MS;
	state->stepped_us = step_ms ? state->since_us : 0;
	return step_ms;
}
