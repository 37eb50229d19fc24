/**
 * The configuration: YAML on disk, plain values here. conf/cancel.yaml shows every key; cancel.yaml(5)
 * is its manual.
 *
 * Who wins, from the strongest: the command line (the program sets the field), the environment
 * (TASK_CANCELLATION_DIR for spool.path), the file, the defaults.
 *
 * The file is the one given; else $CANCEL_CONFIG when that is set, not empty and the process is not setuid;
 * else CANCEL_CONFIG_DEFAULT, which alone may be missing.
 */
#ifndef CANCEL_CONFIG_H
#define CANCEL_CONFIG_H

#include <cancel/error.h>
#include <cancel/export.h>
#include <cancel/spool.h>
#include <cancel/sweep.h>
#include <cancel/watch.h>

#include <stdbool.h>
#include <stdint.h>

CANCEL_BEGIN_DECLS

#define CANCEL_CONFIG_DEFAULT "/etc/cancel/cancel.yaml"
#define CANCEL_CONFIG_VARIABLE "CANCEL_CONFIG"

enum cancel_log_level {
	CANCEL_LOG_ERROR,
	CANCEL_LOG_WARNING,
	CANCEL_LOG_INFO,
	CANCEL_LOG_DEBUG,
};

struct cancel_config {
	char file[CANCEL_PATH_MAX];       /* the file that was read; "" when there was none */
	char spool_path[CANCEL_PATH_MAX]; /* what spool.path points at, unless the program let it point elsewhere */
	struct cancel_spool_options spool;
	struct cancel_sweep_options sweep;
	struct cancel_watch_options watch;
	int64_t sweep_interval_ms;
	enum cancel_log_level log_level;
	bool log_json;
};

/**
 * Set every key to its default: those of cancel_spool_options_init, cancel_sweep_options_init and
 * cancel_watch_options_init; the spool at CANCEL_SPOOL_DEFAULT; a sweep every minute; the log as text, from
 * CANCEL_LOG_INFO up. `config->spool.path` points into `config`, so do not copy the structure.
 *
 * Any thread, any signal handler.
 */
CANCEL_API void cancel_config_init(struct cancel_config *config);

/**
 * Set the defaults, then what the file says, then what the environment says.
 *
 * An unknown key, a key given twice, a wrong type or a value out of range fails, and the sentence names
 * file, line, column and what was expected: `/etc/cancel/cancel.yaml:7:12: watch.poll_interval: expected a
 * duration from 10ms to 1h (like 500ms, 30s, 10m), found 'often'`.
 *
 * @param config  Set on success; left alone on failure. Owned by the caller; nothing in it needs freeing.
 * @param file    The file to read, or NULL: see above.
 * @param error   Where to describe a failure, or NULL.
 *
 * @return 0, or
 *         -EINVAL  the file or TASK_CANCELLATION_DIR says something that is not understood;
 *         -EPERM   the process is root, and others than root could change the file;
 *         -ENOENT, -EACCES, ...  the file cannot be read; -EISDIR, -ENXIO: it is not a regular file;
 *         -ENOMEM, or what kept the name of a user or group from being looked up.
 *
 * Blocks on the filesystem, and on the user database for names of users and groups. Any thread; not in a
 * signal handler.
 */
CANCEL_API int cancel_config_load(struct cancel_config *config, const char *file,
				  struct cancel_error *error);

CANCEL_END_DECLS

#endif
