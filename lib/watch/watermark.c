/*
 * Why a scan may pass over old files, and which are old.
 *
 * A name that comes into a directory (created, linked, renamed there) gets a change time of the filesystem's
 * present, and so does the directory, in the same step. The clocks behind them tick: two changes within one
 * granule may carry the same time, so a slack of two granules is kept everywhere.
 *
 * Let D be the directory's change time, read before scan S begins. What the next scan has to look at came
 * after that reading, so its change time is not before D, as long as the clock of the filesystem does not run
 * back: it looks at everything from D minus the slack. That does not ask what time it is on this machine, so
 * a server's clock that is hours off does no harm. Where that clock is ours and D well in the past, whatever
 * comes later is stamped well after D, and the next scan need not open those that came with D again.
 *
 * A clock that is stepped forward is harmless: later is later. One that is stepped back makes what comes
 * after look older than it is.
 *
 * On a local filesystem it is our own wall clock, and a step shows as a change of its distance from the boot
 * time, which nobody steps. The watermark goes back by the same distance. A step from before S shows as a D
 * that is ahead of the clock: then what comes later is stamped with the present, and that is where to begin.
 *
 * A server's clock cannot be watched. But let D' be the directory's change time before the next scan, e the
 * boot time that went by between the two readings. What came between them came at most e before the change
 * that D' tells of, so by the stepped clock it is not older than D' - e. The earlier of the two bounds is
 * taken. Two opposite steps between two scans are too many for that.
 *
 * What a step makes us open again the table of the latest reports keeps from being reported twice.
 */
#include "watermark.h"

#include "clock.h"

#define GRANULE_NS      (10 * NS_PER_MS) /* of a kernel that ticks 100 times a second, the slowest there is */
#define COARSE_SLACK_NS (2 * NS_PER_S)

/* A time without a fraction means a filesystem that keeps whole seconds: on others one in a billion has none.
 */
static int64_t slack_ns(int64_t ctime_ns)
{
	return ctime_ns % NS_PER_S == 0 ? COARSE_SLACK_NS : 2 * GRANULE_NS;
}

static int64_t offset_ns(int64_t realtime_ns, int64_t boottime_ns)
{
	return realtime_ns - boottime_ns;
}

void watermark_begin(struct watermark *mark, const struct moment *now)
{
	int64_t slack = slack_ns(now->ctime_ns), offset = offset_ns(now->realtime_ns, now->boottime_ns);
	bool is_quiet = now->is_local && now->realtime_ns - now->ctime_ns > 2 * slack;
	bool is_ahead = now->is_local && now->realtime_ns < now->ctime_ns;

	*mark = (struct watermark){
		.is_set = true,
		.is_quiet = is_quiet,
		.ctime_ns = now->ctime_ns,
		/* Plus the slack, because a rename may stamp the file just after its directory. */
		.from_ns = is_quiet   ? now->ctime_ns + slack
			   : is_ahead ? now->realtime_ns - slack
				      : now->ctime_ns - slack,
		.boottime_ns = now->boottime_ns,
		.offset_ns = offset,
		.lowest_offset_ns = offset,
	};
}

void watermark_note_clock(struct watermark *mark, int64_t realtime_ns, int64_t boottime_ns)
{
	int64_t offset = offset_ns(realtime_ns, boottime_ns);

	if (mark->is_set && offset < mark->lowest_offset_ns)
		mark->lowest_offset_ns = offset;
}

int64_t watermark_from(const struct watermark *mark, const struct moment *now)
{
	struct watermark noted = *mark;
	int64_t from, bound;

	if (!mark->is_set)
		return INT64_MIN;
	if (now->is_local) {
		watermark_note_clock(&noted, now->realtime_ns, now->boottime_ns);
		return mark->from_ns - (mark->offset_ns - noted.lowest_offset_ns);
	}
	from = mark->from_ns;
	bound = now->ctime_ns - (now->boottime_ns - mark->boottime_ns) - slack_ns(now->ctime_ns);
	return bound < from ? bound : from;
}

bool watermark_is_unchanged(const struct watermark *mark, const struct moment *now)
{
	return mark->is_set && mark->is_quiet && now->is_local && mark->ctime_ns == now->ctime_ns;
}
