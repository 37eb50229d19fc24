#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	SHOW_EVERY_MS = 100,
};

static int64_t monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, bool quiet)
{
	int64_t now_ms = monotonic_ms();

	*progress = (struct progress){
		.wanted = !quiet && isatty(STDERR_FILENO),
		.begun_ms = now_ms,
		.shown_ms = now_ms,
	};
}

void progress_show(struct progress *progress, int64_t count)
{
	int64_t now_ms;

	if (!progress->wanted)
		return;
	now_ms = monotonic_ms();
	if (now_ms - progress->shown_ms < SHOW_EVERY_MS)
		return;
	progress->shown_ms = now_ms;
	progress->shown = true;
	(void)fprintf(stderr, "\r%" PRId64 " lines, %" PRId64 " a second\033[K", count,
		      count * 1000 / (now_ms - progress->begun_ms));
	(void)fflush(stderr);
}

void progress_hide(struct progress *progress)
{
	if (!progress->shown)
		return;
	progress->shown = false;
	(void)fputs("\r\033[K", stderr);
}
