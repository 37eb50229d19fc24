#include "counted.h"

#include <inttypes.h>

/* The percentiles that are told. In text there is room for two. */
static const struct {
	const char *name;
	unsigned per_mille;
	bool in_text;
} percentiles[] = {
	{"p50", 500, true},
	{"p90", 900, false},
	{"p99", 990, true},
};

#define PERCENTILES (sizeof percentiles / sizeof percentiles[0])

void counted_read(struct counted *counted, struct cancel_spool *spool)
{
	counted->error = (struct cancel_error){0};
	(void)cancel_spool_statistics(spool, &counted->statistics, &counted->error);
}

static void print_counts(struct printer *out, const struct cancel_statistics *statistics)
{
	print_add(out, "counted     ");
	for (int i = 0; i < CANCEL_COUNTS; i++)
		print_add(out, "%s%s %" PRIu32, i == 0 ? "" : ", ", cancel_count_text((enum cancel_count)i),
			  statistics->counts[i]);
	print_end(out);
}

static void print_latencies(struct printer *out, const char *name, const struct cancel_histogram *histogram)
{
	uint64_t count = cancel_histogram_count(histogram);
	char span[SPAN_SIZE];

	print_add(out, "%-12s", name);
	for (size_t i = 0; i < PERCENTILES && count > 0; i++) {
		if (percentiles[i].in_text)
			print_add(out, "%s%s %s", i == 0 ? "" : ", ", percentiles[i].name,
				  span_text(span, cancel_histogram_percentile_ns(histogram,
										 percentiles[i].per_mille)));
	}
	print_add(out, count > 0 ? " (%" PRIu64 " counted)" : "%" PRIu64 " counted", count);
	print_end(out);
}

void counted_print_text(struct printer *out, const struct counted *counted)
{
	if (counted->error.code != 0) {
		print_add(out, "counted     not known: %s", counted->error.text);
		print_end(out);
		return;
	}
	print_counts(out, &counted->statistics);
	print_latencies(out, "notice", &counted->statistics.notice);
	print_latencies(out, "stop", &counted->statistics.stop);
}

static void add_counts_json(struct printer *out, const struct cancel_statistics *statistics)
{
	print_add(out, ", \"counted\": {");
	for (int i = 0; i < CANCEL_COUNTS; i++)
		print_add(out, "%s\"%s\": %" PRIu32, i == 0 ? "" : ", ",
			  cancel_count_text((enum cancel_count)i), statistics->counts[i]);
	print_add(out, "}");
}

/* From where a bucket of latencies begins and where the next one does. */
static void add_bucket_json(struct printer *out, int bucket, uint32_t count, bool first)
{
	uint64_t from_ns = bucket == 0 ? 0 : UINT64_C(1) << bucket;

	print_add(out, "%s{\"from_ns\": %" PRIu64 ", \"below_ns\": ", first ? "" : ", ", from_ns);
	if (bucket + 1 < CANCEL_HISTOGRAM_BUCKETS)
		print_add(out, "%" PRIu64, UINT64_C(2) << bucket);
	else
		print_add(out, "null");
	print_add(out, ", \"count\": %" PRIu32 "}", count);
}

static void add_latencies_json(struct printer *out, const char *name,
			       const struct cancel_histogram *histogram)
{
	uint64_t count = cancel_histogram_count(histogram);
	bool first = true;

	print_add(out, ", \"%s\": {\"count\": %" PRIu64, name, count);
	for (size_t i = 0; i < PERCENTILES; i++) {
		print_add(out, ", \"%s_ns\": ", percentiles[i].name);
		if (count == 0)
			print_add(out, "null");
		else
			print_add(out, "%" PRId64,
				  cancel_histogram_percentile_ns(histogram, percentiles[i].per_mille));
	}
	print_add(out, ", \"buckets\": [");
	for (int i = 0; i < CANCEL_HISTOGRAM_BUCKETS; i++) {
		if (histogram->buckets[i] == 0)
			continue;
		add_bucket_json(out, i, histogram->buckets[i], first);
		first = false;
	}
	print_add(out, "]}");
}

void counted_add_json(struct printer *out, const struct counted *counted)
{
	bool known = counted->error.code == 0;

	if (known) {
		add_counts_json(out, &counted->statistics);
		add_latencies_json(out, "notice", &counted->statistics.notice);
		add_latencies_json(out, "stop", &counted->statistics.stop);
	} else {
		print_add(out, ", \"counted\": null, \"notice\": null, \"stop\": null");
	}
	print_add(out, ", \"counted_why\": ");
	print_string(out, known ? NULL : counted->error.text);
}
