/* Redis on the loopback interface as the other side: PUBLISH on one connection, a subscriber on another. */
#ifndef BENCH_PEER_REDIS_H
#define BENCH_PEER_REDIS_H

/* A server of our own, on a free port, that keeps nothing; ended again. */
void peer_redis_start(void);
void peer_redis_end(void);

/* Connect to it. */
int peer_redis_connect(void);

/* Subscribe, and wait until it is so; wait for the next message. */
void peer_redis_subscribe(int fd);
void peer_redis_await(int fd);

/* Publish a message, and wait until the server says to how many it went: to one. */
void peer_redis_publish(int fd, const char *message);

#endif
