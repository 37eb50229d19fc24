#include "peer_stop_token.h"

#include <cstdint>
#include <cstdlib>
#include <malloc.h>
#include <new>
#include <optional>
#include <stop_token>
#include <vector>

namespace
{

struct nothing {
	void operator()() const noexcept
	{
	}
};

/* The same loop as ours, at the same alignment: the compiler must fetch the token each time. */
__attribute__((noinline, aligned(64))) bool ask(std::stop_token *token, long count)
{
	for (long i = 0; i < count; i++) {
		__asm__ volatile("" : "+m"(*token));
		if (token->stop_requested())
			return true;
	}
	return false;
}

} // namespace

void peer_stop_token_check(long count)
{
	std::stop_source source;
	std::stop_token token = source.get_token();

	if (ask(&token, count))
		std::abort();
}

void peer_stop_token_make(long count)
{
	for (long i = 0; i < count; i++) {
		std::stop_source source;

		__asm__ volatile("" : "+m"(source));
	}
}

void *peer_stop_token_new()
{
	return new std::stop_source;
}

void peer_stop_token_delete(void *source)
{
	delete static_cast<std::stop_source *>(source);
}

/* The token is fetched once: to count its holders is the callback's business, and is counted in. */
void peer_stop_token_register(void *source, long count)
{
	std::stop_token token = static_cast<std::stop_source *>(source)->get_token();

	for (long i = 0; i < count; i++) {
		std::stop_callback<nothing> callback(token, nothing());

		__asm__ volatile("" : "+m"(callback));
	}
}

namespace
{

struct forward {
	std::stop_source *child;

	void operator()() const noexcept
	{
		child->request_stop();
	}
};

} // namespace

void peer_stop_token_child(long count)
{
	std::stop_source parent;
	std::stop_token token = parent.get_token();

	for (long i = 0; i < count; i++) {
		std::stop_source child;
		std::stop_callback<forward> link(token, forward{&child});

		__asm__ volatile("" : "+m"(link));
	}
}

/* --- many callbacks ----------------------------------------------------------------------------------- */

namespace
{

/* Called through the pointer in the node, as ours is: a second call would only make the peer slower. */
struct count_call {
	long *calls;

	void operator()() const noexcept
	{
		++*calls;
	}
};

using counting_callback = std::stop_callback<count_call>;

struct crowd {
	std::vector<std::stop_source> sources;
	counting_callback *callbacks; /* one array */
	long count, calls;
};

} // namespace

void *peer_stop_token_crowd_new(long sources, long callbacks)
{
	auto *made = new crowd{std::vector<std::stop_source>(static_cast<std::size_t>(sources)), nullptr,
			       sources * callbacks, 0};

	made->callbacks = static_cast<counting_callback *>(
		std::malloc(static_cast<std::size_t>(made->count) * sizeof(counting_callback)));
	if (!made->callbacks)
		std::abort();
	for (long i = 0; i < made->count; i++) {
		const std::stop_source &source = made->sources[static_cast<std::size_t>(i / callbacks)];

		new (&made->callbacks[i]) counting_callback(source.get_token(), count_call{&made->calls});
	}
	return made;
}

void peer_stop_token_crowd_cancel(void *arg)
{
	auto *crowd_ = static_cast<crowd *>(arg);

	for (std::stop_source &source : crowd_->sources)
		source.request_stop();
}

void peer_stop_token_crowd_delete(void *arg)
{
	auto *ended = static_cast<crowd *>(arg);

	if (ended->calls != ended->count)
		std::abort();
	for (long i = 0; i < ended->count; i++)
		ended->callbacks[i].~counting_callback();
	std::free(ended->callbacks);
	delete ended;
}

/* --- sizes -------------------------------------------------------------------------------------------- */

/* Enough that what malloc had at hand does not matter. */
std::size_t peer_stop_token_source_size()
{
	constexpr std::size_t count = 10000;
	std::vector<std::optional<std::stop_source>> sources(count);
	std::size_t before = mallinfo2().uordblks;

	for (auto &source : sources)
		source.emplace();
	return sizeof(std::stop_source) + (mallinfo2().uordblks - before + count / 2) / count;
}

std::size_t peer_stop_token_token_size()
{
	return sizeof(std::stop_token);
}

std::size_t peer_stop_token_callback_size()
{
	return sizeof(counting_callback);
}
