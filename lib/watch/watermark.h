/* From which change time on a scan must look at files. */
#ifndef WATCH_WATERMARK_H
#define WATCH_WATERMARK_H

#include <stdbool.h>
#include <stdint.h>

/* A directory and the clocks, read together just before a scan of it begins. */
struct moment {
	int64_t ctime_ns; /* the directory's own change time, by its filesystem's clock */
	int64_t realtime_ns, boottime_ns;
	bool is_local; /* that filesystem's clock is our wall clock */
};

/* What is known after a scan went to its end. */
struct watermark {
	bool is_set;
	bool is_quiet; /* nothing can have changed unseen while the directory's change time is `ctime_ns` */
	int64_t ctime_ns;
	int64_t from_ns;
	int64_t boottime_ns;
	int64_t offset_ns, lowest_offset_ns; /* wall clock minus boot time: then, and the lowest since */
};

/* For a scan that begins at `now`: what will be known once it went to its end. */
void watermark_begin(struct watermark *mark, const struct moment *now);

/* The wall clock may have been stepped: told as often as convenient, the more often the better. */
void watermark_note_clock(struct watermark *mark, int64_t realtime_ns, int64_t boottime_ns);

/* The change time from which on a scan that begins at `now` must look; INT64_MIN: at everything. */
int64_t watermark_from(const struct watermark *mark, const struct moment *now);

/* No name can have come, gone or been replaced since that scan began: a scan would find nothing new. */
bool watermark_is_unchanged(const struct watermark *mark, const struct moment *now);

#endif
