/* The verbs, one file each. Each returns an exit code. */
#ifndef CANCELWATCH_VERBS_H
#define CANCELWATCH_VERBS_H

#include "options.h"
#include "print.h"

int watch_run(const struct options *options, struct printer *out);
int sweep_run(const struct options *options, struct printer *out);
int init_run(const struct options *options, struct printer *out);
int doctor_run(const struct options *options, struct printer *out);
int status_run(const struct options *options, struct printer *out);
int check_config_run(const struct options *options, struct printer *out);
int rules_run(const struct options *options, struct printer *out);

/* Reads its own command line, and has exit codes of its own; `argv[0]` is the verb. */
int run_run(int argc, char **argv);

#endif
