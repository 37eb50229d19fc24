/* What a service tells systemd: datagrams of KEY=VALUE lines to $NOTIFY_SOCKET, sd_notify(3). */
#ifndef CANCELWATCH_NOTIFY_H
#define CANCELWATCH_NOTIFY_H

#include <cancel/export.h>

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t address_length;
	int64_t watchdog_us;  /* how often to give a sign of life: half of what is asked for; 0: never */
	int64_t last_sign_us; /* CLOCK_MONOTONIC */
};

/* Read the environment. Whatever is wrong there means that nobody wants to know. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

void notify_ready(const struct notify *notify, const char *status_format, ...) CANCEL_PRINTF(2, 3);
void notify_status(const struct notify *notify, const char *format, ...) CANCEL_PRINTF(2, 3);
void notify_reloading(const struct notify *notify);
/* Async-signal-safe. */
void notify_stopping(const struct notify *notify);
/* A sign of life, if one is due. */
void notify_alive(struct notify *notify);

#endif
