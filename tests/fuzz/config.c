/* Any bytes as a configuration: they are read or refused with one sentence, and what was read is in range. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_read(const struct cancel_config *config)
{
	check(config->spool.path == config->spool_path && config->spool_path[0] == '/');
	check((config->spool.mode & ~(mode_t)02770) == 0 && (config->spool.mode & 0700) == 0700);
	check(config->spool.trusted_count <= CANCEL_TRUSTED_USERS_MAX);
	check(config->spool.max_reason_bytes <= CANCEL_REASON_MAX);
	check(config->spool.expire_after_s == CANCEL_EXPIRES_NEVER ||
	      (config->spool.expire_after_s > 0 && config->spool.expire_after_s <= CANCEL_EXPIRES_MAX_S));
	check(config->sweep.keep_for_s > 0 && config->sweep.keep_for_s <= CANCEL_EXPIRES_MAX_S);
	check(config->watch.poll_interval_ms >= 10 && config->watch.rescan_interval_ms >= 1000);
	check(config->sweep_interval_ms >= 1000);
}

static void check_refused(const struct cancel_error *error, int result)
{
	check(error->code == result);
	check(!strncmp(error->text, "f.yaml:", 7));
	for (const char *at = error->text; *at; at++)
		check((unsigned char)*at >= 0x20 && *at != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cancel_config config;
	struct cancel_error error = {.code = 0};
	int result;

	cancel_config_init(&config);
	result = config_read(&config, "f.yaml", (const char *)data, size, &error);
	if (result == 0)
		check_read(&config);
	else
		check_refused(&error, result);
	return 0;
}
