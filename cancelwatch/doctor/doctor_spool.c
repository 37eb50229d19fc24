/* The directory and what is in it. */
#include "doctor.h"
#include "refused.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#define SCARCE_PERCENT 5
#define SWEEPS_MISSED  10            /* so many intervals without a pass are too many */
#define SWEEP_LATE_US  86400000000LL /* and a day is, where cron does it */

void check_spool(struct doctor *doctor, struct finding *finding)
{
	if (doctor->spool == NULL) {
		finding_set(finding, LEVEL_PROBLEM, "%s", doctor->spool_error.text);
		if (doctor->spool_error.code == -ENOENT)
			finding_remedy(finding, "run 'cancelwatch init' as the user who shall own it");
	} else {
		finding_set(finding, LEVEL_OK, "can be opened safely; layout %d, uuid %s",
			    doctor->info.layout_version, doctor->info.uuid);
	}
}

void check_directory(struct doctor *doctor, struct finding *finding)
{
	char real[PATH_MAX];
	const struct cancel_spool_info *info = &doctor->info;

	if (realpath(info->path, real) == NULL) {
		finding_set(finding, LEVEL_PROBLEM, "cannot resolve '%s': %s", SHOW(info->path),
			    strerror(errno));
		return;
	}
	finding_set(finding, LEVEL_OK, "'%s', device %u:%u, inode %" PRIu64, SHOW(real), major(info->device),
		    minor(info->device), info->inode);
}

void check_filesystem(struct doctor *doctor, struct finding *finding)
{
	const struct cancel_spool_info *info = &doctor->info;

	finding_set(finding, info->sees_remote ? LEVEL_WARNING : LEVEL_OK, "%s; %s; %s", info->filesystem,
		    info->is_volatile ? "requests do not survive a reboot" : "requests survive a reboot",
		    info->sees_remote ? "changes from elsewhere raise no event" : "local");
	if (info->sees_remote)
		finding_remedy(finding, "use a local filesystem if requests are to be noticed at once");
}

void check_mode(struct doctor *doctor, struct finding *finding)
{
	const struct cancel_spool_info *info = &doctor->info;
	const struct cancel_spool_options *wanted = &doctor->config.spool;
	bool differs = info->mode != wanted->mode ||
		       (wanted->group != (gid_t)-1 && info->group != wanted->group) ||
		       (wanted->owner != (uid_t)-1 && info->owner != wanted->owner);

	finding_set(finding, differs ? LEVEL_WARNING : LEVEL_OK, "mode %04o, uid %u, gid %u%s", info->mode,
		    info->owner, info->group, differs ? "; configured otherwise" : "");
	if (differs)
		finding_remedy(finding, "run 'cancelwatch init': it says what differs and how to change it");
}

static int64_t percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 100 : (int64_t)((double)part * 100 / (double)whole);
}

void check_space(struct doctor *doctor, struct finding *finding)
{
	struct statvfs stat;
	int64_t space, files;

	if (statvfs(doctor->info.path, &stat) < 0) {
		finding_set(finding, LEVEL_WARNING, "cannot be read: %s", strerror(errno));
		return;
	}
	space = percent(stat.f_bavail, stat.f_blocks);
	files = percent(stat.f_favail, stat.f_files);
	finding_set(finding, LEVEL_OK,
		    "%" PRIu64 " MiB free (%" PRId64 " %%), files for %" PRIu64 " more (%" PRId64 " %%)",
		    (uint64_t)stat.f_bavail * stat.f_frsize >> 20, space, (uint64_t)stat.f_favail, files);
	if (stat.f_flag & ST_RDONLY) {
		finding_set(finding, LEVEL_PROBLEM, "the filesystem is mounted read-only: nobody can ask");
		finding_remedy(finding, "mount it read-write, or set spool.path to another directory");
	} else if (stat.f_bavail == 0 || (stat.f_files != 0 && stat.f_favail == 0)) {
		finding->level = LEVEL_PROBLEM;
		finding_remedy(finding, "make room on the filesystem: nobody can ask");
	} else if (space < SCARCE_PERCENT || files < SCARCE_PERCENT) {
		finding->level = LEVEL_WARNING;
		finding_remedy(finding, "make room on the filesystem");
	}
}

struct pending {
	int64_t count;
	int64_t overdue; /* past their expiry */
	int64_t refused; /* in a request's place, but none */
};

static int count_pending(void *arg, const struct cancel_list_entry *entry)
{
	struct pending *pending = arg;

	if (entry->request == NULL)
		pending->refused++;
	else
		pending->count++;
	if (entry->request != NULL && cancel_request_expired(entry->request))
		pending->overdue++;
	return 0;
}

void check_pending(struct doctor *doctor, struct finding *finding)
{
	struct pending pending = {0};
	struct cancel_error error;

	if (cancel_spool_list(doctor->spool, CANCEL_LIST_PENDING, count_pending, &pending, &error) < 0) {
		finding_set(finding, LEVEL_PROBLEM, "%s", error.text);
		return;
	}
	finding_set(finding, LEVEL_OK,
		    "%" PRId64 " requests, %" PRId64 " of them past their expiry, %" PRId64
		    " files that are none",
		    pending.count, pending.overdue, pending.refused);
	if (pending.overdue != 0 || pending.refused != 0) {
		finding->level = LEVEL_WARNING;
		finding_remedy(finding,
			       "run 'cancelwatch sweep'; 'cancelwatch watch' names the files that are none");
	}
}

void check_sweep(struct doctor *doctor, struct finding *finding)
{
	int64_t interval_us = doctor->config.sweep_interval_ms * 1000;
	int64_t late_us =
		interval_us * SWEEPS_MISSED > SWEEP_LATE_US ? interval_us * SWEEPS_MISSED : SWEEP_LATE_US;
	int64_t age_us = wall_clock_us() - doctor->info.swept_at_us;
	char age[AGE_SIZE];

	if (doctor->info.swept_at_us == 0)
		finding_set(finding, LEVEL_WARNING, "there never was a sweep");
	else
		finding_set(finding, age_us > late_us ? LEVEL_WARNING : LEVEL_OK, "the last was %s ago",
			    age_text(age, age_us));
	if (finding->level != LEVEL_OK)
		finding_remedy(
			finding,
			"run 'cancelwatch watch' as a service, or 'cancelwatch sweep' by a timer or cron");
}

void check_refused(struct doctor *doctor, struct finding *finding)
{
	int64_t count = refused_count(doctor->info.path);

	finding_set(finding, count == 0 ? LEVEL_OK : LEVEL_WARNING, "%" PRId64 " files were moved aside",
		    count);
	if (count != 0)
		finding_remedy(finding, "look at '%s/refused', find out who made them, and remove them",
			       SHOW(doctor->info.path));
}
