/* A cancelwatch that runs beside a test, and tells it through NOTIFY_SOCKET what it tells systemd. Its spool
 * and configuration are those of tool.h. */
#ifndef SUPPORT_WATCHING_H
#define SUPPORT_WATCHING_H

#include "tool.h"

#include <stdbool.h>
#include <stddef.h>

struct sockaddr_un;

#define CANCELWATCH BUILD_DIR "/bin/cancelwatch"

#define WATCHING_MESSAGE_SIZE 4096

extern struct process watching; /* the watch */

/* For a suite's .init and .fini. */
void watching_set_up(void);
void watching_tear_down(void);

/* Take another socket than the one in the test's private directory: `name` as NOTIFY_SOCKET has it. */
void watching_listen(const struct sockaddr_un *address, size_t length, const char *name);

/* Write the configuration file. */
void watching_configure(const char *yaml);

/* Start a watch. `environment` may be NULL; it comes after what tool.h sets. */
void watching_begin(const char *const *arguments, const char *const *environment);
/* The same with nothing more in the environment, and wait until it is ready. */
void watching_start(const char *const *arguments);

/* Wait for a message to systemd that has `part` in it. */
void watching_message(const char *part);
/* The next message, whatever it is. */
void watching_next_message(char message[WATCHING_MESSAGE_SIZE]);

/* Wait until it has printed `text`. */
void watching_await(const char *text);
/* Wait until it has ended with `exit_code`. */
void watching_end(int exit_code);
/* Send a signal, and wait until it has ended with 0. */
void watching_stop(int signal_number);

/* Have Python read what was printed; an assertion there fails the test here. */
void watching_python(const char *input, const char *script);

/* How often `part` is in `text`. */
int watching_occurrences(const char *text, const char *part);

#endif
