/* Bytes. A peer's include what it takes from the heap. */
#include "harness.h"
#include "peer_stop_token.h"

#include <cancel/deadline.h>
#include <cancel/link.h>
#include <cancel/registration.h>
#include <cancel/source.h>

#define SIZE_OF(side, size)                           \
	static double side(const struct place *place) \
	{                                             \
		(void)place;                          \
		return (double)(size);                \
	}
SIZE_OF(source_ours, sizeof(struct cancel_source))
SIZE_OF(source_stop_token, peer_stop_token_source_size())
SIZE_OF(token_ours, sizeof(struct cancel_token))
SIZE_OF(token_stop_token, peer_stop_token_token_size())
SIZE_OF(registration_ours, sizeof(struct cancel_registration))
SIZE_OF(registration_stop_token, peer_stop_token_callback_size())
SIZE_OF(link_ours, sizeof(struct cancel_link))
SIZE_OF(deadline_ours, sizeof(struct cancel_deadline))

static const struct bench rows[] = {
	{.name = "token: memory, source (libstdc++)",
	 .unit = "bytes",
	 .peer = "stop_source",
	 .budget = {VALUE(40)},
	 .repetitions = 1,
	 .ours = source_ours,
	 .theirs = source_stop_token},
	{.name = "token: memory, token (libstdc++)",
	 .unit = "bytes",
	 .peer = "stop_token",
	 .budget = {VALUE(8)},
	 .repetitions = 1,
	 .ours = token_ours,
	 .theirs = token_stop_token},
	{.name = "token: memory, registration (libstdc++)",
	 .unit = "bytes",
	 .peer = "stop_callback",
	 .budget = {VALUE(40)},
	 .repetitions = 1,
	 .ours = registration_ours,
	 .theirs = registration_stop_token},
	{.name = "token: memory, link (libstdc++)",
	 .unit = "bytes",
	 .peer = "forwarding stop_callback",
	 .repetitions = 1,
	 .ours = link_ours,
	 .theirs = registration_stop_token},
	{.name = "token: memory, deadline", .unit = "bytes", .repetitions = 1, .ours = deadline_ours},
};
static struct bench_group group = {.rows = rows, .count = COUNT(rows)};
BENCH_GROUP(group)
