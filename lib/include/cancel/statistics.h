/**
 * What has happened in a spool, counted by every process that uses it.
 *
 * The counters are in the spool's shared page, the file `bell`. They begin when that is made, and wrap at 2^32.
 * They are for people: where the page cannot be written nothing is counted, and nothing else suffers.
 *
 * Latencies are kept as histograms of powers of two. Both ends are read from CLOCK_BOOTTIME; a request of an
 * earlier boot is counted without a latency.
 */
#ifndef CANCEL_STATISTICS_H
#define CANCEL_STATISTICS_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/spool.h>

#include <stdint.h>

CANCEL_BEGIN_DECLS

enum cancel_count {
	CANCEL_COUNT_REQUESTED, /* new requests, drops taken in included; not what other programs put into pending/ */
	CANCEL_COUNT_MERGED,    /* requests whose terms made one that stood stronger */
	CANCEL_COUNT_NOTICED,   /* runs that saw a request and were cancelled by it */
	CANCEL_COUNT_STOPPED,   /* decided requests, by outcome */
	CANCEL_COUNT_FINISHED,
	CANCEL_COUNT_FAILED,
	CANCEL_COUNT_REFUSED,
	CANCEL_COUNT_WITHDRAWN,
	CANCEL_COUNT_EXPIRED,
	CANCEL_COUNTS
};

#define CANCEL_HISTOGRAM_BUCKETS 64

/* Bucket i counts what took from 2^i to less than 2^(i+1) nanoseconds; the first what took less than 2. */
struct cancel_histogram {
	uint32_t buckets[CANCEL_HISTOGRAM_BUCKETS];
};

struct cancel_statistics {
	uint32_t counts[CANCEL_COUNTS];
	struct cancel_histogram notice; /* from publishing a request to a run seeing it that was going then */
	struct cancel_histogram stop;   /* from publishing a request to its decision as stopped */
};

/**
 * Read the counters. They are read one after the other while others count.
 *
 * @param statistics  Set on success; all zero where nothing was counted yet. Owned by the caller.
 *
 * @return 0, or
 *         -ENOTSUP  the spool has no page that could be used; the sentence says why;
 *         others    as the system says.
 *
 * Blocks on the filesystem. Any thread.
 */
CANCEL_API int cancel_spool_statistics(struct cancel_spool *spool, struct cancel_statistics *statistics,
				       struct cancel_error *error);

/**
 * A percentile of a histogram.
 *
 * @param per_mille  500 is the median, 990 the 99th percentile; over 1000 is taken as 1000.
 *
 * @return The upper bound of the bucket in which it lies, in nanoseconds: at most twice the truth; 0 when
 *         nothing was counted.
 *
 * Does not block. Any thread, any signal handler.
 */
CANCEL_API int64_t cancel_histogram_percentile_ns(const struct cancel_histogram *histogram, unsigned per_mille);

/**
 * How many were counted in a histogram. Any thread, any signal handler.
 */
CANCEL_API uint64_t cancel_histogram_count(const struct cancel_histogram *histogram);

/**
 * The word for a counter, as programs write it; "unknown" outside the enumeration.
 *
 * @return A static string. Any thread, any signal handler.
 */
CANCEL_API const char *cancel_count_text(enum cancel_count count);

CANCEL_END_DECLS

#endif
