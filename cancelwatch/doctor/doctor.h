/* What the parts of doctor share. */
#ifndef CANCELWATCH_DOCTOR_H
#define CANCELWATCH_DOCTOR_H

#include "options.h"
#include "print.h"

#include <cancel/cancel.h>

enum level {
	LEVEL_OK,
	LEVEL_WARNING, /* works, but worse than it could, or not for long */
	LEVEL_PROBLEM, /* keeps two sides apart */
	LEVEL_COUNT,
};

#define FINDING_SIZE 3072

/* What one check found. Both texts are escaped already. */
struct finding {
	enum level level;
	char text[FINDING_SIZE];
	char remedy[FINDING_SIZE]; /* "" when there is nothing to do */
};

struct doctor {
	const struct options *options;
	struct printer *out;
	struct cancel_config config;
	struct cancel_error config_error; /* code 0: it was loaded; else the defaults are used */
	struct cancel_spool *spool;       /* NULL: it cannot be opened, and `spool_error` says why */
	struct cancel_error spool_error;
	struct cancel_spool_info info;
	struct cancel_watch *watch; /* NULL: it cannot be opened, and `watch_error` says why */
	struct cancel_error watch_error;
	int counts[LEVEL_COUNT];
};

/* Fill a finding. Every %s from outside must have been escaped. */
void finding_set(struct finding *finding, enum level level, const char *format, ...) CANCEL_PRINTF(3, 4);
void finding_remedy(struct finding *finding, const char *format, ...) CANCEL_PRINTF(2, 3);

/* Text from outside, escaped, for one finding: cut where it is longer. */
#define SHOWN_SIZE 1024
struct shown {
	char text[SHOWN_SIZE];
};
const char *show(struct shown *shown, const char *text);
/* For an argument list. Lives to the end of the block. */
#define SHOW(string) show(&(struct shown){""}, (string))

typedef void doctor_check(struct doctor *doctor, struct finding *finding);

/* doctor_system.c: the process and the machine. */
doctor_check check_configuration, check_path, check_user, check_namespace, check_private_tmp, check_tmpfiles;
/* doctor_spool.c: the directory and what is in it. */
doctor_check check_spool, check_directory, check_filesystem, check_mode, check_space, check_pending,
	check_sweep, check_refused;
/* doctor_watch.c: noticing. */
doctor_check check_inotify, check_watch, check_round_trip;
/* doctor_workers.c: those who run tasks. */
doctor_check check_bell, check_watcher, check_workers, check_running;

#endif
