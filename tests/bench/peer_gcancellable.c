/* Built only where pkg-config knows gio-2.0. */
#include "peer_gcancellable.h"

#include "harness.h"

#include <gio/gio.h>

void peer_gcancellable_check(long count)
{
	GCancellable *cancellable = g_cancellable_new();

	for (long i = 0; i < count; i++)
		if (g_cancellable_is_cancelled(cancellable))
			bench_fail("a GCancellable reads cancelled, and nobody cancelled it");
	g_object_unref(cancellable);
}

static void do_nothing(GCancellable *cancellable, gpointer arg)
{
	(void)cancellable;
	(void)arg;
}

void peer_gcancellable_register(long count)
{
	GCancellable *cancellable = g_cancellable_new();

	for (long i = 0; i < count; i++) {
		gulong id = g_cancellable_connect(cancellable, G_CALLBACK(do_nothing), NULL, NULL);

		g_cancellable_disconnect(cancellable, id);
	}
	g_object_unref(cancellable);
}

static void cancel_child(GCancellable *parent, gpointer child)
{
	(void)parent;
	g_cancellable_cancel(child);
}

void peer_gcancellable_child(long count)
{
	GCancellable *parent = g_cancellable_new();

	for (long i = 0; i < count; i++) {
		GCancellable *child = g_cancellable_new();
		gulong id = g_cancellable_connect(parent, G_CALLBACK(cancel_child), child, NULL);

		g_cancellable_disconnect(parent, id);
		g_object_unref(child);
	}
	g_object_unref(parent);
}
