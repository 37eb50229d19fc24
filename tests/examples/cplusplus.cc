/*
 * From C++: a source and a registration that end with their scope, a callback that is a lambda, a wait, and a
 * checkpoint that throws. C++11 is enough.
 *
 *     cplusplus
 */
#include <cancel/cause.h>
#include <cancel/registration.h>
#include <cancel/source.h>
#include <cancel/token.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace
{

const cancel_cause told_so = CANCEL_CAUSE_INIT(CANCEL_KIND_USER, "the main thread said so");

/* The library knows where it is, so it is neither copied nor moved. */
class source
{
      public:
	source() = default;
	source(const source &) = delete;
	source &operator=(const source &) = delete;
	~source()
	{
		cancel_source_fini(&source_);
	}

	void cancel(const cancel_cause *cause = nullptr)
	{
		cancel_source_cancel(&source_, cause);
	}

	cancel_token token() const
	{
		return cancel_source_token(&source_);
	}

      private:
	cancel_source source_ = CANCEL_SOURCE_INIT;
};

/* Calls a function object, which must not throw, at most once. */
template <typename Function> class registration
{
      public:
	registration(cancel_token token, Function function) : function_(std::move(function))
	{
		cancel_registration_add(&registration_, token, call, this);
	}
	registration(const registration &) = delete;
	registration &operator=(const registration &) = delete;
	~registration()
	{
		cancel_registration_remove(&registration_);
	}

      private:
	static void call(void *self, cancel_token token)
	{
		static_cast<registration *>(self)->function_(token);
	}

	Function function_;
	cancel_registration registration_ = {};
};

struct cancelled : std::runtime_error {
	explicit cancelled(const cancel_cause *cause) : std::runtime_error(cause->text)
	{
	}
};

void throw_if_requested(cancel_token token)
{
	if (cancel_token_requested(token))
		throw cancelled(cancel_token_cause(token));
}

void work(cancel_token token)
{
	try {
		cancel_token_wait(token, CANCEL_FOREVER);
		throw_if_requested(token);
	} catch (const cancelled &why) {
		std::cout << "the thread stops: " << why.what() << '\n';
	}
}

void run()
{
	source stop;
	auto print = [](cancel_token token) {
		std::cout << "the callback is called: " << cancel_token_cause(token)->text << '\n';
	};
	auto never = [](cancel_token) { std::cout << "this is never called\n"; };

	registration<decltype(print)> printing(stop.token(), print);
	{
		registration<decltype(never)> short_lived(stop.token(), never);
	}
	std::thread stopper([&stop] { stop.cancel(&told_so); });
	stopper.join();
	std::thread worker(work, stop.token());
	worker.join();
}

} // namespace

int main()
{
	try {
		run();
	} catch (const std::system_error &error) {
		std::cerr << "cplusplus: " << error.what() << '\n';
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
