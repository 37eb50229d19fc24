/* libstdc++'s std::stop_source and what belongs to it, C++20, as the other side of the token rows. */
#ifndef BENCH_PEER_STOP_TOKEN_H
#define BENCH_PEER_STOP_TOKEN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void peer_stop_token_check(long count);

/* A source, made and dropped. */
void peer_stop_token_make(long count);

/* A source on which any number of threads may register and unregister. */
void *peer_stop_token_new(void);
void peer_stop_token_delete(void *source);
void peer_stop_token_register(void *source, long count);

/* A source that follows another, made and dropped. */
void peer_stop_token_child(long count);

/* Sources with so many callbacks each; cancel them all. */
void *peer_stop_token_crowd_new(long sources, long callbacks);
void peer_stop_token_crowd_cancel(void *crowd);
void peer_stop_token_crowd_delete(void *crowd);

/* Bytes, what lies on the heap included. */
size_t peer_stop_token_source_size(void);
size_t peer_stop_token_token_size(void);
size_t peer_stop_token_callback_size(void);

#ifdef __cplusplus
}
#endif

#endif
