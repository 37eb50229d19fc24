/* Those who run tasks: what wakes them, and how many there are. */
#include "doctor.h"
#include "running.h"

#include <inttypes.h>
#include <unistd.h>

/* What the round trip rang for may have made the bell: it is looked at now and not as the spool was opened.
 */
static int look_again(struct doctor *doctor, struct cancel_spool_info *info, struct finding *finding)
{
	struct cancel_error error;
	int result = cancel_spool_info(doctor->spool, info, &error);

	if (result < 0)
		finding_set(finding, LEVEL_PROBLEM, "%s", error.text);
	return result;
}

static bool has_no_bell_yet(const struct doctor *doctor)
{
	struct cancel_statistics statistics;
	struct cancel_error error;

	/* The library counts nothing in a bell that is not there, and cannot read one that is no good. */
	return cancel_spool_statistics(doctor->spool, &statistics, &error) == 0;
}

void check_bell(struct doctor *doctor, struct finding *finding)
{
	struct cancel_spool_info info;

	if (look_again(doctor, &info, finding) < 0)
		return;
	if (info.bell == NULL) {
		finding_set(finding, LEVEL_OK,
			    "works: who waits for a request is woken by whoever publishes it");
	} else if (has_no_bell_yet(doctor) && (geteuid() == 0 || geteuid() == info.owner)) {
		finding_set(finding, LEVEL_OK, "%s", info.bell);
	} else if (has_no_bell_yet(doctor)) {
		finding_set(finding, LEVEL_WARNING, "%s", info.bell);
		finding_remedy(finding, "run 'cancelwatch doctor' as uid %u, the spool's owner, or as root",
			       (unsigned)info.owner);
	} else {
		finding_set(finding, LEVEL_WARNING, "%s: requests are noticed by looking, which takes longer",
			    info.bell);
		finding_remedy(finding,
			       "remove '%s/bell', which the next request of the spool's owner makes anew; if "
			       "that does not help, use another filesystem",
			       SHOW(info.path));
	}
}

void check_watcher(struct doctor *doctor, struct finding *finding)
{
	struct cancel_spool_info info;

	if (look_again(doctor, &info, finding) < 0)
		return;
	if (info.is_watched) {
		finding_set(finding, LEVEL_OK, "one is about, which rings for programs that know no bell");
		return;
	}
	finding_set(finding, LEVEL_WARNING,
		    "none is about: what programs publish that know no bell, workers notice only by looking");
	finding_remedy(finding, "run 'cancelwatch watch' as a service");
}

/* How a manager of this user would notice. */
struct way {
	bool has_failed;
	enum cancel_notice notice;
	const char *why;
	struct cancel_error error;
};

static void try_way(const struct doctor *doctor, bool thread, struct way *way)
{
	struct cancel_manager_options options;
	struct cancel_manager *manager;

	cancel_manager_options_init(&options);
	options.spool = &doctor->config.spool;
	options.thread = thread;
	*way = (struct way){.has_failed = cancel_manager_open(&manager, &options, &way->error) < 0};
	if (way->has_failed)
		return;
	way->notice = cancel_manager_notice(manager, &way->why);
	(void)cancel_manager_close(manager);
}

void check_workers(struct doctor *doctor, struct finding *finding)
{
	struct way with, without;

	try_way(doctor, true, &with);
	try_way(doctor, false, &without);
	if (with.has_failed || without.has_failed) {
		finding_set(finding, LEVEL_PROBLEM, "%s",
			    with.has_failed ? with.error.text : without.error.text);
		return;
	}
	finding_set(finding, LEVEL_OK, "notice by %s with a manager's thread, by %s without%s%s",
		    cancel_notice_text(with.notice), cancel_notice_text(without.notice),
		    without.why == NULL ? "" : ": ", without.why == NULL ? "" : without.why);
	if (without.notice != CANCEL_NOTICE_BELL) {
		finding->level = LEVEL_WARNING;
		finding_remedy(finding, "see 'bell'");
	}
}

void check_running(struct doctor *doctor, struct finding *finding)
{
	struct cancel_error error;
	struct running running;

	if (running_count(&running, doctor->spool, &error) < 0)
		finding_set(finding, LEVEL_PROBLEM, "%s", error.text);
	else if (running.runs == 0)
		finding_set(finding, LEVEL_OK,
			    "nobody holds a lease: a request stops the next run that begins");
	else
		finding_set(finding, LEVEL_OK,
			    "leases held: %" PRId64 ", for different tasks: %" PRId64
			    "; 'cancelreq --list --running' shows them",
			    running.runs, running.tasks);
}
