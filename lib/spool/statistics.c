#include <cancel/statistics.h>

#include "bell.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>

static int read_page(const struct cancel_spool *spool, struct cancel_statistics *statistics,
		     struct cancel_error *error)
{
	const char *why;
	struct bell *bell = bell_hold(spool, BELL_READ, &why);
	bool whole;

	if (!bell)
		return error_set(error, -ENOTSUP, "cannot read the statistics of spool '%s': %s",
				 SPOOL_QUOTE(spool), why);
	whole = bell_read(bell, BELL_COUNTS_AT, statistics->counts, CANCEL_COUNTS) &&
		bell_read(bell, BELL_NOTICE_AT, statistics->notice.buckets, CANCEL_HISTOGRAM_BUCKETS) &&
		bell_read(bell, BELL_STOP_AT, statistics->stop.buckets, CANCEL_HISTOGRAM_BUCKETS);
	bell_drop(bell);
	return whole ? 0
		     : error_set(error, -ENOTSUP,
				 "cannot read the statistics of spool '%s': 'bell' is too short",
				 SPOOL_QUOTE(spool));
}

/* Nobody has rung or slept yet. */
static bool nothing_counted(const struct cancel_spool *spool)
{
	struct stat stat;

	return fstatat(spool->fds[SPOOL_ROOT], FILE_BELL, &stat, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

int cancel_spool_statistics(struct cancel_spool *spool, struct cancel_statistics *statistics,
			    struct cancel_error *error)
{
	struct cancel_statistics counted = {0};
	int code = spool_enter(spool, error);

	if (code < 0)
		return code;
	if (!nothing_counted(spool))
		code = read_page(spool, &counted, error);
	spool_leave(spool);
	if (code == 0)
		*statistics = counted;
	return code;
}

uint64_t cancel_histogram_count(const struct cancel_histogram *histogram)
{
	uint64_t count = 0;

	for (int i = 0; i < CANCEL_HISTOGRAM_BUCKETS; i++)
		count += histogram->buckets[i];
	return count;
}

int64_t cancel_histogram_percentile_ns(const struct cancel_histogram *histogram, unsigned per_mille)
{
	uint64_t count = cancel_histogram_count(histogram), seen = 0;

	if (per_mille > 1000)
		per_mille = 1000;
	for (int i = 0; i < CANCEL_HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen && seen * 1000 >= count * per_mille)
			return i < 62 ? (int64_t)2 << i : INT64_MAX;
	}
	return 0;
}

const char *cancel_count_text(enum cancel_count count)
{
	static const char *const words[CANCEL_COUNTS] = {
		[CANCEL_COUNT_REQUESTED] = "requested", [CANCEL_COUNT_MERGED] = "merged",
		[CANCEL_COUNT_NOTICED] = "noticed",     [CANCEL_COUNT_STOPPED] = "stopped",
		[CANCEL_COUNT_FINISHED] = "finished",   [CANCEL_COUNT_FAILED] = "failed",
		[CANCEL_COUNT_REFUSED] = "refused",     [CANCEL_COUNT_WITHDRAWN] = "withdrawn",
		[CANCEL_COUNT_EXPIRED] = "expired",
	};

	return (unsigned)count < CANCEL_COUNTS ? words[count] : "unknown";
}
