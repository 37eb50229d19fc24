/* What the configuration and the command line say together, and the spool that they name. */
#ifndef CANCELWATCH_SETTINGS_H
#define CANCELWATCH_SETTINGS_H

#include "options.h"

#include <cancel/config.h>
#include <cancel/error.h>
#include <cancel/spool.h>

/* The command line over `config`. */
void settings_override(struct cancel_config *config, const struct options *options);
/* Load the configuration and lay the command line over it. Returns 0 or a negative errno. */
int settings_load(struct cancel_config *config, const struct options *options, struct cancel_error *error);
/* Both, and open the spool, which must exist. */
int settings_open(struct cancel_config *config, const struct options *options, struct cancel_spool **spool,
		  struct cancel_error *error);
/* Whether two configurations name the same spool, used in the same way, and watch it in the same way. */
bool settings_same_watch(const struct cancel_config *a, const struct cancel_config *b);

#endif
