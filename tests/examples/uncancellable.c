/*
 * What must not be cancelled gets the token that never is. A transfer can be stopped between any two of its
 * bookings, but what takes the bookings back again runs to its end: the same function, with the zero token.
 *
 *     uncancellable
 */
#include <cancel/source.h>
#include <cancel/token.h>

#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNTS = 5, AMOUNT = 10 };

struct ledger {
	int balances[ACCOUNTS];
	struct cancel_source *user;
};

/* Here the user presses "cancel" after the third. */
static void on_booked(const struct ledger *ledger, int booked)
{
	if (booked == 3)
		cancel_source_cancel(ledger->user, NULL);
}

/* How many accounts it got to. */
static int book(struct ledger *ledger, int accounts, int amount, struct cancel_token token)
{
	int booked = 0;

	while (booked < accounts && !cancel_token_requested(token)) {
		ledger->balances[booked] += amount;
		on_booked(ledger, ++booked);
	}
	printf("%d of %d booked, %d each; this can%s be cancelled\n", booked, accounts, amount,
	       cancel_token_possible(token) ? "" : "not");
	return booked;
}

static int transfer(struct ledger *ledger, struct cancel_token token)
{
	const struct cancel_token never = CANCEL_TOKEN_NONE;
	int booked = book(ledger, ACCOUNTS, AMOUNT, token);

	if (booked < ACCOUNTS)
		book(ledger, booked, -AMOUNT, never);
	return cancel_token_error(token);
}

int main(void)
{
	struct cancel_source user = CANCEL_SOURCE_INIT;
	struct ledger ledger = {.user = &user};
	int sum = 0, result = transfer(&ledger, cancel_source_token(&user));

	for (int i = 0; i < ACCOUNTS; i++)
		sum += ledger.balances[i];
	printf("%s, the sum is %d\n", result < 0 ? "cancelled" : "done", sum);
	cancel_source_fini(&user);
	return EXIT_SUCCESS;
}
