/* Files relative to a directory descriptor. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Write all of it, going on after short writes and EINTR; 0 or a negative errno. */
int file_write_all(int fd, const void *data, size_t size);

/* Open a regular file for reading without following a link, blocking on a FIFO or becoming the owner of a
 * terminal; returns the descriptor, or -ENOENT, -ELOOP (a link), -EISDIR, -ENXIO (any other kind), or what
 * open(2) says. `stat` tells of the very file that was opened. */
int file_open_regular(int dir_fd, const char *name, struct stat *stat);

/* Read at most `size` bytes of a regular file; returns how many there were, or a negative errno. */
ssize_t file_read(int fd, void *data, size_t size);

/* Two looks at one file. */
int file_same(const struct stat *one, const struct stat *other);

/* What kind of thing a mode says it is: "regular file", "symbolic link", ... */
const char *file_kind(mode_t mode);

/* Close, keeping errno. Nothing is done for -1. */
void file_close(int fd);

#endif
