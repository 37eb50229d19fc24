/* GLib's GCancellable as the other side of some token rows. Where GLib was not there when the benchmark was
 * built, neither are these. */
#ifndef BENCH_PEER_GCANCELLABLE_H
#define BENCH_PEER_GCANCELLABLE_H

#define PEER_OPTIONAL __attribute__((weak))

PEER_OPTIONAL void peer_gcancellable_check(long count);

/* Connect and disconnect. */
PEER_OPTIONAL void peer_gcancellable_register(long count);

/* A cancellable that another one cancels, made and dropped. */
PEER_OPTIONAL void peer_gcancellable_child(long count);

static inline const char *peer_gcancellable_lacks(void)
{
	return peer_gcancellable_check ? 0 : "GLib (libglib2.0-dev)";
}

#endif
