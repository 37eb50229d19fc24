#include "settings.h"

#include <string.h>

void settings_override(struct cancel_config *config, const struct options *options)
{
	if (options->spool != NULL)
		config->spool.path = options->spool;
	if (options->has_mode)
		config->spool.mode = options->mode;
	if (options->has_group)
		config->spool.group = options->group;
	if (options->has_owner)
		config->spool.owner = options->owner;
	config->spool.create = false;
	config->sweep.dry_run = options->dry_run;
}

int settings_load(struct cancel_config *config, const struct options *options, struct cancel_error *error)
{
	int result = cancel_config_load(config, options->config, error);

	if (result < 0)
		return result;
	settings_override(config, options);
	return 0;
}

int settings_open(struct cancel_config *config, const struct options *options, struct cancel_spool **spool,
		  struct cancel_error *error)
{
	int result = settings_load(config, options, error);

	return result < 0 ? result : cancel_spool_open(spool, &config->spool, error);
}

static bool same_trust(const struct cancel_spool_options *a, const struct cancel_spool_options *b)
{
	return a->trusted_count == b->trusted_count &&
	       memcmp(a->trusted_users, b->trusted_users, a->trusted_count * sizeof a->trusted_users[0]) == 0;
}

static bool same_spool(const struct cancel_spool_options *a, const struct cancel_spool_options *b)
{
	return strcmp(a->path, b->path) == 0 && a->mode == b->mode && a->group == b->group &&
	       a->owner == b->owner && a->durability == b->durability &&
	       a->expire_after_s == b->expire_after_s && a->max_reason_bytes == b->max_reason_bytes &&
	       same_trust(a, b);
}

bool settings_same_watch(const struct cancel_config *a, const struct cancel_config *b)
{
	return same_spool(&a->spool, &b->spool) && a->watch.mode == b->watch.mode &&
	       a->watch.poll_interval_ms == b->watch.poll_interval_ms &&
	       a->watch.rescan_interval_ms == b->watch.rescan_interval_ms;
}
