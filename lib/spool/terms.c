#include "terms.h"

#include "clock.h"

#include <string.h>

/* What 32-bit timestamps hold; a request that expires later, or never, is opened by each sweep after that. */
#define LATEST_MTIME_US ((int64_t)INT32_MAX * US_PER_S)

static int64_t wait_s(const struct cancel_request *request)
{
	int64_t wait_us = request->cancel_at_us - request->requested_at_us;

	return wait_us > 0 ? wait_us / US_PER_S + 1 : 0;
}

void terms_default_life(struct cancel_request *request, int64_t expire_after_s)
{
	request->expires_in_s = expire_after_s;
	if (expire_after_s != CANCEL_EXPIRES_NEVER)
		request->expires_in_s += wait_s(request);
	if (request->expires_in_s > CANCEL_EXPIRES_MAX_S)
		request->expires_in_s = CANCEL_EXPIRES_NEVER;
}

bool terms_too_short(const struct cancel_request *request)
{
	return request->cancel_at_us && request->expires_in_s > 0 && request->expires_in_s < wait_s(request);
}

int64_t terms_mtime_us(const struct cancel_request *request)
{
	int64_t mtime_us = LATEST_MTIME_US;

	if (request->expires_in_s > 0)
		mtime_us = request->requested_at_us + request->expires_in_s * US_PER_S;
	return mtime_us < LATEST_MTIME_US ? mtime_us : LATEST_MTIME_US;
}

/* How long ago it was asked, by the clock that counts for it. */
static int64_t age_s(const struct cancel_request *request)
{
	if (request->boot_id[0] && !strcmp(request->boot_id, clock_boot_id()))
		return (clock_boottime_ns() - request->boottime_ns) / NS_PER_S;
	return (clock_realtime_us() - request->requested_at_us) / US_PER_S;
}

/* A request that stands since `age` seconds must live on for all of the new one's life. Ages are whole seconds:
 * many who ask in the same second change nothing. */
static bool extend(struct cancel_request *standing, int64_t expires_in_s)
{
	int64_t age = age_s(standing), wanted_s;

	if (standing->expires_in_s == CANCEL_EXPIRES_NEVER)
		return false;
	wanted_s = (age > 0 ? age : 0) + expires_in_s;
	if (expires_in_s == CANCEL_EXPIRES_NEVER || wanted_s > CANCEL_EXPIRES_MAX_S)
		wanted_s = CANCEL_EXPIRES_NEVER;
	else if (wanted_s <= standing->expires_in_s)
		return false;
	standing->expires_in_s = wanted_s;
	return true;
}

bool terms_merge(struct cancel_request *standing, const struct cancel_request *asked)
{
	bool extended = extend(standing, asked->expires_in_s);

	if (asked->cancel_at_us >= standing->cancel_at_us)
		return extended;
	standing->cancel_at_us = asked->cancel_at_us;
	return true;
}
