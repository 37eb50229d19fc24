/* One token, one thread: to ask it, to make its source, to register on it, to link a child to it. */
#include "peer_gcancellable.h"
#include "peer_program.h"
#include "peer_stop_token.h"
#include "token_loop.h"

#include <cancel/link.h>
#include <cancel/registration.h>
#include <cancel/source.h>
#include <cancel/token.h>

/* Two sides that cost the same must come out the same, to the hundredth: hence turns of a fifth of a
 * millisecond. */
#define CHECKS            200000
#define CHECK_REPETITIONS 999
#define CHECKS_BRIEF      100000
#define OPERATIONS        100000
#define OPERATIONS_BRIEF  5000

static void do_nothing(void *arg, struct cancel_token token)
{
	(void)arg;
	(void)token;
}

/* --- check -------------------------------------------------------------------------------------------- */

/* The same loop as the peer's, at the same alignment: the compiler must fetch the token each time. */
static __attribute__((noinline, aligned(64))) bool ask(struct cancel_token *token, long count)
{
	for (long i = 0; i < count; i++) {
		__asm__ volatile("" : "+m"(*token));
		if (cancel_token_requested(*token))
			return true;
	}
	return false;
}

static void check(long count)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct cancel_token token = cancel_source_token(&source);

	if (ask(&token, count))
		bench_fail("a token reads cancelled, and nobody cancelled it");
}

TOKEN_SIDE(check_ours, check, CHECKS, CHECKS_BRIEF)
TOKEN_SIDE(check_stop_token, peer_stop_token_check, CHECKS, CHECKS_BRIEF)
TOKEN_SIDE(check_gcancellable, peer_gcancellable_check, CHECKS / 4, CHECKS_BRIEF)

/* --- init and fini ------------------------------------------------------------------------------------ */

static void make(long count)
{
	struct cancel_source source;

	for (long i = 0; i < count; i++) {
		cancel_source_init(&source, NULL);
		(void)cancel_source_fini(&source);
	}
}

TOKEN_SIDE(make_ours, make, OPERATIONS * 5, OPERATIONS_BRIEF)
TOKEN_SIDE(make_stop_token, peer_stop_token_make, OPERATIONS, OPERATIONS_BRIEF)

/* --- register and unregister -------------------------------------------------------------------------- */

static void enlist(long count)
{
	struct cancel_source source = CANCEL_SOURCE_INIT;
	struct cancel_registration registration;

	for (long i = 0; i < count; i++) {
		(void)cancel_registration_add(&registration, cancel_source_token(&source), do_nothing, NULL);
		(void)cancel_registration_remove(&registration);
	}
	(void)cancel_source_fini(&source);
}

TOKEN_SIDE(enlist_ours, enlist, OPERATIONS, OPERATIONS_BRIEF)
TOKEN_SIDE(enlist_bare, token_loop_atomic_add, OPERATIONS, OPERATIONS_BRIEF)
TOKEN_SIDE(enlist_gcancellable, peer_gcancellable_register, OPERATIONS / 10, OPERATIONS_BRIEF)

static void enlist_std(long count)
{
	void *source = peer_stop_token_new();

	peer_stop_token_register(source, count);
	peer_stop_token_delete(source);
}

TOKEN_SIDE(enlist_stop_token, enlist_std, OPERATIONS, OPERATIONS_BRIEF)

/* --- a linked child ----------------------------------------------------------------------------------- */

static void have_child(long count)
{
	struct cancel_source parent = CANCEL_SOURCE_INIT, child;
	struct cancel_token token = cancel_source_token(&parent);
	struct cancel_link link;

	for (long i = 0; i < count; i++) {
		(void)cancel_linked_init(&child, NULL, &link, &token, 1);
		(void)cancel_linked_fini(&child, &link, 1);
	}
	(void)cancel_source_fini(&parent);
}

TOKEN_SIDE(child_ours, have_child, OPERATIONS, OPERATIONS_BRIEF)
TOKEN_SIDE(child_stop_token, peer_stop_token_child, OPERATIONS, OPERATIONS_BRIEF)
TOKEN_SIDE(child_gcancellable, peer_gcancellable_child, OPERATIONS / 10, OPERATIONS_BRIEF)

/* --- programs that are peers -------------------------------------------------------------------------- */

static double check_go(const struct place *place)
{
	(void)place;
	return peer_program_ns(PEER_GO, "check");
}

static double check_tokio(const struct place *place)
{
	(void)place;
	return peer_program_ns(PEER_TOKIO, "check");
}

static double child_go(const struct place *place)
{
	(void)place;
	return peer_program_ns(PEER_GO, "child");
}

static double child_tokio(const struct place *place)
{
	(void)place;
	return peer_program_ns(PEER_TOKIO, "child");
}

/* --- the table ---------------------------------------------------------------------------------------- */

static const struct bench rows[] = {
	{.name = "token: check (libstdc++)",
	 .unit = "ns",
	 .repetitions = CHECK_REPETITIONS,
	 .peer = "stop_requested",
	 .budget = {RATIO(1)},
	 .ours = check_ours,
	 .theirs = check_stop_token},
	{.name = "token: check (GLib)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "g_cancellable_is_cancelled",
	 .lacks = peer_gcancellable_lacks,
	 .ours = check_ours,
	 .theirs = check_gcancellable},
	{.name = "token: check (Go)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "ctx.Err",
	 .lacks = peer_program_lacks_go,
	 .ours = check_ours,
	 .theirs = check_go},
	{.name = "token: check (tokio)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "is_cancelled",
	 .lacks = peer_program_lacks_tokio,
	 .ours = check_ours,
	 .theirs = check_tokio},
	{.name = "token: init + fini (libstdc++)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "stop_source, made and dropped",
	 .budget = {RATIO(0.3)},
	 .ours = make_ours,
	 .theirs = make_stop_token},
	{.name = "token: register + unregister (libstdc++)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "stop_callback, made and dropped",
	 .budget = {RATIO(0.4)},
	 .ours = enlist_ours,
	 .theirs = enlist_stop_token},
	{.name = "token: register + unregister (GLib)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "connect, disconnect",
	 .lacks = peer_gcancellable_lacks,
	 .ours = enlist_ours,
	 .theirs = enlist_gcancellable},
	{.name = "token: register + unregister (bare)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "one atomic add",
	 .ours = enlist_ours,
	 .theirs = enlist_bare},
	{.name = "token: child, linked and dropped (libstdc++)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "source and forwarding callback",
	 .budget = {VALUE(60)},
	 .ours = child_ours,
	 .theirs = child_stop_token},
	{.name = "token: child, linked and dropped (GLib)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "connected child",
	 .budget = {RATIO(1)},
	 .lacks = peer_gcancellable_lacks,
	 .ours = child_ours,
	 .theirs = child_gcancellable},
	{.name = "token: child, linked and dropped (Go)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "context.WithCancel, cancel",
	 .budget = {RATIO(1)},
	 .lacks = peer_program_lacks_go,
	 .ours = child_ours,
	 .theirs = child_go},
	{.name = "token: child, linked and dropped (tokio)",
	 .unit = "ns",
	 .repetitions = TOKEN_REPETITIONS,
	 .peer = "child_token, drop",
	 .budget = {RATIO(1)},
	 .lacks = peer_program_lacks_tokio,
	 .ours = child_ours,
	 .theirs = child_tokio},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows), .set_up = token_loop_alone};
BENCH_GROUP(group)
