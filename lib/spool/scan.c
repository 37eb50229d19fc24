#include "scan.h"

#include "error.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int scan_open(struct scan *scan, const struct cancel_spool *spool, enum spool_dir dir,
	      struct cancel_error *error)
{
	scan->fd = openat(spool->fds[dir], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scan->stream = scan->fd < 0 ? NULL : fdopendir(scan->fd);
	if (!scan->stream) {
		int code = error_system(error, -errno, "cannot list spool '%s'", SPOOL_QUOTE(spool));

		file_close(scan->fd);
		return code;
	}
	return 0;
}

int scan_begin(struct scan *scan, struct cancel_spool *spool, enum spool_dir dir, struct cancel_error *error)
{
	int code = spool_enter(spool, error);

	if (code < 0)
		return code;
	code = scan_open(scan, spool, dir, error);
	spool_leave(spool);
	return code;
}

const char *scan_next(struct scan *scan, int *code)
{
	struct dirent *entry;

	do {
		errno = 0; /* readdir tells its failure by this alone */
		entry = readdir(scan->stream);
	} while (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")));
	*code = entry ? 0 : -errno;
	return entry ? entry->d_name : NULL;
}

void scan_close(struct scan *scan)
{
	(void)closedir(scan->stream);
}
